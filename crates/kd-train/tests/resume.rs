//! An interrupted run ends as one that was never stopped.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/killed.rs"]
mod killed;
#[path = "common/small.rs"]
mod small;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kd_data::{Shapes, Split};
use kd_models::Architecture;
use kd_train::TrainError;
use killed::{CHILD, Ending, finish, killed_at};
use small::{distiller, network, recipe, train_set};

const PICK: &str = "tlcutmix_pick";

fn assert_equal(found: &Ending, expected: &Ending, what: &str) {
    assert_eq!(found.metrics, expected.metrics, "{what}");
    assert_eq!(found.networks, expected.networks, "{what}");
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    killed::child();
}

#[test]
fn killed_runs_end_as_if_they_had_not_been() {
    let root = tempfile::tempdir().unwrap();
    let whole = finish(PICK, &root.path().join("whole"), false);
    // In the middle of the first epoch, between the epochs, in the middle of the second.
    for place in [(0, 2), (1, 0), (1, 2)] {
        let folder = root.path().join(format!("killed-{}-{}", place.0, place.1));
        killed_at(PICK, &folder, place);
        assert_equal(
            &finish(PICK, &folder, true),
            &whole,
            &format!("killed at {place:?}"),
        );
    }
    // Killed twice.
    let folder = root.path().join("twice");
    killed_at(PICK, &folder, (0, 2));
    killed_at(PICK, &folder, (1, 2));
    assert_equal(&finish(PICK, &folder, true), &whole, "killed twice");
}

/// Moments, velocities, averages and the place in a schedule come back as they were; a checkpoint
/// waits for the end of a step of several batches.
#[test]
fn killed_runs_of_other_optimisers_end_as_if_they_had_not_been() {
    let root = tempfile::tempdir().unwrap();
    let cosine = "schedule={ kind = \"cosine\", warmup = 0.3 }";
    for (number, recipe) in [
        format!("kd|optimizer.kind=adamw|{cosine}|ema={{ decay = 0.9 }}|optimizer.decay=weights"),
        format!("vid|optimizer.accumulate=3|optimizer.clip=0.5|{cosine}"),
        "dml|optimizer.kind=rmsprop|ema={ decay = 0.5 }".into(),
        "ce|schedule.kind=one_cycle|optimizer.accumulate=2".into(),
        "ce|optimizer.kind=lion|optimizer.weight_decay=0.1".into(),
        "ce|optimizer.kind=lamb".into(),
        "ce|optimizer.kind=adagrad".into(),
    ]
    .into_iter()
    .enumerate()
    {
        let whole = finish(&recipe, &root.path().join(format!("{number}-whole")), false);
        let folder = root.path().join(number.to_string());
        killed_at(&recipe, &folder, (0, 2));
        killed_at(&recipe, &folder, (1, 2));
        assert_equal(&finish(&recipe, &folder, true), &whole, &recipe);
    }
}

/// Every place where the process can die while a checkpoint takes the place of another.
#[test]
fn a_checkpoint_is_whole_whenever_the_process_dies() {
    let root = tempfile::tempdir().unwrap();
    let killed = root.path().join("killed");
    killed_at(PICK, &killed, (0, 2));
    let whole = finish(PICK, &root.path().join("whole"), false);
    let resume = |name: &str, change: &dyn Fn(&Path)| {
        let folder = root.path().join(name);
        copy(&killed, &folder);
        change(&folder);
        assert_equal(&finish(PICK, &folder, true), &whole, name);
        assert!(!folder.join("checkpoint.tmp").exists() && !folder.join("checkpoint.old").exists());
    };
    resume("half a new one beside it", &|folder| {
        fs::create_dir_all(folder.join("checkpoint.tmp")).unwrap();
        fs::write(folder.join("checkpoint.tmp/student.bpk"), b"half").unwrap();
    });
    resume(
        "the old one aside, the new one not yet in place",
        &|folder| {
            fs::remove_dir_all(folder.join("checkpoint.old")).ok();
            fs::rename(folder.join("checkpoint"), folder.join("checkpoint.old")).unwrap();
            fs::create_dir_all(folder.join("checkpoint.tmp")).unwrap();
        },
    );
    resume("the old one not yet removed", &|folder| {
        copy(&folder.join("checkpoint"), &folder.join("checkpoint.old"));
        fs::write(folder.join("checkpoint.old/state.json"), b"{").unwrap();
    });
    resume("half a line of metrics", &|folder| {
        let path = folder.join("metrics.jsonl");
        let mut metrics = fs::read(&path).unwrap();
        metrics.extend(b"{\"type\":\"step\",\"epo");
        fs::write(path, metrics).unwrap();
    });
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        let folder = root.path().join(threads);
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env(CHILD, &folder)
            .env("RAYON_NUM_THREADS", threads)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        // Complete: this only reads how it ended.
        finish(PICK, &folder, true)
    };
    let one = run("1");
    for threads in ["2", "5"] {
        assert_equal(&run(threads), &one, &format!("{threads} threads"));
    }
}

#[test]
fn a_run_that_is_complete_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let first = finish(PICK, &folder, false);
    assert_equal(
        &finish(PICK, &folder, true),
        &first,
        "resumed after its end",
    );
}

#[test]
fn damaged_checkpoints_are_errors_that_name_the_file() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    finish(PICK, &whole, false);
    let refuse = |name: &str, change: &dyn Fn(PathBuf)| {
        let folder = root.path().join("damaged");
        fs::remove_dir_all(&folder).ok();
        copy(&whole, &folder);
        change(folder.join("checkpoint").join(name));
        let error = small::run(&folder, true).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    };
    for name in ["student.bpk", "optimizer.bpk", "state.json"] {
        refuse(name, &|path| {
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        });
        refuse(name, &|path| fs::remove_file(path).unwrap());
    }
    for name in ["student.bpk", "optimizer.bpk"] {
        refuse(name, &|path| {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        });
    }
}

#[test]
fn another_recipe_other_data_and_another_teacher_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    finish(PICK, &folder, false);
    let refuse = |distiller: kd_train::Distiller, set: &kd_data::ImageSet| -> String {
        let error = distiller
            .with_folder(&folder)
            .with_resume(true)
            .run(network(Architecture::ResNet8, 1), set)
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, TrainError::Resume { .. }), "{error}");
        error.to_string()
    };
    let same = || recipe("tlcutmix_pick");
    let longer = same().with_overrides(["epochs=3"]).unwrap();
    let message = refuse(distiller(longer), &train_set());
    assert!(
        message.contains("the recipe") && message.contains("epochs = 3"),
        "{message}"
    );
    let other = Shapes::render(1, Split::Train, 60);
    assert!(refuse(distiller(same()), &other).contains("the training set"));
    let other_student = |student| {
        let distiller = distiller(same()).with_folder(&folder).with_resume(true);
        distiller
            .run(student, &train_set())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    for student in [
        network(Architecture::ResNet8, 2),
        network(Architecture::ResNet14, 1),
    ] {
        let message = other_student(student);
        assert!(
            message.contains("the student before the first step"),
            "{message}"
        );
    }
    let teacher = network(Architecture::ResNet8, 5);
    let message = refuse(distiller(same()).with_teacher(&teacher), &train_set());
    assert!(message.contains("the teacher"), "{message}");
}
