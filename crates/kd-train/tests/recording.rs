//! A teacher that is asked once: recordings of its logits, and runs that replay them.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/killed.rs"]
mod killed;
#[path = "common/small.rs"]
mod small;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use kd_data::{Shapes, Split};
use kd_models::{Architecture, Classifier, Classify, InputSpec, Statistics};
use kd_train::{Distiller, Outcome, Recipe, RecordAs, TrainError, fingerprint};
use killed::{Ending, killed_recording};
use small::{distiller, network, recipe, teacher, train_set};

/// A student and its metrics.
fn ended(distiller: Distiller, folder: &Path, student: Classifier) -> Ending {
    let outcome = distiller.with_folder(folder).run(student, &train_set());
    Ending {
        networks: vec![fingerprint(&outcome.unwrap().student)],
        metrics: fs::read_to_string(folder.join("metrics.jsonl")).unwrap(),
    }
}

fn with(name: &str, overrides: &[&str]) -> Recipe {
    recipe(name).with_overrides(overrides).unwrap()
}

/// Without a teacher.
fn alone(recipe: Recipe) -> Distiller {
    let test = Shapes::render(0, Split::Test, 30);
    Distiller::new(recipe).unwrap().with_test_set(test)
}

fn student() -> Classifier {
    network(Architecture::ResNet8, 1)
}

/// Records the run of a recipe without a folder.
fn record(recipe: Recipe, file: &Path, record_as: RecordAs) -> Outcome<Classifier> {
    let distiller = distiller(recipe).with_recording(file, record_as);
    distiller.run(student(), &train_set()).unwrap()
}

fn replay(recipe: Recipe, file: &Path) -> Result<Outcome<Classifier>, TrainError> {
    let distiller = alone(recipe).with_replay(file);
    distiller.run(student(), &train_set())
}

fn refused<S>(result: Result<Outcome<S>, TrainError>, expected: &[&str]) -> TrainError {
    let error = result.map(|_| ()).unwrap_err();
    let message = error.to_string();
    for expected in expected {
        assert!(
            message.contains(expected),
            "`{expected}` is not in: {message}"
        );
    }
    error
}

fn equal(found: &Ending, expected: &Ending, what: &str) {
    assert_eq!(found.metrics, expected.metrics, "{what}");
    assert_eq!(found.networks, expected.networks, "{what}");
}

/// Not a test of its own: what the killed process runs.
#[test]
fn child() {
    killed::child();
}

#[test]
fn a_replay_in_single_precision_is_equal_to_the_bit() {
    for name in [
        "kd",
        "tlcutmix",
        "tlcutmix_pick",
        "tlcutmix_pick_kl",
        "tlcutmix_pick_student",
    ] {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let file = at("teacher.logits");
        let plain = ended(distiller(recipe(name)), &at("plain"), student());
        let recorded = distiller(recipe(name)).with_recording(&file, RecordAs::F32);
        let size = recorded.recording_bytes(&train_set(), RecordAs::F32);
        equal(
            &ended(recorded, &at("recorded"), student()),
            &plain,
            &format!("{name}, recorded"),
        );
        // The size that was announced.
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes.len() as u64, size.unwrap(), "{name}");
        let replayed = alone(recipe(name)).with_replay(&file);
        equal(
            &ended(replayed, &at("replayed"), student()),
            &plain,
            &format!("{name}, replayed"),
        );
        // A replay changes nothing, and a second recording of the same has nothing to add.
        record(recipe(name), &file, RecordAs::F32);
        assert_eq!(fs::read(&file).unwrap(), bytes, "{name}");
        // The recording answers, not the network: of another one the student would be another.
        let other = Distiller::new(recipe(name)).unwrap();
        let other = other.with_teacher(&network(Architecture::ResNet8, 5));
        let other = other.run(student(), &train_set()).unwrap();
        assert_ne!(vec![fingerprint(&other.student)], plain.networks, "{name}");
    }
}

