//! Each loss teaches: trained by it alone, a student lowers it on pictures that it has not seen, for three seeds, by at least 30 %.
//!
//! A ResNet-14, trained for 100 steps on Shapes at 16 px, teaches ResNets-8, for 100 steps of 64 pictures (CC: 250, CRD: 400). They are
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
//! A value is the loss, less its floor where that is not 0; for VID the part of the teacher's variance that the regression leaves; for the
//! losses of one network the part that is not cross-entropy. The table is printed with `--nocapture`.
#![allow(clippy::unwrap_used, missing_docs)]

mod features;
mod lesson;
mod logits;
mod online;
mod own;
mod relations;
mod school;

use lesson::{Rival, SEEDS, Taught};

fn check(lessons: Vec<Box<dyn Taught>>) {
    let mut failures = Vec::new();
    for lesson in &lessons {
        for seed in SEEDS {
            let row = lesson.compare(seed);
            let (rival, beaten) = match lesson.rival() {
                Rival::Control => ("control", row.control),
                Rival::ControlAlone => ("control alone", row.control_alone),
            };
            let line = format!(
                "{:20} seed {seed}: untrained {:9.4}, control {:9.4} (alone {:9.4}), student {:9.4}; {:5.3} of {rival}",
                lesson.name(),
                row.untrained,
                row.control,
                row.control_alone,
                row.student,
                row.student / beaten
            );
            println!("{line}");
            if !(row.student <= 0.7 * beaten && row.student >= -1e-3) {
                failures.push(line);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// With its published weight beside cross-entropy, at a learning rate of 0.1.
fn stays_finite(lessons: Vec<Box<dyn Taught>>) {
    for lesson in lessons {
        assert!(lesson.stays_finite(), "{}", lesson.name());
    }
}

#[test]
fn losses_of_logits_teach() {
    check(logits::lessons());
}

#[test]
fn losses_of_maps_teach() {
    check(features::lessons());
}

#[test]
fn losses_of_relations_teach() {
    check(relations::lessons());
}

#[test]
fn losses_of_peers_teach() {
    check(online::lessons());
}

#[test]
fn losses_of_a_network_alone_teach() {
    check(own::lessons());
}

#[test]
fn none_leaves_the_numbers_at_a_high_rate() {
    stays_finite(logits::lessons());
    stays_finite(features::lessons());
    stays_finite(relations::lessons());
    stays_finite(online::lessons());
    stays_finite(own::lessons());
}
