//! What `Evaluation` refuses, and the rows that it names.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::prelude::*;
use common::{accumulate, evaluate, peaked, update};
use kd_metrics::{EvaluationConfig, MetricError};

#[test]
fn bad_logits_name_their_row() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut samples: Vec<_> = (0..6).map(|i| peaked(i, 1.0, 0)).collect();
        samples[4].logits[7] = bad;
        let error = evaluate(&samples, 3).unwrap_err();
        assert!(
            matches!(error, MetricError::Logits { row: 4 }),
            "{bad}: {error}"
        );
    }
}

#[test]
fn logits_may_be_as_far_apart_as_f32_goes() {
    let mut sample = peaked(0, f32::MAX, 1);
    sample.logits[1] = f32::MIN;
    let report = evaluate(&[sample], 1).unwrap();
    assert!((report.nll / (2.0 * f64::from(f32::MAX)) - 1.0).abs() < 1e-12);
}

#[test]
fn bad_probabilities_name_their_row() {
    let device = Device::flex();
    for bad in [
        [f32::NAN, 1.0],
        [-0.25, 1.25],
        [0.5, 0.4],
        [0.0, 0.0],
        [f32::INFINITY, 0.0],
    ] {
        let mut evaluation = EvaluationConfig::new().init(2).unwrap();
        let rows = Tensor::<2>::from_data([[0.5, 0.5], bad], &device);
        let labels = Tensor::<1, Int>::from_data([0, 1], &device);
        evaluation.update_probabilities(rows, labels, None).unwrap();
        let error = evaluation.compute().unwrap_err();
        assert!(
            matches!(
                error,
                MetricError::Distribution {
                    row: 1,
                    what: "the probabilities",
                    ..
                }
            ),
            "{bad:?}: {error}"
        );
    }
}

#[test]
fn bad_labels_name_their_row() {
    for label in [-1, 10, 200] {
        let mut samples: Vec<_> = (0..6).map(|i| peaked(i, 1.0, 0)).collect();
        samples[5].label = label;
        let error = evaluate(&samples, 2).unwrap_err();
        let as_expected = matches!(error, MetricError::Label { row: 5, label: found, classes: 10 } if found == label);
        assert!(as_expected, "{error}");
    }
}

#[test]
fn bad_human_labels_name_their_row() {
    for bad in [
        [f32::NAN, 0.5],
        [-0.5, 1.5],
        [50.0, 50.0],
        [0.0, 0.0],
        [f32::INFINITY, 0.0],
    ] {
        let mut samples: Vec<_> = (0..3).map(|i| peaked(i, 1.0, 0)).collect();
        samples[2].human[..2].copy_from_slice(&bad);
        let error = evaluate(&samples, 1).unwrap_err();
        assert!(
            matches!(error, MetricError::Distribution { row: 2, .. }),
            "{bad:?}: {error}"
        );
    }
}

#[test]
fn a_refused_evaluation_stays_refused() {
    let mut bad = peaked(0, 1.0, 0);
    bad.label = 77;
    let mut evaluation = accumulate(&[bad], 1).unwrap();
    let mut refusals = 0;
    for _ in 0..600 {
        let result = update(&mut evaluation, &[peaked(0, 1.0, 0)], true, &Device::flex());
        refusals += usize::from(result.is_err());
    }
    assert!(refusals > 0, "reading on the way must find it");
    assert!(matches!(
        evaluation.compute(),
        Err(MetricError::Label { row: 0, .. })
    ));
}

#[test]
fn counts_that_do_not_match_are_refused() {
    let device = Device::flex();
    let mut evaluation = EvaluationConfig::new().init(3).unwrap();
    let labels = |count: usize| Tensor::<1, Int>::zeros([count], &device);
    let table = |rows: usize, classes: usize| Tensor::<2>::zeros([rows, classes], &device);
    for (logits, count, human) in [
        (table(2, 4), 2, None),
        (table(2, 3), 3, None),
        (table(2, 3), 2, Some(table(1, 3))),
        (table(2, 3), 2, Some(table(2, 2))),
    ] {
        let error = evaluation.update(logits, labels(count), human).unwrap_err();
        assert!(matches!(error, MetricError::Count { .. }), "{error}");
    }
    assert!(evaluation.is_empty());
    assert!(matches!(
        evaluation.compute(),
        Err(MetricError::TooFew { .. })
    ));
    assert!(EvaluationConfig::new().init(0).is_err());
    assert!(EvaluationConfig::new().with_bins(0).init(3).is_err());
    let other = EvaluationConfig::new().with_bins(10).init(3).unwrap();
    assert!(evaluation.merge(&other).is_err());
}

#[test]
fn without_human_labels_nothing_is_said_of_them() {
    let mut evaluation = EvaluationConfig::new().init(10).unwrap();
    update(
        &mut evaluation,
        &[peaked(1, 1.0, 1)],
        false,
        &Device::flex(),
    )
    .unwrap();
    assert_eq!(evaluation.compute().unwrap().kl_human, None);
    let error = update(&mut evaluation, &[peaked(1, 1.0, 1)], true, &Device::flex());
    assert!(matches!(error, Err(MetricError::HumanForSome { row: 1 })));
    let other = accumulate(&[peaked(1, 1.0, 1)], 1).unwrap();
    assert!(matches!(
        evaluation.merge(&other),
        Err(MetricError::HumanForSome { row: 1 })
    ));
}
