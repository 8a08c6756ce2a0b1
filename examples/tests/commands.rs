//! The examples as a user meets them: what they print, and how they refuse.
//!
//! Runs the compiled examples: `cargo test` builds them before it runs this.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn example(name: &str) -> Command {
    // target/PROFILE/deps/commands-… -> target/PROFILE/examples/NAME
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path = path
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{}: build the examples first",
        path.display()
    );
    let mut command = Command::new(path);
    command.env_remove("KD_DATA").env_remove("BURN_DEVICE");
    command
}

fn refused(command: &mut Command, expected: &[&str]) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let message = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(stdout.is_empty());
    assert!(!message.contains("panicked"), "{message}");
    for expected in expected {
        assert!(
            message.contains(expected),
            "`{expected}` is not in: {message}"
        );
    }
}

fn json(command: &mut Command) -> Value {
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg("--json").output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    // One object and nothing else.
    serde_json::from_slice(&stdout).unwrap()
}

/// A student of a few seconds, for what needs a weight file.
fn student(folder: &Path) -> PathBuf {
    let out = folder.join("ce");
    let result = json(
        example("distill")
            .args(["--recipe", "ce", "--limit", "64", "--epochs", "1", "--out"])
            .arg(&out),
    );
    assert_eq!(result["student"], "resnet8");
    out.join("student.safetensors")
}

#[test]
fn every_example_teaches() {
    for (name, taught) in [
        ("quickstart", "Shapes"),
        ("distill", "tlcutmix_pick"),
        ("evaluate", "expected calibration error"),
        ("rank_augmentations", "T. stddev"),
        ("diagnose", "T. stddev"),
        ("gallery", "share of the first"),
        ("burn_learner", "CutMixPick"),
    ] {
        let output = example(name).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        for option in [
            "--data", "--seed", "--limit", "--out", "--config", "--json", taught,
        ] {
            assert!(help.contains(option), "{name}: {option}");
        }
    }
}

