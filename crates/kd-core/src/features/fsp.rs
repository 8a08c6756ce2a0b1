use burn::tensor::Tensor;

use crate::divergence::{constant_like, widen};
use crate::features::maps::{Maps, pool};
use crate::math::mean_per_sample;

/// Flow of the solution procedure: how one stage turns into the next is to be as in the teacher,
/// `mean_ij (F_s,ij - F_t,ij)^2` with `F_ij = mean_p lower_i,p upper_j,p`, the inner products of the channels of two stages.
///
/// From Yim et al., "A Gift from Knowledge Distillation" (CVPR 2017), Eq. 1-2, summed over pairs of neighbouring stages and used to
/// start the student before it is trained on labels. Student and teacher must have the same channels; where the two maps of a network
/// differ in size, the larger is averaged to the smaller.
///
/// The teacher's maps are constants; see [`constant_like`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FspLoss;

impl FspLoss {
    /// The mean over the batch; shapes as in [`forward_no_reduction`](Self::forward_no_reduction), output `[1]`.
    pub fn forward(&self, student: [Tensor<4>; 2], teacher: [Tensor<4>; 2]) -> Tensor<1> {
        self.forward_no_reduction(student, teacher).mean()
    }

    /// One value per sample.
    ///
    /// # Shapes
    ///
    /// - `student`, `teacher`: `[lower, upper]`, each `[batch, channels, height, width]`; the channels of the lower maps are the same
    ///   for both networks, and those of the upper maps too
    /// - output: `[batch]`
    pub fn forward_no_reduction(
        &self,
        student: [Tensor<4>; 2],
        teacher: [Tensor<4>; 2],
    ) -> Tensor<1> {
        let student = student.map(widen);
        let teacher = teacher.map(|map| constant_like(map, &student[0]));
        let (of_student, of_teacher) = (flow(student), flow(teacher));
        assert_eq!(
            of_student.dims(),
            of_teacher.dims(),
            "student and teacher must have the same batch and the same channels in both maps"
        );
        mean_per_sample((of_student - of_teacher).square())
    }
}

/// `[batch, channels of lower, channels of upper]`.
fn flow([lower, upper]: [Tensor<4>; 2]) -> Tensor<3> {
    let [batch, _, height, width] = lower.dims();
    let [upper_batch, _, upper_height, upper_width] = upper.dims();
    assert_eq!(
        batch, upper_batch,
        "the lower and the upper map must be of the same batch"
    );
    let size = [height.min(upper_height), width.min(upper_width)];
    let (lower, upper) = (Maps::new(pool(lower, size)), Maps::new(pool(upper, size)));
    lower
        .products(upper)
        .mul_scalar(1.0 / (size[0] * size[1]) as f64)
}
