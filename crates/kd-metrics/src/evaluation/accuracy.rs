//! Top-k accuracy through the rank of the true class.

use burn::prelude::*;

/// Rank of the true class among the logits of its row, 0 for the highest: `[B, C]`, `[B, 1]` -> `[B, 1]`.
///
/// rank = #{j : z_j > z_y} + #{j < y : z_j = z_y}. Of tied classes the lower index stands first, as in a stable descending sort, so that the
/// result depends on nothing but the logits. A sample counts for top-k when its rank is below k.
pub(crate) fn true_class_rank(logits: Tensor<2>, labels: Tensor<2, Int>) -> Tensor<2> {
    let [_, classes] = logits.dims();
    let true_logit = logits.clone().gather(1, labels.clone());
    let index = Tensor::<1, Int>::arange(0..classes as i64, &logits.device()).unsqueeze::<2>();
    let ahead = logits.clone().greater(true_logit.clone());
    let tied_before = logits.equal(true_logit).bool_and(index.lower(labels));
    ahead.bool_or(tied_before).float().sum_dim(1)
}

/// Counts of samples whose true class is the first, or among the first five.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopHits {
    top1: u64,
    top5: u64,
}

impl TopHits {
    pub(crate) fn push(&mut self, rank: f32) {
        self.top1 += u64::from(rank < 1.0);
        self.top5 += u64::from(rank < 5.0);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.top1 += other.top1;
        self.top5 += other.top5;
    }

    /// Fractions (top-1, top-5) of `samples`.
    pub(crate) fn fractions(&self, samples: u64) -> (f64, f64) {
        let of = |hits: u64| hits as f64 / samples as f64;
        (of(self.top1), of(self.top5))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lower_index_of_tied_classes_stands_first() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[1.0, 3.0, 3.0, 3.0, 0.0]], &device);
        let ranks: Vec<f32> = (0..5)
            .map(|label| {
                let label = Tensor::<2, Int>::from_data([[label]], &device);
                true_class_rank(logits.clone(), label).into_scalar::<f32>()
            })
            .collect();
        assert_eq!(ranks, [3.0, 0.0, 1.0, 2.0, 4.0]);
    }
}
