//! The losses of kd-core as terms: one file a loss, one line in [`add`].
//!
//! The settings of a term are the loss's own configuration.

mod cc;
mod ce;
mod crd;
mod embeddings;
mod fitnet;
mod logits;
mod maps;
mod pairs;
mod vid;

pub use cc::Cc;
pub use ce::Ce;
pub use crd::{Crd, CrdParts};
pub use embeddings::Pkt;
pub use fitnet::FitNet;
pub use maps::Nst;
pub use vid::Vid;

use super::Terms;

pub(super) fn add(terms: Terms) -> Terms {
    terms
        .with::<Ce>()
        .with::<kd_core::KlLossConfig>()
        .with::<kd_core::DkdLossConfig>()
        .with::<kd_core::DistLossConfig>()
        .with::<kd_core::JsLossConfig>()
        .with::<kd_core::ReverseKlLossConfig>()
        .with::<kd_core::LogitMseLossConfig>()
        .with::<kd_core::AtLossConfig>()
        .with::<kd_core::SpLossConfig>()
        .with::<Nst>()
        .with::<Pkt>()
        .with::<kd_core::RkdLossConfig>()
        .with::<Cc>()
        .with::<Vid>()
        .with::<FitNet>()
        .with::<Crd>()
}
