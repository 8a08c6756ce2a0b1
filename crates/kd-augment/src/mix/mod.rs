//! Operations that mix two images of a batch, one file each.

mod cutmix;
mod cutnmix;
mod fmix;
mod mixer;
mod mixup;
mod pairing;

use serde::{Deserialize, Serialize};

pub use cutmix::{CutMix, MixBox};
pub use cutnmix::CutNMix;
pub use fmix::FMix;
pub use mixer::Mixer;
pub use mixup::Mixup;
pub use pairing::Pairing;

/// A way of mixing images, as a recipe names it: a table with the key `op`.
///
/// Mixing comes last and in float. Labels stay untouched: with a teacher labelling the mixed images these are TLmixup and
/// TLCutMix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mix {
    /// A weighted sum of two images.
    Mixup(Mixup),
    /// A box of one image pasted into the other.
    #[serde(rename = "cutmix")]
    CutMix(CutMix),
    /// A random shape of one image pasted into the other.
    #[serde(rename = "fmix")]
    FMix(FMix),
    /// A box of one image pasted into the other, another one for each network.
    #[serde(rename = "cutnmix")]
    CutNMix(CutNMix),
}

impl Mix {
    /// Who is mixed with whom.
    pub fn pairing(&self) -> Pairing {
        match self {
            Self::Mixup(mixup) => mixup.pairing,
            Self::CutMix(cutmix) => cutmix.pairing,
            Self::FMix(fmix) => fmix.pairing,
            Self::CutNMix(cutnmix) => cutnmix.pairing,
        }
    }

    /// The probability that an image is mixed.
    pub fn p(&self) -> f64 {
        match self {
            Self::Mixup(mixup) => mixup.p,
            Self::CutMix(cutmix) => cutmix.p,
            Self::FMix(fmix) => fmix.p,
            Self::CutNMix(cutnmix) => cutnmix.p,
        }
    }
}

impl From<Mixup> for Mix {
    fn from(mix: Mixup) -> Self {
        Self::Mixup(mix)
    }
}

impl From<CutMix> for Mix {
    fn from(mix: CutMix) -> Self {
        Self::CutMix(mix)
    }
}

impl From<FMix> for Mix {
    fn from(mix: FMix) -> Self {
        Self::FMix(mix)
    }
}

impl From<CutNMix> for Mix {
    fn from(mix: CutNMix) -> Self {
        Self::CutNMix(mix)
    }
}

/// The pairing of the authors of most mixes.
fn permutation() -> Pairing {
    Pairing::Permutation
}

/// `alpha` and `p` if the recipe does not say otherwise.
fn one() -> f64 {
    1.0
}