#[test]
fn a_diagnosis_has_every_number_by_name_and_every_picture() {
    let folder = tempfile::tempdir().unwrap();
    let weights = student(folder.path());
    let out = folder.path().join("diagnosis");
    let network = format!("resnet8={}", weights.display());
    let diagnose = || {
        let mut command = example("diagnose");
        command
            .args(["--limit", "60", "--network", &network, "--out"])
            .arg(&out);
        command
    };
    let found = json(
        diagnose()
            .arg("--student")
            .arg(&weights)
            .args([
                "--means",
                "2",
                "--figures",
                "--schemes",
                "identity,mixup,cutmix",
            ])
            .args(["--losses", "identity=0.5,mixup=0.4,cutmix=0.3"]),
    );
    assert_eq!(found["networks"].as_array().unwrap().len(), 2);
    assert_eq!(found["networks"][1]["name"], "resnet8 #2");
    for number in [
        "/networks/0/evaluation/top1",
        "/networks/0/evaluation/brier",
        "/networks/0/evaluation/classwise_ece",
        "/networks/0/evaluation/separability",
        "/networks/0/temperature/fit/temperature",
        "/networks/0/embedding/discrimination",
        "/networks/0/logits/cohesion",
        "/ranking/rows/0/value",
        "/ranking/rows/0/cross_entropy/covariance",
        "/ranking/stability/0/below_next/0",
        "/mixes/labels/disagree",
        "/mixes/picks/kl_ratio",
        "/relation/relation/kendall/p",
    ] {
        assert!(
            found.pointer(number).is_some_and(Value::is_number),
            "{number}"
        );
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Where label and teacher disagree"));
    for picture in [
        "resnet8-confusion",
        "resnet8--2-tsne",
        "pick-overlap",
        "relation",
    ] {
        for kind in ["svg", "png"] {
            let file = out.join("figures").join(format!("{picture}.{kind}"));
            assert!(
                fs::metadata(&file).unwrap().len() > 500,
                "{}",
                file.display()
            );
        }
    }
    // The network alone, and what is refused.
    let alone = json(diagnose().args(["--means", "0"]));
    assert_eq!(alone["ranking"], Value::Null);
    let measured = |found: &Value| found["networks"][0]["evaluation"].clone();
    assert_eq!(measured(&alone), measured(&found));
    let losses = "identity=0.5,fmix=0.4,cutmix=0.3";
    refused(
        diagnose().args([
            "--means",
            "2",
            "--schemes",
            "identity,cutmix",
            "--losses",
            losses,
        ]),
        &["losses", "`fmix` is not among the schemes"],
    );
    refused(
        diagnose().args(["--means", "0", "--losses", losses]),
        &["--means 0"],
    );
    refused(
        diagnose().args(["--losses", "identity=0.5"]),
        &["expected at least 3"],
    );
    refused(
        diagnose().args(["--schemes", "flip,flip"]),
        &["`flip` is there twice"],
    );
    refused(
        diagnose().args(["--network", "resnet8=nowhere.th"]),
        &["nowhere.th"],
    );
}

#[test]
fn from_a_teacher_to_a_student_to_a_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = student(folder.path());
    let out = folder.path().join("kd");
    let config = folder.path().join("distill.toml");
    let text = format!(
        "teacher_weights = {teacher:?}\nrecipe = \"tlcutmix_pick\"\nlimit = 48\nepochs = 2\nset = [\"batch_size=16\"]\n"
    );
    fs::write(&config, text).unwrap();
    let distill = || {
        let mut command = example("distill");
        command.arg("--config").arg(&config).arg("--out").arg(&out);
        command
    };
    // What is typed wins over what is written.
    let result = json(distill().args(["--epochs", "1"]));
    assert_eq!(result["epochs"], 1);
    assert_eq!(result["train_samples"], 48);
    assert_eq!(result["teacher"], "resnet8");
    for file in [
        "report.html",
        "student.safetensors",
        "metrics.jsonl",
        "recipe.toml",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    refused(&mut distill(), &["already holds a run"]);

    let weights = result["weights"].as_str().unwrap();
    let measured = json(example("evaluate").args(["--weights", weights, "--limit", "48"]));
    assert_eq!(measured["architecture"], "resnet8");
    assert_eq!(measured["top1"], result["top1"]);
    assert_eq!(measured["kl_human"], Value::Null);

    let ranked = json(
        example("rank_augmentations")
            .args([
                "--weights",
                weights,
                "--limit",
                "48",
                "--means",
                "2",
                "--batch-size",
                "8",
            ])
            .args(["--schemes", "identity,cutmix_pick", "--out"])
            .arg(folder.path().join("rank")),
    );
    let rows = ranked["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert!(
        rows.iter()
            .all(|row| row["value"].as_f64().unwrap() > 0.0 && row["means"] == 2)
    );
    assert!(folder.path().join("rank/report.html").is_file());
}

#[test]
fn quickstart_has_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--limit",
        "40",
        "--epochs",
        "1",
        "--teacher-epochs",
        "1",
        "--teacher",
        "resnet8",
    ];
    let mut command = example("quickstart");
    command.args(small).arg("--out").arg(folder.path());
    let output = command.output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    for expected in ["top-1", "ECE", "NLL", "seconds", "KD + TLCutMix + pick"] {
        assert!(table.contains(expected), "{table}");
    }
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("report.html"), "{message}");
    let result = json(&mut command);
    assert_eq!(result["data"], "Shapes");
    assert_eq!(result["methods"].as_array().unwrap().len(), 3);
}

/// The names that a recipe knows for this, which serde lists when it is given another.
fn names<T: serde::de::DeserializeOwned>() -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(serde_json::json!({ "op": "?" })) else {
        panic!("`?` is a name");
    };
    let message = error.to_string();
    let names = message.split('`').skip(1).step_by(2).map(String::from);
    names.filter(|name| name != "?").collect()
}

