//! Losses of maps in single precision on the CPU, where kernels take over, against the tensor operations that double precision takes.
//!
//! A sum of n numbers of 32 bits is rounded to about sqrt(n) 6e-8 of its terms, of a thousand to 2e-6: the bound is 1e-5 of the
//! largest value, and of the largest number of the gradient.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kd_core::*;

use crate::common::{host, numbers};

const BOUND: f64 = 1e-5;

type Function = Box<dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<1>>;

/// Which take maps of different channels and sizes.
fn of_any_two_maps() -> Vec<(&'static str, Function)> {
    let at = |power, distance| {
        let config = AtLossConfig::new().with_power(power);
        config.with_distance(distance).init().unwrap()
    };
    let sp = |norm| SpLossConfig::new().with_norm(norm).init();
    let (square, cube) = (
        at(2.0, AtDistance::MeanSquare),
        at(3.0, AtDistance::Euclidean),
    );
    let (rows, whole) = (sp(SpNorm::Rows), sp(SpNorm::Whole));
    let ft = FtLossConfig::new().init();
    vec![
        (
            "AT",
            Box::new(move |s, t| square.forward_no_reduction(s, t)),
        ),
        (
            "AT cubed",
            Box::new(move |s, t| cube.forward_no_reduction(s, t)),
        ),
        ("NST", Box::new(|s, t| NstLoss.forward_no_reduction(s, t))),
        ("SP", Box::new(move |s, t| rows.forward(s, t))),
        ("SP whole", Box::new(move |s, t| whole.forward(s, t))),
        ("FT", Box::new(move |s, t| ft.forward_no_reduction(s, t))),
    ]
}

/// Which take maps of one shape.
fn of_equal_maps() -> Vec<(&'static str, Function)> {
    let ab = |reduction| {
        let config = AbLossConfig::new().with_reduction(reduction);
        config.init().unwrap()
    };
    let (sum, mean) = (ab(AbReduction::ScaledSum), ab(AbReduction::Mean));
    let ft = FtLossConfig::new().with_factor(FtFactor::Whole).init();
    let irg = IrgLossConfig::new().init().unwrap();
    let graph = |x: Tensor<4>| Graph {
        lower: x.clone(),
        upper: x.clone().square(),
        embedding: x.clone().mean_dim(2).mean_dim(3).flatten(1, 3),
        logits: x.flatten(1, 3),
    };
    vec![
        ("AB", Box::new(move |s, t| sum.forward_no_reduction(s, t))),
        (
            "AB mean",
            Box::new(move |s, t| mean.forward_no_reduction(s, t)),
        ),
        (
            "FT whole",
            Box::new(move |s, t| ft.forward_no_reduction(s, t)),
        ),
        (
            "FSP",
            Box::new(|s, t| {
                let stages = |x: Tensor<4>| [x.clone(), x.square()];
                FspLoss.forward_no_reduction(stages(s), stages(t))
            }),
        ),
        ("IRG", Box::new(move |s, t| irg.forward(graph(s), graph(t)))),
    ]
}

/// A map with channels innermost or outermost in memory, of a leaf that it is a view of.
struct Map {
    leaf: Tensor<4>,
    innermost: bool,
}

impl Map {
    fn new([batch, channels, height, width]: [usize; 4], innermost: bool, phase: f64) -> Self {
        let values = numbers(batch, channels * height * width, 1.0, phase);
        let data = TensorData::new(values, [batch, channels, height, width]).convert::<f32>();
        let x = Tensor::<4>::from_data(data, &Device::flex());
        let x = if innermost {
            x.permute([0, 2, 3, 1])
        } else {
            x
        };
        // In the memory of its own.
        let leaf = Tensor::from_data(x.into_data(), &Device::flex());
        Self { leaf, innermost }
    }

    fn view(&self, leaf: Tensor<4>) -> Tensor<4> {
        if self.innermost {
            leaf.permute([0, 3, 1, 2])
        } else {
            leaf
        }
    }

    fn as_type(&self, dtype: DType) -> Tensor<4> {
        self.leaf.clone().cast(dtype)
    }
}

/// Values, and the gradient of their sum with a weight of its own for each.
fn evaluate(loss: &Function, student: &Map, teacher: &Map, dtype: DType) -> [Vec<f64>; 2] {
    let leaf = Tensor::from_inner(student.as_type(dtype)).require_grad();
    let values = loss(
        student.view(leaf.clone()),
        teacher.view(teacher.as_type(dtype)),
    );
    assert_eq!(values.dtype(), dtype);
    let [count] = values.dims();
    let weights = TensorData::new(numbers(count, 1, 1.0, 0.7), [count]);
    let weights = Tensor::<1>::from_data(weights, &Device::flex()).cast(dtype);
    let gradients = (values.clone() * weights).sum().backward();
    let gradient = leaf.grad(&gradients).expect("a gradient");
    [host(values.inner()), host(gradient)]
}

fn close(name: &str, found: &[f64], expected: &[f64]) {
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    assert_eq!(found.len(), expected.len(), "{name}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = (found - expected).abs();
        assert!(
            distance <= BOUND * largest,
            "{name}, number {i}: {found} instead of {expected}"
        );
    }
}

