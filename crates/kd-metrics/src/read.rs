//! Tensors to the host.

use burn::tensor::{Int, Tensor};

use crate::error::MetricError;

/// Values in `f64`.
pub(crate) fn floats(tensor: Tensor<2>) -> Result<Vec<f64>, MetricError> {
    tensor.try_into_vec_as::<f64>().map_err(not_read)
}

/// Values in `i64`.
pub(crate) fn integers(tensor: Tensor<1, Int>) -> Result<Vec<i64>, MetricError> {
    tensor.try_into_vec_as::<i64>().map_err(not_read)
}

fn not_read(error: impl std::fmt::Display) -> MetricError {
    MetricError::Read {
        reason: error.to_string(),
    }
}
