//! What a run leaves on the disk.
//!
//! ```text
//! recipe.toml     every key written out
//! run.json        which data and which teacher: a resumed run refuses others
//! metrics.jsonl   the start, every so many steps, every epoch; no times, so equal runs compare equal
//! timing.jsonl    seconds and forward passes of each epoch
//! checkpoint/     where to go on
//! report.html     the page to look at
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::{Checkpoint, Position};
use crate::files::write_atomically;
use crate::log::{EpochTiming, Line};
use crate::recipe::Recipe;

/// What a run is about, beside its recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) training_set: String,
    pub(crate) test_set: Option<String>,
    pub(crate) teacher: Option<String>,
    /// Before the first step.
    pub(crate) student: String,
}

pub(crate) struct RunFolder {
    path: PathBuf,
    metrics: Appender,
    timing: Appender,
}

impl RunFolder {
    /// Begin a run in a folder that holds none; with `resume`, go on with the one it holds, if any.
    pub(crate) fn open(
        path: &Path,
        recipe: &Recipe,
        identity: &Identity,
        resume: bool,
    ) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(|e| TrainError::io(path, e))?;
        let about = path.join("run.json");
        match (about.exists(), resume) {
            (true, false) => {
                return Err(TrainError::RunExists {
                    path: path.to_path_buf(),
                });
            }
            (true, true) => compare(path, recipe, identity)?,
            (false, _) => {
                write_atomically(&path.join("recipe.toml"), recipe.to_toml().as_bytes())?;
                let json =
                    serde_json::to_vec_pretty(identity).map_err(|e| TrainError::io(&about, e))?;
                write_atomically(&about, &json)?;
            }
        }
        Ok(Self {
            metrics: Appender::open(path.join("metrics.jsonl"))?,
            timing: Appender::open(path.join("timing.jsonl"))?,
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

    pub(crate) fn log_timing(&mut self, timing: &EpochTiming) -> Result<(), TrainError> {
        self.timing.append(timing)
    }

    /// Bring metrics and timing to the disk; how many bytes they are.
    pub(crate) fn flush(&mut self) -> Result<(u64, u64), TrainError> {
        Ok((self.metrics.flush()?, self.timing.flush()?))
    }

    pub(crate) fn write_report(&self, html: &str) -> Result<PathBuf, TrainError> {
        let path = self.path.join("report.html");
        write_atomically(&path, html.as_bytes())?;
        Ok(path)
    }
}

/// Refuse to go on with another recipe, other data or another teacher.
fn compare(path: &Path, recipe: &Recipe, identity: &Identity) -> Result<(), TrainError> {
    let differs = |what, expected: String, found: String| {
        Err(TrainError::Resume {
            path: path.to_path_buf(),
            what,
            expected,
            found,
        })
    };
    let of_run = Recipe::load(&path.join("recipe.toml"))?;
    if of_run != *recipe {
        let (run, now) = (of_run.to_toml(), recipe.to_toml());
        // The first key that differs says enough.
        let pair = run.lines().zip(now.lines()).find(|(a, b)| a != b);
        let (run, now) = pair.unwrap_or(("fewer keys", "more keys"));
        return differs("the recipe", run.to_string(), now.to_string());
    }
    let about = path.join("run.json");
    let text = fs::read(&about).map_err(|e| TrainError::io(&about, e))?;
    let of_run: Identity = serde_json::from_slice(&text).map_err(|e| TrainError::io(&about, e))?;
    let none = || "none".to_string();
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
        let bytes = whole_lines(&path).map_err(|e| TrainError::io(&path, e))?;
        // A process that was killed can leave a part of a line.
        file.set_len(bytes).map_err(|e| TrainError::io(&path, e))?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            bytes,
        })
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
        BufReader::new(file)
            .lines()
            .map(|line| {
                let line = line.map_err(|e| TrainError::io(&self.path, e))?;
                serde_json::from_str(&line).map_err(|e| TrainError::io(&self.path, e))
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
