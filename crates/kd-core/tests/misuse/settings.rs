use kd_core::*;

use crate::{Attempt, check, device, labels, logits};

#[test]
fn temperatures_are_positive_and_finite() {
    let bad = [0.0, -1.0, f64::NAN, f64::INFINITY, 1e39, 1e-60];
    check(
        "temperature",
        "[1e-6, 1e6]",
        &bad,
        &[0.5, 1.0, 20.0],
        attempts! {
            "KD": x => KdLossConfig::new().with_temperature(x).init(),
            "KL": x => KlLossConfig::new().with_temperature(x).init(),
            "reverse KL": x => ReverseKlLossConfig::new().with_temperature(x).init(),
            "JS": x => JsLossConfig::new().with_temperature(x).init(),
            "DKD": x => DkdLossConfig::new().with_temperature(x).init(),
            "DIST": x => DistLossConfig::new().with_temperature(x).init(),
            "DML": x => DmlLossConfig::new().with_temperature(x).init(),
            "KDCL": x => KdclLossConfig::new().with_temperature(x).init(),
            "ONE": x => OneConfig::new(4, 2).with_temperature(x).init(&device()),
            "OKDDip": x => OkddipConfig::new(4).with_temperature(x).init(&device()),
            "peer teacher": x => PeerTeacherConfig::new(vec![4, 4], 3).with_temperature(x).init(&device()),
            "Tf-KD": x => TfKdSelfLossConfig::new().with_temperature(x).init(),
            "Tf-KD virtual": x => TfKdVirtualLossConfig::new().with_temperature(x).init(),
            "CS-KD": x => CsKdLossConfig::new().with_temperature(x).init(),
            "DDGSD": x => DdgsdLossConfig::new().with_temperature(x).init(),
        },
    );
    check(
        "teacher_temperature",
        "[1e-6, 1e6]",
        &bad,
        &[0.5, 20.0],
        attempts! {
            "KD": x => KdLossConfig::new().with_teacher_temperature(Some(x)).init(),
            "KL": x => KlLossConfig::new().with_teacher_temperature(Some(x)).init(),
        },
    );
    let bad = [0.0, 0.012, -1.0, f64::NAN, f64::INFINITY];
    check(
        "temperature",
        "[0.025, inf)",
        &bad,
        &[0.025, 0.07, 1.0],
        attempts! {
            "CRD": x => CrdLossConfig::new(4, 4, 9).with_temperature(x).init(&device()),
        },
    );
}

#[test]
fn fractions_are_between_zero_and_one() {
    let (bad, good) = ([-0.1, 1.1, f64::NAN, f64::NEG_INFINITY], [0.0, 0.5, 1.0]);
    check(
        "alpha",
        "[0, 1]",
        &bad,
        &good,
        attempts! {
            "KD": x => KdLossConfig::new().with_alpha(x).init(),
            "Tf-KD": x => TfKdSelfLossConfig::new().with_alpha(x).init(),
            "Tf-KD virtual": x => TfKdVirtualLossConfig::new().with_alpha(x).init(),
            "PS-KD": x => PsKdConfig::new(9, 3).with_alpha(x).init(&device()),
        },
    );
    check(
        "epsilon",
        "[0, 1]",
        &bad,
        &good,
        attempts! {
            "label smoothing": x => LabelSmoothingLossConfig::new().with_epsilon(x).init(),
        },
    );
    check(
        "correct_probability",
        "[0, 1]",
        &bad,
        &good,
        attempts! {
            "Tf-KD virtual": x => TfKdVirtualLossConfig::new().with_correct_probability(x).init(),
        },
    );
    check(
        "momentum",
        "[0, 1]",
        &bad,
        &good,
        attempts! {
            "CRD": x => CrdLossConfig::new(4, 4, 9).with_momentum(x).init(&device()),
        },
    );
    check(
        "progress",
        "[0, 1]",
        &bad,
        &good,
        attempts! {
            "PS-KD": x => PsKdConfig::new(9, 3).init(&device()).unwrap().forward(logits(1), labels(1), &[0], x),
        },
    );
}

