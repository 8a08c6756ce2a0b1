use std::collections::BTreeMap;

use kd_core::Ramp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::TrainError;
use crate::term::{LabelKind, Reads, Terms};
use crate::view::{self, ORIGINAL, ViewLabels, Views};

/// A term of a recipe: a loss, the views that it stands on, and its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermRecipe {
    /// The name of the loss. Default: the key of the term.
    #[serde(default)]
    pub loss: String,
    /// The views, in the order in which the loss has them; one may be written without brackets.
    /// Default: `original`.
    #[serde(
        default = "original",
        serialize_with = "one_or_many",
        deserialize_with = "from_one"
    )]
    pub on: Vec<String>,
    /// The weight at the end of the ramp, at least 0. A term of weight 0 is left out. Default: 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// How the weight grows with the epochs. Default: it is constant.
    #[serde(default, skip_serializing_if = "is_constant")]
    pub ramp: Ramp,
    /// The shares of the run, in [0, 1], between which the term acts: from epoch `ceil(first · epochs)`
    /// to the one before epoch `ceil(last · epochs)`. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<[f64; 2]>,
    /// The keys of the loss.
    #[serde(flatten)]
    pub settings: toml::Table,
}

fn original() -> Vec<String> {
    vec![ORIGINAL.into()]
}

fn one() -> f64 {
    1.0
}

fn is_constant(ramp: &Ramp) -> bool {
    *ramp == Ramp::Constant
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<S: Serializer>(on: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match on {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}

fn from_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    })
}

/// The loss of Hinton et al. with the weights of the experiments of Wang et al.: the default.
pub(super) fn hinton() -> BTreeMap<String, TermRecipe> {
    let term = |loss: &str, weight, settings| {
        let term = TermRecipe {
            loss: loss.into(),
            on: original(),
            weight,
            ramp: Ramp::Constant,
            window: None,
            settings,
        };
        (loss.to_string(), term)
    };
    let mut kl = toml::Table::new();
    kl.insert("temperature".into(), 4.0.into());
    kl.insert("tau_squared".into(), true.into());
    BTreeMap::from([term("ce", 0.1, toml::Table::new()), term("kl", 0.9, kl)])
}

impl TermRecipe {
    /// Returns the weight in an epoch of a run: 0 outside of the window.
    pub fn weight_at(&self, epoch: usize, epochs: usize) -> f64 {
        let acts = self.window.is_none_or(|[first, last]| {
            (boundary(first, epochs)..boundary(last, epochs)).contains(&epoch)
        });
        match acts {
            true => self.weight * self.ramp.at(epoch as f64),
            false => 0.0,
        }
    }

    /// Writes out what was left out.
    pub(super) fn complete(&mut self, name: &str, terms: &Terms) -> Result<(), TrainError> {
        if self.loss.is_empty() {
            self.loss = name.to_string();
        }
        let settings = std::mem::take(&mut self.settings);
        let complete = terms.complete(&self.loss, settings);
        self.settings = complete.map_err(|reason| refused(name, "", reason))?;
        Ok(())
    }

    pub(super) fn reads(&self, name: &str, terms: &Terms) -> Result<Vec<Reads>, TrainError> {
        let reads = terms.reads(&self.loss, &self.settings);
        reads.map_err(|reason| refused(name, "", reason))
    }

    pub(super) fn check(&self, name: &str, views: &Views, terms: &Terms) -> Result<(), TrainError> {
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            let reason = format!("is {}, expected 0 or a positive number", self.weight);
            return Err(refused(name, ".weight", reason));
        }
        if let Some([first, last]) = self.window
            && !(0.0 <= first && first < last && last <= 1.0)
        {
            let reason = format!("is [{first}, {last}], expected two ascending shares in [0, 1]");
            return Err(refused(name, ".window", reason));
        }
        if let Err(error) = self.ramp.check() {
            return Err(refused(name, ".ramp", error.to_string()));
        }
        let reads = self.reads(name, terms)?;
        if self.on.len() != reads.len() {
            let (found, expected) = (self.on.join(", "), reads.len());
            let loss = &self.loss;
            let reason = format!("is {found}, expected {expected} view(s) for `{loss}`");
            return Err(refused(name, ".on", reason));
        }
        for (on, reads) in self.on.iter().zip(reads) {
            if !views.contains_key(on) {
                let names: Vec<_> = views.keys().map(String::as_str).collect();
                let reason = format!("unknown view `{on}`; there are {}", names.join(", "));
                return Err(refused(name, ".on", reason));
            }
            let line = view::line(views, on)?;
            let mixed = line.iter().any(|name| views[*name].mix.is_some());
            let human = line
                .iter()
                .any(|name| views[*name].labels == ViewLabels::Human);
            if (mixed || human) && reads.labels == LabelKind::Hard {
                let what = if mixed {
                    "images are mixed"
                } else {
                    "labels are those of several people"
                };
                let reason = format!(
                    "is `{on}`, whose {what}; `{}` needs one label an image",
                    self.loss
                );
                return Err(refused(name, ".on", reason));
            }
        }
        Ok(())
    }
}

/// The epoch that begins after this share of a run.
pub(crate) fn boundary(share: f64, epochs: usize) -> usize {
    (share * epochs as f64).ceil() as usize
}

fn refused(name: &str, key: &str, reason: String) -> TrainError {
    TrainError::Recipe {
        place: format!("terms.{name}{key}"),
        reason,
    }
}
