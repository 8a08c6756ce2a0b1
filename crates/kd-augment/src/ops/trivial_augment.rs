//! TrivialAugment.

use serde::{Deserialize, Serialize};

use super::policy::{self, Space, SpaceEntry, Style};
use super::{Operation, always};
use crate::error::{self, AugmentError};
use crate::plan::{Fill, ImagePlan, Interpolation};
use crate::stream::Stream;

/// With probability `p`, applies one operation drawn uniformly from a wide space, at a magnitude drawn uniformly from its bins.
///
/// Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021; the space is
/// torchvision's, whose translations are in pixels, up to 32 whatever the image's size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrivialAugmentWide {
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

fn bins() -> usize {
    31
}

fn space() -> Vec<SpaceEntry> {
    policy::TRIVIAL_AUGMENT_WIDE.to_vec()
}

fn is_default_space(space: &[SpaceEntry]) -> bool {
    space == policy::TRIVIAL_AUGMENT_WIDE
}

impl Default for TrivialAugmentWide {
    fn default() -> Self {
        Self {
            bins: bins(),
            space: space(),
            interpolation: Interpolation::default(),
            fill: Fill::default(),
            p: always(),
        }
    }
}

impl Operation for TrivialAugmentWide {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("trivial_augment_wide.p", self.p)?;
        Space(&self.space).check("trivial_augment_wide", self.bins)
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        Space(&self.space).check_shape("trivial_augment_wide", self.fill, shape)
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let style = Style {
                interpolation: self.interpolation,
                fill: self.fill,
            };
            let entry = self.space[stream.below(self.space.len())];
            let index = stream.below(self.bins);
            let magnitude = entry.draw(index, self.bins, stream, plan);
            policy::push(entry.op, magnitude, style, plan);
        }
    }
}
