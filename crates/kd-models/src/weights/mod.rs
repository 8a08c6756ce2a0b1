//! Weights in files: PyTorch checkpoints, safetensors and burnpacks in, safetensors with PyTorch's names or burnpacks out.
//!
//! A tensor is known by the name that PyTorch gives it (`layer1.0.conv1.weight`). The conventions of the published
//! checkpoints are understood: a `state_dict` or `model` entry around the tensors, a `module.` prefix, `linear` or `fc` for a
//! ResNet's head, and ResNets of either shortcut. Files that [`save`] wrote also carry their architecture, [`InputSpec`] and a checksum.
//!
//! Nothing in a file is executed: checkpoints are read by a pickle reader that knows tensors alone. What is cut off, does not fit its
//! checksum (files of [`save`], PyTorch's archives) or holds what is not a number is an error.

mod file;
mod known;
mod mismatch;

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn_store::burn_pack::{Tensor as PackTensor, Writer};
use burn_store::{
    BurnToPyTorchAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    SafetensorsStore,
};

pub use file::WeightFile;
use file::{About, Format, checksum};
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
/// [`ModelError::Mismatch`] when a tensor is missing, unexpected or of another shape, [`ModelError::NotFinite`] when one holds what is not a
/// number: a network is filled whole or not at all.
pub fn load(mut classifier: Classifier, file: WeightFile) -> Result<Classifier, ModelError> {
    let network = format!(
        "{} with {} classes",
        classifier.architecture(),
        classifier.input_spec().classes()
    );
    let (path, format, mut tensors) = file.into_tensors();
    rename_head(&mut tensors, classifier.network());
    let adapter: Option<Box<dyn ModuleAdapter>> = match format {
        Format::Burnpack => None,
        Format::Safetensors | Format::PyTorch => Some(Box::new(PyTorchToBurnAdapter)),
    };
    let result = classifier.network_mut().apply(tensors, None, adapter, true);
    if let Some(mismatch) = Mismatch::of(result) {
        return Err(ModelError::Mismatch {
            path,
            network,
            mismatch: Box::new(mismatch),
        });
    }
    match not_finite(classifier.network()) {
        None => Ok(classifier),
        Some(tensor) => Err(ModelError::NotFinite { path, tensor }),
    }
}

/// The first tensor with a number that is none.
fn not_finite(network: &Network) -> Option<String> {
    #[derive(Default)]
    struct Finite {
        path: Vec<String>,
        found: Option<String>,
    }
    impl ModuleVisitor for Finite {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let finite = param.val().is_finite().all().into_scalar::<bool>();
            if !finite && self.found.is_none() {
                self.found = Some(mismatch::in_file(&self.path.join(".")));
            }
        }
    }
    let mut finite = Finite::default();
    network.visit(&mut finite);
    finite.found
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

/// Write the network as safetensors with PyTorch's tensor names and layouts, or as a burnpack (`.bpk`) with Burn's, and its architecture,
/// [`InputSpec`] and a checksum in the header. Equal networks are equal files. An existing file is replaced only once the new one is
/// complete.
///
/// In PyTorch: `model.load_state_dict(safetensors.torch.load_file(path))`.
///
/// # Errors
///
/// [`ModelError::UnknownFormat`] for another extension, [`ModelError::Io`] when the file cannot be written.
pub fn save(classifier: &Classifier, path: &Path) -> Result<(), ModelError> {
    let io = |reason| ModelError::Io {
        path: path.to_path_buf(),
        reason,
    };
    let format = Format::of(path)?;
    let adapter: Option<Box<dyn ModuleAdapter>> = match format {
        Format::Safetensors => Some(Box::new(BurnToPyTorchAdapter)),
        Format::Burnpack => None,
        Format::PyTorch => {
            return Err(ModelError::UnknownFormat {
                path: path.to_path_buf(),
                extension: "a PyTorch checkpoint to write".into(),
            });
        }
    };
    let network: &Network = classifier.network();
    let tensors = network.collect(None, adapter, true);
    let sha256 = checksum(&tensors).map_err(|e| io(std::io::Error::other(e)))?;
    let about = serde_json::to_string(&About {
        architecture: classifier.architecture(),
        input_spec: classifier.input_spec().clone(),
        sha256: Some(sha256),
    })
    .map_err(|e| io(e.into()))?;
    if format == Format::Burnpack {
        let writer = Writer::new(tensors).with_metadata(file::ENTRY, &about);
        let written = writer.overwrite(true).write_to_file(path);
        return written.map_err(|e| io(std::io::Error::other(e.to_string())));
    }
    let mut store = SafetensorsStore::from_file(path)
        .overwrite(true)
        .skip_enum_variants(true)
        .clear_metadata()
        .metadata(file::ENTRY, about)
        .with_to_adapter(BurnToPyTorchAdapter);
    store
        .collect_from(network)
        .map_err(|e| io(std::io::Error::other(e.to_string())))
}
