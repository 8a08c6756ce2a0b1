//! Checks against the real files, in the folder that `KD_DATA` names: `cifar-10-batches-bin` in the order of the python distribution, and `cifar-10h`.
//!
//! Without `KD_DATA` they are reported as ignored; with `KD_REQUIRE_DATA=1` they then fail.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/real_data.rs"]
mod real_data;

use std::path::Path;
use std::process::ExitCode;

use kd_data::{ImageSet, Split, cifar10, cifar10h};
use sha2::{Digest as _, Sha256};

fn main() -> ExitCode {
    let trials = vec![
        real_data::trial("cifar10_counts", cifar10_counts),
        real_data::trial("cifar10_statistics", cifar10_statistics),
        real_data::trial("cifar10_images", cifar10_images),
        real_data::trial(
            "cifar10h_goes_with_the_test_labels",
            cifar10h_goes_with_the_test_labels,
        ),
    ];
    real_data::run(trials)
}

fn load(folder: &Path, split: Split) -> ImageSet {
    cifar10::load(folder, split).unwrap()
}

fn cifar10_counts(folder: &Path) {
    for (split, count) in [(Split::Train, 50_000), (Split::Test, 10_000)] {
        let set = load(folder, split);
        assert_eq!(set.len(), count);
        let mut classes = [0; 10];
        set.labels()
            .iter()
            .for_each(|&label| classes[usize::from(label)] += 1);
        assert_eq!(classes, [count / 10; 10]);
        assert_eq!(set.class_names()[..2], ["airplane", "automobile"]);
    }
}

/// The figures that everyone normalises with.
fn cifar10_statistics(folder: &Path) {
    let statistics = load(folder, Split::Train).statistics();
    for (found, expected) in [
        (statistics.mean, [0.4914, 0.4822, 0.4465]),
        (statistics.std, [0.2470, 0.2435, 0.2616]),
    ] {
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
        }
    }
}

/// SHA-256 of first and last images, taken from the files with another program.
fn cifar10_images(folder: &Path) {
    let (train, test) = (load(folder, Split::Train), load(folder, Split::Test));
    for (set, index, label, digest) in [
        (
            &train,
            0,
            6,
            "e052de7deb775f78e5e3b718032db5e72434ae6f0d34152c7ad434521631b17c",
        ),
        (
            &train,
            40_000,
            1,
            "2354b2d1bc42fd81bdaed33eb91079f8bf48116a95aa8ace4761911dda4efa45",
        ),
        (
            &train,
            49_999,
            1,
            "11aa7f707e504e57932948a93e1bcaee30ea51255eb5adc6969cfc5c01237dd2",
        ),
        (
            &test,
            0,
            3,
            "73eefb0106f2b7a2660668be6875682f6aa9c20820633725642b0cc87dc59198",
        ),
        (
            &test,
            9_999,
            7,
            "3f1313e424fe403aca62bb55a4506fcf1a68a808b4fbe6e4ad7a0e456edf8a7d",
        ),
    ] {
        let found: String = Sha256::digest(set.image(index))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            (found.as_str(), set.labels()[index]),
            (digest, label),
            "image {index}"
        );
    }
}

/// The order of the images is that of the human labels: they agree on 99.21 %, one image further on 10 %.
fn cifar10h_goes_with_the_test_labels(folder: &Path) {
    let rows = cifar10h::load(folder).unwrap();
    let counted = cifar10h::load(&folder.join("cifar-10h/cifar10h-counts.npy")).unwrap();
    let set = load(folder, Split::Test).with_soft_labels(rows).unwrap();
    let rows = set.soft_labels().unwrap();
    for (row, (one, other)) in rows.iter().zip(&counted).enumerate() {
        assert!((one - other).abs() < 1e-6, "value {row}");
    }
    let likeliest = |row: &[f32]| {
        row.iter().enumerate().fold(
            0,
            |best, (class, &p)| if p > row[best] { class } else { best },
        )
    };
    let agreeing = |shift: usize| {
        let rows = rows.chunks_exact(10).enumerate();
        rows.filter(|(index, row)| {
            likeliest(row) == usize::from(set.labels()[(index + shift) % 10_000])
        })
        .count()
    };
    assert_eq!(agreeing(0), 9921);
    assert!(agreeing(1) < 1200, "{}", agreeing(1));
    let entropy: f64 = rows
        .iter()
        .map(|&p| f64::from(p))
        .filter(|&p| p > 0.0)
        .map(|p| -p * p.ln())
        .sum();
    assert!((entropy / 10_000.0 - 0.1545).abs() < 1e-4, "{entropy}");
}
