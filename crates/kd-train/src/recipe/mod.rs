//! What decides the outcome of a run.

mod named;
mod optimizer;
mod schedule;
mod term;
mod text;

use std::collections::BTreeMap;

use kd_augment::Preset;
use kd_data::ImageSet;
use serde::{Deserialize, Serialize};

pub use optimizer::{Decay, Method, OptimizerRecipe};
pub use schedule::{Moment, ScheduleRecipe, Shape};
pub use term::TermRecipe;
pub(crate) use term::boundary;

use crate::TrainError;
use crate::step::Needs;
use crate::term::{Depth, Terms};
use crate::view::{self, ORIGINAL, View, Views};

/// Everything that decides the outcome of a run, but the networks and the data.
///
/// A recipe is TOML. Keys that are left out have the defaults below, and a key that does not exist is
/// refused.
///
/// ```
/// use kd_train::Recipe;
///
/// let recipe = Recipe::from_toml(r#"
///     epochs = 60
///     [views.original]
///     augmentation = "crop_flip"
///     [views.mixed]
///     of = "original"
///     mix = { op = "cutmix" }
///     [terms]
///     ce = { weight = 0.1 }
///     kl = { weight = 0.9, temperature = 4 }
///     kl_mixed = { loss = "kl", on = "mixed", weight = 0.9, temperature = 4 }
/// "#)?;
/// assert_eq!(recipe.batch_size, 64);
/// # Ok::<(), kd_train::TrainError>(())
/// ```
///
/// The defaults are those of the experiments of Wang et al., *What Makes a "Good" Data Augmentation in Knowledge Distillation*,
/// 2022: batches of 64, SGD with
/// learning rate 0.05, momentum 0.9 and weight decay 5e-4, divided by ten at 150, 180 and 210 of 240 epochs, `tau = 4`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Seed of the order of the data and of every draw of the augmentation. The initial weights belong to the network.
    pub seed: u64,
    /// Passes over the training set.
    pub epochs: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// Networks that are trained together: the student and those that
    /// [`Distiller::with_peer`](crate::Distiller::with_peer) adds.
    pub peers: usize,
    /// Heads of the student. 1: as many as it has.
    pub branches: usize,
    /// What several teachers say together.
    pub teachers: Teachers,
    /// Images in a forward pass of an evaluation. Changes memory and speed alone.
    pub evaluation_batch_size: usize,
    /// How parameters follow their gradients.
    pub optimizer: OptimizerRecipe,
    /// The learning rate over the run.
    pub schedule: ScheduleRecipe,
    /// An average of the weights. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaRecipe>,
    /// What the networks are shown, by name. `original` is always there.
    pub views: Views,
    /// What is asked of the student, by name.
    pub terms: BTreeMap<String, TermRecipe>,
    /// What is written while the run goes on.
    pub log: LogRecipe,
}

/// What several teachers say together. One teacher alone speaks for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Teachers {
    /// The mean of their logits.
    #[default]
    MeanLogits,
    /// The logarithm of the mean of their probabilities.
    MeanProbabilities,
}

/// An exponential moving average of the weights, which is measured and given back in addition to the
/// last ones: after each step `average = decay · average + (1 - decay) · weights`, statistics of
/// batch norms included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmaRecipe {
    /// In `(0, 1)`. An average remembers about `1 / (1 - decay)` steps.
    pub decay: f64,
}

/// What is written while the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogRecipe {
    /// A line in `metrics.jsonl` every so many steps, beside the line of each epoch. 0: none.
    pub every_steps: usize,
    /// A checkpoint every so many steps, beside the one after each epoch. 0: none.
    pub checkpoint_steps: usize,
    /// The student is measured on the test set every so many epochs, beside the last. 0: then alone.
    pub evaluate_epochs: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 240,
            batch_size: 64,
            peers: 1,
            branches: 1,
            teachers: Teachers::default(),
            evaluation_batch_size: 256,
            optimizer: OptimizerRecipe::default(),
            schedule: ScheduleRecipe::default(),
            ema: None,
            views: Views::from([(ORIGINAL.to_string(), View::default())]),
            terms: term::hinton(),
            log: LogRecipe::default(),
        }
    }
}

impl Default for LogRecipe {
    fn default() -> Self {
        Self {
            every_steps: 10,
            checkpoint_steps: 0,
            evaluate_epochs: 1,
        }
    }
}

impl Recipe {
    /// The recipe for this data: an augmentation that was read by its name has the parameters of it.
    pub(crate) fn for_data(&self, set: &ImageSet) -> Self {
        let [_, height, width] = set.shape();
        let preset = Preset::of(height.min(width), set.classes());
        let mut recipe = self.clone();
        for view in recipe.views.values_mut() {
            view.augmentation = view.augmentation.clone().for_data(preset);
        }
        recipe
    }

