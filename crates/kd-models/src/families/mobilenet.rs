//! MobileNetV2 (Sandler et al., 2018).

use crate::plan::{Builder, Conv, Value};

/// Expansion, channels, blocks, stride of the first block for ImageNet.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// Stages whose output is a tap.
const TAPPED: [usize; 4] = [1, 2, 4, 6];
const LAST: usize = 1280;

/// As RepDistiller has it: channels `width` hundredths of the paper's, rounded down, ReLU, the second stage at full resolution, an expansion
/// even where its factor is 1.
pub(crate) fn small(b: &mut Builder, width: usize) {
    let scaled = |channels: usize| channels * width / 100;
    let image = b.image();
    let mut x = b.activated(
        image,
        ["conv1.0", "conv1.1"],
        Conv::new(scaled(32), 3).stride(2),
    );
    b.tap("stem", x);
    for (stage, (factor, channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for i in 0..blocks {
            let stride = if i == 0 && stage != 1 { stride } else { 1 };
            let name = |part: usize| format!("blocks.{stage}.{i}.conv.{part}");
            let inner = b.channels(x) * factor;
            let y = b.activated(x, [name(0), name(1)], Conv::new(inner, 1));
            let depthwise = Conv::depthwise(inner).stride(stride);
            let y = b.activated(y, [name(3), name(4)], depthwise);
            let y = b.normed(y, [name(6), name(7)], Conv::new(scaled(channels), 1));
            x = with_shortcut(b, x, y, stride);
        }
        if TAPPED.contains(&stage) {
            b.tap(format!("blocks{stage}"), x);
        }
    }
    let last = LAST.max(scaled(LAST));
    let x = b.activated(x, ["conv2.0", "conv2.1"], Conv::new(last, 1));
    let x = b.pooled(x);
    b.head(x, "classifier.0");
}

/// As torchvision has it, without its dropout: ReLU6, and no expansion where its factor is 1.
pub(crate) fn imagenet(b: &mut Builder) {
    let normed = |b: &mut Builder, x: Value, name: String, conv: Conv| {
        let x = b.normed(x, [format!("{name}.0"), format!("{name}.1")], conv);
        b.relu6(x)
    };
    let image = b.image();
    let mut x = normed(b, image, "features.0".into(), Conv::new(32, 3).stride(2));
    b.tap("stem", x);
    let mut number = 1;
    for (stage, (factor, channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for i in 0..blocks {
            let stride = if i == 0 { stride } else { 1 };
            let name = |part: usize| format!("features.{number}.conv.{part}");
            let inner = b.channels(x) * factor;
            let (mut y, mut part) = (x, 0);
            if factor != 1 {
                y = normed(b, y, name(part), Conv::new(inner, 1));
                part += 1;
            }
            y = normed(b, y, name(part), Conv::depthwise(inner).stride(stride));
            let names = [name(part + 1), name(part + 2)];
            y = b.normed(y, names, Conv::new(channels, 1));
            x = with_shortcut(b, x, y, stride);
            number += 1;
        }
        if TAPPED.contains(&stage) {
            b.tap(format!("blocks{stage}"), x);
        }
    }
    let x = normed(b, x, format!("features.{number}"), Conv::new(LAST, 1));
    let x = b.pooled(x);
    b.head(x, "classifier.1");
}

fn with_shortcut(b: &mut Builder, x: Value, y: Value, stride: usize) -> Value {
    match stride == 1 && b.channels(x) == b.channels(y) {
        true => b.add(y, x),
        false => y,
    }
}
