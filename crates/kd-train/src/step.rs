//! One step: views, passes, losses, and what an accepted step changes.

use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use kd_data::{Batch, ImageSet};

use crate::TrainError;
use crate::log::ForwardCounts;
use crate::network::{Frozen, Network};
use crate::objective::{Loss, Objective};
use crate::recipe::Recipe;
use crate::term::{Ask, Depth, LabelKind, Reads, Seen, Setting, Shapes, Terms};
use crate::viewer::{Needs, Viewer};

/// Which views are made, who passes over them, and the terms that read them.
pub(crate) struct Stepper {
    viewer: Viewer,
    pub(crate) objective: Objective,
}

/// What a step came to, before anything was changed by it.
pub(crate) struct Computed {
    pub(crate) loss: Loss,
    pub(crate) counts: ForwardCounts,
    pub(crate) score_ratio: Option<f32>,
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
        let [channels, height, width] = set.shape();
        let mut setting = Setting::new(set.classes(), set.labels(), device).with_seed(recipe.seed);
        if needs.values().any(|needs| needs.teacher == Depth::Features) {
            // One image, to see what the networks make of it.
            let image = Tensor::zeros([1, channels, height, width], device);
            let shapes = |network: &dyn Frozen| Shapes::of(&network.features(image.clone()));
            setting.networks = networks.iter().map(|n| shapes(&*n.frozen())).collect();
            setting.teacher = teacher.map(shapes);
        }
        Ok(Self {
            viewer: Viewer::new(recipe.seed, &recipe.views, &needs, set.classes(), device)?,
            objective: Objective::new(recipe, terms, &setting)?,
        })
    }

    /// The views of a batch, by their names, for a picture of them.
    pub(crate) fn views(
        &self,
        batch: &Batch,
        teacher: Option<&dyn Frozen>,
        networks: &[Box<dyn Network>],
    ) -> Result<Vec<(String, Seen)>, TrainError> {
        let mut counts = ForwardCounts::default();
        let seen = self
            .viewer
            .views(batch, teacher, &*networks[0], &mut counts)?;
        let names = self.viewer.names().map(str::to_string);
        Ok(names.zip(seen).collect())
    }

    /// Computes the loss of a step. Nothing is changed by it but batch-norm statistics.
    pub(crate) fn compute(
        &self,
        batch: &Batch,
        teacher: Option<&dyn Frozen>,
        networks: &[Box<dyn Network>],
    ) -> Result<Computed, TrainError> {
        let epoch = batch.epoch as usize;
        let mut counts = ForwardCounts::default();
        let mut seen = self
            .viewer
            .views(batch, teacher, &*networks[0], &mut counts)?;
        let reads = self.objective.reads(epoch);
        let names: Vec<&str> = self.viewer.names().collect();
        for (name, view) in names.iter().zip(&mut seen) {
            let reads = reads.get(name).into_iter().flatten();
            let passes = reads.into_iter().any(|reads| reads.networks != Ask::Never);
            let (true, Some(images)) = (passes, &view.images) else {
                continue;
            };
            counts.student_images += (images.dims()[0] * networks.len()) as u64;
            let passed = networks.iter().map(|n| n.features(images.clone()));
            view.networks = passed.collect();
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

    /// Applies a step: gradients, the optimiser, memories.
    pub(crate) fn apply(
        &mut self,
        loss: Loss,
        networks: &mut [Box<dyn Network>],
        optimizer: &mut ModuleOptimizer,
        rate: f64,
    ) {
        let mut gradients = loss.total.backward();
        for network in networks {
            network.step(optimizer, rate, &mut gradients);
        }
        self.objective.accept(loss, &mut gradients, optimizer, rate);
    }
}

/// What all terms read of a view.
pub(crate) fn needs<'a>(
    terms: impl IntoIterator<Item = (&'a [String], Vec<Reads>)>,
) -> BTreeMap<String, Needs> {
    let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
    for (on, reads) in terms {
        for (name, reads) in on.iter().zip(reads) {
            let needs = needs.entry(name.clone()).or_default();
            needs.networks |= reads.networks != Ask::Never;
            needs.teacher = needs.teacher.max(reads.teacher);
            needs.labels |= reads.labels != LabelKind::Nothing;
        }
    }
    needs
}
