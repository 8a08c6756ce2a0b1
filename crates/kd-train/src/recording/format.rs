//! The bytes of header and blocks.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RecordAs;
use crate::TrainError;

const MAGIC: [u8; 8] = *b"kd-logit";
const VERSION: u32 = 1;
const MARK: [u8; 4] = *b"blok";
/// Magic, version and length of the header.
const FRONT: usize = 16;
/// Bytes of the head of a block.
pub(super) const HEAD: usize = 44;
const CRC: usize = 4;

/// All that decides what a teacher is asked, and how its answers are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) record_as: RecordAs,
    pub(crate) classes: usize,
    /// Of the training set.
    pub(crate) images: usize,
    /// The fingerprint of the teacher.
    pub(crate) teacher: String,
    /// The fingerprint of the training set.
    pub(crate) training_set: String,
    /// Of the order of the data and of every draw.
    pub(crate) seed: u64,
    pub(crate) batch_size: usize,
    /// What the teacher is asked about, by name.
    pub(crate) views: BTreeMap<String, AskedView>,
}

/// A view that a teacher is asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AskedView {
    /// In the names of its draws, and in the heads of blocks.
    pub(crate) number: u32,
    /// Candidates of the pool for each image; 1 without a pool.
    pub(crate) copies: u32,
    /// The view, then the one that it is made of, and so on; without the keys that do not change
    /// what the teacher is asked.
    pub(crate) made: Vec<Value>,
}

/// Names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) epoch: u64,
    pub(crate) step: u64,
    /// The number of the view.
    pub(crate) view: u32,
}

/// What a teacher is asked for logits: one step's images of a view, or their pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) epoch: u64,
    pub(crate) step: u64,
    pub(crate) view: u32,
    pub(crate) copies: u32,
    pub(crate) ids: &'a [u64],
}

impl Question<'_> {
    pub(crate) fn key(&self) -> Key {
        Key {
            epoch: self.epoch,
            step: self.step,
            view: self.view,
        }
    }
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) key: Key,
    pub(super) copies: u32,
    pub(super) count: u32,
    /// Of the whole block.
    pub(super) size: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// The content, if the last four bytes are its checksum.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (content, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC)?)?;
    (u32_at(crc, 0)? == crc32fast::hash(content)).then_some(content)
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

impl Header {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Every value is a number, a string, a list or a table with strings for keys.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = Vec::from(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(json);
        with_checksum(bytes)
    }

    /// Reads the header at the beginning of a file, and returns how many bytes it has.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Self, usize), TrainError> {
        let refuse = |reason: String| TrainError::Recording {
            path: path.to_path_buf(),
            reason,
        };
        if bytes.get(..MAGIC.len()) != Some(&MAGIC[..]) {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(MAGIC.len())]);
            let magic = String::from_utf8_lossy(&MAGIC);
            return Err(refuse(format!(
                "is no recording: begins with {found:?}, expected {magic:?}"
            )));
        }
        let ends = || refuse(format!("ends in its header, after {} bytes", bytes.len()));
        let version = u32_at(bytes, 8).ok_or_else(ends)?;
        if version != VERSION {
            return Err(TrainError::OtherRecording {
                path: path.to_path_buf(),
                what: "the version of the format".into(),
                expected: VERSION.to_string(),
                found: version.to_string(),
            });
        }
        let length = u32_at(bytes, 12).ok_or_else(ends)? as usize;
        let end = FRONT + length + CRC;
        let whole = bytes.get(..end).ok_or_else(ends)?;
        let content = checked(whole).ok_or_else(|| {
            refuse("is damaged: the checksum of its header does not fit it".into())
        })?;
        let header = serde_json::from_slice(&content[FRONT..]);
        let header: Self = header.map_err(|e| refuse(format!("has another header: {e}")))?;
        Ok((header, end))
    }

    /// Bytes of a block for so many images.
    pub(super) fn block_bytes(&self, copies: u32, count: u32) -> u64 {
        let rows = u64::from(copies) * u64::from(count);
        let row = self.record_as.row_bytes(self.classes);
        let body = rows.saturating_mul(row) + 4 * u64::from(count);
        body.saturating_add((HEAD + CRC) as u64)
    }

    /// Writes a block. `Err` holds a logit that cannot be written.
    pub(super) fn block(&self, question: &Question<'_>, rows: &[f32]) -> Result<Vec<u8>, f32> {
        let count = question.ids.len() as u32;
        let size = self.block_bytes(question.copies, count);
        let mut bytes = Vec::with_capacity(size as usize);
        bytes.extend(MARK);
        bytes.extend(question.epoch.to_le_bytes());
        bytes.extend(question.step.to_le_bytes());
        bytes.extend(question.view.to_le_bytes());
        bytes.extend(question.copies.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        let mut bytes = with_checksum(bytes);
        for id in question.ids {
            bytes.extend((*id as u32).to_le_bytes());
        }
        for row in rows.chunks(self.classes) {
            self.record_as.write(row, &mut bytes)?;
        }
        Ok(with_checksum(bytes))
    }

    /// Reads a block whose head is known. `None` if its checksum does not fit it.
    pub(super) fn read_block(&self, head: &Head, block: &[u8]) -> Option<(Vec<u64>, Vec<f32>)> {
        let content = checked(block)?;
        if Head::read(content)? != *head {
            return None;
        }
        let body = content.get(HEAD..)?;
        let (ids, rows) = body.split_at_checked(4 * head.count as usize)?;
        let ids = ids.chunks_exact(4).filter_map(|id| u32_at(id, 0));
        let mut logits = Vec::with_capacity(rows.len() / 2);
        for row in rows.chunks(self.record_as.row_bytes(self.classes) as usize) {
            self.record_as.read(row, self.classes, &mut logits)?;
        }
        Some((ids.map(u64::from).collect(), logits))
    }
}

