//! Gaussian blur.

use serde::{Deserialize, Serialize};

use super::{Operation, Range, always};
use crate::error::{self, AugmentError};
use crate::plan::{Blur, ImagePlan, MAX_RADIUS, Segment};
use crate::stream::Stream;

/// With probability `p`, a Gaussian filter of `kernel` × `kernel` pixels; the image is mirrored at its border.
///
/// torchvision's `GaussianBlur`, within 1 level: weights exp(−d²/2σ²), normalised, in f32.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// Side of the filter, in pixels: odd, 1 to 511, and below twice the smaller side of the image.
    pub kernel: usize,
    /// Standard deviation, in pixels, in [0.01, 1000]; [0.1, 2] if not given.
    #[serde(default = "sigma")]
    pub sigma: Range,
    /// Probability, in [0, 1]; 1 if not given.
    #[serde(default = "always")]
    pub p: f64,
}

fn sigma() -> Range {
    (0.1..=2.0).into()
}

impl GaussianBlur {
    /// sigma in [0.1, 2], always.
    pub fn new(kernel: usize) -> Self {
        Self {
            kernel,
            sigma: sigma(),
            p: always(),
        }
    }
}

impl Operation for GaussianBlur {
    fn check(&self) -> Result<(), AugmentError> {
        error::probability("gaussian_blur.p", self.p)?;
        let range = "odd and between 1 and 511";
        error::count(
            "gaussian_blur.kernel",
            self.kernel,
            1,
            2 * MAX_RADIUS + 1,
            range,
        )?;
        if self.kernel.is_multiple_of(2) {
            error::count("gaussian_blur.kernel", self.kernel, 1, 0, range)?;
        }
        self.sigma.check(
            "gaussian_blur.sigma",
            [0.01, 1000.0],
            "between 0.01 and 1000",
        )
    }

    fn check_shape(&self, shape: [usize; 3]) -> Result<(), AugmentError> {
        let [_, h, w] = shape;
        error::needs(
            self.kernel / 2 < h.min(w),
            "gaussian_blur",
            "with sides above half its kernel",
            shape,
        )
    }

    fn draw(&self, stream: &mut Stream, plan: &mut ImagePlan) {
        if stream.chance(self.p) {
            plan.push(Segment::Blur(Blur {
                radius: (self.kernel / 2) as u32,
                sigma: self.sigma.draw(stream) as f32,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kernels_are_odd_and_fit() {
        assert!(GaussianBlur::new(3).check().is_ok());
        for kernel in [0, 4, 513] {
            assert!(GaussianBlur::new(kernel).check().is_err(), "{kernel}");
        }
        assert!(GaussianBlur::new(5).check_shape([3, 3, 9]).is_ok());
        let message = GaussianBlur::new(7).check_shape([3, 3, 9]).unwrap_err();
        assert_eq!(
            message.to_string(),
            "gaussian_blur needs images with sides above half its kernel, found [3, 3, 9]"
        );
    }
}
