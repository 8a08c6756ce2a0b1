//! As `losses/poison.rs`, in float64: by the tensor operations that every device has.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

#[path = "../common/alone.rs"]
mod alone;
#[path = "../losses/catalogue.rs"]
mod catalogue;
#[path = "../losses/poison.rs"]
mod poison;

use std::sync::Once;

use kd::burn::tensor::{DType, Device, FloatDType, IntDType};

const DTYPE: DType = DType::F64;

/// The CPU, whose modules have parameters of float64.
fn device() -> Device {
    static ONCE: Once = Once::new();
    let mut device = Device::flex();
    ONCE.call_once(|| {
        let numbers = (FloatDType::F64, IntDType::I64);
        device.configure(numbers).expect("before the first tensor");
    });
    device
}
