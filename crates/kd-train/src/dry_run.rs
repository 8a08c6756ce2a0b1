//! What a run costs, found by taking a few of its steps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use serde::Serialize;

use crate::TrainError;
use crate::log::ForwardCounts;
use crate::step::Needs;
use crate::term::{Ask, Depth, LabelKind};

/// What a run costs, as [`Distiller::dry_run`](crate::Distiller::dry_run) finds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DryRun {
    /// Steps of an epoch.
    pub steps: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Networks that are trained together.
    pub networks: usize,
    /// The phases of the run, in order: most runs have one.
    pub phases: Vec<Phase>,
}

/// Epochs in a row in which the same terms act.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Phase {
    /// The epochs, from 0.
    pub epochs: Range<usize>,
    /// The terms that act.
    pub terms: Vec<String>,
    /// The views, in the order of their names.
    pub views: Vec<Passes>,
    /// Images that go through the networks in a full step: counted, not predicted.
    pub images: ForwardCounts,
    /// Seconds of a step: the median of a few that were taken. Not the same twice.
    pub seconds: f64,
}

/// Who passes over a view in a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Passes {
    /// The name of the view.
    pub view: String,
    /// How each network in training passes over it.
    pub networks: Ask,
    /// What is read of the teacher.
    pub teacher: Depth,
    /// What is read of the labels.
    pub labels: LabelKind,
    /// The terms that read it.
    pub terms: Vec<String>,
}

impl DryRun {
    /// Returns the images of an epoch of a phase, if its last batch were full.
    pub fn images(&self, phase: &Phase) -> ForwardCounts {
        let steps = self.steps as u64;
        ForwardCounts {
            student_images: steps * phase.images.student_images,
            student_scored_images: steps * phase.images.student_scored_images,
            teacher_images: steps * phase.images.teacher_images,
        }
    }

    /// Returns an estimate of the seconds of the whole run on this machine, without evaluations.
    pub fn seconds(&self) -> f64 {
        let phases = self.phases.iter();
        let seconds = phases.map(|phase| phase.epochs.len() as f64 * phase.seconds);
        self.steps as f64 * seconds.sum::<f64>()
    }
}

/// Who reads what in an epoch: the terms that act, each with its views, and what they need.
pub(crate) type Reading = (Vec<(String, Vec<String>)>, BTreeMap<String, Needs>);

/// The epochs in which the same is read.
pub(crate) fn phases(
    epochs: usize,
    reading: impl Fn(usize) -> Reading,
) -> Vec<(Range<usize>, Reading)> {
    let mut phases: Vec<(Range<usize>, Reading)> = Vec::new();
    for epoch in 0..epochs {
        let now = reading(epoch);
        match phases.last_mut() {
            Some((range, then)) if *then == now => range.end = epoch + 1,
            _ => phases.push((epoch..epoch + 1, now)),
        }
    }
    phases
}

/// A phase whose steps `step` takes: the first is not timed.
pub(crate) fn measured(
    (epochs, (terms, needs)): (Range<usize>, Reading),
    mut step: impl FnMut(usize) -> Result<Option<ForwardCounts>, TrainError>,
) -> Result<Phase, TrainError> {
    const TIMED: usize = 3;
    let (mut images, mut seconds) = (ForwardCounts::default(), Vec::new());
    for number in 0..=TIMED {
        let started = Instant::now();
        let Some(counts) = step(number)? else { break };
        if number == 0 {
            images = counts;
        }
        if number > 0 || seconds.is_empty() {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    if seconds.len() > 1 {
        seconds.remove(0);
    }
    seconds.sort_by(f64::total_cmp);
    let views = needs.into_iter().map(|(view, needs)| Passes {
        terms: terms
            .iter()
            .filter(|(_, on)| on.contains(&view))
            .map(|(name, _)| name.clone())
            .collect(),
        view,
        networks: needs.networks,
        teacher: needs.teacher,
        labels: needs.labels,
    });
    Ok(Phase {
        views: views.collect(),
        epochs,
        images,
        seconds: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        terms: terms.into_iter().map(|(name, _)| name).collect(),
    })
}
