use burn::tensor::Tensor;

use crate::divergence::{constant_like, widen};
use crate::math::{assert_same_batch, gram, norm};

const EPSILON: f64 = 1e-7;

/// Probabilistic knowledge transfer: the probability that one sample of the batch picks another as its neighbour is to be the teacher's,
/// `mean_ij p_t,ij log(p_t,ij / p_s,ij)` with `p_ij` proportional to `(cos(x_i, x_j) + 1) / 2`, rows summing to 1.
///
/// From Passalis and Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer" (ECCV 2018), Eq. 6-8; as in the
/// authors' code the mean is over all `B^2` pairs and 1e-7 is added to norms and probabilities. Published with the embedding before the
/// classifier. The widths of the two embeddings need not match. An embedding of zeros has no gradient.
///
/// The teacher's embedding is a constant; see [`constant_like`]. The loss is of pairs: it has no value per sample.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PktLoss;

impl PktLoss {
    /// # Shapes
    ///
    /// - `student`: `[batch, features_s]`
    /// - `teacher`: `[batch, features_t]`
    /// - output: `[1]`
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        assert_same_batch(&student, &teacher);
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let (of_student, of_teacher) = (neighbours(student), neighbours(teacher));
        let log_ratio =
            of_teacher.clone().add_scalar(EPSILON).log() - of_student.add_scalar(EPSILON).log();
        (of_teacher * log_ratio).mean()
    }
}

/// The probabilities of the neighbours of each sample, itself among them: `[batch, batch]`, rows sum to 1.
fn neighbours(x: Tensor<2>) -> Tensor<2> {
    let norms = norm(x.clone(), 1);
    let nothing = norms.clone().equal_elem(0.0);
    let inverse = norms.add_scalar(EPSILON).recip().mask_fill(nothing, 0.0);
    let similarities = gram(x * inverse).add_scalar(1.0).mul_scalar(0.5);
    similarities.clone() / similarities.sum_dim(1)
}
