//! Inputs from formulas, and numbers on the host.
#![allow(dead_code, reason = "no test program needs all of it")]

use std::cell::Cell;

use burn::tensor::{Device, Int, Tensor, TensorData};

pub(crate) const CLASSES: usize = 5;

/// `(7 i + 3) mod C`, as many as there are samples.
pub(crate) fn labels(batch: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..batch).map(|i| ((7 * i + 3) % CLASSES) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [batch]), device)
}

/// A row of numbers for each sample, in `[-scale, scale]`, the same for the same phase.
pub(crate) fn numbers(batch: usize, width: usize, scale: f64, phase: f64) -> Vec<f64> {
    (0..batch * width)
        .map(|i| scale * (1.7 * i as f64 + phase + (i * i) as f64 * 0.01).sin())
        .collect()
}

pub(crate) fn rows(values: &[f64], width: usize, device: &Device) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
    Tensor::from_data(data.convert::<f32>(), device)
}

pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(crate) fn number(x: Tensor<1>) -> f64 {
    assert_eq!(x.dims(), [1]);
    host(x.without_autodiff())[0]
}

/// Value of a loss, and its gradient with respect to the student.
pub(crate) fn with_gradient(
    loss: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
    student: &Tensor<2>,
    teacher: &Tensor<2>,
) -> (f64, Vec<f64>) {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let value = loss(leaf.clone(), teacher.clone());
    let gradient = leaf.grad(&value.backward()).unwrap();
    (number(value), host(gradient))
}

thread_local! {
    static INNERMOST: Cell<bool> = const { Cell::new(false) };
}

/// From here on, the maps of this thread have their channels innermost in memory, or not.
pub(crate) fn channels_innermost(yes: bool) {
    INNERMOST.set(yes);
}

pub(crate) fn map(x: Tensor<2>, [channels, height, width]: [usize; 3]) -> Tensor<4> {
    let [batch, _] = x.dims();
    if INNERMOST.get() {
        x.reshape([batch, height, width, channels])
            .permute([0, 3, 1, 2])
    } else {
        x.reshape([batch, channels, height, width])
    }
}
