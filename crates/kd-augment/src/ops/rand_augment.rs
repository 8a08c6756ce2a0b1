//! RandAugment.

use serde::{Deserialize, Serialize};

use super::policy::{self, Space, SpaceEntry, Style};
use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{Fill, ImagePlan, Interpolation};
use crate::stream::Stream;

/// With probability `p`, applies `n` operations drawn uniformly (with replacement) from a space, each at bin `m` of its
/// magnitudes.
///
/// Cubuk, Zoph, Shlens, Le, "RandAugment: Practical automated data augmentation with a reduced search space", NeurIPS 2020;
/// space and defaults are torchvision's. The space is data: give your own to add or leave out operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugment {
    /// Operations an image, 0 to 64; 2 if not given.
    #[serde(default = "two")]
    pub n: usize,
    /// The bin of every magnitude, counted from 0, below `bins`; 9 if not given.
    #[serde(default = "nine")]
    pub m: usize,
    /// Bins that the magnitudes of an operation are divided into; 31 if not given.
    #[serde(default = "bins")]
    pub bins: usize,
    /// Operations and their magnitudes; torchvision's if not given.
    #[serde(default = "space", skip_serializing_if = "is_default_space")]
    pub space: Vec<SpaceEntry>,
    /// How levels between pixels are found; the nearest if not given.
    #[serde(default)]
    pub interpolation: Interpolation,
    /// What stands outside; black if not given.
    #[serde(default)]
    pub fill: Fill,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

fn two() -> usize {
    2
}

fn nine() -> usize {
    9
}

fn bins() -> usize {
    31
}

fn space() -> Vec<SpaceEntry> {
    policy::RAND_AUGMENT.to_vec()
}

fn is_default_space(space: &[SpaceEntry]) -> bool {
    space == policy::RAND_AUGMENT
}

impl Default for RandAugment {
    fn default() -> Self {
        Self::new(two(), nine())
    }
}

impl RandAugment {
    /// `n` operations at bin `m` of 31.
    pub fn new(n: usize, m: usize) -> Self {
        Self {
            n,
            m,
            bins: bins(),
            space: space(),
            interpolation: Interpolation::default(),
            fill: Fill::default(),
            p: always(),
        }
    }
}

impl Operation for RandAugment {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("rand_augment.p", self.p)?;
        error::count("rand_augment.n", self.n, 0, 64, "between 0 and 64")?;
        Space(&self.space).check("rand_augment", self.bins)?;
        let last = self.bins - 1;
        error::count("rand_augment.m", self.m, 0, last, "below rand_augment.bins")
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        Space(&self.space).check_shape("rand_augment", self.fill, shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let style = Style {
                interpolation: self.interpolation,
                fill: self.fill,
            };
            for _ in 0..self.n {
                let entry = self.space[stream.below(self.space.len())];
                let magnitude = entry.draw(self.m, self.bins, stream, plan);
                policy::push(entry.op, magnitude, style, plan);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ops::policy::PolicyOp;

    #[test]
    fn m_stays_below_the_bins() {
        assert!(RandAugment::new(2, 30).check().is_ok());
        assert_eq!(
            RandAugment::new(2, 31).check().unwrap_err().to_string(),
            "rand_augment.m is 31, but must be below rand_augment.bins"
        );
    }

    #[test]
    fn impossible_spaces_are_refused() {
        let with = |space: Vec<SpaceEntry>| RandAugment {
            space,
            ..RandAugment::default()
        };
        let entry = |op, high| SpaceEntry {
            op,
            low: 0.0,
            high,
            signed: false,
            relative: false,
        };
        assert!(with(vec![entry(PolicyOp::Rotate, 90.0)]).check().is_ok());
        for (space, complaint) in [
            (vec![], "holds no operation"),
            (vec![entry(PolicyOp::Rotate, 400.0)], "reaches 400"),
            (vec![entry(PolicyOp::Color, f64::NAN)], "reaches NaN"),
            (vec![entry(PolicyOp::Posterize, 4.0)], "from 0 to 4"),
            (
                vec![SpaceEntry {
                    relative: true,
                    ..entry(PolicyOp::Rotate, 0.5)
                }],
                "only translations",
            ),
            (
                vec![SpaceEntry {
                    signed: true,
                    ..entry(PolicyOp::Brightness, 1.5)
                }],
                "reaches -1.5",
            ),
        ] {
            let message = with(space).check().unwrap_err().to_string();
            assert!(message.contains(complaint), "{message}");
        }
    }

    #[test]
    fn the_default_space_is_not_written_out() {
        let text = serde_json::to_string(&RandAugment::default()).unwrap();
        assert!(!text.contains("space"), "{text}");
        let read: RandAugment = serde_json::from_str(&text).unwrap();
        assert_eq!(read, RandAugment::default());
        let read: RandAugment =
            serde_json::from_str(r#"{"space":[{"op":"rotate","high":10,"signed":true}]}"#).unwrap();
        assert_eq!(read.space.len(), 1);
    }
}
