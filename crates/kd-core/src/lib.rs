//! Losses for knowledge distillation on Burn tensors: what the student is asked to match.
//!
//! - [`divergence`]: softened softmax, entropy, KL divergence and cross-entropies, each *per sample*. The ground floor;
//!   useful alone, for example to score samples or to compare a model with human label distributions.
//! - [`KdLoss`]: cross-entropy with the labels plus KL divergence from the teacher (Hinton et al., 2015).
//! - [`KlLoss`]: the teacher's term alone, for inputs that have no label, such as mixed images.
//!
//! Each loss is a documented configuration, checked by `init`, and then a value whose `forward` averages over the batch and
//! whose `forward_no_reduction` keeps one number per sample.
//!
//! **Gradients.** Whatever a loss takes as its *target* (teacher logits, probabilities) is a constant: it receives no gradient
//! and may come from a device with or without autodiff. See [`divergence::constant_like`].
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
