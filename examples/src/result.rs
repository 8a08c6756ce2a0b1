//! How an example ends.

use std::process::ExitCode;

use serde_json::Value;

/// Print the outcome: with `--json` as one object on standard output. An error goes to standard error, with exit code 1.
pub fn finish(json: bool, outcome: anyhow::Result<Value>) -> ExitCode {
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
