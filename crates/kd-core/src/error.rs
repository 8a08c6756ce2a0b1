use thiserror::Error;

/// What can be wrong with the configuration of a loss, or with what it is given besides tensors.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A number lies outside the range in which the loss is defined.
    #[error("{field} = {value} is out of range: expected {range}")]
    OutOfRange {
        /// The configuration field, as it is written in the configuration.
        field: &'static str,
        /// The value found.
        value: f64,
        /// The values allowed, as an interval.
        range: &'static str,
    },
    /// Sizes that do not fit together.
    #[error("{what}: found {found}, expected {expected}")]
    Shape {
        /// What has the size.
        what: &'static str,
        /// The size found.
        found: String,
        /// The sizes allowed.
        expected: String,
    },
    /// The number of a sample that does not exist.
    #[error("{what}: index {index} is outside of the {len} samples")]
    Index {
        /// What was indexed.
        what: &'static str,
        /// The index found.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// The terms of a [`WeightedSum`](crate::WeightedSum) are not those it was made of.
    #[error("term \"{name}\" {problem}; the sum has {expected}")]
    Term {
        /// The name of the term.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
        /// The names of the sum's terms.
        expected: String,
    },
}

/// A mixing weight: a number in [0, 1].
pub(crate) fn check_fraction(field: &'static str, value: f64) -> Result<f64, CoreError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(CoreError::OutOfRange {
            field,
            value,
            range: "[0, 1]",
        })
    }
}

/// A softmax temperature, in a range where neither a logit over it nor its square leaves single precision.
pub(crate) fn check_temperature(value: f64) -> Result<f32, CoreError> {
    check_temperature_of("temperature", value)
}

pub(crate) fn check_temperature_of(field: &'static str, value: f64) -> Result<f32, CoreError> {
    if (1e-6..=1e6).contains(&value) {
        Ok(value as f32)
    } else {
        Err(CoreError::OutOfRange {
            field,
            value,
            range: "[1e-6, 1e6]",
        })
    }
}

/// A number that is positive, finite and still so in single precision.
pub(crate) fn check_positive(field: &'static str, value: f64) -> Result<f64, CoreError> {
    if (value as f32).is_normal() && value > 0.0 {
        Ok(value)
    } else {
        Err(CoreError::OutOfRange {
            field,
            value,
            range: "(0, inf), finite in f32",
        })
    }
}

/// The weight of a term: not negative and finite.
pub(crate) fn check_weight(field: &'static str, value: f64) -> Result<f64, CoreError> {
    if value >= 0.0 && (value as f32).is_finite() {
        Ok(value)
    } else {
        Err(CoreError::OutOfRange {
            field,
            value,
            range: "[0, inf), finite in f32",
        })
    }
}

/// A count of at least `least`, of which `range` tells the reader.
pub(crate) fn check_count(
    field: &'static str,
    value: usize,
    least: usize,
    range: &'static str,
) -> Result<usize, CoreError> {
    if value >= least {
        Ok(value)
    } else {
        Err(CoreError::OutOfRange {
            field,
            value: value as f64,
            range,
        })
    }
}

/// Every index below `len`.
pub(crate) fn check_indices(
    what: &'static str,
    indices: &[usize],
    len: usize,
) -> Result<(), CoreError> {
    match indices.iter().find(|index| **index >= len) {
        Some(&index) => Err(CoreError::Index { what, index, len }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_message_names_field_value_and_range() {
        let message = check_fraction("alpha", 1.5).unwrap_err().to_string();
        assert_eq!(message, "alpha = 1.5 is out of range: expected [0, 1]");
    }

    #[test]
    fn bounds_are_inside_and_nan_is_not() {
        assert_eq!(check_fraction("alpha", 0.0), Ok(0.0));
        assert_eq!(check_fraction("alpha", 1.0), Ok(1.0));
        assert!(check_fraction("alpha", -1e-12).is_err());
        assert!(check_fraction("alpha", f64::NAN).is_err());
    }

    #[test]
    fn a_temperature_is_positive_and_finite() {
        assert_eq!(check_temperature(4.0), Ok(4.0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e39, 1e-60] {
            assert!(check_temperature(bad).is_err(), "{bad}");
        }
    }
}
