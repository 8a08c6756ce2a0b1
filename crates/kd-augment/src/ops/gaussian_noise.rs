//! Gaussian noise.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{ImagePlan, Noise, Segment};
use crate::stream::Stream;

/// With probability `p`, level + 255 · (mean + sigma · z), rounded and clamped, with z normal and independent in every element. Under batch
/// sharing all images of a batch get one noise.
///
/// mean and sigma are parts of the whole range of levels, as in torchvision v2's `GaussianNoise`. sigma is drawn for each image
/// if it is a range. |z| stays below 5.8.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianNoise {
    /// Mean, in [−1, 1]; 0 if not given.
    #[serde(default)]
    pub mean: f64,
    /// Standard deviation, in [0, 10]; 0.1 if not given.
    #[serde(default = "tenth")]
    pub sigma: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

fn tenth() -> Range {
    0.1.into()
}

impl GaussianNoise {
    /// Around 0, always.
    pub fn new(sigma: impl Into<Range>) -> Self {
        Self {
            mean: 0.0,
            sigma: sigma.into(),
            p: always(),
        }
    }
}

impl Operation for GaussianNoise {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("gaussian_noise.p", self.p)?;
        Range::from(self.mean).check("gaussian_noise.mean", [-1.0, 1.0], "between -1 and 1")?;
        self.sigma
            .check("gaussian_noise.sigma", [0.0, 10.0], "between 0 and 10")
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            let sigma = self.sigma.draw(stream) as f32;
            plan.push(Segment::Noise(Noise {
                mean: self.mean as f32,
                sigma,
                key: stream.key(),
            }));
        }
    }
}
