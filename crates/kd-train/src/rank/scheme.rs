use std::str::FromStr;

use kd_augment::{Augmentation, CutMixPick, ParamSharing, PickCriterion, Preset};

use super::Show;
use crate::TrainError;
use crate::mixing::Mixing;

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
    /// The nine schemes of the published comparison, from the weakest to the strongest.
    pub const PUBLISHED: [&str; 9] = [
        "identity",
        "flip",
        "crop_flip",
        "cutout",
        "auto_augment",
        "mixup",
        "cutmix",
        "cutmix_pick_student",
        "cutmix_pick",
    ];

    /// The others that have a name.
    pub const FURTHER: [&str; 5] = [
        "rand_augment",
        "trivial_augment_wide",
        "fmix",
        "cutmix_pick_kl",
        "cutmix_pick_random",
    ];

    /// The nine schemes of the published comparison, with the parameters of this data.
    pub fn published(preset: Preset) -> Vec<Self> {
        Self::of(&Self::PUBLISHED, preset)
    }

    /// Every scheme that has a name, with the parameters of this data.
    pub fn all(preset: Preset) -> Vec<Self> {
        let mut all = Self::published(preset);
        all.extend(Self::of(&Self::FURTHER, preset));
        all
    }

    fn of(names: &[&str], preset: Preset) -> Vec<Self> {
        // The names are those that `named` knows; a test says so.
        names
            .iter()
            .filter_map(|name| Self::named(name, preset).ok())
            .collect()
    }

    /// A scheme by its name, with the parameters of this data.
    ///
    /// `cutmix_pick` picks by the teacher's entropy, `cutmix_pick_student` by the student's, `cutmix_pick_kl` by the divergence of
    /// the student from the teacher, and `cutmix_pick_random` by chance, as a control.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`], which lists the names there are.
    pub fn named(name: &str, preset: Preset) -> Result<Self, TrainError> {
        let pick = |criterion| Self::cutmix_pick(name, CutMixPick::new().with_criterion(criterion));
        Ok(match name {
            "cutmix_pick" => pick(PickCriterion::TeacherEntropy),
            "cutmix_pick_student" => pick(PickCriterion::StudentEntropy),
            "cutmix_pick_kl" => pick(PickCriterion::KlTeacherStudent { temperature: 4.0 }),
            "cutmix_pick_random" => pick(PickCriterion::Random),
            _ => match preset.scheme(name) {
                Ok(augmentation) => Self::augmentation(name, augmentation),
                Err(_) => {
                    let known = [&Self::PUBLISHED[..], &Self::FURTHER].concat().join(", ");
                    return Err(TrainError::Recipe {
                        place: "schemes".into(),
                        reason: format!("unknown scheme `{name}`; known: {known}"),
                    });
                }
            },
        })
    }

    /// Whether it cannot be measured without a student.
    pub(super) fn needs_student(&self) -> bool {
        match &self.kind {
            Kind::Augmentation(_) => false,
            Kind::CutMixPick(pick) => pick.pool.criterion.needs_student(),
        }
    }

    /// Names the draws of the scheme, wherever it stands in a list: FNV-1a of its name. 0 is the standard view's.
    pub(super) fn view(&self) -> u32 {
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        self.name.bytes().fold(0x811C_9DC5, hash).max(1)
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
            Kind::CutMixPick(pick) => {
                Show::Mix(Mixing::new(pick.cutmix.into(), sharing, Some(pick.pool))?)
            }
            Kind::Augmentation(augmentation) => match (&augmentation.mix, &augmentation.ops[..]) {
                (None, []) => Show::Standard,
                (Some(mix), []) => Show::Mix(Mixing::new(*mix, sharing, None)?),
                _ => Show::Operations(augmentation.clone().with_sharing(sharing).build()?),
            },
        })
    }
}

impl FromStr for Scheme {
    type Err = TrainError;

    /// [`Scheme::named`], with the parameters of CIFAR-10.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::named(name, Preset::Cifar10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_scheme() {
        let names: Vec<_> = Scheme::all(Preset::Cifar10)
            .into_iter()
            .map(|s| s.name)
            .collect();
        assert_eq!(names, [&Scheme::PUBLISHED[..], &Scheme::FURTHER].concat());
    }

    #[test]
    fn no_two_schemes_share_their_draws() {
        let mut views: Vec<_> = Scheme::all(Preset::Cifar10)
            .iter()
            .map(Scheme::view)
            .collect();
        views.sort_unstable();
        views.dedup();
        assert_eq!(views.len(), 14);
        assert!(!views.contains(&0));
    }
}