#[test]
fn the_gallery_shows_everything_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("new/sheet.png");
    let sheet = |more: &[&str]| {
        let mut command = example("gallery");
        let result = json(command.args(more).arg("--out").arg(&picture));
        let (width, height) = image::open(&picture).unwrap().to_rgb8().dimensions();
        assert_eq!(result["width"], width);
        assert_eq!(result["height"], height);
        (result, width)
    };
    let (whole, width) = sheet(&[]);
    let rows = whole["rows"].as_array().unwrap().iter();
    let shown: BTreeSet<String> = rows.map(|row| row["op"].as_str().unwrap().into()).collect();
    let (ops, mixes) = (names::<kd::augment::ImageOp>(), names::<kd::augment::Mix>());
    assert!(ops.contains("rotate") && mixes.contains("fmix"));
    let mut expected = &ops | &mixes;
    expected.insert("cutnmix".into());
    assert_eq!(shown, expected);

    // Sixteen pictures of 32 pixels stand side by side.
    assert_eq!(sheet(&["--scale", "4"]).1, width + 16 * 32);
    let (part, narrow) = sheet(&["--only", "invert,cutmix"]);
    assert_eq!(part["rows"].as_array().unwrap().len(), 4);
    assert!(narrow < width);
}

#[test]
fn the_gallery_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = || example("gallery");
    refused(
        gallery().args(["--only", "rotat"]),
        &["unknown name `rotat`", "rotate", "cutnmix"],
    );
    refused(gallery().args(["--images", "1"]), &["needs two images"]);
    refused(
        gallery().args(["--limit", "7", "--images", "1,7"]),
        &["no image 7 among 7"],
    );
    refused(
        gallery().arg("--out").arg(folder.path().join("sheet.jpg")),
        &["sheet.jpg", ".png"],
    );
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    refused(
        gallery().arg("--out").arg(file.join("below/sheet.png")),
        &["file/below"],
    );
}

#[test]
fn unknown_names_and_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("options.toml");
    fs::write(&config, "teecher = \"resnet20\"\n").unwrap();
    for name in [
        "quickstart",
        "distill",
        "evaluate",
        "rank_augmentations",
        "gallery",
    ] {
        let mut command = example(name);
        refused(
            command.arg("--config").arg(&config),
            &["options.toml", "unknown key `teecher`"],
        );
    }
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, "epochs = 3\n[views.original]\ntau = 4\n").unwrap();
    refused(
        example("distill").arg("--recipe").arg(&recipe),
        &["recipe.toml", "unknown field `tau`", "augmentation"],
    );
    refused(
        example("distill").args(["--set", "optimizer.momentum=1.5"]),
        &["optimizer.momentum", "1.5", "[0, 1)"],
    );
    refused(
        &mut example("distill"),
        &["needs a teacher", "--teacher-weights"],
    );
    refused(
        example("distill")
            .args(["--recipe", "ce"])
            .env("BURN_DEVICE", "cuda"),
        &["BURN_DEVICE=cuda", "feature `cuda`"],
    );
}

