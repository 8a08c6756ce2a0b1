//! What one sample contributes: everything that needs its whole row of scores.

use serde::{Deserialize, Serialize};

use super::human;
use crate::error::{MetricError, beyond_f32, is_distribution};

/// Given probabilities below this count as this in logarithms: f32's smallest normal number, 87.3 nats.
pub(crate) const FLOOR: f64 = f32::MIN_POSITIVE as f64;

/// What an [`Evaluation`](super::Evaluation) found for one sample; kept where its settings say so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowReport {
    /// The true class.
    pub label: usize,
    /// The class of the highest score; of tied classes the lowest index.
    pub predicted: usize,
    /// Classes that stand before the true one; 0 where it is the one predicted. Of tied classes the lower index stands first, as in a
    /// stable descending sort, so that the rank depends on nothing but the scores.
    pub rank: usize,
    /// Probability of the predicted class.
    pub confidence: f64,
    /// Negative log-likelihood of the true class, in nats.
    pub nll: f64,
    /// Σ_c (p_c − \[c = y\])², in [0, 2].
    pub brier: f64,
    /// Entropy of the probabilities, in nats.
    pub entropy: f64,
    /// KL(human‖model) and KL(model‖smoothed human) in nats, where there are human labels.
    pub kl: Option<(f64, f64)>,
}

/// What the rows of an update are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scores {
    Logits,
    Probabilities,
}

/// Turns a row of scores into probabilities, in place, and says what the sample contributes. `row` is its number, for errors;
/// `people` is the human distribution, which is normalised in place, and how much it is smoothed.
pub(crate) fn read(
    kind: Scores,
    scores: &mut [f64],
    label: i64,
    people: Option<(&mut [f64], f64)>,
    row: usize,
) -> Result<RowReport, MetricError> {
    match kind {
        Scores::Logits if beyond_f32(scores).is_some() => {
            return Err(MetricError::Logits { row });
        }
        Scores::Logits => {}
        Scores::Probabilities => normalise("the probabilities", scores, row)?,
    }
    let classes = scores.len();
    let label = usize::try_from(label)
        .ok()
        .filter(|label| *label < classes)
        .ok_or(MetricError::Label {
            row,
            label,
            classes,
        })?;
    let (predicted, highest) = first_highest(scores);
    let rank = rank(scores, label);

    let own = scores[label];
    // Human labels are compared with the logarithms, which are gone once the scores are probabilities.
    let given = people.is_some().then(|| scores.to_vec());
    let (log_sum, entropy) = match kind {
        Scores::Logits => softmax(scores, highest),
        Scores::Probabilities => (
            0.0,
            -scores.iter().map(|&p| p * floored_log(p)).sum::<f64>(),
        ),
    };
    let log = |score: f64| match kind {
        Scores::Logits => score - log_sum,
        Scores::Probabilities => floored_log(score),
    };
    let nll = -log(own);
    let kl = match (people, given) {
        (Some((people, smoothing)), Some(given)) => {
            normalise(human::WHAT, people, row)?;
            let logs: Vec<f64> = given.into_iter().map(log).collect();
            Some(human::divergences(people, &logs, smoothing))
        }
        _ => None,
    };
    let squares: f64 = scores.iter().map(|p| p * p).sum();
    Ok(RowReport {
        label,
        predicted,
        rank,
        // Rounding may leave them a last bit outside of their ranges.
        confidence: scores[predicted].min(1.0),
        nll: nll.max(0.0),
        brier: (squares - 2.0 * scores[label] + 1.0).max(0.0),
        entropy: entropy.max(0.0),
        kl,
    })
}

fn floored_log(p: f64) -> f64 {
    p.max(FLOOR).ln()
}

/// Logits become probabilities, in place; gives ln Σ exp(z) and their entropy, which is that less Σ p z.
fn softmax(logits: &mut [f64], highest: f64) -> (f64, f64) {
    let (mut sum, mut weighted) = (0.0, 0.0);
    for z in logits.iter_mut() {
        let below = *z - highest;
        *z = below.exp();
        sum += *z;
        weighted += *z * below;
    }
    let scale = 1.0 / sum;
    for p in logits.iter_mut() {
        *p *= scale;
    }
    (highest + sum.ln(), sum.ln() - weighted * scale)
}

/// Divides a row by its sum, if it is a distribution.
fn normalise(what: &'static str, values: &mut [f64], row: usize) -> Result<(), MetricError> {
    // `f64::min` skips NaN, but the sum keeps it.
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let sum: f64 = values.iter().sum();
    if !is_distribution(lowest, sum) {
        return Err(MetricError::Distribution {
            what,
            row,
            lowest,
            sum,
        });
    }
    for value in values {
        *value /= sum;
    }
    Ok(())
}

fn first_highest(scores: &[f64]) -> (usize, f64) {
    let start = (0, f64::NEG_INFINITY);
    let pairs = scores.iter().copied().enumerate();
    pairs.fold(
        start,
        |best, (index, score)| {
            if score > best.1 { (index, score) } else { best }
        },
    )
}

/// #{j : z_j > z_y} + #{j < y : z_j = z_y}.
fn rank(scores: &[f64], label: usize) -> usize {
    let own = scores[label];
    let ahead = |&(index, &score): &(usize, &f64)| score > own || score == own && index < label;
    scores.iter().enumerate().filter(ahead).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_lower_index_of_tied_classes_stands_first() {
        let scores = [1.0, 3.0, 3.0, 3.0, 0.0];
        let ranks: Vec<_> = (0..5).map(|label| rank(&scores, label)).collect();
        assert_eq!(ranks, [3, 0, 1, 2, 4]);
        assert_eq!(first_highest(&scores), (1, 3.0));
    }

    #[test]
    fn logits_and_their_probabilities_say_the_same() {
        let logits = [0.5, -1.0, 2.0];
        let mut first = logits;
        let a = read(Scores::Logits, &mut first, 1, None, 0).unwrap();
        let mut second = first;
        let b = read(Scores::Probabilities, &mut second, 1, None, 0).unwrap();
        for (a, b) in [
            (a.nll, b.nll),
            (a.brier, b.brier),
            (a.entropy, b.entropy),
            (a.confidence, b.confidence),
        ] {
            assert!((a - b).abs() < 1e-14, "{a} {b}");
        }
        assert_eq!((a.rank, a.predicted), (b.rank, b.predicted));
    }

    #[test]
    fn a_probability_of_zero_costs_a_finite_number_of_nats() {
        let mut row = [1.0, 0.0];
        let wrong = read(Scores::Probabilities, &mut row, 1, None, 0).unwrap();
        assert_eq!(wrong.nll, -FLOOR.ln());
        assert_eq!((wrong.brier, wrong.entropy), (2.0, 0.0));
    }
}
