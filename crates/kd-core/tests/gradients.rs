//! Gradients against central finite differences in float64, and the gradient that a target must not get.
//!
//! With the step h = 1e-5 the difference quotient is off by h^2/6 f''' (about 1e-10 here) and by rounding, 1e-16 |f| / h (about
//! 1e-10 for losses up to 16): the bound is 1e-8.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_core::{KdLossConfig, KlLossConfig, divergence};

const BATCH: usize = 3;
const CLASSES: usize = 5;
const STEP: f64 = 1e-5;

fn tensor(values: &[f64], device: &Device) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [BATCH, CLASSES]);
    Tensor::from_data(data, (device, DType::F64))
}

fn student() -> Vec<f64> {
    (0..BATCH * CLASSES)
        .map(|i| 2.0 * (1.7 * i as f64).sin())
        .collect()
}

fn teacher(device: &Device) -> Tensor<2> {
    let values: Vec<f64> = (0..BATCH * CLASSES)
        .map(|i| 3.0 * (0.9 * i as f64 + 1.0).cos())
        .collect();
    tensor(&values, device)
}

fn labels(device: &Device) -> Tensor<1, Int> {
    Tensor::from_data([4, 0, 2], device)
}

fn check(name: &str, loss: impl Fn(Tensor<2>) -> Tensor<1>) {
    let device = Device::flex();
    let leaf = tensor(&student(), &device.clone().autodiff()).require_grad();
    let gradient = leaf.grad(&loss(leaf.clone()).backward()).unwrap();
    let gradient = gradient.into_data().try_to_vec::<f64>().unwrap();
    assert!(
        gradient.iter().any(|g| g.abs() > 1e-3),
        "{name}: nothing to compare"
    );

    let at = |i: usize, step: f64| {
        let mut values = student();
        values[i] += step;
        loss(tensor(&values, &device)).into_scalar::<f64>()
    };
    for (i, gradient) in gradient.iter().enumerate() {
        let difference = (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP);
        assert!(
            (gradient - difference).abs() < 1e-8,
            "{name}, logit {i}: gradient {gradient}, difference quotient {difference}"
        );
    }
}

#[test]
fn kd_loss() {
    for (alpha, temperature) in [(0.0, 1.0), (0.9, 4.0), (1.0, 0.5)] {
        let loss = KdLossConfig::new()
            .with_alpha(alpha)
            .with_temperature(temperature)
            .init()
            .unwrap();
        check(&format!("alpha {alpha} tau {temperature}"), |student| {
            let device = student.device().inner();
            loss.forward(student, teacher(&device), labels(&device))
        });
    }
}

#[test]
fn kl_loss() {
    for tau_squared in [false, true] {
        let loss = KlLossConfig::new()
            .with_temperature(3.0)
            .with_tau_squared(tau_squared)
            .init()
            .unwrap();
        check(&format!("tau^2 {tau_squared}"), |student| {
            let device = student.device();
            loss.forward(student, teacher(&device))
        });
    }
}

#[test]
fn divergences() {
    let p = |device: &Device| {
        let rows = [
            0.5, 0.5, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0,
        ];
        tensor(&rows, device)
    };
    check("entropy", |x| divergence::entropy(x, 2.0).mean());
    check("soft cross-entropy", |x| {
        divergence::soft_cross_entropy(p(&x.device().inner()), x).mean()
    });
    check("KL of probabilities", |x| {
        divergence::kl_probs(p(&x.device().inner()), divergence::log_softmax(x, 2.0)).mean()
    });
}

/// Targets from the inner device, the autodiff device and one with another checkpointing strategy give the same
/// number and the same gradient, and get none themselves.
#[test]
fn a_target_is_a_constant_wherever_it_comes_from() {
    let inner = Device::flex();
    let plain = inner.clone().autodiff();
    let checkpointing = inner.clone().autodiff().gradient_checkpointing();
    let values = [[1.0, -2.0, 0.5], [0.0, 0.1, 3.0]];
    for student_device in [&inner, &plain, &checkpointing] {
        let mut found = Vec::new();
        for teacher_device in [&inner, &plain, &checkpointing] {
            let student =
                Tensor::<2>::from_data([[0.2, 0.1, 0.0], [1.0, -1.0, 0.3]], student_device);
            let teacher = Tensor::<2>::from_data(values, teacher_device);
            if !student_device.is_autodiff() {
                found.push((divergence::kl(teacher, student, 2.0).into_data(), None));
                continue;
            }
            let student = student.require_grad();
            let teacher = if teacher_device.is_autodiff() {
                teacher.require_grad()
            } else {
                teacher
            };
            let loss = divergence::kl(teacher.clone() * 1.0, student.clone(), 2.0);
            let gradients = loss.sum().backward();
            assert!(teacher.grad(&gradients).is_none());
            let gradient = student.grad(&gradients).unwrap().into_data();
            found.push((
                divergence::kl(teacher, student, 2.0).inner().into_data(),
                Some(gradient),
            ));
        }
        assert!(found.iter().all(|f| f == &found[0]), "{found:?}");
    }
}
