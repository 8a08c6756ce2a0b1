use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor, activation};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};

use crate::divergence::{constant_like, widen};
use crate::error::CoreError;
use crate::features::maps::mean_squared_difference;

/// Configuration of a [`Hint`].
#[derive(Config, Debug, PartialEq)]
pub struct HintConfig {
    /// Channels, height and width of the student's map.
    pub student: [usize; 3],
    /// Channels, height and width of the teacher's map.
    pub teacher: [usize; 3],
    /// Whether a ReLU follows: yes for maps after their activation, no for maps before it.
    #[config(default = true)]
    pub relu: bool,
    /// Seed of the weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// The student's map brought to the shape of the teacher's: a convolution, batch norm and, if so configured, ReLU.
///
/// The convolution follows the sizes, as in the reference code: 3×3 with stride 2 where the teacher's map is half as large, a
/// transposed one, 4×4 with stride 2, where it is twice as large, and otherwise without padding, as large as the difference in size
/// plus one (1×1 for equal sizes). It is trained with the student: give it to the optimiser and to the checkpoint.
#[derive(Module, Debug)]
pub struct Hint {
    /// The convolution.
    pub conv: HintConv,
    /// The norm after it.
    pub norm: BatchNorm,
    relu: bool,
}

/// The convolution of a [`Hint`].
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one of them lives as long as the training"
)]
pub enum HintConv {
    /// To a map that is not larger.
    Conv(Conv2d),
    /// To a map of twice the size.
    Transposed(ConvTranspose2d),
}

impl HintConfig {
    /// Makes the layers, with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::Shape`] if a size is 0, or if the teacher's map is larger than the student's but not twice as large.
    pub fn init(&self, device: &Device) -> Result<Hint, CoreError> {
        let ([channels_s, height_s, width_s], [channels_t, height_t, width_t]) =
            (self.student, self.teacher);
        let size = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w}");
        let shape = |what, found, expected: &str| CoreError::Shape {
            what,
            found,
            expected: expected.to_string(),
        };
        for (what, map) in [
            ("the student's map", self.student),
            ("the teacher's map", self.teacher),
        ] {
            if map.contains(&0) {
                return Err(shape(what, size(map), "no 0"));
            }
        }
        let channels = [channels_s, channels_t];
        let halved = [height_s, width_s] == [2 * height_t, 2 * width_t];
        let doubled = [2 * height_s, 2 * width_s] == [height_t, width_t];
        let conv = if doubled {
            HintConv::Transposed(
                ConvTranspose2dConfig::new(channels, [4, 4])
                    .with_stride([2, 2])
                    .with_padding([1, 1])
                    .init(device),
            )
        } else {
            let config = if halved {
                Conv2dConfig::new(channels, [3, 3])
                    .with_stride([2, 2])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            } else if height_s >= height_t && width_s >= width_t {
                Conv2dConfig::new(channels, [1 + height_s - height_t, 1 + width_s - width_t])
            } else {
                return Err(shape(
                    "the teacher's map beside the student's",
                    format!("{} and {}", size(self.teacher), size(self.student)),
                    "a teacher's map that is not larger, or exactly twice as large",
                ));
            };
            HintConv::Conv(config.init(device))
        };
        let hint = Hint {
            conv,
            norm: BatchNormConfig::new(channels_t).init(device),
            relu: self.relu,
        };
        Ok(kd_nn::initialize(
            hint,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

impl Hint {
    /// `[batch, channels_s, height_s, width_s]` -> `[batch, channels_t, height_t, width_t]`, in the
    /// number type of the weights.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        match &self.conv {
            HintConv::Conv(conv) => {
                let map = map.cast(conv.weight.dtype());
                let layers = Fused::new().conv(conv).norm(&self.norm);
                if self.relu { layers.relu() } else { layers }.forward(map)
            }
            HintConv::Transposed(conv) => {
                let map = map.cast(conv.weight.dtype());
                let map = self.norm.forward(conv.forward(map));
                if self.relu {
                    activation::relu(map)
                } else {
                    map
                }
            }
        }
    }
}

/// Configuration of [`FitNetLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct FitNetLossConfig {
    /// Channels, height and width of the student's map.
    pub student: [usize; 3],
    /// Channels, height and width of the teacher's map.
    pub teacher: [usize; 3],
    /// Whether a ReLU follows the regressor: yes for maps after their activation.
    #[config(default = true)]
    pub relu: bool,
    /// Seed of the regressor's weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl FitNetLossConfig {
    /// Checks the configuration and makes the loss with its regressor.
    ///
    /// # Errors
    ///
    /// [`CoreError::Shape`] as for [`HintConfig::init`].
    pub fn init(&self, device: &Device) -> Result<FitNetLoss, CoreError> {
        let hint = HintConfig::new(self.student, self.teacher)
            .with_relu(self.relu)
            .with_seed(self.seed);
        Ok(FitNetLoss {
            hint: hint.init(device)?,
        })
    }
}

/// FitNets: the mean squared difference between the teacher's map, the hint, and the student's behind a regressor.
///
/// From Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015), Eq. 3. There it trains the student's first half alone before
/// anything else; the published tables add it to the cross-entropy from the start, at one stage in the middle.
///
/// Made by [`FitNetLossConfig`]. The regressor is part of this module and is trained with the student. The teacher's map is a constant;
/// see [`constant_like`].
#[derive(Module, Debug)]
pub struct FitNetLoss {
    /// The regressor.
    pub hint: Hint,
}

impl FitNetLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`: `[batch, channels_s, height_s, width_s]`, as configured
    /// - `teacher`: `[batch, channels_t, height_t, width_t]`, as configured
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let student = widen(self.hint.forward(student));
        let teacher = constant_like(teacher, &student);
        mean_squared_difference(student, teacher)
    }
}
