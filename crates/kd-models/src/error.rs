use std::path::PathBuf;

use crate::weights::Mismatch;

/// What can go wrong when a network is named, built, saved or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The name is not one of [`Architecture::ALL`](crate::Architecture::ALL).
    #[error("unknown architecture `{found}`; did you mean one of {}?", near.join(", "))]
    UnknownArchitecture {
        /// The name that was given.
        found: String,
        /// The names that are most like it, or all.
        near: Vec<&'static str>,
    },
    /// Neither the caller nor the file names the architecture.
    #[error("{path}: the file names no architecture; name it (`resnet20`, …)")]
    UnnamedArchitecture {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is left of the image for one of the layers.
    #[error("{network}: images of {size:?} (channels, height, width) are too small for {layer}")]
    SmallImage {
        /// The network.
        network: &'static str,
        /// Channels, height and width of its images.
        size: [usize; 3],
        /// The layer.
        layer: String,
    },
    /// There would be more parameters or operations than can be counted.
    #[error(
        "{network}: images of {size:?} (channels, height, width) and {classes} classes are too large to be counted"
    )]
    TooLarge {
        /// The network.
        network: &'static str,
        /// Channels, height and width of its images.
        size: [usize; 3],
        /// Classes that it would tell apart.
        classes: usize,
    },
    /// The architecture has no branched form, or there is to be no branch.
    #[error(
        "{network} with {branches} branches: expected at least 1, of a CIFAR ResNet, DenseNet, `wrn_20_8` or a `vgg…_mlp`"
    )]
    NoBranches {
        /// The network.
        network: &'static str,
        /// Branches that were asked for.
        branches: usize,
    },
    /// A gate does not fit the branches that it is to weigh.
    #[error(
        "a gate of {} features and {} heads, expected one of {} features and {} heads",
        found[0], found[1], expected[0], expected[1]
    )]
    Gate {
        /// Shared features and heads of the network.
        expected: [usize; 2],
        /// Those of the gate.
        found: [usize; 2],
    },
    /// A field of an [`InputSpec`](crate::InputSpec) is out of its range.
    #[error("input spec: `{field}` is {found}, expected {expected}")]
    InvalidInputSpec {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        expected: String,
    },
    /// Weights are not written in this format.
    #[error("{path}: unknown weight format `{extension}`, expected .safetensors or .bpk")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its extension.
        extension: String,
    },
    /// The file could not be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The file was read, and it does not hold a readable set of tensors.
    #[error("{path}: not a readable weight file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// A tensor in the file holds infinities, or what is not a number.
    #[error("{path}: {tensor}: expected finite numbers, found others")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// The running variance of a batch norm in the file is negative, so its square root is no number.
    #[error("{path}: {tensor}: expected variances, found {found}")]
    NegativeVariance {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its first negative number.
        found: f64,
    },
    /// The tensors in the file are not those of the network.
    #[error("{path}: the weights do not fit {network}\n{mismatch}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The network that was to be filled.
        network: String,
        /// Every tensor that is missing, unexpected or of another shape.
        mismatch: Box<Mismatch>,
    },
}
