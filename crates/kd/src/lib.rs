//! Knowledge distillation with data augmentation, on [Burn]: one dependency for the whole family of crates.
//!
//! *Distil a student from a teacher, with the augmentation that works best, and see why.* The same code runs on the CPU,
//! on Vulkan, WebGPU and Metal, and on CUDA and ROCm.
//!
//! | module | crate | what it is for |
//! |---|---|---|
//! | [`losses`] | `kd-core` | what the student is asked to match |
//! | [`augment`] | `kd-augment` | what both networks are shown: transforms, mixing, picking |
//! | [`nn`] | `kd-nn` | convolution, batch norm and their group, fast on the CPU |
//! | [`models`] | `kd-models` | teachers and students, weight files |
//! | [`data`] | `kd-data` | data sets, checks, the deterministic loader |
//! | [`metrics`] | `kd-metrics` | how good a teacher, a student, an augmentation is; plots |
//! | [`train`] | `kd-train` | runs: recipes in, checkpoints and a report out |
//! | [`device`] | | the device that `BURN_DEVICE` names |
//!
//! Each crate is useful alone; this one forwards Burn's backends as features: `flex` (default, the CPU), `vulkan`, `wgpu`,
//! `webgpu`, `metal`, `rocm`, `cuda`.
//!
#![doc = include_str!("../../../docs/use.md")]
//!
//! [Burn]: https://burn.dev

pub mod device;

pub use burn;
pub use kd_augment as augment;
pub use kd_core as losses;
pub use kd_data as data;
pub use kd_metrics as metrics;
pub use kd_models as models;
pub use kd_nn as nn;
pub use kd_train as train;

/// What most programs need.
pub mod prelude {
    pub use crate::augment::{Augmentation, CutMix, CutMixPick, DrawKey, Mixup, ParamSharing};
    pub use crate::data::{ImageSet, LoaderConfig, Shapes, Split};
    pub use crate::device::default_device;
    pub use crate::losses::{KdLossConfig, KlLossConfig, divergence};
    pub use crate::metrics::{EvaluationConfig, Report, Section};
    pub use crate::models::{
        Architecture, Classifier, Classify, InputSpec, ModelConfig, Statistics,
    };
    pub use crate::train::{Distiller, Progress, Recipe, evaluate, rank_augmentations};
    pub use burn::module::Module;
    pub use burn::tensor::{Device, Int, Tensor};
}

/// The programs of the page on augmentation are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/augmentation.md")]
mod augmentation_page {}

/// The program of the page on networks is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/models.md")]
mod models_page {}

/// The program of the page on measures is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/metrics.md")]
mod metrics_page {}

/// The program of the page on methods is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/methods.md")]
mod methods_page {}

/// The program of the page on losses is a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/losses.md")]
mod losses_page {}
