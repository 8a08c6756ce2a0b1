//! The losses as a list, for what holds for many of them: every term of [`Terms::standard`], with
//! the settings that change what it computes.
//!
//! Each is a function of what the student and what the teacher make of a batch: one row of numbers
//! for each sample, in which the maps of a stem and two stages, an embedding and logits follow each
//! other. The other peers, and the network's own past or partner, make of it what the teacher
//! makes. Layers are made anew, from their seed, at every call.

use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;

use kd::burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kd::losses::PsKd;
use kd::models::Features;
use kd::train::{Labels, NoParts, Recipe, Seen, Terms};

use crate::alone::{ALONE, named, objective, recipe, seen};
use crate::device;

pub(crate) const CLASSES: usize = 5;
/// The pieces of a row after the stem.
pub(crate) const LOWER: usize = 1;
pub(crate) const UPPER: usize = 2;
pub(crate) const EMBEDDING: usize = 3;
pub(crate) const LOGITS: usize = 4;

/// What a network gives.
pub(crate) struct Shape {
    /// Channels, height and width of the stem and two stages.
    pub(crate) stages: [[usize; 3]; 3],
    embedding: usize,
}

pub(crate) static OWN: Shape = Shape {
    stages: [[2, 4, 4], [2, 4, 4], [4, 2, 2]],
    embedding: 6,
};
/// A teacher that is not of the student's shape.
static OTHER: Shape = Shape {
    stages: [[3, 4, 4], [3, 2, 2], [6, 2, 2]],
    embedding: 8,
};

impl Shape {
    /// Where the pieces stand in a row.
    pub(crate) fn pieces(&self) -> [Range<usize>; 5] {
        let [a, b, c] = self.stages.map(|stage| stage.iter().product());
        let mut end = 0;
        [a, b, c, self.embedding, CLASSES].map(|width| {
            end += width;
            end - width..end
        })
    }

    /// Numbers for each sample.
    pub(crate) fn width(&self) -> usize {
        self.pieces()[LOGITS].end
    }

    fn features(&self, rows: &Tensor<2>) -> Features {
        let pieces = self.pieces();
        let piece = |place: usize| {
            rows.clone()
                .narrow(1, pieces[place].start, pieces[place].len())
        };
        let stages: Vec<_> = (0..3).map(|i| map(piece(i), self.stages[i])).collect();
        Features::new(piece(LOGITS))
            .with_embedding(piece(EMBEDDING))
            .with_before_relu(stages.clone())
            .with_stages(stages)
    }
}

/// Settings with which a term is another loss. Without a default where a small batch has too few
/// samples for it, or single precision too few digits.
fn variants(term: &str) -> &'static [&'static str] {
    match term {
        "ab" => &["", "reduction = \"mean\""],
        "at" => &["", "distance = \"euclidean\""],
        "cc" => &["", "kernel = { gaussian = { gamma = 0.4, order = 2 } }"],
        "crd" => &["negatives = 3", "negatives = 3\ncontrast = \"info_nce\""],
        "dist" => &["temperature = 4.0"],
        "dml" => &["", "target = \"mean_logits\""],
        "fitnet" => &["", "stage = 1"],
        "ft" => &["", "factor = \"whole\""],
        "kdcl" => &[
            "",
            "ensemble = \"naive\"",
            "ensemble = \"linear\"",
            "ensemble = { general = { weights = [0.25, 0.75] } }",
        ],
        "mse_logits" => &["", "centered = true"],
        "okddip" => &["", "learn_attention = false"],
        "sp" => &["", "norm = \"whole\""],
        _ => &[""],
    }
}

#[derive(Clone)]
pub(crate) struct Loss {
    pub(crate) term: &'static str,
    settings: &'static str,
    /// Whether labels are the teacher's probabilities.
    soft: bool,
    pub(crate) peers: usize,
    /// Which of the peers the student is.
    pub(crate) place: usize,
    pub(crate) teacher: &'static Shape,
    pub(crate) has_parts: bool,
    recipe: Recipe,
}

// The label of sample i is (7 i + 3) mod C.
const LABELS: [u16; 8] = [3, 0, 2, 4, 1, 3, 0, 2];

/// All losses, each as often as there are places for the student, with a teacher of its shape and,
/// where it takes one, of another.
pub(crate) fn losses() -> impl Iterator<Item = &'static Loss> {
    static LOSSES: OnceLock<Vec<Loss>> = OnceLock::new();
    LOSSES.get_or_init(catalogue).iter()
}

