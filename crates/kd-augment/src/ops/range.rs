//! Ranges that parameters are drawn from.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::error::AugmentError;
use crate::stream::Stream;

/// From where a parameter is drawn, uniformly (a ratio: its logarithm). In a recipe: a number, which is always taken, or `[low, high]`.
///
/// ```
/// use kd_augment::{Range, Rotate};
/// let always = Rotate::new(30.0);
/// let often = Rotate::new(-30.0..=30.0);
/// assert_eq!(often.degrees, Range::new(-30.0, 30.0));
/// # let read: Rotate = serde_json::from_str(r#"{ "degrees": [-30, 30] }"#).unwrap();
/// # assert_eq!(read, often);
/// # assert_eq!(serde_json::from_str::<Rotate>(r#"{ "degrees": 30 }"#).unwrap(), always);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Ends", into = "Ends")]
pub struct Range {
    low: f64,
    high: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Ends {
    Always(f64),
    Between([f64; 2]),
}

impl From<Ends> for Range {
    fn from(ends: Ends) -> Self {
        match ends {
            Ends::Always(value) => Self::new(value, value),
            Ends::Between([low, high]) => Self::new(low, high),
        }
    }
}

impl From<Range> for Ends {
    fn from(range: Range) -> Self {
        match range.low == range.high {
            true => Self::Always(range.low),
            false => Self::Between([range.low, range.high]),
        }
    }
}

impl From<f64> for Range {
    fn from(value: f64) -> Self {
        Self::new(value, value)
    }
}

impl From<RangeInclusive<f64>> for Range {
    fn from(range: RangeInclusive<f64>) -> Self {
        Self::new(*range.start(), *range.end())
    }
}

impl Range {
    /// From `low` to `high`.
    pub const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// The lower end.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The upper end.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// One draw, uniform.
    pub(super) fn draw(&self, stream: &mut Stream) -> f64 {
        self.low + (self.high - self.low) * stream.unit()
    }

    /// Whether both ends lie in `min..=max` and are in order; `words` says the same.
    pub(super) fn check(
        &self,
        field: &'static str,
        [min, max]: [f64; 2],
        words: &'static str,
    ) -> Result<(), AugmentError> {
        let refuse = |value| {
            Err(AugmentError::OutOfRange {
                field,
                value,
                range: words,
            })
        };
        match (self.low, self.high) {
            (low, _) if !(min..=max).contains(&low) => refuse(low),
            (_, high) if !(min..=max).contains(&high) => refuse(high),
            (low, high) if low > high => Err(AugmentError::OutOfRange {
                field,
                value: low,
                range: "at most the upper end of its range",
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        for text in ["3.0", "[-1.5,2.0]"] {
            let range: Range = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&range).unwrap(), text);
        }
        for text in ["[1]", "[1,2,3]", "\"x\"", "null"] {
            assert!(serde_json::from_str::<Range>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ends_outside_are_named() {
        let check = |low, high| Range::new(low, high).check("f", [0.0, 1.0], "between 0 and 1");
        assert!(check(0.0, 1.0).is_ok());
        assert!(check(0.5, 0.5).is_ok());
        for (low, high, complaint) in [
            (-0.5, 1.0, "f is -0.5, but must be between 0 and 1"),
            (0.5, 2.0, "f is 2, but must be between 0 and 1"),
            (f64::NAN, 1.0, "f is NaN, but must be between 0 and 1"),
            (
                0.75,
                0.5,
                "f is 0.75, but must be at most the upper end of its range",
            ),
        ] {
            assert_eq!(check(low, high).unwrap_err().to_string(), complaint);
        }
    }
}
