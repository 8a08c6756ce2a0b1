//! Wide residual networks (Zagoruyko and Komodakis, 2016): batch norm and ReLU before each convolution. Named as in RepDistiller.

use crate::plan::{Builder, Conv, Value};

/// Three stages of `(depth - 4) / 6` blocks of `factor` times 16, 32, 64 channels. The taps are before any norm of what follows.
pub(crate) fn wide_resnet(b: &mut Builder, depth: usize, factor: usize) {
    let image = b.image();
    let mut x = b.conv(image, "conv1", Conv::new(16, 3));
    b.tap("stem", x);
    for stage in 1..=3 {
        let width = (8 << stage) * factor;
        for i in 0..(depth - 4) / 6 {
            let stride = if stage > 1 && i == 0 { 2 } else { 1 };
            x = block(b, x, &format!("block{stage}.layer.{i}"), width, stride);
        }
        b.tap(format!("block{stage}"), x);
    }
    let x = b.norm(x, "bn1");
    let x = b.relu(x);
    let x = b.pooled(x);
    b.head(x, "fc");
}

/// The shortcut of a block that changes the channels is a convolution of its activated input.
fn block(b: &mut Builder, x: Value, name: &str, width: usize, stride: usize) -> Value {
    let active = b.norm(x, format!("{name}.bn1"));
    let active = b.relu(active);
    let shortcut = match b.channels(x) == width {
        true => x,
        false => {
            let conv = Conv::new(width, 1).stride(stride);
            b.conv(active, format!("{name}.convShortcut"), conv)
        }
    };
    let names = [format!("{name}.conv1"), format!("{name}.bn2")];
    let y = b.activated(active, names, Conv::new(width, 3).stride(stride));
    let y = b.conv(y, format!("{name}.conv2"), Conv::new(width, 3));
    b.add(y, shortcut)
}