impl Head {
    /// `None` if these bytes do not begin with the head of a block.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let content = checked(bytes.get(..HEAD)?)?;
        let head = Self {
            key: Key {
                epoch: u64_at(content, 4)?,
                step: u64_at(content, 12)?,
                view: u32_at(content, 20)?,
            },
            copies: u32_at(content, 24)?,
            count: u32_at(content, 28)?,
            size: u64_at(content, 32)?,
        };
        (content[..MARK.len()] == MARK).then_some(head)
    }
}

/// Refuses a recording of something else. `recording` is what the file says; only a run that
/// continues it minds how logits are written.
pub(super) fn compare(
    path: &Path,
    recording: &Header,
    run: &Header,
    continues: bool,
) -> Result<(), TrainError> {
    let pairs = [
        (
            "how logits are recorded",
            recording.record_as.to_string(),
            match continues {
                true => run.record_as.to_string(),
                false => recording.record_as.to_string(),
            },
        ),
        (
            "the training set",
            recording.training_set.clone(),
            run.training_set.clone(),
        ),
        (
            "the number of images of the training set",
            recording.images.to_string(),
            run.images.to_string(),
        ),
        (
            "the number of classes",
            recording.classes.to_string(),
            run.classes.to_string(),
        ),
        (
            "the teacher",
            recording.teacher.clone(),
            run.teacher.clone(),
        ),
        (
            "the seed of the recipe",
            recording.seed.to_string(),
            run.seed.to_string(),
        ),
        (
            "the batch size",
            recording.batch_size.to_string(),
            run.batch_size.to_string(),
        ),
    ];
    let differs = |what: String, expected: String, found: String| TrainError::OtherRecording {
        path: path.to_path_buf(),
        what,
        expected,
        found,
    };
    for (what, found, expected) in pairs {
        if found != expected {
            return Err(differs(what.into(), expected, found));
        }
    }
    for (name, expected) in &run.views {
        let Some(found) = recording.views.get(name) else {
            let names: Vec<_> = recording.views.keys().map(String::as_str).collect();
            return Err(differs(
                "the views that it holds".into(),
                format!("`{name}` among them"),
                names.join(", "),
            ));
        };
        if found != expected {
            let written = |view: &AskedView| match serde_json::to_string(&view.made) {
                Ok(text) if found.made != expected.made => text,
                _ => format!("number {}, copies {}", view.number, view.copies),
            };
            let what = format!("the view `{name}`");
            return Err(differs(what, written(expected), written(found)));
        }
    }
    Ok(())
}
