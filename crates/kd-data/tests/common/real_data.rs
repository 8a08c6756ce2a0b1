//! Checks that need the real data, in the folder that `KD_DATA` names.
//!
//! Without `KD_DATA` they are reported as ignored, with the reason; with `KD_REQUIRE_DATA=1` they then fail.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

pub fn run(trials: Vec<Trial>) -> ExitCode {
    if data_dir().is_none() {
        eprintln!("KD_DATA is not set: the checks on real data are not run");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn data_dir() -> Option<PathBuf> {
    std::env::var_os("KD_DATA")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// A check that is ignored without data, unless data are required.
pub fn trial(name: &str, check: fn(&Path)) -> Trial {
    let data = data_dir();
    let required = std::env::var("KD_REQUIRE_DATA").is_ok_and(|value| value == "1");
    let skip = data.is_none() && !required;
    let run = move || match data {
        Some(folder) => {
            check(&folder);
            Ok(())
        }
        None => Err(Failed::from("KD_REQUIRE_DATA=1, but KD_DATA is not set")),
    };
    let name = if skip {
        format!("{name} (KD_DATA is not set)")
    } else {
        name.to_string()
    };
    Trial::test(name, run).with_ignored_flag(skip)
}
