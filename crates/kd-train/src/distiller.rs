use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use kd_data::{ImageSet, LoaderConfig};
use kd_models::Classify;

use crate::TrainError;
use crate::dry_run::DryRun;
use crate::evaluation::fits;
use crate::interrupt::Interrupt;
use crate::log::Line;
use crate::network::{Frozen, Network, frozen, trained};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::recording::{Plan, RecordAs, Recorder, Recording};
use crate::run::Run;
use crate::run_folder::{Identity, RunFolder};
use crate::teachers::Ensemble;
use crate::term::Terms;

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
/// let teacher = Architecture::ResNet20.init(&ModelConfig::new(spec.clone()), &device)?;
/// let student = Architecture::ResNet8.init(&ModelConfig::new(spec).with_seed(1), &device)?;
///
/// let outcome = Distiller::new(Recipe::named("tlcutmix_pick")?)?
///     .with_teacher(&teacher)
///     .with_test_set(test)
///     .with_folder("runs/first")
///     .run(student, &train)?;
/// println!("{}", outcome.evaluation.expect("there is a test set"));
/// # Ok(())
/// # }
/// ```
pub struct Distiller {
    pub(crate) recipe: Recipe,
    pub(crate) terms: Terms,
    teachers: Ensemble,
    peers: Vec<Box<dyn Network>>,
    pub(crate) test_set: Option<ImageSet>,
    pub(crate) folder: Option<PathBuf>,
    resume: bool,
    workers: usize,
    pub(crate) progress: Progress,
    pub(crate) name: String,
    pub(crate) interrupt: Interrupt,
    pub(crate) observer: Option<Observer>,
    pub(crate) record: Option<(PathBuf, RecordAs)>,
    pub(crate) replay: Option<PathBuf>,
}

/// Who watches a run, and may stop it.
pub(crate) type Observer = Box<dyn Fn(&Line) -> ControlFlow<()> + Send>;

impl Distiller {
    /// A run of a recipe.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] when a value is out of its range.
    pub fn new(recipe: Recipe) -> Result<Self, TrainError> {
        Self::new_with(recipe, Terms::standard())
    }

    /// A run of a recipe with losses of your own.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] when a value is out of its range.
    pub fn new_with(recipe: Recipe, terms: Terms) -> Result<Self, TrainError> {
        recipe.check(&terms)?;
        Ok(Self {
            teachers: Ensemble {
                members: Vec::new(),
                say: recipe.teachers,
            },
            recipe,
            terms,
            peers: Vec::new(),
            test_set: None,
            folder: None,
            resume: false,
            workers: 1,
            progress: Progress::Silent,
            name: "train".into(),
            interrupt: Interrupt::default(),
            observer: None,
            record: None,
            replay: None,
        })
    }

