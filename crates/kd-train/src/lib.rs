//! Distillation runs: recipes of views and terms in; checkpoints, logs and a report out.
//!
//! - [`Recipe`]: everything that decides the outcome of a run but the networks and the data, as TOML.
//! - [`View`]: what the networks are shown. [`Term`]: what is asked of them, by a name that [`Terms`] knows.
//! - [`Distiller`]: the run. With a folder it leaves metrics, checkpoints and a page; interrupted, it goes on as if it had
//!   not been.
//! - [`AnyTeacher`]: a teacher that is a function, for other inference engines.
//! - [`evaluate`]: how good a network is on a set.
//! - [`rank_augmentations`]: how much a teacher's mean answer varies under each of some augmentations, which says how good
//!   they are to distil with before any student is trained.
//! - [`Diagnosis`]: what a teacher knows and how it passes it on, on one page.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod any_teacher;
mod average;
mod checkpoint;
mod diagnosis;
mod distiller;
mod dry_run;
mod error;
mod evaluation;
mod files;
mod gradients;
mod interrupt;
mod log;
mod measures;
mod mixing;
mod modules;
mod network;
mod objective;
mod outcome;
mod pixels;
mod progress;
mod rank;
mod recipe;
mod recording;
mod report;
mod run;
mod run_folder;
mod siblings;
mod step;
mod teachers;
mod term;
mod values;
mod view;
mod viewer;

pub use any_teacher::AnyTeacher;
pub use diagnosis::{
    Diagnosis, DiagnosisConfig, Disagreement, Figure, Layout, LossRelation, MixDiagnosis,
    MixDiagnosisConfig, NetworkDiagnosis, PickOverlap, TemperatureDiagnosis, diagnose_mixes,
    diagnose_network,
};
pub use distiller::Distiller;
pub use dry_run::{DryRun, Passes, Phase};
pub use error::TrainError;
pub use evaluation::{evaluate, logits};
pub use files::write_atomically;
pub use interrupt::Interrupt;
pub use log::{EpochRecord, EpochTiming, ForwardCounts, Line, TestRecord};
pub use modules::fingerprint;
pub use objective::{Loss, Objective};
pub use outcome::Outcome;
pub use progress::{Progress, Task};
pub use rank::{
    RankConfig, RankReport, RankRow, Scheme, Stability, rank_augmentations,
    rank_augmentations_with_student,
};
pub use recipe::{
    Decay, EmaRecipe, LogRecipe, Method, Moment, OptimizerRecipe, Recipe, ScheduleRecipe, Shape,
    Teachers, TermRecipe,
};
pub use recording::RecordAs;
pub use term::{
    Ask, Cc, Ce, Crd, CrdParts, Depth, FitNet, Fsp, Ft, FtParts, LabelKind, Labels, Losses, Mmd,
    NoParts, Nst, Okddip, One, PeerTeacher, Pkt, PsKd, Reads, Seen, Setting, Shapes, Step, Term,
    Terms, Vid,
};
pub use values::Values;
pub use view::{Draws, Source, View, ViewLabels};