#[test]
fn half_precision_and_the_largest_logits_are_close_and_not_equal() {
    let root = tempfile::tempdir().unwrap();
    for name in ["kd", "tlcutmix_pick_kl"] {
        let exact = record(recipe(name), &root.path().join(name), RecordAs::F32);
        let exact = exact.history[1].train.loss;
        let mut last = 0.0;
        let forms = [RecordAs::F16, RecordAs::TopK(5), RecordAs::TopK(2)];
        for (record_as, tolerance) in forms.into_iter().zip([2e-3, 0.5, 0.5]) {
            let file = root.path().join(format!("{name}-{record_as}"));
            let recorded = record(recipe(name), &file, record_as);
            let replayed = replay(recipe(name), &file).unwrap();
            // The run that records learns from what it records.
            assert_eq!(
                fingerprint(&replayed.student),
                fingerprint(&recorded.student)
            );
            let loss = replayed.history[1].train.loss;
            let error = (loss - exact).abs();
            assert!(
                error > 0.0 && error < tolerance,
                "{name}, {record_as}: {loss}, exact {exact}"
            );
            let size = fs::metadata(&file).unwrap().len();
            let expected = distiller(recipe(name)).recording_bytes(&train_set(), record_as);
            assert_eq!(size, expected.unwrap());
            last = error;
        }
        assert!(last > 0.0);
    }
}

#[test]
fn another_student_with_other_weights_losses_and_temperatures_replays_what_was_recorded() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("teacher.logits");
    record(recipe("tlcutmix_pick"), &file, RecordAs::F32);
    let run = |recipe: Recipe, student: Classifier| {
        let plain = distiller(recipe.clone());
        let plain = plain.run(student.clone(), &train_set()).unwrap();
        let replayed = alone(recipe).with_replay(&file);
        let replayed = replayed.run(student, &train_set()).unwrap();
        let fingerprint = fingerprint(&plain.student);
        assert_eq!(kd_train::fingerprint(&replayed.student), fingerprint);
        fingerprint
    };
    let first = run(recipe("tlcutmix_pick"), student());
    for (recipe, student) in [
        // Another architecture, other initial weights.
        (recipe("tlcutmix_pick"), network(Architecture::ResNet14, 3)),
        (recipe("tlcutmix_pick"), network(Architecture::ResNet8, 2)),
        // Another loss, another temperature, another criterion of the same pool; fewer views.
        (recipe("dkd"), student()),
        (
            with("tlcutmix_pick", &["terms.kl.temperature=2"]),
            student(),
        ),
        (recipe("tlcutmix_pick_kl"), student()),
        (recipe("tlcutmix_pick_student"), student()),
        (
            with(
                "tlcutmix_pick",
                &["views.mixed.pool.criterion={by=\"random\"}"],
            ),
            student(),
        ),
        (recipe("kd"), student()),
        // A shorter run.
        (with("tlcutmix_pick", &["epochs=1"]), student()),
    ] {
        assert_ne!(run(recipe, student), first);
    }
}

#[test]
fn a_recording_that_is_killed_goes_on_and_holds_no_block_twice() {
    for name in ["kd", "tlcutmix_pick"] {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let whole_file = at("whole.logits");
        let run = |folder: &Path, resume, file: &Path| Ending {
            networks: small::run_recording(name, folder, resume, Some(file)).unwrap(),
            metrics: fs::read_to_string(folder.join("metrics.jsonl")).unwrap(),
        };
        let whole = run(&at("whole"), false, &whole_file);
        let folder = at("killed");
        let file = at("killed.logits");
        for place in [(0, 2), (0, 4), (1, 2)] {
            killed_recording(name, &folder, place, Some(&file));
        }
        equal(&run(&folder, true, &file), &whole, name);
        assert_eq!(fs::read(&file).unwrap(), fs::read(&whole_file).unwrap());
        // What a process leaves of a block when it dies: every length of the last one.
        let bytes = fs::read(&whole_file).unwrap();
        let torn = at("torn.logits");
        for cut in [1, 4, 44, 45, 60, 100, bytes.len() / 2] {
            fs::write(&torn, &bytes[..bytes.len() - cut]).unwrap();
            let found = record(recipe(name), &torn, RecordAs::F32);
            assert_eq!(fingerprint(&found.student), whole.networks[0], "{cut}");
            assert_eq!(fs::read(&torn).unwrap(), bytes, "{cut}");
        }
        // A header that is torn, and a block that the disk did not get.
        fs::write(&torn, &bytes[..20]).unwrap();
        record(recipe(name), &torn, RecordAs::F32);
        assert_eq!(fs::read(&torn).unwrap(), bytes);
        let mut zeros = bytes.clone();
        let half = bytes.len() - 30;
        zeros[half..].fill(0);
        fs::write(&torn, &zeros).unwrap();
        record(recipe(name), &torn, RecordAs::F32);
        assert_eq!(fs::read(&torn).unwrap(), bytes);
    }
}

