use std::path::PathBuf;
use std::time::Instant;

use burn::optim::{GradientsParams, ModuleOptimizer};
use kd_data::{ImageSet, Loader, LoaderConfig};
use kd_metrics::EvaluationReport;
use kd_models::Classify;

use crate::TrainError;
use crate::checkpoint::Position;
use crate::evaluation::{device_of, evaluate, fits};
use crate::log::{EpochRecord, EpochTiming, Line, TestRecord};
use crate::objective::Objective;
use crate::presenter::{ForwardCounts, Presenter};
use crate::progress::{Progress, Task, duration};
use crate::recipe::Recipe;
use crate::report;
use crate::run_folder::{Identity, RunFolder};
use crate::teacher::Teacher;

/// Trains a student as a [`Recipe`] says, with a teacher or without.
///
/// The loop is its own: `epoch -> batch -> views -> loss -> check -> optimise -> record`. The teacher, and every pass that
/// only scores the student, run without autodiff and leave all batch-norm statistics at rest. The outcome is a function
/// of recipe, networks and data: not of workers, threads or interruptions.
///
/// ```no_run
/// # fn main() -> Result<(), kd_train::TrainError> {
/// use burn::tensor::Device;
/// use kd_data::{Shapes, Split};
/// use kd_models::{Architecture, InputSpec, ModelConfig, Statistics};
/// use kd_train::{Distiller, Recipe};
///
/// let (train, test) = (Shapes::render(0, Split::Train, 4000), Shapes::render(0, Split::Test, 1000));
/// let spec = InputSpec::cifar(10, Statistics::CIFAR10)?;
/// let device = Device::default();
/// let teacher = Architecture::ResNet20.init(&ModelConfig::new(spec.clone()), &device);
/// let student = Architecture::ResNet8.init(&ModelConfig::new(spec).with_seed(1), &device);
///
/// let outcome = Distiller::new("tlcutmix_pick".parse::<Recipe>()?)?
///     .with_teacher(&teacher)
///     .with_test_set(test)
///     .with_folder("runs/first")
///     .run(student, &train)?;
/// println!("{}", outcome.evaluation.expect("there is a test set"));
/// # Ok(())
/// # }
/// ```
pub struct Distiller {
    recipe: Recipe,
    teacher: Option<Teacher>,
    test_set: Option<ImageSet>,
    folder: Option<PathBuf>,
    resume: bool,
    workers: usize,
    progress: Progress,
    name: String,
}

/// What a run gives back.
#[derive(Clone, Debug)]
pub struct Outcome<S> {
    /// The student after the last epoch, without autodiff.
    pub student: S,
    /// Every epoch, those before an interruption included.
    pub history: Vec<EpochRecord>,
    /// The student on the test set, after the last epoch.
    pub evaluation: Option<EvaluationReport>,
    /// Seconds of training in this process, evaluations not counted.
    pub seconds: f64,
    /// The page to look at, where the run has a folder.
    pub report: Option<PathBuf>,
}

impl Distiller {
    /// A run of a recipe.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] when a value is out of its range.
    pub fn new(recipe: Recipe) -> Result<Self, TrainError> {
        recipe.check()?;
        Ok(Self {
            recipe,
            teacher: None,
            test_set: None,
            folder: None,
            resume: false,
            workers: 1,
            progress: Progress::Silent,
            name: "train".into(),
        })
    }

