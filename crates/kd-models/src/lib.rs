//! Image classifiers for knowledge distillation: teachers and students, feature taps, weight import.
//!
//! Everything that trains or measures asks for [`Classify`], so a network of your own is a first-class teacher or
//! student. The networks of the papers are built by their names:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use kd_models::{Architecture, Classify, InputSpec, ModelConfig, Statistics};
//!
//! let device = Device::flex();
//! let spec = InputSpec::cifar(10, Statistics::CIFAR10)?;
//! let student = "resnet8".parse::<Architecture>()?.init(&ModelConfig::new(spec).with_seed(1), &device)?;
//! let features = student.forward_features(Tensor::zeros([2, 3, 32, 32], &device));
//! assert_eq!(features.logits.dims(), [2, 10]);
//! assert_eq!(features.stages[3].dims(), [2, 64, 8, 8]);
//! # Ok::<(), kd_models::ModelError>(())
//! ```
//!
//! - [`Architecture`]: the names; [`ModelConfig`]: classes, seed, shortcut; [`Classifier`]: the network.
//! - [`BranchedClassifier`]: several last stages on one trunk, for online distillation.
//! - [`Summary`]: layers, shapes of all features, parameters and operations, without running anything.
//! - [`InputSpec`]: the statistics a network normalises with, saved with its weights.
//! - Initial weights depend on (seed, parameter path) alone: [`kd_nn::initialize`].
//! - [`weights`]: PyTorch and safetensors files in; safetensors with PyTorch's keys out.

mod architecture;
mod branched;
mod classifier;
mod classify;
mod error;
mod families;
mod input_spec;
mod network;
mod plan;
mod summary;
pub mod weights;

pub use architecture::{Architecture, ModelConfig};
pub use branched::{BranchedClassifier, Deployed, Gate};
pub use classifier::Classifier;
pub use classify::{Classify, Features, Heads};
pub use error::ModelError;
pub use families::resnet::Shortcut;
pub use input_spec::{InputSpec, Statistics};
pub use summary::{LayerSummary, Summary};
