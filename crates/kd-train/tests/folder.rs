//! A run and its folder: who may have it, what is found in it, and how a run is stopped.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/small.rs"]
mod small;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use kd_models::{Architecture, Classify, InputSpec, Statistics};
use kd_train::{Distiller, Interrupt, Recipe, TrainError, fingerprint};
use small::{distiller, network, recipe, spec, train_set};

fn error(result: Result<kd_train::Outcome<impl Classify>, TrainError>) -> TrainError {
    result.map(|_| ()).unwrap_err()
}

/// A student that, while it is asked, starts another run in the folder of its own.
#[derive(Module, Debug)]
struct Rival {
    network: kd_models::Classifier,
    #[module(skip)]
    folder: std::path::PathBuf,
    #[module(skip)]
    answers: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Classify for Rival {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        if self.folder.join("checkpoint").exists() && self.answers.lock().unwrap().is_empty() {
            for resume in [false, true] {
                let found = error(small::run(&self.folder, resume));
                self.answers.lock().unwrap().push(found.to_string());
            }
        }
        self.network.forward(images)
    }

    fn input_spec(&self) -> &InputSpec {
        self.network.input_spec()
    }
}

#[test]
fn a_second_run_in_a_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let student = Rival {
        network: network(Architecture::ResNet8, 1),
        folder: folder.clone(),
        answers: Default::default(),
    };
    let answers = student.answers.clone();
    let of = |folder: &Path| distiller(recipe("tlcutmix_pick")).with_folder(folder);
    of(&folder).run(student, &train_set()).unwrap();
    let found = answers.lock().unwrap().clone();
    assert!(found[0].contains("already holds a run"), "{found:?}");
    assert!(
        found[1].contains("another process is at work on this run"),
        "{found:?}"
    );
    // The first was not disturbed, and after it the folder is free.
    let alone = root.path().join("alone");
    small::run(&alone, false).unwrap();
    let metrics = |folder: &Path| fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics(&folder), metrics(&alone));
    let again = network(Architecture::ResNet8, 1);
    let found = error(of(&folder).with_resume(true).run(again, &train_set()));
    assert!(matches!(found, TrainError::Resume { .. }), "{found}");
}

#[test]
fn a_broken_line_is_named_by_file_and_line() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    small::run(&folder, false).unwrap();
    let path = folder.join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let broken = text.replace(lines[2], &"#".repeat(lines[2].len()));
    fs::write(&path, broken).unwrap();
    let found = error(small::run(&folder, true)).to_string();
    assert!(
        found.contains("metrics.jsonl") && found.contains("line 3"),
        "{found}"
    );
}

/// Everything that can be refused is refused before there is a folder.
#[test]
fn a_recipe_that_cannot_run_leaves_no_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let with = |change: &str| {
        let recipe = recipe("tlcutmix_pick").with_overrides([change]);
        Distiller::new(recipe?)?
            .with_teacher(&small::teacher())
            .with_folder(&folder)
            .run(network(Architecture::ResNet8, 1), &train_set())
    };
    for change in [
        "terms.kl.temperature=1e7",
        "terms.kl.temperature=1e-9",
        "views.mixed.pool.pick=1000",
        "views.original.augmentation={ops=[{op=\"resize_crop\",size=64}]}",
    ] {
        let found = error(with(change));
        assert!(!folder.exists(), "{change}: {found}");
    }
    // Once it can run, the folder is free.
    with("epochs=1").unwrap();
}

/// A folder that holds what a run would write over, and no run.
#[test]
fn files_of_others_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "recipe.toml",
        "metrics.jsonl",
        "timing.jsonl",
        "report.html",
        "checkpoint",
    ] {
        let folder = root.path().join(name.replace('.', "-"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), "the user's").unwrap();
        for resume in [false, true] {
            let found = error(small::run(&folder, resume));
            assert!(
                matches!(found, TrainError::Occupied { .. }) && found.to_string().contains(name),
                "{found}"
            );
        }
        let left = fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(left, "the user's");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{name}");
    }
}

