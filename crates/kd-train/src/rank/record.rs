//! What one mean of one scheme leaves behind, and the file in which these wait for the next run.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use kd_augment::ParamSharing;
use kd_metrics::augmentation::{Answers, CrossEntropySpread, LabelAgreement};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Everything that a report needs of one window of steps: a ranking is a function of its records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) scheme: String,
    /// None for the standard view.
    pub(super) sharing: Option<ParamSharing>,
    /// u, the mean over all rows of the window.
    pub(super) mean: Vec<f64>,
    /// Of the rows under the scheme.
    pub(super) answers: Answers,
    /// Of mixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<LabelAgreement>,
    /// With a student.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cross_entropy: Option<CrossEntropySpread>,
    /// Of picks: the mean score of those picked over the mean score of the pool, summed over the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) score_ratios: Option<f64>,
}

impl Record {
    pub(super) fn of_standard_view(answers: Answers) -> Self {
        Self {
            scheme: "standard view".into(),
            sharing: None,
            mean: Vec::new(),
            answers,
            labels: None,
            cross_entropy: None,
            score_ratios: None,
        }
    }
}

/// What the records of a file were made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    /// Raised when draws or records change, so that a journal is not continued with others.
    pub(super) version: u32,
    pub(super) teacher: String,
    pub(super) student: Option<String>,
    pub(super) data: String,
    pub(super) config: String,
}

/// Records in a file, a line each, after a line that says what they were made from.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or makes the file. Gives the records of every mean that is complete, which has `per_mean` of them; what was written of the
    /// next one is cut off.
    pub(super) fn open(
        path: &Path,
        source: &Source,
        per_mean: usize,
    ) -> Result<(Self, Vec<Record>), TrainError> {
        let io = |error| TrainError::io(path, error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(path).map_err(io)?;
        // Two rankings that write to one file would write over each other.
        file.try_lock().map_err(|error| io(error.into()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let damaged = |number: usize, reason: String| TrainError::Checkpoint {
            path: path.to_path_buf(),
            reason: format!("line {number}: {reason}"),
        };
        // A line that was not written to its end is not looked at, wherever in a character it ends.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let text =
            std::str::from_utf8(&bytes[..whole]).map_err(|error| damaged(0, error.to_string()))?;
        let mut lines = text.split_inclusive('\n');
        let head = lines.next();
        let mut records = Vec::new();
        let mut length = head.map_or(0, str::len);
        match head {
            None => {
                // Nothing, or a part of our own first line; anything else is somebody's.
                let own = serde_json::to_vec(source).map_err(|error| io(error.into()))?;
                if !own.starts_with(&bytes) {
                    return Err(damaged(
                        1,
                        "is not the first line of a ranking's means".into(),
                    ));
                }
            }
            Some(head) => {
                let found: Source =
                    serde_json::from_str(head).map_err(|error| damaged(1, error.to_string()))?;
                same(path, source, &found)?;
                let whole: Vec<&str> = lines.collect();
                let complete = whole.len() / per_mean * per_mean;
                for (index, line) in whole[..complete].iter().enumerate() {
                    let record = serde_json::from_str(line);
                    records.push(record.map_err(|error| damaged(index + 2, error.to_string()))?);
                    length += line.len();
                }
            }
        }
        file.set_len(length as u64).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let is_new = head.is_none();
        let mut journal = Self {
            path: path.to_path_buf(),
            file,
        };
        if is_new {
            journal.write(std::slice::from_ref(source))?;
        }
        Ok((journal, records))
    }

    /// Adds lines, and waits until they are with the system.
    pub(super) fn write<T: Serialize>(&mut self, lines: &[T]) -> Result<(), TrainError> {
        let mut text = Vec::new();
        for line in lines {
            let written = serde_json::to_writer(&mut text, line);
            written.map_err(|error| TrainError::io(&self.path, error))?;
            text.push(b'\n');
        }
        let written = self.file.write_all(&text).and_then(|()| self.file.flush());
        written.map_err(|error| TrainError::io(&self.path, error))
    }
}

/// Renames a journal, which may hold hours, to a free name beside it, which is returned.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, TrainError> {
    let mut number = 1;
    let aside = loop {
        let free = path.with_extension(format!("{number}.jsonl"));
        if !free.exists() {
            break free;
        }
        number += 1;
    };
    // Not under the hands of a ranking that writes to it.
    let file = File::open(path).map_err(|error| TrainError::io(path, error))?;
    let renamed = file.try_lock().map_err(std::io::Error::from);
    renamed
        .and_then(|()| std::fs::rename(path, &aside))
        .map_err(|error| TrainError::io(path, error))?;
    Ok(aside)
}

fn same(path: &Path, now: &Source, then: &Source) -> Result<(), TrainError> {
    let student = |source: &Source| source.student.clone().unwrap_or_else(|| "none".into());
    for (what, expected, found) in [
        (
            "the version of kd",
            then.version.to_string(),
            now.version.to_string(),
        ),
        ("the teacher", then.teacher.clone(), now.teacher.clone()),
        ("the student", student(then), student(now)),
        ("the data", then.data.clone(), now.data.clone()),
        ("the configuration", then.config.clone(), now.config.clone()),
    ] {
        if expected != found {
            return Err(TrainError::Resume {
                path: path.to_path_buf(),
                what,
                expected,
                found,
            });
        }
    }
    Ok(())
}
