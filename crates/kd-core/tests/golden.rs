//! `KdLoss` and `KlLoss` against PyTorch, values and gradients; `tools/kd_core_golden.py` makes the fixture and says what it
//! holds.
//!
//! Both sides compute in float64 from the same formula. What remains between them is the rounding of sums over at most 6400
//! terms of order 1 and the last bit of `sin`: a few 1e-13. The bound is 1e-12, relative to the larger of 1 and the value.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_core::{KdLossConfig, KlLossConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    kd: Vec<Case>,
    kl: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    batch: usize,
    classes: usize,
    temperature: f64,
    alpha: Option<f64>,
    value: f64,
    gradient: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("fixtures/kd_loss.json")).unwrap()
}

impl Case {
    fn logits(&self, phase: f64) -> Tensor<2> {
        let values: Vec<f64> = (0..self.batch)
            .flat_map(|i| (0..self.classes).map(move |j| (i as f64, j as f64)))
            .map(|(i, j)| 3.0 * (0.37 * i + 1.3 * j + phase).sin())
            .collect();
        let data = TensorData::new(values, [self.batch, self.classes]);
        Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
    }

    fn labels(&self) -> Tensor<1, Int> {
        let labels: Vec<i64> = (0..self.batch)
            .map(|i| ((7 * i + 3) % self.classes) as i64)
            .collect();
        Tensor::from_data(
            TensorData::new(labels, [self.batch]),
            &Device::flex().autodiff(),
        )
    }

    fn check(&self, loss: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>) {
        let case = format!(
            "batch {} classes {} tau {} alpha {:?}",
            self.batch, self.classes, self.temperature, self.alpha
        );
        let student = self.logits(0.0).require_grad();
        let value = loss(student.clone(), self.logits(2.0));
        let gradient = student.grad(&value.backward()).unwrap();
        let gradient = gradient.into_data().try_to_vec::<f64>().unwrap();
        let value = value.inner().into_scalar::<f64>();
        assert_close(value, self.value, &format!("{case}: value"));

        let digest = self.digest(&gradient);
        assert_eq!(digest.len(), self.gradient.len(), "{case}");
        for (i, (found, expected)) in digest.iter().zip(&self.gradient).enumerate() {
            assert_close(*found, *expected, &format!("{case}: gradient {i}"));
        }
    }

    fn digest(&self, gradient: &[f64]) -> Vec<f64> {
        if gradient.len() <= 20 {
            return gradient.to_vec();
        }
        gradient
            .chunks(self.classes)
            .map(|row| {
                row.iter()
                    .enumerate()
                    .map(|(j, g)| g * (0.7 * j as f64 + 0.3).cos())
                    .sum()
            })
            .collect()
    }
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let bound = 1e-12 * expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= bound,
        "{what}: {found} instead of {expected}"
    );
}

#[test]
fn kd_loss_agrees_with_pytorch() {
    let cases = golden().kd;
    assert_eq!(cases.len(), 3 * 3 * 3 * 4);
    for case in cases {
        let loss = KdLossConfig::new()
            .with_alpha(case.alpha.unwrap())
            .with_temperature(case.temperature)
            .init()
            .unwrap();
        case.check(|student, teacher| loss.forward(student, teacher, case.labels()));
    }
}

#[test]
fn kl_loss_agrees_with_pytorch() {
    let cases = golden().kl;
    assert_eq!(cases.len(), 3 * 3 * 3);
    for case in cases {
        let loss = KlLossConfig::new()
            .with_temperature(case.temperature)
            .init()
            .unwrap();
        case.check(|student, teacher| loss.forward(student, teacher));
    }
}
