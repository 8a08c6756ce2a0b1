use burn::config::Config;
use burn::tensor::{Bool, Tensor};

use crate::divergence::{assert_same_shape, constant_like, softmax, widen};
use crate::error::{CoreError, check_temperature, check_weight};
use crate::math::{is_rounding, norm};

/// Configuration of [`DistLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct DistLossConfig {
    /// Weight of the relation between the classes of a sample, in [0, inf).
    #[config(default = 1.0)]
    pub beta: f64,
    /// Weight of the relation between the samples of a class, in [0, inf).
    #[config(default = 1.0)]
    pub gamma: f64,
    /// Softmax temperature `tau` of both networks, in [1e-6, 1e6]. The paper takes 1 on ImageNet and 4 on CIFAR-100.
    #[config(default = 1.0)]
    pub temperature: f64,
}

impl DistLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a weight is negative or the temperature not in its range.
    pub fn init(&self) -> Result<DistLoss, CoreError> {
        Ok(DistLoss {
            beta: check_weight("beta", self.beta)?,
            gamma: check_weight("gamma", self.gamma)?,
            temperature: check_temperature(self.temperature)?,
        })
    }
}

/// DIST, distillation from a stronger teacher:
/// `tau^2 (beta mean_i (1 - r(p_s[i, :], p_t[i, :])) + gamma mean_c (1 - r(p_s[:, c], p_t[:, c])))`.
///
/// `r` is Pearson's correlation: the student is to order and space the probabilities as the teacher does, not to equal them. From
/// Huang et al., "Knowledge Distillation from A Stronger Teacher" (NeurIPS 2022), Eq. 9-11. Where a
/// row or column of either does not vary by more than rounding (a batch of one image, a network
/// that says the same of all), `r` is 0 without gradient. As in the reference code, 1e-8 is added
/// to the product of the norms.
///
/// Made by [`DistLossConfig`]. The teacher's logits are a constant; see [`constant_like`]. The second part is a function of the
/// batch, so there is no value per sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistLoss {
    beta: f64,
    gamma: f64,
    temperature: f32,
}

impl DistLoss {
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`
    /// - output: `[1]`
    pub fn forward(&self, student_logits: Tensor<2>, teacher_logits: Tensor<2>) -> Tensor<1> {
        assert_same_shape("teacher logits", &teacher_logits, &student_logits);
        let student_logits = widen(student_logits);
        let teacher = softmax(
            constant_like(teacher_logits, &student_logits),
            self.temperature,
        );
        let student = softmax(student_logits, self.temperature);
        let apart = |dim| {
            pearson(student.clone(), teacher.clone(), dim)
                .mean()
                .neg()
                .add_scalar(1.0)
        };
        let between_classes = apart(1);
        let within_classes = apart(0);
        (between_classes.mul_scalar(self.beta) + within_classes.mul_scalar(self.gamma))
            .mul_scalar(f64::from(self.temperature).powi(2))
    }
}

/// Correlation along `dim`, which becomes 1.
fn pearson(a: Tensor<2>, b: Tensor<2>, dim: usize) -> Tensor<2> {
    let constant = is_constant(&a, dim).bool_or(is_constant(&b, dim));
    let (a, b) = (centre(a, dim), centre(b, dim));
    let (norm_a, norm_b) = (norm(a.clone(), dim), norm(b.clone(), dim));
    let constant = constant.bool_or(norm_a.clone().equal_elem(0.0));
    let norms = (norm_a * norm_b).add_scalar(1e-8);
    ((a * b).sum_dim(dim) / norms).mask_fill(constant, 0.0)
}

fn centre(x: Tensor<2>, dim: usize) -> Tensor<2> {
    x.clone() - x.mean_dim(dim)
}

/// Whether the numbers along `dim`, which becomes 1, are the same up to rounding.
fn is_constant(x: &Tensor<2>, dim: usize) -> Tensor<2, Bool> {
    let x = x.clone().without_autodiff();
    // Twice: the mean of equal numbers is rounded, and leaves all of them the same rest.
    let rest = centre(centre(x.clone(), dim), dim);
    is_rounding(rest.square().sum_dim(dim), x.square().sum_dim(dim))
}
