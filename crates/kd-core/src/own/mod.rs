//! Losses of a network that is its own teacher, or has none.

mod cs_kd;
mod ddgsd;
mod ps_kd;
mod tf_kd;

pub use cs_kd::{CsKdLoss, CsKdLossConfig};
pub use ddgsd::{DdgsdLoss, DdgsdLossConfig, DdgsdTerms, DistortedView};
pub use ps_kd::{PsKd, PsKdConfig, PsKdOutput, PsKdUpdate};
pub use tf_kd::{
    KlAverage, TfKdSelfLoss, TfKdSelfLossConfig, TfKdVirtualLoss, TfKdVirtualLossConfig,
};
