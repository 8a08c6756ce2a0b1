//! Losses that have a value for each sample, which terms of kd-train do not show.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use burn::tensor::{DType, Device, Int, Tensor};
use common::*;
use kd_core::*;

const MAP: [usize; 3] = [4, 4, 4];
/// A map that is not of the student's shape.
const SMALLER: [usize; 3] = [6, 2, 2];

type Function = fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>;

/// A loss of one row of numbers for each sample of the student and of the teacher.
#[derive(Clone, Copy)]
struct Loss {
    name: &'static str,
    widths: [usize; 2],
    mean: Function,
    each: Function,
}

impl Loss {
    fn call(&self, function: Function, student: &Tensor<2>, teacher: &Tensor<2>) -> Tensor<1> {
        let labels = labels(student.dims()[0], &student.device());
        function(student.clone(), teacher.clone(), labels)
    }

    /// Rows of the student, 0, or of the teacher, 1.
    fn input(&self, kind: &str, batch: usize, side: usize) -> Tensor<2> {
        let (width, phase) = (self.widths[side], 0.2 + 0.9 * side as f64);
        let values = match kind {
            "zero" => vec![0.0; batch * width],
            "huge" => numbers(batch, width, 1e4, phase),
            "tiny" => numbers(batch, width, 1e-15, phase),
            _ => numbers(batch, width, 1.5, phase),
        };
        rows(&values, width, &Device::flex())
    }
}

/// `name, loss, widths => (what it is given)` for each.
macro_rules! losses {
    (|$s:ident, $t:ident, $y:ident|
     $($name:literal, $loss:expr, $widths:expr => ($($given:expr),+);)+) => {
        [$(Loss {
            name: $name,
            widths: $widths,
            mean: |$s, $t, $y| {
                let (loss, _) = ($loss, (&$t, &$y));
                loss.forward($($given),+)
            },
            each: |$s, $t, $y| {
                let (loss, _) = ($loss, (&$t, &$y));
                loss.forward_no_reduction($($given),+)
            },
        }),+]
    };
}

/// Both maps of a stage.
fn stages(x: Tensor<2>) -> [Tensor<4>; 2] {
    [0, 32].map(|start| map(x.clone().narrow(1, start, 32), [2, 4, 4]))
}

fn losses() -> impl Iterator<Item = Loss> {
    const LOGITS: [usize; 2] = [CLASSES; 2];
    const MAPS: [usize; 2] = [64; 2];
    const REGRESSED: [usize; 2] = [64, 24];
    losses! { |s, t, y|
        "KL", KlLossConfig::new().init().unwrap(), LOGITS => (s, t);
        "reverse KL", ReverseKlLossConfig::new().init().unwrap(), LOGITS => (s, t);
        "JS", JsLossConfig::new().init().unwrap(), LOGITS => (s, t);
        "logits", LogitMseLossConfig::new().init(), LOGITS => (s, t);
        "centred logits", LogitMseLossConfig::new().with_centered(true).init(), LOGITS => (s, t);
        "soft", SoftCrossEntropyLoss, LOGITS => (s, divergence::softmax(t, 1.0));
        "label smoothing", LabelSmoothingLossConfig::new().init().unwrap(), LOGITS => (s, y);
        "Tf-KD virtual", TfKdVirtualLossConfig::new().init().unwrap(), LOGITS => (s, y);
        "KD", KdLossConfig::new().init().unwrap(), LOGITS => (s, t, y);
        "DKD", DkdLossConfig::new().init().unwrap(), LOGITS => (s, t, y);
        "Tf-KD", TfKdSelfLossConfig::new().init().unwrap(), LOGITS => (s, t, y);
        "CS-KD", CsKdLossConfig::new().init().unwrap(), LOGITS => (s, t, y);
        "AT", AtLossConfig::new().init().unwrap(), MAPS => (map(s, MAP), map(t, MAP));
        "AT by norm", AtLossConfig::new().with_distance(AtDistance::Euclidean).init().unwrap(),
            MAPS => (map(s, MAP), map(t, MAP));
        "NST", NstLoss, MAPS => (map(s, MAP), map(t, MAP));
        "FSP", FspLoss, MAPS => (stages(s), stages(t));
        "AB", AbLossConfig::new().init().unwrap(), MAPS => (map(s, MAP), map(t, MAP));
        "AB mean", AbLossConfig::new().with_reduction(AbReduction::Mean).init().unwrap(),
            MAPS => (map(s, MAP), map(t, MAP));
        "FT", FtLossConfig::new().init(), MAPS => (map(s, MAP), map(t, MAP));
        "FT of whole factors", FtLossConfig::new().with_factor(FtFactor::Whole).init(),
            MAPS => (map(s, MAP), map(t, MAP));
        "FitNet", FitNetLossConfig::new(MAP, SMALLER).init(&s.device()).unwrap(),
            REGRESSED => (map(s, MAP), map(t, SMALLER));
        "VID", VidLossConfig::new(MAP[0], SMALLER[0]).init(&s.device()).unwrap(),
            REGRESSED => (map(s, MAP), map(t, SMALLER));
    }
    .into_iter()
}

