//! The losses as a list, for what holds for many of them.
//!
//! Each is a function of what the student and what the teacher make of a batch: one row of numbers for each sample, which the loss
//! takes as logits, as an embedding or as one or more feature maps. Layers are made anew, from their seed, at every call.
#![allow(
    dead_code,
    reason = "no test program needs all of the list and its tools"
)]

mod learned;

use std::cell::Cell;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd_core::*;

pub(crate) use learned::{ensembles, learned};

pub(crate) const CLASSES: usize = 5;
pub(crate) const FEATURES: usize = 6;
/// Channels, height and width.
pub(crate) const MAP: [usize; 3] = [4, 4, 4];
const LOWER: [usize; 3] = [2, 4, 4];
const UPPER: [usize; 3] = [4, 2, 2];

pub(crate) type Labels = Tensor<1, Int>;
type Function = Box<dyn Fn(Tensor<2>, Tensor<2>, Labels) -> Tensor<1>>;

pub(crate) struct Loss {
    pub(crate) name: &'static str,
    /// Numbers for each sample.
    pub(crate) student: usize,
    pub(crate) teacher: usize,
    /// `[1]`.
    pub(crate) value: Function,
    /// `[batch]`, where the loss has a value for each sample.
    pub(crate) each: Option<Function>,
}

impl Loss {
    pub(crate) fn new(
        name: &'static str,
        widths: [usize; 2],
        value: impl Fn(Tensor<2>, Tensor<2>, Labels) -> Tensor<1> + 'static,
    ) -> Self {
        let [student, teacher] = widths;
        Self {
            name,
            student,
            teacher,
            value: Box::new(value),
            each: None,
        }
    }

    fn each(mut self, each: impl Fn(Tensor<2>, Tensor<2>, Labels) -> Tensor<1> + 'static) -> Self {
        self.each = Some(Box::new(each));
        self
    }

    pub(crate) fn of(&self, student: &Tensor<2>, teacher: &Tensor<2>) -> Tensor<1> {
        let labels = labels(student.dims()[0], &student.device());
        (self.value)(student.clone(), teacher.clone(), labels)
    }
}

/// `(7 i + 3) mod C`, as many as there are samples.
pub(crate) fn labels(batch: usize, device: &Device) -> Labels {
    let labels: Vec<i64> = (0..batch).map(|i| ((7 * i + 3) % CLASSES) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [batch]), device)
}

/// A row of numbers for each sample, in `[-scale, scale]`, the same for the same phase.
pub(crate) fn numbers(batch: usize, width: usize, scale: f64, phase: f64) -> Vec<f64> {
    (0..batch * width)
        .map(|i| scale * (1.7 * i as f64 + phase + (i * i) as f64 * 0.01).sin())
        .collect()
}

pub(crate) fn rows(values: &[f64], width: usize, device: &Device) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
    Tensor::from_data(data.convert::<f32>(), device)
}

pub(crate) fn host<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

pub(crate) fn number(x: Tensor<1>) -> f64 {
    assert_eq!(x.dims(), [1]);
    host(x.without_autodiff())[0]
}

/// Value and gradient with respect to the student.
pub(crate) fn with_gradient(
    loss: &Loss,
    student: &Tensor<2>,
    teacher: &Tensor<2>,
) -> (f64, Vec<f64>) {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let value = loss.of(&leaf, teacher);
    let gradient = leaf.grad(&value.backward()).expect("a gradient");
    (number(value), host(gradient))
}

fn size([channels, height, width]: [usize; 3]) -> usize {
    channels * height * width
}

thread_local! {
    static INNERMOST: Cell<bool> = const { Cell::new(false) };
}

/// From here on, the maps of this thread's losses have their channels innermost in memory, or not.
pub(crate) fn channels_innermost(yes: bool) {
    INNERMOST.set(yes);
}

pub(crate) fn map(x: Tensor<2>, [channels, height, width]: [usize; 3]) -> Tensor<4> {
    let [batch, _] = x.dims();
    if INNERMOST.get() {
        x.reshape([batch, height, width, channels])
            .permute([0, 3, 1, 2])
    } else {
        x.reshape([batch, channels, height, width])
    }
}

fn stages(x: Tensor<2>) -> [Tensor<4>; 2] {
    let [_, width] = x.dims();
    let lower = x.clone().narrow(1, 0, size(LOWER));
    let upper = x.narrow(1, size(LOWER), width - size(LOWER));
    [map(lower, LOWER), map(upper, UPPER)]
}

