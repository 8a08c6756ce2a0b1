use burn::tensor::{Int, Tensor};
use kd_core::{KlLoss, KlLossConfig, divergence};
use kd_models::Classify;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::views::{ViewPlan, Weights};

/// What both networks are shown in one step, and what the teacher said of it.
///
/// Everything but the labels is without autodiff: no gradient leaves the student.
#[derive(Clone, Debug)]
pub struct Views {
    /// The original view, pixels in `[0, 1]`: `[batch, channels, height, width]`.
    pub original: Tensor<4>,
    /// Its labels: `[batch]`.
    pub labels: Tensor<1, Int>,
    /// The teacher's logits of it: `[batch, classes]`.
    pub teacher_original: Option<Tensor<2>>,
    /// The mixed view.
    pub mixed: Option<MixedImages>,
}

/// Mixed images with the only label they have.
#[derive(Clone, Debug)]
pub struct MixedImages {
    /// `[picked, channels, height, width]`.
    pub images: Tensor<4>,
    /// The teacher's logits of them: `[picked, classes]`.
    pub teacher_logits: Tensor<2>,
    /// Where they were picked: the mean score of those picked over the mean score of their pool. By the divergence of teacher and student,
    /// the ratio r: how much more there is to learn from them than from any.
    pub score_ratio: Option<f32>,
}

/// The loss that a [`ViewPlan`] describes.
#[derive(Clone, Debug)]
pub struct Objective {
    kl: KlLoss,
    weights: Weights,
}

/// The loss of a step: terms, each averaged over its images, and their weights.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    terms: Vec<(&'static str, f64, Tensor<1>)>,
}

/// The values of a [`Loss`] on the host. A term without weight is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossValues<T = f32> {
    /// The weighted sum.
    pub loss: T,
    /// Cross-entropy on the original view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ce: Option<T>,
    /// Divergence on the original view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<T>,
    /// Divergence on the mixed view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_mixed: Option<T>,
}

impl Objective {
    /// The loss of a plan.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] when a field is out of its range.
    pub fn new(plan: &ViewPlan) -> Result<Self, TrainError> {
        plan.check()?;
        let kl = KlLossConfig::new()
            .with_temperature(plan.temperature)
            .with_tau_squared(plan.tau_squared)
            .init()?;
        Ok(Self {
            kl,
            weights: plan.weights(),
        })
    }

    /// One forward pass of the student for each view, and the loss.
    ///
    /// Each view is a pass of its own, as in the reference implementation, so batch norm sees one view at a time.
    ///
    /// # Panics
    ///
    /// Panics if a divergence has a weight and `views` lacks the view or what the teacher said of it.
    pub fn loss<S: Classify>(&self, student: &S, views: &Views) -> Loss {
        let Weights { ce, kl, kl_mixed } = self.weights;
        let mut loss = Loss::default();
        if ce > 0.0 || kl > 0.0 {
            let logits = student.forward(Tensor::from_inner(views.original.clone()));
            if ce > 0.0 {
                let labels = views.labels.clone();
                let term = divergence::cross_entropy(logits.clone(), labels).mean();
                loss.add("ce", ce, term);
            }
            if kl > 0.0 {
                #[expect(
                    clippy::expect_used,
                    reason = "documented: the caller brings the logits"
                )]
                let teacher = views.teacher_original.clone().expect("teacher logits");
                loss.add("kl", kl, self.kl.forward(logits, teacher));
            }
        }
        if kl_mixed > 0.0 {
            #[expect(clippy::expect_used, reason = "documented: the caller brings the view")]
            let mixed = views.mixed.as_ref().expect("a mixed view");
            let logits = student.forward(Tensor::from_inner(mixed.images.clone()));
            let term = self.kl.forward(logits, mixed.teacher_logits.clone());
            loss.add("kl_mixed", kl_mixed, term);
        }
        loss
    }
}

impl Loss {
    fn add(&mut self, name: &'static str, weight: f64, term: Tensor<1>) {
        self.terms.push((name, weight, term));
    }

    /// The weighted sum, with the graph behind it. `None` where no term has a weight.
    pub fn total(&self) -> Option<Tensor<1>> {
        let weighted = |(_, weight, term): &(_, f64, Tensor<1>)| term.clone().mul_scalar(*weight);
        self.terms
            .iter()
            .map(weighted)
            .reduce(|sum, term| sum + term)
    }

    /// Bring the values to the host, in one transfer.
    ///
    /// # Errors
    ///
    /// [`TrainError::Device`] when the device could not compute them.
    pub fn values(&self) -> Result<LossValues, TrainError> {
        let terms = self.terms.iter().map(|(_, _, term)| term.clone());
        let tensors: Vec<_> = terms.chain(self.total()).collect();
        let values = Tensor::cat(tensors, 0)
            .without_autodiff()
            .try_into_data()
            .map_err(|e| TrainError::Device(e.to_string()))?
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|e| TrainError::Device(e.to_string()))?;
        let mut read = LossValues::default();
        for ((name, ..), value) in self.terms.iter().zip(&values) {
            match *name {
                "ce" => read.ce = Some(*value),
                "kl" => read.kl = Some(*value),
                _ => read.kl_mixed = Some(*value),
            }
        }
        read.loss = values.last().copied().unwrap_or(f32::NAN);
        Ok(read)
    }
}

impl LossValues {
    /// The first value that is not finite, a term before the sum.
    pub fn non_finite(&self) -> Option<(&'static str, f32)> {
        let terms = [
            ("ce", self.ce),
            ("kl", self.kl),
            ("kl_mixed", self.kl_mixed),
            ("loss", Some(self.loss)),
        ];
        terms
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .find(|(_, value)| !value.is_finite())
    }
}

/// Running sums of the terms, weighted by images, in the order of the steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossSums {
    images: u64,
    sums: LossValues<f64>,
}

impl LossSums {
    pub(crate) fn add(&mut self, values: &LossValues, images: usize) {
        let weight = images as f64;
        let add = |sum: &mut Option<f64>, value: Option<f32>| {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0.0) + weight * f64::from(value));
            }
        };
        self.images += images as u64;
        self.sums.loss += weight * f64::from(values.loss);
        add(&mut self.sums.ce, values.ce);
        add(&mut self.sums.kl, values.kl);
        add(&mut self.sums.kl_mixed, values.kl_mixed);
    }

    pub(crate) fn mean(&self) -> LossValues<f64> {
        let share = |sum: f64| sum / self.images.max(1) as f64;
        LossValues {
            loss: share(self.sums.loss),
            ce: self.sums.ce.map(share),
            kl: self.sums.kl.map(share),
            kl_mixed: self.sums.kl_mixed.map(share),
        }
    }
}
