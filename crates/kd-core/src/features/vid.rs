use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use kd_nn::{Conv2d, Conv2dConfig, Fused};

use crate::divergence::{constant_like, widen};
use crate::error::{CoreError, check_count, check_positive};
use crate::features::kernels::mean_squares_per_channel;
use crate::features::maps::{match_sizes, pair};

/// Configuration of [`VidLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct VidLossConfig {
    /// Channels of the student's map.
    pub student_channels: usize,
    /// Channels of the teacher's map.
    pub teacher_channels: usize,
    /// The variance of each channel at the start, above `epsilon`.
    #[config(default = 5.0)]
    pub initial_variance: f64,
    /// The least variance, in (0, inf).
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Seed of the regressor's weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl VidLossConfig {
    /// Checks the configuration and makes the loss with its regressor, weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if there are no channels, or a variance is not positive and finite or not above `epsilon`.
    pub fn init(&self, device: &Device) -> Result<VidLoss, CoreError> {
        let student = check_count("student_channels", self.student_channels, 1, "[1, inf)")?;
        let teacher = check_count("teacher_channels", self.teacher_channels, 1, "[1, inf)")?;
        let epsilon = check_positive("epsilon", self.epsilon)?;
        let variance = check_positive("initial_variance", self.initial_variance)?;
        if variance <= epsilon {
            return Err(CoreError::OutOfRange {
                field: "initial_variance",
                value: variance,
                range: "(epsilon, inf)",
            });
        }
        let conv = |from| {
            Conv2dConfig::new([from, teacher], [1, 1])
                .with_bias(false)
                .init(device)
        };
        // The inverse of softplus; for large variances softplus is the identity and exp would overflow.
        let excess = variance - epsilon;
        let log_scale = if excess > 30.0 {
            excess
        } else {
            excess.exp_m1().ln()
        };
        let loss = VidLoss {
            regressor: vec![conv(student), conv(teacher), conv(teacher)],
            log_scale: Param::from_tensor(Tensor::full([teacher], log_scale, device)),
            epsilon,
        };
        Ok(kd_nn::initialize(
            loss,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

/// Variational information distillation: the negative log-likelihood of the teacher's map under a Gaussian whose mean is a regression
/// from the student's and whose variance is learnt for each channel, `mean (mu(s) - t)^2 / (2 var_c) + log(var_c) / 2`.
///
/// From Ahn et al., "Variational Information Distillation for Knowledge Transfer" (CVPR 2019), Eq. 5-6. The regressor is three 1×1
/// convolutions with ReLU between them; `var = softplus(log_scale) + epsilon`. One pair of maps; the published experiments sum it over
/// the stages. Where sizes differ, the larger map is averaged to the smaller.
///
/// Made by [`VidLossConfig`]. Regressor and variances are part of this module and are trained with the student. The loss can be negative:
/// where the regression is good, its variance goes towards `epsilon`. The teacher's map is a constant; see [`constant_like`].
#[derive(Module, Debug)]
pub struct VidLoss {
    /// From the student's channels to the teacher's.
    pub regressor: Vec<Conv2d>,
    /// `[teacher_channels]`; the variance is `softplus(log_scale) + epsilon`.
    pub log_scale: Param<Tensor<1>>,
    epsilon: f64,
}

impl VidLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`: `[batch, student_channels, height_s, width_s]`
    /// - `teacher`: `[batch, teacher_channels, height_t, width_t]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let (student, teacher) = match_sizes(student, teacher);
        let mean = widen(self.regress(student));
        let teacher = teacher.cast(mean.dtype());
        let squares = mean_squares_per_channel(&mean, &teacher).unwrap_or_else(|| {
            let (mean, teacher) = pair(mean, teacher);
            mean.minus(teacher).map(|x| x.square()).mean_pixels()
        });
        let variance = widen(self.variance()).unsqueeze::<2>();
        let likelihood = squares / variance.clone() + variance.log();
        likelihood.mean_dim(1).squeeze_dim(1).mul_scalar(0.5)
    }

    /// The variance of each channel: `[teacher_channels]`.
    pub fn variance(&self) -> Tensor<1> {
        activation::softplus(self.log_scale.val(), 1.0).add_scalar(self.epsilon)
    }

    fn regress(&self, map: Tensor<4>) -> Tensor<4> {
        let mut layers = Fused::new();
        for (i, conv) in self.regressor.iter().enumerate() {
            if i > 0 {
                layers = layers.relu();
            }
            layers = layers.conv(conv);
        }
        layers.forward(map.cast(self.log_scale.dtype()))
    }
}
