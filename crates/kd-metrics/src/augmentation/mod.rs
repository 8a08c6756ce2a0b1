//! How good an augmentation is to distil with, by what the teacher says of it.

mod agreement;
mod answers;
mod baseline;
mod cross_entropy;
mod reference_window;
mod t_stddev;

pub use agreement::{LabelAgreement, LabelAgreementReport};
pub use answers::{AnswerReport, Answers};
pub use baseline::{pair_covariance, sampling_baseline};
pub use cross_entropy::{CrossEntropyReport, CrossEntropySpread, teacher_student_cross_entropy};
pub use reference_window::{ReferenceWindow, ReferenceWindowConfig};
pub use t_stddev::{TStddev, TStddevReport};
