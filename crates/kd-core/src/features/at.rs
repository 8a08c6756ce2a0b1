use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::divergence::{constant_like, widen};
use crate::error::{CoreError, check_positive};
use crate::features::maps::{energy, match_sizes, mean_channels};
use crate::math::{norm, normalize};

/// How two attention maps are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDistance {
    /// The mean of the squared differences over batch and pixels: the authors' code, and the published tables.
    MeanSquare,
    /// The Euclidean distance, averaged over the batch: Eq. 2 of the paper.
    Euclidean,
}

/// Configuration of [`AtLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct AtLossConfig {
    /// The power `p` of the activations, in (0, inf); the larger, the more the strongest channel decides.
    #[config(default = 2.0)]
    pub power: f64,
    /// How the maps are compared.
    #[config(default = "AtDistance::MeanSquare")]
    pub distance: AtDistance,
}

impl AtLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the power is not positive and finite.
    pub fn init(&self) -> Result<AtLoss, CoreError> {
        Ok(AtLoss {
            power: check_positive("power", self.power)?,
            distance: self.distance,
        })
    }
}

/// Attention transfer: the distance between the attention maps of student and teacher,
/// `mean_p (a_s - a_t)^2` with `a = A / ||A||` and `A_p = sum_c |f_c,p|^power` over the pixels `p`.
///
/// From Zagoruyko and Komodakis, "Paying More Attention to Attention" (ICLR 2017), activation-based. One pair of maps; the published
/// experiments sum it over the stages of the networks. Channels may differ; where sizes differ, the larger map is averaged to the smaller.
/// A map of zeros has the attention 0 everywhere, and no gradient.
///
/// Made by [`AtLossConfig`]. The teacher's map is a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtLoss {
    power: f64,
    distance: AtDistance,
}

impl AtLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`: `[batch, channels_s, height_s, width_s]`
    /// - `teacher`: `[batch, channels_t, height_t, width_t]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let (student, teacher) = match_sizes(student, teacher);
        let difference = self.attention(student) - self.attention(teacher);
        match self.distance {
            AtDistance::MeanSquare => difference.square().mean_dim(1).squeeze_dim(1),
            AtDistance::Euclidean => norm(difference, 1).squeeze_dim(1),
        }
    }

    /// The attention map of `[batch, channels, height, width]`, of norm 1: `[batch, height * width]`.
    pub fn attention(&self, map: Tensor<4>) -> Tensor<2> {
        let map = widen(map);
        let energy = if self.power == 2.0 {
            energy(map)
        } else {
            mean_channels(map, |x| x.abs().powf_scalar(self.power))
        };
        normalize(energy, 1)
    }
}
