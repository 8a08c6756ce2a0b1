//! Reading a recording.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::format::{HEAD, Head, Header, Key, Question, compare};
use super::{Plan, RecordAs};
use crate::TrainError;

/// The blocks of a recording, found by their heads and read from memory that the file is mapped to.
pub(crate) struct Blocks {
    path: PathBuf,
    header: Header,
    places: HashMap<Key, (usize, Head)>,
    /// The block that ends last.
    last: Option<Key>,
    /// Where the last whole one ends.
    end: usize,
    map: Mmap,
    /// Holds the lock.
    _file: Option<File>,
}

/// Locks a recording: for one process that writes it, or for any number that read it.
pub(super) fn lock(path: &Path, file: &File, write: bool) -> Result<(), TrainError> {
    let locked = match write {
        true => file.try_lock(),
        false => file.try_lock_shared(),
    };
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => TrainError::RecordingInUse {
            path: path.to_path_buf(),
        },
        TryLockError::Error(e) => TrainError::io(path, e),
    })
}

impl Blocks {
    /// Opens a recording for a run that asks what `plan` says. The teacher in the plan's header may
    /// be empty: then any is taken.
    pub(crate) fn replay(path: &Path, plan: &mut Plan) -> Result<Self, TrainError> {
        let file = File::open(path).map_err(|e| TrainError::io(path, e))?;
        lock(path, &file, false)?;
        let mut blocks = Self::of(path, &file)?;
        if plan.header.teacher.is_empty() {
            plan.header.teacher.clone_from(&blocks.header.teacher);
        }
        compare(path, &blocks.header, &plan.header, false)?;
        blocks.covers(plan, [plan.epochs(), 0])?;
        blocks._file = Some(file);
        Ok(blocks)
    }

    /// Reads the header and the head of every block.
    pub(super) fn of(path: &Path, file: &File) -> Result<Self, TrainError> {
        let io = |e| TrainError::io(path, e);
        if !file.metadata().map_err(io)?.is_file() {
            return Err(TrainError::Recording {
                path: path.to_path_buf(),
                reason: "is no recording: it is no file".into(),
            });
        }
        // SAFETY: the bytes of a mapped file must not change and must not become fewer. Whoever
        // replays a recording holds a shared lock, whoever records holds the only one, cuts the
        // file before it is mapped for reading, and then only appends. A program that does not
        // ask for the lock could still cut the file; the system then ends the process.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }.map_err(io)?;
        let (header, begin) = Header::read(path, &map)?;
        let mut blocks = Self {
            path: path.to_path_buf(),
            header,
            places: HashMap::new(),
            last: None,
            end: begin,
            map,
            _file: None,
        };
        while blocks.next()? {}
        Ok(blocks)
    }

    /// Finds the next block. False where no whole one is left.
    fn next(&mut self) -> Result<bool, TrainError> {
        let rest = &self.map[self.end..];
        if rest.len() < HEAD {
            return Ok(false);
        }
        let Some(head) = Head::read(rest) else {
            // What a file system leaves of a block that was not on the disk when the power failed.
            if rest.iter().all(|byte| *byte == 0) {
                return Ok(false);
            }
            return Err(self.damaged(self.end, "the checksum of the head does not fit it"));
        };
        if head.size != self.header.block_bytes(head.copies, head.count) {
            return Err(self.damaged(self.end, "its size does not fit its images"));
        }
        if head.size > rest.len() as u64 {
            return Ok(false);
        }
        if self.places.insert(head.key, (self.end, head)).is_some() {
            return Err(self.damaged(self.end, "it answers what another one answers"));
        }
        self.last = Some(head.key);
        self.end += head.size as usize;
        Ok(true)
    }

    fn damaged(&self, at: usize, reason: &str) -> TrainError {
        TrainError::Recording {
            path: self.path.clone(),
            reason: format!("is damaged: the block at byte {at}: {reason}"),
        }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The fingerprint of the teacher.
    pub(crate) fn teacher(&self) -> &str {
        &self.header.teacher
    }

    pub(crate) fn record_as(&self) -> RecordAs {
        self.header.record_as
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// Bytes up to the end of the last whole block, whose checksum is looked at: a block whose
    /// bytes were not all on the disk when the power failed is left out.
    pub(super) fn whole(&mut self) -> u64 {
        while let Some(key) = self.last {
            let Some((at, head)) = self.places.get(&key) else {
                break;
            };
            let (at, head) = (*at, *head);
            let block = &self.map[at..at + head.size as usize];
            if self.header.read_block(&head, block).is_some() {
                break;
            }
            self.places.remove(&key);
            self.end = at;
            let ends = |(place, head): &(usize, Head)| place + head.size as usize;
            let before = self.places.iter().find(|(_, place)| ends(place) == at);
            self.last = before.map(|(key, _)| *key);
        }
        self.end as u64
    }

    /// Returns the logits that answer a question, row by row.
    pub(super) fn read(&self, question: &Question<'_>) -> Result<Option<Vec<f32>>, TrainError> {
        let Some((at, head)) = self.places.get(&question.key()) else {
            return Ok(None);
        };
        let block = &self.map[*at..*at + head.size as usize];
        let Some((ids, logits)) = self.header.read_block(head, block) else {
            return Err(self.damaged(*at, "its checksum does not fit it"));
        };
        if head.copies != question.copies || ids != question.ids {
            return Err(TrainError::OtherRecording {
                path: self.path.clone(),
                what: format!("{}, the images", self.name(&question.key())),
                expected: format!("{} of {:?}", question.copies, question.ids),
                found: format!("{} of {ids:?}", head.copies),
            });
        }
        Ok(Some(logits))
    }

    fn name(&self, key: &Key) -> String {
        let views = &self.header.views;
        let view = views.iter().find(|(_, view)| view.number == key.view);
        let view = view.map_or("?", |(name, _)| name);
        format!("epoch {}, step {}, view `{view}`", key.epoch, key.step)
    }

    pub(crate) fn lacks(&self, key: &Key) -> TrainError {
        TrainError::Recording {
            path: self.path.clone(),
            reason: format!("does not hold {}", self.name(key)),
        }
    }

    /// Refuses a recording that lacks an answer which the plan needs before `end`.
    pub(super) fn covers(&self, plan: &Plan, end: [usize; 2]) -> Result<(), TrainError> {
        let mut needed = 0;
        let mut lacking = Vec::new();
        for (key, copies, count) in plan.keys(end) {
            needed += 1;
            let fits = |(_, head): &(usize, Head)| (head.copies, head.count) == (copies, count);
            if !self.places.get(&key).is_some_and(fits) {
                lacking.push(key);
            }
        }
        let Some(first) = lacking.first() else {
            return Ok(());
        };
        let torn = self.map.len() - self.end;
        let torn = match torn {
            0 => String::new(),
            torn => {
                format!("; the file ends in the middle of a block, of which it has {torn} bytes")
            }
        };
        Err(TrainError::OtherRecording {
            path: self.path.clone(),
            what: "the number of answers that the run needs".into(),
            expected: format!("{needed}, for {} epochs", plan.epochs()),
            found: format!(
                "{}; the first that is missing is {}{torn}; recording again goes on with the file",
                needed - lacking.len(),
                self.name(first)
            ),
        })
    }
}
