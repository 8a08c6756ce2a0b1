use burn::config::Config;
use burn::tensor::{Int, Tensor};

use crate::divergence::{assert_same_shape, constant_like, kl, labels_like, soften, widen};
use crate::error::{CoreError, check_temperature, check_weight};

/// Configuration of [`DkdLoss`]. The defaults are the published ones for most CIFAR-100 pairs; `beta` is to be tuned per teacher
/// (the paper's range is 0.5 to 10).
#[derive(Config, Debug, PartialEq)]
pub struct DkdLossConfig {
    /// Weight of the target class's part, in [0, inf).
    #[config(default = 1.0)]
    pub alpha: f64,
    /// Weight of the other classes' part, in [0, inf).
    #[config(default = 8.0)]
    pub beta: f64,
    /// Softmax temperature `tau` of both networks, in [1e-6, 1e6].
    #[config(default = 4.0)]
    pub temperature: f64,
}

impl DkdLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a weight is negative or the temperature not in its range.
    pub fn init(&self) -> Result<DkdLoss, CoreError> {
        Ok(DkdLoss {
            alpha: check_weight("alpha", self.alpha)?,
            beta: check_weight("beta", self.beta)?,
            temperature: check_temperature(self.temperature)?,
        })
    }
}

/// Decoupled knowledge distillation: `tau^2 (alpha KL(b_t || b_s) + beta KL(q_t || q_s))`, all at temperature `tau`.
///
/// `b = (p_y, 1 - p_y)` is the pair of the target class and the rest, `q` the distribution over the other classes alone. With
/// `beta = 1 - p_t,y` (and `alpha = 1`) it would be [`KlLoss`](crate::KlLoss); decoupling stops a confident teacher from muting what it
/// says of the other classes. From Zhao et al., "Decoupled Knowledge Distillation" (CVPR 2022), Eq. 7; there the weight of
/// this term is ramped up over the first 20 epochs ([`Ramp::Linear`](crate::Ramp::Linear)).
///
/// Both parts are computed from logits (the rest enters as its log-sum-exp), so a probability that underflows to 0 or rounds to 1 is no
/// infinity, as it is where the logarithm of a softmax is taken.
///
/// Made by [`DkdLossConfig`]. The teacher's logits are a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DkdLoss {
    alpha: f64,
    beta: f64,
    temperature: f32,
}

/// The two parts of [`DkdLoss`], per sample, with `tau^2` and without their weights.
#[derive(Debug, Clone)]
pub struct DkdTerms {
    /// `tau^2 KL(b_t || b_s)`: `[batch]`.
    pub target: Tensor<1>,
    /// `tau^2 KL(q_t || q_s)`: `[batch]`.
    pub others: Tensor<1>,
}

impl DkdLoss {
    /// The mean over the batch; shapes as in [`terms`](Self::terms), output `[1]`.
    pub fn forward(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.forward_no_reduction(student_logits, teacher_logits, labels)
            .mean()
    }

    /// One value per sample; shapes as in [`terms`](Self::terms), output `[batch]`.
    pub fn forward_no_reduction(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let terms = self.terms(student_logits, teacher_logits, labels);
        terms.target.mul_scalar(self.alpha) + terms.others.mul_scalar(self.beta)
    }

    /// The two parts apart.
    ///
    /// # Shapes
    ///
    /// - `student_logits`, `teacher_logits`: `[batch, classes]`, two classes at least
    /// - `labels`: `[batch]`, each in `0..classes`
    pub fn terms(
        &self,
        student_logits: Tensor<2>,
        teacher_logits: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> DkdTerms {
        assert_same_shape("teacher logits", &teacher_logits, &student_logits);
        let [_, classes] = student_logits.dims();
        assert!(classes > 1, "{classes} classes: two are needed");
        let student_logits = widen(student_logits);
        let teacher = soften(
            constant_like(teacher_logits, &student_logits),
            self.temperature,
        );
        let labels = labels_like(labels, &student_logits).unsqueeze_dim::<2>(1);
        // The other classes of a sample, in order: c below the label, c + 1 from it on.
        let below =
            Tensor::<1, Int>::arange(0..classes as i64 - 1, &labels.device()).unsqueeze::<2>();
        let skip = below.clone().greater_equal(labels.clone());
        let others = below + skip.int();

        let student = soften(student_logits, self.temperature);
        let part = |logits: Tensor<2>| {
            let rest = logits.clone().gather(1, others.clone());
            let target = logits.gather(1, labels.clone());
            (
                Tensor::cat(vec![target, log_sum_exp(rest.clone())], 1),
                rest,
            )
        };
        let (pair_t, rest_t) = part(teacher);
        let (pair_s, rest_s) = part(student);
        let scale = f64::from(self.temperature).powi(2);
        DkdTerms {
            target: kl(pair_t, pair_s, 1.0).mul_scalar(scale),
            others: kl(rest_t, rest_s, 1.0).mul_scalar(scale),
        }
    }
}

/// `log sum_c exp(z_c)`: `[batch, classes]` -> `[batch, 1]`.
fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    let most = logits.clone().detach().max_dim(1);
    (logits - most.clone()).exp().sum_dim(1).log() + most
}
