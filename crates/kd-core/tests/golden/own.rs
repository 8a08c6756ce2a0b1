use kd_core::{
    CsKdLossConfig, DdgsdLossConfig, DistortedView, KlAverage, PsKdConfig, TfKdSelfLossConfig,
    TfKdVirtualLossConfig,
};

use crate::harness::{Case, cases, device};

fn average(case: &Case) -> KlAverage {
    match case.form() {
        "element_mean" => KlAverage::Elements,
        "batch_mean" => KlAverage::Samples,
        other => panic!("{other}"),
    }
}

#[test]
fn golden_tf_kd_self() {
    for case in cases("tf_kd_self", 22) {
        let config = TfKdSelfLossConfig::new()
            .with_alpha(case.number("alpha"))
            .with_temperature(case.number("temperature"))
            .with_multiplier(case.number("multiplier"))
            .with_average(average(&case));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| {
            let labels = case.labels(batch, classes);
            loss.forward(s.input("student"), s.input("teacher"), labels)
        });
    }
}

#[test]
fn golden_tf_kd_virtual() {
    for case in cases("tf_kd_virtual", 21) {
        let config = TfKdVirtualLossConfig::new()
            .with_alpha(case.number("alpha"))
            .with_temperature(case.number("temperature"))
            .with_correct_probability(case.number("correct_probability"))
            .with_multiplier(case.number("multiplier"))
            .with_average(average(&case));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| loss.forward(s.input("student"), case.labels(batch, classes)));
    }
}

#[test]
fn golden_cs_kd() {
    for case in cases("cs_kd", 13) {
        let config = CsKdLossConfig::new()
            .with_lambda(case.number("lambda"))
            .with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("student");
        case.check(|s| {
            let labels = case.labels(batch, classes);
            loss.forward(s.input("student"), s.input("partner"), labels)
        });
    }
}

/// The past of the fixture is remembered first, under numbers that are not in order.
#[test]
fn golden_ps_kd() {
    for case in cases("ps_kd", 22) {
        let [batch, classes] = case.shape("student");
        let memory = PsKdConfig::new(2 * batch + 3, classes)
            .with_alpha(1.0)
            .init(&device().autodiff())
            .unwrap();
        let indices: Vec<usize> = (0..batch).map(|i| 2 * (batch - i)).collect();
        let labels = || case.labels(batch, classes);
        let past = memory
            .forward(case.constant("previous"), labels(), &indices, 0.5)
            .unwrap();
        let memory = memory.remember(past.update);
        case.check(|s| {
            let student = s.input("student");
            let output = memory.forward(student, labels(), &indices, case.number("alpha"));
            output.unwrap().loss
        });
    }
}

#[test]
fn golden_ddgsd() {
    for case in cases("ddgsd", 12) {
        let config = DdgsdLossConfig::new()
            .with_lambda(case.number("lambda"))
            .with_mu(case.number("mu"))
            .with_temperature(case.number("temperature"));
        let loss = config.init().unwrap();
        let [batch, classes] = case.shape("view0");
        case.check(|s| {
            let views = s.inputs("view").into_iter().zip(s.inputs("feature"));
            let mut views = views.map(|(logits, features)| DistortedView { logits, features });
            let (first, second) = (views.next().unwrap(), views.next().unwrap());
            loss.forward(first, second, case.labels(batch, classes))
        });
    }
}
