//! Every recipe that has a name is a run.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/killed.rs"]
mod killed;
#[path = "common/small.rs"]
mod small;

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};

use kd_models::{Architecture, Classify};
use kd_train::{Distiller, Recipe, Terms, TrainError};
use killed::{finish, killed_at};
use serde_json::Value;
use small::{distiller, network, recipe, train_set};

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    killed::child();
}

/// Trains by every recipe, looks for each of its terms in the log, kills the same run at a random
/// step and resumes it: layers, banks, memories, peers and velocities come back as they were.
#[test]
fn every_named_recipe_trains_logs_its_terms_and_survives_being_killed() {
    let root = tempfile::tempdir().unwrap();
    let mut used = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for (name, _) in Recipe::names() {
        let folder = root.path().join(name);
        let whole = finish(name, &folder, false);
        let recipe = recipe(name);
        let lines: Vec<Value> = whole
            .metrics
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let steps = lines.iter().filter(|line| line["type"] == "step");
        let logged: BTreeSet<&str> = steps
            .flat_map(|line| line.as_object().unwrap())
            .filter(|(_, value)| value.as_f64().is_some_and(f64::is_finite))
            .map(|(key, _)| key.split('.').next().unwrap())
            .collect();
        let page = fs::read_to_string(folder.join("report.html")).unwrap();
        for (key, term) in &recipe.terms {
            assert!(
                logged.contains(&key[..]),
                "{name}: no `{key}` in {logged:?}"
            );
            assert!(page.contains(&format!("weight of {key} on")), "{name}");
            used.insert(term.loss.clone());
        }
        let test = lines.last().unwrap();
        let peers = recipe.peers.max(recipe.branches);
        let measured = test["peers"].as_array().map_or(1, Vec::len);
        assert_eq!(measured, peers, "{name}: {test}");
        assert_eq!(whole.networks.len(), recipe.peers, "{name}");
        // No two methods are the same one under two names.
        assert!(ends.insert(whole.networks.clone()), "{name}");

        let place = [(0, 2), (0, 4), (1, 0), (1, 2), (1, 4)];
        let place = place[RandomState::new().build_hasher().finish() as usize % place.len()];
        let folder = root.path().join(format!("{name}-killed"));
        killed_at(name, &folder, place);
        let resumed = finish(name, &folder, true);
        assert_eq!(
            resumed.metrics, whole.metrics,
            "{name}, killed at {place:?}"
        );
        assert_eq!(
            resumed.networks, whole.networks,
            "{name}, killed at {place:?}"
        );
    }
    let all: BTreeSet<String> = Terms::standard().names().map(String::from).collect();
    let without_recipe: Vec<_> = all.difference(&used).collect();
    assert_eq!(
        without_recipe,
        ["js", "label_smoothing", "mse_logits", "reverse_kl"]
    );
}

#[test]
fn a_term_that_does_not_fit_is_refused_before_there_is_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let refuse = |overrides: &[&str]| {
        let recipe = recipe("kd").with_overrides(overrides);
        let run = recipe.and_then(|recipe| {
            distiller(recipe)
                .with_folder(&folder)
                .run(network(Architecture::ResNet8, 1), &train_set())
        });
        assert!(!folder.exists(), "{overrides:?}");
        run.map(|_| ()).unwrap_err().to_string()
    };
    let mixed = "views.mixed = { of = \"original\", mix = { op = \"mixup\" } }";
    for (overrides, named) in [
        (
            &["terms.kd = {}"][..],
            "terms.kd: unknown loss `kd`; known:",
        ),
        (
            &["terms.fitnet = { stage = 9 }"],
            "terms.fitnet: stage: is 9, expected 1 to 3",
        ),
        (
            &["terms.crd = { temperature = 0.001 }"],
            "terms.crd: temperature",
        ),
        (
            &["terms.dkd = { on = \"mixed\" }", mixed],
            "terms.dkd.on: is `mixed`, whose images are mixed; `dkd` needs one label an image",
        ),
        (&["terms.kl.temperature = 1e7"], "terms.kl: temperature"),
    ] {
        let message = refuse(overrides);
        assert!(message.contains(named), "{overrides:?}: {message}");
    }
}

/// A network that gives logits alone.
#[derive(burn::module::Module, Debug)]
struct LogitsAlone {
    network: kd_models::Classifier,
}

impl Classify for LogitsAlone {
    fn forward(&self, images: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<2> {
        self.network.forward(images)
    }

    fn input_spec(&self) -> &kd_models::InputSpec {
        self.network.input_spec()
    }
}

#[test]
fn a_network_without_features_is_refused_by_losses_of_features() {
    for (name, what) in [
        ("at", "the maps of stages"),
        ("rkd", "an embedding"),
        ("crd", "an embedding"),
    ] {
        let run = Distiller::new(recipe(name))
            .unwrap()
            .with_teacher(&small::teacher())
            .run(
                LogitsAlone {
                    network: network(Architecture::ResNet8, 1),
                },
                &train_set(),
            );
        let error = run.map(|_| ()).unwrap_err();
        assert!(matches!(error, TrainError::Recipe { .. }), "{error}");
        let message = error.to_string();
        let place = format!("terms.{name}");
        assert!(
            message.contains(&place) && message.contains(what),
            "{message}"
        );
    }
}

#[test]
fn a_run_may_be_moved_to_a_thread_of_its_own() {
    let recipe = recipe("crd").with_overrides(["terms.crd.negatives=40"]);
    let run = distiller(recipe.unwrap());
    let student = network(Architecture::ResNet8, 1);
    let thread = std::thread::spawn(move || run.run(student, &train_set()));
    assert!(thread.join().unwrap().unwrap().evaluation.is_some());
}
