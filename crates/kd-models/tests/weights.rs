//! Weight files: a round trip, and what does not fit.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/formula.rs"]
mod formula;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use formula::Fan;
use kd_models::weights::{self, WeightFile};
use kd_models::{
    Architecture, Classifier, Classify, InputSpec, ModelConfig, ModelError, Shortcut, Statistics,
};

fn network(architecture: Architecture, classes: usize, shortcut: Shortcut) -> Classifier {
    let spec = InputSpec::cifar(classes, Statistics::CIFAR100).unwrap();
    let config = ModelConfig::new(spec).with_seed(5).with_shortcut(shortcut);
    architecture.init(&config, &Device::flex()).unwrap()
}

fn images() -> Tensor<4> {
    let pixels = Tensor::arange(0..2 * 3 * 32 * 32, &Device::flex()).float();
    pixels.sin().abs().reshape([2, 3, 32, 32])
}

#[test]
fn saved_and_restored_networks_give_the_same_logits() {
    let folder = tempfile::tempdir().unwrap();
    for shortcut in [Shortcut::Projection, Shortcut::Padding] {
        let path = folder.path().join("student.safetensors");
        let student = network(Architecture::ResNet14, 7, shortcut);
        weights::save(&student, &path).unwrap();
        // The file knows architecture, shortcut, statistics and classes: the default is not read.
        let other = InputSpec::cifar(3, Statistics::IMAGENET).unwrap();
        let restored = weights::restore(&path, None, &other, None, &Device::flex()).unwrap();
        assert_eq!(restored.input_spec(), student.input_spec());
        assert_eq!(restored.architecture(), Architecture::ResNet14);
        let expected = student.forward(images()).into_data();
        assert_eq!(restored.forward(images()).into_data(), expected);
    }
    // Nothing but the file is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_names_in_the_file_are_pytorch_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.safetensors");
    weights::save(
        &network(Architecture::ResNet8, 10, Shortcut::Projection),
        &path,
    )
    .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    for (name, shape) in [
        ("conv1.weight", vec![16, 3, 3, 3]),
        ("bn1.running_var", vec![16]),
        ("layer2.0.bn2.weight", vec![32]),
        ("layer2.0.downsample.0.weight", vec![32, 16, 1, 1]),
        ("layer2.0.downsample.1.bias", vec![32]),
        ("fc.weight", vec![10, 64]),
    ] {
        assert_eq!(header[name]["shape"], serde_json::json!(shape), "{name}");
    }
}

#[test]
fn equal_networks_are_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let path = folder.path().join(name);
        weights::save(
            &network(Architecture::ResNet8, 10, Shortcut::Padding),
            &path,
        )
        .unwrap();
        std::fs::read(path).unwrap()
    };
    assert_eq!(write("a.safetensors"), write("b.safetensors"));
}

#[test]
fn another_architecture_is_one_readable_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet14.safetensors");
    weights::save(
        &network(Architecture::ResNet14, 10, Shortcut::Projection),
        &path,
    )
    .unwrap();
    let load = |architecture, classes| {
        let file = WeightFile::open(&path).unwrap();
        let error = weights::load(network(architecture, classes, Shortcut::Projection), file);
        match error.map(|_| ()).unwrap_err() {
            ModelError::Mismatch { mismatch, .. } => *mismatch,
            other => panic!("{other}"),
        }
    };
    let deeper = load(Architecture::ResNet20, 10);
    assert!(deeper.missing.contains(&"layer1.2.conv1.weight".into()));
    assert!(deeper.unexpected.is_empty() && deeper.misshapen.is_empty());
    let shallower = load(Architecture::ResNet8, 10);
    assert!(
        shallower
            .unexpected
            .contains(&"layer3.1.conv2.weight".into())
    );
    let classes = load(Architecture::ResNet14, 100);
    assert_eq!(classes.misshapen.len(), 2, "{classes}");
    assert!(classes.missing.is_empty() && classes.unexpected.is_empty());
    assert!(
        classes
            .to_string()
            .contains("fc.bias: expected [100], found [10]")
    );
}

/// The file as anyone reads it: a header of JSON, then numbers.
fn safetensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let mut tensors = BTreeMap::new();
    for (name, entry) in header.as_object().unwrap() {
        if name == "__metadata__" {
            continue;
        }
        assert_eq!(entry["dtype"], "F32", "{name}");
        let sizes = |value: &serde_json::Value| -> Vec<usize> {
            let sizes = value.as_array().unwrap().iter();
            sizes.map(|n| n.as_u64().unwrap() as usize).collect()
        };
        let range = sizes(&entry["data_offsets"]);
        let numbers = data[range[0]..range[1]].chunks_exact(4);
        let numbers = numbers.map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        tensors.insert(name.clone(), (sizes(&entry["shape"]), numbers.collect()));
    }
    tensors
}

fn bits(network: &Classifier) -> Vec<Vec<u32>> {
    struct Bits(Vec<Vec<u32>>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            self.0.push(data.iter::<f32>().map(f32::to_bits).collect());
        }
    }
    let mut bits = Bits(Vec::new());
    network.visit(&mut bits);
    bits.0
}

