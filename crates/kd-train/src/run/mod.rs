mod dry;
mod records;

use std::any::Any;
use std::time::Instant;

use burn::optim::ModuleOptimizer;
use kd_augment::AugmentError;
use kd_data::{ImageSet, Loader};

use crate::average::Average;
use crate::checkpoint::Position;
use crate::gradients::Pending;
use crate::log::{EpochRecord, EpochTiming, Line, TestRecord};
use crate::measures::Measures;
use crate::network::Network;
use crate::progress::{Task, duration};
use crate::recipe::{EmaRecipe, Moment, OptimizerRecipe};
use crate::recording::{Plan, Recorder, Recording};
use crate::run_folder::RunFolder;
use crate::step::Stepper;
use crate::teachers::Voice;
use crate::values::Values;
use crate::{Distiller, Outcome, Recipe, TrainError, report};

/// A run under way.
pub(crate) struct Run<'a> {
    distiller: &'a Distiller,
    /// For this data.
    recipe: &'a Recipe,
    loader: Loader,
    folder: Option<RunFolder>,
    recording: Option<Recording>,
    /// What the recording is asked.
    plan: Option<Plan>,
    stepper: Stepper,
    networks: Vec<Box<dyn Network>>,
    optimizer: ModuleOptimizer,
    /// Gradients of batches that have no step yet. Empty wherever a checkpoint is written.
    pending: Pending,
    /// Of each network, if the recipe has one.
    averages: Vec<Box<dyn Average>>,
    position: Position,
    history: Vec<EpochRecord>,
    /// After the latest epoch that was measured.
    measures: Measures,
    samples: Option<report::Samples>,
    seconds: f64,
    /// By an observer.
    stopped: bool,
}

impl<'a> Run<'a> {
    /// A run at its beginning: everything that can fail is made here, before there is a folder.
    pub(crate) fn new(
        distiller: &'a Distiller,
        recipe: &'a Recipe,
        networks: Vec<Box<dyn Network>>,
        train_set: &ImageSet,
        loader: Loader,
        replay: Option<(Recording, Plan)>,
    ) -> Result<Self, TrainError> {
        let (recording, plan) = replay.unzip();
        let stepper = Stepper::new(
            recipe,
            &distiller.terms,
            train_set,
            distiller.teacher(),
            &networks,
        )?;
        let averages = match recipe.ema {
            Some(_) => networks.iter().map(|network| network.average()).collect(),
            None => Vec::new(),
        };
        let mut run = Self {
            distiller,
            recipe,
            loader,
            folder: None,
            recording,
            plan,
            optimizer: records::fresh_optimizer(recipe, &stepper, &networks),
            stepper,
            pending: Pending::default(),
            averages,
            networks,
            position: Position::default(),
            history: Vec::new(),
            measures: Measures::default(),
            samples: None,
            seconds: 0.0,
            stopped: false,
        };
        run.samples = run.samples()?;
        Ok(run)
    }

    /// What the networks are shown in the first step, for the page.
    fn samples(&self) -> Result<Option<report::Samples>, TrainError> {
        let (Some(_), Some(batch)) = (&self.distiller.folder, self.loader.epoch(0).next()) else {
            return Ok(None);
        };
        let views = self.stepper.views(&batch, self.voice(), &self.networks)?;
        report::Samples::of(&batch, &views)
    }

