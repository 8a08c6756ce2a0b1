//! Checkpoints as training scripts write them, all of one network: each is read to the numbers that
//! PyTorch has, or is refused with the words that the table of `docs/models.md` gives for it.
//! `tools/training_checkpoints.py` writes them.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use kd_models::{Architecture, Classifier, Classify, InputSpec, ModelError, Statistics, weights};
use lzma_rust2::XzReader;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Fixture {
    weights: BTreeMap<String, Weights>,
    files: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Weights {
    sha256: String,
    hits_of_200: usize,
    logits: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Weights(String),
    Refused(String),
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture() -> Fixture {
    let text = fs::read_to_string(fixtures().join("training_checkpoints.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Calls `each` with the name of every file and where it lies, one after the other.
fn walk(mut each: impl FnMut(&str, &Path)) {
    let packed = fs::File::open(fixtures().join("training_checkpoints.tar.xz")).unwrap();
    let packed = std::io::BufReader::new(packed);
    let mut archive = tar::Archive::new(XzReader::new(packed, false));
    let folder = tempfile::tempdir().unwrap();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = folder.path().join(entry.path().unwrap());
        entry.unpack(&path).unwrap();
        each(path.file_name().unwrap().to_str().unwrap(), &path);
        fs::remove_file(path).unwrap();
    }
}

fn restore(path: &Path) -> Result<Classifier, ModelError> {
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let resnet8 = Some(Architecture::ResNet8);
    weights::restore(path, resnet8, &spec, None, &Device::flex())
}

/// SHA-256 of names and numbers, from the file that the network is saved as.
fn digest(network: &Classifier) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    weights::save(network, &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, numbers) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).unwrap();
    let mut sha = Sha256::new();
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let [start, end]: [usize; 2] =
            serde_json::from_value(entry["data_offsets"].clone()).unwrap();
        sha.update(format!("{name}\n"));
        sha.update(&numbers[start..end]);
    }
    sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn logits(network: &Classifier, images: &Tensor<4>) -> Vec<f64> {
    let logits = network.forward(images.clone()).into_data();
    logits.iter::<f64>().collect()
}

#[test]
fn every_script_s_checkpoint_is_read_or_refused_in_words() {
    let fixture = fixture();
    let images = formula::images(0, 4, &Device::flex()).0;
    let (mut read, mut faults) = (0, Vec::new());
    walk(|name, path| match (&fixture.files[name], restore(path)) {
        (Expected::Weights(set), Ok(network)) => {
            let expected = &fixture.weights[set];
            // The same bits, also of what was saved in 16 or 64 bits.
            if digest(&network) != expected.sha256 {
                faults.push(format!("{name}: other numbers"));
            }
            // Two libraries' float32: 1e-5 of logits of about 10.
            let found = logits(&network, &images);
            assert_eq!(found.len(), expected.logits.len());
            let apart = found.iter().zip(&expected.logits);
            let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            if apart > 1e-4 {
                faults.push(format!("{name}: logits are {apart} apart"));
            }
            read += 1;
        }
        (Expected::Refused(words), Err(error)) => {
            let error = error.to_string();
            if !error.contains(words) || !error.contains(name) {
                faults.push(format!("{name}: expected `{words}`, found {error}"));
            }
        }
        (Expected::Weights(_), Err(error)) => faults.push(error.to_string()),
        (Expected::Refused(_), Ok(_)) => faults.push(format!("{name}: read")),
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(read > 100, "{read}");
}

/// The accuracy that PyTorch counts, on one file of each set of weights.
#[test]
fn the_networks_are_as_accurate_as_in_pytorch() {
    let fixture = fixture();
    let (images, labels) = formula::images(0, 200, &Device::flex());
    let mut left: BTreeMap<_, _> = fixture.weights.iter().collect();
    walk(|name, path| {
        let Expected::Weights(set) = &fixture.files[name] else {
            return;
        };
        let Some(expected) = left.remove(set) else {
            return;
        };
        let found = restore(path).unwrap().forward(images.clone()).argmax(1);
        let found = found.into_data();
        let hits = found.iter::<i32>().zip(&labels);
        let hits = hits.filter(|(found, label)| found == *label).count();
        assert_eq!(hits, expected.hits_of_200, "{set}");
    });
    assert!(left.is_empty());
}

/// A whole network cut off or with a bit turned over, in every container: an error, or the same
/// numbers where the container has checksums. The old ones have none.
#[test]
fn damaged_checkpoints_never_panic() {
    let fixture = fixture();
    let expected = &fixture.weights["trained"].sha256;
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    walk(|name, path| {
        let checked = name == "protocol_5.pth" || name == "traced.pt";
        if !checked && !["legacy.pth", "pytorch_0.1.9.pth"].contains(&name) {
            return;
        }
        let whole = fs::read(path).unwrap();
        for part in 0..60 {
            fs::write(&damaged, &whole[..whole.len() * part / 60]).unwrap();
            let error = restore(&damaged).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{name}: {error}");
        }
        // The pickle densely, the numbers here and there, the directory densely.
        let end = whole.len().saturating_sub(2000);
        let places = (0..600).chain((600..end).step_by(whole.len() / 60));
        for place in places.chain((end..whole.len()).step_by(7)) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(&damaged, &bytes).unwrap();
            match restore(&damaged) {
                Ok(network) if checked => {
                    assert_eq!(digest(&network), *expected, "{name}: byte {place}");
                }
                _ => {}
            }
        }
    });
}
