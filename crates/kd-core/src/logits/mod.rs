//! Losses of the teacher's and the student's logits.

mod dist;
mod dkd;
mod js;
mod kd;
mod kl;
mod mse;
mod reverse_kl;
mod soft_cross_entropy;

pub use dist::{DistLoss, DistLossConfig};
pub use dkd::{DkdLoss, DkdLossConfig, DkdTerms};
pub use js::{JsLoss, JsLossConfig};
pub use kd::{KdLoss, KdLossConfig, KdTerms};
pub use kl::{KlLoss, KlLossConfig};
pub use mse::{LogitMseLoss, LogitMseLossConfig};
pub use reverse_kl::{ReverseKlLoss, ReverseKlLossConfig};
pub use soft_cross_entropy::{LabelSmoothingLoss, LabelSmoothingLossConfig, SoftCrossEntropyLoss};
