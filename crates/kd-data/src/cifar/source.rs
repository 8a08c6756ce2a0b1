//! Where the files of a set come from: a folder, or an archive that is unpacked to memory.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::archive;
use crate::DataError;

/// What the official distribution of a set looks like.
pub(super) struct Distribution {
    /// The folder that holds the files, on disk and in the archive.
    pub(super) folder: &'static str,
    /// The archive's usual name.
    pub(super) archive: &'static str,
    /// Every file of the set that is ever read.
    pub(super) files: &'static [FileSpec],
}

/// One file of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FileSpec {
    pub(super) name: &'static str,
    pub(super) size: Size,
}

/// How many bytes a file has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Size {
    /// As many as this.
    Exact(u64),
    /// Up to this; and the file may be missing.
    AtMost(u64),
}

/// The content of a file, with the path to name in errors.
pub(super) struct Content {
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// A place where a distribution was found.
pub(super) enum Source {
    Folder(PathBuf),
    Archive(PathBuf),
}

impl FileSpec {
    /// Refuses a size that this file cannot have.
    pub(super) fn check(&self, file: &Path, found: u64) -> Result<(), DataError> {
        let file = || file.to_path_buf();
        match self.size {
            Size::Exact(expected) if found < expected => Err(DataError::Truncated {
                file: file(),
                expected,
                found,
            }),
            Size::Exact(expected) | Size::AtMost(expected) if found > expected => {
                Err(DataError::Oversized {
                    file: file(),
                    expected,
                    found,
                })
            }
            _ => Ok(()),
        }
    }

    /// The largest size that this file can have.
    pub(super) fn limit(&self) -> u64 {
        let (Size::Exact(limit) | Size::AtMost(limit)) = self.size;
        limit
    }

    pub(super) fn is_optional(&self) -> bool {
        matches!(self.size, Size::AtMost(_))
    }
}

impl Source {
    /// Finds a distribution at `path`: the archive, the folder, or a folder that holds one of them.
    pub(super) fn find(path: &Path, distribution: &Distribution) -> Result<Self, DataError> {
        let folder = path.join(distribution.folder);
        let archive = path.join(distribution.archive);
        let holds_a_file = |folder: &Path| {
            let mut names = distribution.files.iter().map(|spec| spec.name);
            names.any(|name| folder.join(name).is_file())
        };
        if path.is_file() {
            Ok(Self::Archive(path.to_path_buf()))
        } else if holds_a_file(path) {
            Ok(Self::Folder(path.to_path_buf()))
        } else if folder.is_dir() {
            Ok(Self::Folder(folder))
        } else if archive.is_file() {
            Ok(Self::Archive(archive))
        } else {
            Err(DataError::NotFound {
                path: path.to_path_buf(),
                expected: format!(
                    "the folder `{}`, a folder that contains it, or the file `{}`",
                    distribution.folder, distribution.archive
                ),
            })
        }
    }

    /// Reads the files `wanted`, in that order; an optional one that is missing gives `None`.
    pub(super) fn read(
        &self,
        distribution: &Distribution,
        wanted: &[FileSpec],
    ) -> Result<Vec<Option<Content>>, DataError> {
        match self {
            Self::Folder(folder) => wanted
                .iter()
                .map(|spec| from_folder(folder, spec))
                .collect(),
            Self::Archive(path) => archive::read(path, distribution, wanted),
        }
    }
}

fn from_folder(folder: &Path, spec: &FileSpec) -> Result<Option<Content>, DataError> {
    let file = folder.join(spec.name);
    if !file.exists() {
        return if spec.is_optional() {
            Ok(None)
        } else {
            Err(DataError::Missing { file })
        };
    }
    let bytes = read_file(&file, spec)?;
    Ok(Some(Content { file, bytes }))
}

/// Reads a file whose size is checked before and after.
fn read_file(file: &Path, spec: &FileSpec) -> Result<Vec<u8>, DataError> {
    let failed = |reason| DataError::Read {
        file: file.to_path_buf(),
        reason,
    };
    let opened = File::open(file).map_err(failed)?;
    let size = opened.metadata().map_err(failed)?.len();
    spec.check(file, size)?;
    let mut bytes = Vec::with_capacity(size as usize);
    // One byte more than allowed tells a file that grows under our hands.
    opened
        .take(spec.limit() + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    spec.check(file, bytes.len() as u64)?;
    Ok(bytes)
}