fn catalogue() -> Vec<Loss> {
    let any = |shape: &Shape| shape.features(&Tensor::zeros([1, shape.width()], &device()));
    let mut all = Vec::new();
    let terms = Terms::standard();
    let terms = terms
        .names()
        .flat_map(|term| variants(term).iter().map(move |x| (term, *x)));
    for (term, settings) in terms {
        let recipe = recipe(term, settings).unwrap();
        for teacher in [&OWN, &OTHER] {
            let made = objective(&recipe, &LABELS, [&any(&OWN), &any(teacher)]);
            let is_own = std::ptr::eq(teacher, &OWN);
            // FSP compares products of channels one by one.
            if term == "fsp" && !is_own && made.is_err() {
                continue;
            }
            let (made, peers) = made.unwrap();
            if !is_own && peers + recipe.terms[ALONE].on.len() > 2 {
                continue;
            }
            for place in 0..peers {
                let loss = Loss {
                    term,
                    settings,
                    soft: false,
                    peers,
                    place,
                    teacher,
                    has_parts: made.parts_of::<NoParts>(ALONE).is_none(),
                    recipe: recipe.clone(),
                };
                if term == "ce" {
                    let soft = true;
                    all.push(Loss {
                        soft,
                        ..loss.clone()
                    });
                }
                all.push(loss);
            }
        }
    }
    all
}

impl Loss {
    pub(crate) fn name(&self) -> String {
        let soft = if self.soft { ", soft" } else { "" };
        format!("{} {} of {}{soft}", self.term, self.settings, self.place)
    }

    /// Whether it is one of these terms, with default settings.
    pub(crate) fn is(&self, terms: &[&str]) -> bool {
        terms.contains(&self.term) && self.settings.is_empty() && !self.soft
    }

    /// Whether it is one of these terms, with any settings.
    pub(crate) fn is_any(&self, terms: &[&str]) -> bool {
        terms.contains(&self.term)
    }

    /// Whether student and teacher can be the same.
    pub(crate) fn is_of_equals(&self) -> bool {
        std::ptr::eq(self.teacher, &OWN)
    }

    /// The student's loss: `[1]`.
    pub(crate) fn of(&self, student: &Tensor<2>, teacher: &Tensor<2>) -> Tensor<1> {
        let labels = labels(student.dims()[0], &student.device());
        self.with_labels(student, teacher, labels)
    }

    pub(crate) fn with_labels(
        &self,
        student: &Tensor<2>,
        teacher: &Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let (own, other) = (OWN.features(student), self.teacher.features(teacher));
        let mut peers = vec![other.clone(); self.peers];
        let view = |peers: Vec<Features>| {
            let labels = match self.soft {
                true => Labels::Mixed(probabilities(other.logits.clone())),
                false => Labels::Hard(labels.clone()),
            };
            seen(peers, &other, labels)
        };
        let second = view(peers.clone());
        peers[self.place] = own;
        self.compute(&[view(peers), second]).swap_remove(self.place)
    }

    /// The loss of each peer.
    pub(crate) fn of_peers(&self, peers: &[Tensor<2>]) -> Vec<Tensor<1>> {
        let labels = labels(peers[0].dims()[0], &peers[0].device());
        let features: Vec<_> = peers.iter().map(|rows| OWN.features(rows)).collect();
        let view = || {
            let labels = Labels::Hard(labels.clone());
            seen(features.clone(), &features[0], labels)
        };
        let mut losses = self.compute(&[view(), view()]);
        losses.truncate(peers.len());
        losses
    }

    /// In the last of two epochs, after one in which the network said what is in the second view.
    fn compute(&self, views: &[Seen; 2]) -> Vec<Tensor<1>> {
        let (student, teacher) = (&views[0].peers()[0], views[0].teacher().unwrap());
        let (mut objective, _) = objective(&self.recipe, &LABELS, [student, teacher]).unwrap();
        let ids: Vec<usize> = (0..student.logits.dims()[0]).collect();
        let past = |memory: PsKd| {
            let (logits, labels) = (views[1].logits().remove(0), views[1].hard_labels().unwrap());
            let past = memory.forward(logits, labels.clone(), &ids, 1.0);
            memory.remember(past.unwrap().update)
        };
        let pasts = |memories: Vec<PsKd>| memories.into_iter().map(past).collect();
        objective.map_parts(ALONE, pasts);
        let ids: Vec<u64> = ids.iter().map(|id| *id as u64).collect();
        let losses = objective.losses([1, 0], &ids, &named(views)).unwrap();
        losses.into_iter().map(|(.., loss)| loss).collect()
    }
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

/// `(7 i + 3) mod C`, as many as there are samples.
pub(crate) fn labels(batch: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..batch).map(|i| ((7 * i + 3) % CLASSES) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [batch]), device)
}

/// A row of numbers for each sample, in `[-scale, scale]`, the same for the same phase.
pub(crate) fn numbers(batch: usize, width: usize, scale: f64, phase: f64) -> Vec<f64> {
    (0..batch * width)
        .map(|i| scale * (1.7 * i as f64 + phase + (i * i) as f64 * 0.01).sin())
        .collect()
}

pub(crate) fn rows(values: &[f64], width: usize) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
    Tensor::from_data(data.convert::<f32>(), &device())
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
) -> (Tensor<1>, Tensor<2>) {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let value = loss.of(&leaf, teacher);
    let gradient = leaf.grad(&value.backward()).expect("a gradient");
    (value.without_autodiff(), gradient)
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
