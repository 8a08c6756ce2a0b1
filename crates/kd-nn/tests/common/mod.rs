//! Numbers from formulas, as `tools/README.md` states them, and comparisons.
#![allow(dead_code)]

#[path = "../../../kd-models/tests/common/formula.rs"]
pub mod formula;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// `u(key, i)` for i below `count`: 24 bits, in [-1, 1).
pub fn uniform(key: &str, count: usize) -> Vec<f32> {
    let key = formula::fnv1a(key);
    let one = |index| (formula::bits(key, index) >> 40) as f32 / 8_388_608.0 - 1.0;
    (0..count as u64).map(one).collect()
}

pub fn tensor<const D: usize>(key: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = uniform(key, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The numbers on the host, with or without autodiff.
pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    let tensor = match tensor.device().is_autodiff() {
        true => tensor.clone().inner(),
        false => tensor.clone(),
    };
    tensor.into_data().iter::<f64>().collect()
}

/// The gradient of `of`, if it has one.
pub fn gradient<const D: usize>(of: &Tensor<D>, gradients: &Gradients) -> Option<Vec<f64>> {
    of.grad(gradients).map(|gradient| host(&gradient))
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// The largest difference by the largest element of `expected`; NaN is infinite.
pub fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).fold(0.0, |worst: f64, (a, b)| {
        let error = (a - b).abs();
        if error.is_nan() {
            f64::INFINITY
        } else {
            worst.max(error)
        }
    });
    if worst == 0.0 {
        0.0
    } else {
        worst / largest(expected)
    }
}

pub fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference = difference(found, expected);
    assert!(difference <= tolerance, "{what}: {difference:e}");
}

/// `expected` is `[sum, sum of magnitudes, largest magnitude, elements …]`, as `tools/nn_golden.py` chooses them: elements are
/// compared by the largest one, sums by the sum of magnitudes.
pub fn assert_digest(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let n = found.len();
    let chosen: Vec<usize> = match n {
        0..=24 => (0..n).collect(),
        _ => (0..16).map(|i| i * (n - 1) / 15).collect(),
    };
    assert_eq!(expected.len(), 3 + chosen.len(), "{what}");
    let (magnitude, size) = (expected[1], expected[2]);
    let close = |found: f64, expected: f64, scale: f64| {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * scale,
            "{what}: {found}, expected {expected}, of {scale}"
        );
    };
    close(found.iter().sum(), expected[0], magnitude);
    close(found.iter().map(|v| v.abs()).sum(), magnitude, magnitude);
    close(largest(found), size, size);
    for (index, expected) in chosen.iter().zip(&expected[3..]) {
        close(found[*index], *expected, size);
    }
}
