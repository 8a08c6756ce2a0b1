use burn::config::Config;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{check_peers, distill, widened};
use crate::divergence::{constant_like, cross_entropy, labels_like, one_hot, softmax};
use crate::error::{CoreError, check_count, check_temperature};

/// How the peers' logits become one teacher's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KdclEnsemble {
    /// For each sample the logits of the peer with the smallest cross-entropy.
    Naive,
    /// For each sample the convex combination of logits with the smallest cross-entropy.
    Linear,
    /// For each class the smallest of the peers' logits, each taken relative to that of the label.
    MinLogit,
    /// The weights that make the ensemble's error on held-out images smallest; see [`EnsembleErrors`].
    General {
        /// One weight a peer, summing to 1.
        weights: Vec<f64>,
    },
}

/// Configuration of [`KdclLoss`].
#[derive(Config, Debug, PartialEq)]
pub struct KdclLossConfig {
    /// How the teacher is made.
    #[config(default = "KdclEnsemble::MinLogit")]
    pub ensemble: KdclEnsemble,
    /// Softmax temperature `tau`, in [1e-6, 1e6].
    #[config(default = 2.0)]
    pub temperature: f64,
}

impl KdclLossConfig {
    /// Checks the configuration and makes the loss.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if the temperature is not in its range, or a weight not finite.
    pub fn init(&self) -> Result<KdclLoss, CoreError> {
        if let KdclEnsemble::General { weights } = &self.ensemble
            && let Some(&value) = weights.iter().find(|weight| !weight.is_finite())
        {
            return Err(CoreError::OutOfRange {
                field: "weights",
                value,
                range: "(-inf, inf)",
            });
        }
        Ok(KdclLoss {
            ensemble: self.ensemble.clone(),
            temperature: check_temperature(self.temperature)?,
        })
    }
}

/// KDCL, collaborative learning: all peers learn from one teacher made of their own logits, `tau^2 KL(p_teacher || p_j)`.
///
/// From Guo et al., "Online Knowledge Distillation via Collaborative Learning" (CVPR 2020), Section 3.2, with all four ensembles. There
/// each peer is shown a distortion of its own. The cross-entropy with the labels is not part of it. The teacher is a constant.
///
/// Made by [`KdclLossConfig`].
#[derive(Debug, Clone, PartialEq)]
pub struct KdclLoss {
    ensemble: KdclEnsemble,
    temperature: f32,
}

impl KdclLoss {
    /// The loss of each peer, averaged over the batch.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]` for each of two or more peers
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - output: `[1]` for each peer
    ///
    /// # Panics
    ///
    /// With fewer than two peers, or another number of them than weights.
    pub fn forward(&self, logits: &[Tensor<2>], labels: Tensor<1, Int>) -> Vec<Tensor<1>> {
        distill(&self.teacher(logits, labels), logits, self.temperature)
    }

    /// The logits of the ensemble, a constant: `[batch, classes]`.
    pub fn teacher(&self, logits: &[Tensor<2>], labels: Tensor<1, Int>) -> Tensor<2> {
        check_peers("logits", logits);
        let logits = &widened(logits);
        let peers: Vec<_> = logits
            .iter()
            .map(|z| constant_like(z.clone(), &logits[0]))
            .collect();
        let labels = labels_like(labels, &peers[0]);
        match &self.ensemble {
            KdclEnsemble::Naive => naive(&peers, labels),
            KdclEnsemble::Linear => linear(&peers, labels),
            KdclEnsemble::MinLogit => min_logit(&peers, labels),
            KdclEnsemble::General { weights } => {
                assert_eq!(weights.len(), peers.len(), "weights and peers");
                let weighted = peers
                    .into_iter()
                    .zip(weights)
                    .map(|(z, weight)| z.mul_scalar(*weight));
                Tensor::stack::<3>(weighted.collect(), 0)
                    .sum_dim(0)
                    .squeeze_dim(0)
            }
        }
    }
}

fn naive(peers: &[Tensor<2>], labels: Tensor<1, Int>) -> Tensor<2> {
    let mut best = peers[0].clone();
    let mut least = cross_entropy(best.clone(), labels.clone());
    for peer in &peers[1..] {
        let loss = cross_entropy(peer.clone(), labels.clone());
        // What is not a number is taken, and kept.
        let better = loss
            .clone()
            .lower(least.clone())
            .bool_or(loss.clone().is_nan());
        least = least.mask_where(better.clone(), loss);
        best = best.mask_where(
            better.unsqueeze_dim::<2>(1).expand(peer.dims()),
            peer.clone(),
        );
    }
    best
}

fn min_logit(peers: &[Tensor<2>], labels: Tensor<1, Int>) -> Tensor<2> {
    let labels = labels.unsqueeze_dim::<2>(1);
    let relative = |z: &Tensor<2>| z.clone() - z.clone().gather(1, labels.clone());
    peers[1..].iter().fold(relative(&peers[0]), |least, z| {
        let z = relative(z);
        let unknown = z.clone().is_nan();
        least.min_pair(z.clone()).mask_where(unknown, z)
    })
}

/// Halvings of an interval of mixtures: below the rounding of single precision.
const HALVINGS: usize = 26;
/// Rounds over all pairs of peers, where there are more than two.
const ROUNDS: usize = 12;