/// Architectures with the formulas' weights: each tensor in the file has PyTorch's name and layout and the formula's numbers, and
/// what is restored is the same bits.
#[test]
fn networks_go_to_pytorch_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    for &architecture in Architecture::ALL {
        let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
        let config = ModelConfig::new(spec).with_hidden(16);
        // The largest of a family say nothing that the others do not.
        if architecture.summary(&config).unwrap().params > 15_000_000 {
            continue;
        }
        let network = architecture.init(&config, &Device::flex()).unwrap();
        let network = formula::fill(network, "zoo", true);
        let path = folder.path().join("network.safetensors");
        weights::save(&network, &path).unwrap();
        for (name, (shape, numbers)) in safetensors(&path) {
            let expected = formula::values("zoo", &name, &shape, true, Fan::Out);
            assert!(numbers == expected, "{architecture}: {name}");
        }
        let default = InputSpec::cifar(3, Statistics::IMAGENET).unwrap();
        let restore =
            |path: &Path| weights::restore(path, None, &default, None, &Device::flex()).unwrap();
        let expected = bits(&network);
        assert!(bits(&restore(&path)) == expected, "{architecture}");
        let path = folder.path().join("network.bpk");
        weights::save(&network, &path).unwrap();
        assert!(
            bits(&restore(&path)) == expected,
            "{architecture}, burnpack"
        );
    }
}

fn checkpoint(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/fixtures/checkpoints").join(name)
}

/// Of the two tensors in them, both fit a ResNet-8, and nothing else is found.
#[test]
fn checkpoints_of_every_layout_are_understood() {
    for name in ["model.pth", "state_dict.th", "bare.pth", "legacy.pth"] {
        let file = WeightFile::open(&checkpoint(name)).unwrap();
        let network = network(Architecture::ResNet8, 10, Shortcut::Projection);
        let error = weights::load(network, file).map(|_| ()).unwrap_err();
        let ModelError::Mismatch { mismatch, .. } = error else {
            panic!("{name}: {error}")
        };
        assert_eq!(mismatch.missing.len(), 9 * 5 + 2 - 2, "{name}: {mismatch}");
        for found in ["conv1.weight", "fc.bias"] {
            assert!(
                !mismatch.missing.iter().any(|m| m == found),
                "{name}: {found}"
            );
        }
        assert!(mismatch.unexpected.is_empty() && mismatch.misshapen.is_empty());
    }
}

#[test]
fn nothing_in_a_checkpoint_is_run() {
    let error = WeightFile::open(&checkpoint("harmful.pth"))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, ModelError::Malformed { .. }), "{error}");
    assert!(!Path::new("harm.txt").exists());
}

/// Cut off anywhere, or with a bit turned over anywhere: an error that names the file, or, where the bit says nothing, the same network.
#[test]
fn damage_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(Architecture::ResNet8, 10, Shortcut::Projection);
    let expected = bits(&network);
    let default = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    for extension in ["safetensors", "bpk"] {
        let path = folder.path().join("whole").with_extension(extension);
        weights::save(&network, &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let damaged = folder.path().join("damaged").with_extension(extension);
        let restore = |bytes: &[u8]| {
            std::fs::write(&damaged, bytes).unwrap();
            weights::restore(&damaged, None, &default, None, &Device::flex())
        };
        for part in 0..40 {
            let length = whole.len() * part / 40;
            let error = restore(&whole[..length]).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
        }
        // The header densely, the numbers here and there.
        let places = (0..400).chain((400..whole.len()).step_by(whole.len() / 50 + 1));
        for place in places {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            // In the names of classes and in what fills gaps a bit may say nothing of the weights.
            if let Ok(restored) = restore(&bytes) {
                assert!(bits(&restored) == expected, "{extension}: byte {place}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nan.safetensors");
    let network = network(Architecture::ResNet8, 10, Shortcut::Projection);
    weights::save(&network, &path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[length - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    // As from a program that writes no checksum.
    let start = bytes.windows(6).position(|w| w == b"sha256").unwrap();
    bytes[start..start + 6].copy_from_slice(b"unused");
    std::fs::write(&path, &bytes).unwrap();
    let default = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let restored = weights::restore(&path, None, &default, None, &Device::flex());
    let error = restored.map(|_| ()).unwrap_err();
    assert!(matches!(error, ModelError::NotFinite { .. }), "{error}");
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.safetensors");
    weights::save(
        &network(Architecture::ResNet8, 10, Shortcut::Projection),
        &whole,
    )
    .unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    for length in [0, 4, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        let path = folder.path().join("cut.safetensors");
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = WeightFile::open(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("cut.safetensors"), "{error}");
    }
    for (name, content) in [("text.pth", &b"not a checkpoint"[..]), ("empty.th", b"")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = WeightFile::open(&path).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let missing = WeightFile::open(&folder.path().join("none.pth")).map(|_| ());
    assert!(matches!(missing, Err(ModelError::Io { .. })));
    let unknown = WeightFile::open(&whole.with_extension("onnx")).map(|_| ());
    assert!(unknown.is_err());
}