    fn voice(&self) -> Voice<'_> {
        Voice {
            network: self.distiller.teacher(),
            recording: self.recording.as_ref(),
        }
    }

    /// Records what the teacher answers from here on, and takes what the file holds from there.
    pub(crate) fn record(&mut self, recorder: Recorder, plan: Plan) {
        self.recording = Some(Recording::Recorded(recorder));
        self.plan = Some(plan);
    }

    pub(crate) fn complete(mut self) -> Result<Outcome<Box<dyn Any + Send>>, TrainError> {
        let recipe = self.recipe;
        let steps = self.loader.batches();
        let task = self.distiller.progress.task(
            &self.distiller.name,
            (steps * recipe.epochs) as u64,
            "steps",
        );
        task.resume_at((self.position.epoch * steps + self.position.step) as u64);
        let weights = recipe.terms.iter();
        let start = Line::Start {
            weights: weights
                .map(|(name, term)| (name.clone(), term.weight))
                .collect(),
            steps,
            epochs: recipe.epochs,
        };
        let anew = self.position.metrics_bytes == 0;
        self.tell(start, anew)?;
        while self.position.epoch < recipe.epochs {
            self = self.epoch(&task)?;
        }
        task.finish();
        self.finish()
    }

    /// The rest of the current epoch.
    fn epoch(mut self, task: &Task) -> Result<Self, TrainError> {
        let recipe = self.recipe;
        let epoch = self.position.epoch;
        let mut due_to_save = false;
        for batch in self.loader.epoch_from(epoch as u64, self.position.step) {
            let started = Instant::now();
            let step = batch.index;
            let learning_rate = self.learning_rate(epoch, step);
            let values = match self.step(&batch) {
                Err(error @ TrainError::RecordingWrite { .. }) => {
                    // Nothing has changed since the step before. The reason is worth more than
                    // whether there was room for a checkpoint: without a new one, the old one stands.
                    if epoch + step > 0 && self.pending.is_empty() {
                        let _ = self.save();
                    }
                    return Err(error);
                }
                values => values?,
            };
            self.position.sums.add(&values, batch.labels.len());
            self.position.step = step + 1;
            let seconds = started.elapsed().as_secs_f64();
            self.position.seconds += seconds;
            self.seconds += seconds;
            task.message(format!("epoch {} loss {:.3}", epoch + 1, values.loss));
            task.advance(1);
            let line = Line::Step {
                epoch,
                step,
                learning_rate,
                values,
            };
            self.tell(line, due(step, recipe.log.every_steps))?;
            due_to_save |= due(step, recipe.log.checkpoint_steps);
            if !self.ends_a_step(step) {
                continue;
            }
            // After the last step of an epoch, its line is still written.
            let stop = self.is_stopped() && step + 1 < self.loader.batches();
            if stop || due_to_save {
                self.save()?;
                due_to_save = false;
            }
            if stop {
                return Err(self.interrupted());
            }
        }

        self.evaluate(epoch)?;
        let record = EpochRecord {
            epoch,
            learning_rate: self.learning_rate(epoch, 0),
            train: self.position.sums.mean(),
            score_ratio: (self.position.score_ratios > 0.0)
                .then(|| self.position.score_ratios / self.position.step as f64),
            test: self.measures.student.as_ref().map(TestRecord::from),
            peers: self.measures.peers.iter().map(TestRecord::from).collect(),
            ema: self.measures.average.as_ref().map(TestRecord::from),
        };
        let seconds = self.position.seconds;
        task.say(&describe(
            &self.distiller.name,
            recipe.epochs,
            &record,
            seconds,
        ));
        self.history.push(record.clone());
        let timing = EpochTiming {
            epoch,
            seconds,
            steps: self.position.step,
            counts: self.position.counts,
        };
        self.position = Position {
            epoch: epoch + 1,
            ..Position::default()
        };
        self.tell(Line::Epoch(record), true)?;
        if let Some(folder) = &mut self.folder {
            folder.log_timing(&timing)?;
            folder.write_table(&self.history)?;
        }
        self.save()?;
        if self.is_stopped() && self.position.epoch < recipe.epochs {
            return Err(self.interrupted());
        }
        Ok(self)
    }

    /// Shows a line to whoever watches, and writes it if it is to be written.
    fn tell(&mut self, line: Line, write: bool) -> Result<(), TrainError> {
        if let Some(observer) = &self.distiller.observer {
            self.stopped |= observer(&line).is_break();
        }
        match (&mut self.folder, write) {
            (Some(folder), true) => folder.log(&line),
            _ => Ok(()),
        }
    }

    /// Whether somebody wants the run to stop.
    fn is_stopped(&self) -> bool {
        self.stopped || self.distiller.interrupt.is_requested()
    }

    fn interrupted(&self) -> TrainError {
        let steps = self.loader.batches();
        TrainError::Interrupted {
            steps: self.position.epoch * steps + self.position.step,
            all: self.recipe.epochs * steps,
            path: self.distiller.folder.clone(),
        }
    }

    /// The learning rate of the step that a batch belongs to.
    fn learning_rate(&self, epoch: usize, batch: usize) -> f64 {
        let OptimizerRecipe {
            learning_rate,
            accumulate,
            ..
        } = self.recipe.optimizer;
        let steps = self.loader.batches().div_ceil(accumulate);
        let at = Moment::new([epoch, self.recipe.epochs], [batch / accumulate, steps]);
        learning_rate * self.recipe.schedule.factor_at(at)
    }

    /// Whether the optimiser takes a step after this batch of an epoch.
    fn ends_a_step(&self, batch: usize) -> bool {
        let all = self.loader.batches();
        (batch + 1).is_multiple_of(self.recipe.optimizer.accumulate) || batch + 1 == all
    }

    /// One batch. A loss that is not finite is refused before it is applied.
    fn step(&mut self, batch: &kd_data::Batch) -> Result<Values, TrainError> {
        let (epoch, step) = (self.position.epoch, batch.index);
        let not_finite = |term: &str, value| TrainError::NonFinite {
            term: term.to_string(),
            value,
            epoch,
            step,
        };
        let computed = match self.stepper.compute(batch, self.voice(), &self.networks) {
            Err(TrainError::Augment(AugmentError::ScoreIsNan { .. })) => {
                return Err(not_finite("the score of a candidate", f32::NAN));
            }
            computed => computed?,
        };
        let values = computed.loss.values.clone();
        if let Some((term, value)) = values.non_finite() {
            return Err(not_finite(term, value));
        }
        self.position.counts.add(&computed.counts);
        if let Some(ratio) = computed.score_ratio {
            self.position.score_ratios += f64::from(ratio);
        }
        self.stepper
            .accept(computed.loss, &self.networks, &mut self.pending);
        if self.ends_a_step(step) {
            let rate = self.learning_rate(epoch, step);
            self.stepper.follow(
                &mut self.pending,
                &mut self.networks,
                &mut self.optimizer,
                rate,
                self.recipe.optimizer.clip,
            );
            if let Some(EmaRecipe { decay }) = self.recipe.ema {
                for (average, network) in self.averages.iter_mut().zip(&self.networks) {
                    average.follow(&**network, decay);
                }
            }
        }
        Ok(values)
    }

    /// Measures the networks if it is time to.
    fn evaluate(&mut self, epoch: usize) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let last = epoch + 1 == recipe.epochs;
        self.measures = match &self.distiller.test_set {
            Some(set) if last || due(epoch, recipe.log.evaluate_epochs) => {
                let (heads, size) = (self.stepper.heads(), recipe.evaluation_batch_size);
                let average = self.averages.first().map(|average| &**average);
                let measured = Measures::of(&self.networks, heads, average, set, size);
                measured.map_err(|reason| TrainError::Evaluation {
                    epoch,
                    reason: Box::new(reason),
                })?
            }
            _ => Measures::default(),
        };
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome<Box<dyn Any + Send>>, TrainError> {
        if self.measures.student.is_none() {
            // A run that was complete before this process began.
            self.evaluate(self.recipe.epochs - 1)?;
        }
        let report = match &self.folder {
            Some(folder) => {
                let html = report::render(&report::Facts {
                    name: &self.distiller.name,
                    recipe: self.recipe,
                    history: &self.history,
                    evaluation: self.measures.student.as_ref(),
                    timings: &folder.timings()?,
                    samples: self.samples.as_ref(),
                })?;
                folder.write_table(&self.history)?;
                Some(folder.write_report(&html)?)
            }
            None => None,
        };
        let mut networks = self.networks.into_iter().map(|network| network.into_any());
        let Some(student) = networks.next() else {
            unreachable!("a run has a student");
        };
        let parts = self.stepper.objective.into_parts();
        Ok(Outcome {
            student,
            peers: networks.collect(),
            peer_evaluations: self.measures.peers,
            average: self
                .averages
                .into_iter()
                .next()
                .map(|average| average.into_any()),
            average_evaluation: self.measures.average,
            parts: parts.map(|(name, part)| (name, part.into_any())).collect(),
            history: self.history,
            evaluation: self.measures.student,
            seconds: self.seconds,
            report,
        })
    }
}

/// Whether it is time, after the item `index`, for what happens every so many items.
fn due(index: usize, every: usize) -> bool {
    every > 0 && (index + 1).is_multiple_of(every)
}

fn describe(name: &str, epochs: usize, record: &EpochRecord, seconds: f64) -> String {
    let test = record.test.map_or(String::new(), |test| {
        format!("  test {:.2} %  nll {:.3}", 100.0 * test.top1, test.nll)
    });
    format!(
        "{name}: epoch {}/{epochs}  lr {:.2e}  loss {:.3}{test}  {}",
        record.epoch + 1,
        record.learning_rate,
        record.train.loss,
        duration(seconds)
    )
}
