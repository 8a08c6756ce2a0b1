//! What a run leaves on the disk.
//!
//! ```text
//! recipe.toml     every key written out
//! run.json        which data and which teacher: a resumed run refuses others
//! metrics.jsonl   the start, every so many steps, every epoch; no times, so equal runs compare equal
//! epochs.csv      the epochs once more, as a table
//! timing.jsonl    seconds and forward passes of each epoch
//! checkpoint/     where to go on
//! report.html     the page to look at
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::{Checkpoint, Position};
use crate::files::{create_atomically, write_atomically};
use crate::log::{EpochRecord, EpochTiming, Line, table};
use crate::recipe::Recipe;
use crate::term::Terms;

const ABOUT: &str = "run.json";
const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const TIMING: &str = "timing.jsonl";
const REPORT: &str = "report.html";
const TABLE: &str = "epochs.csv";

/// What a run replaces without asking, so a new one must not find it.
const OWN: [&str; 8] = [
    RECIPE,
    METRICS,
    TIMING,
    REPORT,
    TABLE,
    "checkpoint",
    "checkpoint.old",
    "checkpoint.tmp",
];

/// What a run is about, in addition to its recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) training_set: String,
    pub(crate) test_set: Option<String>,
    pub(crate) teacher: Option<String>,
    /// Before the first step.
    pub(crate) student: String,
    /// Those that are trained with it, before the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) peers: Vec<String>,
}

pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: Appender,
    timing: Appender,
}

impl RunFolder {
    /// Refuses a folder that a new run cannot have: one that holds a run, or anything that the run
    /// would replace.
    pub(crate) fn check_free(path: &Path) -> Result<(), TrainError> {
        if path.join(ABOUT).exists() {
            return Err(TrainError::RunExists {
                path: path.to_path_buf(),
            });
        }
        match OWN.iter().find(|name| path.join(name).exists()) {
            Some(name) => Err(TrainError::Occupied {
                path: path.to_path_buf(),
                name,
            }),
            None => Ok(()),
        }
    }

