//! Everything that the evaluation of a classifier reads, in one pass over its answers.

mod calibration;
mod class_means;
mod confusion;
mod equal_mass;
mod human;
mod report;
mod row;
mod sums;

use burn::config::Config;
use burn::prelude::*;

pub use calibration::CalibrationBin;
pub use class_means::MeanRows;
pub use confusion::{ClassScores, ConfusionMatrix};
pub use human::HumanReport;
pub use report::EvaluationReport;
pub use row::RowReport;

use crate::error::{MetricError, check_positive, check_share, expect_count};
use crate::read::{floats, integers};
use row::Scores;
use sums::{Rows, Sums};

/// Scores that may wait on the device; more are read to the host, so that memory stays bounded (16 MiB of f32).
const MAX_PENDING_VALUES: usize = 1 << 22;
/// Updates that may wait on the device: joining them stays cheap when batches are small.
const MAX_PENDING_UPDATES: usize = 512;

/// Settings of an [`Evaluation`].
#[derive(Config, Debug)]
pub struct EvaluationConfig {
    /// Bins of the calibration errors, 1 or more. Guo et al. (2017) use 15.
    #[config(default = 15)]
    pub bins: usize,
    /// Share of the uniform distribution in the human labels where they stand in a denominator, between 0 and 1: KL(model‖human) is
    /// infinite without it. One vote in a hundred, spread over all classes.
    #[config(default = 0.01)]
    pub smoothing: f64,
    /// Whether the report has every sample ([`RowReport`]): 80 bytes each.
    #[config(default = false)]
    pub keep_rows: bool,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl EvaluationConfig {
    /// An empty [`Evaluation`] of a classifier with this many classes.
    ///
    /// # Errors
    /// [`MetricError::Config`] without bins or classes, or for a smoothing out of range.
    pub fn init(&self, classes: usize) -> Result<Evaluation, MetricError> {
        check_positive("bins", self.bins)?;
        check_positive("classes", classes)?;
        check_share("smoothing", self.smoothing)?;
        Ok(Evaluation {
            classes,
            with_human: None,
            pending: Vec::new(),
            pending_samples: 0,
            sums: Sums::new(classes, self.clone()),
        })
    }
}

/// Accuracy, likelihood, calibration, agreement with people and the structure of the answers, accumulated batch by batch.
///
/// An update queues its tensors and returns; nothing is read from the device until [`compute`](Self::compute), or until four million
/// scores or 512 updates wait. What is kept grows with classes² and, for bins of equal mass, by four bytes a sample.
///
/// Every sum is taken in `f64` in the order of the samples: the result has the same bits however they were cut into batches, and for any
/// number of threads; another order, or [`merge`](Self::merge), changes it by `f64` rounding alone.
///
/// Because values are read late, what is wrong *in* them (NaN, a label out of range) is reported by the update or `compute` that reads them,
/// with the number of the row since the start. The evaluation then stays refused; it never drops a sample in silence.
#[derive(Clone, Debug)]
pub struct Evaluation {
    classes: usize,
    /// Whether updates bring human labels; known after the first.
    with_human: Option<bool>,
    pending: Vec<Pending>,
    pending_samples: usize,
    sums: Sums,
}

/// An update that still lives on the device.
#[derive(Clone, Debug)]
struct Pending {
    kind: Scores,
    scores: Tensor<2>,
    labels: Tensor<1, Int>,
    human: Option<Tensor<2>>,
}

impl Pending {
    fn read(&self) -> Result<Rows, MetricError> {
        Ok(Rows {
            kind: self.kind,
            scores: floats(self.scores.clone())?,
            labels: integers(self.labels.clone())?,
            human: self.human.clone().map(floats).transpose()?,
        })
    }
}

impl Evaluation {
    /// Adds a batch: logits `[B, C]`, labels `[B]`, and the distribution of human answers `[B, C]` where there is one.
    ///
    /// Tensors may be on an autodiff device; no gradient is tracked. Human labels come with every update or with none.
    ///
    /// # Errors
    /// [`MetricError::Count`] when shapes do not agree, [`MetricError::HumanForSome`], and what earlier rows hold (see above). A refused batch
    /// is not counted.
    pub fn update(
        &mut self,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
        human: Option<Tensor<2>>,
    ) -> Result<(), MetricError> {
        self.queue(Scores::Logits, logits, labels, human)
    }

    /// [`update`](Self::update) with probabilities in place of logits: rows of values from 0 on whose sum is 1 within 0.001. A
    /// probability below 1.2e-38 counts as that in logarithms, so that an impossible label costs 87.3 nats and not infinitely many.
    ///
    /// # Errors
    /// Those of [`update`](Self::update); later [`MetricError::Distribution`] for a row that is none.
    pub fn update_probabilities(
        &mut self,
        probabilities: Tensor<2>,
        labels: Tensor<1, Int>,
        human: Option<Tensor<2>>,
    ) -> Result<(), MetricError> {
        self.queue(Scores::Probabilities, probabilities, labels, human)
    }

