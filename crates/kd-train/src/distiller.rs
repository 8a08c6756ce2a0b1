use std::any::Any;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use kd_data::{ImageSet, LoaderConfig};
use kd_metrics::EvaluationReport;
use kd_models::Classify;

use crate::TrainError;
use crate::dry_run::DryRun;
use crate::evaluation::fits;
use crate::interrupt::Interrupt;
use crate::log::{EpochRecord, Line};
use crate::network::{Frozen, Network, frozen, trained};
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::recording::{Blocks, Plan, RecordAs, Recorder, Recording, refuse_features};
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
    record: Option<(PathBuf, RecordAs)>,
    replay: Option<PathBuf>,
}

/// Who watches a run, and may stop it.
pub(crate) type Observer = Box<dyn Fn(&Line) -> ControlFlow<()> + Send>;

/// What a run gives back.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<S> {
    /// The student after the last epoch, without autodiff.
    pub student: S,
    pub(crate) peers: Vec<Box<dyn Any + Send>>,
    pub(crate) parts: BTreeMap<String, Box<dyn Any + Send>>,
    /// The moving average of the student, if the recipe has one.
    pub average: Option<S>,
    /// That average on the test set.
    pub average_evaluation: Option<EvaluationReport>,
    /// Every peer on the test set, where there are several: each head of the student, then of each
    /// network that was trained with it.
    pub peer_evaluations: Vec<EvaluationReport>,
    /// Every epoch, those before an interruption included.
    pub history: Vec<EpochRecord>,
    /// The student on the test set, after the last epoch.
    pub evaluation: Option<EvaluationReport>,
    /// Seconds of training in this process, evaluations not counted.
    pub seconds: f64,
    /// The page to look at, where the run has a folder.
    pub report: Option<PathBuf>,
}

