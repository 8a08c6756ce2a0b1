//! What the formats of weights allow, and files that are not what their names say.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor};
use burn_store::bridge;
use burn_store::burn_pack::{Reader, Writer};
use kd_models::{
    Architecture, Classifier, InputSpec, ModelConfig, ModelError, Statistics, weights,
};
use serde_json::{Value, json};

fn spec() -> InputSpec {
    InputSpec::cifar(10, Statistics::CIFAR10).unwrap()
}

fn network() -> Classifier {
    let config = ModelConfig::new(spec()).with_seed(5);
    let resnet8 = Architecture::ResNet8;
    resnet8.init(&config, &Device::flex()).unwrap()
}

fn restore(path: &Path) -> Result<Classifier, ModelError> {
    let resnet8 = Some(Architecture::ResNet8);
    weights::restore(path, resnet8, &spec(), None, &Device::flex())
}

fn numbers(network: &Classifier) -> Vec<f32> {
    struct Numbers(Vec<f32>);
    impl ModuleVisitor for Numbers {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            assert_eq!(param.val().dtype(), DType::F32);
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut numbers = Numbers(Vec::new());
    network.visit(&mut numbers);
    numbers.0
}

/// The file of a network, its header changed, and more numbers behind.
fn changed(path: &Path, change: impl FnOnce(&mut Value), more: &[u8]) {
    weights::save(&network(), &path.with_extension("safetensors")).unwrap();
    let bytes = fs::read(path.with_extension("safetensors")).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let header = serde_json::to_vec(&header).unwrap();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(path, [&length[..], &header, data, more].concat()).unwrap();
}

#[test]
fn metadata_may_be_null() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("null.safetensors");
    changed(&path, |header| header["__metadata__"] = Value::Null, &[]);
    assert!(numbers(&restore(&path).unwrap()) == numbers(&network()));
}

#[test]
fn safetensors_are_known_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["weights.pth", "weights.bin", "weights", "weights.bpk"] {
        let path = folder.path().join(name);
        changed(&path, |_| {}, &[]);
        assert!(
            numbers(&restore(&path).unwrap()) == numbers(&network()),
            "{name}"
        );
    }
    let page = folder.path().join("page.pth");
    fs::write(&page, "<!DOCTYPE html><html>").unwrap();
    let error = restore(&page).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("it begins with `<!DOCTYPE html><`"),
        "{error}"
    );
}

/// A type that burn-store does not know is one tensor more than the network has, and not an
/// unreadable file.
#[test]
fn odd_numbers_beside_the_weights_are_a_mismatch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    for (dtype, bytes) in [("F8_E4M3", 2), ("C64", 16), ("U16", 4), ("F4", 1)] {
        let add = |header: &mut Value| {
            let entries = header.as_object().unwrap().values();
            let ends = entries.filter_map(|entry| entry["data_offsets"][1].as_u64());
            let end = ends.max().unwrap();
            let offsets = [end, end + bytes];
            header["odd"] = json!({"dtype": dtype, "shape": [2], "data_offsets": offsets});
            header["__metadata__"] = json!({});
        };
        changed(&path, add, &vec![0; bytes as usize]);
        let error = restore(&path).map(|_| ()).unwrap_err();
        let ModelError::Mismatch { mismatch, .. } = error else {
            panic!("{dtype}: {error}")
        };
        assert_eq!(mismatch.unexpected, ["odd"], "{dtype}");
        assert!(mismatch.missing.is_empty() && mismatch.unreadable.is_empty());
    }
}

/// Offsets that leave gaps, overlap, or are not of the shape's size.
#[test]
fn headers_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lying.safetensors");
    type Lie = fn(&mut Value);
    let lies: [Lie; 5] = [
        |entry| entry["shape"] = json!([11]),
        |entry| entry["shape"] = json!([u64::MAX, 4]),
        |entry| entry["dtype"] = json!("F64"),
        |entry| entry["data_offsets"] = json!([0, 40]),
        |entry| entry["data_offsets"] = json!([40, 0]),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let change = |header: &mut Value| {
            header["__metadata__"] = json!({});
            lie(&mut header["fc.bias"]);
        };
        changed(&path, change, &[]);
        let error = restore(&path).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, ModelError::Malformed { .. }),
            "{number}: {error}"
        );
    }
}

/// In Burn's own format as in PyTorch's.
#[test]
fn burnpacks_of_other_types_become_the_network_s() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, cast] = ["whole.bpk", "cast.bpk"].map(|name| folder.path().join(name));
    weights::save(&network(), &whole).unwrap();
    for dtype in [DType::F16, DType::BF16, DType::F64] {
        let tensors = Reader::from_file_exact(&whole).unwrap().into_tensors();
        let tensors = tensors.unwrap().into_iter().map(|tensor| {
            let name = tensor.name.clone();
            let data = bridge::into_data(tensor).unwrap().convert_dtype(dtype);
            bridge::from_data(data, name, None)
        });
        let writer = Writer::new(tensors.collect()).overwrite(true);
        writer.write_to_file(&cast).unwrap();
        let found = numbers(&restore(&cast).unwrap());
        let apart = found.iter().zip(numbers(&network()));
        let apart = apart.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Weights below 1, with 8 bits of precision at the least.
        assert!(apart <= 1.0 / 256.0, "{dtype:?}: {apart}");
        assert_eq!(apart == 0.0, dtype == DType::F64, "{dtype:?}");
    }
}

#[test]
fn a_mismatch_in_a_burnpack_has_burn_s_names_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nine.bpk");
    let config = ModelConfig::new(InputSpec::cifar(9, Statistics::CIFAR10).unwrap());
    let nine = Architecture::ResNet8
        .init(&config, &Device::flex())
        .unwrap();
    weights::save(&nine, &path).unwrap();
    let file = weights::WeightFile::open(&path).unwrap();
    let error = weights::load(network(), file).map(|_| ()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("fc.weight: expected [64, 10], found [64, 9]"),
        "{error}"
    );
}

#[test]
fn pytorch_s_formats_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["weights.pth", "weights.ckpt", "weights"] {
        let error = weights::save(&network(), &folder.path().join(name)).unwrap_err();
        assert!(
            matches!(error, ModelError::UnknownFormat { .. }),
            "{name}: {error}"
        );
    }
}
