//! Samples of equal confidence have no order.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::prelude::*;
use burn::tensor::TensorData;
use kd_metrics::{EvaluationConfig, EvaluationReport};
use proptest::prelude::*;

/// Rows of probabilities with their labels.
fn evaluate(rows: &[(Vec<f32>, i64)], bins: usize) -> EvaluationReport {
    let (device, classes) = (Device::flex(), rows[0].0.len());
    let values: Vec<f32> = rows.iter().flat_map(|row| row.0.clone()).collect();
    let labels: Vec<i64> = rows.iter().map(|row| row.1).collect();
    let mut evaluation = EvaluationConfig::new()
        .with_bins(bins)
        .init(classes)
        .unwrap();
    evaluation
        .update_probabilities(
            Tensor::from_data(TensorData::new(values, [rows.len(), classes]), &device),
            Tensor::<1, Int>::from_data(TensorData::new(labels, [rows.len()]), &device),
            None,
        )
        .unwrap();
    evaluation.compute().unwrap()
}

/// A predictor of four classes: it says class 0 with one of these twelfths, and is right that often.
fn calibrated(levels: &[u8], copies: usize) -> Vec<(Vec<f32>, i64)> {
    let mut rows = Vec::new();
    for &level in levels {
        let p = f32::from(level) / 12.0;
        let row = vec![p, (1.0 - p) / 3.0, (1.0 - p) / 3.0, (1.0 - p) / 3.0];
        for index in 0..12 * copies {
            let right = index < usize::from(level) * copies;
            rows.push((row.clone(), if right { 0 } else { 1 + (index % 3) as i64 }));
        }
    }
    rows
}

#[test]
fn a_calibrated_constant_predictor_has_no_error_of_equal_mass() {
    // It says 10 % for each of ten classes, and is right for 10 %: this was 0.1736.
    let rows: Vec<_> = (0..1000).map(|i| (vec![0.1; 10], i % 10)).collect();
    let report = evaluate(&rows, 15);
    assert_eq!((report.top1, report.top5), (0.1, 0.5));
    assert!(report.ece_equal_mass < 1e-7, "{}", report.ece_equal_mass);
    assert!(report.ece < 1e-7 && report.classwise_ece < 1e-7);
    for bin in &report.mass_bins {
        assert!((bin.accuracy - 0.1).abs() < 1e-12, "{bin:?}");
    }
}

proptest! {
    #[test]
    fn calibrated_tied_predictors_have_no_error_in_any_order(
        levels in prop::collection::btree_set(4u8..=12, 1..5),
        copies in 1usize..8,
        bins in 1usize..20,
        turn in 0usize..400,
    ) {
        let levels: Vec<u8> = levels.into_iter().collect();
        let mut rows = calibrated(&levels, copies);
        let first = evaluate(&rows, bins);
        // f32 has 24 bits of a twelfth.
        prop_assert!(first.ece_equal_mass < 1e-6, "{}", first.ece_equal_mass);
        prop_assert!(first.ece < 1e-6, "{}", first.ece);
        let middle = turn % rows.len();
        rows.rotate_left(middle);
        rows.reverse();
        let again = evaluate(&rows, bins);
        prop_assert_eq!(&again.mass_bins, &first.mass_bins);
        prop_assert_eq!(again.ece_equal_mass, first.ece_equal_mass);
    }
}
