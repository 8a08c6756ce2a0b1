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
use burn_store::burn_pack::Tensor as PackTensor;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, SafetensorsStore};

use file::About;
pub use file::WeightFile;
pub use mismatch::{Mismatch, Misshapen};

use crate::network::Network;
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
/// is missing, unexpected or of another shape, [`ModelError::UnnamedArchitecture`] when neither the caller nor the file
/// names one, [`ModelError::SmallImage`] when the input spec does not suit the architecture.
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
            return Err(ModelError::UnnamedArchitecture {
                path: path.to_path_buf(),
            });
        }
    };
    let input_spec = match (file.input_spec(), statistics.or(file.known_statistics())) {
        (Some(spec), None) => spec.clone(),
        (Some(spec), Some(statistics)) => with_statistics(spec, statistics)?,
        (None, Some(statistics)) => with_statistics(default, statistics)?,
        (None, None) => default.clone(),
    };
    let mut config = ModelConfig::new(input_spec).with_shortcut(file.shortcut());
    config.hidden = file.hidden().unwrap_or(config.hidden);
    load(architecture.init(&config, device)?, file)
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
    let (path, mut tensors) = file.into_tensors();
    rename_head(&mut tensors, classifier.network());
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

/// A ResNet's head is `linear` or `fc`, by who published it.
fn rename_head(tensors: &mut [PackTensor], network: &Network) {
    let heads = ["fc.", "linear."];
    let has = |head: &str| {
        let mut layers = network.plan().layers.iter();
        layers.any(|layer| head.strip_suffix('.') == Some(&layer.name))
    };
    for (theirs, ours) in [heads, [heads[1], heads[0]]].map(|[a, b]| (a, b)) {
        if has(ours) && !has(theirs) {
            for tensor in tensors.iter_mut() {
                if let Some(rest) = tensor.name.strip_prefix(theirs) {
                    tensor.name = format!("{ours}{rest}");
                }
            }
        }
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
        .with_to_adapter(BurnToPyTorchAdapter);
    let network: &Network = classifier.network();
    store
        .collect_from(network)
        .map_err(|e| io(std::io::Error::other(e.to_string())))
}
