//! One step: views, passes, losses, and what an accepted step changes.

use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use kd_data::{Batch, ImageSet};
use kd_models::{Features, Heads};

use crate::TrainError;
use crate::gradients::{Pending, Trainable};
use crate::log::ForwardCounts;
use crate::network::{Frozen, Network};
use crate::objective::{Loss, Objective};
use crate::recipe::Recipe;
use crate::teachers::Voice;
use crate::term::{Ask, Depth, LabelKind, Reads, Seen, Setting, Shapes, Terms};
use crate::viewer::Viewer;

/// Which views are made, who passes over them, and the terms that read them.
pub(crate) struct Stepper {
    viewer: Viewer,
    pub(crate) objective: Objective,
    /// What is read in any epoch.
    needs: BTreeMap<String, Needs>,
    /// Heads of each network.
    heads: Vec<usize>,
}

/// What a step came to, before anything was changed by it.
pub(crate) struct Computed {
    pub(crate) loss: Loss,
    pub(crate) counts: ForwardCounts,
    pub(crate) score_ratio: Option<f32>,
}

/// What is read of a view, by all terms together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) networks: Ask,
    pub(crate) teacher: Depth,
    pub(crate) labels: LabelKind,
}

impl Stepper {
    /// Makes views and terms for a run over this set.
    pub(crate) fn new(
        recipe: &Recipe,
        terms: &Terms,
        set: &ImageSet,
        teacher: Option<&dyn Frozen>,
        networks: &[Box<dyn Network>],
    ) -> Result<Self, TrainError> {
        let needs = recipe.needs(terms)?;
        let device = &networks[0].device();
        let mut setting = Setting::new(set.classes(), set.labels(), device).with_seed(recipe.seed);
        // One image, to see what the networks make of it.
        let [channels, height, width] = set.shape();
        let image = || Tensor::zeros([1, channels, height, width], device);
        let mut counts = Vec::new();
        for network in networks {
            let Heads { heads, shared, .. } = network.frozen().heads(image());
            if setting.shared.is_empty() && recipe.branches > 1 && heads.len() != recipe.branches {
                return Err(TrainError::Branches {
                    expected: recipe.branches,
                    found: heads.len(),
                });
            }
            counts.push(heads.len());
            setting.peers.extend(heads.iter().map(Shapes::of));
            setting.shared.push(shared.map(|shared| shared.dims()[1]));
        }
        if needs.values().any(|needs| needs.teacher >= Depth::Features) {
            setting.teacher = teacher.map(|teacher| Shapes::of(&teacher.features(image())));
            checked(teacher, Ok(()))?;
        }
        Ok(Self {
            viewer: Viewer::new(recipe.seed, &recipe.views, &needs, set, device)?,
            objective: Objective::new(recipe, terms, &setting)?,
            needs,
            heads: counts,
        })
    }

    /// Heads of each network.
    pub(crate) fn heads(&self) -> &[usize] {
        &self.heads
    }

    /// The views of a batch, by their names, for a picture of them.
    pub(crate) fn views(
        &self,
        batch: &Batch,
        teacher: Voice<'_>,
        networks: &[Box<dyn Network>],
    ) -> Result<Vec<(String, Seen)>, TrainError> {
        let mut counts = ForwardCounts::default();
        // A recording answers what is asked in this epoch alone.
        let needs = match teacher.recording {
            None => self.needs.clone(),
            Some(_) => self.objective.needs(batch.epoch as usize),
        };
        let seen = self
            .viewer
            .views(batch, teacher, networks, &needs, &mut counts);
        let seen = checked(teacher.network, seen)?;
        let names = self.viewer.names().map(str::to_string);
        Ok(names.zip(seen).collect())
    }

