use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use kd_augment::AugmentError;
use kd_data::Loader;
use kd_metrics::EvaluationReport;
use kd_models::Classify;

use crate::checkpoint::Position;
use crate::evaluation::{device_of, evaluate};
use crate::log::{EpochRecord, EpochTiming, Line, TestRecord};
use crate::objective::{LossValues, Objective};
use crate::presenter::Presenter;
use crate::progress::{Progress, Task, duration};
use crate::run_folder::RunFolder;
use crate::teacher::not_finite;
use crate::{Distiller, Outcome, Recipe, TrainError, report};

/// A run under way.
pub(crate) struct Run<'a, S> {
    distiller: &'a Distiller,
    /// For this data.
    recipe: &'a Recipe,
    loader: Loader,
    folder: Option<RunFolder>,
    presenter: Presenter,
    objective: Objective,
    student: S,
    optimizer: ModuleOptimizer,
    position: Position,
    history: Vec<EpochRecord>,
    evaluation: Option<EvaluationReport>,
    samples: Option<report::Samples>,
    seconds: f64,
}

impl<'a, S: Classify + 'static> Run<'a, S> {
    /// A run at its beginning: everything that can fail is made here, before there is a folder.
    pub(crate) fn new(
        distiller: &'a Distiller,
        recipe: &'a Recipe,
        student: S,
        loader: Loader,
    ) -> Result<Self, TrainError> {
        let mut run = Self {
            distiller,
            recipe,
            loader,
            folder: None,
            presenter: Presenter::new(recipe, &device_of(&student))?,
            objective: Objective::new(&recipe.views)?,
            optimizer: recipe.optimizer.init(),
            // A student that was made or kept without autodiff is brought to it; its statistics are its own from here.
            student: student.train(),
            position: Position::default(),
            history: Vec::new(),
            evaluation: None,
            samples: None,
            seconds: 0.0,
        };
        run.samples = run.samples()?;
        Ok(run)
    }

    /// What the networks are shown in the first step, for the page.
    fn samples(&self) -> Result<Option<report::Samples>, TrainError> {
        let (Some(_), Some(batch)) = (&self.distiller.folder, self.loader.epoch(0).next()) else {
            return Ok(None);
        };
        let teacher = self.distiller.teacher.as_ref();
        let (views, _) = self.presenter.views(&batch, teacher, &self.student)?;
        report::Samples::of(&batch, &views)
    }

    /// Leaves what there is to leave in this folder, and goes on where its checkpoint stands.
    pub(crate) fn open(&mut self, mut folder: RunFolder) -> Result<(), TrainError> {
        let checkpoint = folder.checkpoint();
        if let Some((student, optimizer, position)) =
            checkpoint.load(self.student.clone(), self.optimizer.clone())?
        {
            self.student = student;
            self.optimizer = optimizer;
            self.position = position;
        }
        let lines = folder.rewind(&self.position)?;
        self.history = lines
            .into_iter()
            .filter_map(|line| match line {
                Line::Epoch(record) => Some(record),
                _ => None,
            })
            .collect();
        self.folder = Some(folder);
        Ok(())
    }

    pub(crate) fn complete(mut self) -> Result<Outcome<S>, TrainError> {
        let recipe = self.recipe;
        let steps = self.loader.batches();
        let task = self.distiller.progress.task(
            &self.distiller.name,
            (steps * recipe.epochs) as u64,
            "steps",
        );
        task.resume_at((self.position.epoch * steps + self.position.step) as u64);
        if let (Some(folder), 0) = (&mut self.folder, self.position.metrics_bytes) {
            folder.log(&Line::Start {
                weights: recipe.views.weights(),
                steps,
                epochs: recipe.epochs,
            })?;
        }
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
        let factor = recipe.schedule.factor_at(epoch, recipe.epochs);
        let learning_rate = recipe.optimizer.learning_rate * factor;

        for batch in self.loader.epoch_from(epoch as u64, self.position.step) {
            let started = Instant::now();
            let step = batch.index;
            let values = self.step(&batch, learning_rate)?;
            self.position.sums.add(&values, batch.labels.len());
            self.position.step = step + 1;
            let seconds = started.elapsed().as_secs_f64();
            self.position.seconds += seconds;
            self.seconds += seconds;
            task.message(format!("epoch {} loss {:.3}", epoch + 1, values.loss));
            task.advance(1);
            if let (Some(folder), true) = (&mut self.folder, due(step, recipe.log.every_steps)) {
                folder.log(&Line::Step {
                    epoch,
                    step,
                    learning_rate,
                    values,
                })?;
            }
            // After the last step of an epoch, its line is still written.
            let stop = self.distiller.interrupt.is_requested() && step + 1 < self.loader.batches();
            if stop || due(step, recipe.log.checkpoint_steps) {
                self.save()?;
            }
            if stop {
                return Err(self.interrupted());
            }
        }

        self.evaluate(epoch)?;
        let record = EpochRecord {
            epoch,
            learning_rate,
            train: self.position.sums.mean(),
            score_ratio: (self.position.score_ratios > 0.0)
                .then(|| self.position.score_ratios / self.position.step as f64),
            test: self.evaluation.as_ref().map(TestRecord::from),
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
        if let Some(folder) = &mut self.folder {
            folder.log(&Line::Epoch(record))?;
            folder.log_timing(&timing)?;
        }
        self.save()?;
        if self.distiller.interrupt.is_requested() && self.position.epoch < recipe.epochs {
            return Err(self.interrupted());
        }
        Ok(self)
    }

    fn interrupted(&self) -> TrainError {
        let steps = self.loader.batches();
        TrainError::Interrupted {
            steps: self.position.epoch * steps + self.position.step,
            all: self.recipe.epochs * steps,
            path: self.distiller.folder.clone(),
        }
    }

    /// One step. A loss that is not finite is refused before it is applied.
    fn step(
        &mut self,
        batch: &kd_data::Batch,
        learning_rate: f64,
    ) -> Result<LossValues, TrainError> {
        let (epoch, step) = (self.position.epoch, batch.index);
        let not_finite = |term, value| TrainError::NonFinite {
            term,
            value,
            epoch,
            step,
        };
        let teacher = self.distiller.teacher.as_ref();
        let (views, counts) = match self.presenter.views(batch, teacher, &self.student) {
            Err(TrainError::Augment(AugmentError::ScoreIsNan { .. })) => {
                return Err(not_finite("the score of a candidate", f32::NAN));
            }
            views => views?,
        };
        let loss = self.objective.loss(&self.student, &views);
        let values = loss.values()?;
        if let Some((term, value)) = values.non_finite() {
            return Err(not_finite(term, value));
        }
        if let Some(total) = loss.total() {
            let gradients = GradientsParams::from_grads(total.backward(), &self.student);
            self.student = self
                .optimizer
                .step(learning_rate, self.student.clone(), gradients);
        }
        self.position.counts.add(&counts);
        if let Some(ratio) = views.mixed.as_ref().and_then(|mixed| mixed.score_ratio) {
            self.position.score_ratios += f64::from(ratio);
        }
        Ok(values)
    }

    /// Measure the student if it is time to.
    fn evaluate(&mut self, epoch: usize) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let last = epoch + 1 == recipe.epochs;
        self.evaluation = match &self.distiller.test_set {
            Some(set) if last || due(epoch, recipe.log.evaluate_epochs) => {
                let size = recipe.evaluation_batch_size;
                let report = evaluate(&self.student, set, size, &Progress::Silent);
                Some(report.map_err(|reason| TrainError::Evaluation {
                    epoch,
                    reason: Box::new(reason),
                })?)
            }
            _ => None,
        };
        Ok(())
    }

    /// Writes a checkpoint, if there is a folder. Weights that are not finite are refused: a loss may
    /// be finite where its gradient is not, and every run that goes on from such weights fails.
    fn save(&mut self) -> Result<(), TrainError> {
        if let Some(tensor) = not_finite(&self.student.valid()) {
            let steps = self.loader.batches();
            let last = self.position.epoch * steps + self.position.step - 1;
            return Err(TrainError::NotFinite {
                tensor,
                epoch: last / steps,
                step: last % steps,
            });
        }
        let Some(folder) = &mut self.folder else {
            return Ok(());
        };
        (self.position.metrics_bytes, self.position.timing_bytes) = folder.flush()?;
        folder
            .checkpoint()
            .save(&self.student, &self.optimizer, &self.position)
    }

    fn finish(mut self) -> Result<Outcome<S>, TrainError> {
        if self.evaluation.is_none() {
            // A run that was complete before this process began.
            self.evaluate(self.recipe.epochs - 1)?;
        }
        let report = match &self.folder {
            Some(folder) => {
                let html = report::render(&report::Facts {
                    name: &self.distiller.name,
                    recipe: self.recipe,
                    history: &self.history,
                    evaluation: self.evaluation.as_ref(),
                    timings: &folder.timings()?,
                    samples: self.samples.as_ref(),
                })?;
                Some(folder.write_report(&html)?)
            }
            None => None,
        };
        Ok(Outcome {
            student: self.student.valid(),
            history: self.history,
            evaluation: self.evaluation,
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