    /// Adds a network to learn from. It is copied without autodiff, and not changed. Several speak
    /// with one voice: see [`Teachers`](crate::Teachers).
    pub fn with_teacher<T: Classify + 'static>(self, teacher: &T) -> Self {
        self.add_teacher(frozen(teacher))
    }

    pub(crate) fn add_teacher(mut self, teacher: Box<dyn Frozen>) -> Self {
        self.teachers.members.push(teacher);
        self
    }

    /// Adds a network that is trained together with the student. It is copied, and not changed;
    /// [`Outcome::peer`] is what becomes of it.
    pub fn with_peer<M: Classify + 'static>(mut self, network: &M) -> Self {
        self.peers.push(trained(network.valid()));
        self
    }

    /// What is learnt from: the teacher, or all of them as one.
    pub(crate) fn teacher(&self) -> Option<&dyn Frozen> {
        match &self.teachers.members[..] {
            [] => None,
            [one] => Some(&**one),
            _ => Some(&self.teachers),
        }
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

    /// Stops the run once `interrupt` is requested. Default: only an error stops it.
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Shows every line of the log to `observer`, whether it is written or not: the start, each
    /// step, each epoch. Where it answers [`ControlFlow::Break`], the run stops as if an
    /// [`Interrupt`] had been requested: with a checkpoint, from which it can be resumed.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use kd_train::{Distiller, Line, Recipe};
    ///
    /// let watched = Distiller::new(Recipe::named("ce")?)?.with_observer(|line| match line {
    ///     Line::Epoch(record) if record.train.loss < 0.01 => ControlFlow::Break(()),
    ///     _ => ControlFlow::Continue(()),
    /// });
    /// # drop(watched);
    /// # Ok::<(), kd_train::TrainError>(())
    /// ```
    pub fn with_observer(
        mut self,
        observer: impl Fn(&Line) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Trains `student` on `train_set`, and gives it back.
    ///
    /// A run that is resumed is given the same fresh student again. The folder is made last, after
    /// everything else that can fail at the beginning.
    ///
    /// # Errors
    ///
    /// - [`TrainError::NoTeacher`] when the recipe asks for one; [`TrainError::Peers`],
    ///   [`TrainError::Branches`] and [`TrainError::Clones`] about the networks;
    ///   [`TrainError::Unfit`] when a network and a set do not belong together.
    /// - [`TrainError::NonFinite`] when a term of the loss is not finite, and the step is not
    ///   applied; [`TrainError::NotFinite`] when a weight is not finite.
    /// - [`TrainError::Interrupted`] when a stop was requested.
    /// - [`TrainError::TeacherAnswer`] and [`TrainError::TeacherFailed`] about an
    ///   [`AnyTeacher`](crate::AnyTeacher).
    /// - [`TrainError::Io`], [`TrainError::RunExists`], [`TrainError::Occupied`],
    ///   [`TrainError::InUse`], [`TrainError::Resume`] and [`TrainError::Checkpoint`] about the
    ///   folder.
    /// - [`TrainError::Recording`], [`TrainError::OtherRecording`], [`TrainError::RecordingInUse`]
    ///   and [`TrainError::RecordingWrite`] about a recording.
    /// - What data, augmentation and device report.
    pub fn run<S: Classify + 'static>(
        &self,
        student: S,
        train_set: &ImageSet,
    ) -> Result<Outcome<S>, TrainError> {
        self.check(&student, train_set)?;
        if let (Some(path), false) = (&self.folder, self.resume) {
            RunFolder::check_free(path)?;
        }
        let recipe = self.recipe.for_data(train_set);
        let recorded = self.record.is_some() || self.replay.is_some();
        let teacher = (self.folder.is_some() || recorded)
            .then(|| Some(self.teacher()?.fingerprint()))
            .flatten();
        let replay = self.replayed(&recipe, train_set, teacher.as_deref())?;
        let heard = self.heard(replay.as_ref(), teacher.clone());
        let identity = self
            .folder
            .is_some()
            .then(|| self.identity(&student, train_set, heard));
        let mut run = self.prepare(&recipe, student, train_set, replay)?;
        if let (Some((path, record_as)), Some(teacher)) = (&self.record, teacher) {
            let plan = self.plan(&recipe, train_set, teacher, *record_as)?;
            run.record(Recorder::open(path, &plan)?, plan);
        }
        if let (Some(path), Some(identity)) = (&self.folder, identity) {
            run.open(RunFolder::open(
                path,
                &recipe,
                &self.terms,
                &identity,
                self.resume,
            )?)?;
        }
        let outcome = run.complete()?;
        Ok(outcome.of())
    }

    /// Returns what a run costs: who passes over which view, counted over a step, and seconds of a
    /// step on this machine. Takes four steps of each phase of the run, whose outcome is dropped;
    /// writes nothing.
    ///
    /// # Errors
    ///
    /// As [`Distiller::run`], except for those about the folder.
    pub fn dry_run<S: Classify + 'static>(
        &self,
        student: S,
        train_set: &ImageSet,
    ) -> Result<DryRun, TrainError> {
        self.check(&student, train_set)?;
        let recipe = self.recipe.for_data(train_set);
        let teacher = self.replay.is_some().then(|| self.teacher()).flatten();
        let teacher = teacher.map(|teacher| teacher.fingerprint());
        let replay = self.replayed(&recipe, train_set, teacher.as_deref())?;
        self.prepare(&recipe, student, train_set, replay)?.dry()
    }

    /// A run at its beginning.
    fn prepare<'a, S: Classify + 'static>(
        &'a self,
        recipe: &'a Recipe,
        student: S,
        train_set: &ImageSet,
        replay: Option<(Recording, Plan)>,
    ) -> Result<Run<'a>, TrainError> {
        let loader = LoaderConfig::new(recipe.batch_size)
            .with_seed(recipe.seed)
            .with_workers(self.workers)
            .init(train_set.clone())?;
        let mut networks = vec![trained(student)];
        networks.extend(self.peers.iter().map(|peer| peer.copy()));
        different(&networks)?;
        Run::new(self, recipe, networks, train_set, loader, replay)
    }

    fn check<S: Classify>(&self, student: &S, train_set: &ImageSet) -> Result<(), TrainError> {
        let needs_teacher = self.recipe.needs_teacher(&self.terms)? && self.replay.is_none();
        if (needs_teacher || self.record.is_some()) && self.teacher().is_none() {
            return Err(TrainError::NoTeacher);
        }
        if let (Some((path, _)), true) = (&self.record, self.replay.is_some()) {
            return Err(TrainError::Recording {
                path: path.clone(),
                reason: "cannot be written by a run that replays one: its teacher is not asked"
                    .into(),
            });
        }
        if self.recipe.peers != 1 + self.peers.len() {
            return Err(TrainError::Peers {
                expected: self.recipe.peers,
                found: 1 + self.peers.len(),
            });
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
            for teacher in &self.teachers.members {
                fits("teacher", teacher.input_spec(), name, set)?;
            }
            for peer in &self.peers {
                fits("peer", peer.frozen().input_spec(), name, set)?;
            }
        }
        self.recipe.check_for(train_set.len())
    }

    fn identity<S: Classify + 'static>(
        &self,
        student: &S,
        train_set: &ImageSet,
        teacher: Option<String>,
    ) -> Identity {
        Identity {
            training_set: train_set.fingerprint(),
            test_set: self.test_set.as_ref().map(ImageSet::fingerprint),
            teacher,
            student: frozen(student).fingerprint(),
            peers: self
                .peers
                .iter()
                .map(|peer| peer.frozen().fingerprint())
                .collect(),
        }
    }
}

/// Refuses networks that share a parameter: both would step it, the second with no gradient left.
fn different(networks: &[Box<dyn Network>]) -> Result<(), TrainError> {
    let named = |number: usize| match number {
        0 => "the student".to_string(),
        peer => format!("peer {peer}"),
    };
    let mut owners = BTreeMap::new();
    for (number, network) in networks.iter().enumerate() {
        for (id, parameter) in network.parameters() {
            let first = *owners.entry(id).or_insert(number);
            if first != number {
                return Err(TrainError::Clones {
                    first: named(first),
                    second: named(number),
                    parameter,
                });
            }
        }
    }
    Ok(())
}
