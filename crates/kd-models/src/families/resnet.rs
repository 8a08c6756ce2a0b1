//! Residual networks (He et al., *Deep Residual Learning*, 2015).

use kd_nn::Pool;
use serde::{Deserialize, Serialize};

use crate::plan::{Builder, Conv, Value};

/// What a residual block of a CIFAR ResNet adds where its output has another shape than its input.
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

/// Channels of the stem and of the three stages.
pub(crate) const NARROW: [usize; 4] = [16, 16, 32, 64];
pub(crate) const WIDE: [usize; 4] = [32, 64, 128, 256];

const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// Section 4.2 there: three stages of `(depth - 2) / 6` basic blocks at full, half and quarter resolution. The wide forms are those of the
/// contrastive distillation benchmark (Tian et al., 2020), whose names the tensors have; with padded shortcuts those of the
/// common CIFAR-10 checkpoints.
pub(crate) fn cifar(b: &mut Builder, depth: usize, widths: [usize; 4], shortcut: Shortcut) {
    let image = b.image();
    let [stem, stages @ ..] = widths;
    let mut x = b.activated(image, ["conv1", "bn1"], Conv::new(stem, 3));
    b.tap("stem", x);
    let head = match shortcut {
        Shortcut::Padding => "linear",
        Shortcut::Projection => "fc",
    };
    let stage = |b: &mut Builder, mut x: Value, name: &str, width: usize, stride: usize| {
        for i in 0..(depth - 2) / 6 {
            let stride = if i == 0 { stride } else { 1 };
            let block = format!("{name}.{i}");
            let (y, shape) = basic(b, x, &block, width, stride);
            let changes = stride != 1 || b.channels(x) != width;
            let added = match (changes, shortcut) {
                (false, _) => x,
                (true, Shortcut::Padding) => b.pad_channels(x, width, stride),
                (true, Shortcut::Projection) => projection(b, x, &block, "downsample", shape),
            };
            let y = b.add(y, added);
            x = b.relu(y);
        }
        x
    };
    for (i, width) in stages.into_iter().enumerate().take(2) {
        let name = format!("layer{}", i + 1);
        x = stage(b, x, &name, width, i + 1);
        b.tap(name, x);
    }
    for branch in b.branches(x) {
        let (layer, head) = match branch {
            None => ("layer3".to_string(), head.to_string()),
            Some(i) => (format!("layer3_{i}"), format!("classifier3_{i}")),
        };
        let x = stage(b, x, &layer, stages[2], 2);
        b.tap(layer, x);
        let x = b.pooled(x);
        b.head(x, head);
    }
}

/// How blocks are built, and what their tensors are called.
#[derive(Clone, Copy)]
struct Style {
    /// The shortcut's convolution and norm.
    shortcut: &'static str,
    /// Inner and outer channels of a bottleneck, for one of the stage's; basic blocks without.
    bottleneck: Option<[usize; 2]>,
}

impl Style {
    fn outer(self, width: usize) -> usize {
        width * self.bottleneck.map_or(1, |[_, outer]| outer)
    }

    /// `blocks` blocks, the first with the stride.
    fn stage(
        self,
        b: &mut Builder,
        mut x: Value,
        name: &str,
        (width, blocks, stride): (usize, usize, usize),
    ) -> Value {
        for i in 0..blocks {
            let stride = if i == 0 { stride } else { 1 };
            let block = format!("{name}.{i}");
            let (y, shape) = match self.bottleneck {
                None => basic(b, x, &block, width, stride),
                Some([inner, outer]) => {
                    let widths = [width * inner, width * outer];
                    bottleneck(b, x, &block, widths, stride)
                }
            };
            let changes = stride != 1 || b.channels(x) != self.outer(width);
            let shortcut = match changes {
                false => x,
                true => projection(b, x, &block, self.shortcut, shape),
            };
            let y = b.add(y, shortcut);
            x = b.relu(y);
        }
        x
    }
}

/// What a shortcut has to come to: channels and stride.
type Change = (usize, usize);

