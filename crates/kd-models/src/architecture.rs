use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use kd_nn::{Draw, Scheme};
use serde::{Deserialize, Serialize};

use crate::families::resnet::{NARROW, Shortcut, WIDE};
use crate::families::{densenet, lenet, mobilenet, resnet, shufflenet, vgg, wrn};
use crate::network::Network;
use crate::plan::{Builder, Plan, Unfit};
use crate::{Classifier, InputSpec, ModelError, Summary};

/// Convolutions by their fan-out, linear layers as PyTorch draws them.
const HE: Scheme = Scheme::KAIMING_FAN_OUT;
/// The same without the head's bias.
const HE_ZERO: Scheme = Scheme {
    linear_bias: false,
    ..HE
};
/// The same with small weights in linear layers.
const HE_HEAD: Scheme = Scheme {
    linear: Draw::Normal { std: 0.01 },
    ..HE_ZERO
};
/// Convolutions by their fan-in.
const HE_IN: Scheme = Scheme {
    conv: Draw::KaimingFanIn,
    ..HE_ZERO
};
/// All as PyTorch draws them.
const UNIFORM: Scheme = Scheme::UNIFORM_FAN_IN;

macro_rules! architectures {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $scheme:expr, |$builder:tt, $config:tt| $write:expr;)*) => {
        /// A network by its name in the field.
        ///
        /// Networks for small images take those of 32 and of 64 pixels, and others; `imagenet/` are the forms of torchvision, for 224. Each is
        /// laid out, initialised and named in weight files as in its published implementation, except that none has dropout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Architecture {
            $($(#[$doc])* $variant,)*
        }

        impl Architecture {
            /// Every architecture.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, as papers and reference code write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// How its weights are drawn.
            fn scheme(self) -> Scheme {
                match self {
                    $(Self::$variant => $scheme,)*
                }
            }

            /// Writes its operations down.
            fn write(self, builder: &mut Builder, config: &ModelConfig) {
                match self {
                    $(Self::$variant => {
                        let ($builder, $config) = (builder, config);
                        $write
                    })*
                }
            }
        }
    };
}