#[test]
fn damaged_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&data).unwrap();
    let ce = || {
        let mut command = example("distill");
        command
            .args(["--recipe", "ce", "--epochs", "1", "--data"])
            .arg(folder.path());
        command.arg("--out").arg(folder.path().join("run"));
        command
    };
    refused(&mut ce(), &["data_batch_1.bin"]);
    for name in [
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        let file = fs::File::create(data.join(format!("{name}.bin"))).unwrap();
        file.set_len(30_730_000).unwrap();
    }
    fs::write(data.join("data_batch_1.bin"), vec![0; 5000]).unwrap();
    refused(&mut ce(), &["data_batch_1.bin", "5000", "30730000"]);
    let mut bytes = vec![0; 30_730_000];
    bytes[2 * 3073] = 200;
    fs::write(data.join("data_batch_1.bin"), bytes).unwrap();
    refused(&mut ce(), &["data_batch_1.bin", "200", "6146"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn files_that_do_not_fit_and_folders_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = student(folder.path());
    refused(
        example("evaluate")
            .args(["--arch", "resnet20", "--weights"])
            .arg(&weights),
        &[
            "student.safetensors",
            "do not fit resnet20",
            "layer1.1.bn1.weight",
        ],
    );
    let broken = folder.path().join("broken.pth");
    fs::write(&broken, b"PK\x03\x04 and then nothing").unwrap();
    refused(
        example("evaluate")
            .args(["--arch", "resnet20", "--weights"])
            .arg(&broken),
        &["broken.pth"],
    );
    // A folder below a file can be written by nobody, whatever their rights.
    let below = weights.join("run");
    let run = ["--recipe", "ce", "--limit", "32", "--epochs", "1", "--out"];
    refused(
        example("distill").args(run).arg(&below),
        &["student.safetensors/run"],
    );
}

/// Every example with the options of its shortest run.
#[cfg(unix)]
fn short_runs(folder: &Path) -> Vec<Command> {
    let weights = student(folder);
    let names = [
        "quickstart",
        "distill",
        "evaluate",
        "rank_augmentations",
        "diagnose",
        "gallery",
        "zoo",
        "predict",
        "burn_learner",
    ];
    let mut found: BTreeSet<String> = BTreeSet::new();
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(path.file_stem().unwrap().to_string_lossy().into());
        }
    }
    // Built with a feature, and tested with data: `onnx_teacher.rs`.
    assert!(found.remove("onnx_teacher"));
    assert_eq!(found, names.map(String::from).into(), "an example is new");
    let image = folder.join("image.png");
    image::RgbImage::new(40, 40).save(&image).unwrap();
    let of_weights = ["--limit", "40", "--weights"];
    names
        .map(|name| {
            let mut command = example(name);
            match name {
                "quickstart" => command
                    .args(["--limit", "40", "--epochs", "1", "--teacher-epochs", "1"])
                    .args(["--seeds", "1", "--teacher", "resnet8"]),
                "distill" => command.args(["--recipe", "ce", "--limit", "40", "--epochs", "1"]),
                "evaluate" => command.args(of_weights).arg(&weights),
                "rank_augmentations" => command.args(of_weights).arg(&weights).args([
                    "--means",
                    "2",
                    "--batch-size",
                    "8",
                    "--schemes",
                    "identity",
                ]),
                "diagnose" => command
                    .args(["--limit", "40", "--means", "0", "--network"])
                    .arg(format!("resnet8={}", weights.display())),
                "predict" => command.arg("--weights").arg(&weights).arg(&image),
                "burn_learner" => command.args(of_weights).arg(&weights),
                _ => &mut command,
            };
            if !["zoo", "predict"].contains(&name) {
                let out = if name == "gallery" {
                    "gallery.png"
                } else {
                    name
                };
                command.arg("--out").arg(folder.join("out").join(out));
            }
            command
        })
        .into()
}

#[cfg(unix)]
#[test]
fn a_pipe_that_is_closed_ends_every_example_quietly() {
    use std::process::Stdio;
    for json in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        for mut command in short_runs(folder.path()) {
            if json {
                command.arg("--json");
            }
            let name = format!("{command:?}");
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = command.stdout(Stdio::from(writer)).output().unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{name}: {message}");
            assert!(
                !message.contains("error") && !message.contains("panicked"),
                "{message}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_to_a_full_disk_is_an_error_of_every_example() {
    use std::process::Stdio;
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    let folder = tempfile::tempdir().unwrap();
    for mut command in short_runs(folder.path()) {
        command.arg("--json");
        let name = format!("{command:?}");
        let output = command.stdout(full()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {message}");
        assert!(
            message.contains("standard output: No space left on device"),
            "{name}: {message}"
        );
    }
    // Where standard error cannot be written, there is nobody to tell.
    let folder = tempfile::tempdir().unwrap();
    for mut command in short_runs(folder.path()) {
        let name = format!("{command:?}");
        let output = command.arg("--json").stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap();
    }
}

/// Every file that an example leaves is new or its own, whatever lies beside it.
#[cfg(unix)]
#[test]
fn files_beside_the_output_stay() {
    let folder = tempfile::tempdir().unwrap();
    let files = |folder: &Path| -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(found.insert(path)),
                }
            }
        }
        found
    };
    for mut command in short_runs(folder.path()) {
        assert!(command.output().unwrap().status.success());
    }
    let out = folder.path().join("out");
    let written = files(&out);
    // Beside each file, one of the name that a careless writer would take for a moment.
    let beside: Vec<PathBuf> = written
        .iter()
        .map(|path| path.with_extension("tmp"))
        .collect();
    for path in &beside {
        fs::write(path, "the user's").unwrap();
    }
    for command in short_runs(&folder.path().join("again")) {
        // The same places: a run that is complete is read, all else is written anew.
        let again: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        let mut repeated = Command::new(command.get_program());
        repeated.env_remove("KD_DATA").env_remove("BURN_DEVICE");
        let moved = |argument: &std::ffi::OsString| {
            let text = argument.to_string_lossy();
            let from = folder.path().join("again/out").display().to_string();
            text.replace(&from, &out.display().to_string())
        };
        repeated.args(again.iter().map(moved));
        if command.get_program().to_string_lossy().contains("distill") {
            repeated.arg("--resume");
        }
        let output = repeated.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{repeated:?}: {message}");
    }
    for path in &beside {
        assert_eq!(fs::read_to_string(path).unwrap(), "the user's", "{path:?}");
    }
    let extra: Vec<_> = files(&out)
        .into_iter()
        .filter(|path| !written.contains(path) && !beside.contains(path))
        .collect();
    // A ranking sets the means of the one before aside.
    assert_eq!(extra, [out.join("rank_augmentations/means.1.jsonl")]);
}

