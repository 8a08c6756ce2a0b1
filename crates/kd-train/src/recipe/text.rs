//! Recipes by name and as TOML.

use std::path::Path;
use std::str::FromStr;

use kd_augment::Augmentation;

use super::Recipe;
use crate::TrainError;
use crate::views::{MixedView, OriginalView, ViewPlan};

impl Recipe {
    /// The names that [`FromStr`] knows, each with what it stands for.
    pub const NAMED: [(&str, &str); 5] = [
        ("ce", "cross-entropy with the labels; no teacher"),
        ("kd", "0.1 CE + 0.9 KL on the original view"),
        (
            "tlmixup",
            "kd, and 0.9 KL on mixup images that the teacher labels",
        ),
        (
            "tlcutmix",
            "kd, and 0.9 KL on CutMix images that the teacher labels",
        ),
        (
            "tlcutmix_pick",
            "tlcutmix, on the half of twice as many that the teacher is least sure of",
        ),
    ];

    /// Read a recipe. What it says is checked.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] with the place and the reason.
    pub fn parse(text: &str) -> Result<Self, TrainError> {
        Self::from_table(parse_table(text, "recipe")?)
    }

    /// Read a recipe from a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`], and as [`Recipe::parse`].
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        Self::from_table(parse_table(&text, &path.display().to_string())?)
    }

    /// Change keys, each `key=value`: `["epochs=60", "optimizer.learning_rate=0.1"]`. A value is TOML; a word without
    /// quotes is a string. The outcome is checked once all are set.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] when there is no such key or a value does not fit.
    pub fn with_overrides<T: AsRef<str>>(
        self,
        overrides: impl IntoIterator<Item = T>,
    ) -> Result<Self, TrainError> {
        let refuse = |place: &str, reason: String| TrainError::Recipe {
            place: place.to_string(),
            reason,
        };
        let mut table =
            toml::Table::try_from(&self).map_err(|e| refuse("recipe", e.to_string()))?;
        for item in overrides {
            let item = item.as_ref();
            let (key, value) = item
                .split_once('=')
                .ok_or_else(|| refuse(item, "expected `key=value`".into()))?;
            let (key, value) = (key.trim(), value.trim());
            if value
                .parse::<i128>()
                .is_ok_and(|n| i64::try_from(n).is_err())
            {
                let reason =
                    format!("is {value}, expected an integer of 64 bits, as TOML has them");
                return Err(refuse(key, reason));
            }
            let value = format!("x = {value}")
                .parse::<toml::Table>()
                .ok()
                .and_then(|mut table| table.remove("x"))
                .unwrap_or_else(|| toml::Value::String(value.to_string()));
            let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
            let mut node = &mut table;
            for step in path.split('.').filter(|step| !step.is_empty()) {
                node = node
                    .entry(step)
                    .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                    .as_table_mut()
                    .ok_or_else(|| refuse(key, format!("`{step}` is not a table")))?;
            }
            node.insert(last.to_string(), value);
        }
        Self::from_table(table)
    }

    /// As TOML, every key written out.
    pub fn to_toml(&self) -> String {
        // A recipe holds nothing that TOML cannot say.
        toml::to_string(self).unwrap_or_default()
    }

    fn from_table(table: toml::Table) -> Result<Self, TrainError> {
        let recipe: Self = table
            .try_into()
            .map_err(|e: toml::de::Error| TrainError::Recipe {
                place: "recipe".into(),
                reason: e.message().to_string(),
            })?;
        recipe.check()?;
        Ok(recipe)
    }
}

fn parse_table(text: &str, place: &str) -> Result<toml::Table, TrainError> {
    // Deserialising the text, not the table, is what gives a line number.
    toml::from_str::<Recipe>(text).map_err(|e| TrainError::Recipe {
        place: place.to_string(),
        reason: e.to_string(),
    })?;
    text.parse()
        .map_err(|e: toml::de::Error| TrainError::Recipe {
            place: place.to_string(),
            reason: e.to_string(),
        })
}

impl FromStr for Recipe {
    type Err = TrainError;

    /// A recipe by one of the [names](Recipe::NAMED).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mixed = |mix, pool| {
            Some(MixedView {
                mix,
                pool,
                ..MixedView::default()
            })
        };
        let cutmix = || kd_augment::CutMix::default().into();
        let mixup = || kd_augment::Mixup::default().into();
        let mut original = OriginalView {
            augmentation: Augmentation::crop_flip(4),
            ..OriginalView::default()
        };
        let mixed = match name {
            "ce" => {
                original.ce = 1.0;
                original.kl = 0.0;
                None
            }
            "kd" => None,
            "tlmixup" => mixed(mixup(), None),
            "tlcutmix" => mixed(cutmix(), None),
            "tlcutmix_pick" => mixed(cutmix(), Some(kd_augment::Pool::default())),
            _ => {
                return Err(TrainError::Recipe {
                    place: "recipe".into(),
                    reason: format!(
                        "unknown recipe `{name}`; known: {}",
                        Self::NAMED.map(|(name, _)| name).join(", ")
                    ),
                });
            }
        };
        Ok(Self {
            views: ViewPlan {
                original,
                mixed,
                ..ViewPlan::default()
            },
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_named_recipe_is_valid_and_survives_toml() {
        for (name, _) in Recipe::NAMED {
            let recipe: Recipe = name.parse().unwrap();
            recipe.check().unwrap();
            assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe, "{name}");
        }
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused_by_name() {
        for (text, named) in [
            ("epoch = 3", "unknown field `epoch`"),
            ("[optimizer]\nlr = 0.1", "unknown field `lr`"),
            ("[views.original]\nweight = 1", "unknown field `weight`"),
            ("epochs = 0", "epochs: is 0, expected at least 1"),
            ("[optimizer]\nmomentum = 1.0", "optimizer.momentum: is 1"),
            (
                "[schedule]\nmilestones = [0.5, 0.25]",
                "schedule.milestones: is 0.25",
            ),
            ("[views]\ntemperature = 0", "views.temperature"),
        ] {
            let error = Recipe::parse(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_set_by_their_path() {
        let recipe = Recipe::default()
            .with_overrides([
                "optimizer.learning_rate=0.2",
                "views.mixed.mix = { op = \"mixup\" }",
                "views.reduction=mean",
            ])
            .unwrap();
        assert_eq!(recipe.optimizer.learning_rate, 0.2);
        assert!(recipe.views.mixed.is_some());
        for (item, named) in [
            ("optimizer.lr=0.2", "unknown field `lr`"),
            ("epochs", "expected `key=value`"),
            ("epochs.first=3", "`epochs` is not a table"),
            ("epochs=many", "invalid type"),
        ] {
            let error = Recipe::default().with_overrides([item]).unwrap_err();
            assert!(error.to_string().contains(named), "{item}: {error}");
        }
    }
}