architectures! {
    /// CIFAR ResNet-8: 16, 32, 64 channels.
    ResNet8 = "resnet8", HE, |b, c| resnet::cifar(b, 8, NARROW, c.shortcut);
    /// CIFAR ResNet-14.
    ResNet14 = "resnet14", HE, |b, c| resnet::cifar(b, 14, NARROW, c.shortcut);
    /// CIFAR ResNet-20.
    ResNet20 = "resnet20", HE, |b, c| resnet::cifar(b, 20, NARROW, c.shortcut);
    /// CIFAR ResNet-32.
    ResNet32 = "resnet32", HE, |b, c| resnet::cifar(b, 32, NARROW, c.shortcut);
    /// CIFAR ResNet-44.
    ResNet44 = "resnet44", HE, |b, c| resnet::cifar(b, 44, NARROW, c.shortcut);
    /// CIFAR ResNet-56.
    ResNet56 = "resnet56", HE, |b, c| resnet::cifar(b, 56, NARROW, c.shortcut);
    /// CIFAR ResNet-110.
    ResNet110 = "resnet110", HE, |b, c| resnet::cifar(b, 110, NARROW, c.shortcut);
    /// CIFAR ResNet-8 with four times the channels: 64, 128, 256 after a stem of 32.
    ResNet8x4 = "resnet8x4", HE, |b, c| resnet::cifar(b, 8, WIDE, c.shortcut);
    /// CIFAR ResNet-32 with four times the channels.
    ResNet32x4 = "resnet32x4", HE, |b, c| resnet::cifar(b, 32, WIDE, c.shortcut);
    /// ResNet-18 with a 3×3 stem, for small images.
    ResNet18 = "resnet18", HE, |b, _| resnet::small_stem(b, 18);
    /// ResNet-34 with a 3×3 stem, for small images.
    ResNet34 = "resnet34", HE, |b, _| resnet::small_stem(b, 34);
    /// ResNet-50 with a 3×3 stem, for small images.
    ResNet50 = "resnet50", HE, |b, _| resnet::small_stem(b, 50);
    /// The ResNet-110 of online distillation: 36 bottlenecks, 1.15 M parameters.
    ResNet110Bottleneck = "resnet110_bottleneck", HE, |b, _| resnet::online(b, 12, 1);
    /// The WRN-20-8 of online distillation: six bottlenecks with wide insides.
    Wrn20_8 = "wrn_20_8", HE, |b, _| resnet::online(b, 2, 8);
    /// Wide ResNet of depth 16 and width 1.
    Wrn16_1 = "wrn_16_1", HE_ZERO, |b, _| wrn::wide_resnet(b, 16, 1);
    /// Wide ResNet of depth 16 and width 2.
    Wrn16_2 = "wrn_16_2", HE_ZERO, |b, _| wrn::wide_resnet(b, 16, 2);
    /// Wide ResNet of depth 40 and width 1.
    Wrn40_1 = "wrn_40_1", HE_ZERO, |b, _| wrn::wide_resnet(b, 40, 1);
    /// Wide ResNet of depth 40 and width 2.
    Wrn40_2 = "wrn_40_2", HE_ZERO, |b, _| wrn::wide_resnet(b, 40, 2);
    /// Wide ResNet of depth 28 and width 10.
    Wrn28_10 = "wrn_28_10", HE_ZERO, |b, _| wrn::wide_resnet(b, 28, 10);
    /// VGG-8 with batch norm and one linear layer, for small images.
    Vgg8 = "vgg8", HE_HEAD, |b, _| vgg::small(b, 8);
    /// VGG-11 with batch norm and one linear layer, for small images.
    Vgg11 = "vgg11", HE_HEAD, |b, _| vgg::small(b, 11);
    /// VGG-13 with batch norm and one linear layer, for small images.
    Vgg13 = "vgg13", HE_HEAD, |b, _| vgg::small(b, 13);
    /// VGG-16 with batch norm and one linear layer, for small images.
    Vgg16 = "vgg16", HE_HEAD, |b, _| vgg::small(b, 16);
    /// VGG-19 with batch norm and one linear layer, for small images.
    Vgg19 = "vgg19", HE_HEAD, |b, _| vgg::small(b, 19);
    /// The VGG-16 of online distillation: with three linear layers, for 32 pixels.
    Vgg16Mlp = "vgg16_mlp", HE_HEAD, |b, _| vgg::online(b, 16);
    /// The VGG-19 of online distillation: with three linear layers, for 32 pixels.
    Vgg19Mlp = "vgg19_mlp", HE_HEAD, |b, _| vgg::online(b, 19);
    /// MobileNetV2 of half the width, for small images.
    MobileNetV2 = "mobilenet_v2", HE_HEAD, |b, _| mobilenet::small(b, 50);
    /// MobileNetV2 of full width, for small images.
    MobileNetV2X1_0 = "mobilenet_v2_x1_0", HE_HEAD, |b, _| mobilenet::small(b, 100);
    /// ShuffleNet with three groups, for small images.
    ShuffleNetV1 = "shufflenet_v1", UNIFORM, |b, _| shufflenet::v1(b);
    /// ShuffleNetV2 of full width, for small images.
    ShuffleNetV2 = "shufflenet_v2", UNIFORM, |b, _| shufflenet::v2(b, &shufflenet::X1_0);
    /// ShuffleNetV2 of 0.3 times the width, for small images.
    ShuffleNetV2X0_3 = "shufflenet_v2_x0_3", UNIFORM, |b, _| shufflenet::v2(b, &shufflenet::X0_3);
    /// ShuffleNetV2 of 0.5 times the width, for small images.
    ShuffleNetV2X0_5 = "shufflenet_v2_x0_5", UNIFORM, |b, _| shufflenet::v2(b, &shufflenet::X0_5);
    /// ShuffleNetV2 of 1.5 times the width, for small images.
    ShuffleNetV2X1_5 = "shufflenet_v2_x1_5", UNIFORM, |b, _| shufflenet::v2(b, &shufflenet::X1_5);
    /// DenseNet-BC of depth 40 and growth 12.
    DenseNet40_12 = "densenet_40_12", HE_IN, |b, _| densenet::densenet(b, 6);
    /// DenseNet-BC of depth 100 and growth 12.
    DenseNetBc100_12 = "densenet_bc_100_12", HE_IN, |b, _| densenet::densenet(b, 16);
    /// LeNet-5 with ReLU and maxima, for 28 or 32 pixels.
    LeNet5 = "lenet5", UNIFORM, |b, _| lenet::lenet5(b);
    /// AlexNet for 28 or 32 pixels.
    AlexNet = "alexnet", UNIFORM, |b, _| lenet::alexnet(b);
    /// ResNet-18 for ImageNet, as torchvision's.
    ImageNetResNet18 = "imagenet/resnet18", HE, |b, _| resnet::imagenet(b, 18);
    /// ResNet-34 for ImageNet, as torchvision's.
    ImageNetResNet34 = "imagenet/resnet34", HE, |b, _| resnet::imagenet(b, 34);
    /// ResNet-50 for ImageNet, as torchvision's.
    ImageNetResNet50 = "imagenet/resnet50", HE, |b, _| resnet::imagenet(b, 50);
    /// VGG-11 for ImageNet, as torchvision's.
    ImageNetVgg11 = "imagenet/vgg11", HE_HEAD, |b, c| vgg::imagenet(b, 11, false, c.hidden);
    /// VGG-13 for ImageNet, as torchvision's.
    ImageNetVgg13 = "imagenet/vgg13", HE_HEAD, |b, c| vgg::imagenet(b, 13, false, c.hidden);
    /// VGG-16 for ImageNet, as torchvision's.
    ImageNetVgg16 = "imagenet/vgg16", HE_HEAD, |b, c| vgg::imagenet(b, 16, false, c.hidden);
    /// VGG-19 for ImageNet, as torchvision's.
    ImageNetVgg19 = "imagenet/vgg19", HE_HEAD, |b, c| vgg::imagenet(b, 19, false, c.hidden);
    /// VGG-11 with batch norm for ImageNet, as torchvision's.
    ImageNetVgg11Bn = "imagenet/vgg11_bn", HE_HEAD, |b, c| vgg::imagenet(b, 11, true, c.hidden);
    /// VGG-13 with batch norm for ImageNet, as torchvision's.
    ImageNetVgg13Bn = "imagenet/vgg13_bn", HE_HEAD, |b, c| vgg::imagenet(b, 13, true, c.hidden);
    /// VGG-16 with batch norm for ImageNet, as torchvision's.
    ImageNetVgg16Bn = "imagenet/vgg16_bn", HE_HEAD, |b, c| vgg::imagenet(b, 16, true, c.hidden);
    /// VGG-19 with batch norm for ImageNet, as torchvision's.
    ImageNetVgg19Bn = "imagenet/vgg19_bn", HE_HEAD, |b, c| vgg::imagenet(b, 19, true, c.hidden);
    /// MobileNetV2 for ImageNet, as torchvision's.
    ImageNetMobileNetV2 = "imagenet/mobilenet_v2", HE_HEAD, |b, _| mobilenet::imagenet(b);
    /// ShuffleNetV2 of 0.5 times the width for ImageNet, as torchvision's.
    ImageNetShuffleNetV2X0_5 = "imagenet/shufflenet_v2_x0_5", UNIFORM, |b, _| shufflenet::v2_imagenet(b, &shufflenet::X0_5);
    /// ShuffleNetV2 of full width for ImageNet, as torchvision's.
    ImageNetShuffleNetV2X1_0 = "imagenet/shufflenet_v2_x1_0", UNIFORM, |b, _| shufflenet::v2_imagenet(b, &shufflenet::X1_0);
    /// ShuffleNetV2 of 1.5 times the width for ImageNet, as torchvision's.
    ImageNetShuffleNetV2X1_5 = "imagenet/shufflenet_v2_x1_5", UNIFORM, |b, _| shufflenet::v2_imagenet(b, &shufflenet::X1_5);
}

