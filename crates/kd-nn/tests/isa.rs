//! Other sets of instructions and other numbers of threads, in processes of their own: both are chosen once a process.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

// PyTorch's values once more, to be run under other sets of instructions.
#[path = "golden.rs"]
mod golden;

use std::process::Command;

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::tensor::{Device, Tensor};
use golden::common::{formula, gradient, host, tensor};
use kd_nn::{BatchNormConfig, Conv2dConfig, Fused};

/// This test binary with other environment variables, and only the tests whose names contain `filter`.
fn child(filter: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([filter, "--nocapture", "--include-ignored"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{variables:?}: {text}");
    text
}

#[test]
fn other_instructions_give_pytorch_s_values() {
    for isa in ["portable", "avx2"] {
        let text = child("golden::", &[("KD_NN_ISA", isa)]);
        assert!(text.contains("3 passed"), "{text}");
    }
}

/// The bits of all numbers.
fn hash(numbers: &[f64]) -> u64 {
    let bytes: Vec<String> = numbers.iter().map(|v| v.to_bits().to_string()).collect();
    formula::fnv1a(&bytes.join(" "))
}

/// Prints a hash of the output and the gradients of a training step: images in several bands each, and a residual block.
#[test]
#[ignore = "run by the tests below"]
fn step() {
    let device = Device::flex().autodiff();
    let conv = |channels: [usize; 2]| {
        let config = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same);
        formula::fill(config.init(&device), "step", false).train()
    };
    let norm = || BatchNormConfig::new(20).init(&device);
    let (convs, norms) = ([conv([17, 20]), conv([20, 20])], [norm(), norm()]);
    let x = tensor("x", [5, 17, 50, 53], &device).require_grad();
    let y: Tensor<4> = Fused::new()
        .conv(&convs[0])
        .norm(&norms[0])
        .relu()
        .branch()
        .conv(&convs[1])
        .norm(&norms[1])
        .add_shortcut()
        .relu()
        .forward(x.clone());
    let r = tensor("r", y.dims(), &device);
    let mut all = host(&y);
    let gradients = (y * r).sum().backward();
    all.extend(gradient(&x, &gradients).unwrap());
    for (conv, norm) in convs.iter().zip(&norms) {
        all.extend(gradient(&conv.weight.val(), &gradients).unwrap());
        all.extend(gradient(&norm.gamma.val(), &gradients).unwrap());
        all.extend(gradient(&norm.beta.val(), &gradients).unwrap());
        all.extend(host(&norm.running_var.value_sync()));
    }
    println!("\nhash {:016x}", hash(&all));
}

fn hash_of(variables: &[(&str, &str)]) -> String {
    let text = child("step", variables);
    let line = text.lines().find(|line| line.starts_with("hash "));
    line.unwrap().to_string()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for isa in ["portable", "avx512"] {
        let hashes = ["1", "2", "5"]
            .map(|threads| hash_of(&[("RAYON_NUM_THREADS", threads), ("KD_NN_ISA", isa)]));
        assert!(
            hashes.iter().all(|hash| hash == &hashes[0]),
            "{isa} {hashes:?}"
        );
    }
}

/// The portable set rounds products, the others do not: if hashes were equal, the kernels would not be what runs.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_instructions_are_those_asked_for() {
    if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
        let [portable, avx2] = ["portable", "avx2"].map(|isa| hash_of(&[("KD_NN_ISA", isa)]));
        assert_ne!(portable, avx2);
    }
}
