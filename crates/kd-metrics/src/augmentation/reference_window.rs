//! The draws behind T. stddev, as the reference code makes them.

use serde::{Deserialize, Serialize};

use crate::error::{MetricError, check_distributions, check_positive};

/// Settings of a [`ReferenceWindow`].
///
/// The default is the reference code's recipe: five steps, of which each gives the standard view (flip and crop) *and* the augmented view, so
/// that half of every u is always the standard view. The plain form, `include_standard: false`, averages the augmented view alone, as the
/// paper's text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceWindowConfig {
    /// Steps behind one u, 1 or more.
    pub steps: usize,
    /// Whether the standard view's rows count too.
    pub include_standard: bool,
}

impl Default for ReferenceWindowConfig {
    fn default() -> Self {
        Self {
            steps: 5,
            include_standard: true,
        }
    }
}

impl ReferenceWindowConfig {
    /// An empty window for a teacher with this many classes.
    ///
    /// # Errors
    /// [`MetricError::Config`] without steps or classes.
    pub fn init(&self, classes: usize) -> Result<ReferenceWindow, MetricError> {
        check_positive("steps", self.steps)?;
        check_positive("classes", classes)?;
        Ok(ReferenceWindow {
            config: *self,
            sums: vec![0.0; classes],
            rows: 0,
            steps: 0,
            seen: Seen::default(),
        })
    }
}

/// Collects the teacher's probabilities step by step and gives u, their mean over all rows, whenever a window of steps is full.
///
/// The rows are `softmax(logits)` at temperature 1, one after the other, `[B, C]` flattened. All rows weigh the same, so that a short batch at
/// the end of an epoch weighs less. Do not start a new window with a new epoch: the reference does not, and a window may span two.
#[derive(Clone, Debug)]
pub struct ReferenceWindow {
    config: ReferenceWindowConfig,
    sums: Vec<f64>,
    rows: usize,
    steps: usize,
    seen: Seen,
}

/// Rows so far, for messages.
#[derive(Clone, Debug, Default)]
struct Seen {
    standard: usize,
    augmented: usize,
}

impl ReferenceWindow {
    /// Adds one step and gives u when it fills the window. `standard` is not read in the plain form and may then be empty. The views may differ
    /// in rows, as they do when samples are picked.
    ///
    /// # Errors
    /// [`MetricError::Count`] when rows are missing or incomplete, [`MetricError::Distribution`] naming the first row that is none; the step is
    /// then not counted.
    pub fn push_step(
        &mut self,
        standard: &[f32],
        augmented: &[f32],
    ) -> Result<Option<Vec<f64>>, MetricError> {
        let classes = self.sums.len();
        if self.config.include_standard {
            check_rows("the standard view", standard, classes, self.seen.standard)?;
        }
        check_rows(
            "the augmented view",
            augmented,
            classes,
            self.seen.augmented,
        )?;

        if self.config.include_standard {
            self.seen.standard += self.add(standard);
        }
        self.seen.augmented += self.add(augmented);
        self.steps += 1;
        Ok((self.steps == self.config.steps).then(|| self.take()))
    }

    /// Adds rows to the sums and says how many they were.
    fn add(&mut self, rows: &[f32]) -> usize {
        for row in rows.chunks_exact(self.sums.len()) {
            for (sum, &value) in self.sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        let count = rows.len() / self.sums.len();
        self.rows += count;
        count
    }

    /// The mean of the full window, which is emptied.
    fn take(&mut self) -> Vec<f64> {
        let rows = self.rows as f64;
        let mean = self.sums.iter().map(|sum| sum / rows).collect();
        self.sums.fill(0.0);
        self.rows = 0;
        self.steps = 0;
        mean
    }
}

fn check_rows(
    what: &'static str,
    rows: &[f32],
    classes: usize,
    first_row: usize,
) -> Result<(), MetricError> {
    if rows.is_empty() || !rows.len().is_multiple_of(classes) {
        let whole_rows = rows.len().div_ceil(classes).max(1);
        return Err(MetricError::Count {
            what,
            expected: whole_rows * classes,
            found: rows.len(),
        });
    }
    check_distributions(what, rows, classes, first_row)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn five_steps_of_two_views_make_one_mean_and_empty_the_window() {
        let mut window = ReferenceWindowConfig::default().init(2).unwrap();
        for _ in 0..2 {
            for _ in 0..4 {
                assert_eq!(window.push_step(&[1.0, 0.0], &[0.0, 1.0]).unwrap(), None);
            }
            let mean = window.push_step(&[1.0, 0.0], &[0.0, 1.0]).unwrap();
            assert_eq!(mean, Some(vec![0.5, 0.5]));
        }
    }

    #[test]
    fn rows_weigh_the_same_in_long_and_short_batches() {
        let config = ReferenceWindowConfig {
            steps: 2,
            include_standard: true,
        };
        let mut window = config.init(2).unwrap();
        let two_rows = [1.0, 0.0, 1.0, 0.0];
        assert_eq!(window.push_step(&two_rows, &[0.0, 1.0]).unwrap(), None);
        let mean = window.push_step(&[0.0, 1.0], &[0.0, 1.0]).unwrap().unwrap();
        assert_eq!(mean, [0.4, 0.6]);
    }

    #[test]
    fn the_plain_form_reads_the_augmented_view_alone() {
        let config = ReferenceWindowConfig {
            steps: 1,
            include_standard: false,
        };
        let mut window = config.init(2).unwrap();
        let mean = window.push_step(&[], &[0.25, 0.75]).unwrap();
        assert_eq!(mean, Some(vec![0.25, 0.75]));
    }

    #[test]
    fn bad_rows_are_named_and_not_counted() {
        let mut window = ReferenceWindowConfig::default().init(2).unwrap();
        window
            .push_step(&[1.0, 0.0], &[0.5, 0.5, 0.5, 0.5])
            .unwrap();
        let error = window
            .push_step(&[1.0, 0.0], &[0.5, 0.5, 3.0, -2.0])
            .unwrap_err();
        assert!(
            matches!(error, MetricError::Distribution { row: 3, .. }),
            "{error}"
        );
        assert!(window.push_step(&[1.0, 0.0], &[0.5]).is_err());
        assert!(window.push_step(&[], &[0.5, 0.5]).is_err());
        assert_eq!((window.steps, window.rows), (1, 3));
    }
}