    /// Computes the loss of a step. Nothing is changed by it but batch-norm statistics.
    pub(crate) fn compute(
        &self,
        batch: &Batch,
        teacher: Voice<'_>,
        networks: &[Box<dyn Network>],
    ) -> Result<Computed, TrainError> {
        let epoch = batch.epoch as usize;
        let mut counts = ForwardCounts::default();
        let needs = self.objective.needs(epoch);
        let seen = self
            .viewer
            .views(batch, teacher, networks, &needs, &mut counts);
        let mut seen = checked(teacher.network, seen)?;
        let names: Vec<&str> = self.viewer.names().collect();
        for (name, view) in names.iter().zip(&mut seen) {
            let ask = needs.get(*name).map_or(Ask::Never, |needs| needs.networks);
            if ask == Ask::Never {
                continue;
            }
            for (number, network) in networks.iter().enumerate() {
                let Some(images) = view.images_of(number).cloned() else {
                    continue;
                };
                let passed = images.dims()[0] as u64;
                let mut heads = network.heads(images);
                if ask == Ask::Detached {
                    heads = detached(heads);
                    counts.student_scored_images += passed;
                } else {
                    counts.student_images += passed;
                }
                view.peers.extend(heads.heads);
                view.shared.push(heads.shared);
            }
        }
        let views: Vec<_> = names.into_iter().zip(&seen).collect();
        Ok(Computed {
            loss: self
                .objective
                .loss([epoch, batch.index], &batch.ids, &views)?,
            counts,
            score_ratio: seen.iter().find_map(|view| view.score_ratio),
        })
    }

    /// What follows gradients: the networks, then the parts of terms.
    pub(crate) fn modules<'a>(
        &'a self,
        networks: &'a [Box<dyn Network>],
    ) -> Vec<&'a dyn Trainable> {
        let networks = networks.iter().map(|network| &**network as &dyn Trainable);
        networks.chain(self.objective.trainable()).collect()
    }

    /// Accepts a batch: its gradients wait, its memories are taken in.
    pub(crate) fn accept(
        &mut self,
        loss: Loss,
        networks: &[Box<dyn Network>],
        pending: &mut Pending,
    ) {
        pending.add(loss.total.backward(), &self.modules(networks));
        self.objective.remember(loss);
    }

    /// Follows the gradients that wait.
    pub(crate) fn follow(
        &mut self,
        pending: &mut Pending,
        networks: &mut [Box<dyn Network>],
        optimizer: &mut ModuleOptimizer,
        rate: f64,
        clip: Option<f64>,
    ) {
        let shares = pending.finish(&self.modules(networks), clip);
        let networks = networks.iter_mut();
        let networks = networks.map(|network| &mut **network as &mut dyn Trainable);
        let modules = networks.chain(self.objective.trainable_mut());
        for (module, share) in modules.zip(shares) {
            module.step(optimizer, rate, share);
        }
    }
}

/// Returns the teacher's error, if it has one: what came of its answers is then worth nothing.
fn checked<T>(
    teacher: Option<&dyn Frozen>,
    outcome: Result<T, TrainError>,
) -> Result<T, TrainError> {
    let failure = teacher.and_then(|teacher| teacher.failure());
    failure.map_or(outcome, Err)
}

/// Constants of the same values.
fn detached(mut passed: Heads) -> Heads {
    let one = |mut features: Features| {
        features.logits = features.logits.detach();
        for map in features.stages.iter_mut().chain(&mut features.before_relu) {
            *map = map.clone().detach();
        }
        features.embedding = features.embedding.map(Tensor::detach);
        features
    };
    passed.heads = passed.heads.into_iter().map(one).collect();
    passed.shared = passed.shared.map(Tensor::detach);
    passed
}

/// What all terms read of a view.
pub(crate) fn needs<'a>(
    terms: impl IntoIterator<Item = (&'a [String], Vec<Reads>)>,
) -> BTreeMap<String, Needs> {
    let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
    for (on, reads) in terms {
        for (name, reads) in on.iter().zip(reads) {
            let needs = needs.entry(name.clone()).or_default();
            needs.networks = needs.networks.max(reads.networks);
            needs.teacher = needs.teacher.max(reads.teacher);
            needs.labels = needs.labels.max(reads.labels);
        }
    }
    needs
}
