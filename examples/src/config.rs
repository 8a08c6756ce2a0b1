//! `--config FILE.toml`: the options of a command in a file.

use std::ffi::OsString;

use anyhow::{Context, anyhow};
use clap::FromArgMatches;

/// Read the command line, and the file that `--config` names before it: what is typed wins over what is written.
///
/// A key of the file is the long name of an option, with `_` or `-`; a list repeats the option; `true` is a flag.
///
/// # Errors
///
/// When the file cannot be read, or has a key that is not an option. Errors of the command line end the program, as usual.
pub(crate) fn parse<T: FromArgMatches>(command: clap::Command) -> anyhow::Result<T> {
    let mut typed = std::env::args_os();
    let program = typed.next().unwrap_or_default();
    let typed: Vec<OsString> = typed.collect();
    let command = command.args_override_self(true);
    let mut arguments = vec![program];
    if let Some(file) = config_file(&typed) {
        arguments.extend(from_file(&command, &file, &typed)?);
    }
    arguments.extend(typed);
    let matches = command.get_matches_from(arguments);
    T::from_arg_matches(&matches).map_err(|e| e.exit())
}

/// The value of `--config`, before anything else is known.
fn config_file(typed: &[OsString]) -> Option<String> {
    let typed: Vec<_> = typed.iter().map(|a| a.to_string_lossy()).collect();
    typed.iter().enumerate().find_map(|(index, argument)| {
        match argument.strip_prefix("--config=") {
            Some(file) => Some(file.to_string()),
            None if argument == "--config" => typed.get(index + 1).map(ToString::to_string),
            None => None,
        }
    })
}

fn from_file(
    command: &clap::Command,
    file: &str,
    typed: &[OsString],
) -> anyhow::Result<Vec<OsString>> {
    let text = std::fs::read_to_string(file).with_context(|| file.to_string())?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| anyhow!("{file}: {e}"))?;
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .filter(|name| *name != "config")
        .collect();
    let mut arguments = Vec::new();
    for (key, value) in table {
        let name = key.replace('_', "-");
        let flag = format!("--{name}");
        let is_typed = typed.iter().any(|argument| {
            let argument = argument.to_string_lossy();
            argument == flag || argument.starts_with(&format!("{flag}="))
        });
        if !known.contains(&name.as_str()) {
            let known = known.join(", ").replace('-', "_");
            return Err(anyhow!("{file}: unknown key `{key}`; known: {known}"));
        }
        // What is typed replaces what is written, but for `set`, whose keys are of the recipe and go on top of one another.
        if is_typed && name != "set" {
            continue;
        }
        let values = match value {
            toml::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            match value {
                toml::Value::Boolean(false) => {}
                toml::Value::Boolean(true) => arguments.push(format!("--{name}").into()),
                toml::Value::String(text) => arguments.push(format!("--{name}={text}").into()),
                toml::Value::Integer(_) | toml::Value::Float(_) => {
                    arguments.push(format!("--{name}={value}").into());
                }
                other => {
                    let found = other.type_str();
                    return Err(anyhow!(
                        "{file}: `{key}` is a {found}, expected a string, a number, true or false"
                    ));
                }
            }
        }
    }
    Ok(arguments)
}

/// A count that is not zero, for clap.
///
/// # Errors
///
/// When it is zero, or no number.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
