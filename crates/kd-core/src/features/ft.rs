use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor, activation};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};
use serde::{Deserialize, Serialize};

use crate::divergence::{constant_like, widen};
use crate::error::{CoreError, check_count, check_positive};
use crate::features::kernels;
use crate::features::maps::{energy, match_sizes, pair};
use crate::math::{mean_per_sample, mean_square, normalize};

const SLOPE: f64 = 0.1;

/// What of the factors is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtFactor {
    /// The attention map of a factor, the mean over its channels of the squares, scaled to norm 1: the code behind the published tables.
    Attention,
    /// The whole factor, scaled to norm 1: Eq. 4 of the paper. Both must have the same channels.
    Whole,
}

/// Configuration of [`FtLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct FtLossConfig {
    /// What is compared.
    #[config(default = "FtFactor::Attention")]
    pub factor: FtFactor,
}

impl FtLossConfig {
    /// Makes the loss.
    pub fn init(&self) -> FtLoss {
        FtLoss {
            factor: self.factor,
        }
    }
}

/// Factor transfer: the mean absolute difference between the normalised factors of student and teacher.
///
/// From Kim, Park and Kwak, "Paraphrasing Complex Network" (NeurIPS 2018), Eq. 4 with p = 1. The teacher's factor is what a
/// [`Paraphraser`], trained beforehand to reconstruct the teacher's map, makes of it; the student's is what a [`Translator`], trained
/// with the student, makes of the student's map.
///
/// Made by [`FtLossConfig`]. The teacher's factor is a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FtLoss {
    factor: FtFactor,
}

impl FtLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`, `teacher`: factors, `[batch, channels, height, width]`; where sizes differ, the larger is averaged to the smaller
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let (student, teacher) = match_sizes(student, teacher);
        let (student, teacher) = match self.factor {
            FtFactor::Attention => (normalize(energy(student), 1), normalize(energy(teacher), 1)),
            FtFactor::Whole => {
                let (student, teacher) = pair(student, teacher);
                (normalize(student.flat(), 1), normalize(teacher.flat(), 1))
            }
        };
        mean_per_sample((student - teacher).abs())
    }
}

/// Configuration of a [`Paraphraser`].
#[derive(Config, Debug, PartialEq)]
pub struct ParaphraserConfig {
    /// Channels of the teacher's map.
    pub channels: usize,
    /// Channels of the factor as a share of them, in (0, inf).
    #[config(default = 0.5)]
    pub rate: f64,
    /// Seed of the weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// The teacher's map as a factor of fewer channels, from which the map can be told: three convolutions and, for training, three
/// transposed ones back, all 3×3 and followed by a leaky ReLU (slope 0.1).
///
/// Trained before the student, without labels, on [`reconstruction_loss`](Self::reconstruction_loss); then used without autodiff.
#[derive(Module, Debug)]
pub struct Paraphraser {
    /// From the map to the factor.
    pub encoder: Vec<Conv2d>,
    /// From the factor to the map.
    pub decoder: Vec<ConvTranspose2d>,
}

impl ParaphraserConfig {
    /// Channels of the factor: `rate * channels`, rounded down.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if that is 0.
    pub fn factor_channels(&self) -> Result<usize, CoreError> {
        factor_channels(self.channels, self.rate)
    }

    /// Checks the configuration and makes the layers, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if map or factor would have no channel.
    pub fn init(&self, device: &Device) -> Result<Paraphraser, CoreError> {
        let (channels, factor) = (self.channels, self.factor_channels()?);
        let transposed = |from, to| {
            ConvTranspose2dConfig::new([from, to], [3, 3])
                .with_padding([1, 1])
                .init(device)
        };
        let paraphraser = Paraphraser {
            encoder: vec![
                conv3x3(channels, channels, device),
                conv3x3(channels, factor, device),
                conv3x3(factor, factor, device),
            ],
            decoder: vec![
                transposed(factor, factor),
                transposed(factor, channels),
                transposed(channels, channels),
            ],
        };
        Ok(kd_nn::initialize(
            paraphraser,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl Paraphraser {
    /// The factor of a map: `[batch, channels, height, width]` -> `[batch, factor channels, height, width]`.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.encoder.iter().fold(map, |x, conv| {
            leaky_relu(conv.forward(x.cast(conv.weight.dtype())))
        })
    }

    /// The map of a factor: `[batch, factor channels, height, width]` -> `[batch, channels, height, width]`.
    pub fn reconstruct(&self, factor: Tensor<4>) -> Tensor<4> {
        self.decoder
            .iter()
            .fold(factor, |x, conv| leaky_relu(conv.forward(x)))
    }

    /// What the paraphraser is trained on: the mean squared difference between a map and its reconstruction, `[1]`.
    pub fn reconstruction_loss(&self, map: Tensor<4>) -> Tensor<1> {
        let found = widen(self.reconstruct(self.forward(map.clone())));
        let map = map.cast(found.dtype());
        mean_square(found - map)
    }
}

/// Configuration of a [`Translator`].
#[derive(Config, Debug, PartialEq)]
pub struct TranslatorConfig {
    /// Channels of the student's map.
    pub student_channels: usize,
    /// Channels of the teacher's map.
    pub teacher_channels: usize,
    /// Channels of the factor as a share of the teacher's, in (0, inf): the [`Paraphraser`]'s.
    #[config(default = 0.5)]
    pub rate: f64,
    /// Seed of the weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// The student's map as a factor: three 3×3 convolutions, each followed by batch norm and a leaky ReLU (slope 0.1). Trained with the
/// student.
#[derive(Module, Debug)]
pub struct Translator {
    /// The convolutions.
    pub encoder: Vec<Conv2d>,
    /// The norm after each.
    pub norms: Vec<BatchNorm>,
}

impl TranslatorConfig {
    /// Checks the configuration and makes the layers, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a map or the factor would have no channel.
    pub fn init(&self, device: &Device) -> Result<Translator, CoreError> {
        let channels = check_count("student_channels", self.student_channels, 1, "[1, inf)")?;
        let factor = factor_channels(self.teacher_channels, self.rate)?;
        let translator = Translator {
            encoder: vec![
                conv3x3(channels, channels, device),
                conv3x3(channels, factor, device),
                conv3x3(factor, factor, device),
            ],
            norms: [channels, factor, factor]
                .map(|channels| BatchNormConfig::new(channels).init(device))
                .into(),
        };
        Ok(kd_nn::initialize(
            translator,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl Translator {
    /// The factor of a map: `[batch, channels, height, width]` -> `[batch, factor channels, height, width]`.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        self.encoder
            .iter()
            .zip(&self.norms)
            .fold(map, |x, (conv, norm)| {
                let x = x.cast(conv.weight.dtype());
                leaky_relu(Fused::new().conv(conv).norm(norm).forward(x))
            })
    }
}

fn leaky_relu(x: Tensor<4>) -> Tensor<4> {
    kernels::leaky_relu(x.clone(), SLOPE as f32).unwrap_or_else(|| activation::leaky_relu(x, SLOPE))
}

fn factor_channels(channels: usize, rate: f64) -> Result<usize, CoreError> {
    let rate = check_positive("rate", rate)?;
    let factor = (channels as f64 * rate) as usize;
    check_count(
        "channels of the factor",
        factor,
        1,
        "[1, inf): rate * channels, rounded down",
    )
}

fn conv3x3(from: usize, to: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new([from, to], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(device)
}