#[test]
fn a_run_that_goes_on_needs_the_recording_from_its_beginning() {
    let root = tempfile::tempdir().unwrap();
    let (folder, file) = (root.path().join("run"), root.path().join("teacher.logits"));
    killed_recording("kd", &folder, (1, 2), None);
    let result = small::run_recording("kd", &folder, true, Some(&file));
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("does not hold epoch 0, step 0"),
        "{message}"
    );
    // Without it, the run goes on.
    small::run_recording("kd", &folder, true, None).unwrap();
}

#[test]
fn a_run_may_go_on_from_its_own_recording_in_single_precision_alone() {
    let root = tempfile::tempdir().unwrap();
    for record_as in [RecordAs::F32, RecordAs::F16] {
        let file = root.path().join(format!("{record_as}.logits"));
        record(recipe("kd"), &file, record_as);
        let folder = root.path().join(format!("run-{record_as}"));
        killed_recording("kd", &folder, (1, 2), None);
        let goes_on = alone(recipe("kd")).with_replay(&file);
        let goes_on = goes_on.with_folder(&folder).with_resume(true);
        let result = goes_on.run(student(), &train_set());
        match record_as {
            RecordAs::F32 => drop(result.unwrap()),
            _ => drop(refused(result, &["the teacher differs", "as f16"])),
        }
    }
}

#[test]
fn a_recording_of_something_else_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("teacher.logits");
    record(recipe("tlcutmix"), &file, RecordAs::F32);
    let bytes = fs::read(&file).unwrap();
    let differs = |result: Result<Outcome<Classifier>, TrainError>, expected: &[&str]| {
        let error = refused(result, expected);
        assert!(
            matches!(error, TrainError::OtherRecording { .. }),
            "{error}"
        );
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
    };
    // Another teacher, where one is given.
    let other = || network(Architecture::ResNet8, 5);
    let both = |teacher: &Classifier| {
        let distiller = alone(recipe("tlcutmix")).with_teacher(teacher);
        distiller.with_replay(&file).run(student(), &train_set())
    };
    both(&teacher()).unwrap();
    differs(both(&other()), &["the teacher is"]);
    // Other data.
    let distiller = || alone(recipe("tlcutmix")).with_replay(&file);
    let set = Shapes::render(1, Split::Train, 60);
    differs(distiller().run(student(), &set), &["the training set is"]);
    // Another seed, batch size, view; a view that it does not hold; more epochs.
    for (recipe, expected) in [
        (
            with("tlcutmix", &["seed=8"]),
            &["the seed of the recipe is 7, expected 8"][..],
        ),
        (
            with("tlcutmix", &["batch_size=15"]),
            &["the batch size is 14, expected 15"],
        ),
        (
            with("tlcutmix", &["views.original.augmentation=\"identity\""]),
            &["the view `mixed`", "crop"],
        ),
        (
            with("tlcutmix", &["views.mixed.mix={op=\"mixup\"}"]),
            &["the view `mixed`", "cutmix", "mixup"],
        ),
        (
            recipe("tlcutmix_pick"),
            &["the view `mixed`", "copies 1", "copies 2"],
        ),
        (
            recipe("kd_cutout"),
            &["the views that it holds is mixed, original, expected `cut` among them"],
        ),
        (
            with("tlcutmix", &["epochs=3"]),
            &[
                "is 20; the first that is missing is epoch 2, step 0",
                "30, for 3 epochs",
            ],
        ),
    ] {
        differs(replay(recipe, &file), expected);
    }
    // The same of a run that would go on with it, which minds how logits are written, too.
    let record = |distiller: Distiller, record_as| {
        let distiller = distiller.with_recording(&file, record_as);
        distiller.run(student(), &train_set())
    };
    let by = |teacher: &Classifier| alone(recipe("tlcutmix")).with_teacher(teacher);
    differs(record(by(&other()), RecordAs::F32), &["the teacher is"]);
    differs(
        record(by(&teacher()), RecordAs::F16),
        &["how logits are recorded is f32, expected f16"],
    );
    let longer = Distiller::new(with("tlcutmix", &["seed=8"])).unwrap();
    differs(
        record(longer.with_teacher(&teacher()), RecordAs::F32),
        &["the seed of the recipe"],
    );
    assert_eq!(fs::read(&file).unwrap(), bytes, "a refusal changes nothing");
    // Another version.
    let mut newer = bytes.clone();
    newer[8] = 2;
    fs::write(&file, &newer).unwrap();
    differs(
        replay(recipe("tlcutmix"), &file),
        &["the version of the format is 2, expected 1"],
    );
    // A file that is no recording stays what it is.
    for content in [
        &b"{\"type\":\"start\",\"weights\":{}}\n"[..],
        b"kd",
        &bytes[20..],
    ] {
        fs::write(&file, content).unwrap();
        refused(
            replay(recipe("tlcutmix"), &file),
            &["is no recording: begins with"],
        );
        if content.len() > 2 {
            let by = by(&teacher());
            refused(record(by, RecordAs::F32), &["is no recording: begins with"]);
            assert_eq!(fs::read(&file).unwrap(), content);
        }
    }
    fs::write(&file, b"").unwrap();
    refused(replay(recipe("tlcutmix"), &file), &["recording"]);
    refused(
        replay(recipe("tlcutmix"), &root.path().join("none")),
        &["none"],
    );
    refused(replay(recipe("tlcutmix"), root.path()), &["is no file"]);
}

