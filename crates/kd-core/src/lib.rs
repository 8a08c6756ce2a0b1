//! Losses for knowledge distillation on Burn tensors: what the student is asked to match.
//!
//! - [`divergence`]: softened softmax, entropy, KL divergence and cross-entropies, each *per sample*. The ground floor;
//!   useful alone, for example to score samples or to compare a model with human label distributions.
//! - Of logits: [`KdLoss`], [`KlLoss`], [`SoftCrossEntropyLoss`], [`LabelSmoothingLoss`], [`DkdLoss`], [`DistLoss`], [`JsLoss`],
//!   [`ReverseKlLoss`], [`LogitMseLoss`].
//! - Of maps and embeddings: [`FitNetLoss`], [`AtLoss`], [`SpLoss`], [`CcLoss`], [`PktLoss`], [`VidLoss`], [`NstLoss`], [`RkdLoss`],
//!   [`FspLoss`], [`AbLoss`], [`FtLoss`], [`IrgLoss`], [`CrdLoss`].
//! - Of networks that learn from each other: [`DmlLoss`], [`MmdLoss`], [`PeerTeacher`], [`KdclLoss`], [`One`], [`Okddip`].
//! - Of a network that is its own teacher: [`TfKdSelfLoss`], [`TfKdVirtualLoss`], [`CsKdLoss`], [`PsKd`], [`DdgsdLoss`].
//! - [`WeightedSum`] and [`Ramp`]: several of them as one, with weights that grow.
//!
//! Each loss is a documented configuration, checked by `init`, and then a value whose `forward` averages over the batch; where the
//! loss is a mean over samples, `forward_no_reduction` keeps one number for each. Losses with layers or a memory of their own are Burn
//! modules: give them to the optimiser and to the checkpoint. (A record of layers with batch norm is complete after
//! [`Module::valid`](burn::module::Module::valid), as everywhere in Burn.)
//!
//! **Gradients.** Whatever a loss takes as its *target* (teacher logits, maps, embeddings, probabilities, labels) is a constant: it receives
//! no gradient and may come from a device with or without autodiff. See [`divergence::constant_like`].
//!
//! **Number types.** f16 and bf16 are computed in f32, and a loss of them is an f32; the student's
//! gradient has the student's type. The target is cast as it is moved, so a student and a teacher of
//! different types go together. Layers of a loss compute in the type of their weights. What is not a
//! number in either argument is not a number in the loss.
//!
//! **Labels** are numbers in `0..classes`. On the CPU one that is not panics; labels on another device
//! are not read, since that would wait for the device. Check them where they enter the program, as
//! kd-data does.
//!
//! **Speed.** With the feature `flex`, f32 maps and embeddings on the CPU are read by kernels, forward and backward, in whichever order they
//! lie in memory.
//!
//! # Example
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use kd_core::KdLossConfig;
//!
//! let device = Device::flex();
//! let teacher = Tensor::<2>::from_data([[5.0, 1.0, -2.0], [0.5, 0.0, 2.0]], &device); // no autodiff: a constant
//! let student = Tensor::<2>::from_data([[1.0, 0.2, 0.1], [0.3, 0.0, 0.4]], &device.autodiff()).require_grad();
//! let labels = Tensor::<1, Int>::from_data([0, 2], &student.device());
//!
//! let loss = KdLossConfig::new()
//!     .with_alpha(0.9)
//!     .with_temperature(4.0)
//!     .init()?
//!     .forward(student.clone(), teacher, labels);
//!
//! let gradient = student.grad(&loss.backward()).expect("the student is a tracked leaf");
//! assert_eq!(gradient.dims(), [2, 3]);
//! # Ok::<(), kd_core::CoreError>(())
//! ```

mod crd;
pub mod divergence;
mod error;
mod features;
mod logits;
mod math;
mod online;
mod own;
mod ramp;
mod weighted_sum;

pub use crd::{
    CrdContrast, CrdLoss, CrdLossConfig, CrdOutput, CrdUpdate, NegativeSampler, Negatives,
};
pub use error::CoreError;
pub use features::{
    AbLoss, AbLossConfig, AbReduction, AtDistance, AtLoss, AtLossConfig, CcKernel, CcLoss,
    CcLossConfig, FitNetLoss, FitNetLossConfig, FspLoss, FtFactor, FtLoss, FtLossConfig, Graph,
    Hint, HintConfig, HintConv, IrgLoss, IrgLossConfig, IrgTerms, NstLoss, Paraphraser,
    ParaphraserConfig, PktLoss, RkdLoss, RkdLossConfig, RkdTerms, SpLoss, SpLossConfig, SpNorm,
    Translator, TranslatorConfig, VidLoss, VidLossConfig,
};
pub use logits::{
    DistLoss, DistLossConfig, DkdLoss, DkdLossConfig, DkdTerms, JsLoss, JsLossConfig, KdLoss,
    KdLossConfig, KdTerms, KlLoss, KlLossConfig, LabelSmoothingLoss, LabelSmoothingLossConfig,
    LogitMseLoss, LogitMseLossConfig, ReverseKlLoss, ReverseKlLossConfig, SoftCrossEntropyLoss,
};
pub use online::{
    DmlLoss, DmlLossConfig, DmlTarget, EnsembleErrors, KdclEnsemble, KdclLoss, KdclLossConfig,
    MmdLoss, Okddip, OkddipConfig, OkddipTerms, One, OneConfig, OneTerms, PeerTeacher,
    PeerTeacherConfig, PeerTeacherTerms,
};
pub use own::{
    CsKdLoss, CsKdLossConfig, DdgsdLoss, DdgsdLossConfig, DdgsdTerms, DistortedView, KlAverage,
    PsKd, PsKdConfig, PsKdOutput, PsKdUpdate, TfKdSelfLoss, TfKdSelfLossConfig, TfKdVirtualLoss,
    TfKdVirtualLossConfig,
};
pub use ramp::Ramp;
pub use weighted_sum::{Term, TermValue, Total, WeightedSum};
