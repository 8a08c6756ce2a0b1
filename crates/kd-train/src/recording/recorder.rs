//! Writing a recording.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Plan;
use super::blocks::{Blocks, lock};
use super::format::{Key, Question, compare};
use crate::TrainError;
use crate::files::sync_folder;

/// Appends what a teacher answers to a file. Until the value is dropped, no other process can write
/// or replay the file.
pub(crate) struct Recorder {
    path: PathBuf,
    header: super::format::Header,
    /// What the file held when it was opened.
    before: Option<Blocks>,
    written: RefCell<Written>,
}

struct Written {
    file: File,
    /// Up to the end of the last whole block.
    bytes: u64,
    /// Blocks of this process.
    keys: HashSet<Key>,
}

impl Recorder {
    /// Begins a recording, or goes on with the one that the file holds, if it is of the same.
    pub(crate) fn open(path: &Path, plan: &Plan) -> Result<Self, TrainError> {
        let io = |e| TrainError::io(path, e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(io)?;
        lock(path, &file, true)?;
        let header = plan.header.clone();
        let begin = header.to_bytes();
        let (bytes, before) = match is_begun(&mut file, &begin).map_err(io)? {
            true => {
                let write = |file: &mut File| {
                    file.set_len(0)?;
                    file.rewind()?;
                    file.write_all(&begin)?;
                    file.sync_all()?;
                    match path.parent() {
                        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
                        _ => sync_folder(Path::new(".")),
                    }
                };
                write(&mut file).map_err(|reason| TrainError::RecordingWrite {
                    path: path.to_path_buf(),
                    blocks: 0,
                    reason,
                })?;
                (begin.len() as u64, None)
            }
            false => {
                let mut found = Blocks::of(path, &file)?;
                compare(path, found.header(), &header, true)?;
                let whole = found.whole();
                drop(found);
                // Mapped again, so that nothing is mapped that is cut off.
                file.set_len(whole).map_err(io)?;
                (whole, Some(Blocks::of(path, &file)?))
            }
        };
        file.seek(SeekFrom::Start(bytes)).map_err(io)?;
        Ok(Self {
            path: path.to_path_buf(),
            // A recording may hold views that this run does not ask about.
            header: before
                .as_ref()
                .map_or(header, |found| found.header().clone()),
            before,
            written: RefCell::new(Written {
                file,
                bytes,
                keys: HashSet::new(),
            }),
        })
    }

    pub(super) fn blocks(&self) -> Option<&Blocks> {
        self.before.as_ref()
    }

    fn has(&self, key: &Key) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|blocks| blocks.has(key)) || self.written.borrow().keys.contains(key)
    }

    /// Writes a block, unless the file has it, and returns its logits as they are read back.
    pub(super) fn append(
        &self,
        question: &Question<'_>,
        [rows, classes]: [usize; 2],
        logits: &[f32],
    ) -> Result<Vec<f32>, TrainError> {
        let expected = [
            question.copies as usize * question.ids.len(),
            self.header.classes,
        ];
        if [rows, classes] != expected {
            return Err(TrainError::Recording {
                path: self.path.clone(),
                reason: format!(
                    "cannot hold what the teacher answered: logits of the shape {:?}, expected \
                     {expected:?}",
                    [rows, classes]
                ),
            });
        }
        let refuse = |logit: f32| match logit.is_finite() {
            false => TrainError::NonFinite {
                term: "a logit of the teacher".into(),
                value: logit,
                epoch: question.epoch as usize,
                step: question.step as usize,
            },
            true => TrainError::Recording {
                path: self.path.clone(),
                reason: format!(
                    "cannot hold a logit of {logit} as {}; record as f32",
                    self.header.record_as
                ),
            },
        };
        if let Some(logit) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(refuse(*logit));
        }
        let block = self.header.block(question, logits).map_err(refuse)?;
        let read = super::format::Head::read(&block)
            .and_then(|head| self.header.read_block(&head, &block));
        let Some((_, read)) = read else {
            unreachable!("a block that was just written can be read");
        };
        if !self.has(&question.key()) {
            self.write(question.key(), &block)?;
        }
        Ok(read)
    }

    fn write(&self, key: Key, block: &[u8]) -> Result<(), TrainError> {
        let mut written = self.written.borrow_mut();
        let bytes = written.bytes;
        if let Err(reason) = written.file.write_all(block) {
            // What was written of the block goes; if it cannot, the next process cuts it off.
            let _ = written.file.set_len(bytes);
            let _ = written.file.seek(SeekFrom::Start(bytes));
            return Err(self.failed(written.keys.len(), reason));
        }
        written.bytes += block.len() as u64;
        written.keys.insert(key);
        Ok(())
    }

    fn failed(&self, written: usize, reason: std::io::Error) -> TrainError {
        TrainError::RecordingWrite {
            path: self.path.clone(),
            blocks: written + self.before.as_ref().map_or(0, Blocks::len),
            reason,
        }
    }

    pub(super) fn flush(&self) -> Result<(), TrainError> {
        let written = self.written.borrow();
        let flushed = written.file.sync_data();
        flushed.map_err(|reason| self.failed(written.keys.len(), reason))
    }

    /// Refuses to go on where the file lacks what the run asked before.
    pub(super) fn covers(&self, plan: &Plan, end: [usize; 2]) -> Result<(), TrainError> {
        match plan.keys(end).find(|(key, ..)| !self.has(key)) {
            None => Ok(()),
            Some((key, ..)) => Err(TrainError::Recording {
                path: self.path.clone(),
                reason: format!(
                    "does not hold epoch {}, step {}, and the run that is resumed is at epoch {}, \
                     step {}: what the teacher was asked before is not asked again; record a run \
                     from its beginning",
                    key.epoch, key.step, end[0], end[1]
                ),
            }),
        }
    }
}

/// Returns whether a file is empty, or holds the beginning of this header and nothing else.
fn is_begun(file: &mut File, header: &[u8]) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    if length >= header.len() as u64 {
        return Ok(false);
    }
    let mut found = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut found)?;
    Ok(header.starts_with(&found))
}
