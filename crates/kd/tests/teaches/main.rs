//! Draft.
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
    for lesson in lessons {
        if std::env::var("ONLY").is_ok_and(|o| !format!("{}.", lesson.name()).contains(&o)) {
            continue;
        }
        for seed in SEEDS {
            let start = std::time::Instant::now();
            let row = lesson.compare(seed);
            let rival = match lesson.rival() {
                Rival::Control => row.control,
                Rival::Untrained => row.untrained,
            };
            println!(
                "{:20} {seed} {:10.4} {:10.4} {:10.4} {:6.3}/{:6.3} {:?}",
                lesson.name(),
                row.untrained,
                row.control,
                row.student,
                row.student / row.control,
                row.student / row.untrained,
                start.elapsed()
            );
            let _ = rival;
        }
    }
}

#[test]
fn logits_teach() {
    check(logits::lessons());
}

#[test]
fn features_teach() {
    check(features::lessons());
}
#[test]
fn relations_teach() {
    check(relations::lessons());
}
#[test]
fn online_teach() {
    check(online::lessons());
}
#[test]
fn own_teach() {
    check(own::lessons());
}
