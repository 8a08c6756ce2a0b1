//! What is measured of augmentations.

use kd_metrics::augmentation::{LabelAgreement, pair_covariance, sampling_baseline};
use serde::Deserialize;

use crate::{Table, all_close, cases, close};

#[derive(Deserialize)]
struct Baseline {
    variances: Vec<f64>,
    images: usize,
    population: usize,
    means: usize,
    value: f64,
}

#[test]
fn baseline_of_a_finite_population() {
    for case in cases::<Baseline>("augmentation.baseline") {
        let found = sampling_baseline(&case.variances, case.images, case.population, case.means);
        let found = found.unwrap();
        assert!(
            (found - case.value).abs() <= 1e-12 * case.value,
            "{found} for {}",
            case.value
        );
    }
}

#[derive(Deserialize)]
struct Covariance {
    var_of_mean: Vec<f64>,
    var_of_row: Vec<f64>,
    rows: f64,
    value: Vec<f64>,
}

#[test]
fn covariance_of_two_answers() {
    for case in cases::<Covariance>("augmentation.covariance") {
        let pairs = case.var_of_mean.iter().zip(&case.var_of_row);
        let found: Vec<f64> = pairs
            .map(|(u, p)| pair_covariance(*u, *p, case.rows).unwrap())
            .collect();
        all_close("covariance", &found, &case.value);
    }
}

#[derive(Deserialize)]
struct Disagreement {
    targets: Table,
    probs: Table,
    disagree: f64,
    outside: f64,
    kl: f64,
    disagree_rows: Vec<bool>,
}

#[test]
fn mixed_labels_and_the_teacher() {
    for case in cases::<Disagreement>("augmentation.disagreement") {
        let flat = |rows: &[Vec<f64>]| {
            rows.iter()
                .flatten()
                .map(|&p| p as f32)
                .collect::<Vec<f32>>()
        };
        let mut agreement = LabelAgreement::new(case.probs[0].len()).unwrap();
        let mut rows = Vec::new();
        for (targets, probs) in case.targets.chunks(5).zip(case.probs.chunks(5)) {
            rows.extend(agreement.push(&flat(targets), &flat(probs)).unwrap());
        }
        let report = agreement.compute().unwrap();
        assert_eq!(rows, case.disagree_rows);
        close("disagree", report.disagree, case.disagree);
        close("outside", report.outside, case.outside);
        close("KL", report.kl, case.kl);
    }
}
