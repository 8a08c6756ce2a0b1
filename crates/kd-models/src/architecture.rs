use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::classifier::{Classifier, Network};
use crate::resnet::{ResNetConfig, Shortcut};
use crate::{InputSpec, ModelError};

/// A network by its name in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Architecture {
    /// CIFAR ResNet-8: 16, 32, 64 channels.
    ResNet8,
    /// CIFAR ResNet-14.
    ResNet14,
    /// CIFAR ResNet-20.
    ResNet20,
    /// CIFAR ResNet-32.
    ResNet32,
    /// CIFAR ResNet-44.
    ResNet44,
    /// CIFAR ResNet-56.
    ResNet56,
    /// CIFAR ResNet-110.
    ResNet110,
    /// CIFAR ResNet-8 with four times the channels: 64, 128, 256 after a stem of 32.
    ResNet8x4,
    /// CIFAR ResNet-32 with four times the channels.
    ResNet32x4,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 9] = [
        Self::ResNet8,
        Self::ResNet14,
        Self::ResNet20,
        Self::ResNet32,
        Self::ResNet44,
        Self::ResNet56,
        Self::ResNet110,
        Self::ResNet8x4,
        Self::ResNet32x4,
    ];

    /// The name, as papers and reference code write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet8 => "resnet8",
            Self::ResNet14 => "resnet14",
            Self::ResNet20 => "resnet20",
            Self::ResNet32 => "resnet32",
            Self::ResNet44 => "resnet44",
            Self::ResNet56 => "resnet56",
            Self::ResNet110 => "resnet110",
            Self::ResNet8x4 => "resnet8x4",
            Self::ResNet32x4 => "resnet32x4",
        }
    }

    /// Build the network with the weights that `config.seed` draws.
    pub fn init(self, config: &ModelConfig, device: &Device) -> Classifier {
        const NARROW: [usize; 4] = [16, 16, 32, 64];
        const WIDE: [usize; 4] = [32, 64, 128, 256];
        let (depth, channels) = match self {
            Self::ResNet8 => (8, NARROW),
            Self::ResNet14 => (14, NARROW),
            Self::ResNet20 => (20, NARROW),
            Self::ResNet32 => (32, NARROW),
            Self::ResNet44 => (44, NARROW),
            Self::ResNet56 => (56, NARROW),
            Self::ResNet110 => (110, NARROW),
            Self::ResNet8x4 => (8, WIDE),
            Self::ResNet32x4 => (32, WIDE),
        };
        let network = ResNetConfig {
            depth,
            channels,
            input_channels: config.input_spec.size[0],
            classes: config.input_spec.classes(),
            shortcut: config.shortcut,
        }
        .init(device);
        let network = Network::ResNet(kd_nn::initialize(
            network,
            kd_nn::Scheme::KaimingFanOut,
            config.seed,
        ));
        Classifier::new(network, self, config.input_spec.clone())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| ModelError::UnknownArchitecture {
                found: name.to_string(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

impl TryFrom<String> for Architecture {
    type Error = ModelError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Architecture> for String {
    fn from(architecture: Architecture) -> Self {
        architecture.name().to_string()
    }
}

/// What an [`Architecture`] needs to become a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// What the network is shown and how many classes it tells apart.
    pub input_spec: InputSpec,
    /// The seed of the initial weights.
    pub seed: u64,
    /// The shortcut of a CIFAR ResNet where the shape changes. Default: [`Shortcut::Projection`].
    pub shortcut: Shortcut,
}

impl ModelConfig {
    /// Seed 0 and projection shortcuts.
    pub fn new(input_spec: InputSpec) -> Self {
        Self {
            input_spec,
            seed: 0,
            shortcut: Shortcut::Projection,
        }
    }

    /// Set the seed of the initial weights.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Set the kind of shortcut.
    pub fn with_shortcut(mut self, shortcut: Shortcut) -> Self {
        self.shortcut = shortcut;
        self
    }
}