impl<S> Outcome<S> {
    /// Returns a network that was trained with the student, in its own type and without autodiff:
    /// number 0 is the first that [`Distiller::with_peer`] was given. `None` if there is no such
    /// network, or it is of another type.
    pub fn peer<M: 'static>(&self, number: usize) -> Option<&M> {
        self.peers.get(number)?.downcast_ref()
    }

    /// Returns the layers and memories of a term, in the type of its
    /// [`Parts`](crate::Term::Parts) and without autodiff. `None` if the recipe has no such term,
    /// or its parts are of another type.
    pub fn parts<P: 'static>(&self, term: &str) -> Option<&P> {
        self.parts.get(term)?.downcast_ref()
    }
}

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

    /// Records the logits that the teacher gives in this file. What the file holds already is taken
    /// from it, so a run that was interrupted goes on with its recording, and a longer run extends
    /// that of a shorter one; a file of another teacher, other data, another seed, batch size or
    /// views is refused.
    ///
    /// The run learns from the logits as they are recorded, as every replay will. Of a pool all
    /// candidates are recorded, also where the teacher would be asked only about those that are
    /// picked.
    pub fn with_recording(mut self, path: impl Into<PathBuf>, record_as: RecordAs) -> Self {
        self.record = Some((path.into(), record_as));
        self
    }

    /// Learns from the logits in this file, which [`Distiller::with_recording`] wrote, in place of a
    /// teacher. Student, peers, losses, temperatures, optimiser and the criterion of a pool may be
    /// others; the seed of the recipe, its batch size and the views that are asked about must be
    /// those of the recording. A recipe with losses of features is refused, since the file holds
    /// logits alone.
    ///
    /// A teacher that is given as well is asked nothing; the recording must be its own.
    pub fn with_replay(mut self, path: impl Into<PathBuf>) -> Self {
        self.replay = Some(path.into());
        self
    }

    /// Returns how many bytes the recording of a run over this set has when it is complete.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] if the teacher is asked nothing, or its answers cannot be recorded.
    pub fn recording_bytes(
        &self,
        train_set: &ImageSet,
        record_as: RecordAs,
    ) -> Result<u64, TrainError> {
        let recipe = self.recipe.for_data(train_set);
        // All fingerprints are of one length.
        let teacher = self.teacher().map(|teacher| teacher.fingerprint());
        let teacher = teacher.unwrap_or("0".repeat(64));
        Ok(self.plan(&recipe, train_set, teacher, record_as)?.bytes())
    }

    /// What there is to record.
    fn plan(
        &self,
        recipe: &Recipe,
        train_set: &ImageSet,
        teacher: String,
        record_as: RecordAs,
    ) -> Result<Plan, TrainError> {
        record_as.check(train_set.classes())?;
        let plan = Plan::new(recipe, &self.terms, train_set, teacher, record_as)?;
        match plan.is_empty() {
            false => Ok(plan),
            true => Err(TrainError::Recipe {
                place: "terms".into(),
                reason: "ask the teacher nothing, so there is nothing to record".into(),
            }),
        }
    }

    /// The recording that answers for the teacher.
    fn replayed(
        &self,
        recipe: &Recipe,
        train_set: &ImageSet,
        teacher: Option<&str>,
    ) -> Result<Option<(Recording, Plan)>, TrainError> {
        let Some(path) = &self.replay else {
            return Ok(None);
        };
        refuse_features(recipe, &self.terms)?;
        // Of no teacher: the file may be any one's.
        let teacher = teacher.unwrap_or_default().to_string();
        let record_as = RecordAs::default();
        let mut plan = Plan::new(recipe, &self.terms, train_set, teacher, record_as)?;
        let blocks = Blocks::replay(path, &mut plan)?;
        Ok(Some((Recording::Replayed(blocks), plan)))
    }

    /// Train `student` on `train_set`, and give it back. A run that is resumed is given the same fresh student again.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoTeacher`] when the recipe asks for one, [`TrainError::Peers`], [`TrainError::Branches`] and
    /// [`TrainError::Clones`] about the networks, [`TrainError::Unfit`] when a network and a set do not belong together, [`TrainError::NonFinite`] when a term of the loss is not finite (the step is not applied),
    /// [`TrainError::NotFinite`] when a weight is not finite,
    /// [`TrainError::TeacherAnswer`] and [`TrainError::TeacherFailed`] about an [`AnyTeacher`](crate::AnyTeacher), [`TrainError::Interrupted`] when a stop was requested,
    /// [`TrainError::Io`], [`TrainError::RunExists`], [`TrainError::Occupied`], [`TrainError::InUse`],
    /// [`TrainError::Resume`] and [`TrainError::Checkpoint`] about the folder, [`TrainError::Recording`],
    /// [`TrainError::OtherRecording`], [`TrainError::RecordingInUse`] and [`TrainError::RecordingWrite`] about a recording,
    /// and what data, augmentation and device report. The folder is not made before everything else that can fail at the beginning has not failed.
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
        let heard = match (&replay, &self.record) {
            (Some((Recording::Replayed(blocks), _)), _) => {
                Some((blocks.teacher().to_string(), blocks.record_as()))
            }
            (_, Some((_, record_as))) => teacher.clone().map(|teacher| (teacher, *record_as)),
            _ => teacher.clone().map(|teacher| (teacher, RecordAs::F32)),
        };
        let heard = heard.map(|(teacher, record_as)| match record_as {
            // Its own answers, to the bit.
            RecordAs::F32 => teacher,
            record_as => format!("{teacher} as {record_as}"),
        });
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
        let average = outcome
            .average
            .and_then(|average| average.downcast::<S>().ok());
        match outcome.student.downcast::<S>() {
            Ok(student) => Ok(Outcome {
                student: *student,
                average: average.map(|average| *average),
                average_evaluation: outcome.average_evaluation,
                peers: outcome.peers,
                parts: outcome.parts,
                peer_evaluations: outcome.peer_evaluations,
                history: outcome.history,
                evaluation: outcome.evaluation,
                seconds: outcome.seconds,
                report: outcome.report,
            }),
            Err(_) => unreachable!("the run was given this type"),
        }
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
