//! What cannot be meant: numbers out of their range are errors that name field, value and range, shapes that do not fit panic with a
//! message that says which, and what is refused changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::{Device, Int, Tensor};
use kd_core::CoreError;

type Attempt = Box<dyn Fn(f64) -> Option<CoreError>>;

/// Attempts to set one field of several configurations.
macro_rules! attempts {
    ($($name:literal: $value:ident => $result:expr),+ $(,)?) => {
        vec![$(($name, Box::new(|$value: f64| $result.err()) as Attempt)),+]
    };
}

mod counts;
mod indices;
mod labels;
mod settings;
mod shapes;

fn device() -> Device {
    Device::flex()
}

fn message<T>(result: Result<T, CoreError>) -> String {
    result.err().expect("an error").to_string()
}

fn logits(batch: usize) -> Tensor<2> {
    Tensor::ones([batch, 3], &device())
}

fn labels(batch: usize) -> Tensor<1, Int> {
    Tensor::zeros([batch], &device())
}

/// Every number in `bad` is refused with a message of `field` and `range`, every one in `good` is taken.
fn check(field: &str, range: &str, bad: &[f64], good: &[f64], attempts: Vec<(&str, Attempt)>) {
    for (loss, attempt) in attempts {
        for value in bad {
            let message = attempt(*value).map(|error| error.to_string());
            let expected = format!("{field} = {value} is out of range: expected {range}");
            assert_eq!(message, Some(expected), "{loss}");
        }
        for value in good {
            assert_eq!(attempt(*value), None, "{loss}: {value}");
        }
    }
}