/// The page cannot take its place, since a folder has it; nothing of it stays.
#[test]
fn a_page_that_cannot_be_written_is_an_error_and_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let weights = student(folder.path());
    let out = folder.path().join("page");
    fs::create_dir_all(out.join("report.html/in the way")).unwrap();
    let evaluate = || {
        let mut command = example("evaluate");
        command.args(["--limit", "40", "--weights"]).arg(&weights);
        command.arg("--out").arg(&out);
        command
    };
    refused(&mut evaluate(), &["report.html"]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    fs::remove_dir_all(out.join("report.html")).unwrap();
    json(&mut evaluate());
    assert!(out.join("report.html").is_file());
}

/// Ctrl-C, and the command that it says goes on.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_run_with_a_checkpoint() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let folder = tempfile::tempdir().unwrap();
    let distill = |out: &str| {
        let mut command = example("distill");
        command
            .args(["--recipe", "ce", "--limit", "400", "--epochs", "2"])
            .args(["--set", "log.checkpoint_steps=1", "--set", "batch_size=16"])
            .arg("--out")
            .arg(folder.path().join(out));
        command
    };
    json(&mut distill("whole"));
    let mut child = distill("stopped").stderr(Stdio::piped()).spawn().unwrap();
    while !folder.path().join("stopped/checkpoint/state.json").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    let message = lines.join("\n");
    assert!(message.contains("stopped as asked"), "{message}");
    let command = lines
        .iter()
        .find_map(|line| line.strip_prefix("to go on: "));
    let mut shell = Command::new("sh");
    shell.env_remove("KD_DATA").env_remove("BURN_DEVICE");
    let output = shell.arg("-c").arg(command.unwrap()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let metrics = |out: &str| fs::read(folder.path().join(out).join("metrics.jsonl")).unwrap();
    assert_eq!(metrics("stopped"), metrics("whole"));
}

/// The input statistics of a network are those of the data, not of the part that `--limit` leaves.
#[test]
fn a_limit_does_not_change_what_a_network_takes_its_input_for() {
    let folder = tempfile::tempdir().unwrap();
    let statistics = |limit: &str| {
        let out = folder.path().join(limit);
        let mut command = example("distill");
        command.args(["--recipe", "ce", "--epochs", "1", "--limit", limit, "--out"]);
        json(command.arg(&out).args(["--set", "batch_size=16"]));
        let bytes = fs::read(out.join("student.safetensors")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let about = header["__metadata__"]["kd"].as_str().unwrap();
        let about: Value = serde_json::from_str(about).unwrap();
        about["input_spec"].clone()
    };
    assert_eq!(statistics("16"), statistics("48"));
}

#[test]
fn a_ranking_that_is_refused_leaves_the_journal_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let weights = student(folder.path());
    let out = folder.path().join("rank");
    let rank = |more: &[&str]| {
        let mut command = example("rank_augmentations");
        command.args([
            "--limit",
            "40",
            "--batch-size",
            "8",
            "--schemes",
            "identity",
        ]);
        command.arg("--weights").arg(&weights).args(more);
        command.arg("--out").arg(&out);
        command
    };
    json(&mut rank(&["--means", "2"]));
    let journal = fs::read(out.join("means.jsonl")).unwrap();
    refused(&mut rank(&["--means", "0"]), &["means", "0", "at least 2"]);
    refused(&mut rank(&["--means", "1"]), &["means", "1", "at least 2"]);
    assert_eq!(fs::read(out.join("means.jsonl")).unwrap(), journal);
    assert!(!out.join("means.1.jsonl").exists());
    json(&mut rank(&["--means", "2"]));
    assert_eq!(fs::read(out.join("means.1.jsonl")).unwrap(), journal);
}

