//! The learning rate over a run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// What the learning rate is multiplied by, over a run. In TOML the shape is the key `kind`:
/// `schedule = { kind = "cosine", warmup = 0.05 }`.
///
/// All of it counts shares of the run, so a run of another length keeps the shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
#[non_exhaustive]
pub struct ScheduleRecipe {
    /// The shape after the warm-up.
    pub shape: Shape,
    /// The share of the run in which the rate rises in equal steps to the first one of the shape, in
    /// `[0, 1)`. A cosine begins after it, steps and one-cycle go on under it. Default: 0.
    pub warmup: f64,
}

/// The shape of a schedule.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// `steps`: multiplied by `factor` once each of the `milestones` is reached:
    /// `epoch >= round(milestone · epochs)`, epochs counted from 0.
    Steps {
        /// Shares of the run in `(0, 1]`, ascending. Default: 5/8, 6/8 and 7/8.
        milestones: Vec<f64>,
        /// In `(0, 1]`. Default: 0.1.
        factor: f64,
    },
    /// `cosine`: from 1 to `end` along half a cosine, step by step (Loshchilov and Hutter, 2017).
    Cosine {
        /// In `[0, 1]`. Default: 0.
        end: f64,
    },
    /// `one_cycle`: from `start` up to 1 at the share `peak` of the run, then down to `end`, each
    /// along half a cosine, step by step (Smith and Topin, 2019), as PyTorch's `OneCycleLR` with a
    /// fixed momentum.
    OneCycle {
        /// In `(0, 1)`. Default: 0.3.
        peak: f64,
        /// In `[0, 1]`. Default: 1/25.
        start: f64,
        /// In `[0, 1]`. Default: 1/250,000.
        end: f64,
    },
}

/// A place in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// The epoch, from 0.
    pub epoch: usize,
    /// The step of the optimiser in the epoch, from 0.
    pub step: usize,
    /// Steps of the optimiser in an epoch.
    pub steps: usize,
    /// Epochs of the run.
    pub epochs: usize,
}

impl Moment {
    /// A step of an epoch: each `[number, of all]`, numbers from 0.
    pub fn new([epoch, epochs]: [usize; 2], [step, steps]: [usize; 2]) -> Self {
        Self {
            epoch,
            step,
            steps,
            epochs,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Steps,
    Cosine,
    OneCycle,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestones: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<f64>,
    warmup: f64,
}

/// The keys of [`Written`] that belong to a shape: another shape does not take them over.
pub(super) const OF_SHAPE: [&str; 5] = ["milestones", "factor", "peak", "start", "end"];

impl TryFrom<Written> for ScheduleRecipe {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, String> {
        let shape = match written.kind {
            Kind::Steps => Shape::Steps {
                milestones: written
                    .milestones
                    .take()
                    .unwrap_or(vec![0.625, 0.75, 0.875]),
                factor: written.factor.take().unwrap_or(0.1),
            },
            Kind::Cosine => Shape::Cosine {
                end: written.end.take().unwrap_or(0.0),
            },
            Kind::OneCycle => Shape::OneCycle {
                peak: written.peak.take().unwrap_or(0.3),
                start: written.start.take().unwrap_or(0.04),
                end: written.end.take().unwrap_or(4e-6),
            },
        };
        for (key, left) in [
            ("milestones", written.milestones.is_some()),
            ("factor", written.factor.is_some()),
            ("peak", written.peak.is_some()),
            ("start", written.start.is_some()),
            ("end", written.end.is_some()),
        ] {
            if left {
                return Err(format!("a schedule of this kind has no key `{key}`"));
            }
        }
        Ok(Self {
            shape,
            warmup: written.warmup,
        })
    }
}

impl From<ScheduleRecipe> for Written {
    fn from(recipe: ScheduleRecipe) -> Self {
        let mut written = Self {
            warmup: recipe.warmup,
            ..Self::default()
        };
        match recipe.shape {
            Shape::Steps { milestones, factor } => {
                (written.milestones, written.factor) = (Some(milestones), Some(factor));
            }
            Shape::Cosine { end } => (written.kind, written.end) = (Kind::Cosine, Some(end)),
            Shape::OneCycle { peak, start, end } => {
                written.kind = Kind::OneCycle;
                (written.peak, written.start) = (Some(peak), Some(start));
                written.end = Some(end);
            }
        }
        written
    }
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        match Written::default().try_into() {
            Ok(recipe) => recipe,
            Err(reason) => unreachable!("{reason}"),
        }
    }
}

impl ScheduleRecipe {
    /// Returns what the learning rate of a step is multiplied by.
    pub fn factor_at(&self, at: Moment) -> f64 {
        let all = at.epochs * at.steps;
        let now = at.epoch * at.steps + at.step;
        let warm = (self.warmup * all as f64).ceil() as usize;
        let rise = match now < warm {
            true => (now + 1) as f64 / warm as f64,
            false => 1.0,
        };
        rise * match &self.shape {
            Shape::Steps { milestones, factor } => {
                let reached =
                    |share: &&f64| at.epoch >= (**share * at.epochs as f64).round() as usize;
                factor.powi(milestones.iter().filter(reached).count() as i32)
            }
            Shape::Cosine { end } => {
                let share = now.saturating_sub(warm) as f64 / (all - warm).max(1) as f64;
                half_cosine(1.0, *end, share)
            }
            Shape::OneCycle { peak, start, end } => {
                let (now, top) = (now as f64, peak * all as f64 - 1.0);
                match now <= top {
                    true => half_cosine(*start, 1.0, now / top),
                    false => half_cosine(1.0, *end, (now - top) / (all as f64 - 1.0 - top)),
                }
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        let range = |key: &str, found: f64, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => Err(TrainError::Recipe {
                place: format!("schedule.{key}"),
                reason: format!("is {found}, expected {expected}"),
            }),
        };
        let fits = (0.0..1.0).contains(&self.warmup);
        range("warmup", self.warmup, fits, "a share of the run in [0, 1)")?;
        let unit =
            |key: &str, x: f64| range(key, x, (0.0..=1.0).contains(&x), "a number in [0, 1]");
        match &self.shape {
            Shape::Steps { milestones, factor } => {
                let fits = *factor > 0.0 && *factor <= 1.0;
                range("factor", *factor, fits, "a number in (0, 1]")?;
                let mut last = 0.0;
                for milestone in milestones {
                    let fits = *milestone > last && *milestone <= 1.0;
                    let expected = "ascending shares of the run in (0, 1]";
                    range("milestones", *milestone, fits, expected)?;
                    last = *milestone;
                }
                Ok(())
            }
            Shape::Cosine { end } => unit("end", *end),
            Shape::OneCycle { peak, start, end } => {
                let fits = *peak > 0.0 && *peak < 1.0;
                range("peak", *peak, fits, "a share of the run in (0, 1)")?;
                unit("start", *start)?;
                unit("end", *end)
            }
        }
    }
}

/// From one value to another, the share of the way that half a cosine has gone.
fn half_cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> ScheduleRecipe {
        match toml::from_str(text) {
            Ok(schedule) => schedule,
            Err(reason) => panic!("{text}: {reason}"),
        }
    }