    fn queue(
        &mut self,
        kind: Scores,
        scores: Tensor<2>,
        labels: Tensor<1, Int>,
        human: Option<Tensor<2>>,
    ) -> Result<(), MetricError> {
        let [batch, classes] = scores.dims();
        expect_count("classes in the scores", self.classes, classes)?;
        expect_count("labels for the batch", batch, labels.dims()[0])?;
        if let Some(human) = &human {
            let [rows, classes] = human.dims();
            expect_count("rows of human labels for the batch", batch, rows)?;
            expect_count("classes in the human labels", self.classes, classes)?;
        }
        if self.with_human.is_some_and(|with| with != human.is_some()) {
            return Err(MetricError::HumanForSome { row: self.len() });
        }
        if batch == 0 {
            return Ok(());
        }
        let waiting = self.pending_samples * self.classes;
        if waiting >= MAX_PENDING_VALUES || self.pending.len() >= MAX_PENDING_UPDATES {
            self.settle()?;
        }
        self.with_human = Some(human.is_some());
        self.pending.push(Pending {
            kind,
            // Without the graph that made them, which would stay alive.
            scores: scores.inner(),
            labels: labels.inner(),
            human: human.map(Tensor::inner),
        });
        self.pending_samples += batch;
        Ok(())
    }

    /// Samples given so far.
    pub fn len(&self) -> usize {
        self.sums.samples() + self.pending_samples
    }

    /// Whether no sample was given yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The measures over all samples so far; more may be added afterwards.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples; [`MetricError::Logits`], [`MetricError::Label`] or [`MetricError::Distribution`] naming the first
    /// bad row; [`MetricError::Read`] when the device fails.
    pub fn compute(&self) -> Result<EvaluationReport, MetricError> {
        if self.pending.is_empty() {
            self.sums.report()
        } else {
            self.settled()?.report()
        }
    }

    /// Adds the samples of another evaluation, as if they had been given to this one after its own.
    ///
    /// # Errors
    /// [`MetricError::Count`] when classes differ, [`MetricError::Config`] when settings do, [`MetricError::HumanForSome`], and what the rows of either hold; the evaluation is then
    /// unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count(
            "classes of the merged evaluation",
            self.classes,
            other.classes,
        )?;
        self.sums.same_settings(&other.sums)?;
        if let (Some(own), Some(others)) = (self.with_human, other.with_human)
            && own != others
        {
            return Err(MetricError::HumanForSome { row: self.len() });
        }
        let added = other.settled()?;
        self.settle()?;
        self.sums.merge(&added);
        self.with_human = self.with_human.or(other.with_human);
        Ok(())
    }

    /// Reads what waits on the device into the sums, up to what cannot be read or is bad.
    fn settle(&mut self) -> Result<(), MetricError> {
        while !self.pending.is_empty() {
            let count = alike(&self.pending);
            self.sums.add(join(&self.pending[..count]).read()?)?;
            self.pending.drain(..count);
            self.pending_samples = self
                .pending
                .iter()
                .map(|update| update.scores.dims()[0])
                .sum();
        }
        Ok(())
    }

    fn settled(&self) -> Result<Sums, MetricError> {
        let mut sums = self.sums.clone();
        let mut rest = &self.pending[..];
        while !rest.is_empty() {
            let (updates, others) = rest.split_at(alike(rest));
            sums.add(join(updates).read()?)?;
            rest = others;
        }
        Ok(sums)
    }
}

/// How many updates from the first on can be read from the device as one.
fn alike(pending: &[Pending]) -> usize {
    let human = |update: &Pending| update.human.as_ref().map(Tensor::dtype);
    let same = |a: &Pending, b: &Pending| {
        a.kind == b.kind
            && a.scores.device() == b.scores.device()
            && a.scores.dtype() == b.scores.dtype()
            && a.labels.dtype() == b.labels.dtype()
            && human(a) == human(b)
    };
    pending.chunk_by(same).next().map_or(0, <[Pending]>::len)
}

fn join(updates: &[Pending]) -> Pending {
    let device = updates[0].scores.device();
    let labels = updates
        .iter()
        .map(|update| update.labels.clone().to_device(&device));
    let human: Option<Vec<_>> = updates
        .iter()
        .map(|update| Some(update.human.clone()?.to_device(&device)))
        .collect();
    Pending {
        kind: updates[0].kind,
        scores: Tensor::cat(updates.iter().map(|u| u.scores.clone()).collect(), 0),
        labels: Tensor::cat(labels.collect(), 0),
        human: human.map(|rows| Tensor::cat(rows, 0)),
    }
}
