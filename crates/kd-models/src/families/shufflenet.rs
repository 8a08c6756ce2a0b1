//! ShuffleNet (Zhang et al., 2017) and ShuffleNetV2 (Ma et al., 2018).

use kd_nn::Pool;

use crate::plan::{Builder, Conv, Value};

const GROUPS: usize = 3;
const HALVE: Pool = Pool::square(3, 2, 1);

/// ShuffleNet with three groups, as RepDistiller has it: a 1×1 stem and no pooling behind it.
pub(crate) fn v1(b: &mut Builder) {
    let image = b.image();
    let mut x = b.activated(image, ["conv1", "bn1"], Conv::new(24, 1));
    b.tap("stem", x);
    for (stage, (outputs, blocks)) in [(240, 4), (480, 8), (960, 4)].into_iter().enumerate() {
        let name = format!("layer{}", stage + 1);
        for i in 0..blocks {
            x = v1_block(b, x, &format!("{name}.{i}"), outputs, i == 0);
        }
        b.tap(name, x);
    }
    let x = b.pooled(x);
    b.head(x, "linear");
}

/// The first block of a stage halves the resolution, and has the mean of its input as the rest of its channels.
fn v1_block(b: &mut Builder, x: Value, name: &str, outputs: usize, first: bool) -> Value {
    let inputs = b.channels(x);
    let outputs = if first { outputs - inputs } else { outputs };
    let groups = if inputs == 24 { 1 } else { GROUPS };
    let inner = outputs / 4;
    let names = |i: usize| [format!("{name}.conv{i}"), format!("{name}.bn{i}")];
    let y = b.activated(x, names(1), Conv::new(inner, 1).groups(groups));
    let y = b.shuffle(y, groups);
    let stride = if first { 2 } else { 1 };
    let y = b.activated(y, names(2), Conv::depthwise(inner).stride(stride));
    let y = b.normed(y, names(3), Conv::new(outputs, 1).groups(GROUPS));
    let y = match first {
        true => {
            let mean = b.average_pool(x, HALVE);
            b.concat(y, mean)
        }
        false => b.add(y, x),
    };
    b.relu(y)
}

/// Channels of the three stages and of the last convolution.
pub(crate) struct Widths([usize; 3], usize);

pub(crate) const X0_3: Widths = Widths([40, 80, 160], 512);
pub(crate) const X0_5: Widths = Widths([48, 96, 192], 1024);
pub(crate) const X1_0: Widths = Widths([116, 232, 464], 1024);
pub(crate) const X1_5: Widths = Widths([176, 352, 704], 1024);

/// ShuffleNetV2 as RepDistiller has it: a 1×1 stem and no pooling behind it.
pub(crate) fn v2(b: &mut Builder, widths: &Widths) {
    let image = b.image();
    let mut x = b.activated(image, ["conv1", "bn1"], Conv::new(24, 1));
    b.tap("stem", x);
    for (stage, (outputs, blocks)) in widths.0.into_iter().zip([4, 8, 4]).enumerate() {
        let name = format!("layer{}", stage + 1);
        for i in 0..blocks {
            let parts = |part: usize| {
                [
                    format!("{name}.{i}.conv{part}"),
                    format!("{name}.{i}.bn{part}"),
                ]
            };
            x = match i {
                0 => halving(b, x, outputs, [1, 2, 3, 4, 5].map(parts)),
                _ => keeping(b, x, [1, 2, 3].map(parts)),
            };
        }
        b.tap(name, x);
    }
    let x = b.activated(x, ["conv2", "bn2"], Conv::new(widths.1, 1));
    let x = b.pooled(x);
    b.head(x, "linear");
}

/// ShuffleNetV2 as torchvision has it. The stem's tap is before its pooling.
pub(crate) fn v2_imagenet(b: &mut Builder, widths: &Widths) {
    let image = b.image();
    let mut x = b.activated(image, ["conv1.0", "conv1.1"], Conv::new(24, 3).stride(2));
    b.tap("stem", x);
    x = b.max_pool(x, HALVE);
    for (stage, (outputs, blocks)) in widths.0.into_iter().zip([4, 8, 4]).enumerate() {
        let name = format!("stage{}", stage + 2);
        for i in 0..blocks {
            let parts = |(branch, conv): (usize, usize)| {
                [conv, conv + 1].map(|part| format!("{name}.{i}.branch{branch}.{part}"))
            };
            let right = [(2, 0), (2, 3), (2, 5)];
            x = match i {
                0 => {
                    let [a, b_, c] = right;
                    halving(b, x, outputs, [(1, 0), (1, 2), a, b_, c].map(parts))
                }
                _ => keeping(b, x, right.map(parts)),
            };
        }
        b.tap(name, x);
    }
    let x = b.activated(x, ["conv5.0", "conv5.1"], Conv::new(widths.1, 1));
    let x = b.pooled(x);
    b.head(x, "fc");
}

type Names = [String; 2];

/// 1×1, depthwise with the stride, 1×1.
fn branch(b: &mut Builder, x: Value, width: usize, stride: usize, names: [Names; 3]) -> Value {
    let [first, depthwise, last] = names;
    let x = b.activated(x, first, Conv::new(width, 1));
    let x = b.normed(x, depthwise, Conv::depthwise(width).stride(stride));
    b.activated(x, last, Conv::new(width, 1))
}

/// The second half of the channels goes through the branch, the first half stays.
fn keeping(b: &mut Builder, x: Value, names: [Names; 3]) -> Value {
    let [stays, goes] = b.halves(x);
    let width = b.channels(goes);
    let y = branch(b, goes, width, 1, names);
    let y = b.concat(stays, y);
    b.shuffle(y, 2)
}

/// All channels go through both branches, to half the resolution.
fn halving(b: &mut Builder, x: Value, outputs: usize, names: [Names; 5]) -> Value {
    let [depthwise, left, right @ ..] = names;
    let half = outputs / 2;
    let y = b.normed(x, depthwise, Conv::depthwise(b.channels(x)).stride(2));
    let y = b.activated(y, left, Conv::new(half, 1));
    let z = branch(b, x, half, 2, right);
    let y = b.concat(y, z);
    b.shuffle(y, 2)
}
