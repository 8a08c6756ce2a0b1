use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn_store::burn_pack::{MAGIC_NUMBER, Reader, Tensor as PackTensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::source::Source;
use super::{known, names, pytorch, safetensors};
use crate::{Architecture, InputSpec, ModelError, Shortcut, Statistics};

/// The one entry that kd adds to the header: an [`About`] as JSON. One entry, since a header with
/// several has no order, and equal networks are to be equal files.
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

/// The formats of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    PyTorch,
    /// Burn's own: its names and layouts.
    Burnpack,
}

impl Format {
    /// The format to write, by the extension of the file.
    pub(super) fn of_name(path: &Path) -> Result<Self, ModelError> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.unwrap_or_default().as_str() {
            "safetensors" => Ok(Self::Safetensors),
            "bpk" => Ok(Self::Burnpack),
            other => Err(ModelError::UnknownFormat {
                path: path.to_path_buf(),
                extension: other.to_string(),
            }),
        }
    }

    /// The format of a file that begins with these bytes. Its name says nothing: `.bin`, `.ckpt`,
    /// `.pth.tar` are all in use.
    fn of_content(head: &[u8]) -> Option<Self> {
        if safetensors::begins(head) {
            Some(Self::Safetensors)
        } else if head.starts_with(&MAGIC_NUMBER.to_le_bytes()) {
            Some(Self::Burnpack)
        } else if pytorch::begins(head) {
            Some(Self::PyTorch)
        } else {
            None
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

/// A file of weights whose names and shapes have been read; the data stays on disk until a network
/// is filled.
pub struct WeightFile {
    path: PathBuf,
    format: Format,
    tensors: Vec<PackTensor>,
    architecture: Option<Architecture>,
    input_spec: Option<InputSpec>,
    known_statistics: Option<Statistics>,
}

impl WeightFile {
    /// Opens a file of safetensors, a PyTorch checkpoint or a burnpack, whatever its name is.
    ///
    /// # Errors
    ///
    /// [`ModelError::Io`]; [`ModelError::Malformed`], also for a file of [`save`](super::save)
    /// whose tensors are not those that were saved, and for one in which two tensors have the same
    /// name once wrappers are left out; [`ModelError::InvalidInputSpec`] if the file carries one
    /// that is out of range.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let io = |reason| ModelError::Io {
            path: path.to_path_buf(),
            reason,
        };
        let malformed = |reason| ModelError::Malformed {
            path: path.to_path_buf(),
            reason,
        };
        let sha256 = digest(path).map_err(io)?;
        let source = Source::new(File::open(path).map_err(io)?).map_err(io)?;
        let head = source.read(0, source.length().min(HEAD)).map_err(io)?;
        let format = Format::of_content(&head).ok_or_else(|| malformed(unknown(&head)))?;
        let (tensors, about) = match format {
            Format::Safetensors => {
                let mut content = safetensors::read(source).map_err(malformed)?;
                (content.tensors, content.metadata.remove(ENTRY))
            }
            Format::PyTorch => (pytorch::read(source, &head).map_err(malformed)?, None),
            Format::Burnpack => read_burnpack(path).map_err(malformed)?,
        };
        let about = about.map(|json| about_of(&json, &tensors)).transpose();
        let about = about.map_err(malformed)?;
        if let Some(about) = &about {
            about.input_spec.check()?;
        }
        Ok(Self {
            path: path.to_path_buf(),
            format,
            tensors: names::settle(tensors).map_err(malformed)?,
            architecture: about.as_ref().map(|about| about.architecture),
            input_spec: about.map(|about| about.input_spec),
            known_statistics: known::statistics(&sha256),
        })
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
}

/// As many bytes as tell the formats apart: a tar archive says what it is in bytes 257 to 261.
const HEAD: u64 = 512;

fn unknown(head: &[u8]) -> String {
    let start = head[..head.len().min(16)].escape_ascii();
    format!("neither safetensors nor a PyTorch checkpoint nor a burnpack; it begins with `{start}`")
}

fn read_burnpack(path: &Path) -> Result<(Vec<PackTensor>, Option<String>), String> {
    let reader = Reader::from_file_exact(path).map_err(|e| e.to_string())?;
    let about = reader.metadata().get(ENTRY).cloned();
    let tensors = reader.into_tensors().map_err(|e| e.to_string())?;
    Ok((tensors, about))
}

/// What [`super::save`] wrote beside the tensors, if they are those that were saved.
fn about_of(json: &str, tensors: &[PackTensor]) -> Result<About, String> {
    let about: About =
        serde_json::from_str(json).map_err(|e| format!("header entry `{ENTRY}`: {e}"))?;
    if let Some(expected) = &about.sha256 {
        let found = checksum(tensors)?;
        if found != *expected {
            return Err(format!(
                "the tensors have SHA-256 {found}, saved were {expected}"
            ));
        }
    }
    Ok(about)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A PyTorch archive with a bit turned over at any byte: it cannot be read, or has tensors of
    /// other names or shapes, which no network takes, or the bit said nothing and the numbers are
    /// the same.
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
