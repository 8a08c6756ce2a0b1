use kd_core::{
    DistLossConfig, DkdLossConfig, JsLossConfig, KdLossConfig, KlLossConfig,
    LabelSmoothingLossConfig, LogitMseLossConfig, ReverseKlLossConfig, SoftCrossEntropyLoss,
    divergence,
};

use burn::tensor::DType;

use crate::PRECISION;
use crate::harness::cases;

#[test]
fn golden_kd() {
    for case in cases("kd", 31) {
        let config = KdLossConfig::new()
            .with_alpha(case.number("alpha"))
            .with_temperature(case.number("temperature"))
            .with_teacher_temperature(Some(case.number("teacher_temperature")))
            .with_tau_squared(case.flag("tau_squared"));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| {
            let labels = case.labels(batch, classes);
            loss.forward(s.input("student"), s.input("teacher"), labels)
        });
    }
}

#[test]
fn golden_kl() {
    let alone = |case: &crate::harness::Case| case.number("alpha") == 1.0;
    let cases: Vec<_> = cases("kd", 31).into_iter().filter(alone).collect();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let loss = KlLossConfig::new()
            .with_temperature(case.number("temperature"))
            .with_teacher_temperature(Some(case.number("teacher_temperature")))
            .with_tau_squared(case.flag("tau_squared"))
            .init()
            .unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_soft_cross_entropy() {
    for case in cases("soft_cross_entropy", 13) {
        case.check(|s| {
            let target = divergence::softmax(s.input("teacher"), 1.0);
            SoftCrossEntropyLoss.forward(s.input("student"), target)
        });
    }
}

#[test]
fn golden_label_smoothing() {
    for case in cases("label_smoothing", 12) {
        let config = LabelSmoothingLossConfig::new().with_epsilon(case.number("epsilon"));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| loss.forward(s.input("student"), case.labels(batch, classes)));
    }
}

#[test]
fn golden_dkd() {
    for case in cases("dkd", 22) {
        let config = DkdLossConfig::new()
            .with_alpha(case.number("alpha"))
            .with_beta(case.number("beta"))
            .with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| {
            let labels = case.labels(batch, classes);
            loss.forward(s.input("student"), s.input("teacher"), labels)
        });
    }
}

#[test]
fn golden_dist() {
    for case in cases("dist", 22) {
        let config = DistLossConfig::new()
            .with_beta(case.number("beta"))
            .with_gamma(case.number("gamma"))
            .with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        // Of two classes the correlation is 1 or -1 up to the 1e-8 that is added to the norms, and its gradient what is left of numbers
        // 1e7 times as large.
        // The same of two samples, from inputs that were rounded to half precision.
        let [samples, _] = case.shape("student");
        let bound = match (PRECISION.inputs, samples) {
            (DType::F16, 2) => 0.2,
            _ => 1e-7,
        };
        case.check_within(bound, |s| {
            loss.forward(s.input("student"), s.input("teacher"))
        });
    }
}

#[test]
fn golden_js() {
    for case in cases("js", 22) {
        let config = JsLossConfig::new().with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_reverse_kl() {
    for case in cases("reverse_kl", 13) {
        let config = ReverseKlLossConfig::new().with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_mse_logits() {
    for case in cases("mse_logits", 22) {
        let loss = LogitMseLossConfig::new()
            .with_centered(case.flag("centered"))
            .init();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}
