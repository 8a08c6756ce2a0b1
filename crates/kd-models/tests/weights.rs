//! Weight files: a round trip, and what does not fit.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::tensor::{Device, Tensor};
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
