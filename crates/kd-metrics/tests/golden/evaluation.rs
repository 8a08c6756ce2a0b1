//! Against numpy, scipy and scikit-learn, with inputs by formula.

use burn::prelude::*;
use burn::tensor::TensorData;
use kd_metrics::{Bootstrap, EvaluationConfig, TStddev};
use serde::Deserialize;

use crate::close;

#[derive(Deserialize)]
struct Fixture {
    evaluations: Vec<Case>,
    t_stddev: Vec<Draws>,
}

#[derive(Deserialize)]
struct Case {
    samples: usize,
    classes: usize,
    ties: usize,
    top1: f64,
    top5: f64,
    nll: f64,
    ece: f64,
    bins: Vec<Bin>,
    kl_human: f64,
}

#[derive(Deserialize)]
struct Bin {
    count: u64,
    confidence: f64,
    accuracy: f64,
}

#[derive(Deserialize)]
struct Draws {
    draws: usize,
    classes: usize,
    value: f64,
    per_class: Vec<f64>,
    interval: (f64, f64),
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../fixtures/evaluation.json")).unwrap()
}

fn logits(i: usize, classes: usize) -> Vec<f32> {
    (0..classes)
        .map(|c| (i * 7919 + c * 104_729 + (i * i) % 97 * c * 31) % 1024)
        .map(|value| value as f32 / 64.0 - 8.0)
        .collect()
}

fn label(i: usize, classes: usize) -> usize {
    if !i.is_multiple_of(2) {
        return (i * 13 + 5) % classes;
    }
    let row = logits(i, classes);
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter().position(|&value| value == highest).unwrap()
}

fn human(i: usize, classes: usize) -> Vec<f32> {
    let mut row = vec![0.0; classes];
    row[i % classes] += (64 - i % 32) as f32 / 64.0;
    row[(i * 3 + 1) % classes] += (i % 32) as f32 / 64.0;
    row
}

#[test]
fn evaluation() {
    let device = Device::flex();
    let cases = fixture().evaluations;
    assert!(
        cases.iter().any(|case| case.ties > 0),
        "ties are part of what is compared"
    );
    for case in cases {
        let mut evaluation = EvaluationConfig::new().init(case.classes).unwrap();
        let rows: Vec<usize> = (0..case.samples).collect();
        for batch in rows.chunks(64) {
            let table = |row: fn(usize, usize) -> Vec<f32>| {
                let values: Vec<f32> = batch.iter().flat_map(|&i| row(i, case.classes)).collect();
                Tensor::<2>::from_data(
                    TensorData::new(values, [batch.len(), case.classes]),
                    &device,
                )
            };
            let labels: Vec<i64> = batch
                .iter()
                .map(|&i| label(i, case.classes) as i64)
                .collect();
            let labels = TensorData::new(labels, [batch.len()]);
            let labels = Tensor::<1, Int>::from_data(labels, &device);
            evaluation
                .update(table(logits), labels, Some(table(human)))
                .unwrap();
        }
        let report = evaluation.compute().unwrap();
        assert_eq!(report.samples, case.samples as u64);
        close("top-1", report.top1, case.top1);
        close("top-5", report.top5, case.top5);
        close("NLL", report.nll, case.nll);
        close("ECE", report.ece, case.ece);
        close("KL(human||model)", report.kl_human.unwrap(), case.kl_human);
        assert_eq!(report.calibration_bins.len(), case.bins.len());
        for (bin, expected) in report.calibration_bins.iter().zip(&case.bins) {
            assert_eq!(bin.count, expected.count);
            close("confidence in a bin", bin.confidence, expected.confidence);
            close("accuracy in a bin", bin.accuracy, expected.accuracy);
        }
    }
}

#[test]
fn t_stddev() {
    for case in fixture().t_stddev {
        let mut measure = TStddev::new(case.classes).unwrap();
        for m in 0..case.draws {
            let weights: Vec<f64> = (0..case.classes)
                .map(|c| 1000 + (m * 7919 + c * 104_729 + m * m * c * 31) % 211)
                .map(|weight| weight as f64)
                .collect();
            let sum: f64 = weights.iter().sum();
            let mean: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            measure.push(&mean).unwrap();
        }
        let bootstrap = Bootstrap {
            resamples: 20_000,
            ..Bootstrap::default()
        };
        let report = measure.compute(bootstrap).unwrap();
        // All in f64, so only the order of additions differs.
        assert!((report.value - case.value).abs() < 1e-12);
        for (found, expected) in report.per_class.iter().zip(&case.per_class) {
            assert!((found - expected).abs() < 1e-12);
        }
        // The two bootstraps draw different resamples; at 20,000 each the ends of the interval vary by about 1 % of its width.
        // Scipy's statistic is the plain one; ours rescales each resample's variance by M / (M − 1).
        let factor = (case.draws as f64 / (case.draws - 1) as f64).sqrt();
        let width = factor * (case.interval.1 - case.interval.0);
        for (found, expected) in [
            (report.interval.0, factor * case.interval.0),
            (report.interval.1, factor * case.interval.1),
        ] {
            assert!(
                (found - expected).abs() < 0.05 * width,
                "{found} for {expected}, width {width}"
            );
        }
    }
}
