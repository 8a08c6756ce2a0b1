//! The recipes that have a name: TOML files of this crate, with a comment each.

use super::Recipe;
use crate::TrainError;
use crate::term::Terms;

macro_rules! named {
    ($($name:literal),* $(,)?) => {
        /// Names and texts.
        const NAMED: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../recipes/", $name, ".toml")))),*
        ];
    };
}

// One line a recipe; the order is that of `--list-recipes`.
named![
    "ce",
    "ce_cutout",
    "ce_auto_augment",
    "ce_mixup",
    "ce_cutmix",
    "ce_fmix",
    "kd",
    "kd_rand_augment",
    "kd_cutout",
    "kd_cutmix",
    "tlmixup",
    "tlcutmix",
    "tlcutmix_pick",
    "tlcutmix_pick_student",
    "tlcutmix_pick_kl",
    "dkd",
    "dist",
    "fitnet",
    "at",
    "sp",
    "cc",
    "pkt",
    "vid",
    "nst",
    "rkd",
    "fsp",
    "ab",
    "ft",
    "irg",
    "crd",
    "at_tlcutmix",
    "cc_tlcutmix",
    "sp_tlcutmix",
    "pkt_tlcutmix",
    "vid_tlcutmix",
    "crd_tlcutmix_pick",
    "dml",
    "dml_cutmix",
    "cutnmix",
    "cutnmix_dml",
    "cutnmix_no_mmd",
    "cutnmix_no_peer_teacher",
    "kdcl",
    "one",
    "okddip",
    "okddip_networks",
    "tf_kd_self",
    "tf_kd_virtual",
    "cs_kd",
    "ps_kd",
    "ddgsd",
];

impl Recipe {
    /// Returns the names that [`Recipe::named`] knows, each with the first line of its comment.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
        NAMED.iter().map(|(name, text)| {
            let first = text.lines().next().unwrap_or_default();
            (*name, first.trim_start_matches(['#', ' ']))
        })
    }

    /// Returns a recipe by its name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] with the names that are most like it, or all.
    pub fn named(name: &str) -> Result<Self, TrainError> {
        match NAMED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::from_toml_with(text, &Terms::standard()),
            None => Err(TrainError::Recipe {
                place: "recipe".into(),
                reason: format!("unknown recipe `{name}`; {}", nearest(name)),
            }),
        }
    }
}

/// What somebody who typed this may have meant.
fn nearest(name: &str) -> String {
    let names = || NAMED.iter().map(|(known, _)| *known);
    let close: Vec<_> = names()
        .filter(|known| strsim::jaro_winkler(known, name) > 0.8)
        .collect();
    match &close[..] {
        [] => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
        close => format!("did you mean {}?", close.join(" or ")),
    }
}
