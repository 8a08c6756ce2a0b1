use std::str::FromStr;

use kd_augment::{Augmentation, CutMixPick, Mixer, ParamSharing};

use super::Show;
use crate::TrainError;

/// An augmentation with the name it has in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    /// As it is printed.
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Augmentation(Augmentation),
    CutMixPick(CutMixPick),
}

impl Scheme {
    /// The schemes that have a name, from the weakest to the strongest.
    pub const NAMES: [&str; 7] = [
        "identity",
        "flip",
        "crop_flip",
        "cutout",
        "mixup",
        "cutmix",
        "cutmix_pick",
    ];

    /// Every scheme that has a name.
    pub fn all() -> Vec<Self> {
        // The names are those that `from_str` knows; a test says so.
        Self::NAMES
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// An augmentation of your own: image operations, or a mix. With both, the mix is on top of the operations.
    pub fn augmentation(name: impl Into<String>, augmentation: Augmentation) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Augmentation(augmentation),
        }
    }

    /// Picked mixes of your own.
    pub fn cutmix_pick(name: impl Into<String>, pick: CutMixPick) -> Self {
        Self {
            name: name.into(),
            kind: Kind::CutMixPick(pick),
        }
    }

    pub(super) fn show(&self, sharing: ParamSharing) -> Result<Show, TrainError> {
        Ok(match &self.kind {
            Kind::CutMixPick(pick) => Show::Pick(pick.with_sharing(sharing)),
            Kind::Augmentation(augmentation) => match (&augmentation.mix, &augmentation.ops[..]) {
                (None, []) => Show::Standard,
                (Some(mix), []) => Show::Mix(Mixer::new(*mix, sharing)?),
                _ => Show::Operations(augmentation.clone().with_sharing(sharing).build()?),
            },
        })
    }
}

impl FromStr for Scheme {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let scheme = match name {
            "cutmix_pick" => Self::cutmix_pick(name, CutMixPick::new()),
            _ => match name.parse::<Augmentation>() {
                Ok(augmentation) => Self::augmentation(name, augmentation),
                Err(_) => {
                    return Err(TrainError::Recipe {
                        place: "schemes".into(),
                        reason: format!(
                            "unknown scheme `{name}`; known: {}",
                            Self::NAMES.join(", ")
                        ),
                    });
                }
            },
        };
        Ok(scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_scheme() {
        let names: Vec<_> = Scheme::all().into_iter().map(|s| s.name).collect();
        assert_eq!(names, Scheme::NAMES);
    }
}
