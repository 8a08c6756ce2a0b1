//! The CIFAR-100 ResNet-20 as an ONNX file, beside the safetensors of the same network.
//!
//! Tolerance of the logits: 1e-4. Two engines add the same products in another order, in f32, over
//! twenty layers.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../crates/kd-data/tests/common/real_data.rs"]
mod real_data;

use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::Value;

fn main() -> ExitCode {
    real_data::run(vec![
        real_data::trial("both_engines_agree", both_engines_agree),
        real_data::trial("it_teaches", it_teaches),
        real_data::trial("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
    ])
}

fn example(data: &Path, dataset: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let name = format!("onnx_teacher{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(path.join("examples").join(name));
    command.env_remove("BURN_DEVICE").arg("--data").arg(data);
    command.args(["--dataset", dataset, "--onnx"]);
    command.arg(data.join("teachers/cifar100_resnet20.onnx"));
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn both_engines_agree(data: &Path) {
    let found = json(
        example(data, "cifar100")
            .args(["--only-evaluate", "--arch", "resnet20", "--compare"])
            .arg(data.join("teachers/cifar100_resnet20.safetensors")),
    );
    assert_eq!(found["samples"], 10_000);
    // Two images of 10,000 whose best logits rounding may swap.
    let top1 = found["top1"].as_f64().unwrap();
    assert!((top1 - 0.6883).abs() <= 2e-4, "{top1}");
    let top5 = found["top5"].as_f64().unwrap();
    assert!((top5 - 0.9101).abs() <= 2e-4, "{top5}");
    let difference = found["largest_difference"].as_f64().unwrap();
    assert!(difference < 1e-4, "{difference}");
}

fn it_teaches(data: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let found = json(
        example(data, "cifar100")
            .args(["--limit", "256", "--epochs", "1", "--out"])
            .arg(&out),
    );
    assert_eq!(found["student"]["train_samples"], 256);
    assert!(found["student"]["nll"].as_f64().unwrap().is_finite());
    assert!(out.join("student.safetensors").is_file());
}

fn what_does_not_fit_is_refused(data: &Path) {
    let features = ["--limit", "64", "--epochs", "1", "--recipe", "fitnet"];
    for (dataset, options, expected) in [
        (
            "cifar10",
            &[][..],
            "answers with [1, 100], expected [1, 10]",
        ),
        ("cifar100", &features[..], "the teacher does not give"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let mut command = example(data, dataset);
        let output = command
            .args(options)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!out.exists());
    }
}
