use burn::tensor::Tensor;

use crate::divergence::{constant_like, widen};
use crate::features::maps::{Maps, match_sizes};
use crate::math::{inverse_root, mean_per_sample};

/// Neuron selectivity transfer: the squared maximum mean discrepancy between the channels of student and teacher,
/// `mean k(t, t') + mean k(s, s') - 2 mean k(s, t)`, each channel's map a vector of norm 1 and `k(a, b) = (a b)^2`.
///
/// From Huang and Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer" (2017), the polynomial kernel of
/// degree 2. One pair of maps; the published experiments sum it over the stages. Channels may differ; where sizes differ, the
/// larger map is averaged to the smaller. A channel of zeros is a vector of zeros, without gradient.
///
/// Norms are taken from the diagonal of the matrix of inner products, so the maps are read by matrix products alone.
///
/// The teacher's map is a constant; see [`constant_like`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NstLoss;

impl NstLoss {
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
        let (student, teacher) = (Maps::new(student), Maps::new(teacher));
        if let Some(values) = student.selectivity(&teacher) {
            return values;
        }
        let within_s = student.clone().own_products();
        let within_t = teacher.clone().own_products();
        let (inverse_s, inverse_t) = (inverse_squares(&within_s), inverse_squares(&within_t));
        let kernel = |products: Tensor<3>, rows: Tensor<3>, columns: Tensor<3>| {
            mean_per_sample(products.square() * rows * columns.transpose())
        };
        let across = student.products(teacher);
        kernel(within_t, inverse_t.clone(), inverse_t.clone())
            + kernel(within_s, inverse_s.clone(), inverse_s.clone())
            - kernel(across, inverse_s, inverse_t).mul_scalar(2.0)
    }
}

/// `1 / |c|^2` of each channel from the inner products `[batch, channels, channels]`, 0 where it is zero: `[batch, channels, 1]`.
fn inverse_squares(products: &Tensor<3>) -> Tensor<3> {
    let [_, channels, _] = products.dims();
    let eye = Tensor::<2>::eye(channels, &products.device())
        .cast(products.dtype())
        .unsqueeze::<3>();
    let squares = (products.clone() * eye).sum_dim(2);
    inverse_root(squares).square()
}
