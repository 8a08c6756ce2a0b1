//! Each loss teaches: trained by it alone, a student lowers it on pictures that it has not seen, for three seeds, by at least 30 %.
//!
//! A ResNet-14, trained for 100 steps on Shapes at 16 px, teaches ResNets-8, for 100 steps of 64 pictures (more for some losses). They are
//! judged on 320 other pictures, with the statistics of their batches: running ones lag behind the weights after so few steps. Whom a
//! student is to beat:
//! - *the control*: a student of the same seed that was trained by cross-entropy, on the same pictures, for as many steps at the same rates.
//!   Where the loss has layers or a memory of its own, the control's were trained by the loss, on what the control makes of the pictures;
//! - *the control alone*, seen through the loss's layers as they were drawn, where layers that are trained explain most of any student (FT),
//!   or classes, which the control knows from the labels, are most of what is told apart (CRD by NCE).
//!
//! Label smoothing, PS-KD and the cross-entropy with a teacher's probabilities are lowered by nature where cross-entropy with the labels is,
//! until that makes a student sure of its errors. There both are trained until then: for 300 steps at a rate of 0.4.
//!
//! A value is the loss, less its floor where that is not 0, without the losses of its own layers; for VID the part of the teacher's variance
//! that the regression leaves; for the losses of one network the part that is not cross-entropy. `--nocapture` prints the table.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../common/alone.rs"]
mod alone;
mod lesson;
mod lessons;
mod school;

use std::process::ExitCode;

use kd::train::Terms;
use lesson::Lesson;
use libtest_mimic::{Arguments, Failed, Trial};

const SEEDS: [u64; 3] = [1, 2, 3];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let print = arguments.nocapture;
    let terms = Terms::standard();
    let all = || terms.names().flat_map(lessons::lessons);
    let teaching = all().map(|lesson| {
        Trial::test(format!("{}_teaches", lesson.name), move || {
            teaches(&lesson, print)
        })
    });
    let high = all().map(|lesson| {
        let name = format!("{}_stays_finite_at_a_high_rate", lesson.name);
        Trial::test(name, move || match lesson.stays_finite() {
            true => Ok(()),
            false => Err(Failed::from("left the numbers")),
        })
    });
    libtest_mimic::run(&arguments, teaching.chain(high).collect()).exit_code()
}

fn teaches(lesson: &Lesson, print: bool) -> Result<(), Failed> {
    let rows = SEEDS.map(|seed| lesson.compare(seed));
    let table = rows.each_ref().map(|(line, _)| &line[..]).join("\n");
    if print {
        println!("{table}");
    }
    match rows.iter().all(|(_, has_learnt)| *has_learnt) {
        true => Ok(()),
        false => Err(Failed::from(table)),
    }
}
