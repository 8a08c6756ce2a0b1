use std::path::{Path, PathBuf};

/// What can stop a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A recipe has an unknown key, or a value out of its range.
    #[error("{place}: {reason}")]
    Recipe {
        /// The key, or the file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A term or a pool of the recipe asks a teacher, and there is none.
    #[error("the recipe asks a teacher, and no teacher was given")]
    NoTeacher,
    /// A term asks a view for what it has not said that it reads, or for what the view does not have.
    #[error("a term of the loss needs {what}")]
    Unread {
        /// What it needs.
        what: &'static str,
    },
    /// The recipe trains another number of networks together than were given.
    #[error(
        "the recipe trains {expected} networks together (`peers`), and {found} were given, the \
         student among them"
    )]
    Peers {
        /// What the recipe says.
        expected: usize,
        /// The student and its peers.
        found: usize,
    },
    /// The recipe is for a student of another number of heads.
    #[error(
        "the recipe is for a student of {expected} heads (`branches`), and the student has {found}; \
         `BranchedClassifier` makes networks of several"
    )]
    Branches {
        /// What the recipe says.
        expected: usize,
        /// What the student has.
        found: usize,
    },
    /// Two networks that are trained together share parameters, as clones do.
    #[error(
        "{first} and {second} share the parameter `{parameter}`, as clones do; make each network \
         with a seed of its own"
    )]
    Clones {
        /// `the student` or `peer N`.
        first: String,
        /// The other.
        second: String,
        /// The path of the first parameter that both have.
        parameter: String,
    },
    /// A network and the data do not belong together.
    #[error("the {network} expects {expected}, and the {set} set has {found}")]
    Unfit {
        /// `student`, `peer` or `teacher`.
        network: &'static str,
        /// `training` or `test`.
        set: &'static str,
        /// What the network expects.
        expected: String,
        /// What the data has.
        found: String,
    },
    /// An [`AnyTeacher`](crate::AnyTeacher) gave what are no logits of the images that it was shown.
    /// The step was not applied.
    #[error("the teacher `{name}` answered with {found}, expected {expected}")]
    TeacherAnswer {
        /// The name of the teacher.
        name: String,
        /// What it answered.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The function of an [`AnyTeacher`](crate::AnyTeacher) reported an error.
    #[error("the teacher `{name}` failed: {reason}")]
    TeacherFailed {
        /// The name of the teacher.
        name: String,
        /// What the function reported.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A term of the loss, or the score of a candidate, is not a finite number. The step was not applied.
    #[error("`{term}` is {value} at epoch {epoch}, step {step}; the step was not applied")]
    NonFinite {
        /// The term.
        term: String,
        /// Its value.
        value: f32,
        /// The epoch, from 0.
        epoch: usize,
        /// The step in the epoch, from 0.
        step: usize,
    },
    /// The student could not be measured after an epoch.
    #[error("the evaluation after epoch {epoch}: {reason}")]
    Evaluation {
        /// The epoch, from 0.
        epoch: usize,
        /// What is wrong.
        reason: Box<TrainError>,
    },
    /// A file of the run could not be read or written.
    #[error("{path}: {reason}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The run folder already holds a run.
    #[error("{path}: already holds a run; resume it, or give another folder")]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// The run folder belongs to a run that another process has under way.
    #[error("{path}: another process is at work on this run; wait for its end")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for a new run holds a file of a name that the run would write.
    #[error("{path}: holds no run, and `{name}`, which a run would replace; give another folder")]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The file or folder in it.
        name: &'static str,
    },
    /// The run was asked to stop, and did after a step.
    #[error("stopped as asked, after {steps} of {all} steps")]
    Interrupted {
        /// Steps that were applied, those of earlier processes included.
        steps: usize,
        /// Steps of the whole run.
        all: usize,
        /// The folder with the checkpoint to resume from. `None` for a run without a folder.
        path: Option<PathBuf>,
    },
    /// A parameter or a statistic of the student is not finite, so no checkpoint was written. The
    /// one before it is still there.
    #[error("`{tensor}` is not finite after epoch {epoch}, step {step}; no checkpoint was written")]
    NotFinite {
        /// The parameter's path in the network.
        tensor: String,
        /// The epoch of the last step, from 0.
        epoch: usize,
        /// The last step of that epoch, from 0.
        step: usize,
    },
    /// A checkpoint is damaged.
    #[error("{path}: damaged checkpoint: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run cannot go on with another recipe, other data or another network.
    #[error(
        "{path}: cannot be resumed: {what} differs from that of the run (run: {expected}, now: {found})"
    )]
    Resume {
        /// The run folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// Of the run.
        expected: String,
        /// What was given now.
        found: String,
    },
    /// A file is no recording of a teacher, is damaged, or lacks what is needed.
    #[error("{path}: the recording {reason}")]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A recording is of another teacher, other data, or another recipe.
    #[error("{path}: the recording does not fit: {what} is {found}, expected {expected}")]
    OtherRecording {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
        /// What the run needs.
        expected: String,
        /// What the recording holds.
        found: String,
    },
    /// Another process writes the recording, or replays one that was to be written.
    #[error("{path}: another process is at work on this recording; wait for its end")]
    RecordingInUse {
        /// The file.
        path: PathBuf,
    },
    /// A recording could not be continued, for example because the disk is full. What it holds can
    /// be read, and the run stopped with a checkpoint.
    #[error(
        "{path}: the recording could not be continued: {reason}; it is whole up to its last block, \
         number {blocks}, and the run goes on from its checkpoint once there is room"
    )]
    RecordingWrite {
        /// The file.
        path: PathBuf,
        /// Blocks that it holds.
        blocks: usize,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The device could not finish a computation.
    #[error("the device failed: {0}")]
    Device(String),
    /// From the augmentation.
    #[error(transparent)]
    Augment(#[from] kd_augment::AugmentError),
    /// From a loss.
    #[error(transparent)]
    Core(#[from] kd_core::CoreError),
    /// From the data.
    #[error(transparent)]
    Data(#[from] kd_data::DataError),
    /// From a measure or a plot.
    #[error(transparent)]
    Metric(#[from] kd_metrics::MetricError),
    /// From a network.
    #[error(transparent)]
    Model(#[from] kd_models::ModelError),
}

impl TrainError {
    /// Says in which term of a recipe something is wrong.
    pub(crate) fn in_term(self, name: &str) -> Self {
        Self::Recipe {
            place: format!("terms.{name}"),
            reason: self.to_string(),
        }
    }

    pub(crate) fn io(path: &Path, reason: impl Into<std::io::Error>) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