impl Architecture {
    /// The network with the weights that `config.seed` draws.
    ///
    /// # Errors
    ///
    /// [`ModelError::SmallImage`] if nothing is left of the image for one of the layers,
    /// [`ModelError::TooLarge`] if its parameters or operations are too many to be counted.
    pub fn init(self, config: &ModelConfig, device: &Device) -> Result<Classifier, ModelError> {
        let network = self.network(config, 0, device)?;
        Ok(Classifier::new(network, self, config.input_spec.clone()))
    }

    /// What [`init`](Self::init) would build: its layers, their shapes, the counts of parameters and operations. Nothing is computed.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    pub fn summary(self, config: &ModelConfig) -> Result<Summary, ModelError> {
        let plan = self.plan(config, 0)?;
        Ok(Summary::new(self, &config.input_spec, &plan))
    }

    pub(crate) fn network(
        self,
        config: &ModelConfig,
        branches: usize,
        device: &Device,
    ) -> Result<Network, ModelError> {
        let network = Network::init(self.plan(config, branches)?, device);
        Ok(kd_nn::initialize(network, self.scheme(), config.seed))
    }

    pub(crate) fn plan(self, config: &ModelConfig, branches: usize) -> Result<Plan, ModelError> {
        let (size, classes) = (config.input_spec.size, config.input_spec.classes());
        let mut builder = Builder::new(size, classes, branches);
        self.write(&mut builder, config);
        let network = self.name();
        builder.finish().map_err(|reason| match reason {
            Unfit::TooSmall(layer) => ModelError::SmallImage {
                network,
                size,
                layer,
            },
            Unfit::TooLarge => ModelError::TooLarge {
                network,
                size,
                classes,
            },
        })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Architecture {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|one| one.name() == name);
        found
            .copied()
            .ok_or_else(|| ModelError::UnknownArchitecture {
                found: name.to_string(),
                near: near(name),
            })
    }
}

/// The names that are most like `name`, or all if none is.
fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(&name, other);
    let all = Architecture::ALL.iter().map(|one| one.name());
    let mut near: Vec<_> = all.clone().map(|other| (likeness(other), other)).collect();
    near.retain(|(likeness, _)| *likeness >= 0.6);
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    match near.is_empty() {
        true => all.collect(),
        false => near.into_iter().take(5).map(|(_, other)| other).collect(),
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
    /// Width of the two hidden layers of a VGG for ImageNet. Default: 4096.
    pub hidden: usize,
}

impl ModelConfig {
    /// Seed 0, projection shortcuts, 4096 hidden units.
    pub fn new(input_spec: InputSpec) -> Self {
        Self {
            input_spec,
            seed: 0,
            shortcut: Shortcut::Projection,
            hidden: 4096,
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

    /// Set the width of hidden layers.
    pub fn with_hidden(mut self, hidden: usize) -> Self {
        self.hidden = hidden;
        self
    }
}
