use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{BATCH, CLASSES, check, check_held, device, input, labels};

fn student() -> Tensor<2> {
    input([BATCH, CLASSES], 2.0, 0.0)
}

fn other(phase: f64) -> Tensor<2> {
    input([BATCH, CLASSES], 3.0, phase)
}

#[test]
fn tf_kd_losses() {
    for average in [KlAverage::Elements, KlAverage::Samples] {
        let config = TfKdSelfLossConfig::new().with_average(average);
        let loss = config.init().unwrap();
        check(&format!("own copy, {average:?}"), student(), |x| {
            loss.forward(x, other(1.0), labels())
        });
        // Not the published factor of 100, whose value would be rounded a hundred times as coarsely.
        let config = TfKdVirtualLossConfig::new().with_average(average);
        let loss = config.with_multiplier(5.0).init().unwrap();
        check(&format!("virtual, {average:?}"), student(), |x| {
            loss.forward(x, labels())
        });
    }
}

#[test]
fn cs_kd_loss() {
    let loss = CsKdLossConfig::new().with_lambda(3.0).init().unwrap();
    check("CS-KD", student(), |x| {
        loss.forward(x, other(1.0), labels())
    });
}

#[test]
fn ps_kd() {
    let samples = [5, 0, 3];
    let fresh = PsKdConfig::new(7, CLASSES).init(&device()).unwrap();
    let past = fresh.forward(other(1.0), labels(), &samples, 1.0).unwrap();
    let seasoned = fresh.clone().remember(past.update);
    for (name, memory) in [("nothing seen", fresh), ("seen before", seasoned)] {
        check(name, student(), |x| {
            let output = memory.forward(x, labels(), &samples, 0.6);
            output.unwrap().loss
        });
    }
}

#[test]
fn ddgsd_loss() {
    let config = DdgsdLossConfig::new().with_lambda(0.5).with_mu(0.7);
    let loss = config.with_temperature(3.0).init().unwrap();
    let view = |logits| DistortedView {
        logits: Tensor::from_inner(logits),
        features: Tensor::from_inner(input([BATCH, 4], 1.0, 5.0)),
    };
    let (a, b) = (|| view(other(0.0)), || view(other(1.0)));
    // The divergence towards the other view, which is the one that moves the first, and the cross-entropy.
    let kl = KlLossConfig::new().with_temperature(3.0).init().unwrap();
    let held = |x: Tensor<2>, constant: Tensor<2>| {
        let ce = divergence::cross_entropy(x.clone(), labels()).mean();
        ce + kl.forward(x, constant).mul_scalar(0.5)
    };
    let of = |logits: Tensor<2>, view: DistortedView| DistortedView { logits, ..view };
    check_held(
        "first logits",
        other(0.0),
        |x| loss.forward(of(x, a()), b(), labels()),
        |x| held(x, other(1.0)),
    );
    check_held(
        "second logits",
        other(1.0),
        |x| loss.forward(a(), of(x, b()), labels()),
        |x| held(x, other(0.0)),
    );
    for first in [true, false] {
        let name = format!("features, of the first view: {first}");
        check(&name, input([BATCH, 4], 1.0, 0.0), |features| {
            let moved = DistortedView { features, ..a() };
            let (first, second) = if first { (moved, b()) } else { (b(), moved) };
            loss.forward(first, second, labels())
        });
    }
}
