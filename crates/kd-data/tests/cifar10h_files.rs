//! `.npy` files of human labels: what is read, and what is refused with which words.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;

use kd_data::{DataError, cifar10h};
use proptest::prelude::*;
use tempfile::tempdir;

fn npy(header: &str, values: &[u8]) -> Vec<u8> {
    let padded = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded.len() as u16).to_le_bytes());
    bytes.extend(padded.as_bytes());
    bytes.extend(values);
    bytes
}

fn header(kind: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}")
}

fn array(values: &[f64]) -> Vec<u8> {
    let values: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    npy(&header("<f8", "False", "(10000, 10)"), &values)
}

/// Row i is certain of class i mod 10.
fn certain() -> Vec<f64> {
    (0..100_000)
        .map(|i| f64::from(u8::from(i % 10 == i / 10 % 10)))
        .collect()
}

fn load(bytes: &[u8]) -> Result<Vec<f32>, DataError> {
    let folder = tempdir().unwrap();
    let file = folder.path().join("labels.npy");
    fs::write(&file, bytes).unwrap();
    let result = cifar10h::load(&file);
    if let Err(error) = &result {
        assert!(
            error.to_string().starts_with(file.to_str().unwrap()),
            "{error}"
        );
    }
    result
}

fn refusal(bytes: &[u8]) -> String {
    let message = load(bytes).unwrap_err().to_string();
    message.split_once(".npy: ").unwrap().1.to_string()
}

#[test]
fn probabilities_and_counts() {
    let mut values = certain();
    values[..2].copy_from_slice(&[0.25, 0.75]);
    let rows = load(&array(&values)).unwrap();
    assert_eq!(rows.len(), 100_000);
    assert_eq!(
        (rows[0], rows[1], rows[11], rows[12]),
        (0.25, 0.75, 1.0, 0.0)
    );

    let counts: Vec<u8> = (0..100_000)
        .map(|i| {
            if i < 10 {
                i64::from(i < 4)
            } else {
                i64::from(i % 10 == 3) * 51
            }
        })
        .flat_map(i64::to_le_bytes)
        .collect();
    let rows = load(&npy(&header("<i8", "False", "(10000, 10)"), &counts)).unwrap();
    assert_eq!(rows[..5], [0.25, 0.25, 0.25, 0.25, 0.0]);
    assert_eq!(rows[10..15], [0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn files_are_found() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join("cifar-10h");
    fs::create_dir(&folder).unwrap();
    let error = cifar10h::load(parent.path()).unwrap_err();
    assert!(matches!(error, DataError::NotFound { .. }), "{error}");
    fs::write(folder.join("cifar10h-probs.npy"), array(&certain())).unwrap();
    assert_eq!(
        cifar10h::load(parent.path()).unwrap(),
        cifar10h::load(&folder).unwrap()
    );
}

#[test]
fn rows_are_distributions() {
    let refused = |place: usize, value: f64| {
        let mut values = certain();
        values[place] = value;
        refusal(&array(&values))
    };
    assert_eq!(
        refused(99_998, 0.5),
        "soft-label row 9999: expected a sum of 1 ± 0.001, found 1.5"
    );
    assert_eq!(
        refused(72, -0.5),
        "soft-label row 7, class 2: expected a finite value of at least 0, found -0.5"
    );
    assert!(refused(72, f64::NAN).contains("row 7, class 2"));
    assert!(refused(72, f64::INFINITY).contains("row 7, class 2"));
    let counts = npy(&header("<i8", "False", "(10000, 10)"), &[0; 800_000]);
    assert_eq!(
        refusal(&counts),
        "soft-label row 0: expected a sum of at least 1, found 0"
    );
}

#[test]
fn sizes_are_exact() {
    let bytes = array(&certain());
    assert_eq!(
        refusal(&bytes[..bytes.len() - 1]),
        "truncated: expected 800128 bytes, found the end at byte 800127"
    );
    assert_eq!(
        refusal(&[&bytes[..], &[0]].concat()),
        "oversized: expected the end at byte 800128, found 800129 bytes"
    );
    assert!(refusal(&vec![0; 2_000_000]).starts_with("oversized"));
    for end in [0, 5, 9, 10, 60, 127] {
        assert!(
            refusal(&bytes[..end]).starts_with("damaged .npy file"),
            "cut at {end}"
        );
    }
}

#[test]
fn other_arrays_are_refused() {
    for (kind, fortran, shape) in [
        ("<f8", "True", "(10000, 10)"),
        ("<f8", "False", "(10, 10000)"),
        ("<f8", "False", "(100000,)"),
        ("<f4", "False", "(10000, 10)"),
        ("|O", "False", "(10000, 10)"),
    ] {
        let message = refusal(&npy(&header(kind, fortran, shape), &[0; 800_000]));
        assert!(
            message.starts_with("expected 10000x10 values in C order"),
            "{message}"
        );
    }
    let record = "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (10000, 10), }";
    assert!(refusal(&npy(record, &[0; 800_000])).contains("found"));
}

/// A parser that calls itself must not be led to the end of its stack.
#[test]
fn deep_nesting_is_refused() {
    for open in ["(", "[", "{"] {
        let text = open.repeat(60_000);
        assert!(load(&npy(&text, &[])).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_panics(text in "[ -~]{0,200}", version in 0_u8..5) {
        let mut bytes = npy(&text, &[0; 64]);
        bytes[6] = version;
        prop_assert!(load(&bytes).is_err());
    }

    #[test]
    fn no_change_of_the_header_panics(place in 0_usize..128, byte: u8) {
        let mut bytes = array(&certain());
        bytes[place] = byte;
        let _ = load(&bytes);
    }
}