#[test]
fn the_loss_is_the_mean_of_the_samples() {
    for (loss, batch) in losses().flat_map(|loss| [(loss, 1), (loss, 2), (loss, 5)]) {
        for innermost in [false, true] {
            channels_innermost(innermost);
            let [student, teacher] = [0, 1].map(|side| loss.input("ordinary", batch, side));
            let mean = number(loss.call(loss.mean, &student, &teacher));
            let each = host(loss.call(loss.each, &student, &teacher));
            assert_eq!(each.len(), batch);
            let sum: f64 = each.iter().sum();
            let size = 1.0 + each.iter().map(|x| x.abs()).sum::<f64>();
            let distance = (mean - sum / batch as f64).abs();
            assert!(distance <= 1e-6 * size, "{}: {distance}", loss.name);
        }
    }
}

/// Of no sample there is no value.
#[test]
fn every_loss_of_samples_takes_a_batch_of_none() {
    for (loss, innermost) in losses().flat_map(|loss| [(loss, false), (loss, true)]) {
        channels_innermost(innermost);
        for device in [Device::flex(), Device::flex().autodiff()] {
            let student = Tensor::zeros([0, loss.widths[0]], &device);
            let teacher = Tensor::zeros([0, loss.widths[1]], &Device::flex());
            let values = loss.call(loss.each, &student, &teacher);
            assert_eq!(values.dims(), [0], "{}", loss.name);
        }
    }
}

/// A cast lays a view out anew, which changes the order of some sums.
#[test]
fn every_loss_of_samples_computes_half_precision_in_single() {
    for (loss, half) in losses().flat_map(|loss| [(loss, DType::F16), (loss, DType::BF16)]) {
        let narrow = [0, 1].map(|side| loss.input("ordinary", 3, side).cast(half));
        let wide = narrow.clone().map(|x| x.cast(DType::F32));
        let found = loss.call(loss.each, &narrow[0], &narrow[1]);
        assert_eq!(found.dtype(), DType::F32, "{}", loss.name);
        let expected = host(loss.call(loss.each, &wide[0], &wide[1]));
        let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (found, expected) in host(found).into_iter().zip(expected) {
            let distance = (found - expected).abs();
            assert!(distance <= 1e-6 * largest, "{}: {distance}", loss.name);
        }
    }
}

/// The losses themselves, without the layers that their terms put before them.
#[test]
fn every_loss_of_samples_is_finite_at_the_ends_and_carries_nan() {
    let kinds = ["zero", "huge", "tiny", "ordinary"];
    let pairs = || kinds.iter().flat_map(|s| kinds.map(|t| (*s, t)));
    for (loss, innermost) in losses().flat_map(|loss| [(loss, false), (loss, true)]) {
        channels_innermost(innermost);
        let is_finite = |student: &Tensor<2>, teacher: &Tensor<2>| {
            let (value, gradient) =
                with_gradient(|s, t| loss.call(loss.mean, &s, &t), student, teacher);
            value.is_finite() && gradient.iter().all(|g| g.is_finite())
        };
        for (of_student, of_teacher) in pairs() {
            let (student, teacher) = (loss.input(of_student, 2, 0), loss.input(of_teacher, 2, 1));
            let name = format!("{}: {of_student} and {of_teacher}", loss.name);
            assert!(is_finite(&student, &teacher), "{name}");
            let poisoned = |x: &Tensor<2>| {
                let nan = Tensor::full([1, 1], f64::NAN, &x.device());
                x.clone().slice_assign([1..2, 1..2], nan)
            };
            assert!(!is_finite(&poisoned(&student), &teacher), "{name}");
            let has_teacher = !["label smoothing", "Tf-KD virtual"].contains(&loss.name);
            assert_eq!(
                is_finite(&student, &poisoned(&teacher)),
                !has_teacher,
                "{name}"
            );
        }
    }
}