    /// Begins a run in a folder that holds none; with `resume`, goes on with the one it holds, if
    /// any. Until the value is dropped, no other process can have the run.
    pub(crate) fn open(
        path: &Path,
        recipe: &Recipe,
        terms: &Terms,
        identity: &Identity,
        resume: bool,
    ) -> Result<Self, TrainError> {
        let about = path.join(ABOUT);
        let goes_on = resume && about.exists();
        if !goes_on {
            Self::check_free(path)?;
            fs::create_dir_all(path).map_err(|e| TrainError::io(path, e))?;
            let json =
                serde_json::to_vec_pretty(identity).map_err(|e| TrainError::io(&about, e))?;
            // Of two processes that begin here at once, one makes the file.
            if !create_atomically(&about, &json)? {
                return Err(TrainError::RunExists {
                    path: path.to_path_buf(),
                });
            }
        }
        let metrics = Appender::open(path.join(METRICS))?;
        match metrics.file.get_ref().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TrainError::InUse {
                    path: path.to_path_buf(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(TrainError::io(&metrics.path, e)),
        }
        let toml = path.join(RECIPE);
        // A process that died at its very beginning has left no recipe.
        if !toml.exists() {
            write_atomically(&toml, recipe.to_toml().as_bytes())?;
        }
        if goes_on {
            compare(path, recipe, terms, identity)?;
        }
        Ok(Self {
            metrics: metrics.cut_to_whole_lines()?,
            timing: Appender::open(path.join(TIMING))?.cut_to_whole_lines()?,
            path: path.to_path_buf(),
        })
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(&self.path)
    }

    /// Forget the lines that were written after the checkpoint, and give back the metrics before.
    pub(crate) fn rewind(&mut self, position: &Position) -> Result<Vec<Line>, TrainError> {
        self.metrics.truncate(position.metrics_bytes)?;
        self.timing.truncate(position.timing_bytes)?;
        self.metrics.lines()
    }

    pub(crate) fn timings(&self) -> Result<Vec<EpochTiming>, TrainError> {
        self.timing.lines()
    }

    pub(crate) fn log(&mut self, line: &Line) -> Result<(), TrainError> {
        self.metrics.append(line)
    }

    /// Writes the epochs as a table, a row for each.
    pub(crate) fn write_table(&self, history: &[EpochRecord]) -> Result<(), TrainError> {
        write_atomically(&self.path.join(TABLE), table(history).as_bytes())
    }

    pub(crate) fn log_timing(&mut self, timing: &EpochTiming) -> Result<(), TrainError> {
        self.timing.append(timing)
    }

    /// Bring metrics and timing to the disk; how many bytes they are.
    pub(crate) fn flush(&mut self) -> Result<(u64, u64), TrainError> {
        Ok((self.metrics.flush()?, self.timing.flush()?))
    }

    pub(crate) fn write_report(&self, html: &str) -> Result<PathBuf, TrainError> {
        let path = self.path.join(REPORT);
        write_atomically(&path, html.as_bytes())?;
        Ok(path)
    }
}

/// Refuse to go on with another recipe, other data or another teacher.
fn compare(
    path: &Path,
    recipe: &Recipe,
    terms: &Terms,
    identity: &Identity,
) -> Result<(), TrainError> {
    let differs = |what, expected: String, found: String| {
        Err(TrainError::Resume {
            path: path.to_path_buf(),
            what,
            expected,
            found,
        })
    };
    let of_run = Recipe::load_with(&path.join(RECIPE), terms)?;
    if of_run != *recipe {
        let (run, now) = (of_run.to_toml(), recipe.to_toml());
        // The first key that differs says enough.
        let pair = run.lines().zip(now.lines()).find(|(a, b)| a != b);
        let (run, now) = pair.unwrap_or(("fewer keys", "more keys"));
        return differs("the recipe", run.to_string(), now.to_string());
    }
    let about = path.join(ABOUT);
    let text = fs::read(&about).map_err(|e| TrainError::io(&about, e))?;
    let of_run: Identity = serde_json::from_slice(&text).map_err(|e| TrainError::io(&about, e))?;
    let none = || "none".to_string();
    let [peers, own_peers] = [&of_run.peers, &identity.peers].map(|peers| peers.join(", "));
    let parts = [
        (
            "the training set",
            Some(of_run.training_set),
            Some(&identity.training_set),
        ),
        ("the test set", of_run.test_set, identity.test_set.as_ref()),
        ("the teacher", of_run.teacher, identity.teacher.as_ref()),
        (
            "the student before the first step",
            Some(of_run.student),
            Some(&identity.student),
        ),
        (
            "the peers before the first step",
            Some(peers),
            Some(&own_peers),
        ),
    ];
    for (what, run, now) in parts {
        if run.as_ref() != now {
            let now = now.cloned().unwrap_or_else(none);
            return differs(what, run.unwrap_or_else(none), now);
        }
    }
    Ok(())
}

/// A file that grows by one line of JSON at a time.
struct Appender {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Appender {
    fn open(path: PathBuf) -> Result<Self, TrainError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| TrainError::io(&path, e))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            bytes: 0,
        })
    }

    /// Cuts off the part of a line that a process left when it was killed.
    fn cut_to_whole_lines(mut self) -> Result<Self, TrainError> {
        self.bytes = whole_lines(&self.path).map_err(|e| TrainError::io(&self.path, e))?;
        let cut = self.file.get_ref().set_len(self.bytes);
        cut.map_err(|e| TrainError::io(&self.path, e))?;
        Ok(self)
    }

    fn append<T: Serialize>(&mut self, line: &T) -> Result<(), TrainError> {
        let json = serde_json::to_vec(line).map_err(|e| TrainError::io(&self.path, e))?;
        let written = self
            .file
            .write_all(&json)
            .and_then(|()| self.file.write_all(b"\n"));
        self.bytes += json.len() as u64 + 1;
        written.map_err(|e| TrainError::io(&self.path, e))
    }

    fn flush(&mut self) -> Result<u64, TrainError> {
        let flushed = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data());
        flushed.map_err(|e| TrainError::io(&self.path, e))?;
        Ok(self.bytes)
    }

    fn truncate(&mut self, bytes: u64) -> Result<(), TrainError> {
        if bytes > self.bytes {
            return Err(TrainError::Checkpoint {
                path: self.path.clone(),
                reason: format!("{} bytes, expected at least {bytes}", self.bytes),
            });
        }
        let result = self.file.get_ref().set_len(bytes);
        self.bytes = bytes;
        result.map_err(|e| TrainError::io(&self.path, e))
    }

    fn lines<T: DeserializeOwned>(&self) -> Result<Vec<T>, TrainError> {
        let file = File::open(&self.path).map_err(|e| TrainError::io(&self.path, e))?;
        let lines = BufReader::new(file).lines().enumerate();
        lines
            .map(|(index, line)| {
                let line = line.map_err(|e| TrainError::io(&self.path, e))?;
                serde_json::from_str(&line).map_err(|e| TrainError::Checkpoint {
                    path: self.path.clone(),
                    reason: format!("line {}: {e}", index + 1),
                })
            })
            .collect()
    }
}

/// How many bytes of a file are whole lines.
fn whole_lines(path: &Path) -> std::io::Result<u64> {
    let content = fs::read(path)?;
    let end = content.iter().rposition(|byte| *byte == b'\n');
    Ok(end.map_or(0, |position| position as u64 + 1))
}
