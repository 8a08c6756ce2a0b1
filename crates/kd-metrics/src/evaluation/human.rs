//! Divergence of a model from what people answer.

use serde::{Deserialize, Serialize};

use super::class_means::{ClassMeans, MeanRows, kl_table};

/// Name of these rows in errors.
pub(crate) const WHAT: &str = "the human labels";

/// How far a network is from what people answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HumanReport {
    /// Mean KL(human‖model) = Σ_c h_c · (ln h_c − ln p_c) in nats, with 0 · ln 0 = 0.
    ///
    /// This direction is finite; the other one is infinite as soon as no person chose a class, which is so for nearly every image of
    /// CIFAR-10H.
    pub kl: f64,
    /// Mean KL(model‖human) in nats, with the human distribution smoothed to (1 − s) · h + s / C.
    pub kl_model: f64,
    /// The share s.
    pub smoothing: f64,
    /// Mean entropy of the human distributions, in nats: how often people disagree.
    pub entropy: f64,
    /// Mean KL(human‖model) over the samples of each class; nothing for a class without samples.
    pub per_class: Vec<Option<f64>>,
    /// Mean human distribution over the samples of each true class.
    pub confidence: MeanRows,
    /// Row i, column j: KL(mean human distribution of class i ‖ mean distribution of the model for class j), in nats (Das et al., "An
    /// Empirical Analysis of the Impact of Data Augmentation on Knowledge Distillation", 2020, figure 6). Small on the diagonal where the
    /// model sees a class as people do; an off-diagonal cell is small where the model takes class j for what people see in class i.
    pub kl_confusion: Vec<Vec<Option<f64>>>,
}

/// KL(human‖model) and KL(model‖smoothed human), from probabilities and logarithms of probabilities.
pub(crate) fn divergences(people: &[f64], logs: &[f64], smoothing: f64) -> (f64, f64) {
    let uniform = 1.0 / people.len() as f64;
    let (mut forward, mut reverse) = (0.0, 0.0);
    for (&h, &log) in people.iter().zip(logs) {
        if h > 0.0 {
            forward += h * (h.ln() - log);
        }
        let p = log.exp();
        let smooth = (1.0 - smoothing) * h + smoothing * uniform;
        if p > 0.0 {
            reverse += p * (log - smooth.ln());
        }
    }
    (forward.max(0.0), reverse.max(0.0))
}

/// Sums behind a [`HumanReport`].
#[derive(Clone, Debug)]
pub(crate) struct HumanSums {
    kl: f64,
    kl_model: f64,
    entropy: f64,
    per_class: Vec<f64>,
    means: ClassMeans,
}

impl HumanSums {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            kl: 0.0,
            kl_model: 0.0,
            entropy: 0.0,
            per_class: vec![0.0; classes],
            means: ClassMeans::new(classes),
        }
    }

    pub(crate) fn push(&mut self, label: usize, (kl, kl_model): (f64, f64), people: &[f64]) {
        self.kl += kl;
        self.kl_model += kl_model;
        self.per_class[label] += kl;
        self.entropy -= people
            .iter()
            .filter(|h| **h > 0.0)
            .map(|h| h * h.ln())
            .sum::<f64>();
    }

    pub(crate) fn means(&mut self) -> &mut ClassMeans {
        &mut self.means
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.kl += other.kl;
        self.kl_model += other.kl_model;
        self.entropy += other.entropy;
        for (sum, more) in self.per_class.iter_mut().zip(&other.per_class) {
            *sum += more;
        }
        self.means.merge(&other.means);
    }

    /// `support` counts the samples of each class, `model` is the model's mean distribution for each.
    pub(crate) fn report(&self, support: &[u64], model: &MeanRows, smoothing: f64) -> HumanReport {
        let samples = support.iter().sum::<u64>() as f64;
        let confidence = self.means.rows(support);
        let pairs = self.per_class.iter().zip(support);
        HumanReport {
            kl: self.kl / samples,
            kl_model: self.kl_model / samples,
            smoothing,
            entropy: self.entropy / samples,
            per_class: pairs
                .map(|(sum, &count)| (count > 0).then(|| sum / count as f64))
                .collect(),
            kl_confusion: kl_table(&confidence, model),
            confidence,
        }
    }
}
