//! Exact operations on real images, by digest: no image of a data set is in this project. `tools/ops_golden.py --data DIR` wrote
//! the fixture with Pillow.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../kd-data/tests/common/real_data.rs"]
mod real_data;

use std::path::Path;
use std::process::ExitCode;

use kd_augment::{Augmentation, DrawKey, ImageOp, Images, cpu};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Fixture {
    images: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    ops: Vec<ImageOp>,
    sha256: String,
}

fn main() -> ExitCode {
    real_data::run(vec![real_data::trial(
        "operations_are_pillows_on_cifar10",
        operations_are_pillows,
    )])
}

/// A record is a label and three planes of 32×32 levels.
const RECORD: usize = 1 + 3 * 32 * 32;

fn operations_are_pillows(data: &Path) {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/ops_real.json")).unwrap();
    let file = data.join("cifar-10-batches-bin/test_batch.bin");
    let records = std::fs::read(&file).unwrap();
    let pixels: Vec<u8> = records
        .chunks_exact(RECORD)
        .take(fixture.images)
        .flat_map(|record| &record[1..])
        .copied()
        .collect();
    let images = Images::new(&pixels, [fixture.images, 3, 32, 32]).unwrap();
    let ids: Vec<u64> = (0..fixture.images as u64).collect();
    assert!(fixture.cases.len() > 20);
    for Case { ops, sha256 } in fixture.cases {
        let named = format!("{ops:?}");
        let augmentation = ops
            .into_iter()
            .fold(Augmentation::identity(), Augmentation::with_op);
        let plan = augmentation
            .sample(&DrawKey::new(0), &ids, 0, [3, 32, 32])
            .unwrap();
        let mut out = vec![0; pixels.len()];
        cpu::apply_u8(&plan, images, &mut out).unwrap();
        let digest: String = Sha256::digest(&out)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest, sha256, "{named}");
    }
}
