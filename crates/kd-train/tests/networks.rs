//! Peers, heads, teachers and what each of them is shown.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/small.rs"]
mod small;

use burn::tensor::{Device, Distribution, Tensor};
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Architecture, BranchedClassifier, Classifier, Classify, Gate};
use kd_train::{Ask, Distiller, Outcome, Recipe, TrainError, evaluate, fingerprint};
use kd_train::{ForwardCounts, Progress};
use small::{branched, network, recipe, teacher, train_set};

fn with(name: &str, overrides: &[&str]) -> Recipe {
    recipe(name).with_overrides(overrides).unwrap()
}

fn run(recipe: Recipe, peers: &[u64]) -> Result<Outcome<Classifier>, TrainError> {
    let mut distiller = Distiller::new(recipe)?.with_teacher(&teacher());
    for seed in peers {
        distiller = distiller.with_peer(&network(Architecture::ResNet8, *seed));
    }
    distiller.run(network(Architecture::ResNet8, 1), &train_set())
}

fn student(recipe: Recipe, peers: &[u64]) -> String {
    fingerprint(&run(recipe, peers).unwrap().student)
}

/// A set whose images all have the same labels of people: half the class, half the next one.
fn with_people(set: ImageSet) -> ImageSet {
    let classes = set.classes();
    let mut soft = vec![0.0; set.len() * classes];
    for (row, label) in soft.chunks_mut(classes).zip(set.labels()) {
        row[usize::from(*label)] = 0.5;
        row[(usize::from(*label) + 1) % classes] = 0.5;
    }
    set.with_soft_labels(soft).unwrap()
}

#[test]
fn without_a_term_between_them_peers_train_as_if_they_were_alone() {
    let alone = student(with("ce", &[]), &[]);
    let together = run(with("ce", &["peers=2"]), &[5]).unwrap();
    assert_eq!(fingerprint(&together.student), alone);
    let peer = together.peer::<Classifier>(0).unwrap();
    let recipe = Distiller::new(with("ce", &[])).unwrap();
    let other = recipe.run(network(Architecture::ResNet8, 5), &train_set());
    assert_eq!(fingerprint(peer), fingerprint(&other.unwrap().student));
    // With one, they do not.
    assert_ne!(student(with("dml", &[]), &[5]), alone);
}

#[test]
fn peers_may_be_of_any_architecture_and_are_measured_each() {
    let outcome = Distiller::new(with("dml", &["peers=3"]))
        .unwrap()
        .with_peer(&network(Architecture::ResNet14, 2))
        .with_peer(&branched(2))
        .with_test_set(Shapes::render(0, Split::Test, 30))
        .run(network(Architecture::ResNet8, 1), &train_set())
        .unwrap();
    // The student, the peer, and the heads of the branched one.
    assert_eq!(outcome.peer_evaluations.len(), 4);
    assert_eq!(outcome.history[1].peers.len(), 4);
    assert_eq!(
        outcome.history[1].peers[0],
        outcome.history[1].test.unwrap()
    );
    assert_eq!(outcome.history[1].train.terms.len(), 8);
    let peer = outcome.peer::<Classifier>(0).unwrap();
    assert_eq!(peer.architecture(), Architecture::ResNet14);
    assert!(outcome.peer::<Classifier>(1).is_none());
    assert!(outcome.peer::<BranchedClassifier>(1).is_some());
}

