//! Every architecture against PyTorch in f64, by Burn's own operations: `tools/models_golden.py` wrote the fixtures.
//!
//! The bounds are what some hundred layers leave of 1e-16; the fixture has ten digits.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;
#[path = "common/zoo.rs"]
mod zoo;

use std::sync::OnceLock;

use burn::tensor::{Device, FloatDType, IntDType};
use zoo::{Bounds, check};

fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure((FloatDType::F64, IntDType::I64)).unwrap();
        device
    });
    device.clone()
}

const BOUNDS: Bounds = Bounds {
    evaluation: 1e-8,
    loss: 1e-8,
    gradients: 1e-6,
    running: 1e-8,
};

#[test]
fn golden_residual_networks() {
    check(&BOUNDS, |name| name.starts_with("resnet"));
}

#[test]
fn golden_wide_and_dense_networks() {
    check(&BOUNDS, |name| {
        name.starts_with("wrn") || name.starts_with("densenet")
    });
}

#[test]
fn golden_vgg_lenet_alexnet() {
    check(&BOUNDS, |name| {
        ["vgg", "lenet", "alexnet"]
            .iter()
            .any(|start| name.starts_with(start))
    });
}

#[test]
fn golden_mobile_networks() {
    check(&BOUNDS, |name| {
        name.starts_with("mobilenet") || name.starts_with("shufflenet")
    });
}

#[test]
fn golden_imagenet_networks() {
    check(&BOUNDS, |name| name.starts_with("imagenet"));
}
