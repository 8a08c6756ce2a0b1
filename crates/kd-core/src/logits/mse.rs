use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence::{assert_same_shape, constant_like, widen};

/// Configuration of [`LogitMseLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct LogitMseLossConfig {
    /// Whether each row's mean is taken off first. A softmax does not see the mean, a squared difference does.
    #[config(default = false)]
    pub centered: bool,
}

impl LogitMseLossConfig {
    /// Makes the loss.
    pub fn init(&self) -> LogitMseLoss {
        LogitMseLoss {
            centered: self.centered,
        }
    }
}

/// Mean squared difference of logits: `mean_c (z_s,c - z_t,c)^2`.
///
/// From Ba and Caruana, "Do Deep Nets Really Need to be Deep?" (2014). Up to a factor it is the limit of
/// `tau^2 KL` as the temperature grows, for centred logits (Hinton et al., 2015, Section 2.1).
///
/// Made by [`LogitMseLossConfig`]. The teacher's logits are a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitMseLoss {
    centered: bool,
}

impl LogitMseLoss {
    /// The mean over the batch: `[batch, classes]` each -> `[1]`.
    pub fn forward(&self, student_logits: Tensor<2>, teacher_logits: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(student_logits, teacher_logits)
            .mean()
    }

    /// One value per sample: `[batch, classes]` each -> `[batch]`.
    pub fn forward_no_reduction(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
    ) -> Tensor<1> {
        assert_same_shape("teacher logits", &teacher_logits, &student_logits);
        let student_logits = widen(student_logits);
        let teacher = constant_like(teacher_logits, &student_logits);
        let mut difference = student_logits - teacher;
        if self.centered {
            difference = difference.clone() - difference.mean_dim(1);
        }
        difference.square().mean_dim(1).squeeze_dim(1)
    }
}
