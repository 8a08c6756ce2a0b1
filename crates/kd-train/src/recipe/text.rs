//! Recipes by name and as TOML.

use std::path::Path;

use super::Recipe;
use super::optimizer::OF_METHOD;
use super::schedule::OF_SHAPE;
use crate::TrainError;
use crate::term::Terms;
use crate::view::ORIGINAL;

impl Recipe {
    /// Reads a recipe whose losses are those of kd. Everything it says is checked.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] with the place and the reason.
    pub fn from_toml(text: &str) -> Result<Self, TrainError> {
        Self::from_toml_with(text, &Terms::standard())
    }

    /// [`Recipe::from_toml`], with losses of your own.
    ///
    /// # Errors
    ///
    /// As [`Recipe::from_toml`].
    pub fn from_toml_with(text: &str, terms: &Terms) -> Result<Self, TrainError> {
        Self::read(text, "recipe", terms)
    }

    /// Reads a recipe from a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Io`], and as [`Recipe::from_toml`].
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        Self::load_with(path, &Terms::standard())
    }

    /// [`Recipe::load`], with losses of your own.
    ///
    /// # Errors
    ///
    /// As [`Recipe::load`].
    pub fn load_with(path: &Path, terms: &Terms) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        Self::read(&text, &path.display().to_string(), terms)
    }

    fn read(text: &str, place: &str, terms: &Terms) -> Result<Self, TrainError> {
        // An error of the text has a line number.
        let recipe = toml::from_str::<Self>(text).map_err(|e| TrainError::Recipe {
            place: place.to_string(),
            reason: e.to_string(),
        })?;
        recipe.completed(terms)
    }

    /// Writes out what was left out, and checks everything.
    fn completed(mut self, terms: &Terms) -> Result<Self, TrainError> {
        self.views.entry(ORIGINAL.into()).or_default();
        for (name, term) in &mut self.terms {
            term.complete(name, terms)?;
        }
        self.check(terms)?;
        Ok(self)
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
        self.with_overrides_and(overrides, &Terms::standard())
    }

    /// [`Recipe::with_overrides`], with losses of your own.
    ///
    /// # Errors
    ///
    /// As [`Recipe::with_overrides`].
    pub fn with_overrides_and<T: AsRef<str>>(
        self,
        overrides: impl IntoIterator<Item = T>,
        terms: &Terms,
    ) -> Result<Self, TrainError> {
        let refuse = |place: &str, reason: String| TrainError::Recipe {
            place: place.to_string(),
            reason,
        };
        let mut table =
            toml::Table::try_from(&self).map_err(|e| refuse("recipe", e.to_string()))?;
        let overrides: Vec<T> = overrides.into_iter().collect();
        // The keys of one method are not those of another.
        for (place, keys) in [("optimizer", &OF_METHOD[..]), ("schedule", &OF_SHAPE)] {
            let kind = format!("{place}.kind");
            let named = |item: &T| {
                item.as_ref()
                    .split('=')
                    .next()
                    .is_some_and(|key| key.trim() == kind)
            };
            if let (true, Some(table)) = (
                overrides.iter().any(named),
                table.get_mut(place).and_then(toml::Value::as_table_mut),
            ) {
                table.retain(|key, _| !keys.contains(&key));
            }
        }
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
        let recipe: Self = table
            .try_into()
            .map_err(|e: toml::de::Error| refuse("recipe", e.message().to_string()))?;
        recipe.completed(terms)
    }

    /// As TOML, every key written out.
    pub fn to_toml(&self) -> String {
        // A recipe holds nothing that TOML cannot say.
        toml::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_named_recipe_is_valid_and_survives_toml() {
        for (name, about) in Recipe::names() {
            let recipe = Recipe::named(name).unwrap();
            assert_eq!(
                Recipe::from_toml(&recipe.to_toml()).unwrap(),
                recipe,
                "{name}"
            );
            assert!(about.ends_with('.') && about.len() < 100, "{name}: {about}");
        }
        let error = Recipe::named("tlcutmixpick").unwrap_err().to_string();
        assert!(
            error.contains("did you mean") && error.contains("tlcutmix_pick"),
            "{error}"
        );
        let error = Recipe::named("?").unwrap_err().to_string();
        assert!(error.contains("known: ce, ce_cutout"), "{error}");
    }

    #[test]
    fn the_default_is_complete() {
        let recipe = Recipe::default();
        assert_eq!(
            recipe.clone().completed(&Terms::standard()).unwrap(),
            recipe
        );
        assert_eq!(Recipe::from_toml("").unwrap(), recipe);
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
            (
                "[terms]\nk = {}",
                "terms.k: unknown loss `k`; known: ab, at, cc",
            ),
            (
                "[terms]\nkl = { tau = 4.0 }",
                "terms.kl: unknown key `tau`; `kl` has tau_squared, temperature",
            ),
            (
                "[terms]\nce = { tau = 4.0 }",
                "unknown key `tau`; `ce` has no keys of its own",
            ),
            (
                "[terms]\nkl = { temperature = true }",
                "terms.kl: invalid type",
            ),
            ("[terms]\nkl = { weight = -1.0 }", "terms.kl.weight: is -1"),
            (
                "[terms]\nce = { weight = 0.0 }",
                "terms: no term has a weight",
            ),
            (
                "[terms]\nkl = { on = \"mixed\" }",
                "terms.kl.on: unknown view `mixed`; there are original",
            ),
            (
                "[terms]\nkl = { on = [\"original\", \"original\"] }",
                "terms.kl.on: is original, original, expected 1 view(s) for `kl`",
            ),
            (
                "[terms]\nkl = { ramp = { kind = \"linear\", epochs = -1.0 } }",
                "terms.kl.ramp",
            ),
            (
                "[views.mixed]\nof = \"originl\"\nmix = { op = \"cutmix\" }",
                "views.mixed.of: unknown view `originl`; there are mixed, original",
            ),
            (
                "[views.a]\nof = \"b\"\nmix = { op = \"cutmix\" }\n[views.b]\nof = \"a\"\nmix = { op = \"mixup\" }",
                "`a` is made of itself",
            ),
            (
                "[views.mixed]\nof = \"original\"",
                "views.mixed: is that of another view, and changes nothing",
            ),
        ] {
            let error = Recipe::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_set_by_their_path() {
        let recipe = Recipe::default()
            .with_overrides([
                "optimizer.learning_rate=0.2",
                "views.mixed = { of = \"original\", mix = { op = \"mixup\" } }",
                "terms.kl.on=mixed",
                "terms.kl.temperature=7",
            ])
            .unwrap();
        assert_eq!(recipe.optimizer.learning_rate, 0.2);
        assert_eq!(recipe.terms["kl"].on, ["mixed"]);
        assert_eq!(
            recipe.terms["kl"].settings["temperature"].as_float(),
            Some(7.0)
        );
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