/// One row holds both maps, embedding and logits.
pub(crate) fn graph(x: Tensor<2>) -> Graph {
    let maps = size(LOWER) + size(UPPER);
    let [lower, upper] = stages(x.clone().narrow(1, 0, maps));
    Graph {
        lower,
        upper,
        embedding: x.clone().narrow(1, maps, FEATURES),
        logits: x.narrow(1, maps + FEATURES, CLASSES),
    }
}

pub(crate) const GRAPH: usize = 2 * 4 * 4 + 4 * 2 * 2 + FEATURES + CLASSES;

/// A loss whose `forward` and `forward_no_reduction` take student and teacher, as `$input` makes them of rows.
macro_rules! per_sample {
    ($name:literal, $width:expr, $loss:expr, $input:expr) => {{
        let (loss, input) = ($loss, $input);
        Loss::new($name, [$width; 2], move |s, t, _| {
            loss.forward(input(s), input(t))
        })
        .each(move |s, t, _| loss.forward_no_reduction(input(s), input(t)))
    }};
}

/// A loss whose `forward` and `forward_no_reduction` take student, teacher and labels.
macro_rules! labelled {
    ($name:literal, $loss:expr) => {{
        let loss = $loss;
        Loss::new($name, [CLASSES; 2], move |s, t, y| loss.forward(s, t, y))
            .each(move |s, t, y| loss.forward_no_reduction(s, t, y))
    }};
}

fn row(x: Tensor<2>) -> Tensor<2> {
    x
}

/// Functions of softmax alone, 0 where student and teacher say the same.
pub(crate) fn divergences() -> Vec<Loss> {
    let kdcl = |ensemble| {
        let config = KdclLossConfig::new().with_ensemble(ensemble);
        let loss = config.init().unwrap();
        move |s, t, y| loss.forward(&[s, t], y).swap_remove(0)
    };
    let dml = |target| {
        let loss = DmlLossConfig::new().with_target(target).init().unwrap();
        move |s: Tensor<2>, t: Tensor<2>, _| loss.forward(&[s, t.clone(), t]).swap_remove(0)
    };
    let weights = vec![0.25, 0.75];
    let both = [CLASSES; 2];
    vec![
        per_sample!("KL", CLASSES, KlLossConfig::new().init().unwrap(), row),
        per_sample!(
            "reverse KL",
            CLASSES,
            ReverseKlLossConfig::new().init().unwrap(),
            row
        ),
        per_sample!("JS", CLASSES, JsLossConfig::new().init().unwrap(), row),
        per_sample!(
            "centred logits",
            CLASSES,
            LogitMseLossConfig::new().with_centered(true).init(),
            row
        ),
        labelled!("DKD", DkdLossConfig::new().init().unwrap()),
        labelled!(
            "KD of the teacher alone",
            KdLossConfig::new().with_alpha(1.0).init().unwrap()
        ),
        Loss::new("DML", both, dml(DmlTarget::Peers)),
        Loss::new("DML of the mean", both, dml(DmlTarget::MeanLogits)),
        Loss::new("KDCL naive", both, kdcl(KdclEnsemble::Naive)),
        Loss::new("KDCL linear", both, kdcl(KdclEnsemble::Linear)),
        Loss::new("KDCL smallest", both, kdcl(KdclEnsemble::MinLogit)),
        Loss::new(
            "KDCL general",
            both,
            kdcl(KdclEnsemble::General { weights }),
        ),
    ]
}

