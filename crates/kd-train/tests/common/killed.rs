//! Runs in a process of their own, which is killed without warning.
#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::small;

/// Set in the process that is to be killed.
pub const CHILD: &str = "KD_TEST_RESUME_FOLDER";

/// The recipe of that process.
const RECIPE: &str = "KD_TEST_RESUME_RECIPE";

/// The file that it records its teacher in, if it does.
const RECORD: &str = "KD_TEST_RESUME_RECORD";

#[derive(Debug, PartialEq)]
pub struct Ending {
    /// Of each network.
    pub networks: Vec<String>,
    pub metrics: String,
}

pub fn finish(recipe: &str, folder: &Path, resume: bool) -> Ending {
    Ending {
        networks: small::run_with(recipe, folder, resume).unwrap(),
        metrics: fs::read_to_string(folder.join("metrics.jsonl")).unwrap(),
    }
}

fn position(folder: &Path) -> Option<(u64, u64)> {
    let state = fs::read(folder.join("checkpoint/state.json")).ok()?;
    let state: serde_json::Value = serde_json::from_slice(&state).ok()?;
    let number = |key: &str| state["position"][key].as_u64();
    Some((number("epoch")?, number("step")?))
}

/// What the process does that is killed: the test of the name `child` calls it.
pub fn child() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let recipe = std::env::var(RECIPE).unwrap_or("tlcutmix_pick".into());
        let record = std::env::var_os(RECORD);
        let record = record.as_ref().map(Path::new);
        drop(small::run_recording(
            &recipe,
            Path::new(&folder),
            true,
            record,
        ));
    }
}

/// Starts a run in a process of its own and kills it once its checkpoint has reached a place.
pub fn killed_at(recipe: &str, folder: &Path, place: (u64, u64)) {
    killed_recording(recipe, folder, place, None);
}

/// The same, while the run may record its teacher.
pub fn killed_recording(recipe: &str, folder: &Path, place: (u64, u64), record: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    if let Some(record) = record {
        command.env(RECORD, record);
    }
    let mut child = command
        .args(["--exact", "child"])
        .env(CHILD, folder)
        .env(RECIPE, recipe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while position(folder).is_none_or(|found| found < place) {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{recipe}: the child does not get on"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "{recipe}: the child ended by itself"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
