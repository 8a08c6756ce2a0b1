//! Weights in files: PyTorch checkpoints and safetensors in, safetensors with PyTorch's names out.
//!
//! A tensor is known by the name that PyTorch gives it (`layer1.0.conv1.weight`). The conventions of the published
//! checkpoints are understood: a `state_dict` or `model` entry around the tensors, a `module.` prefix, `linear` for the
//! head, and ResNets of either shortcut. Files that [`save`] wrote also carry their architecture and [`InputSpec`].
//!
//! Nothing in a file is executed: checkpoints are read by a pickle reader that knows tensors alone.

mod file;
mod known;
mod mismatch;

use std::path::Path;

use burn::tensor::Device;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, SafetensorsStore};

use file::About;
pub use file::WeightFile;
pub use mismatch::{Mismatch, Misshapen};

use crate::classifier::Network;
use crate::{Architecture, Classifier, Classify, InputSpec, ModelConfig, ModelError, Statistics};

/// Restore a network whose architecture the caller names, or the file does.
///
/// The [`InputSpec`] is the one in the file. Where the file has none, it is `statistics` if given, else the statistics
/// that a published checkpoint is known to have been trained with (it is recognised by its SHA-256), else those of
/// `default`; size and class names are those of `default`.
///
/// # Errors
///
/// [`ModelError::Io`] and [`ModelError::Malformed`] for a file that cannot be read, [`ModelError::Mismatch`] when a tensor
/// is missing, unexpected or of another shape, [`ModelError::UnknownArchitecture`] when neither the caller nor the file
/// names one.
pub fn restore(
    path: &Path,
    architecture: Option<Architecture>,
    default: &InputSpec,
    statistics: Option<Statistics>,
    device: &Device,
) -> Result<Classifier, ModelError> {
    let file = WeightFile::open(path)?;
    let architecture = match architecture.or(file.architecture()) {
        Some(architecture) => architecture,
        None => {
            return Err(ModelError::UnknownArchitecture {
                found: format!("none given, and {} names none", path.display()),
                known: Architecture::ALL.map(Architecture::name).join(", "),
            });
        }
    };
    let input_spec = match (file.input_spec(), statistics.or(file.known_statistics())) {
        (Some(spec), None) => spec.clone(),
        (Some(spec), Some(statistics)) => with_statistics(spec, statistics)?,
        (None, Some(statistics)) => with_statistics(default, statistics)?,
        (None, None) => default.clone(),
    };
    let config = ModelConfig::new(input_spec).with_shortcut(file.shortcut());
    load(architecture.init(&config, device), file)
}

fn with_statistics(spec: &InputSpec, statistics: Statistics) -> Result<InputSpec, ModelError> {
    InputSpec::new(
        spec.size,
        statistics.mean,
        statistics.std,
        spec.class_names.clone(),
    )
}

/// Fill `classifier` with the tensors of `file`.
///
/// # Errors
///
/// [`ModelError::Mismatch`] when a tensor is missing, unexpected or of another shape: a network is filled whole or not at
/// all.
pub fn load(mut classifier: Classifier, file: WeightFile) -> Result<Classifier, ModelError> {
    let network = format!(
        "{} with {} classes",
        classifier.architecture(),
        classifier.input_spec().classes()
    );
    let (path, tensors) = file.into_tensors();
    let adapter = Box::new(burn_store::PyTorchToBurnAdapter);
    let result = classifier
        .network_mut()
        .apply(tensors, None, Some(adapter), true);
    match Mismatch::of(result) {
        None => Ok(classifier),
        Some(mismatch) => Err(ModelError::Mismatch {
            path,
            network,
            mismatch: Box::new(mismatch),
        }),
    }
}

/// Write the network as safetensors with PyTorch's tensor names and layouts, and its architecture and [`InputSpec`] in
/// the header. Equal networks are equal files. An existing file is replaced only once the new one is complete.
///
/// # Errors
///
/// [`ModelError::Io`] when the file cannot be written.
pub fn save(classifier: &Classifier, path: &Path) -> Result<(), ModelError> {
    let io = |reason| ModelError::Io {
        path: path.to_path_buf(),
        reason,
    };
    let about = serde_json::to_string(&About {
        architecture: classifier.architecture(),
        input_spec: classifier.input_spec().clone(),
    })
    .map_err(|e| io(e.into()))?;
    let mut store = SafetensorsStore::from_file(path)
        .overwrite(true)
        .skip_enum_variants(true)
        .clear_metadata()
        .metadata(file::ENTRY, about)
        .with_key_remapping(r"downsample\.conv\.", "downsample.0.")
        .with_key_remapping(r"downsample\.bn\.", "downsample.1.")
        .with_to_adapter(BurnToPyTorchAdapter);
    let network: &Network = classifier.network();
    store
        .collect_from(network)
        .map_err(|e| io(std::io::Error::other(e.to_string())))
}
