//! Everything that can go wrong, with the values that say why.

use thiserror::Error;

use crate::plan::Fill;

/// Errors of this crate. Bad configurations and bad data are reported, never panicked on.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A configured number lies outside its range.
    #[error("{field} is {value}, but must be {range}")]
    OutOfRange {
        /// The field, with the operation that it belongs to.
        field: &'static str,
        /// The value found.
        value: f64,
        /// The values allowed.
        range: &'static str,
    },
    /// Not exactly one of some fields that exclude each other.
    #[error("exactly one of {fields} must be given, found {found}")]
    OneOf {
        /// The fields.
        fields: &'static str,
        /// How many were given.
        found: usize,
    },
    /// Images that an operation cannot treat.
    #[error("{op} needs images {needs}, found {shape:?}")]
    Misfit {
        /// The operation.
        op: &'static str,
        /// What it needs.
        needs: &'static str,
        /// `[channels, height, width]` of the images.
        shape: [usize; 3],
    },
    /// A policy that its own table does not support.
    #[error("{policy}: {reason}")]
    Policy {
        /// Which policy.
        policy: &'static str,
        /// What is wrong with it, with the values found and expected.
        reason: String,
    },
    /// A pairing that needs an even number of images.
    #[error("the pairing {pairing} needs an even number of images in a batch, found {found}")]
    OddBatch {
        /// The pairing.
        pairing: &'static str,
        /// Images in the batch.
        found: usize,
    },
    /// A scheme name that this crate does not know.
    #[error("unknown augmentation '{found}', expected one of: {known}")]
    UnknownScheme {
        /// The name asked for.
        found: String,
        /// The names there are.
        known: &'static str,
    },
    /// A slice whose length does not fit its shape or its companions.
    #[error("{what} has {found} elements, expected {expected}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length that fits.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// A batch of images in another shape than the plan was drawn for.
    #[error("{what} is {found:?}, expected {expected:?}")]
    Shape {
        /// Which shape.
        what: &'static str,
        /// The shape that fits.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A side or an element count that is too large to address.
    #[error(
        "shape {shape:?} is too large: sides are limited to {max_side}, a plane to 2147483647 pixels and the whole to the address space"
    )]
    TooLarge {
        /// The shape asked for.
        shape: Vec<usize>,
        /// The largest side.
        max_side: usize,
    },
    /// A plan, read from elsewhere, that cannot be applied.
    #[error("plan of image {image}: {reason}")]
    InvalidPlan {
        /// Position of the image in the batch.
        image: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A plan with a mix was given to an engine that returns unmixed u8 pixels.
    #[error("the plan mixes images, which is done in float: use `apply`, or a plan without a mix")]
    MixNeedsFloat,
    /// A class label that is too large.
    #[error("label {label} of image {image} is not below the number of classes {classes}")]
    Label {
        /// Position of the image in the batch.
        image: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A score that cannot be ranked.
    #[error("the score of candidate {index} is not a number")]
    ScoreIsNan {
        /// Position in the pool.
        index: usize,
    },
    /// More candidates to pick than the pool holds.
    #[error("pick is {pick}, but the pool holds only {pool} candidates")]
    PickExceedsPool {
        /// How many to pick.
        pick: usize,
        /// How many there are.
        pool: usize,
    },
    /// A criterion was asked for without the logits that it looks at.
    #[error("the criterion {criterion} needs the {network}'s logits")]
    MissingLogits {
        /// The criterion's name.
        criterion: &'static str,
        /// `teacher` or `student`.
        network: &'static str,
    },
    /// A device did not hand its values back.
    #[error("reading {what} from the device failed: {reason}")]
    Device {
        /// What was read.
        what: &'static str,
        /// The device's own message.
        reason: String,
    },
}

/// `value` if it is a probability.
pub(crate) fn probability(field: &'static str, value: f64) -> Result<(), AugmentError> {
    // A NaN is in no range.
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(AugmentError::OutOfRange {
            field,
            value,
            range: "between 0 and 1",
        })
    }
}

/// Whether the parameter of a symmetric Beta distribution is usable: beyond 10⁶ every draw is one half anyway.
pub(crate) fn concentration(field: &'static str, value: f64) -> Result<(), AugmentError> {
    if value > 0.0 && value <= 1e6 {
        Ok(())
    } else {
        Err(AugmentError::OutOfRange {
            field,
            value,
            range: "above 0 and at most 1000000",
        })
    }
}

/// Whether a fill fits images of `shape` = `[channels, height, width]`; `what` names the channels that it needs.
pub(crate) fn fill(what: &'static str, fill: Fill, shape: [usize; 3]) -> Result<(), AugmentError> {
    match fill.fits(shape[0]) {
        true => Ok(()),
        false => Err(AugmentError::Length {
            what,
            expected: 3,
            found: shape[0],
        }),
    }
}

/// Whether images of `shape` have a luminance.
pub(crate) fn grey_or_colour(op: &'static str, shape: [usize; 3]) -> Result<(), AugmentError> {
    needs([1, 3].contains(&shape[0]), op, "of 1 or 3 channels", shape)
}

/// Whether images of `shape` meet a need.
pub(crate) fn needs(
    met: bool,
    op: &'static str,
    needs: &'static str,
    shape: [usize; 3],
) -> Result<(), AugmentError> {
    match met {
        true => Ok(()),
        false => Err(AugmentError::Misfit { op, needs, shape }),
    }
}

/// Whether a number can be a temperature.
pub(crate) fn positive(field: &'static str, value: f32) -> Result<(), AugmentError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(AugmentError::OutOfRange {
            field,
            value: f64::from(value),
            range: "finite and above 0",
        })
    }
}

/// Whether a count lies in `min..=max`; `range` says the same in words.
pub(crate) fn count(
    field: &'static str,
    value: usize,
    min: usize,
    max: usize,
    range: &'static str,
) -> Result<(), AugmentError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(AugmentError::OutOfRange {
            field,
            value: value as f64,
            range,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_name_field_value_and_range() {
        let message = probability("horizontal_flip.p", 1.5)
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "horizontal_flip.p is 1.5, but must be between 0 and 1"
        );
        assert!(probability("p", f64::NAN).is_err());
        assert!(concentration("alpha", f64::INFINITY).is_err());
        assert!(concentration("alpha", 0.0).is_err());
        assert!(count("holes", 0, 1, 9, "between 1 and 9").is_err());
    }
}