#[test]
fn weights_are_not_negative_and_finite() {
    let (bad, good) = ([-0.1, f64::NAN, f64::INFINITY, 1e39], [0.0, 0.5, 100.0]);
    let range = "[0, inf), finite in f32";
    check(
        "alpha",
        range,
        &bad,
        &good,
        attempts! { "DKD": x => DkdLossConfig::new().with_alpha(x).init() },
    );
    check(
        "beta",
        range,
        &bad,
        &good,
        attempts! {
            "DKD": x => DkdLossConfig::new().with_beta(x).init(),
            "DIST": x => DistLossConfig::new().with_beta(x).init(),
        },
    );
    check(
        "gamma",
        range,
        &bad,
        &good,
        attempts! { "DIST": x => DistLossConfig::new().with_gamma(x).init() },
    );
    check(
        "margin",
        range,
        &bad,
        &good,
        attempts! { "AB": x => AbLossConfig::new().with_margin(x).init() },
    );
    check(
        "distance",
        range,
        &bad,
        &good,
        attempts! { "RKD": x => RkdLossConfig::new().with_distance(x).init() },
    );
    check(
        "angle",
        range,
        &bad,
        &good,
        attempts! { "RKD": x => RkdLossConfig::new().with_angle(x).init() },
    );
    check(
        "vertex",
        range,
        &bad,
        &good,
        attempts! { "IRG": x => IrgLossConfig::new().with_vertex(x).init() },
    );
    check(
        "edge",
        range,
        &bad,
        &good,
        attempts! { "IRG": x => IrgLossConfig::new().with_edge(x).init() },
    );
    check(
        "transformation",
        range,
        &bad,
        &good,
        attempts! {
            "IRG": x => IrgLossConfig::new().with_transformation(x).init(),
        },
    );
    check(
        "multiplier",
        range,
        &bad,
        &good,
        attempts! {
            "Tf-KD": x => TfKdSelfLossConfig::new().with_multiplier(x).init(),
            "Tf-KD virtual": x => TfKdVirtualLossConfig::new().with_multiplier(x).init(),
        },
    );
    check(
        "lambda",
        range,
        &bad,
        &good,
        attempts! {
            "CS-KD": x => CsKdLossConfig::new().with_lambda(x).init(),
            "DDGSD": x => DdgsdLossConfig::new().with_lambda(x).init(),
        },
    );
    check(
        "mu",
        range,
        &bad,
        &good,
        attempts! { "DDGSD": x => DdgsdLossConfig::new().with_mu(x).init() },
    );
}

#[test]
fn what_is_divided_by_or_raised_to_is_positive() {
    let (bad, good) = ([0.0, -0.1, f64::NAN, f64::INFINITY], [0.1, 2.0]);
    let range = "(0, inf), finite in f32";
    check(
        "power",
        range,
        &bad,
        &good,
        attempts! { "AT": x => AtLossConfig::new().with_power(x).init() },
    );
    check(
        "gamma",
        range,
        &bad,
        &good,
        attempts! {
            "CC": x => CcLossConfig::new(4, 4).with_kernel(CcKernel::Gaussian { gamma: x, order: 2 }).init(&device()),
        },
    );
    check(
        "epsilon",
        range,
        &bad,
        &good,
        attempts! {
            "VID": x => VidLossConfig::new(4, 4).with_epsilon(x).init(&device()),
        },
    );
    check(
        "initial_variance",
        range,
        &bad,
        &good,
        attempts! {
            "VID": x => VidLossConfig::new(4, 4).with_initial_variance(x).init(&device()),
        },
    );
    check(
        "initial_variance",
        "(epsilon, inf)",
        &[1e-6, 1e-5],
        &[1.1e-5],
        attempts! {
            "VID": x => VidLossConfig::new(4, 4).with_initial_variance(x).init(&device()),
        },
    );
    check(
        "rate",
        range,
        &bad,
        &[0.5, 2.0],
        attempts! {
            "paraphraser": x => ParaphraserConfig::new(4).with_rate(x).init(&device()),
            "translator": x => TranslatorConfig::new(4, 4).with_rate(x).init(&device()),
        },
    );
    check(
        "weights",
        "(-inf, inf)",
        &[f64::NAN, f64::INFINITY],
        &[-1.0, 0.0, 2.0],
        attempts! {
            "KDCL": x => KdclLossConfig::new().with_ensemble(KdclEnsemble::General { weights: vec![1.0, x] }).init(),
        },
    );
}

#[test]
fn errors_are_values() {
    let error = KdLossConfig::new().with_alpha(2.0).init().unwrap_err();
    let expected = CoreError::OutOfRange {
        field: "alpha",
        value: 2.0,
        range: "[0, 1]",
    };
    assert_eq!(error, expected);
    let error: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert!(error.to_string().contains("alpha = 2"));
}
