//! The losses of kd-core as terms: one file a loss, one line in [`add`].
//!
//! The settings of a term are the loss's own configuration.

mod ab;
mod cc;
mod ce;
mod crd;
mod embeddings;
mod fitnet;
mod fsp;
mod ft;
mod irg;
mod logits;
mod maps;
mod okddip;
mod one;
mod own;
mod pairs;
mod peer_teacher;
mod peers;
mod ps_kd;
mod vid;

pub use cc::Cc;
pub use ce::Ce;
pub use crd::{Crd, CrdParts};
pub use embeddings::Pkt;
pub use fitnet::FitNet;
pub use fsp::Fsp;
pub use ft::{Ft, FtParts};
pub use maps::Nst;
pub use okddip::Okddip;
pub use one::One;
pub use peer_teacher::PeerTeacher;
pub use peers::Mmd;
pub use ps_kd::PsKd;
pub use vid::Vid;

use super::Terms;

pub(super) fn add(terms: Terms) -> Terms {
    terms
        // Of labels.
        .with::<Ce>()
        .with::<kd_core::LabelSmoothingLossConfig>()
        .with::<kd_core::TfKdVirtualLossConfig>()
        // Of logits and the teacher's.
        .with::<kd_core::KlLossConfig>()
        .with::<kd_core::DkdLossConfig>()
        .with::<kd_core::DistLossConfig>()
        .with::<kd_core::JsLossConfig>()
        .with::<kd_core::ReverseKlLossConfig>()
        .with::<kd_core::LogitMseLossConfig>()
        .with::<kd_core::TfKdSelfLossConfig>()
        // Of maps and embeddings and the teacher's.
        .with::<kd_core::AtLossConfig>()
        .with::<kd_core::SpLossConfig>()
        .with::<Nst>()
        .with::<Pkt>()
        .with::<kd_core::RkdLossConfig>()
        .with::<Cc>()
        .with::<Vid>()
        .with::<FitNet>()
        .with::<Crd>()
        .with::<Fsp>()
        .with::<kd_core::AbLossConfig>()
        .with::<Ft>()
        .with::<kd_core::IrgLossConfig>()
        // Of peers.
        .with::<kd_core::DmlLossConfig>()
        .with::<Mmd>()
        .with::<kd_core::KdclLossConfig>()
        .with::<PeerTeacher>()
        .with::<One>()
        .with::<Okddip>()
        // Of a network and itself.
        .with::<kd_core::CsKdLossConfig>()
        .with::<PsKd>()
        .with::<kd_core::DdgsdLossConfig>()
}