#[test]
fn recipes_that_cannot_be_recorded_or_replayed_are_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let (file, none) = (root.path().join("teacher.logits"), root.path().join("none"));
    record(recipe("kd"), &file, RecordAs::F32);
    let run = root.path().join("run");
    let replayed = |recipe: Recipe| {
        let distiller = alone(recipe).with_replay(&file).with_folder(&run);
        distiller.run(student(), &train_set())
    };
    refused(
        replayed(recipe("fitnet")),
        &["terms.fitnet", "maps", "a recording holds its logits alone"],
    );
    refused(replayed(recipe("crd_tlcutmix_pick")), &["terms.crd"]);
    let recorded = |distiller: Distiller, record_as| {
        let distiller = distiller.with_recording(&none, record_as).with_folder(&run);
        distiller.run(student(), &train_set())
    };
    refused(
        recorded(distiller(recipe("ce")), RecordAs::F32),
        &["nothing to record"],
    );
    refused(
        recorded(alone(recipe("kd")), RecordAs::F32),
        &["no teacher was given"],
    );
    refused(
        recorded(distiller(recipe("kd")), RecordAs::TopK(10)),
        &["top-10", "10 classes", "1 to 9"],
    );
    refused(
        recorded(distiller(recipe("kd")).with_replay(&file), RecordAs::F32),
        &["cannot be written by a run that replays one"],
    );
    let of_picked = with(
        "tlcutmix_pick_student",
        &[
            "views.again={of=\"mixed\", mix={op=\"mixup\"}}",
            "terms.kl_again={loss=\"kl\", on=\"again\"}",
        ],
    );
    refused(
        recorded(distiller(of_picked), RecordAs::F32),
        &["views.again", "`mixed`, whose images are picked"],
    );
    assert!(!none.exists() && !run.exists());
    // Losses of features are recorded as far as their logits go.
    let crd = with("crd_tlcutmix_pick", &["terms.crd.negatives=40"]);
    record(crd, &none, RecordAs::F32);
    let pick = replay(recipe("tlcutmix_pick_kl"), &none).unwrap();
    let plain = distiller(recipe("tlcutmix_pick_kl")).run(student(), &train_set());
    assert_eq!(
        fingerprint(&pick.student),
        fingerprint(&plain.unwrap().student)
    );
    // A recipe that asks nothing may be given a recording: a sweep may contain it.
    replay(with("ce", &[]), &file).unwrap();
}