fn check(losses: &[(&'static str, Function)], student: [usize; 4], teacher: [usize; 4]) {
    for (name, loss) in losses {
        for (s, t) in [(false, false), (false, true), (true, false), (true, true)] {
            let (s, t) = (Map::new(student, s, 0.3), Map::new(teacher, t, 2.0));
            let name = format!(
                "{name}, {student:?} and {teacher:?}, channels innermost: {} {}",
                s.innermost, t.innermost
            );
            let [values, gradient] = evaluate(loss, &s, &t, DType::F64);
            let [single, single_gradient] = evaluate(loss, &s, &t, DType::F32);
            close(&name, &single, &values);
            close(&format!("{name}, gradient"), &single_gradient, &gradient);
            // Without autodiff.
            let untracked = loss(s.view(s.leaf.clone()), t.view(t.leaf.clone()));
            close(&name, &host(untracked), &values);
        }
    }
}

#[test]
fn single_and_double_precision_agree_for_maps_of_equal_shapes() {
    // Rows that are and are not whole vectors; one pixel, one channel, one sample.
    for shape in [
        [3, 16, 4, 4],
        [2, 5, 3, 7],
        [4, 7, 1, 1],
        [2, 1, 4, 5],
        [1, 6, 4, 4],
    ] {
        let [batch, channels, height, width] = shape;
        let losses = of_any_two_maps().into_iter().chain(of_equal_maps());
        // What has norm 1 and is alone says nothing: the attention of one pixel, a single channel, a single sample.
        let constant = |name: &str| match name {
            "AT" | "AT cubed" | "FT" => height * width == 1,
            "NST" => height * width == 1 || channels == 1,
            "SP" | "SP whole" => batch == 1,
            _ => false,
        };
        let losses: Vec<_> = losses.filter(|(name, _)| !constant(name)).collect();
        check(&losses, shape, shape);
    }
}

#[test]
fn single_and_double_precision_agree_for_maps_of_different_shapes() {
    for (student, teacher) in [
        ([3, 16, 4, 4], [3, 9, 4, 4]),
        ([3, 4, 8, 8], [3, 16, 4, 4]),
        ([2, 16, 2, 4], [2, 3, 4, 8]),
        ([2, 5, 7, 7], [2, 4, 3, 3]),
    ] {
        check(&of_any_two_maps(), student, teacher);
    }
}

/// Values and the gradients of `leaf`.
fn with_gradient(values: Tensor<1>, leaf: &Tensor<4>) -> [Vec<f64>; 2] {
    let gradients = values.clone().square().sum().backward();
    [host(values.inner()), host(leaf.grad(&gradients).unwrap())]
}

#[test]
fn fitnet_is_the_squared_difference_from_its_regressor() {
    let device = Device::flex().autodiff();
    let config = FitNetLossConfig::new([4, 6, 6], [5, 3, 3]);
    let loss = config.with_relu(false).init(&device).unwrap();
    for innermost in [false, true] {
        let teacher = Map::new([3, 5, 3, 3], innermost, 2.0);
        let teacher = || teacher.view(teacher.leaf.clone());
        let student = Tensor::from_inner(Map::new([3, 4, 6, 6], false, 0.3).leaf).require_grad();
        let found = loss.forward_no_reduction(student.clone(), teacher());
        let difference = loss.hint.forward(student.clone()) - Tensor::from_inner(teacher());
        let expected = difference
            .square()
            .flatten::<2>(1, 3)
            .mean_dim(1)
            .squeeze_dim(1);
        let (found, expected) = (
            with_gradient(found, &student),
            with_gradient(expected, &student),
        );
        close("value", &found[0], &expected[0]);
        close("gradient", &found[1], &expected[1]);
    }
}

#[test]
fn vid_is_the_likelihood_of_its_regressor() {
    let device = Device::flex().autodiff();
    let loss = VidLossConfig::new(4, 5).init(&device).unwrap();
    for innermost in [false, true] {
        let teacher = Map::new([3, 5, 3, 3], innermost, 2.0);
        let teacher = || teacher.view(teacher.leaf.clone());
        let student = Tensor::from_inner(Map::new([3, 4, 3, 3], false, 0.3).leaf).require_grad();
        let found = loss.forward_no_reduction(student.clone(), teacher());
        let mean = loss
            .regressor
            .iter()
            .enumerate()
            .fold(student.clone(), |x, (i, conv)| {
                let x = if i > 0 {
                    burn::tensor::activation::relu(x)
                } else {
                    x
                };
                conv.forward(x)
            });
        let variance = loss.variance().reshape([1, 5, 1, 1]);
        let squares = (mean - Tensor::from_inner(teacher())).square() / variance.clone();
        let expected = (squares + variance.log())
            .flatten::<2>(1, 3)
            .mean_dim(1)
            .squeeze_dim(1);
        let expected = expected.mul_scalar(0.5);
        let (found, expected) = (
            with_gradient(found, &student),
            with_gradient(expected, &student),
        );
        close("value", &found[0], &expected[0]);
        close("gradient", &found[1], &expected[1]);
    }
}
