use burn::config::Config;
use burn::tensor::Tensor;

use crate::divergence::{constant_like, widen};
use crate::error::{CoreError, check_weight};
use crate::features::kernels::own_products;
use crate::math::{
    assert_same_batch, inverse_root, is_rounding, sizes, smooth_l1, squared_distances,
};

/// Configuration of [`RkdLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct RkdLossConfig {
    /// Weight of the distances, in [0, inf).
    #[config(default = 25.0)]
    pub distance: f64,
    /// Weight of the angles, in [0, inf). At 0 they are not computed: they cost `B^3`.
    #[config(default = 50.0)]
    pub angle: f64,
}

impl RkdLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if a weight is negative or not finite.
    pub fn init(&self) -> Result<RkdLoss, CoreError> {
        Ok(RkdLoss {
            distance: check_weight("distance", self.distance)?,
            angle: check_weight("angle", self.angle)?,
        })
    }
}

/// Relational knowledge distillation: distances between pairs and angles between triples of samples are to be the teacher's,
/// `distance mean_ij h(d_s,ij - d_t,ij) + angle mean_ijk h(a_s,ijk - a_t,ijk)`.
///
/// `d` are Euclidean distances divided by the mean of those between different samples, `a_ijk` the cosine of the angle at `i` between
/// `j` and `k`, and `h` is Huber's function with threshold 1. From Park et al., "Relational Knowledge Distillation" (CVPR
/// 2019), Eq. 5-11; means are over all `B^2` and `B^3` as in the reference code, also where two of the samples are the same and
/// the term is 0. The widths of the two embeddings need not match. A batch of one has the loss 0.
///
/// Made by [`RkdLossConfig`]. The teacher's embedding is a constant; see [`constant_like`]. The loss is of pairs and triples: it
/// has no value per sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RkdLoss {
    distance: f64,
    angle: f64,
}

/// The two parts of [`RkdLoss`], without their weights.
#[derive(Debug, Clone)]
pub struct RkdTerms {
    /// Of the distances: `[1]`.
    pub distance: Tensor<1>,
    /// Of the angles: `[1]`. `None` if their weight is 0.
    pub angle: Option<Tensor<1>>,
}

impl RkdLoss {
    /// # Shapes
    ///
    /// - `student`: `[batch, features_s]`
    /// - `teacher`: `[batch, features_t]`
    /// - output: `[1]`
    pub fn forward(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let terms = self.terms(student, teacher);
        let distance = terms.distance.mul_scalar(self.distance);
        match terms.angle {
            Some(angle) => distance + angle.mul_scalar(self.angle),
            None => distance,
        }
    }

    /// The two parts apart; shapes as in [`forward`](Self::forward).
    pub fn terms(&self, student: Tensor<2>, teacher: Tensor<2>) -> RkdTerms {
        assert_same_batch(&student, &teacher);
        let student = widen(student);
        let teacher = constant_like(teacher, &student);
        let distance = smooth_l1(distances(student.clone()) - distances(teacher.clone())).mean();
        let angle = (self.angle > 0.0).then(|| smooth_l1(angles(student) - angles(teacher)).mean());
        RkdTerms { distance, angle }
    }
}

/// Distances divided by their mean over pairs of different samples: `[batch, batch]`.
fn distances(x: Tensor<2>) -> Tensor<2> {
    let [batch, _] = x.dims();
    let pairs = (batch * batch.saturating_sub(1)).max(1) as f64;
    let distances = crate::math::root(squared_distances(x));
    let mean = distances
        .clone()
        .sum_dim(1)
        .sum_dim(0)
        .mul_scalar(1.0 / pairs);
    let none = mean.clone().equal_elem(0.0);
    distances / mean.mask_fill(none, 1.0)
}

/// Cosines of the angles at each sample: `[batch, batch, batch]`. Between samples that are equal up
/// to rounding there is no direction.
fn angles(x: Tensor<2>) -> Tensor<3> {
    let from = x.clone().unsqueeze_dim::<3>(1);
    let sizes = sizes(&x).unsqueeze_dim::<3>(2);
    let differences = x.unsqueeze_dim::<3>(0) - from;
    let squares = differences.clone().square().sum_dim(2);
    let none = is_rounding(squares.clone().without_autodiff(), sizes);
    let inverse = inverse_root(squares).mask_fill(none, 0.0);
    own_products(differences * inverse, false)
}
