//! Everything that the evaluation of a classifier reads, in one pass over its logits.

mod accuracy;
mod calibration;
mod human;
mod likelihood;
mod report;
mod sums;

use burn::config::Config;
use burn::prelude::*;
use burn::tensor::DType;
use kd_core::divergence::log_softmax;

pub use calibration::CalibrationBin;
pub use report::EvaluationReport;

use crate::error::MetricError;
use sums::Sums;

/// Samples whose results may wait on the device; more are read to the host, so that memory stays bounded (32 bytes a sample, 2 MiB).
const MAX_PENDING_SAMPLES: usize = 1 << 16;
/// Updates whose results may wait on the device: joining them stays cheap when batches are small.
const MAX_PENDING_UPDATES: usize = 512;

/// Settings of an [`Evaluation`].
#[derive(Config, Debug)]
pub struct EvaluationConfig {
    /// Equal-width bins of the calibration error, 1 or more. Guo et al. (2017) use 15.
    #[config(default = 15)]
    pub bins: usize,
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
    /// [`MetricError::Config`] without bins or classes.
    pub fn init(&self, classes: usize) -> Result<Evaluation, MetricError> {
        for (field, value) in [("bins", self.bins), ("classes", classes)] {
            if value == 0 {
                return Err(MetricError::Config {
                    field,
                    value: value.to_string(),
                    reason: "must be 1 or more",
                });
            }
        }
        Ok(Evaluation {
            classes,
            with_human: None,
            pending: Vec::new(),
            pending_samples: 0,
            sums: Sums::new(self.bins),
        })
    }
}

/// Top-1, top-5, negative log-likelihood, calibration error and divergence from human labels, accumulated batch by batch.
///
/// An update queues work on the device and returns; it leaves at most eight numbers a sample there. They are read to the host by
/// [`compute`](Self::compute), and before that whenever 65,536 samples or 512 updates wait, so memory does not grow with the data. Per-sample
/// values are `f32`, their sums `f64`, so the result depends on the order and the size of the batches only by `f64` rounding.
///
/// Because values are read late, what is wrong *in* them (NaN, a label out of range) is reported by the update or `compute` that reads them,
/// with the number of the row since the start. The evaluation then stays refused; it never drops a sample in silence.
#[derive(Clone, Debug)]
pub struct Evaluation {
    classes: usize,
    /// Whether updates bring human labels; known after the first.
    with_human: Option<bool>,
    /// Results that still live on the device, `[B, columns]` each.
    pending: Vec<Tensor<2>>,
    pending_samples: usize,
    sums: Sums,
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
        let [batch, classes] = logits.dims();
        expect_count("classes in the logits", self.classes, classes)?;
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
        if self.pending_samples >= MAX_PENDING_SAMPLES || self.pending.len() >= MAX_PENDING_UPDATES
        {
            self.settle()?;
        }
        self.with_human = Some(human.is_some());
        self.pending.push(columns(logits, labels, human));
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
        self.settled()?.report()
    }

    /// Adds the samples of another evaluation, as if they had been given to this one after its own.
    ///
    /// # Errors
    /// [`MetricError::Count`] when bins or classes differ, [`MetricError::HumanForSome`], and what the rows of either hold; the evaluation is then
    /// unchanged.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count(
            "classes of the merged evaluation",
            self.classes,
            other.classes,
        )?;
        expect_count(
            "bins of the merged evaluation",
            self.sums.bins(),
            other.sums.bins(),
        )?;
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

    /// Reads what waits on the device into the sums.
    fn settle(&mut self) -> Result<(), MetricError> {
        self.sums = self.settled()?;
        self.pending.clear();
        self.pending_samples = 0;
        Ok(())
    }

    /// The sums with what waits on the device, in one read.
    fn settled(&self) -> Result<Sums, MetricError> {
        let mut sums = self.sums.clone();
        if self.pending.is_empty() {
            return Ok(sums);
        }
        let table = Tensor::cat(self.pending.clone(), 0);
        let [_, columns] = table.dims();
        let values = table
            .try_into_vec_as::<f32>()
            .map_err(|error| MetricError::Read {
                reason: error.to_string(),
            })?;
        for sample in values.chunks_exact(columns) {
            sums.push(sample, self.classes)?;
        }
        Ok(sums)
    }
}

/// What a sample leaves on the device: finite?, label, rank, NLL, confidence, and the three columns of [`human::columns`].
fn columns(logits: Tensor<2>, labels: Tensor<1, Int>, human: Option<Tensor<2>>) -> Tensor<2> {
    let logits = logits.inner().cast(DType::F32);
    let device = logits.device();
    let labels = labels.inner().to_device(&device).unsqueeze_dim::<2>(1);
    let [_, classes] = logits.dims();
    // A label out of range would index outside the row; it is read back as it is and refused there.
    let index = labels.clone().clamp(0, classes as i64 - 1);
    let log_probs = log_softmax(logits.clone(), 1.0);
    let mut columns = vec![
        logits.clone().is_finite().all_dim(1).float(),
        labels.float().cast(DType::F32),
        accuracy::true_class_rank(logits, index.clone()),
        likelihood::negative_log_likelihood(log_probs.clone(), index),
        log_probs.clone().max_dim(1).exp(),
    ];
    if let Some(human) = human {
        let human = human.inner().to_device(&device).cast(DType::F32);
        columns.push(human::columns(human, log_probs));
    }
    Tensor::cat(columns, 1)
}

fn expect_count(what: &'static str, expected: usize, found: usize) -> Result<(), MetricError> {
    if expected == found {
        Ok(())
    } else {
        Err(MetricError::Count {
            what,
            expected,
            found,
        })
    }
}
