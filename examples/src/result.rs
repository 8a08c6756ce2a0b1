//! How an example ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use serde_json::Value;

use crate::config::parse;

/// The folder for what an example leaves behind, made if it is not there.
///
/// # Errors
///
/// When it cannot be made.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

/// Write a page into a folder, whole or not at all, and say where it is.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_page(folder: &Path, html: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join("report.html");
    write_whole(&path, html.as_bytes())?;
    eprintln!("report: {}", path.display());
    Ok(path)
}

/// Write a file, whole or not at all; its folder is made if it is not there.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    path.parent().map_or(Ok(()), make_folder)?;
    let temporary = path.with_extension("tmp");
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The reason is worth more than whether the leftover could be removed.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| path.display().to_string())
}

/// An example from its options to its exit code. `json` says whether the options ask for JSON.
pub fn start<T: CommandFactory + FromArgMatches>(
    json: fn(&T) -> bool,
    run: fn(&T) -> anyhow::Result<Value>,
) -> ExitCode {
    start_with(T::command(), json, run)
}

/// [`start`] with a command that was changed.
pub fn start_with<T: FromArgMatches>(
    command: clap::Command,
    json: fn(&T) -> bool,
    run: fn(&T) -> anyhow::Result<Value>,
) -> ExitCode {
    match parse::<T>(command) {
        Ok(options) => finish(json(&options), run(&options)),
        Err(error) => finish(false, Err(error)),
    }
}

/// Print the outcome: with `--json` as one object on standard output. An error goes to standard error, with exit code 1.
fn finish(json: bool, outcome: anyhow::Result<Value>) -> ExitCode {
    match outcome {
        Ok(value) => {
            if json {
                println!("{value}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