    /// The factor of each step of a run.
    fn factors(schedule: &ScheduleRecipe, epochs: usize, steps: usize) -> Vec<f64> {
        let moments = (0..epochs).flat_map(|epoch| {
            (0..steps).map(move |step| Moment::new([epoch, epochs], [step, steps]))
        });
        moments.map(|at| schedule.factor_at(at)).collect()
    }

    #[test]
    fn steps_scale_with_the_run() {
        let schedule = ScheduleRecipe::default();
        let changes = |epochs| -> Vec<usize> {
            let factors = factors(&schedule, epochs, 1);
            let changes = 1..epochs;
            changes.filter(|e| factors[*e] < factors[*e - 1]).collect()
        };
        assert_eq!(changes(240), [150, 180, 210]);
        assert_eq!(changes(480), [300, 360, 420]);
        assert_eq!(changes(8), [5, 6, 7]);
        assert!((factors(&schedule, 240, 3)[719] - 1e-3).abs() < 1e-15);
    }

    #[test]
    fn a_cosine_begins_after_its_warm_up_and_ends_where_it_is_told() {
        let found = factors(
            &schedule("kind = \"cosine\"\nwarmup = 0.2\nend = 0.1"),
            5,
            2,
        );
        let closed = |t: f64| 0.1 + 0.9 * 0.5 * (1.0 + (PI * t / 8.0).cos());
        let expected: Vec<f64> = [0.5, 1.0]
            .into_iter()
            .chain((0..8).map(|t| closed(f64::from(t))))
            .collect();
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found}, expected {expected}"
            );
        }
    }

    /// `torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10, cycle_momentum=False)`.
    #[test]
    fn one_cycle_is_pytorch_s() {
        let expected = [
            0.040_000_000_000_000_036,
            0.52,
            1.0,
            0.950_484_632_013_473_7,
            0.811_745_653_949_763_1,
            0.611_262_021_936_289_3,
            0.388_741_978_063_710_75,
            0.188_258_346_050_236_97,
            0.049_519_367_986_526_286,
            4e-06,
        ];
        let found = factors(&schedule("kind = \"one_cycle\""), 5, 2);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn warm_up_rises_to_the_first_rate() {
        let found = factors(&schedule("warmup = 0.5\nmilestones = []"), 2, 2);
        assert_eq!(found, [0.5, 1.0, 1.0, 1.0]);
    }
}
