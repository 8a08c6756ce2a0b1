//! Against numpy, scipy, scikit-learn and netcal: `tools/metrics_golden.py` writes the fixtures.
//!
//! Tolerance 1e-6 where nothing else is said: inputs are exact in `f32` and everything is computed in `f64`, but bins of equal mass keep
//! confidences in `f32` (relative error 6e-8).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod augmentation;
mod evaluation;
mod relation;
mod rows;
mod structure;

use burn::prelude::*;
use burn::tensor::TensorData;
use kd_metrics::{EvaluationConfig, EvaluationReport};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) const TOLERANCE: f64 = 1e-6;

pub(crate) type Table = Vec<Vec<f64>>;

/// The cases under a key of the fixture.
pub(crate) fn cases<T: DeserializeOwned>(key: &str) -> Vec<T> {
    let whole: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/metrics.json")).unwrap();
    let place = key.split('.').fold(&whole, |value, key| &value[key]);
    let cases: Vec<T> = serde_json::from_value(place.clone()).unwrap();
    assert!(!cases.is_empty(), "{key}");
    cases
}

pub(crate) fn close(name: &str, found: f64, expected: f64) {
    within(name, found, expected, TOLERANCE);
}

pub(crate) fn within(name: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{name}: {found} for {expected}"
    );
}

pub(crate) fn all_close(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        close(&format!("{name}, {index}"), *found, *expected);
    }
}

/// Values of which some are missing.
pub(crate) fn same_gaps(name: &str, found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, pair) in found.iter().zip(expected).enumerate() {
        match pair {
            (Some(found), Some(expected)) => close(&format!("{name}, {index}"), *found, *expected),
            (found, expected) => assert_eq!(found, expected, "{name}, {index}"),
        }
    }
}

pub(crate) fn table(rows: &Table) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

pub(crate) fn classes(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(
        TensorData::new(labels.to_vec(), [labels.len()]),
        &Device::flex(),
    )
}

/// Logits and labels of a case.
#[derive(Deserialize)]
pub(crate) struct Scores {
    pub(crate) classes: usize,
    pub(crate) logits: Table,
    pub(crate) labels: Vec<i64>,
}

impl Scores {
    /// In batches of seven.
    pub(crate) fn evaluate(
        &self,
        config: &EvaluationConfig,
        human: Option<&Table>,
    ) -> EvaluationReport {
        let mut evaluation = config.init(self.classes).unwrap();
        for start in (0..self.labels.len()).step_by(7) {
            let end = (start + 7).min(self.labels.len());
            let part = |rows: &Table| table(&rows[start..end].to_vec());
            let labels = classes(&self.labels[start..end]);
            evaluation
                .update(part(&self.logits), labels, human.map(part))
                .unwrap();
        }
        evaluation.compute().unwrap()
    }
}
