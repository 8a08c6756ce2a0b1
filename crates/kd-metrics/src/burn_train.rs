//! The measures of an [`Evaluation`] as metrics of burn-train, for its `Learner` and dashboard.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorReadError};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry, format_float,
};
use burn_std::ExecutionError;

use crate::{Evaluation, EvaluationConfig, EvaluationReport, MetricError};

/// Which measure of an evaluation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Score {
    /// [`EvaluationReport::top1`].
    Top1,
    /// [`EvaluationReport::top5`].
    Top5,
    /// F1, averaged over the classes.
    MacroF1,
    /// [`EvaluationReport::nll`].
    Nll,
    /// [`EvaluationReport::brier`].
    Brier,
    /// [`EvaluationReport::ece`].
    Ece,
    /// [`EvaluationReport::ece_equal_mass`].
    EceEqualMass,
    /// [`EvaluationReport::classwise_ece`].
    ClasswiseEce,
    /// [`EvaluationReport::kl_human`]; needs human labels.
    KlHuman,
    /// [`EvaluationReport::separability`].
    Separability,
}

impl Score {
    fn name(self) -> &'static str {
        match self {
            Self::Top1 => "Top-1",
            Self::Top5 => "Top-5",
            Self::MacroF1 => "F1, macro",
            Self::Nll => "NLL",
            Self::Brier => "Brier",
            Self::Ece => "ECE",
            Self::EceEqualMass => "ECE, equal mass",
            Self::ClasswiseEce => "Classwise ECE",
            Self::KlHuman => "KL(human || model)",
            Self::Separability => "Class separability",
        }
    }

    fn of(self, report: &EvaluationReport) -> Option<f64> {
        Some(match self {
            Self::Top1 => report.top1,
            Self::Top5 => report.top5,
            Self::MacroF1 => report.confusion.macro_average().f1,
            Self::Nll => report.nll,
            Self::Brier => report.brier,
            Self::Ece => report.ece,
            Self::EceEqualMass => report.ece_equal_mass,
            Self::ClasswiseEce => report.classwise_ece,
            Self::KlHuman => report.kl_human?,
            Self::Separability => report.separability,
        })
    }

    /// A separable teacher is not a better one; students are measured by it like by an accuracy all the same.
    fn higher_is_better(self) -> bool {
        matches!(
            self,
            Self::Top1 | Self::Top5 | Self::MacroF1 | Self::Separability
        )
    }
}

/// What a metric is given of a batch.
#[derive(Clone, Debug)]
pub struct EvaluationInput {
    /// `[B, C]`.
    pub logits: Tensor<2>,
    /// `[B]`.
    pub labels: Tensor<1, Int>,
    /// `[B, C]`, with every batch or with none.
    pub human: Option<Tensor<2>>,
}

/// A measure of an [`Evaluation`] over an epoch. Like other measures that are no mean over batches, it has its value when the epoch ends.
#[derive(Clone, Debug)]
pub struct EvaluationMetric {
    score: Score,
    evaluation: Evaluation,
    empty: Evaluation,
    last: f64,
}

impl EvaluationMetric {
    /// A metric of a classifier with this many classes.
    ///
    /// # Errors
    /// Those of [`EvaluationConfig::init`].
    pub fn new(
        score: Score,
        classes: usize,
        config: &EvaluationConfig,
    ) -> Result<Self, MetricError> {
        let empty = config.init(classes)?;
        Ok(Self {
            score,
            evaluation: empty.clone(),
            empty,
            last: f64::NAN,
        })
    }
}

fn failed(error: MetricError) -> TensorReadError {
    TensorReadError::Execution(ExecutionError::WithContext {
        reason: error.to_string(),
    })
}

impl Metric for EvaluationMetric {
    type Input = EvaluationInput;

    fn name(&self) -> MetricName {
        Arc::new(self.score.name().to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: self.score.higher_is_better(),
        }
        .into()
    }

    fn update(
        &mut self,
        item: &Self::Input,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let EvaluationInput {
            logits,
            labels,
            human,
        } = item.clone();
        self.evaluation
            .update(logits, labels, human)
            .map_err(failed)?;
        Ok(SerializedEntry::not_available(None))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        let report = self.evaluation.compute().map_err(failed)?;
        let missing = || MetricError::TooFew {
            what: "human labels",
            needed: 1,
            found: 0,
        };
        self.last = self.score.of(&report).ok_or_else(missing).map_err(failed)?;
        Ok(SerializedEntry::new(
            format!("epoch {}", format_float(self.last, 4)),
            NumericEntry::Final(self.last).serialize(),
        ))
    }

    fn clear(&mut self) {
        self.evaluation = self.empty.clone();
        self.last = f64::NAN;
    }
}

impl Numeric for EvaluationMetric {
    fn value(&self) -> Option<NumericEntry> {
        None
    }

    fn running_value(&self) -> Option<NumericEntry> {
        None
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::data::dataloader::Progress;
    use burn::tensor::Device;

    use super::*;

    fn metadata() -> MetricMetadata {
        MetricMetadata {
            progress: Progress {
                items_processed: 2,
                items_total: 4,
                unit: None,
            },
            iteration: None,
            lr: None,
        }
    }

    fn batch(labels: [i32; 2]) -> EvaluationInput {
        let device = Device::flex();
        EvaluationInput {
            logits: Tensor::from_data([[2.0, 0.0], [0.0, 1.0]], &device),
            labels: Tensor::from_data(labels, &device),
            human: None,
        }
    }

    #[test]
    fn an_epoch_is_measured_as_a_whole_and_forgotten() {
        let config = EvaluationConfig::new();
        let mut metric = EvaluationMetric::new(Score::Top1, 2, &config).unwrap();
        for labels in [[0, 1], [0, 0]] {
            let entry = metric.update(&batch(labels), &metadata()).unwrap();
            assert!(entry.is_not_available());
        }
        let entry = metric.compute().unwrap();
        assert_eq!(
            (metric.final_value().current(), entry.serialized.as_str()),
            (0.75, "0.75,final")
        );
        metric.clear();
        metric.update(&batch([1, 0]), &metadata()).unwrap();
        metric.compute().unwrap();
        assert_eq!(metric.final_value().current(), 0.0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let config = EvaluationConfig::new();
        let mut metric = EvaluationMetric::new(Score::KlHuman, 2, &config).unwrap();
        metric.update(&batch([0, 7]), &metadata()).unwrap();
        let error = metric.compute().unwrap_err().to_string();
        assert!(error.contains("row 1: label 7"), "{error}");
        metric.clear();
        metric.update(&batch([0, 1]), &metadata()).unwrap();
        assert!(
            metric
                .compute()
                .unwrap_err()
                .to_string()
                .contains("human labels")
        );
    }
}