    /// The network to learn from. It is copied without autodiff, and not changed.
    pub fn with_teacher<T: Classify + 'static>(mut self, teacher: &T) -> Self {
        self.teacher = Some(Teacher::new(teacher));
        self
    }

    /// What the student is measured on after each epoch.
    pub fn with_test_set(mut self, set: ImageSet) -> Self {
        self.test_set = Some(set);
        self
    }

    /// Leave recipe, metrics, checkpoints and a report in this folder, which must not hold a run yet.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Go on with the run that the folder holds, if it holds one. Default: false.
    pub fn with_resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Threads that assemble batches ahead. They change nothing but the speed. Default: 1.
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Where the run says how far it is. Default: nowhere.
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// What the run is called in progress and report. Default: `train`.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Train `student` on `train_set`, and give it back.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoTeacher`] when the recipe asks for one, [`TrainError::Unfit`] when a network and a set do
    /// not belong together, [`TrainError::NonFinite`] when a term of the loss is not finite (the step is not applied),
    /// [`TrainError::Io`], [`TrainError::RunExists`], [`TrainError::Resume`] and [`TrainError::Checkpoint`] about the
    /// folder, and what data, augmentation and device report.
    pub fn run<S: Classify + 'static>(
        &self,
        student: S,
        train_set: &ImageSet,
    ) -> Result<Outcome<S>, TrainError> {
        self.check(&student, train_set)?;
        let loader = LoaderConfig::new(self.recipe.batch_size)
            .with_seed(self.recipe.seed)
            .with_workers(self.workers)
            .init(train_set.clone())?;
        let mut folder = match &self.folder {
            Some(path) => {
                let identity = self.identity(train_set);
                Some(RunFolder::open(path, &self.recipe, &identity, self.resume)?)
            }
            None => None,
        };
        let mut run = Run {
            distiller: self,
            presenter: Presenter::new(&self.recipe, &device_of(&student))?,
            objective: Objective::new(&self.recipe.views)?,
            optimizer: self.recipe.optimizer.init(),
            // A student that was made or kept without autodiff is brought to it; its statistics are its own from here.
            student: student.train(),
            position: Position::default(),
            history: Vec::new(),
            evaluation: None,
            seconds: 0.0,
        };
        if let Some(folder) = &mut folder {
            run = run.restore(folder)?;
        }
        let steps = loader.batches();
        let task = self
            .progress
            .task(&self.name, (steps * self.recipe.epochs) as u64, "steps");
        task.resume_at((run.position.epoch * steps + run.position.step) as u64);
        run.start(steps, &mut folder)?;
        while run.position.epoch < self.recipe.epochs {
            run = run.epoch(&loader, &mut folder, &task)?;
        }
        task.finish();
        run.finish(&loader, folder)
    }

    fn check<S: Classify>(&self, student: &S, train_set: &ImageSet) -> Result<(), TrainError> {
        if self.recipe.views.needs_teacher() && self.teacher.is_none() {
            return Err(TrainError::NoTeacher);
        }
        let sets = [
            ("training", Some(train_set)),
            ("test", self.test_set.as_ref()),
        ];
        for (name, set) in sets
            .into_iter()
            .filter_map(|(name, set)| Some((name, set?)))
        {
            fits("student", student.input_spec(), name, set)?;
            if let Some(teacher) = &self.teacher {
                fits("teacher", teacher.input_spec(), name, set)?;
            }
        }
        Ok(())
    }

    fn identity(&self, train_set: &ImageSet) -> Identity {
        Identity {
            training_set: train_set.fingerprint(),
            test_set: self.test_set.as_ref().map(ImageSet::fingerprint),
            teacher: self.teacher.as_ref().map(|t| t.fingerprint().to_string()),
        }
    }
}

/// A run under way.
struct Run<'a, S> {
    distiller: &'a Distiller,
    presenter: Presenter,
    objective: Objective,
    student: S,
    optimizer: ModuleOptimizer,
    position: Position,
    history: Vec<EpochRecord>,
    evaluation: Option<EvaluationReport>,
    seconds: f64,
}

impl<S: Classify + 'static> Run<'_, S> {
    fn restore(mut self, folder: &mut RunFolder) -> Result<Self, TrainError> {
        let checkpoint = folder.checkpoint();
        if let Some((student, optimizer, position)) =
            checkpoint.load(self.student.clone(), self.optimizer.clone())?
        {
            self.student = student;
            self.optimizer = optimizer;
            self.position = position;
        }
        let lines = folder.rewind(self.position.metrics_bytes)?;
        self.history = lines
            .into_iter()
            .filter_map(|line| match line {
                Line::Epoch(record) => Some(record),
                _ => None,
            })
            .collect();
        Ok(self)
    }

    fn start(&self, steps: usize, folder: &mut Option<RunFolder>) -> Result<(), TrainError> {
        let recipe = &self.distiller.recipe;
        match folder {
            Some(folder) if self.position.metrics_bytes == 0 => folder.log(&Line::Start {
                weights: recipe.views.weights(),
                steps,
                epochs: recipe.epochs,
            }),
            _ => Ok(()),
        }
    }

