//! DenseNet-BC for small images (Huang et al., 2017), with the names of the online distillation benchmark (Chen et al., 2020).

use kd_nn::Pool;

use crate::plan::{Builder, Conv, Value};

const GROWTH: usize = 12;
const HALVE: Pool = Pool::square(2, 2, 0);

/// Three blocks of `layers` layers. Branches share the third, as in the online distillation benchmark, and differ in what follows.
pub(crate) fn densenet(b: &mut Builder, layers: usize) {
    let image = b.image();
    let mut x = b.conv(image, "features.conv0", Conv::new(2 * GROWTH, 3));
    b.tap("stem", x);
    let mut branches = Vec::new();
    for block in 1..=3 {
        if block > 1 {
            x = transition(b, x, &format!("features.transition{}", block - 1));
        }
        let mut name = format!("features.denseblock{block}");
        if block == 3 {
            branches = b.branches(x);
            if branches[0].is_some() {
                name = "layer3_0".into();
            }
        }
        for layer in 1..=layers {
            x = dense(b, x, &format!("{name}.denselayer{layer}"));
        }
        b.tap(format!("denseblock{block}"), x);
    }
    for branch in branches {
        let (norm, head) = match branch {
            None => ("features.norm_final".into(), "classifier".into()),
            Some(i) => (format!("norm_final_{i}"), format!("classifier3_{i}")),
        };
        let x = b.norm(x, norm);
        let x = b.relu(x);
        let x = b.pooled(x);
        b.head(x, head);
    }
}

/// What was there, and `GROWTH` channels more.
fn dense(b: &mut Builder, x: Value, name: &str) -> Value {
    let y = b.norm(x, format!("{name}.norm1"));
    let y = b.relu(y);
    let names = [format!("{name}.conv1"), format!("{name}.norm2")];
    let y = b.activated(y, names, Conv::new(4 * GROWTH, 1));
    let y = b.conv(y, format!("{name}.conv2"), Conv::new(GROWTH, 3));
    b.concat(x, y)
}

/// Half the channels at half the resolution.
fn transition(b: &mut Builder, x: Value, name: &str) -> Value {
    let half = b.channels(x) / 2;
    let y = b.norm(x, format!("{name}.norm"));
    let y = b.relu(y);
    let y = b.conv(y, format!("{name}.conv"), Conv::new(half, 1));
    b.average_pool(y, HALVE)
}
