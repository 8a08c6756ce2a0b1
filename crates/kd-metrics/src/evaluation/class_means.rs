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

/// KL(p‖q) in nats; a q of 0 counts as the smallest normal number of f32.
fn kl(p: &[f64], q: &[f64]) -> f64 {
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    let sum: f64 = terms.map(|(p, q)| p * (p.ln() - q.max(FLOOR).ln())).sum();
    sum.max(0.0)
}

/// Row i, column j: KL(first_i‖second_j).
pub(crate) fn kl_table(first: &MeanRows, second: &MeanRows) -> Vec<Vec<Option<f64>>> {
    let row = |p: &Option<Vec<f64>>| {
        let cell = |q: &Option<Vec<f64>>| Some(kl(p.as_ref()?, q.as_ref()?));
        second.iter().map(cell).collect()
    };
    first.par_iter().map(row).collect()
}

/// S_f = (1/C²) Σ_ij KL(p_i‖p_j) over the C classes that have samples.
pub(crate) fn separability(means: &MeanRows) -> f64 {
    let rows = kl_table(means, means);
    // Row by row, so that the sum does not depend on threads.
    let sum: f64 = rows
        .iter()
        .map(|row| row.iter().flatten().sum::<f64>())
        .sum();
    let present = means.iter().flatten().count() as f64;
    sum / (present * present)
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
    fn equal_means_are_not_apart() {
        let means = vec![Some(vec![0.25, 0.75]); 2];
        assert_eq!(separability(&means), 0.0);
    }
}