/// Returns what a replay of this file does: the student, or the message.
fn outcome(file: &Path) -> Result<String, String> {
    let run = replay(with("kd", &["epochs=1"]), file);
    let student = run.map(|run| fingerprint(&run.student));
    student.map_err(|error| error.to_string())
}

#[test]
fn a_flipped_bit_is_never_a_panic_and_never_other_numbers() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("teacher.logits");
    record(with("kd", &["epochs=1"]), &file, RecordAs::F32);
    let bytes = fs::read(&file).unwrap();
    let whole = outcome(&file).unwrap();
    let block = 44 + 14 * 4 + 14 * 10 * 4 + 4;
    let begin = bytes.len() - 4 * block - (44 + 4 * 4 + 4 * 10 * 4 + 4);
    // Every byte of the front, of a head, of ids and of a checksum; some of all others.
    let flips = (0..bytes.len()).filter(|at| {
        let within = (at.saturating_sub(begin)) % block;
        *at < 20
            || at % 97 == 0
            || (*at >= begin && *at < begin + 2 * block && within < 50)
            || *at + 4 >= bytes.len()
    });
    let mut count = 0;
    for at in flips {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&file, &flipped).unwrap();
        match outcome(&file) {
            Ok(student) => panic!("byte {at} of {}: {}", bytes.len(), student == whole),
            Err(message) => assert!(message.contains("teacher.logits"), "{at}: {message}"),
        }
        count += 1;
    }
    assert!(count > 100, "{count}");
    // Cut files: every length near the ends of header and blocks, some of all others.
    for length in (0..bytes.len()).filter(|n| n % 61 == 0 || (n.abs_diff(begin + block)) < 3) {
        fs::write(&file, &bytes[..length]).unwrap();
        let message = outcome(&file).unwrap_err();
        assert!(message.contains("teacher.logits"), "{length}: {message}");
    }
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let message = outcome(&file).unwrap_err();
    assert!(
        message.contains("is 4; the first that is missing is epoch 0, step 4, view `original`")
            && message.contains("in the middle of a block"),
        "{message}"
    );
    // Two blocks in each other's places, and one of them twice.
    let place = |number: usize| begin + number * block..begin + (number + 1) * block;
    let mut twice = bytes.clone();
    twice.copy_within(place(0), begin + block);
    fs::write(&file, &twice).unwrap();
    assert!(
        outcome(&file)
            .unwrap_err()
            .contains("what another one answers")
    );
    let mut moved = bytes.clone();
    moved[place(0)].copy_from_slice(&bytes[place(1)]);
    moved[place(1)].copy_from_slice(&bytes[place(0)]);
    fs::write(&file, &moved).unwrap();
    assert_eq!(outcome(&file).unwrap(), whole);
    // More than is asked for is no fault.
    fs::write(&file, [&bytes[..], &[0; 30]].concat()).unwrap();
    assert_eq!(outcome(&file).unwrap(), whole);
}

/// A student that, while it is asked, tries what another process may not.
#[derive(Module, Debug)]
struct Rival {
    network: Classifier,
    #[module(skip)]
    file: PathBuf,
    #[module(skip)]
    answers: Arc<Mutex<Vec<String>>>,
}

impl Classify for Rival {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        if self.file.exists() && self.answers.lock().unwrap().is_empty() {
            let replayed = replay(recipe("kd"), &self.file);
            let recorded = distiller(recipe("kd")).with_recording(&self.file, RecordAs::F32);
            let recorded = recorded.run(student(), &train_set());
            let said = |result: Result<Outcome<Classifier>, TrainError>| match result {
                Ok(_) => "done".to_string(),
                Err(error) => error.to_string(),
            };
            let said = [said(replayed), said(recorded)];
            self.answers.lock().unwrap().extend(said);
        }
        self.network.forward(images)
    }

    fn input_spec(&self) -> &InputSpec {
        self.network.input_spec()
    }
}

#[test]
fn one_process_records_or_several_replay() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("teacher.logits");
    let rival = || Rival {
        network: student(),
        file: file.clone(),
        answers: Arc::default(),
    };
    let tried = |distiller: Distiller| {
        let rival = rival();
        let answers = rival.answers.clone();
        distiller.run(rival, &train_set()).unwrap();
        answers.lock().unwrap().clone()
    };
    let in_use = "another process is at work on this recording";
    let answers = tried(distiller(recipe("kd")).with_recording(&file, RecordAs::F32));
    assert!(
        answers.len() == 2 && answers.iter().all(|a| a.contains(in_use)),
        "{answers:?}"
    );
    let answers = tried(alone(recipe("kd")).with_replay(&file));
    assert!(
        answers[0] == "done" && answers[1].contains(in_use),
        "{answers:?}"
    );
}