#[test]
fn a_run_leaves_its_peers_as_they_were() {
    let distiller = Distiller::new(with("dml", &[])).unwrap();
    let distiller = distiller.with_peer(&network(Architecture::ResNet8, 2));
    let run = || {
        let outcome = distiller.run(network(Architecture::ResNet8, 1), &train_set());
        fingerprint(outcome.unwrap().peer::<Classifier>(0).unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_head_of_the_student_can_be_weighed_by_the_gate_that_it_was_trained_with() {
    let test = Shapes::render(0, Split::Test, 30);
    let distiller = Distiller::new(with("one", &[])).unwrap();
    let distiller = distiller.with_test_set(test.clone());
    let outcome = distiller.run(branched(3), &train_set()).unwrap();
    assert_eq!(outcome.peer_evaluations.len(), 3);
    // What is deployed is the last head.
    let deployed = outcome.evaluation.clone().unwrap();
    assert_eq!(deployed.nll, outcome.peer_evaluations[2].nll);
    let one: &kd_core::One = outcome.parts("one").unwrap();
    let gate = Gate::new(one.gate.clone(), one.norm.clone());
    let gated = outcome.student.clone().with_gate(gate).unwrap();
    // It answers what the loss calls the ensemble.
    let images = Tensor::random(
        [4, 3, 32, 32],
        Distribution::Uniform(0.0, 1.0),
        &Device::flex(),
    );
    let passed = outcome.student.forward_heads(images.clone());
    let logits: Vec<_> = passed.heads.into_iter().map(|head| head.logits).collect();
    let labels = Tensor::zeros([4], &Device::flex());
    let ensemble = one.forward(passed.shared.unwrap(), &logits, labels).logits;
    let difference = (gated.forward(images) - ensemble).abs().max();
    assert!(difference.into_scalar::<f32>() < 1e-5);
    let gated = evaluate(&gated, &test, 16, &Progress::Silent).unwrap();
    assert_ne!(gated.nll, deployed.nll);
    assert!(outcome.parts::<kd_core::One>("ce").is_none());
}

#[test]
fn the_views_of_each_network_are_its_own_if_the_recipe_says_so() {
    let own = "views.original.draws=per_network";
    let alone = student(with("ce", &[]), &[]);
    // The first network keeps the draws that it has alone.
    assert_eq!(student(with("ce", &["peers=2", own]), &[5]), alone);
    let second = |overrides: &[&str]| {
        let outcome = run(with("ce", overrides), &[5]).unwrap();
        fingerprint(outcome.peer::<Classifier>(0).unwrap())
    };
    assert_ne!(second(&["peers=2", own]), second(&["peers=2"]));
    let mixed = "views.mixed={ of = \"original\", mix = { op = \"cutnmix\" } }";
    let term = "terms.ce.on=mixed";
    // CutnMix gives the second network another box; CutMix the same.
    assert_ne!(
        second(&["peers=2", mixed, term]),
        second(&["peers=2", &mixed.replace("cutnmix", "cutmix"), term])
    );
}

#[test]
fn people_s_labels_are_read_mixed_or_not() {
    let ce = |set: &ImageSet, overrides: &[&str]| {
        let recipe = with("ce", overrides);
        let distiller = Distiller::new(recipe).unwrap();
        let outcome = distiller.run(network(Architecture::ResNet8, 1), set);
        fingerprint(&outcome.unwrap().student)
    };
    let people = with_people(train_set());
    let human = "views.original.labels=human";
    let mixed = "views.mixed={ of = \"original\", mix = { op = \"mixup\" } }";
    let term = "terms.ce.on=mixed";
    assert_eq!(ce(&people, &[]), ce(&train_set(), &[]));
    assert_ne!(ce(&people, &[human]), ce(&people, &[]));
    assert_ne!(
        ce(&people, &[human, mixed, term]),
        ce(&people, &[mixed, term])
    );
}

#[test]
fn several_teachers_speak_with_one_voice() {
    let teachers = |seeds: &[u64], how: &str| {
        let recipe = with("kd", &[&format!("teachers={how}")]);
        let mut distiller = Distiller::new(recipe).unwrap();
        for seed in seeds {
            distiller = distiller.with_teacher(&network(Architecture::ResNet8, *seed));
        }
        let outcome = distiller.run(network(Architecture::ResNet8, 1), &train_set());
        fingerprint(&outcome.unwrap().student)
    };
    let (logits, probabilities) = ("mean_logits", "mean_probabilities");
    // Two that say the same say what one says: halves of equal numbers add up to them.
    assert_eq!(teachers(&[100, 100], logits), teachers(&[100], logits));
    assert_ne!(teachers(&[100, 101], logits), teachers(&[100], logits));
    assert_ne!(
        teachers(&[100, 101], logits),
        teachers(&[100, 101], probabilities)
    );
    // The maps of several networks are not one.
    let distiller = Distiller::new(with("at", &[])).unwrap();
    let distiller = distiller.with_teacher(&teacher()).with_teacher(&teacher());
    let run = distiller.run(network(Architecture::ResNet8, 1), &train_set());
    let error = run.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("terms.at") && error.contains("the maps of stages"),
        "{error}"
    );
}

#[test]
fn a_dry_run_counts_what_a_run_passes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, with_graph, alone, teacher) in [
        ("ce", 1, 0, 0),
        ("kd", 1, 0, 1),
        ("tlcutmix", 2, 0, 2),
        ("tlcutmix_pick_kl", 2, 2, 3),
        ("cs_kd", 1, 1, 0),
        ("ddgsd", 2, 0, 0),
        ("dml", 2, 0, 0),
        ("cutnmix", 2, 0, 0),
    ] {
        let mut distiller = small::distiller(recipe(name));
        for peer in 1..recipe(name).peers {
            distiller = distiller.with_peer(&network(Architecture::ResNet8, 1 + peer as u64));
        }
        let student = || network(Architecture::ResNet8, 1);
        let dry = distiller.dry_run(student(), &train_set()).unwrap();
        assert_eq!(dry.phases.len(), 1, "{name}");
        let expected = ForwardCounts {
            student_images: 14 * with_graph,
            student_scored_images: 14 * alone,
            teacher_images: 14 * teacher,
        };
        assert_eq!(dry.phases[0].images, expected, "{name}");
        assert!(dry.seconds() > 0.0, "{name}");
        // A run counts the same, image by image.
        let out = folder.path().join(name);
        distiller
            .with_folder(&out)
            .run(student(), &train_set())
            .unwrap();
        let timing = std::fs::read_to_string(out.join("timing.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(timing.lines().next().unwrap()).unwrap();
        assert_eq!(line["student_images"], 60 * with_graph, "{name}");
        assert_eq!(line["student_scored_images"], 60 * alone, "{name}");
        assert_eq!(line["teacher_images"], 60 * teacher, "{name}");
    }
}

#[test]
fn a_window_is_a_phase_in_which_nothing_else_is_asked() {
    let teacher = teacher().with_before_relu();
    let distiller = Distiller::new(with("ab", &["epochs=9"])).unwrap();
    let student = network(Architecture::ResNet8, 1).with_before_relu();
    let dry = distiller
        .with_teacher(&teacher)
        .dry_run(student, &train_set())
        .unwrap();
    let phases = dry
        .phases
        .iter()
        .map(|phase| (phase.epochs.clone(), phase.terms.clone()));
    let names = |name: &str| vec![name.to_string()];
    assert_eq!(
        phases.collect::<Vec<_>>(),
        [(0..1, names("ab")), (1..9, names("ce"))]
    );
    assert_eq!(dry.phases[1].images.teacher_images, 0);
    // The paraphraser is trained while the student stands still.
    let distiller = small::distiller(with("ft", &["epochs=9"]));
    let dry = distiller
        .dry_run(network(Architecture::ResNet8, 1), &train_set())
        .unwrap();
    assert_eq!(dry.phases[0].images.student_images, 0);
    assert_eq!(dry.phases[0].views[0].networks, Ask::Never);
}

#[test]
fn what_does_not_fit_is_refused_by_name_before_there_is_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let refuse = |recipe: Recipe, change: &dyn Fn(Distiller) -> Distiller, named: &str| {
        let what = format!("{named}: {:?}", recipe.terms.keys());
        let distiller = Distiller::new(recipe).map(|distiller| {
            let distiller = distiller.with_teacher(&teacher()).with_folder(&folder);
            change(distiller).run(network(Architecture::ResNet8, 1), &train_set())
        });
        let error = distiller
            .and_then(|run| run.map(|_| ()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(named), "{what}: {error}");
        assert!(!folder.exists(), "{what}");
    };
    let none = |distiller| distiller;
    let one = |distiller: Distiller| distiller.with_peer(&network(Architecture::ResNet8, 2));
    // Networks.
    refuse(
        recipe("dml"),
        &none,
        "trains 2 networks together (`peers`), and 1 were given",
    );
    refuse(
        recipe("kd"),
        &one,
        "trains 1 networks together (`peers`), and 2 were given",
    );
    refuse(
        recipe("one"),
        &none,
        "a student of 3 heads (`branches`), and the student has 1",
    );
    refuse(
        with("one", &["branches=1"]),
        &none,
        "terms.one: a term of the loss needs one network",
    );
    refuse(
        with("dml", &["peers=1"]),
        &none,
        "terms.dml: a term of the loss needs two peers",
    );
    refuse(
        with("okddip", &["branches=1", "peers=2"]),
        &one,
        "terms.okddip: a term of the loss needs three",
    );
    let wide = |distiller: Distiller| {
        let wide = network(Architecture::ResNet8x4, 2);
        distiller.with_peer(&wide)
    };
    refuse(
        with("cutnmix", &[]),
        &wide,
        "terms.mmd: embeddings: have the widths [64, 256]",
    );
    refuse(
        with(
            "kdcl",
            &["terms.kdcl.ensemble={ general = { weights = [1.0] } }"],
        ),
        &one,
        "terms.kdcl: ensemble.general.weights: has 1 weights, expected one for each of 2 peers",
    );
    // Features.
    refuse(
        recipe("ab"),
        &none,
        "`Classifier::with_before_relu` lets one give them",
    );
    let other = |distiller: Distiller| distiller;
    let wide_teacher = with("fsp", &[]);
    let run = Distiller::new(wide_teacher)
        .unwrap()
        .with_teacher(&network(Architecture::ResNet8x4, 3))
        .run(network(Architecture::ResNet8, 1), &train_set());
    let error = run.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("terms.fsp: stages: of the student have [16, 16, 32, 64]"),
        "{error}"
    );
    // Views.
    refuse(
        with("ce", &["views.original.labels=human"]),
        &other,
        "views.original.labels: is human",
    );
    refuse(
        with("ft", &["terms.ft.pretrain=1.0"]),
        &none,
        "terms.ft: pretrain: is 1, expected a share",
    );
    let text = |text: &str, named: &str| {
        let error = Recipe::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(named), "{text}: {error}");
    };
    text(
        "peers = 2\nviews.original.draws = \"per_network\"",
        "views.original: each network has images of its own",
    );
    text(
        "views.mixed = { of = \"original\", source = \"same_class\", mix = { op = \"mixup\" } }",
        "views.mixed.source",
    );
    text(
        "views.m = { of = \"original\", mix = { op = \"cutnmix\" }, pool = { copies = 2 } }",
        "views.m.pool",
    );
    text("views.original.source = \"same\"", "unknown variant `same`");
    text(
        "views.original.labels = \"human\"\nterms.dkd = {}",
        "labels are those of several people",
    );
    text(
        "terms.ce = { window = [0.5, 0.5] }",
        "terms.ce.window: is [0.5, 0.5], expected two ascending",
    );
    text(
        "terms.cs_kd = {}",
        "terms.cs_kd.on: is original, expected 2 view(s)",
    );
    text("peers = 0", "peers: is 0, expected at least 1");
    text("teachers = \"all\"", "unknown variant `all`");
}

#[test]
fn clones_are_refused() {
    let one = network(Architecture::ResNet8, 1);
    let distiller = Distiller::new(recipe("dml")).unwrap().with_peer(&one);
    let error = distiller
        .run(one.clone(), &train_set())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, TrainError::Clones { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("the student and peer 1 share the parameter `network.conv1.weight`"),
        "{message}"
    );
    // A network that was loaded from the same weights is another one.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.safetensors");
    kd_models::weights::save(&one, &path).unwrap();
    let spec = one.input_spec().clone();
    let device = burn::tensor::Device::flex();
    let loaded = kd_models::weights::restore(&path, None, &spec, None, &device).unwrap();
    assert!(distiller.run(loaded, &train_set()).is_ok());
}
