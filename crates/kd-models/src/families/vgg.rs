//! VGG networks (Simonyan and Zisserman, 2014) in three layouts.

use kd_nn::Pool;

use crate::plan::{Builder, Conv, Value};

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
const HALVE: Pool = Pool::square(2, 2, 0);

/// Convolutions of the five blocks.
fn counts(depth: usize) -> [usize; 5] {
    match depth {
        8 => [1, 1, 1, 1, 1],
        11 => [1, 1, 2, 2, 2],
        13 => [2, 2, 2, 2, 2],
        16 => [2, 2, 3, 3, 3],
        _ => [2, 2, 4, 4, 4],
    }
}

/// `count` times a convolution with bias, batch norm if there is one, ReLU: numbered in a row from `first` on, as in PyTorch's `Sequential`.
fn block(
    b: &mut Builder,
    mut x: Value,
    (name, first): (&str, usize),
    (width, count): (usize, usize),
    norm: bool,
) -> Value {
    let each = if norm { 3 } else { 2 };
    for i in (0..count).map(|i| first + each * i) {
        x = b.conv(x, format!("{name}.{i}"), Conv::new(width, 3).bias());
        if norm {
            x = b.norm(x, format!("{name}.{}", i + 1));
        }
        x = b.relu(x);
    }
    x
}

/// As RepDistiller has it: one linear layer behind the mean over the pixels. The fourth block is followed by a maximum only for images of
/// 64 rows.
pub(crate) fn small(b: &mut Builder, depth: usize) {
    let large = b.height() == 64;
    let mut x = b.image();
    for (i, block_of) in WIDTHS.into_iter().zip(counts(depth)).enumerate() {
        let name = format!("block{i}");
        x = block(b, x, (&name, 0), block_of, true);
        b.tap(name, x);
        if i < 3 || (i == 3 && large) {
            x = b.max_pool(x, HALVE);
        }
    }
    let x = b.pooled(x);
    b.head(x, "classifier");
}

/// As torchvision has it, without its dropout.
pub(crate) fn imagenet(b: &mut Builder, depth: usize, norm: bool, hidden: usize) {
    let mut x = b.image();
    let mut next = 0;
    for (i, (width, count)) in WIDTHS.into_iter().zip(counts(depth)).enumerate() {
        x = block(b, x, ("features", next), (width, count), norm);
        b.tap(format!("block{i}"), x);
        x = b.max_pool(x, HALVE);
        next += count * if norm { 3 } else { 2 } + 1;
    }
    let x = b.adaptive_average(x, 7);
    let x = b.flatten(x);
    perceptron(b, x, "classifier", hidden);
}

/// Three linear layers.
fn perceptron(b: &mut Builder, mut x: Value, name: &str, hidden: usize) {
    for i in [0, 3] {
        x = b.linear(x, format!("{name}.{i}"), hidden);
        x = b.relu(x);
    }
    b.head(x, format!("{name}.6"));
}

/// As online distillation is compared on it (Chen et al., *Online Knowledge Distillation with Diverse Peers*, 2020): three linear layers on 512
/// features, without dropout.
pub(crate) fn online(b: &mut Builder, depth: usize) {
    let mut x = b.image();
    for i in 1..=2 {
        let names = [format!("conv{i}"), format!("bn{i}")];
        x = b.activated(x, names, Conv::new(64, 3).bias());
    }
    b.tap("stem", x);
    x = b.max_pool(x, HALVE);
    let blocks: Vec<_> = WIDTHS.into_iter().zip(counts(depth)).skip(1).collect();
    for (i, &block_of) in blocks[..3].iter().enumerate() {
        let name = format!("layer{}", i + 1);
        x = block(b, x, (&name, 0), block_of, true);
        b.tap(name, x);
        x = b.max_pool(x, HALVE);
    }
    for branch in b.branches(x) {
        let (layer, head) = match branch {
            None => ("layer4".to_string(), "classifier".to_string()),
            Some(i) => (format!("layer3_{i}"), format!("classifier3_{i}")),
        };
        let x = block(b, x, (&layer, 0), blocks[3], true);
        b.tap(layer, x);
        let x = b.max_pool(x, HALVE);
        let x = b.flatten(x);
        perceptron(b, x, &head, 512);
    }
}
