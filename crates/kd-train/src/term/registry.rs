use std::collections::BTreeMap;

use super::part::{Made, Part};
use super::{Reads, Setting, Term, standard};
use crate::TrainError;

/// Terms by their names: what recipes can ask for.
#[derive(Clone)]
pub struct Terms {
    entries: BTreeMap<&'static str, Entry>,
}

type Make = fn(toml::Table, &Setting<'_>) -> Result<Box<dyn Part>, TrainError>;

/// What is done with a term of one type.
#[derive(Clone, Copy)]
struct Entry {
    /// Settings as they are written to settings with every key.
    complete: fn(toml::Table) -> Result<toml::Table, String>,
    reads: fn(toml::Table) -> Result<Vec<Reads>, String>,
    reads_at: fn(toml::Table, [usize; 2]) -> Result<Vec<Reads>, String>,
    make: Make,
}

/// Settings of a term: its defaults, and on top of them what is given.
fn decode<T: Term>(given: toml::Table) -> Result<(T, toml::Table), String> {
    let write = |term: &T| toml::Table::try_from(term).map_err(|e| e.to_string());
    let keys: Vec<String> = given.keys().cloned().collect();
    let mut settings = write(&T::defaults())?;
    settings.extend(given);
    let decoded = settings.try_into::<T>();
    let term = decoded.map_err(|e| e.message().trim().to_string())?;
    let complete = write(&term)?;
    match keys.iter().find(|key| !complete.contains_key(*key)) {
        None => Ok((term, complete)),
        Some(unknown) => {
            let known: Vec<_> = complete.keys().map(String::as_str).collect();
            Err(format!(
                "unknown key `{unknown}`; `{}` has {}",
                T::NAME,
                list(&known)
            ))
        }
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "no keys of its own".into(),
        names => names.join(", "),
    }
}

impl Terms {
    /// The terms of kd.
    pub fn standard() -> Self {
        standard::add(Self {
            entries: BTreeMap::new(),
        })
    }

    /// Adds a term by its [name](Term::NAME), in place of one of that name.
    pub fn with<T: Term>(mut self) -> Self {
        let entry = Entry {
            complete: |settings| Ok(decode::<T>(settings)?.1),
            reads: |settings| Ok(decode::<T>(settings)?.0.reads()),
            reads_at: |settings, [epoch, epochs]| {
                Ok(decode::<T>(settings)?.0.reads_at(epoch, epochs))
            },
            make: |settings, setting| {
                let (term, _) = decode::<T>(settings).map_err(|reason| TrainError::Recipe {
                    place: T::NAME.into(),
                    reason,
                })?;
                Ok(Box::new(Made::new(term, setting)?))
            },
        };
        self.entries.insert(T::NAME, entry);
        self
    }

    /// Returns the names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }

    fn entry(&self, loss: &str) -> Result<&Entry, String> {
        self.entries.get(loss).ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            format!("unknown loss `{loss}`; known: {}", names.join(", "))
        })
    }

    /// Writes every key of the settings of a loss out.
    pub(crate) fn complete(
        &self,
        loss: &str,
        settings: toml::Table,
    ) -> Result<toml::Table, String> {
        (self.entry(loss)?.complete)(settings)
    }

    /// What a loss reads of each of its views.
    pub(crate) fn reads(&self, loss: &str, settings: &toml::Table) -> Result<Vec<Reads>, String> {
        (self.entry(loss)?.reads)(settings.clone())
    }

    /// What a loss reads of each of its views in an epoch, the first number, of so many.
    pub(crate) fn reads_at(
        &self,
        loss: &str,
        settings: &toml::Table,
        epoch: [usize; 2],
    ) -> Result<Vec<Reads>, String> {
        (self.entry(loss)?.reads_at)(settings.clone(), epoch)
    }

    pub(crate) fn make(
        &self,
        loss: &str,
        settings: &toml::Table,
        setting: &Setting<'_>,
    ) -> Result<Box<dyn Part>, TrainError> {
        let entry = self.entry(loss).map_err(|reason| TrainError::Recipe {
            place: "terms".into(),
            reason,
        })?;
        (entry.make)(settings.clone(), setting)
    }
}

impl std::fmt::Debug for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
