//! The residual networks for small images of He et al., *Deep Residual Learning*, 2015, section 4.2: a 3×3 stem, three
//! stages of `(depth - 2) / 6` basic blocks at full, half and quarter resolution, global average pooling, one linear
//! layer. The wide `x4` forms are those of the contrastive distillation benchmark (Tian et al., 2020).

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor, s};
use kd_nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Fused};
use serde::{Deserialize, Serialize};

use crate::Features;

/// What a residual block adds where its output has another shape than its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortcut {
    /// Option A: every second pixel, and zeros for the channels that are new, half of them before and half after. No
    /// parameters; what the original CIFAR networks used.
    Padding,
    /// Option B: a 1×1 convolution and batch norm; what the distillation benchmarks use.
    #[default]
    Projection,
}

/// A residual network for small images.
#[derive(Module, Debug)]
pub(crate) struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    fc: Linear,
}

#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<Projection>,
    stride: usize,
    channels: usize,
}

#[derive(Module, Debug)]
struct Projection {
    conv: Conv2d,
    bn: BatchNorm,
}

pub(crate) struct ResNetConfig {
    /// 6n + 2.
    pub(crate) depth: usize,
    /// Of the stem and of the three stages.
    pub(crate) channels: [usize; 4],
    pub(crate) input_channels: usize,
    pub(crate) classes: usize,
    pub(crate) shortcut: Shortcut,
}

impl ResNetConfig {
    pub(crate) fn init(&self, device: &Device) -> ResNet {
        let [stem, first, second, third] = self.channels;
        let stage = |input: usize, output: usize, stride: usize| {
            let blocks = (self.depth - 2) / 6;
            (0..blocks)
                .map(|block| match block {
                    0 => BasicBlock::new(input, output, stride, self.shortcut, device),
                    _ => BasicBlock::new(output, output, 1, self.shortcut, device),
                })
                .collect()
        };
        ResNet {
            conv1: conv(self.input_channels, stem, 3, 1, device),
            bn1: BatchNormConfig::new(stem).init(device),
            layer1: stage(stem, first, 1),
            layer2: stage(first, second, 2),
            layer3: stage(second, third, 2),
            fc: LinearConfig::new(third, self.classes)
                .with_initializer(Initializer::Zeros)
                .init(device),
        }
    }
}

/// Without bias, padded to keep the size at stride 1. The values are drawn later, by [`crate::init`].
fn conv(input: usize, output: usize, kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

impl ResNet {
    /// Normalised images to logits, with the stem and the three stages (each after its ReLU) and the pooled embedding.
    pub(crate) fn forward(&self, images: Tensor<4>) -> Features {
        let stem = Fused::new()
            .conv(&self.conv1)
            .norm(&self.bn1)
            .relu()
            .forward(images);
        let mut stages = vec![stem];
        for layer in [&self.layer1, &self.layer2, &self.layer3] {
            let input = stages[stages.len() - 1].clone();
            stages.push(stage(layer, input));
        }
        let embedding = adaptive_avg_pool2d(stages[3].clone(), [1, 1]).flatten(1, 3);
        Features {
            logits: self.fc.forward(embedding.clone()),
            stages,
            embedding: Some(embedding),
        }
    }
}

impl BasicBlock {
    fn new(
        input: usize,
        output: usize,
        stride: usize,
        shortcut: Shortcut,
        device: &Device,
    ) -> Self {
        let changes = stride != 1 || input != output;
        let projected = changes && shortcut == Shortcut::Projection;
        Self {
            conv1: conv(input, output, 3, stride, device),
            bn1: BatchNormConfig::new(output).init(device),
            conv2: conv(output, output, 3, 1, device),
            bn2: BatchNormConfig::new(output).init(device),
            downsample: projected.then(|| Projection {
                conv: conv(input, output, 1, stride, device),
                bn: BatchNormConfig::new(output).init(device),
            }),
            stride,
            channels: output,
        }
    }

    /// Whether the shortcut is neither the input itself nor a projection of it.
    fn pads(&self, input: usize) -> bool {
        self.downsample.is_none() && (self.stride != 1 || self.channels != input)
    }

    /// The block behind `before`, and what its shortcut is if it `pads`.
    fn append<'a>(&'a self, before: Fused<'a>, padded: Option<Tensor<4>>) -> Fused<'a> {
        let block = before
            .branch()
            .conv(&self.conv1)
            .norm(&self.bn1)
            .relu()
            .conv(&self.conv2)
            .norm(&self.bn2);
        let block = match (&self.downsample, padded) {
            (Some(Projection { conv, bn }), _) => block.add_projection(conv, bn),
            (None, Some(shortcut)) => block.add_tensor(shortcut),
            (None, None) => block.add_shortcut(),
        };
        block.relu()
    }
}

/// A stage as one operation: only its first block may need a shortcut that is computed beforehand.
fn stage(blocks: &[BasicBlock], x: Tensor<4>) -> Tensor<4> {
    let channels = x.dims()[1];
    let fused = blocks
        .iter()
        .enumerate()
        .fold(Fused::new(), |fused, (index, block)| {
            let pads = index == 0 && block.pads(channels);
            let padded = pads.then(|| pad_shortcut(x.clone(), block.channels, block.stride));
            block.append(fused, padded)
        });
    fused.forward(x)
}

/// Option A: subsample, and pad the channels with zeros to `channels`.
fn pad_shortcut(x: Tensor<4>, channels: usize, stride: usize) -> Tensor<4> {
    let x = match stride {
        1 => x,
        step => {
            let step = step as isize;
            x.slice(s![.., .., 0..;step, 0..;step])
        }
    };
    let [batch, input, height, width] = x.dims();
    if input == channels {
        return x;
    }
    let before = (channels - input) / 2;
    let after = channels - input - before;
    let zeros = |n| Tensor::zeros([batch, n, height, width], &x.device());
    Tensor::cat(vec![zeros(before), x.clone(), zeros(after)], 1)
}
