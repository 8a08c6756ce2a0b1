//! LeNet-5 (LeCun et al., 1998) with ReLU and maxima, and AlexNet (Krizhevsky et al., 2012) for small images.

use kd_nn::Pool;

use crate::plan::{Builder, Conv, Value};

const HALVE: Pool = Pool::square(2, 2, 0);

/// 28 pixels are padded to 32, as usual on MNIST.
fn padded(b: &Builder) -> usize {
    if b.height() == 28 { 2 } else { 0 }
}

pub(crate) fn lenet5(b: &mut Builder) {
    let image = b.image();
    let padding = padded(b);
    let mut x = stage(b, image, "conv1", Conv::new(6, 5).padding(padding));
    b.tap("conv1", x);
    x = b.max_pool(x, HALVE);
    x = stage(b, x, "conv2", Conv::new(16, 5).padding(0));
    b.tap("conv2", x);
    x = b.max_pool(x, HALVE);
    x = b.flatten(x);
    for (name, width) in [("fc1", 120), ("fc2", 84)] {
        x = b.linear(x, name, width);
        x = b.relu(x);
    }
    b.head(x, "fc3");
}

/// The form with an 11×11 stem of stride 4 and one linear layer that is common for CIFAR.
pub(crate) fn alexnet(b: &mut Builder) {
    let padding = 5 + padded(b);
    let mut x = b.image();
    let convs = [
        (0, Conv::new(64, 11).stride(4).padding(padding)),
        (3, Conv::new(192, 5)),
        (6, Conv::new(384, 3)),
        (8, Conv::new(256, 3)),
        (10, Conv::new(256, 3)),
    ];
    for (i, (number, conv)) in convs.into_iter().enumerate() {
        x = stage(b, x, &format!("features.{number}"), conv);
        b.tap(format!("conv{}", i + 1), x);
        if [0, 1, 4].contains(&i) {
            x = b.max_pool(x, HALVE);
        }
    }
    let x = b.flatten(x);
    b.head(x, "classifier");
}

fn stage(b: &mut Builder, x: Value, name: &str, conv: Conv) -> Value {
    let x = b.conv(x, name, conv.bias());
    b.relu(x)
}
