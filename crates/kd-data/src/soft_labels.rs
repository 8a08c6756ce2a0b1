//! What makes rows of numbers distributions over classes.

use crate::DataError;

/// Checks rows of `classes` values: finite, not negative, and with a sum of 1 within 0.001.
pub(crate) fn check<T: Copy + Into<f64>>(rows: &[T], classes: usize) -> Result<(), DataError> {
    for (row, values) in rows.chunks_exact(classes).enumerate() {
        let sum = checked_sum(row, values)?;
        if (sum - 1.0).abs() > 1e-3 {
            return Err(DataError::SoftLabelSum {
                row,
                expected: "a sum of 1 ± 0.001",
                found: sum,
            });
        }
    }
    Ok(())
}

/// The sum of one row, each value of which is finite and not negative.
pub(crate) fn checked_sum<T: Copy + Into<f64>>(row: usize, values: &[T]) -> Result<f64, DataError> {
    let mut sum = 0.0;
    for (class, &value) in values.iter().enumerate() {
        let found: f64 = value.into();
        if !(found.is_finite() && found >= 0.0) {
            return Err(DataError::SoftLabelValue { row, class, found });
        }
        sum += found;
    }
    Ok(sum)
}
