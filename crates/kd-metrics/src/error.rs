//! The one error type of the crate.

/// What a measure, a plot or a report can refuse.
///
/// Rows are counted from 0 over everything that the accumulator has been given since it was made, in the order it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A setting outside the range in which the measure is defined.
    #[error("{field} = {value}: {reason}")]
    Config {
        /// Name of the setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it must satisfy.
        reason: &'static str,
    },
    /// Two counts that must be equal are not.
    #[error("{what}: expected {expected}, found {found}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The count that was needed.
        expected: usize,
        /// The count that was there.
        found: usize,
    },
    /// Too few values for the measure to be defined.
    #[error("{what}: at least {needed} needed, found {found}")]
    TooFew {
        /// What was counted.
        what: &'static str,
        /// The smallest count for which the measure is defined.
        needed: usize,
        /// The count that was there.
        found: usize,
    },
    /// A row of logits holds NaN, infinity, or a number of f64 that is beyond the range of f32.
    #[error("row {row}: a logit is NaN, infinite or beyond the range of f32")]
    Logits {
        /// The row.
        row: usize,
    },
    /// A label that names no class.
    #[error("row {row}: label {label} is not in 0..{classes}")]
    Label {
        /// The row.
        row: usize,
        /// The label found there.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// A row that should be a probability distribution is none.
    #[error("row {row} of {what}: not a distribution (lowest value {lowest}, sum {sum})")]
    Distribution {
        /// Which rows.
        what: &'static str,
        /// The row.
        row: usize,
        /// Its smallest value; must be 0 or more.
        lowest: f64,
        /// Its sum; must be 1 within 0.001.
        sum: f64,
    },
    /// An embedding holds NaN, infinity, or a number of f64 that is beyond the range of f32.
    #[error("row {row}: a value of the embedding is NaN, infinite or beyond the range of f32")]
    Embedding {
        /// The row.
        row: usize,
    },
    /// More samples than are kept.
    #[error("{what}: at most {cap} are kept, and there are {found}")]
    Cap {
        /// What is kept.
        what: &'static str,
        /// The most that are.
        cap: usize,
        /// The count that there would be.
        found: usize,
    },
    /// A value that is not a finite number.
    #[error("{what}, value {index}: {value} is not finite")]
    Value {
        /// Which values.
        what: &'static str,
        /// Its place among them, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Values that are all equal, where their variation is asked for.
    #[error("{what}: all values are {value}, so that nothing can go together with them")]
    Constant {
        /// Which values.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// Human labels for some samples only: their mean divergence would describe another set than the other measures.
    #[error("row {row}: human labels must come with every update or with none")]
    HumanForSome {
        /// The first row of the update that differs from those before it.
        row: usize,
    },
    /// The device could not hand over its results.
    #[error("reading results from the device failed: {reason}")]
    Read {
        /// The backend's message.
        reason: String,
    },
    /// The system gave no thread.
    #[error("no thread to compute on: {reason}")]
    Threads {
        /// The system's message.
        reason: String,
    },
    /// A picture could not be encoded.
    #[error("encoding a picture failed: {reason}")]
    Picture {
        /// The encoder's message.
        reason: String,
    },
}

/// Checks a setting that must lie strictly between 0 and 1.
pub(crate) fn check_share(field: &'static str, value: f64) -> Result<(), MetricError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(MetricError::Config {
            field,
            value: value.to_string(),
            reason: "must lie between 0 and 1",
        })
    }
}

/// Checks a count that must not be 0.
pub(crate) fn check_positive(field: &'static str, value: usize) -> Result<(), MetricError> {
    if value > 0 {
        return Ok(());
    }
    Err(MetricError::Config {
        field,
        value: value.to_string(),
        reason: "must be 1 or more",
    })
}

/// Checks that values are finite; `what` names them.
pub(crate) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(MetricError::Value {
            what,
            index,
            value: values[index],
        }),
    }
}

/// The place of the first number that f32 cannot hold.
///
/// Numbers may come as f64. Some measures keep them as f32, where such a one is infinite, and the
/// squares and differences of others may be beyond f64.
pub(crate) fn beyond_f32(values: &[f64]) -> Option<usize> {
    values.iter().position(|&value| !(value as f32).is_finite())
}

/// Checks two counts that must be equal.
pub(crate) fn expect_count(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), MetricError> {
    if expected == found {
        return Ok(());
    }
    Err(MetricError::Count {
        what,
        expected,
        found,
    })
}

/// Furthest that a distribution's sum may be from 1: float rounding and rounded counts pass, percentages and logits do not.
pub(crate) const SUM_TOLERANCE: f64 = 1e-3;

/// Checks host rows of `classes` probabilities each; `first_row` is the number of the first one in messages.
pub(crate) fn check_distributions(
    what: &'static str,
    rows: &[f32],
    classes: usize,
    first_row: usize,
) -> Result<(), MetricError> {
    for (index, row) in rows.chunks(classes).enumerate() {
        check_distribution(what, row.iter().map(|&p| f64::from(p)), first_row + index)?;
    }
    Ok(())
}

/// Checks one row.
pub(crate) fn check_distribution(
    what: &'static str,
    row: impl Iterator<Item = f64>,
    number: usize,
) -> Result<(), MetricError> {
    // `f64::min` skips NaN, but the sum keeps it.
    let (lowest, sum) = row.fold((f64::INFINITY, 0.0), |(lowest, sum), p| {
        (lowest.min(p), sum + p)
    });
    if is_distribution(lowest, sum) {
        Ok(())
    } else {
        Err(MetricError::Distribution {
            what,
            row: number,
            lowest,
            sum,
        })
    }
}

/// Whether a row with this smallest value and this sum is a distribution; NaN in either is not.
pub(crate) fn is_distribution(lowest: f64, sum: f64) -> bool {
    lowest >= 0.0 && (sum - 1.0).abs() <= SUM_TOLERANCE
}
