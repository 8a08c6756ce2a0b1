//! Records and names.

use burn::module::Module;
use burn::nn::{self};
use burn::tensor::Device;
use burn_store::{
    BurnToPyTorchAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter, SafetensorsStore,
};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig};

use crate::common::{formula, host};

#[derive(Module, Debug)]
struct Ours {
    conv: Conv2d,
    bn: BatchNorm,
}

#[derive(Module, Debug)]
struct Burns {
    conv: nn::conv::Conv2d,
    bn: nn::BatchNorm,
}

impl Ours {
    fn new() -> Self {
        let device = Device::flex();
        Self {
            conv: Conv2dConfig::new([6, 10], [3, 3])
                .with_groups(2)
                .init(&device),
            bn: BatchNormConfig::new(10).init(&device),
        }
    }

    fn filled(key: &str) -> Self {
        formula::fill(Self::new(), key, true)
    }

    fn numbers(&self) -> [Vec<f64>; 6] {
        [
            host(&self.conv.weight.val()),
            host(&self.conv.bias.as_ref().unwrap().val()),
            host(&self.bn.gamma.val()),
            host(&self.bn.beta.val()),
            host(&self.bn.running_mean.value_sync()),
            host(&self.bn.running_var.value_sync()),
        ]
    }

    fn into_burn(self) -> Burns {
        Burns {
            conv: self.conv.into(),
            bn: self.bn.into(),
        }
    }
}

impl From<Burns> for Ours {
    fn from(burns: Burns) -> Self {
        Self {
            conv: burns.conv.into(),
            bn: burns.bn.into(),
        }
    }
}

#[test]
fn records_are_burn_s() {
    let folder = tempfile::tempdir().unwrap();
    let original = Ours::filled("saved");
    let expected = original.numbers();
    assert_ne!(Ours::new().numbers(), expected);

    let path = folder.path().join("ours.safetensors");
    let mut store = SafetensorsStore::from_file(&path);
    original.save_into(&mut store).unwrap();
    let mut burns = Ours::new().into_burn();
    let result = burns
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(Ours::from(burns).numbers(), expected);

    let path = folder.path().join("burns.safetensors");
    let mut store = SafetensorsStore::from_file(&path);
    original.clone().into_burn().save_into(&mut store).unwrap();
    let mut ours = Ours::new();
    let result = ours
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(ours.numbers(), expected);
}

/// `weight`, `bias`, `running_mean`, `running_var`, as PyTorch calls them.
#[test]
fn pytorch_s_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch.safetensors");
    let original = Ours::filled("saved");
    let mut store = SafetensorsStore::from_file(&path).with_to_adapter(BurnToPyTorchAdapter);
    original.save_into(&mut store).unwrap();
    let mut names: Vec<String> = SafetensorsStore::from_file(&path)
        .get_all_tensors()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    names.sort();
    let expected = [
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.weight",
        "conv.bias",
        "conv.weight",
    ];
    assert_eq!(names, expected);
    let mut ours = Ours::new();
    let mut store = SafetensorsStore::from_file(&path).with_from_adapter(PyTorchToBurnAdapter);
    let result = ours.load_from(&mut store).unwrap();
    assert!(
        result.missing.is_empty() && result.unused.is_empty(),
        "{result}"
    );
    assert_eq!(ours.numbers(), original.numbers());
}

/// The display names what Burn's layers name.
#[test]
fn layers_are_displayed_as_burn_s() {
    let ours = Ours::new();
    let burns = Ours::new().into_burn();
    for (ours, burns) in [
        (ours.conv.to_string(), burns.conv.to_string()),
        (ours.bn.to_string(), burns.bn.to_string()),
    ] {
        for field in burns.split_whitespace() {
            assert!(ours.contains(field), "{field} of {burns} in {ours}");
        }
    }
}
