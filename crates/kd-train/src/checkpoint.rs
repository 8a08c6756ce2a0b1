//! A checkpoint is one folder, written beside the old one and put in its place by renaming.
//!
//! ```text
//! checkpoint/student.bpk     parameters and batch-norm statistics
//! checkpoint/term.NAME.bpk   layers and memories of a term that has any
//! checkpoint/optimizer.bpk   velocities of all of them
//! checkpoint/state.json      where the run stands; the SHA-256 of the files above
//! ```
//!
//! Whenever the process dies, one of `checkpoint` and `checkpoint.old` is whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::files::{sync_folder, write_durably};
use crate::log::ForwardCounts;
use crate::modules::hex;
use crate::values::Sums;

const VERSION: u32 = 2;
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";

/// Where a run stands: everything but the networks that the next step depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) epoch: usize,
    /// The next step of that epoch.
    pub(crate) step: usize,
    /// Of the steps of that epoch so far.
    pub(crate) sums: Sums,
    /// Of these steps, where candidates are picked: the mean score of those picked over the mean score of the pool, summed.
    #[serde(default)]
    pub(crate) score_ratios: f64,
    /// What they cost.
    pub(crate) counts: ForwardCounts,
    /// How long they took.
    pub(crate) seconds: f64,
    /// Length of `metrics.jsonl`.
    pub(crate) metrics_bytes: u64,
    /// Length of `timing.jsonl`.
    pub(crate) timing_bytes: u64,
}

/// Records by their names.
pub(crate) type Records = Vec<(String, Bytes)>;

#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    position: Position,
    sha256: BTreeMap<String, String>,
}

/// The folder of a run's checkpoint.
pub(crate) struct Checkpoint {
    run: PathBuf,
    current: PathBuf,
    old: PathBuf,
    new: PathBuf,
}

impl Checkpoint {
    pub(crate) fn of(run: &Path) -> Self {
        Self {
            run: run.to_path_buf(),
            current: run.join("checkpoint"),
            old: run.join("checkpoint.old"),
            new: run.join("checkpoint.tmp"),
        }
    }

    /// Writes the records of networks and parts, by their names, with all that the next step depends on.
    pub(crate) fn save(
        &self,
        records: Records,
        optimizer: &ModuleOptimizer,
        position: &Position,
    ) -> Result<(), TrainError> {
        let mut files: Vec<(String, Bytes)> = records
            .into_iter()
            .map(|(name, record)| (format!("{name}.bpk"), record))
            .collect();
        let optimizer = optimizer.into_bytes().map_err(|e| TrainError::Checkpoint {
            path: self.new.clone(),
            reason: e.to_string(),
        })?;
        files.push((OPTIMIZER.into(), optimizer));
        let result = self.replace(&files, position);
        if result.is_err() {
            // The reason is worth more than whether the leftover could be removed.
            let _ = fs::remove_dir_all(&self.new);
        }
        result.map_err(|e| TrainError::io(&self.new, e))
    }

    fn replace(&self, files: &[(String, Bytes)], position: &Position) -> std::io::Result<()> {
        remove_folder(&self.new)?;
        fs::create_dir_all(&self.new)?;
        let mut state = State {
            version: VERSION,
            position: position.clone(),
            sha256: BTreeMap::new(),
        };
        for (name, bytes) in files {
            write_durably(&self.new.join(name), bytes)?;
            let digest = hex(&Sha256::digest(&bytes[..]));
            state.sha256.insert(name.clone(), digest);
        }
        let json = serde_json::to_vec_pretty(&state)?;
        write_durably(&self.new.join(STATE), &json)?;
        sync_folder(&self.new)?;
        // A whole `current` goes aside, or a whole `old` is all there is: then it stays until the new one is in place.
        if self.current.exists() {
            remove_folder(&self.old)?;
            fs::rename(&self.current, &self.old)?;
        }
        fs::rename(&self.new, &self.current)?;
        sync_folder(&self.run)?;
        remove_folder(&self.old)
    }

    /// Reads what [`Checkpoint::save`] wrote, and gives the record of each name to `load`; `None` if
    /// there is no checkpoint. What is given back makes the optimiser: a group of its parameters is
    /// known by identities, which only the loaded networks have.
    pub(crate) fn load(
        &self,
        names: &[String],
        mut load: impl FnMut(&str, Bytes) -> Result<(), String>,
    ) -> Result<Option<(SavedOptimizer, Position)>, TrainError> {
        let folder = match (self.current.exists(), self.old.exists()) {
            (true, _) => &self.current,
            (false, true) => &self.old,
            (false, false) => return Ok(None),
        };
        let damaged = |name: &str, reason: String| TrainError::Checkpoint {
            path: folder.join(name),
            reason,
        };
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|e| TrainError::io(&path, e))
        };
        let state: State =
            serde_json::from_slice(&read(STATE)?).map_err(|e| damaged(STATE, e.to_string()))?;
        if state.version != VERSION {
            let reason = format!("version {}, expected {VERSION}", state.version);
            return Err(damaged(STATE, reason));
        }
        let read_checked = |name: &str| {
            let bytes = read(name)?;
            let found = hex(&Sha256::digest(&bytes));
            match state.sha256.get(name) {
                Some(expected) if *expected == found => Ok(Bytes::from_bytes_vec(bytes)),
                Some(expected) => Err(damaged(
                    name,
                    format!("its SHA-256 is {found}, expected {expected}"),
                )),
                None => Err(damaged(STATE, format!("it has no SHA-256 of {name}"))),
            }
        };
        for name in names {
            let file = format!("{name}.bpk");
            load(name, read_checked(&file)?).map_err(|reason| damaged(&file, reason))?;
        }
        let optimizer = SavedOptimizer {
            path: folder.join(OPTIMIZER),
            bytes: read_checked(OPTIMIZER)?,
        };
        Ok(Some((optimizer, state.position)))
    }
}

/// The state of an optimiser, as it was saved.
pub(crate) struct SavedOptimizer {
    path: PathBuf,
    bytes: Bytes,
}

impl SavedOptimizer {
    /// Fills an optimiser of the same recipe.
    pub(crate) fn into(self, optimizer: ModuleOptimizer) -> Result<ModuleOptimizer, TrainError> {
        optimizer
            .from_bytes(self.bytes)
            .map_err(|e| TrainError::Checkpoint {
                path: self.path,
                reason: e.to_string(),
            })
    }
}

fn remove_folder(path: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