    /// The rest of the current epoch.
    fn epoch(
        mut self,
        loader: &Loader,
        folder: &mut Option<RunFolder>,
        task: &Task,
    ) -> Result<Self, TrainError> {
        let Distiller {
            recipe, teacher, ..
        } = self.distiller;
        let epoch = self.position.epoch;
        let factor = recipe.schedule.factor_at(epoch, recipe.epochs);
        let learning_rate = recipe.optimizer.learning_rate * factor;
        let first_step = self.position.step;
        let started = Instant::now();
        let mut counts = ForwardCounts::default();

        for batch in loader.epoch_from(epoch as u64, first_step) {
            let step = batch.index;
            let views =
                self.presenter
                    .views(&batch, teacher.as_ref(), &self.student, &mut counts)?;
            let loss = self.objective.loss(&self.student, &views);
            let values = loss.values()?;
            if let Some((term, value)) = values.non_finite() {
                return Err(TrainError::NonFinite {
                    term,
                    value,
                    epoch,
                    step,
                });
            }
            if let Some(total) = loss.total() {
                let gradients = GradientsParams::from_grads(total.backward(), &self.student);
                self.student = self.optimizer.step(learning_rate, self.student, gradients);
            }
            self.position.sums.add(&values, batch.labels.len());
            self.position.step = step + 1;
            task.message(format!("epoch {} loss {:.3}", epoch + 1, values.loss));
            task.advance(1);
            if let Some(folder) = folder {
                if due(step, recipe.log.every_steps) {
                    folder.log(&Line::Step {
                        epoch,
                        step,
                        learning_rate,
                        values,
                    })?;
                }
                if due(step, recipe.log.checkpoint_steps) {
                    self.save(folder)?;
                }
            }
        }

        let seconds = started.elapsed().as_secs_f64();
        self.seconds += seconds;
        self.evaluate(epoch)?;
        let record = EpochRecord {
            epoch,
            learning_rate,
            train: self.position.sums.mean(),
            test: self.evaluation.as_ref().map(TestRecord::from),
        };
        task.say(&describe(
            &self.distiller.name,
            recipe.epochs,
            &record,
            seconds,
        ));
        self.history.push(record.clone());
        let steps = self.position.step - first_step;
        self.position = Position {
            epoch: epoch + 1,
            ..Position::default()
        };
        if let Some(folder) = folder {
            folder.log(&Line::Epoch(record))?;
            folder.log_timing(&EpochTiming {
                epoch,
                seconds,
                steps,
                student_images: counts.student,
                student_scored_images: counts.student_scoring,
                teacher_images: counts.teacher,
            })?;
            self.save(folder)?;
        }
        Ok(self)
    }

    /// Measure the student if it is time to.
    fn evaluate(&mut self, epoch: usize) -> Result<(), TrainError> {
        let recipe = &self.distiller.recipe;
        let last = epoch + 1 == recipe.epochs;
        self.evaluation = match &self.distiller.test_set {
            Some(set) if last || due(epoch, recipe.log.evaluate_epochs) => {
                let size = recipe.evaluation_batch_size;
                Some(evaluate(&self.student, set, size, &Progress::Silent)?)
            }
            _ => None,
        };
        Ok(())
    }

    fn save(&mut self, folder: &mut RunFolder) -> Result<(), TrainError> {
        self.position.metrics_bytes = folder.flush()?;
        folder
            .checkpoint()
            .save(&self.student, &self.optimizer, &self.position)
    }

    fn finish(
        mut self,
        loader: &Loader,
        folder: Option<RunFolder>,
    ) -> Result<Outcome<S>, TrainError> {
        if self.evaluation.is_none() {
            // A run that was complete before this process began.
            self.evaluate(self.distiller.recipe.epochs - 1)?;
        }
        let report = match folder {
            Some(folder) => {
                let samples = self.samples(loader)?;
                let html = report::render(&report::Facts {
                    name: &self.distiller.name,
                    recipe: &self.distiller.recipe,
                    history: &self.history,
                    evaluation: self.evaluation.as_ref(),
                    timings: &folder.timings()?,
                    samples: &samples,
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

    /// What the networks were shown in the first step: the look of the augmentation.
    fn samples(&self, loader: &Loader) -> Result<Option<report::Samples>, TrainError> {
        let Some(batch) = loader.epoch(0).next() else {
            return Ok(None);
        };
        let teacher = self.distiller.teacher.as_ref();
        let mut counts = ForwardCounts::default();
        let shown = self
            .presenter
            .views(&batch, teacher, &self.student, &mut counts)?;
        Ok(Some(report::Samples::of(&batch, &shown)?))
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