/// The names that a run leaves are known, and files with names that temporary files might have stay.
#[test]
fn a_run_leaves_its_own_files_and_touches_no_other() {
    let root = tempfile::tempdir().unwrap();
    let beside = [
        "recipe.tmp",
        "run.tmp",
        "report.tmp",
        "metrics.tmp",
        "notes",
    ];
    for name in beside {
        fs::write(root.path().join(name), "the user's").unwrap();
    }
    small::run(root.path(), false).unwrap();
    for name in beside {
        let left = fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(left, "the user's", "{name}");
    }
    let entries = fs::read_dir(root.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let own = [
        "recipe.toml",
        "run.json",
        "metrics.jsonl",
        "timing.jsonl",
        "report.html",
        "epochs.csv",
        "checkpoint",
    ];
    let expected: BTreeSet<String> = own.iter().chain(&beside).map(|n| n.to_string()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_run_that_is_stopped_goes_on_as_if_it_had_not_been() {
    let root = tempfile::tempdir().unwrap();
    let (whole, stopped) = (root.path().join("whole"), root.path().join("stopped"));
    let whole_student = small::run(&whole, false).unwrap().student;
    let mut stops = 0;
    let student = loop {
        // Asked from the beginning: each process takes one step.
        let interrupt = Interrupt::default();
        interrupt.request();
        let run = distiller(recipe("tlcutmix_pick"))
            .with_folder(&stopped)
            .with_resume(true)
            .with_interrupt(interrupt)
            .run(network(Architecture::ResNet8, 1), &train_set());
        match run {
            Ok(outcome) => break outcome.student,
            Err(TrainError::Interrupted { steps, all, path }) => {
                stops += 1;
                assert_eq!((steps, all), (stops, 10));
                assert_eq!(path.as_ref(), Some(&stopped));
            }
            Err(error) => panic!("{error}"),
        }
    };
    // The last step is an end, not a stop.
    assert_eq!(stops, 9);
    assert_eq!(fingerprint(&student), fingerprint(&whole_student));
    let metrics = |folder: &Path| fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics(&stopped), metrics(&whole));
}

/// Its logits are finite from the first step on; the gradient of the root is not, at 0.
#[derive(Module, Debug)]
struct Root {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    spec: InputSpec,
    #[module(skip)]
    calls: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    #[module(skip)]
    from: usize,
}

impl Classify for Root {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [batch, ..] = images.dims();
        let mean: Tensor<2> = images.reshape([batch as i32, -1]).mean_dim(1);
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let weight = self.weight.val();
        let weight = match call < self.from {
            true => weight,
            false => weight.clone() + (weight.clone() - weight).sqrt(),
        };
        mean * weight.unsqueeze::<2>()
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

#[test]
fn weights_that_are_not_finite_do_not_replace_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let spec = spec(Statistics::CIFAR10);
    let classes = spec.classes();
    let student = |from| Root {
        weight: Param::from_tensor(Tensor::ones([classes], &Device::flex())),
        spec: spec.clone(),
        calls: Default::default(),
        from,
    };
    let run = |from| {
        let overrides = ["epochs=1", "batch_size=14", "log.checkpoint_steps=1"];
        let recipe = Recipe::named("ce").unwrap();
        Distiller::new(recipe.with_overrides(overrides).unwrap())
            .unwrap()
            .with_folder(root.path())
            .with_resume(true)
            .run(student(from), &train_set())
    };
    // The third step, with the checkpoint of the second in place; the first pass is not a step, but
    // shows the shapes.
    let found = error(run(3));
    match &found {
        TrainError::NotFinite {
            tensor,
            epoch,
            step,
        } => assert_eq!((&tensor[..], *epoch, *step), ("weight", 0, 2)),
        other => panic!("{other}"),
    }
    // The checkpoint is that of the second step, and the run goes on from it.
    let state = fs::read_to_string(root.path().join("checkpoint/state.json")).unwrap();
    assert!(state.contains("\"step\": 2"), "{state}");
    run(usize::MAX).unwrap();
}

#[test]
fn an_observer_sees_every_line_and_may_stop_the_run() {
    use std::ops::ControlFlow;
    use std::sync::{Arc, Mutex};

    let root = tempfile::tempdir().unwrap();
    let (stopped, whole) = (root.path().join("stopped"), root.path().join("whole"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    let run = small::distiller(recipe("kd|log.every_steps=0"))
        .with_folder(&stopped)
        .with_observer(move |line| {
            lines.lock().unwrap().push(line.clone());
            match line {
                kd_train::Line::Step { step: 1, .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        .run(network(Architecture::ResNet8, 1), &train_set());
    let error = run.map(|_| ()).unwrap_err();
    assert!(
        matches!(error, TrainError::Interrupted { steps: 2, .. }),
        "{error}"
    );
    // The start and two steps, though no step is written.
    assert_eq!(seen.lock().unwrap().len(), 3);
    let finish = |folder: &std::path::Path, resume| {
        let distiller = small::distiller(recipe("kd|log.every_steps=0"));
        let distiller = distiller.with_folder(folder).with_resume(resume);
        distiller
            .run(network(Architecture::ResNet8, 1), &train_set())
            .unwrap();
        ["metrics.jsonl", "epochs.csv"].map(|file| fs::read_to_string(folder.join(file)).unwrap())
    };
    let [metrics, table] = finish(&whole, false);
    assert_eq!(finish(&stopped, true), [metrics, table.clone()]);
    assert!(
        table.starts_with("epoch,learning_rate,loss,train.ce,train.kl,test.top1"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 3);
}
