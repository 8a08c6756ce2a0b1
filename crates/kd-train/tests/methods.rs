//! Every recipe that has a name is a run.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/small.rs"]
mod small;

use std::collections::BTreeSet;
use std::fs;

use kd_models::{Architecture, Classify};
use kd_train::{Distiller, Recipe, Terms, TrainError, fingerprint};
use serde_json::Value;
use small::{distiller, network, recipe, train_set};

#[test]
fn every_named_recipe_trains_and_writes_each_of_its_terms() {
    let root = tempfile::tempdir().unwrap();
    let mut used = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for (name, _) in Recipe::names() {
        let folder = root.path().join(name);
        let outcome = small::run_with(name, &folder, false).unwrap();
        let metrics = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let terms = recipe(name).terms;
        let lines = metrics
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        for line in lines.filter(|line| line["type"] == "step" && line["epoch"] == 1) {
            for term in terms.keys() {
                assert!(line[term].as_f64().unwrap().is_finite(), "{name}: {line}");
            }
            assert!(line["loss"].as_f64().unwrap().is_finite(), "{name}: {line}");
        }
        let page = fs::read_to_string(folder.join("report.html")).unwrap();
        for (key, term) in &terms {
            assert!(page.contains(&format!("weight of {key} on")), "{name}");
            used.insert(term.loss.clone());
        }
        // No two methods are the same one under two names.
        assert!(ends.insert(fingerprint(&outcome.student)), "{name}");
    }
    let all: BTreeSet<String> = Terms::standard().names().map(String::from).collect();
    let without_recipe: Vec<_> = all.difference(&used).collect();
    assert_eq!(without_recipe, ["js", "mse_logits", "reverse_kl"]);
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