    /// Check what depends on the training set.
    pub(crate) fn check_for(&self, images: usize) -> Result<(), TrainError> {
        let smallest = match images % self.batch_size {
            0 => self.batch_size,
            rest => rest,
        };
        for (name, view) in &self.views {
            self.check_halves(name, view, smallest)?;
            let pool = view.pool.as_ref();
            let Some((pool, pick)) = pool.and_then(|pool| Some((pool, pool.pick.fixed()?))) else {
                continue;
            };
            if pick > pool.copies * smallest {
                return Err(TrainError::Recipe {
                    place: format!("views.{name}.pool.pick"),
                    reason: format!(
                        "is {pick}, and the last of {images} images in batches of {} leave a pool of {}; without \
                         `pick`, as many are picked as a batch holds",
                        self.batch_size,
                        pool.copies * smallest
                    ),
                });
            }
        }
        Ok(())
    }

    /// Halves of a batch are mixed only where every batch has two.
    fn check_halves(&self, name: &str, view: &View, smallest: usize) -> Result<(), TrainError> {
        let halves = view
            .mix
            .is_some_and(|mix| mix.pairing() == kd_augment::Pairing::Halves);
        let odd = [self.batch_size, smallest]
            .into_iter()
            .find(|size| size % 2 == 1);
        match odd {
            Some(odd) if halves => Err(TrainError::Recipe {
                place: format!("views.{name}.mix.pairing"),
                reason: format!(
                    "is halves, which needs even batches, and a batch holds {odd} images"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Returns what these terms read of each view.
    pub(crate) fn needs(&self, terms: &Terms) -> Result<BTreeMap<String, Needs>, TrainError> {
        let mut reads = Vec::new();
        for (name, term) in self.terms.iter().filter(|(_, term)| term.weight > 0.0) {
            reads.push((&term.on[..], term.reads(name, terms)?));
        }
        Ok(crate::step::needs(reads))
    }

    /// Returns whether a teacher is needed: a term reads it, or a pool is picked from by whoever
    /// reads the pool's view.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] if `terms` lacks a loss of the recipe.
    pub fn needs_teacher(&self, terms: &Terms) -> Result<bool, TrainError> {
        let needs = self.needs(terms)?;
        let views = view::order(&self.views, needs.keys().map(String::as_str))?;
        let pool = views.iter().any(|name| self.views[*name].pool.is_some());
        Ok(pool || needs.values().any(|needs| needs.teacher > Depth::Nothing))
    }

    /// Returns whether a term reads maps before their ReLU, which networks give only if they are
    /// told to ([`Classifier::with_before_relu`](kd_models::Classifier::with_before_relu)).
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] if `terms` lacks a loss of the recipe.
    pub fn needs_before_relu(&self, terms: &Terms) -> Result<bool, TrainError> {
        let needs = self.needs(terms)?;
        Ok(needs
            .values()
            .any(|needs| needs.teacher == Depth::BeforeRelu))
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] naming the key, the value found and the range expected.
    pub fn check(&self, terms: &Terms) -> Result<(), TrainError> {
        let range = |key: &str, found: f64, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => Err(TrainError::Recipe {
                place: key.to_string(),
                reason: format!("is {found}, expected {expected}"),
            }),
        };
        let count = |key: &str, found: usize| range(key, found as f64, found > 0, "at least 1");
        range(
            "seed",
            self.seed as f64,
            self.seed <= i64::MAX as u64,
            "a number below 2^63, the largest that TOML can say",
        )?;
        count("epochs", self.epochs)?;
        count("batch_size", self.batch_size)?;
        count("peers", self.peers)?;
        count("branches", self.branches)?;
        count("evaluation_batch_size", self.evaluation_batch_size)?;
        self.optimizer.check()?;
        self.schedule.check()?;
        if let Some(EmaRecipe { decay }) = self.ema {
            let fits = decay > 0.0 && decay < 1.0;
            range("ema.decay", decay, fits, "a number in (0, 1)")?;
        }
        view::check(&self.views)?;
        self.terms
            .iter()
            .try_for_each(|(name, term)| term.check(name, &self.views, terms))?;
        for (name, needs) in self.needs(terms)? {
            let own = self.peers > 1 && view::is_per_network(&self.views, &name)?;
            if own && needs.teacher > Depth::Nothing {
                return Err(TrainError::Recipe {
                    place: format!("views.{name}"),
                    reason: "each network has images of its own there, and a term reads the \
                             teacher, which sees those of all networks"
                        .into(),
                });
            }
        }
        match self.terms.values().any(|term| term.weight > 0.0) {
            true => Ok(()),
            false => Err(TrainError::Recipe {
                place: "terms".into(),
                reason: "no term has a weight, expected at least one".into(),
            }),
        }
    }
}
