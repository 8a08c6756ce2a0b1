use thiserror::Error;

/// What can be wrong with the configuration of a loss.
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

/// A softmax temperature: positive, finite and still so in single precision.
pub(crate) fn check_temperature(value: f64) -> Result<f32, CoreError> {
    let temperature = value as f32;
    if temperature.is_normal() && temperature > 0.0 {
        Ok(temperature)
    } else {
        Err(CoreError::OutOfRange {
            field: "temperature",
            value,
            range: "(0, inf), finite in f32",
        })
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