fn basic(b: &mut Builder, x: Value, name: &str, width: usize, stride: usize) -> (Value, Change) {
    let names = |i: usize| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
    let y = b.activated(x, names(1), Conv::new(width, 3).stride(stride));
    (b.normed(y, names(2), Conv::new(width, 3)), (width, stride))
}

fn bottleneck(
    b: &mut Builder,
    x: Value,
    name: &str,
    [inner, outer]: [usize; 2],
    stride: usize,
) -> (Value, Change) {
    let names = |i: usize| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
    let y = b.activated(x, names(1), Conv::new(inner, 1));
    let y = b.activated(y, names(2), Conv::new(inner, 3).stride(stride));
    (b.normed(y, names(3), Conv::new(outer, 1)), (outer, stride))
}

fn projection(
    b: &mut Builder,
    x: Value,
    block: &str,
    name: &str,
    (channels, stride): Change,
) -> Value {
    let names = [0, 1].map(|i| format!("{block}.{name}.{i}"));
    b.normed(x, names, Conv::new(channels, 1).stride(stride))
}

/// Blocks of the four stages, and whether they are bottlenecks.
fn blocks(depth: usize) -> ([usize; 4], Option<[usize; 2]>) {
    match depth {
        18 => ([2, 2, 2, 2], None),
        34 => ([3, 4, 6, 3], None),
        _ => ([3, 4, 6, 3], Some([1, 4])),
    }
}

fn four_stages(b: &mut Builder, mut x: Value, depth: usize, shortcut: &'static str, head: &str) {
    let (blocks, bottleneck) = blocks(depth);
    let style = Style {
        shortcut,
        bottleneck,
    };
    for (i, (width, blocks)) in WIDTHS.into_iter().zip(blocks).enumerate() {
        let name = format!("layer{}", i + 1);
        let stride = if i == 0 { 1 } else { 2 };
        x = style.stage(b, x, &name, (width, blocks, stride));
        b.tap(name, x);
    }
    let x = b.pooled(x);
    b.head(x, head);
}

/// ResNet-18, 34 or 50 with a 3×3 stem and no pooling behind it, as RepDistiller has them.
pub(crate) fn small_stem(b: &mut Builder, depth: usize) {
    let image = b.image();
    let x = b.activated(image, ["conv1", "bn1"], Conv::new(64, 3));
    b.tap("stem", x);
    four_stages(b, x, depth, "shortcut", "linear");
}

/// ResNet-18, 34 or 50 for ImageNet, as torchvision has them. The stem's tap is before its pooling.
pub(crate) fn imagenet(b: &mut Builder, depth: usize) {
    let image = b.image();
    let x = b.activated(image, ["conv1", "bn1"], Conv::new(64, 7).stride(2));
    b.tap("stem", x);
    let pool = Pool::square(3, 2, 1);
    let x = b.max_pool(x, pool);
    four_stages(b, x, depth, "downsample", "fc");
}

/// The bottleneck networks that online distillation is compared on (Chen et al., *Online Knowledge Distillation with Diverse Peers*, 2020):
/// three stages of `blocks` bottlenecks, inside `factor` times the stage's 16, 32, 64 channels, outside four times.
pub(crate) fn online(b: &mut Builder, blocks: usize, factor: usize) {
    let style = Style {
        shortcut: "downsample",
        bottleneck: Some([factor, 4]),
    };
    let image = b.image();
    let mut x = b.activated(image, ["conv1", "bn1"], Conv::new(16, 3));
    b.tap("stem", x);
    for (i, width) in [16, 32].into_iter().enumerate() {
        let name = format!("layer{}", i + 1);
        x = style.stage(b, x, &name, (width, blocks, i + 1));
        b.tap(name, x);
    }
    for branch in b.branches(x) {
        let (layer, head) = match branch {
            None => ("layer3".to_string(), "fc".to_string()),
            Some(i) => (format!("layer3_{i}"), format!("classifier3_{i}")),
        };
        let x = style.stage(b, x, &layer, (64, blocks, 2));
        b.tap(layer, x);
        let x = b.pooled(x);
        b.head(x, head);
    }
}
