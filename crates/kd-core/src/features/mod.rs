//! Losses of what networks compute on the way: feature maps and embeddings.

mod ab;
mod at;
mod cc;
mod fitnet;
mod fsp;
mod ft;
mod irg;
pub(crate) mod kernels;
pub(crate) mod maps;
mod nst;
mod pkt;
mod rkd;
mod sp;
mod vid;

pub use ab::{AbLoss, AbLossConfig, AbReduction};
pub use at::{AtDistance, AtLoss, AtLossConfig};
pub use cc::{CcKernel, CcLoss, CcLossConfig};
pub use fitnet::{FitNetLoss, FitNetLossConfig, Hint, HintConfig, HintConv};
pub use fsp::FspLoss;
pub use ft::{
    FtFactor, FtLoss, FtLossConfig, Paraphraser, ParaphraserConfig, Translator, TranslatorConfig,
};
pub use irg::{Graph, IrgLoss, IrgLossConfig, IrgTerms};
pub use nst::NstLoss;
pub use pkt::PktLoss;
pub use rkd::{RkdLoss, RkdLossConfig, RkdTerms};
pub use sp::{SpLoss, SpLossConfig, SpNorm};
pub use vid::{VidLoss, VidLossConfig};
