//! How an example ends.

use std::fmt::Display;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use kd::train::{Interrupt, TrainError, write_atomically};
use serde_json::Value;

use crate::config::parse;

/// The exit code of programs that Ctrl-C ended: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

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
    note(format_args!("report: {}", path.display()));
    Ok(path)
}

/// Write a file, whole or not at all; its folder is made if it is not there.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    path.parent().map_or(Ok(()), make_folder)?;
    Ok(write_atomically(path, bytes)?)
}

/// Prints a line, or several, on standard output.
///
/// # Errors
///
/// When it cannot be written: the disk behind it is full, or its reader has gone. [`start`] ends
/// the program quietly in the second case.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.context("standard output")
}

/// Writes a line for the reader to standard error. If that cannot be written, nobody reads it.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Lets Ctrl-C stop a run after the step that it is in. A second Ctrl-C ends the program at once.
///
/// # Errors
///
/// When the system takes no handler.
pub fn interrupt() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let request = interrupt.clone();
    ctrlc::set_handler(move || {
        if request.is_requested() {
            std::process::exit(INTERRUPTED.into());
        }
        request.request();
        note("stopping after this step; Ctrl-C again stops at once");
    })?;
    Ok(interrupt)
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
                return finish(false, print(&value).map(|()| value));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let closed = |error: &std::io::Error| error.kind() == ErrorKind::BrokenPipe;
            if error.downcast_ref().is_some_and(closed) {
                return ExitCode::SUCCESS;
            }
            note(format_args!("error: {error:#}"));
            match error.downcast_ref() {
                Some(TrainError::Interrupted { .. }) => ExitCode::from(INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
