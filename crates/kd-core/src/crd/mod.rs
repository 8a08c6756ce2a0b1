//! Contrastive representation distillation, with memory banks over the whole training set.

mod contrast;
mod kernel;
mod loss;
mod negatives;

pub use loss::{CrdContrast, CrdLoss, CrdLossConfig, CrdOutput, CrdUpdate};
pub use negatives::{NegativeSampler, Negatives};
