//! A teacher's logits in a file: recorded while a run goes on, replayed in later runs.
//!
//! Views are functions of (seed, epoch, view, ids), so what a run asks its teacher for logits is
//! known by (epoch, number of the view, copies of the pool, step, ids). A recording answers that.
//!
//! ```text
//! "kd-logit"   8 bytes
//! version      u32
//! length       u32, of the header
//! header       JSON: how logits are written, classes, teacher, data, seed, batch size, views
//! CRC-32       u32, of all bytes before it
//! blocks       one after the other, in the order in which they were asked:
//!   "blok"     4 bytes
//!   epoch      u64
//!   step       u64, in the epoch
//!   view       u32, its number
//!   copies     u32, of the pool; 1 without one
//!   count      u32, images of the batch
//!   size       u64, bytes of the whole block
//!   CRC-32     u32, of the head so far
//!   ids        u32 each
//!   rows       copies * count of them, each as `RecordAs` says
//!   CRC-32     u32, of the whole block so far
//! ```
//!
//! All numbers are little-endian. The file only grows, by one block at a time. What a dying process
//! leaves of a block is cut off when the recording goes on, and skipped when it is replayed.

mod blocks;
mod format;
mod of_run;
mod plan;
mod record_as;
mod recorder;

use burn::tensor::Tensor;

use blocks::Blocks;
pub(crate) use format::Question;
pub(crate) use plan::Plan;
use plan::refuse_features;
pub use record_as::RecordAs;
pub(crate) use recorder::Recorder;

use crate::TrainError;
use crate::evaluation::host;

/// A recording that a run reads or continues.
#[allow(clippy::large_enum_variant, reason = "a run has one of them")]
pub(crate) enum Recording {
    /// Answers everything, so that there need be no teacher.
    Replayed(Blocks),
    /// Answers what it holds, and keeps what the teacher answers.
    Recorded(Recorder),
}

impl Recording {
    fn blocks(&self) -> Option<&Blocks> {
        match self {
            Self::Replayed(blocks) => Some(blocks),
            Self::Recorded(recorder) => recorder.blocks(),
        }
    }

    /// Returns the logits that the file holds, row by row.
    pub(crate) fn known(&self, question: &Question<'_>) -> Result<Option<Vec<f32>>, TrainError> {
        match self.blocks() {
            Some(blocks) => blocks.read(question),
            None => Ok(None),
        }
    }

    /// Keeps what the teacher answered, and returns it as a replay will: the run that records
    /// learns from the same numbers as those that replay.
    pub(crate) fn keep(
        &self,
        question: &Question<'_>,
        logits: Tensor<2>,
    ) -> Result<Vec<f32>, TrainError> {
        match self {
            Self::Replayed(blocks) => Err(blocks.lacks(&question.key())),
            Self::Recorded(recorder) => {
                let [rows, classes] = logits.dims();
                recorder.append(question, [rows, classes], &host(logits)?)
            }
        }
    }

    /// Brings what was recorded to the disk.
    pub(crate) fn flush(&self) -> Result<(), TrainError> {
        match self {
            Self::Replayed(_) => Ok(()),
            Self::Recorded(recorder) => recorder.flush(),
        }
    }

    /// Refuses a recording that lacks an answer which the plan needs before `end`, an epoch and a
    /// step in it.
    pub(crate) fn covers(&self, plan: &Plan, end: [usize; 2]) -> Result<(), TrainError> {
        match self {
            Self::Replayed(blocks) => blocks.covers(plan, end),
            Self::Recorded(recorder) => recorder.covers(plan, end),
        }
    }
}