/// The cross-entropy of a mixture is convex in its weights, so along the line between two peers its slope grows and halving finds its
/// zero. With more peers, weight moves between two of them at a time.
fn linear(peers: &[Tensor<2>], labels: Tensor<1, Int>) -> Tensor<2> {
    let [batch, _] = peers[0].dims();
    let count = peers.len();
    let labels = labels.unsqueeze_dim::<2>(1);
    let even = Tensor::<2>::full(
        [batch, 1],
        1.0 / count as f64,
        (&peers[0].device(), peers[0].dtype()),
    );
    let mut weights = vec![even; count];
    let mix = |weights: &[Tensor<2>]| {
        let terms = peers
            .iter()
            .zip(weights)
            .map(|(z, w)| z.clone() * w.clone());
        Tensor::stack::<3>(terms.collect(), 0)
            .sum_dim(0)
            .squeeze_dim::<2>(0)
    };
    for _ in 0..if count == 2 { 1 } else { ROUNDS } {
        for a in 0..count {
            for b in a + 1..count {
                // All of what the two have goes to `a` by the share `s`, to `b` by `1 - s`.
                let both = weights[a].clone() + weights[b].clone();
                let direction = (peers[a].clone() - peers[b].clone()) * both.clone();
                weights[a] = both.zeros_like();
                weights[b] = both.clone();
                let base = mix(&weights);
                let at_label = direction.clone().gather(1, labels.clone());
                let slope = |share: Tensor<2>| {
                    let mixed = base.clone() + direction.clone() * share;
                    (softmax(mixed, 1.0) * direction.clone()).sum_dim(1) - at_label.clone()
                };
                let (none, all) = (both.zeros_like(), both.ones_like());
                let (mut low, mut high) = (none.clone(), all.clone());
                for _ in 0..HALVINGS {
                    let middle = (low.clone() + high.clone()).mul_scalar(0.5);
                    let rising = slope(middle.clone()).greater_elem(0.0);
                    high = high.mask_where(rising.clone(), middle.clone());
                    low = low.mask_where(rising.bool_not(), middle);
                }
                // At an end exactly, where the slope does not change its sign.
                let share = (low + high)
                    .mul_scalar(0.5)
                    .mask_where(slope(none.clone()).greater_equal_elem(0.0), none)
                    .mask_where(slope(all.clone()).lower_equal_elem(0.0), all);
                weights[a] = both.clone() * share.clone();
                weights[b] = both - weights[a].clone();
            }
        }
    }
    mix(&weights)
}

/// The errors of the peers on held-out images, from which the weights of [`KdclEnsemble::General`] follow.
///
/// With `e_j` the difference between the probabilities of peer `j` and the one-hot label, and `C_jk = mean(e_j e_k)`, the ensemble's
/// squared error is `sum_jk w_j w_k C_jk`; among weights that sum to 1 it is least at `w = C^-1 1 / (1 C^-1 1)` (Eq. 5-8 of the
/// paper, after Perrone and Cooper, 1993).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleErrors {
    products: Vec<Vec<f64>>,
    images: usize,
}

impl EnsembleErrors {
    /// Of so many peers, with nothing seen yet.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] with fewer than two peers.
    pub fn new(peers: usize) -> Result<Self, CoreError> {
        check_count("peers", peers, 2, "[2, inf)")?;
        Ok(Self {
            products: vec![vec![0.0; peers]; peers],
            images: 0,
        })
    }

    /// Adds a batch: one transfer from the device.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]` for each peer
    /// - `labels`: `[batch]`, each in `0..classes`
    ///
    /// # Panics
    ///
    /// With another number of peers, if a label is outside `0..classes`, or if the device cannot be
    /// read. Labels on a device other than the CPU are not read; one that is outside makes the
    /// errors NaN, which [`weights`](Self::weights) refuses.
    pub fn update(&mut self, logits: &[Tensor<2>], labels: Tensor<1, Int>) {
        check_peers("logits", logits);
        let count = self.products.len();
        assert_eq!(logits.len(), count, "peers");
        let [batch, classes] = logits[0].dims();
        let logits = &widened(logits);
        let errors = logits.iter().map(|z| {
            let z = constant_like(z.clone(), &logits[0]);
            (softmax(z.clone(), 1.0) - one_hot(labels.clone(), &z)).reshape([1, batch * classes])
        });
        let errors = Tensor::cat(errors.collect(), 0);
        let products = errors.clone().matmul(errors.transpose()).into_data();
        let mut products = products.iter::<f64>();
        for row in &mut self.products {
            for sum in row {
                *sum += products.next().unwrap_or(f64::NAN);
            }
        }
        self.images += batch;
    }

    /// The best weights, summing to 1; a weight may be negative. Peers that cannot be told apart share evenly.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if nothing was added or an error was not finite.
    pub fn weights(&self) -> Result<Vec<f64>, CoreError> {
        check_count("images", self.images, 1, "[1, inf)")?;
        let count = self.products.len();
        let trace: f64 = (0..count).map(|j| self.products[j][j]).sum();
        if !trace.is_finite() {
            return Err(CoreError::OutOfRange {
                field: "squared error",
                value: trace,
                range: "[0, inf)",
            });
        }
        if trace == 0.0 {
            return Ok(vec![1.0 / count as f64; count]);
        }
        // A hair on the diagonal, so that equal peers have an answer: it is far below the rounding of what was measured.
        let hair = trace / count as f64 * 1e-12;
        let mut rows: Vec<Vec<f64>> = self.products.clone();
        for (j, row) in rows.iter_mut().enumerate() {
            row[j] += hair;
            row.push(1.0);
        }
        // Gauss's elimination; the matrix is positive definite, so the diagonal serves as pivot.
        for pivot in 0..count {
            let own = rows[pivot].clone();
            for (j, row) in rows.iter_mut().enumerate() {
                if j != pivot {
                    let factor = row[pivot] / own[pivot];
                    for (x, p) in row.iter_mut().zip(&own) {
                        *x -= factor * p;
                    }
                }
            }
        }
        let solution: Vec<f64> = (0..count).map(|j| rows[j][count] / rows[j][j]).collect();
        let sum: f64 = solution.iter().sum();
        Ok(solution.into_iter().map(|x| x / sum).collect())
    }
}
