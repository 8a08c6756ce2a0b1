use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{BATCH, CLASSES, check, from, input, labels};

fn student() -> Tensor<2> {
    input([BATCH, CLASSES], 2.0, 0.0)
}

fn teacher() -> Tensor<2> {
    input([BATCH, CLASSES], 3.0, 1.0)
}

#[test]
fn kd_loss() {
    for (alpha, temperature) in [(0.0, 1.0), (0.9, 4.0), (1.0, 0.5)] {
        let loss = KdLossConfig::new()
            .with_alpha(alpha)
            .with_temperature(temperature)
            .init()
            .unwrap();
        check(
            &format!("alpha {alpha} tau {temperature}"),
            student(),
            |x| loss.forward(x, teacher(), labels()),
        );
    }
}

#[test]
fn kl_loss() {
    for tau_squared in [false, true] {
        for teacher_temperature in [None, Some(1.5)] {
            let loss = KlLossConfig::new()
                .with_temperature(3.0)
                .with_teacher_temperature(teacher_temperature)
                .with_tau_squared(tau_squared)
                .init()
                .unwrap();
            let name = format!("tau^2 {tau_squared}, teacher's {teacher_temperature:?}");
            check(&name, student(), |x| loss.forward(x, teacher()));
        }
    }
}

#[test]
fn reverse_kl_loss() {
    for temperature in [0.7, 4.0] {
        let config = ReverseKlLossConfig::new().with_temperature(temperature);
        let loss = config.init().unwrap();
        check(&format!("tau {temperature}"), student(), |x| {
            loss.forward(x, teacher())
        });
    }
}

#[test]
fn js_loss() {
    for temperature in [0.7, 4.0] {
        let loss = JsLossConfig::new().with_temperature(temperature);
        let loss = loss.init().unwrap();
        check(&format!("tau {temperature}"), student(), |x| {
            loss.forward(x, teacher())
        });
    }
}

#[test]
fn logit_mse_loss() {
    for centered in [false, true] {
        let loss = LogitMseLossConfig::new().with_centered(centered).init();
        check(&format!("centred {centered}"), student(), |x| {
            loss.forward(x, teacher())
        });
    }
}

#[test]
fn dkd_loss() {
    for (alpha, beta, temperature) in [(1.0, 8.0, 4.0), (1.0, 0.0, 1.0), (0.0, 1.0, 2.0)] {
        let loss = DkdLossConfig::new()
            .with_alpha(alpha)
            .with_beta(beta)
            .with_temperature(temperature)
            .init()
            .unwrap();
        check(
            &format!("alpha {alpha} beta {beta} tau {temperature}"),
            student(),
            |x| loss.forward(x, teacher(), labels()),
        );
    }
}

#[test]
fn dist_loss() {
    for (beta, gamma, temperature) in [(1.0, 1.0, 1.0), (2.0, 0.0, 4.0), (0.0, 2.0, 4.0)] {
        let loss = DistLossConfig::new()
            .with_beta(beta)
            .with_gamma(gamma)
            .with_temperature(temperature)
            .init()
            .unwrap();
        check(
            &format!("beta {beta} gamma {gamma} tau {temperature}"),
            student(),
            |x| loss.forward(x, teacher()),
        );
    }
}

/// Probabilities with exact zeros.
fn votes() -> Tensor<2> {
    let rows = [
        0.5, 0.5, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0,
    ];
    from(rows.into(), [BATCH, CLASSES])
}

#[test]
fn soft_cross_entropy_loss() {
    check("soft cross-entropy", student(), |x| {
        SoftCrossEntropyLoss.forward(x, votes())
    });
}

#[test]
fn label_smoothing_loss() {
    for epsilon in [0.0, 0.1, 1.0] {
        let config = LabelSmoothingLossConfig::new().with_epsilon(epsilon);
        let loss = config.init().unwrap();
        check(&format!("epsilon {epsilon}"), student(), |x| {
            loss.forward(x, labels())
        });
    }
}

#[test]
fn divergences() {
    check("entropy", student(), |x| divergence::entropy(x, 2.0).mean());
    check("cross-entropy", student(), |x| {
        divergence::cross_entropy(x, labels()).mean()
    });
    check("KL", student(), |x| {
        divergence::kl(teacher(), x, 2.0).mean()
    });
    check("KL of probabilities", student(), |x| {
        divergence::kl_probs(votes(), divergence::log_softmax(x, 2.0)).mean()
    });
    // Of distributions given as log-probabilities both sides may learn.
    let log = |x| divergence::log_softmax(x, 1.0);
    check("KL, first argument", student(), |x| {
        divergence::kl_log(log(x), log(teacher())).mean()
    });
    check("KL, second argument", student(), |x| {
        divergence::kl_log(log(teacher()), log(x)).mean()
    });
}