/// A student whose checkpoint is small.
#[derive(Module, Debug)]
struct Tiny {
    linear: Linear,
    #[module(skip)]
    spec: InputSpec,
}

impl Tiny {
    fn new() -> Self {
        let mut linear = LinearConfig::new(3, 10).init(&Device::flex());
        linear.weight = linear.weight.map(|weight| weight.zeros_like() + 0.1);
        linear.bias = linear.bias.map(|bias| bias.map(|bias| bias.zeros_like()));
        Self {
            linear,
            spec: small::spec(Statistics::CIFAR10),
        }
    }
}

impl Classify for Tiny {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [count, channels, ..] = images.dims();
        let means = images
            .reshape([count as i32, channels as i32, -1])
            .mean_dim(2);
        self.linear
            .forward(means.reshape([count as i32, channels as i32]))
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

const FULL: &str = "KD_TEST_FULL_DISK";

fn run_tiny(root: &Path, record: bool) -> Result<Outcome<Tiny>, TrainError> {
    let recipe = with("tlcutmix_pick", &["views.mixed.pool.copies=20"]);
    let mut distiller = Distiller::new(recipe)?.with_teacher(&teacher());
    let name = if record { "recorded" } else { "plain" };
    if record {
        distiller = distiller.with_recording(root.join("teacher.logits"), RecordAs::F32);
    }
    let distiller = distiller.with_folder(root.join(name)).with_resume(true);
    distiller.run(Tiny::new(), &train_set())
}

/// Not a test of its own: what the process does whose files cannot grow.
#[test]
fn child_on_a_full_disk() {
    if let Some(root) = std::env::var_os(FULL) {
        let error = run_tiny(Path::new(&root), true).map(|_| ()).unwrap_err();
        eprintln!("stopped: {error}");
        assert!(
            matches!(error, TrainError::RecordingWrite { .. }),
            "{error}"
        );
    }
}

/// A process whose files may not exceed 66 KiB stands for a full disk: writing fails in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_run_with_a_checkpoint_and_a_recording_that_can_be_read() {
    let root = tempfile::tempdir().unwrap();
    let script = "ulimit -f $1; trap '' XFSZ; exec \"$2\" --exact child_on_a_full_disk --nocapture";
    let run = |blocks: &str| {
        Command::new("bash")
            .args(["-c", script, "bash", blocks])
            .arg(std::env::current_exe().unwrap())
            .env(FULL, root.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    // Of 1,024 bytes each.
    let output = run("66");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("teacher.logits: the recording could not be continued"),
        "{said}"
    );
    let file = root.path().join("teacher.logits");
    let length = fs::metadata(&file).unwrap().len();
    assert!(length > 30_000 && length <= 66 * 1024, "{length}");
    // A checkpoint of the step before, and a recording without half a block.
    let state = fs::read(root.path().join("recorded/checkpoint/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let number = |key: &str| state["position"][key].as_u64().unwrap();
    // The recipe asks for one after every second step of an epoch, and this is none of those.
    assert_eq!((number("epoch"), number("step")), (1, 1));
    // Two blocks of six steps, and the first of the step that failed.
    let blocks = 6 * 2 * 48 + (60 + 14) * (2 * 4 + 21 * 40) + 48 + 14 * 44;
    let header = length.checked_sub(blocks).unwrap();
    assert!(header < 2048, "{length} bytes, blocks {blocks}");
    // With room again it goes on, and ends as if nothing had been.
    let found = run_tiny(root.path(), true).unwrap();
    let plain = run_tiny(root.path(), false).unwrap();
    assert_eq!(fingerprint(&found.student), fingerprint(&plain.student));
    let metrics = |name: &str| fs::read_to_string(root.path().join(name).join("metrics.jsonl"));
    assert_eq!(metrics("recorded").unwrap(), metrics("plain").unwrap());
}
