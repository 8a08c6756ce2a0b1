//! How two measures go together.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::error::{MetricError, check_finite, expect_count};

/// Correlations of pairs (x, y), and the line through them: of T. stddev with the student's test loss, for one (Wang et al., "What Makes
/// a Good Data Augmentation in Knowledge Distillation", 2022, figures 2 and 3).
///
/// P-values are two-sided, for the hypothesis that x and y are independent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Pairs.
    pub count: usize,
    /// Pearson's r: whether they lie on a line. P-value from Student's t with n − 2 degrees of freedom, for normal values.
    pub pearson: Correlation,
    /// Spearman's ρ: Pearson's r of the ranks, tied values with the mean of theirs. P-value from Student's t as well, an approximation.
    pub spearman: Correlation,
    /// Kendall's τ_b = (concordant − discordant) / √((pairs − ties in x)(pairs − ties in y)). P-value exact without ties up to 33 pairs or
    /// where all but one are in order, else from the normal approximation.
    pub kendall: Correlation,
    /// Slope of the least-squares line y = slope · x + intercept.
    pub slope: f64,
    /// Its value at x = 0.
    pub intercept: f64,
}

/// A correlation and its significance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// From −1 to 1.
    pub value: f64,
    /// Two-sided p-value, from 0 to 1.
    pub p: f64,
}

impl Relation {
    /// The relation of two measures of the same things.
    ///
    /// # Errors
    /// [`MetricError::Count`] when there are not as many x as y, [`MetricError::TooFew`] with fewer than three, [`MetricError::Value`] for one that
    /// is not finite and for a slope or intercept beyond the range of f64, [`MetricError::Constant`] when all x or all y are equal: nothing goes together with them.
    pub fn of(x: &[f64], y: &[f64]) -> Result<Self, MetricError> {
        expect_count("values of y", x.len(), y.len())?;
        if x.len() < 3 {
            return Err(MetricError::TooFew {
                what: "pairs of a relation",
                needed: 3,
                found: x.len(),
            });
        }
        for (what, values) in [("x", x), ("y", y)] {
            check_finite(what, values)?;
            if values.iter().all(|value| *value == values[0]) {
                return Err(MetricError::Constant {
                    what,
                    value: values[0],
                });
            }
        }
        // Squares of very large and very small numbers are beyond f64: they are taken in other units.
        let (unit_x, unit_y) = (exponent(x), exponent(y));
        let moments = Moments::of(&times_two_to(x, -unit_x), &times_two_to(y, -unit_y));
        let slope = moments.xy / moments.xx;
        let intercept = times_two_to(&[moments.mean_y - slope * moments.mean_x], unit_y)[0];
        let slope = times_two_to(&[slope], unit_y - unit_x)[0];
        check_finite("slope and intercept", &[slope, intercept])?;
        Ok(Self {
            count: x.len(),
            pearson: moments.pearson(),
            spearman: Moments::of(&ranks(x), &ranks(y)).pearson(),
            kendall: kendall(x, y),
            slope,
            intercept,
        })
    }
}

/// The exponent of the largest of the values.
fn exponent(values: &[f64]) -> i32 {
    let largest = values
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    largest.log2().floor() as i32
}

/// The values times a power of two, which costs no digit.
fn times_two_to(values: &[f64], exponent: i32) -> Vec<f64> {
    // In two steps, because the power itself may be beyond f64.
    let half = exponent / 2;
    let (first, second) = (2f64.powi(half), 2f64.powi(exponent - half));
    values.iter().map(|value| value * first * second).collect()
}

/// Means and centred sums.
struct Moments {
    count: f64,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Moments {
    fn of(x: &[f64], y: &[f64]) -> Self {
        let count = x.len() as f64;
        let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, y.iter().sum::<f64>() / count);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in x.iter().zip(y) {
            let (x, y) = (x - mean_x, y - mean_y);
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        Self {
            count,
            mean_x,
            mean_y,
            xx,
            xy,
            yy,
        }
    }

    fn pearson(&self) -> Correlation {
        let value = (self.xy / (self.xx.sqrt() * self.yy.sqrt())).clamp(-1.0, 1.0);
        let freedom = self.count - 2.0;
        let t = value.abs() * (freedom / ((1.0 - value) * (1.0 + value))).sqrt();
        Correlation {
            value,
            p: if t.is_finite() {
                both_tails_of_t(t, freedom)
            } else {
                0.0
            },
        }
    }
}

fn both_tails_of_t(t: f64, freedom: f64) -> f64 {
    // The parameters are valid: location 0, scale 1, freedom of 1 or more.
    StudentsT::new(0.0, 1.0, freedom).map_or(1.0, |student| (2.0 * student.sf(t)).min(1.0))
}

/// Ranks from 1; tied values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = (2 * first + tied.len() + 1) as f64 / 2.0;
        for &index in tied {
            ranks[index] = mean;
        }
        first += tied.len();
    }
    ranks
}

