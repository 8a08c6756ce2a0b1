//! Reads a few files out of a `.tar.gz`, in memory, and trusts none of it.
//!
//! Nothing is written to disk. A file is taken only under its exact name; a link, a device or a name that leads out of the
//! archive refuses the whole archive. The bytes that come out of the decompressor are counted against a limit, so a small file
//! cannot become a large one, and the archive is read to its end, so that its checksum is always compared.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Component, Path};
use std::rc::Rc;

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry, EntryType};

use super::source::{Content, Distribution, FileSpec};
use crate::DataError;

/// What headers, padding and files that nobody asks for may add to the files of a distribution.
const SLACK: u64 = 4 << 20;

/// Reads the files `wanted`, in that order; an optional one that is missing gives `None`.
pub(super) fn read(
    path: &Path,
    distribution: &Distribution,
    wanted: &[FileSpec],
) -> Result<Vec<Option<Content>>, DataError> {
    let limit = distribution.files.iter().map(FileSpec::limit).sum::<u64>() + SLACK;
    let file = File::open(path).map_err(|reason| DataError::Read {
        file: path.to_path_buf(),
        reason,
    })?;
    let budget = Budget::new(limit);
    let limited = Limited {
        inner: GzDecoder::new(BufReader::new(file)),
        budget: budget.clone(),
    };
    let mut unpacker = Unpacker {
        path,
        distribution,
        wanted,
        contents: wanted.iter().map(|_| None).collect(),
    };
    let result = unpacker.unpack(limited);
    if budget.is_spent() {
        return Err(DataError::ArchiveTooLarge {
            archive: path.to_path_buf(),
            limit,
        });
    }
    result?;
    unpacker.finish()
}

struct Unpacker<'a> {
    path: &'a Path,
    distribution: &'a Distribution,
    wanted: &'a [FileSpec],
    contents: Vec<Option<Content>>,
}

impl Unpacker<'_> {
    fn unpack(&mut self, input: Limited<GzDecoder<BufReader<File>>>) -> Result<(), DataError> {
        let mut archive = Archive::new(input);
        for entry in archive.entries().map_err(self.damaged())? {
            let entry = entry.map_err(self.damaged())?;
            self.take(entry)?;
        }
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map_err(self.damaged())?;
        let mut compressed = rest.inner.into_inner();
        let behind = compressed.fill_buf().map_err(self.damaged())?;
        if behind.is_empty() {
            Ok(())
        } else {
            let source = io::Error::other("something follows the end of the compressed data");
            Err(self.damaged()(source))
        }
    }

    /// Looks at one entry, and keeps its content when it is wanted.
    fn take<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), DataError> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let bytes = entry.path_bytes().into_owned();
        let refuse = |problem| DataError::ArchiveEntry {
            archive: self.path.to_path_buf(),
            entry: String::from_utf8_lossy(&bytes).into_owned(),
            problem,
        };
        let Ok(name) = std::str::from_utf8(&bytes) else {
            return Err(refuse("has a name that is not UTF-8"));
        };
        let Some(parts) = plain_parts(name) else {
            return Err(refuse("has a name that leads out of the archive"));
        };
        if kind == EntryType::Directory {
            return Ok(());
        }
        if kind != EntryType::Regular {
            return Err(refuse("is neither a plain file nor a folder"));
        }
        let [folder, name] = parts[..] else {
            return Ok(());
        };
        let mut wanted = self.wanted.iter();
        let Some(place) =
            wanted.position(|spec| folder == self.distribution.folder && spec.name == name)
        else {
            return Ok(());
        };
        if self.contents[place].is_some() {
            return Err(refuse("is there twice"));
        }
        let file = self.path.join(folder).join(name);
        let size = entry.size();
        self.wanted[place].check(&file, size)?;
        let mut bytes = vec![0; size as usize];
        entry.read_exact(&mut bytes).map_err(self.damaged())?;
        self.contents[place] = Some(Content { file, bytes });
        Ok(())
    }

    /// The files, all of which are there unless they are optional.
    fn finish(self) -> Result<Vec<Option<Content>>, DataError> {
        for (content, spec) in self.contents.iter().zip(self.wanted) {
            if content.is_none() && !spec.is_optional() {
                return Err(DataError::Missing {
                    file: self.path.join(self.distribution.folder).join(spec.name),
                });
            }
        }
        Ok(self.contents)
    }

    fn damaged(&self) -> impl Fn(io::Error) -> DataError + use<> {
        let archive = self.path.to_path_buf();
        move |reason| DataError::Archive {
            archive: archive.clone(),
            reason,
        }
    }
}

/// The parts of a relative name without `..`; `None` for any other.
fn plain_parts(name: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts)
}

/// How many bytes may still be read; shared, as the reader vanishes inside the archive.
#[derive(Clone)]
struct Budget(Rc<Cell<Option<u64>>>);

impl Budget {
    fn new(limit: u64) -> Self {
        Self(Rc::new(Cell::new(Some(limit))))
    }

    fn is_spent(&self) -> bool {
        self.0.get().is_none()
    }

    fn spend(&self, amount: u64) -> io::Result<()> {
        self.0
            .set(self.0.get().and_then(|left| left.checked_sub(amount)));
        if self.is_spent() {
            Err(io::Error::other("unpacks to too much"))
        } else {
            Ok(())
        }
    }
}

struct Limited<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.spend(count as u64)?;
        Ok(count)
    }
}
