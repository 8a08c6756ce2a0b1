//! What losses remember: in the record, all of it, and in nothing else.
//!
//! Everything is compared bit by bit: a resumed run repeats the same operations on the same numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod memory;
mod resume;
mod seeds;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use kd_core::*;
use resume::descend;

const BATCH: usize = 4;
const SAMPLES: usize = 10;
const CLASSES: usize = 3;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Other numbers in every step.
fn input<const D: usize>(shape: [usize; D], step: usize) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i| (1.3 * i as f32 + 0.7 * step as f32 + (i * i) as f32 * 0.02).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn labels() -> Tensor<1, Int> {
    Tensor::from_data([2, 0, 1, 1], &device())
}

/// Every number of a module, by name.
#[derive(Default)]
struct Numbers {
    path: Vec<String>,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Numbers {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let numbers = param.val().into_data().try_to_vec().unwrap();
        self.found.push((self.path.join("."), numbers));
    }
}

fn numbers<M: Module>(module: &M) -> Vec<(String, Vec<f32>)> {
    let mut numbers = Numbers::default();
    module.visit(&mut numbers);
    assert!(!numbers.found.is_empty());
    numbers.found
}

fn crd_config(contrast: CrdContrast, seed: u64) -> CrdLoss {
    let config = CrdLossConfig::new(5, 6, SAMPLES)
        .with_features(4)
        .with_seed(seed);
    config.with_contrast(contrast).init(&device()).unwrap()
}

/// Other samples in every step.
fn crd_forward(loss: &CrdLoss, step: usize) -> CrdOutput {
    let indices: Vec<usize> = (0..BATCH).map(|i| (3 * i + step) % SAMPLES).collect();
    let others: Vec<Vec<usize>> = indices
        .iter()
        .map(|i| vec![(i + 1) % SAMPLES, (i + step) % SAMPLES])
        .collect();
    let negatives = Negatives::new(&others, SAMPLES).unwrap();
    let (student, teacher) = (input([BATCH, 5], step), input([BATCH, 6], step + 50));
    loss.forward(student, teacher, &indices, &negatives)
        .unwrap()
}

fn crd_step(loss: CrdLoss, step: usize) -> (CrdLoss, Tensor<1>) {
    let output = crd_forward(&loss, step);
    (
        descend(loss.remember(output.update), &output.loss),
        output.loss,
    )
}

fn ps_kd(_seed: u64) -> PsKd {
    PsKdConfig::new(SAMPLES, CLASSES).init(&device()).unwrap()
}

fn ps_kd_forward(memory: &PsKd, step: usize) -> PsKdOutput {
    let indices: Vec<usize> = (0..BATCH).map(|i| (2 * i + step / 2) % SAMPLES).collect();
    let logits = input([BATCH, CLASSES], step);
    memory
        .forward(logits, labels(), &indices, step as f64 / 6.0)
        .unwrap()
}