/// 0 where student and teacher are equal.
pub(crate) fn distances() -> Vec<Loss> {
    let mut losses = divergences();
    let of_map = |x| map(x, MAP);
    let (maps, embeddings) = (size(MAP), [FEATURES; 2]);
    losses.extend([
        per_sample!("logits", CLASSES, LogitMseLossConfig::new().init(), row),
        per_sample!("AT", maps, AtLossConfig::new().init().unwrap(), of_map),
        per_sample!(
            "AT by norm",
            maps,
            {
                let config = AtLossConfig::new().with_distance(AtDistance::Euclidean);
                config.init().unwrap()
            },
            of_map
        ),
        per_sample!("NST", maps, NstLoss, of_map),
        per_sample!("FSP", size(LOWER) + size(UPPER), FspLoss, stages),
        per_sample!("FT", maps, FtLossConfig::new().init(), of_map),
        per_sample!(
            "FT of whole factors",
            maps,
            FtLossConfig::new().with_factor(FtFactor::Whole).init(),
            of_map
        ),
        Loss::new("SP", [maps; 2], move |s, t, _| {
            SpLossConfig::new().init().forward(of_map(s), of_map(t))
        }),
        Loss::new("SP whole", [maps; 2], move |s, t, _| {
            let loss = SpLossConfig::new().with_norm(SpNorm::Whole).init();
            loss.forward(of_map(s), of_map(t))
        }),
        Loss::new("PKT", embeddings, |s, t, _| PktLoss.forward(s, t)),
        Loss::new("RKD", embeddings, |s, t, _| {
            RkdLossConfig::new().init().unwrap().forward(s, t)
        }),
        Loss::new("IRG", [GRAPH; 2], |s, t, _| {
            let loss = IrgLossConfig::new().init().unwrap();
            loss.forward(graph(s), graph(t))
        }),
        Loss::new("MMD", embeddings, |s, t, _| {
            MmdLoss.forward(&[s, t]).swap_remove(0)
        }),
    ]);
    losses
}

/// Not 0 at the teacher: with a term of the labels, a margin, a target that is not the teacher itself, or a number that is added to
/// a denominator.
pub(crate) fn mixtures() -> Vec<Loss> {
    let ab = |reduction| {
        let config = AbLossConfig::new().with_reduction(reduction);
        config.init().unwrap()
    };
    let of_map = |x| map(x, MAP);
    vec![
        labelled!("KD", KdLossConfig::new().init().unwrap()),
        labelled!("Tf-KD", TfKdSelfLossConfig::new().init().unwrap()),
        labelled!("CS-KD", CsKdLossConfig::new().init().unwrap()),
        per_sample!("AB", size(MAP), ab(AbReduction::ScaledSum), of_map),
        per_sample!("AB mean", size(MAP), ab(AbReduction::Mean), of_map),
        Loss::new("soft cross-entropy", [CLASSES; 2], |s, t, _| {
            SoftCrossEntropyLoss.forward(s, probabilities(t))
        })
        .each(|s, t, _| SoftCrossEntropyLoss.forward_no_reduction(s, probabilities(t))),
        Loss::new("DIST", [CLASSES; 2], {
            let loss = DistLossConfig::new().with_temperature(4.0).init().unwrap();
            move |s, t, _| loss.forward(s, t)
        }),
        Loss::new("PS-KD", [CLASSES; 2], |s, t, y| {
            let [batch, classes] = s.dims();
            let memory = PsKdConfig::new(batch, classes).init(&s.device()).unwrap();
            let samples: Vec<usize> = (0..batch).collect();
            let past = memory.forward(t, y.clone(), &samples, 1.0).unwrap();
            let memory = memory.remember(past.update);
            memory.forward(s, y, &samples, 1.0).unwrap().loss
        }),
    ]
}

/// A softmax of operations that round alike with and without autodiff, never in half precision.
fn probabilities(logits: Tensor<2>) -> Tensor<2> {
    let logits = match logits.dtype() {
        DType::F64 => logits,
        _ => logits.cast(DType::F32),
    };
    let weights = (logits.clone() - logits.max_dim(1)).exp();
    weights.clone() / weights.sum_dim(1)
}

/// Without a teacher: the second row is not looked at.
pub(crate) fn untaught() -> Vec<Loss> {
    let smoothing = LabelSmoothingLossConfig::new().init().unwrap();
    let tf_kd = TfKdVirtualLossConfig::new().init().unwrap();
    vec![
        Loss::new("label smoothing", [CLASSES, 0], move |s, _, y| {
            smoothing.forward(s, y)
        })
        .each(move |s, _, y| smoothing.forward_no_reduction(s, y)),
        Loss::new("Tf-KD virtual", [CLASSES, 0], move |s, _, y| {
            tf_kd.forward(s, y)
        })
        .each(move |s, _, y| tf_kd.forward_no_reduction(s, y)),
    ]
}

/// Everything that has a teacher.
pub(crate) fn taught() -> Vec<Loss> {
    let mut losses = distances();
    losses.extend(mixtures());
    losses.extend(learned());
    losses.extend(ensembles());
    losses
}
