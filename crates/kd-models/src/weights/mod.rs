//! Weights in files: PyTorch checkpoints, safetensors and burnpacks in, safetensors with PyTorch's
//! names or burnpacks out.
//!
//! A tensor is known by the name that PyTorch gives it (`layer1.0.conv1.weight`). What training
//! scripts put around the tensors is understood: entries (`state_dict`, `model`, `net`, …), parts
//! of names (`module.`, `_orig_mod.`, `model.`, …), `linear` or `fc` for a ResNet's head, ResNets
//! of either shortcut, and numbers of 16, 32 or 64 bits, which become the network's. The book's
//! page on networks lists the scripts. Files that [`save`] wrote also carry their architecture,
//! [`InputSpec`] and a checksum.
//!
//! Nothing in a file is run: the pickle in a checkpoint is read by a machine that notes calls and
//! makes none. A file that is cut off, does not fit its checksum (files of [`save`], PyTorch's
//! archives) or holds what is not a number is an error.

mod file;
mod known;
mod mismatch;
mod names;
mod pytorch;
mod safetensors;
mod source;

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use burn_store::burn_pack::{Tensor as PackTensor, Writer};
use burn_store::{
    BurnToPyTorchAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    SafetensorsStore, bridge,
};

pub use file::WeightFile;
use file::{About, Format, checksum};
pub use mismatch::{Mismatch, Misshapen};

use crate::network::Network;
use crate::{Architecture, Classifier, Classify, InputSpec, ModelConfig, ModelError, Statistics};

/// Restores a network whose architecture the caller names, or the file does.
///
/// The [`InputSpec`] is the one in the file. Where the file has none, it is `statistics` if given,
/// else the statistics that a published checkpoint is known to have been trained with (it is
/// recognised by its SHA-256), else those of `default`; size and class names are those of
/// `default`.
///
/// # Errors
///
/// [`ModelError::Io`] and [`ModelError::Malformed`] for a file that cannot be read,
/// [`ModelError::Mismatch`] when a tensor is missing, unexpected or of another shape,
/// [`ModelError::UnnamedArchitecture`] when neither the caller nor the file names one,
/// [`ModelError::SmallImage`] when the input spec does not suit the architecture.
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

/// Fills `classifier` with the tensors of `file`, whose numbers become those of the network's type.
///
/// # Errors
///
/// [`ModelError::Mismatch`] when a tensor is missing, unexpected or of another shape,
/// [`ModelError::NotFinite`] when one holds what is not a finite number of the network's type,
/// [`ModelError::NegativeVariance`]: a network is filled whole or not at all.
pub fn load(mut classifier: Classifier, file: WeightFile) -> Result<Classifier, ModelError> {
    let network = format!(
        "{} with {} classes",
        classifier.architecture(),
        classifier.input_spec().classes()
    );
    let (path, format, mut tensors) = file.into_tensors();
    rename_head(&mut tensors, classifier.network());
    let fitting = |mismatch: Option<Mismatch>| match mismatch {
        None => Ok(()),
        Some(mismatch) => Err(ModelError::Mismatch {
            path: path.clone(),
            network: network.clone(),
            mismatch: Box::new(mismatch),
        }),
    };
    let expected = tensors_of(classifier.network(), format);
    fitting(Mismatch::between(&expected, &tensors))?;
    let types: HashMap<_, _> = expected
        .into_iter()
        .map(|tensor| (tensor.name, tensor.dtype))
        .collect();
    let tensors = tensors.into_iter().map(|tensor| match types[&tensor.name] {
        dtype if dtype == tensor.dtype => tensor,
        dtype => {
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            bridge::map_data(tensor, name, dtype, shape, move |data| {
                data.convert_dtype(dtype)
            })
        }
    });
    let adapter: Option<Box<dyn ModuleAdapter>> = match format {
        Format::Burnpack => None,
        Format::Safetensors | Format::PyTorch => Some(Box::new(PyTorchToBurnAdapter)),
    };
    let tensors = tensors.collect();
    let result = classifier.network_mut().apply(tensors, None, adapter, true);
    let unreadable: Vec<_> = result.errors.iter().map(ToString::to_string).collect();
    fitting((!unreadable.is_empty()).then(|| Mismatch {
        unreadable,
        ..Mismatch::default()
    }))?;
    for tensor in tensors_of(classifier.network(), format) {
        check(&path, tensor)?;
    }
    Ok(classifier)
}

/// The tensors of a network as they stand in files.
fn tensors_of(network: &Network, format: Format) -> Vec<PackTensor> {
    let adapter: Option<Box<dyn ModuleAdapter>> = match format {
        Format::Safetensors | Format::PyTorch => Some(Box::new(BurnToPyTorchAdapter)),
        Format::Burnpack => None,
    };
    network.collect(None, adapter, true)
}

/// Whether a network can compute with these numbers.
fn check(path: &Path, tensor: PackTensor) -> Result<(), ModelError> {
    let (path, name) = (path.to_path_buf(), tensor.name.clone());
    let data = bridge::into_data(tensor).map_err(|e| ModelError::Malformed {
        path: path.clone(),
        reason: format!("{name}: {e}"),
    })?;
    let finite = match data.as_slice::<f32>() {
        Ok(numbers) => numbers.iter().all(|number| number.is_finite()),
        Err(_) => data.iter::<f64>().all(f64::is_finite),
    };
    if !finite {
        return Err(ModelError::NotFinite { path, tensor: name });
    }
    if !name.ends_with("running_var") {
        return Ok(());
    }
    match data.iter::<f64>().find(|found| *found < 0.0) {
        None => Ok(()),
        Some(found) => Err(ModelError::NegativeVariance {
            path,
            tensor: name,
            found,
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

/// Write the network as safetensors with PyTorch's tensor names and layouts, or as a burnpack
/// (`.bpk`) with Burn's, and its architecture, [`InputSpec`] and a checksum in the header. Equal
/// networks are equal files. An existing file is replaced only once the new one is complete.
///
/// In PyTorch: `model.load_state_dict(safetensors.torch.load_file(path))`.
///
/// # Errors
///
/// [`ModelError::UnknownFormat`] for another extension, [`ModelError::Io`] when the file cannot be
/// written.
pub fn save(classifier: &Classifier, path: &Path) -> Result<(), ModelError> {
    let io = |reason| ModelError::Io {
        path: path.to_path_buf(),
        reason,
    };
    let format = Format::of_name(path)?;
    let network: &Network = classifier.network();
    let tensors = tensors_of(network, format);
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
