//! From scores to indices.

use crate::error::AugmentError;

/// The positions of the `k` largest scores, the largest first; of equal scores the lower position comes first.
///
/// # Errors
/// A score that is not a number; `k` above the number of scores.
///
/// ```
/// assert_eq!(kd_augment::pick::top_k(&[0.1, 0.9, 0.5, 0.9], 3).unwrap(), [1, 3, 2]);
/// ```
pub fn top_k(scores: &[f32], k: usize) -> Result<Vec<usize>, AugmentError> {
    if k > scores.len() {
        return Err(AugmentError::PickExceedsPool {
            pick: k,
            pool: scores.len(),
        });
    }
    if let Some(index) = scores.iter().position(|score| score.is_nan()) {
        return Err(AugmentError::ScoreIsNan { index });
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 makes −0 equal to 0 in the total order. A stable sort keeps equal scores in order.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    order.truncate(k);
    Ok(order)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn edges() {
        assert!(top_k(&[], 0).unwrap().is_empty());
        assert_eq!(
            top_k(&[-0.0, 0.0, f32::NEG_INFINITY], 3).unwrap(),
            [0, 1, 2]
        );
        assert_eq!(top_k(&[1.0, f32::INFINITY], 1).unwrap(), [1]);
        assert!(matches!(
            top_k(&[1.0], 2),
            Err(AugmentError::PickExceedsPool { pick: 2, pool: 1 })
        ));
        assert!(matches!(
            top_k(&[1.0, f32::NAN], 1),
            Err(AugmentError::ScoreIsNan { index: 1 })
        ));
    }
}
