use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{BATCH, check, check_parameters, device, input};

const MAP: [usize; 4] = [BATCH, 4, 4, 4];
/// Other channels, and half the size.
const SMALLER: [usize; 4] = [BATCH, 3, 2, 2];
/// Other channels, and a size to which no whole windows lead.
const UNEVEN: [usize; 4] = [BATCH, 3, 3, 4];

/// Batch norm takes off again what these add.
const BEFORE_NORM: [&str; 5] = [
    "hint.conv.Conv.bias",
    "hint.conv.Transposed.bias",
    "encoder.0.bias",
    "encoder.1.bias",
    "encoder.2.bias",
];

/// The gradient at a map in both orders of memory: channels outermost and innermost.
fn check_map(name: &str, [batch, c, h, w]: [usize; 4], loss: impl Fn(Tensor<4>) -> Tensor<1>) {
    check(name, input([batch, c, h, w], 1.0, 0.1), &loss);
    let name = format!("{name}, channels innermost");
    check(&name, input([batch, h, w, c], 1.0, 0.1), |x| {
        loss(x.permute([0, 3, 1, 2]))
    });
}

fn teacher(shape: [usize; 4]) -> Tensor<4> {
    input(shape, 1.5, 2.0)
}

#[test]
fn at_loss() {
    for distance in [AtDistance::MeanSquare, AtDistance::Euclidean] {
        for power in [1.0, 2.0, 3.0] {
            let config = AtLossConfig::new().with_power(power);
            let loss = config.with_distance(distance).init().unwrap();
            for shape in [MAP, SMALLER, UNEVEN] {
                let name = format!("{distance:?} {power} {shape:?}");
                check_map(&name, MAP, |x| loss.forward(x, teacher(shape)));
            }
        }
    }
    let loss = AtLossConfig::new().init().unwrap();
    check_map("to a larger map", SMALLER, |x| {
        loss.forward(x, teacher(MAP))
    });
}

#[test]
fn nst_loss() {
    for shape in [MAP, SMALLER, UNEVEN] {
        check_map(&format!("{shape:?}"), MAP, |x| {
            NstLoss.forward(x, teacher(shape))
        });
    }
}

#[test]
fn vid_loss() {
    for shape in [MAP, SMALLER] {
        let config = VidLossConfig::new(MAP[1], shape[1]).with_initial_variance(0.5);
        let loss = config.init(&device()).unwrap();
        let name = format!("{shape:?}");
        check_map(&name, MAP, |x| loss.forward(x, teacher(shape)));
        check_parameters(&name, &loss, &[], |loss| {
            let student = Tensor::from_inner(input(MAP, 1.0, 0.1));
            loss.forward(student, teacher(shape))
        });
    }
}

#[test]
fn fsp_loss() {
    let upper = |phase| input([BATCH, 5, 2, 2], 1.0, phase);
    let lower = |phase| input([BATCH, 3, 4, 2], 1.0, phase);
    let to = || [lower(2.0), upper(3.0)];
    check_map("lower", [BATCH, 3, 4, 2], |x| {
        FspLoss.forward([x, Tensor::from_inner(upper(1.0))], to())
    });
    check_map("upper", [BATCH, 5, 2, 2], |x| {
        FspLoss.forward([Tensor::from_inner(lower(1.0)), x], to())
    });
}

#[test]
fn ab_loss() {
    for reduction in [AbReduction::ScaledSum, AbReduction::Mean] {
        for margin in [0.0, 0.4, 2.0] {
            let config = AbLossConfig::new().with_margin(margin);
            let loss = config.with_reduction(reduction).init().unwrap();
            check_map(&format!("{reduction:?} {margin}"), MAP, |x| {
                loss.forward(x, teacher(MAP))
            });
        }
    }
}

#[test]
fn ft_loss() {
    let attention = FtLossConfig::new().init();
    for shape in [MAP, SMALLER] {
        check_map(&format!("attention {shape:?}"), MAP, |x| {
            attention.forward(x, teacher(shape))
        });
    }
    let whole = FtLossConfig::new().with_factor(FtFactor::Whole).init();
    for shape in [MAP, [BATCH, 4, 2, 2]] {
        check_map(&format!("whole {shape:?}"), MAP, |x| {
            whole.forward(x, teacher(shape))
        });
    }
}

#[test]
fn paraphraser() {
    let paraphraser = ParaphraserConfig::new(4).init(&device()).unwrap();
    check_map("map", MAP, |x| paraphraser.reconstruction_loss(x));
    check_parameters("paraphraser", &paraphraser, &[], |paraphraser| {
        paraphraser.reconstruction_loss(Tensor::from_inner(input(MAP, 1.0, 0.1)))
    });
}

#[test]
fn translator() {
    let translator = TranslatorConfig::new(4, 6).init(&device()).unwrap();
    let loss = FtLossConfig::new().init();
    let forward =
        |translator: &Translator, x| loss.forward(translator.forward(x), teacher(SMALLER));
    check_map("map", MAP, |x| forward(&translator, x));
    check_parameters("translator", &translator, &BEFORE_NORM, |translator| {
        forward(translator, Tensor::from_inner(input(MAP, 1.0, 0.1)))
    });
}

#[test]
fn fitnet_loss() {
    for (teacher_size, relu) in [
        ([3, 4, 4], true),
        ([3, 2, 2], true),
        ([3, 8, 8], true),
        ([3, 3, 2], false),
    ] {
        let config = FitNetLossConfig::new([4, 4, 4], teacher_size).with_relu(relu);
        let loss = config.init(&device()).unwrap();
        let name = format!("{teacher_size:?}");
        let [c, h, w] = teacher_size;
        let to = || teacher([BATCH, c, h, w]);
        check_map(&name, MAP, |x| loss.forward(x, to()));
        check_parameters(&name, &loss, &BEFORE_NORM, |loss| {
            loss.forward(Tensor::from_inner(input(MAP, 1.0, 0.1)), to())
        });
    }
}