/// Sizes of the groups of equal values.
fn ties(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let groups = sorted.chunk_by(|a, b| a == b);
    groups
        .filter(|group| group.len() > 1)
        .map(|group| group.len() as f64)
        .collect()
}

fn kendall(x: &[f64], y: &[f64]) -> Correlation {
    let count = x.len();
    let (mut concordant, mut discordant) = (0_usize, 0_usize);
    for i in 0..count {
        for j in 0..i {
            let sign = (x[i] - x[j]).signum() * (y[i] - y[j]).signum();
            if x[i] == x[j] || y[i] == y[j] {
                continue;
            }
            if sign > 0.0 {
                concordant += 1;
            } else {
                discordant += 1;
            }
        }
    }
    let n = count as f64;
    let pairs = n * (n - 1.0) / 2.0;
    let (ties_x, ties_y) = (ties(x), ties(y));
    let sum = |ties: &[f64], term: fn(f64) -> f64| ties.iter().map(|&t| term(t)).sum::<f64>();
    let tied = |ties: &[f64]| sum(ties, |t| t * (t - 1.0) / 2.0);
    let difference = concordant as f64 - discordant as f64;
    let scale = ((pairs - tied(&ties_x)) * (pairs - tied(&ties_y))).sqrt();
    let value = (difference / scale).clamp(-1.0, 1.0);

    let all = count * (count - 1) / 2;
    let extreme = discordant.min(all - discordant) <= 1;
    let p = if ties_x.is_empty() && ties_y.is_empty() && (count <= 33 || extreme) {
        exact_kendall(count, discordant.min(all - discordant))
    } else {
        let cubic = |ties: &[f64]| sum(ties, |t| t * (t - 1.0) * (2.0 * t + 5.0));
        let triple = |ties: &[f64]| sum(ties, |t| t * (t - 1.0) * (t - 2.0));
        let m = n * (n - 1.0);
        let variance = (m * (2.0 * n + 5.0) - cubic(&ties_x) - cubic(&ties_y)) / 18.0
            + 2.0 * tied(&ties_x) * tied(&ties_y) / m
            + triple(&ties_x) * triple(&ties_y) / (9.0 * m * (n - 2.0));
        both_tails_of_normal(difference.abs() / variance.sqrt())
    };
    Correlation { value, p }
}

fn both_tails_of_normal(z: f64) -> f64 {
    (2.0 * Normal::standard().sf(z)).min(1.0)
}

/// P(at most `least` of the pairs of a random permutation are out of order), both tails: the share of permutations by inversions, built
/// up element by element (Kendall, "Rank Correlation Methods", 1970, section 5).
fn exact_kendall(count: usize, least: usize) -> f64 {
    if 2 * least == count * (count - 1) / 2 {
        return 1.0;
    }
    let mut shares = vec![0.0; least + 1];
    shares[0] = 1.0;
    for element in 2..=count {
        // An element put among those before it adds 0 to element − 1 inversions, each as likely.
        let mut sums = shares.clone();
        for index in 1..sums.len() {
            sums[index] += sums[index - 1];
        }
        for index in (0..shares.len()).rev() {
            let below = if index >= element {
                sums[index - element]
            } else {
                0.0
            };
            shares[index] = (sums[index] - below) / element as f64;
        }
    }
    (2.0 * shares.iter().sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn on_a_line() {
        let x = [1.0, 2.0, 4.0, 8.0];
        let y = x.map(|x| 3.0 - 2.0 * x);
        let found = Relation::of(&x, &y).unwrap();
        for correlation in [found.pearson, found.spearman, found.kendall] {
            assert!((correlation.value + 1.0).abs() < 1e-12, "{correlation:?}");
        }
        assert!((found.slope + 2.0).abs() < 1e-12 && (found.intercept - 3.0).abs() < 1e-12);
        // Two of the 24 orders of four things are as extreme.
        assert!((found.kendall.p - 2.0 / 24.0).abs() < 1e-12);
    }

    #[test]
    fn ranks_share_their_mean() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert!(matches!(
            Relation::of(&[1.0; 3], &[1.0, 2.0, 3.0]),
            Err(MetricError::Constant { what: "x", .. })
        ));
        assert!(matches!(
            Relation::of(&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 3.0]),
            Err(MetricError::Value {
                what: "y",
                index: 1,
                ..
            })
        ));
        assert!(Relation::of(&[1.0, 2.0], &[1.0, 2.0]).is_err());
        assert!(Relation::of(&[1.0, 2.0, 3.0], &[1.0, 2.0]).is_err());
    }
}
