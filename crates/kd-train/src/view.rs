//! Views: named pixels with labels, as a recipe describes them.

use std::collections::{BTreeMap, BTreeSet};

use kd_augment::{Augmentation, Mix, Mixer, ParamSharing, Pool};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// The view that terms stand on unless they say otherwise. Every recipe has it.
pub(crate) const ORIGINAL: &str = "original";

/// One view of a batch: its images after an augmentation, or those of another view after a mix.
///
/// All networks see the same pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct View {
    /// The view whose images are mixed. By default the view has the images of the batch, after
    /// `augmentation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
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
