//! Views: named pixels with labels, as a recipe describes them.

use std::collections::{BTreeMap, BTreeSet};

use kd_augment::{Augmentation, Mix, Mixer, ParamSharing, Pool};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The view that terms stand on unless they say otherwise. Every recipe has it.
pub(crate) const ORIGINAL: &str = "original";

/// One view of a batch: its images after an augmentation, or those of another view after a mix.
///
/// All networks see the same pixels, unless `draws` or the mix gives each its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct View {
    /// The view whose images are mixed. By default the view has the images of the batch, after
    /// `augmentation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Which images the view begins with.
    #[serde(skip_serializing_if = "is_default")]
    pub source: Source,
    /// For whom the parameters of the augmentation are drawn.
    #[serde(skip_serializing_if = "is_default")]
    pub draws: Draws,
    /// Which labels the images have.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: ViewLabels,
    /// Operations on each image of the batch. Default: none.
    #[serde(skip_serializing_if = "is_identity")]
    pub augmentation: Augmentation,
    /// How the images are mixed. Default: not at all. Labels are then mixed as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// For whom the parameters of the mix are drawn.
    #[serde(skip_serializing_if = "is_per_sample")]
    pub sharing: ParamSharing,
    /// Several mixes, of which the best are picked. Default: one mix, all of which is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
}

/// Which images a view begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// Those of the batch.
    #[default]
    Batch,
    /// For each image of the batch another image of its class, drawn uniformly; the image itself if
    /// its class has no other.
    SameClass,
}

/// For whom the parameters of an augmentation are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Draws {
    /// Once, for all networks.
    #[default]
    Shared,
    /// For each network.
    PerNetwork,
}

/// Which labels the images of a view have. Those of mixed images are mixed as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViewLabels {
    /// The class.
    #[default]
    Classes,
    /// A distribution over the classes, which people gave: the soft labels of the training set.
    Human,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_identity(augmentation: &Augmentation) -> bool {
    *augmentation == Augmentation::identity()
}

fn is_per_sample(sharing: &ParamSharing) -> bool {
    *sharing == ParamSharing::PerSample
}

/// Views by their names.
pub(crate) type Views = BTreeMap<String, View>;

/// The number of a view in the names of its draws: a function of its name alone, so that a view that
/// is added changes no other's draws.
pub(crate) fn number(name: &str) -> u32 {
    match name {
        ORIGINAL => 0,
        "mixed" => 1,
        // FNV-1a, kept away from the two numbers above.
        name => name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            })
            .max(2),
    }
}

/// Returns the number of a view in the names of the draws of one network: those of the first are
/// the shared ones.
pub(crate) fn number_of(name: &str, network: usize) -> u32 {
    match network {
        0 => number(name),
        network => number(&format!("{name}.{network}")),
    }
}

/// Returns whether each network has images of its own in a view.
pub(crate) fn is_per_network(views: &Views, name: &str) -> Result<bool, TrainError> {
    let mut line = line(views, name)?.into_iter().map(|name| &views[name]);
    Ok(line
        .any(|view| view.draws == Draws::PerNetwork || matches!(view.mix, Some(Mix::CutNMix(_)))))
}

/// Checks views by themselves.
pub(crate) fn check(views: &Views) -> Result<(), TrainError> {
    for (name, view) in views {
        let refuse = |key: &str, reason: String| {
            Err(TrainError::Recipe {
                place: format!("views.{name}{key}"),
                reason,
            })
        };
        if view.augmentation.mix.is_some() {
            let reason = "has a mix, expected image operations alone; a mix is a key of the view";
            return refuse(".augmentation", reason.into());
        }
        if let Err(error) = view.augmentation.build() {
            return refuse(".augmentation", error.to_string());
        }
        if view.of.is_some() && !is_identity(&view.augmentation) {
            let reason = "is of a view of another view, which can be mixed; operations on images \
                          belong to the view of the batch";
            return refuse(".augmentation", reason.into());
        }
        if view.of.is_some() {
            for (key, given) in [
                (".source", !is_default(&view.source)),
                (".draws", !is_default(&view.draws)),
                (".labels", !is_default(&view.labels)),
            ] {
                if given {
                    let reason = "is of a view of another view, which takes it from that one";
                    return refuse(key, reason.into());
                }
            }
        }
        if view.pool.is_some() && is_per_network(views, name)? {
            let reason = "is of a view where each network has images of its own; a pool is \
                          picked for all networks";
            return refuse(".pool", reason.into());
        }
        match (&view.mix, &view.pool) {
            (None, Some(_)) => return refuse(".pool", "is of mixes, and there is no mix".into()),
            (None, None) if view.of.is_some() => {
                return refuse("", "is that of another view, and changes nothing".into());
            }
            (Some(mix), _) => {
                if let Err(error) = Mixer::new(*mix, view.sharing) {
                    return refuse(".mix", error.to_string());
                }
            }
            (None, None) => {}
        }
        if let Some(Err(error)) = view.pool.as_ref().map(Pool::check) {
            return refuse(".pool", error.to_string());
        }
        line(views, name)?;
    }
    Ok(())
}

/// A view and those that it is made of, the first one last.
pub(crate) fn line<'a>(views: &'a Views, name: &'a str) -> Result<Vec<&'a str>, TrainError> {
    let mut line = Vec::new();
    let mut next = Some(name);
    while let Some(name) = next {
        let refuse = |reason| TrainError::Recipe {
            place: format!("views.{}.of", line.last().copied().unwrap_or(name)),
            reason,
        };
        let Some(view) = views.get(name) else {
            let names: Vec<_> = views.keys().map(String::as_str).collect();
            return Err(refuse(format!(
                "unknown view `{name}`; there are {}",
                names.join(", ")
            )));
        };
        if line.contains(&name) {
            return Err(refuse(format!("`{name}` is made of itself")));
        }
        line.push(name);
        next = view.of.as_deref();
    }
    Ok(line)
}

/// The views that are needed for these, each after those that it is made of: the original one first,
/// the others by their names.
pub(crate) fn order<'a>(
    views: &'a Views,
    needed: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<&'a str>, TrainError> {
    let names: BTreeSet<(bool, &str)> = needed
        .into_iter()
        .map(|name| (name != ORIGINAL, name))
        .collect();
    let mut order = Vec::new();
    for (_, name) in names {
        for name in line(views, name)?.into_iter().rev() {
            if !order.contains(&name) {
                order.push(name);
            }
        }
    }
    Ok(order)
}
