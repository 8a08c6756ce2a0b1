use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn_store::burn_pack::{Reader, Tensor as PackTensor};
use burn_store::{ModuleStore, PytorchStore, SafetensorsStore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::known;
use crate::{Architecture, InputSpec, ModelError, Shortcut, Statistics};

/// The one entry that kd adds to the header: an [`About`] as JSON. One entry, since a header with several has no order, and
/// equal networks are to be equal files.
pub(super) const ENTRY: &str = "kd";

/// What a file says of its network.
#[derive(Serialize, Deserialize)]
pub(super) struct About {
    pub(super) architecture: Architecture,
    pub(super) input_spec: InputSpec,
    /// Of the tensors; see [`checksum`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// Formats by their extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    PyTorch,
    /// Burn's own: its names and layouts.
    Burnpack,
}

impl Format {
    pub(super) fn of(path: &Path) -> Result<Self, ModelError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.unwrap_or_default().as_str() {
            "safetensors" => Ok(Self::Safetensors),
            "pth" | "pt" | "th" => Ok(Self::PyTorch),
            "bpk" => Ok(Self::Burnpack),
            other => Err(ModelError::UnknownFormat {
                path: path.to_path_buf(),
                extension: other.to_string(),
            }),
        }
    }
}

/// SHA-256 of names, shapes and bytes, in the order of the names.
pub(super) fn checksum<'a>(
    tensors: impl IntoIterator<Item = &'a PackTensor>,
) -> Result<String, String> {
    let mut tensors: Vec<_> = tensors.into_iter().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = Sha256::new();
    for tensor in tensors {
        let bytes = tensor.to_bytes().map_err(|e| e.to_string())?;
        hasher.update(format!("{} {:?}\n", tensor.name, tensor.shape.to_vec()));
        hasher.update(&*bytes);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The largest safetensors header that is read: the format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// A file of weights whose names and shapes have been read; the data stays on disk until a network is filled.
pub struct WeightFile {
    path: PathBuf,
    format: Format,
    tensors: Vec<PackTensor>,
    architecture: Option<Architecture>,
    input_spec: Option<InputSpec>,
    known_statistics: Option<Statistics>,
}

impl WeightFile {
    /// Open a `.safetensors` file, a PyTorch checkpoint (`.pth`, `.pt`, `.th`) or a burnpack (`.bpk`).
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`], [`ModelError::UnknownFormat`], [`ModelError::Malformed`], also for a file of [`save`](super::save) whose tensors
    /// are not those that were saved, and [`ModelError::InvalidInputSpec`] when the file carries one that is out of range.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let format = Format::of(path)?;
        let sha256 = digest(path)?;
        let mut file = Self {
            path: path.to_path_buf(),
            format,
            tensors: Vec::new(),
            architecture: None,
            input_spec: None,
            known_statistics: known::statistics(&sha256),
        };
        match format {
            Format::Safetensors => file.read_safetensors()?,
            Format::PyTorch => file.read_pytorch()?,
            Format::Burnpack => file.read_burnpack()?,
        }
        for tensor in &mut file.tensors {
            if let Some(name) = tensor.name.strip_prefix("module.") {
                tensor.name = name.to_string();
            }
        }
        // A count of training steps, which no forward pass reads.
        file.tensors
            .retain(|tensor| !tensor.name.ends_with(".num_batches_tracked"));
        Ok(file)
    }

    /// The architecture that the file names.
    pub fn architecture(&self) -> Option<Architecture> {
        self.architecture
    }

    /// The input spec that the file carries.
    pub fn input_spec(&self) -> Option<&InputSpec> {
        self.input_spec.as_ref()
    }

    /// The statistics of a published checkpoint, recognised by its SHA-256.
    pub fn known_statistics(&self) -> Option<Statistics> {
        self.known_statistics
    }

    /// The shortcut of the CIFAR ResNet in the file: with projections if it has any.
    pub fn shortcut(&self) -> Shortcut {
        let projected = |tensor: &PackTensor| tensor.name.contains(".downsample.");
        match self.tensors.iter().any(projected) {
            true => Shortcut::Projection,
            false => Shortcut::Padding,
        }
    }

    /// The width of the hidden layers of the ImageNet VGG in the file.
    pub fn hidden(&self) -> Option<usize> {
        let mut tensors = self.tensors.iter();
        let bias = tensors.find(|tensor| tensor.name == "classifier.0.bias")?;
        bias.shape.to_vec().first().copied()
    }

    pub(super) fn into_tensors(self) -> (PathBuf, Format, Vec<PackTensor>) {
        (self.path, self.format, self.tensors)
    }

    fn malformed(&self, reason: impl ToString) -> ModelError {
        ModelError::Malformed {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    fn read_safetensors(&mut self) -> Result<(), ModelError> {
        let mut store = SafetensorsStore::from_file(&self.path);
        let tensors = store.get_all_tensors().map_err(|e| self.malformed(e))?;
        self.tensors = tensors.values().cloned().collect();
        let metadata = self.safetensors_metadata()?;
        self.read_about(metadata.get(ENTRY))
    }

    fn read_burnpack(&mut self) -> Result<(), ModelError> {
        let reader = Reader::from_file_exact(&self.path).map_err(|e| self.malformed(e))?;
        let about = reader.metadata().get(ENTRY).cloned();
        self.tensors = reader.into_tensors().map_err(|e| self.malformed(e))?;
        self.read_about(about.as_ref())
    }

    /// What [`super::save`] wrote beside the tensors.
    fn read_about(&mut self, json: Option<&String>) -> Result<(), ModelError> {
        let Some(json) = json else { return Ok(()) };
        let About {
            architecture,
            input_spec,
            sha256,
        } = serde_json::from_str(json)
            .map_err(|e| self.malformed(format!("header entry `{ENTRY}`: {e}")))?;
        input_spec.check()?;
        if let Some(expected) = sha256 {
            let found = checksum(&self.tensors).map_err(|e| self.malformed(e))?;
            if found != expected {
                let reason = format!("the tensors have SHA-256 {found}, saved were {expected}");
                return Err(self.malformed(reason));
            }
        }
        self.architecture = Some(architecture);
        self.input_spec = Some(input_spec);
        Ok(())
    }

    /// The string map in the header: eight bytes of length, then JSON.
    fn safetensors_metadata(&self) -> Result<BTreeMap<String, String>, ModelError> {
        #[derive(Deserialize)]
        struct Header {
            #[serde(default, rename = "__metadata__")]
            metadata: BTreeMap<String, String>,
        }
        let header = || -> std::io::Result<Vec<u8>> {
            let mut file = std::fs::File::open(&self.path)?;
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let length = u64::from_le_bytes(length).min(MAX_HEADER);
            let mut json = Vec::new();
            file.take(length).read_to_end(&mut json)?;
            Ok(json)
        };
        let json = header().map_err(|e| self.malformed(e))?;
        let header: Header = serde_json::from_slice(&json).map_err(|e| self.malformed(e))?;
        Ok(header.metadata)
    }

    /// The tensors, which may stand under one of the two usual entries.
    fn read_pytorch(&mut self) -> Result<(), ModelError> {
        let mut reason = String::from("it holds no tensors");
        for key in [Some("state_dict"), Some("model"), None] {
            let mut store = PytorchStore::from_file(&self.path).map_indices_contiguous(false);
            if let Some(key) = key {
                store = store.with_top_level_key(key);
            }
            match store.get_all_tensors() {
                Ok(tensors) if !tensors.is_empty() => {
                    self.tensors = tensors.values().cloned().collect();
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => reason = error.to_string(),
            }
        }
        Err(self.malformed(reason))
    }
}

fn digest(path: &Path) -> Result<String, ModelError> {
    let io = |reason| ModelError::Io {
        path: path.to_path_buf(),
        reason,
    };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hexadecimal(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A PyTorch archive with a bit turned over at any byte: it cannot be read, or has tensors of other names or shapes, which no network
    /// takes, or the bit said nothing and the numbers are the same.
    #[test]
    fn a_bit_in_an_archive_is_found() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
        let whole = std::fs::read(fixtures.join("model.pth")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.pth");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let file = WeightFile::open(&path).ok()?;
            let mut tensors: Vec<_> = file.tensors.iter().collect();
            tensors.sort_by(|a, b| a.name.cmp(&b.name));
            let shapes: Vec<_> = tensors
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.shape.to_vec()))
                .collect();
            Some((shapes, checksum(&file.tensors).ok()?))
        };
        let (shapes, numbers) = read(&whole).unwrap();
        let (mut refused, mut same) = (0, 0);
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            match read(&bytes) {
                None => refused += 1,
                Some((found, _)) if found != shapes => refused += 1,
                Some((_, found)) => {
                    assert_eq!(found, numbers, "byte {place}");
                    same += 1;
                }
            }
        }
        // The numbers are more than half of the file.
        assert!(refused > 1800, "{refused} found, {same} without effect");
    }
}