#[test]
fn a_seed_that_toml_cannot_write_is_refused_by_name() {
    for seed in ["9223372036854775808", "18446744073709551615"] {
        let output = example("distill").args(["--seed", seed]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            message.contains(seed) && message.contains("--seed"),
            "{message}"
        );
        let set = format!("seed={seed}");
        refused(
            example("distill").args(["--set", &set]),
            &["seed", seed, "64 bits"],
        );
    }
    json(example("distill").args(["--print-recipe", "--seed", "9223372036854775807"]));
}

#[test]
fn the_zoo_lists_every_network() {
    let list = json(&mut example("zoo"));
    let rows = list.as_array().unwrap();
    let names: BTreeSet<_> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), kd::models::Architecture::ALL.len());
    // Table 6 of Wang et al.: 0.7015 M, 0.2022 G.
    let wrn = rows
        .iter()
        .find(|row| row["name"] == "wrn_16_2" && row["image"][1] == 32)
        .unwrap();
    assert_eq!(
        (&wrn["params"], &wrn["classes"]),
        (&701_460.into(), &100.into())
    );
    let one = json(example("zoo").args(["--arch", "vgg8", "--image", "3x64x64"]));
    assert_eq!(one["layers"][0]["name"], "block0.0");
    assert_eq!(one["stages"][4][1], serde_json::json!([512, 4, 4]));

    let tall = example("zoo").args(["--image", "3x32"]).output().unwrap();
    assert_eq!(tall.status.code(), Some(2));
    refused(
        example("zoo").args(["--arch", "alexnet", "--image", "3x4x4"]),
        &["alexnet", "[3, 4, 4]", "too small"],
    );
    let unknown = example("zoo")
        .args(["--arch", "resnet8x5"])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        message.contains("did you mean one of resnet8x4"),
        "{message}"
    );
}

#[test]
fn a_teacher_is_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (weights, file) = (student(folder.path()), at("teacher.logits"));
    let distill = |out: &str| {
        let mut command = example("distill");
        command.args(["--recipe", "kd", "--limit", "64", "--epochs", "1"]);
        command.arg("--out").arg(at(out));
        command
    };
    let metrics = |out: &str| fs::read(at(out).join("metrics.jsonl")).unwrap();
    json(distill("plain").arg("--teacher-weights").arg(&weights));
    // The size is said before the file is there.
    let mut recorded = distill("recorded");
    recorded.arg("--teacher-weights").arg(&weights);
    let recorded = recorded.arg("--record").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&recorded.stderr);
    let size = format!("will have {} bytes", fs::metadata(&file).unwrap().len());
    assert!(recorded.status.success() && said.contains(&size), "{said}");
    json(distill("replayed").arg("--replay").arg(&file));
    assert_eq!(metrics("recorded"), metrics("plain"));
    assert_eq!(metrics("replayed"), metrics("plain"));
    // Other initial weights under the same draws.
    let mut other = distill("other");
    let other = json(other.args(["--weights-seed", "1", "--replay"]).arg(&file));
    assert_eq!(
        (&other["seed"], &other["weights_seed"]),
        (&0.into(), &1.into())
    );
    assert_ne!(metrics("other"), metrics("plain"));
    refused(
        distill("seed").args(["--seed", "1", "--replay"]).arg(&file),
        &["teacher.logits", "the seed of the recipe is 0, expected 1"],
    );
    refused(
        distill("top")
            .args(["--record-as", "top-10", "--record"])
            .arg(&file)
            .arg("--teacher-weights")
            .arg(&weights),
        &["top-10", "10 classes"],
    );
    refused(
        example("distill")
            .args(["--recipe", "fitnet", "--limit", "64", "--replay"])
            .arg(&file),
        &["fitnet", "a recording holds its logits alone"],
    );
}
