use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::divergence::{constant_like, project, track_like};
use crate::error::{CoreError, check_count, check_positive};
use crate::math::{assert_same_batch, gram, mean_square, normalize};

/// What of the correlations between samples is compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CcKernel {
    /// `mean_i sum_k |e_s - e_t|_i,k |e_s - e_t|_i+1,k` over consecutive samples: the code behind the published tables.
    Consecutive,
    /// The paper's Gaussian kernel of normalised embeddings, expanded to a power series (Eq. 9-10):
    /// `k(x, y) = sum_p exp(-2 gamma) (2 gamma)^p / p! (x y)^p`, compared by mean square over all pairs.
    Gaussian {
        /// Width of the kernel, in (0, inf); the paper's is 0.4.
        gamma: f64,
        /// The highest power; the paper's is 2.
        order: u32,
    },
}

/// Configuration of [`CcLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct CcLossConfig {
    /// Width of the student's embedding.
    pub student_features: usize,
    /// Width of the teacher's embedding.
    pub teacher_features: usize,
    /// Width to which both are brought.
    #[config(default = 128)]
    pub features: usize,
    /// What is compared.
    #[config(default = "CcKernel::Consecutive")]
    pub kernel: CcKernel,
    /// Seed of the weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl CcLossConfig {
    /// Checks the configuration and makes the loss with weights drawn as PyTorch draws them.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a width is 0 or `gamma` is not positive and finite.
    pub fn init(&self, device: &Device) -> Result<CcLoss, CoreError> {
        let count = |field, value| check_count(field, value, 1, "[1, inf)");
        let student = count("student_features", self.student_features)?;
        let teacher = count("teacher_features", self.teacher_features)?;
        let features = count("features", self.features)?;
        if let CcKernel::Gaussian { gamma, .. } = self.kernel {
            check_positive("gamma", gamma)?;
        }
        let loss = CcLoss {
            embed_s: LinearConfig::new(student, features).init(device),
            embed_t: LinearConfig::new(teacher, features).init(device),
            kernel: self.kernel,
        };
        Ok(kd_nn::initialize(
            loss,
            kd_nn::Scheme::UNIFORM_FAN_IN,
            self.seed,
        ))
    }
}

/// Correlation congruence: the correlations between the samples of a batch are to be those that the teacher sees.
///
/// From Peng et al., "Correlation Congruence for Knowledge Distillation" (ICCV 2019). Both embeddings pass a linear layer of this
/// module, and **both layers are trained with the student** (give the module to the optimiser and to the checkpoint); the teacher's
/// embedding itself is a constant (see [`constant_like`]). The code behind the published tables compares differences of consecutive
/// samples, not the kernel of the paper; [`CcKernel`] has both. A batch of one has no pair, and the loss 0.
///
/// Made by [`CcLossConfig`]. The loss is of pairs: it has no value per sample.
#[derive(Module, Debug)]
pub struct CcLoss {
    /// The student's layer.
    pub embed_s: Linear,
    /// The teacher's layer.
    pub embed_t: Linear,
    #[module(skip)]
    kernel: CcKernel,
}

impl CcLoss {
    /// # Shapes
    ///
    /// - `student`: `[batch, student_features]`
    /// - `teacher`: `[batch, teacher_features]`
    /// - output: `[1]`
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let [batch, _] = student.dims();
        assert_same_batch(&student, &teacher);
        // On the device of the student, where the layers are, and with a graph: the teacher's layer learns.
        let teacher = track_like(constant_like(teacher, &student), &student);
        let of_student = project(&self.embed_s, student);
        let of_teacher = project(&self.embed_t, teacher);
        match self.kernel {
            CcKernel::Consecutive => {
                let difference = (of_student - of_teacher).abs();
                if batch < 2 {
                    return difference.sum().mul_scalar(0.0);
                }
                let products =
                    difference.clone().narrow(0, 0, batch - 1) * difference.narrow(0, 1, batch - 1);
                products.sum_dim(1).mean()
            }
            CcKernel::Gaussian { gamma, order } => {
                let kernel = |x| correlations(x, gamma, order);
                mean_square(kernel(of_student) - kernel(of_teacher))
            }
        }
    }
}

fn correlations(x: Tensor<2>, gamma: f64, order: u32) -> Tensor<2> {
    let cosines = gram(normalize(x, 1));
    let mut factor = (-2.0 * gamma).exp();
    let mut sum = cosines.ones_like().mul_scalar(factor);
    let mut power: Option<Tensor<2>> = None;
    for p in 1..=order {
        factor *= 2.0 * gamma / f64::from(p);
        let next = match power {
            Some(power) => power * cosines.clone(),
            None => cosines.clone(),
        };
        sum = sum + next.clone().mul_scalar(factor);
        power = Some(next);
    }
    sum
}
