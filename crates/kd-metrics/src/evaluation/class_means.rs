//! Mean distributions of classes, and how far they are from one another.

use rayon::prelude::*;

use super::row::FLOOR;

/// A mean distribution for each class; nothing for a class without samples.
pub type MeanRows = Vec<Option<Vec<f64>>>;

/// Sums of distributions by class, `[classes, classes]`.
#[derive(Clone, Debug)]
pub(crate) struct ClassMeans {
    classes: usize,
    sums: Vec<f64>,
}

impl ClassMeans {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            classes,
            sums: vec![0.0; classes * classes],
        }
    }

    /// Adds rows, of which `by_class[c]` are those of class c, in their order: the same sums for any number of threads and updates.
    pub(crate) fn add(&mut self, rows: &[f64], by_class: &[Vec<usize>]) {
        let classes = self.classes;
        let sums = self.sums.par_chunks_mut(classes).zip(by_class);
        sums.for_each(|(sum, members)| {
            for &member in members {
                let row = &rows[member * classes..][..classes];
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += value;
                }
            }
        });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
    }

    pub(crate) fn rows(&self, support: &[u64]) -> MeanRows {
        let rows = self.sums.chunks(self.classes).zip(support);
        rows.map(|(sums, &count)| {
            (count > 0).then(|| sums.iter().map(|sum| sum / count as f64).collect())
        })
        .collect()
    }
}

/// Logarithms of a distribution; of 0 that of the smallest normal number of f32.
fn logs(row: &[f64]) -> Vec<f64> {
    row.iter().map(|p| p.max(FLOOR).ln()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Row i, column j: KL(first_i‖second_j) in nats.
pub(crate) fn kl_table(first: &MeanRows, second: &MeanRows) -> Vec<Vec<Option<f64>>> {
    let logs_of =
        |rows: &MeanRows| -> Vec<_> { rows.iter().map(|row| row.as_deref().map(logs)).collect() };
    let (own, others) = (logs_of(first), logs_of(second));
    let row = |(p, own): (&Option<Vec<f64>>, &Option<Vec<f64>>)| {
        let cell = |other: &Option<Vec<f64>>| {
            let (p, own, other) = (p.as_ref()?, own.as_ref()?, other.as_ref()?);
            Some((dot(p, own) - dot(p, other)).max(0.0))
        };
        others.iter().map(cell).collect()
    };
    first.par_iter().zip(&own).map(row).collect()
}

/// S_f = (1/C²) Σ_ij KL(p_i‖p_j) over the C classes that have samples.
///
/// Σ_ij Σ_c p_ic (ln p_ic − ln p_jc) = C Σ_i Σ_c p_ic ln p_ic − Σ_c (Σ_i p_ic)(Σ_j ln p_jc), which takes C² steps and not C³.
pub(crate) fn separability(means: &MeanRows) -> f64 {
    let present: Vec<&[f64]> = means.iter().flatten().map(Vec::as_slice).collect();
    let count = present.len() as f64;
    let (mut own, mut sums, mut log_sums) = (0.0, vec![0.0; means.len()], vec![0.0; means.len()]);
    for row in present {
        let logs = logs(row);
        own += dot(row, &logs);
        for (sum, p) in sums.iter_mut().zip(row) {
            *sum += p;
        }
        for (sum, log) in log_sums.iter_mut().zip(&logs) {
            *sum += log;
        }
    }
    (own / count - dot(&sums, &log_sums) / (count * count)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_means_are_finitely_far_apart() {
        let means = vec![Some(vec![1.0, 0.0]), Some(vec![0.0, 1.0]), None];
        assert!((separability(&means) + FLOOR.ln() / 2.0).abs() < 1e-12);
        assert_eq!(kl_table(&means, &means)[0][2], None);
    }

    #[test]
    fn the_short_sum_is_the_long_one() {
        let row = |i: usize| -> Option<Vec<f64>> {
            let weights: Vec<f64> = (0..7).map(|c| ((i * 31 + c * 17) % 23) as f64).collect();
            let sum: f64 = weights.iter().sum();
            (i != 3).then(|| weights.iter().map(|w| w / sum).collect())
        };
        let means: MeanRows = (0..7).map(row).collect();
        let table = kl_table(&means, &means);
        let long: f64 = table.iter().flatten().flatten().sum::<f64>() / 36.0;
        assert!((separability(&means) - long).abs() < 1e-12 * long, "{long}");
    }

    #[test]
    fn equal_means_are_not_apart() {
        let means = vec![Some(vec![0.25, 0.75]); 2];
        assert!(separability(&means) < 1e-15);
    }
}
