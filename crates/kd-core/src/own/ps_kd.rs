use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::divergence::{constant_like, one_hot, soft_cross_entropy, softmax, widen};
use crate::error::{CoreError, check_count, check_fraction, check_indices};

/// Configuration of [`PsKd`].
#[derive(Config, Debug, PartialEq)]
pub struct PsKdConfig {
    /// Samples of the training set.
    pub samples: usize,
    /// Classes.
    pub classes: usize,
    /// The weight of the past at the end of training, in [0, 1]; before that it grows in proportion to the epochs done.
    #[config(default = 0.8)]
    pub alpha: f64,
}

impl PsKdConfig {
    /// Checks the configuration and makes the loss, with a memory that has seen nothing.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] without samples or classes, or if `alpha` is not in [0, 1].
    pub fn init(&self, device: &Device) -> Result<PsKd, CoreError> {
        let samples = check_count("samples", self.samples, 1, "[1, inf)")?;
        let classes = check_count("classes", self.classes, 1, "[1, inf)")?;
        // What is remembered is no parameter: it lives outside of autodiff.
        let device = device.clone().without_autodiff();
        Ok(PsKd {
            predictions: Param::initialized(
                ParamId::new(),
                widen(Tensor::zeros([samples, classes], &device)),
            ),
            alpha: check_fraction("alpha", self.alpha)?,
        })
    }
}

/// PS-KD, progressive self-distillation: cross-entropy with a target between the label and what the network itself said of the sample
/// when it saw it last, `-sum_c t_c log softmax(z)_c` with `t = (1 - a) onehot(y) + a p_last` and `a = alpha (epoch + 1) / epochs`.
///
/// From Kim et al., "Self-Knowledge Distillation with Progressive Refinement of Targets" (ICCV 2021), Eq. 3-5. As in the authors' code
/// what is remembered is the softmax of the last *training* pass over the sample, augmented and with the batch's
/// statistics; a sample that was never seen has its label for a past.
///
/// [`forward`](Self::forward) changes nothing: it gives the loss and what is to be remembered, which
/// [`remember`](Self::remember) then takes, for example after the optimiser's step was accepted. The memory, `samples * classes` numbers,
/// is part of the module's record: a resumed run goes on with it.
///
/// Made by [`PsKdConfig`].
#[derive(Module, Debug)]
pub struct PsKd {
    /// `[samples, classes]`; rows of zeros were never seen.
    pub predictions: Param<Tensor<2>>,
    alpha: f64,
}

/// A step of [`PsKd`].
#[derive(Debug, Clone)]
pub struct PsKdOutput {
    /// The mean over the batch: `[1]`.
    pub loss: Tensor<1>,
    /// What is to be remembered.
    pub update: PsKdUpdate,
}

/// What a step of [`PsKd`] is to remember.
#[derive(Debug, Clone)]
pub struct PsKdUpdate {
    rows: Tensor<1, Int>,
    predictions: Tensor<2>,
}

impl PsKd {
    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[batch, classes]`
    /// - `labels`: `[batch]`, each in `0..classes`
    /// - `indices`: the number of each image in the training set
    /// - `progress`: the share of the training that the current epoch completes, `(epoch + 1) / epochs`, in [0, 1]
    ///
    /// # Errors
    ///
    /// [`CoreError::Index`] if an index is not that of a sample, [`CoreError::OutOfRange`] if `progress` is not in [0, 1].
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together, or if a label is outside `0..classes`.
    pub fn forward(
        &self,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
        indices: &[usize],
        progress: f64,
    ) -> Result<PsKdOutput, CoreError> {
        let [samples, classes] = self.predictions.dims();
        let [batch, _] = logits.dims();
        check_indices("PS-KD", indices, samples)?;
        assert_eq!(indices.len(), batch, "indices and rows of logits");
        assert_eq!(
            logits.dims()[1],
            classes,
            "the logits and the memory must have the same [batch, classes]"
        );
        let alpha = self.alpha * check_fraction("progress", progress)?;

        let memory = self.predictions.val().without_autodiff();
        let numbers: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(numbers, [batch]), &memory.device());
        let logits = widen(logits);
        let own = logits.clone().without_autodiff();
        let past = constant_like(memory.clone().select(0, rows.clone()), &own);
        let label = one_hot(labels, &own);
        // Of a row of zeros the label takes the part that the past would have.
        let seen = past.clone().sum_dim(1).mul_scalar(alpha);
        let target = label * seen.neg().add_scalar(1.0) + past.mul_scalar(alpha);
        Ok(PsKdOutput {
            loss: soft_cross_entropy(target, logits).mean(),
            update: PsKdUpdate {
                rows,
                predictions: constant_like(softmax(own, 1.0), &memory),
            },
        })
    }

    /// Takes over what a step has found. Of an image that stands twice in a batch, the later row stays.
    #[must_use]
    pub fn remember(mut self, update: PsKdUpdate) -> Self {
        self.predictions = self.predictions.map(|memory| {
            memory.without_autodiff().select_assign(
                0,
                update.rows,
                update.predictions,
                IndexingUpdateOp::Assign,
            )
        });
        self
    }
}
