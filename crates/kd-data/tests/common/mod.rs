//! Files in the layouts of the CIFAR sets, made of zeros.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

pub const CIFAR10_FILE: u64 = 30_730_000;
pub const FOLDER: &str = "cifar-10-batches-bin";

/// A file of `size` zeros, but for the bytes given with their offsets.
pub fn write(folder: &Path, name: &str, size: u64, bytes: &[(u64, u8)]) -> PathBuf {
    let path = folder.join(name);
    let mut file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for &(offset, byte) in bytes {
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&[byte]).unwrap();
    }
    path
}

/// One entry of an archive, with nothing checked.
pub struct Entry<'a> {
    pub name: &'a str,
    pub kind: EntryType,
    pub size: u64,
    pub content: &'a [u8],
}

impl<'a> Entry<'a> {
    pub fn file(name: &'a str, content: &'a [u8]) -> Self {
        Self {
            name,
            kind: EntryType::Regular,
            size: content.len() as u64,
            content,
        }
    }
}

/// The bytes of a `.tar.gz`.
pub fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut output = GzEncoder::new(Vec::new(), Compression::fast());
    for entry in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        header.as_old_mut().linkname[..4].copy_from_slice(b"else");
        header.set_entry_type(entry.kind);
        header.set_size(entry.size);
        header.set_mode(0o644);
        header.set_cksum();
        output.write_all(header.as_bytes()).unwrap();
        output.write_all(entry.content).unwrap();
        let padding = entry.content.len().next_multiple_of(512) - entry.content.len();
        output.write_all(&vec![0; padding]).unwrap();
    }
    output.write_all(&[0; 1024]).unwrap();
    output.finish().unwrap()
}
