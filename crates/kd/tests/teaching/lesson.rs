//! A loss, and what it is to be compared with.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use burn::module::{ModuleVisitor, Param};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use kd::losses::divergence;
use kd::prelude::*;

use crate::school::{Batch, Seen, ce, optimizer, school, see, students, tracked};

pub(crate) const SEEDS: [u64; 3] = [1, 2, 3];
pub(crate) const STEPS: usize = 100;
/// The learning rate at the start; it falls to 0 in proportion to the steps.
const RATE: f64 = 0.05;
/// After so many steps at such a rate cross-entropy has made a student sure of all it says, errors as well.
pub(crate) const STEPS_TO_BE_SURE: usize = 300;
const RATE_TO_BE_SURE: f64 = 0.4;
/// As many as any loss needs.
const PEERS: usize = 2;

/// One batch, and what the students make of it.
pub(crate) struct Pass<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) step: usize,
    students: &'a [Classifier],
    seen: OnceCell<Vec<Seen>>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(students: &'a [Classifier], batch: &'a Batch, step: usize) -> Self {
        Self {
            batch,
            step,
            students,
            seen: OnceCell::new(),
        }
    }

    pub(crate) fn see(&self, student: usize, images: &Tensor<4>) -> Seen {
        see(&self.students[student], Tensor::from_inner(images.clone()))
    }

    pub(crate) fn all(&self) -> &[Seen] {
        self.seen.get_or_init(|| {
            (0..self.students.len())
                .map(|student| self.see(student, &self.batch.images))
                .collect()
        })
    }

    pub(crate) fn student(&self) -> Seen {
        self.all()[0].clone()
    }

    pub(crate) fn logits(&self) -> Vec<Tensor<2>> {
        self.all().iter().map(|seen| seen.logits.clone()).collect()
    }

    pub(crate) fn embeddings(&self) -> Vec<Tensor<2>> {
        let embedding = |seen: &Seen| seen.embedding.clone();
        self.all().iter().map(embedding).collect()
    }

    pub(crate) fn teacher(&self) -> Seen {
        self.batch.teacher.clone()
    }

    pub(crate) fn labels(&self) -> Tensor<1, Int> {
        Tensor::from_ints(&self.batch.labels[..], &tracked())
    }

    pub(crate) fn cross_entropy(&self) -> Tensor<1> {
        let each = self.logits().into_iter();
        sum(each
            .map(|z| divergence::cross_entropy(z, self.labels()).mean())
            .collect())
    }
}

pub(crate) fn sum(losses: Vec<Tensor<1>>) -> Tensor<1> {
    Tensor::cat(losses, 0).sum()
}

pub(crate) fn number(x: Tensor<1>) -> f64 {
    f64::from(x.into_scalar::<f32>())
}

/// Whom a student is to beat by 30 %.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Rival {
    /// The student of the same seed that was trained with cross-entropy, for as many steps at the same rates.
    Control,
    /// The same, seen through the loss's layers as they were drawn.
    ControlAlone,
}

type Loss<P> = Box<dyn Fn(&mut P, &Pass) -> Tensor<1>>;

/// A loss with its trainable parts `P`.
pub(crate) struct Lesson<P> {
    pub(crate) name: &'static str,
    pub(crate) rival: Rival,
    steps: usize,
    rate: f64,
    peers: usize,
    weight: f64,
    /// Weight beside the cross-entropy; without one the loss has its own.
    beside: Option<f64>,
    parts: Box<dyn Fn() -> P>,
    loss: Loss<P>,
    judge: Option<Loss<P>>,
}

/// Held-out values of one seed.
pub(crate) struct Row {
    pub(crate) untrained: f64,
    pub(crate) control: f64,
    /// With what the loss has to train as it was drawn.
    pub(crate) control_alone: f64,
    pub(crate) student: f64,
}

impl Lesson<Vec<Linear>> {
    /// A loss that has nothing to train.
    pub(crate) fn new(name: &'static str, loss: impl Fn(&Pass) -> Tensor<1> + 'static) -> Self {
        Self::with_parts(name, Vec::new, move |_, pass| loss(pass))
    }
}

impl<P: Module> Lesson<P> {
    pub(crate) fn with_parts(
        name: &'static str,
        parts: impl Fn() -> P + 'static,
        loss: impl Fn(&mut P, &Pass) -> Tensor<1> + 'static,
    ) -> Self {
        Self {
            name,
            rival: Rival::Control,
            steps: STEPS,
            rate: RATE,
            peers: 1,
            weight: 1.0,
            beside: None,
            parts: Box::new(parts),
            loss: Box::new(loss),
            judge: None,
        }
    }

    pub(crate) fn peers(mut self) -> Self {
        self.peers = PEERS;
        self
    }

    /// The weight of the loss where it is alone.
    pub(crate) fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    pub(crate) fn beside(mut self, weight: f64) -> Self {
        self.beside = Some(weight);
        self
    }

    pub(crate) fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    pub(crate) fn against_control_alone(mut self) -> Self {
        self.rival = Rival::ControlAlone;
        self
    }

    /// Trains longer and faster, and so the control.
    pub(crate) fn until_sure(mut self) -> Self {
        (self.steps, self.rate) = (STEPS_TO_BE_SURE, RATE_TO_BE_SURE);
        self
    }

    /// Trained as the papers train: cross-entropy, and the loss with its published weight, at a rate of 0.1. Whether every value of
    /// the loss and in the end every parameter is a number.
    fn stays_finite(&self) -> bool {
        const SOME: usize = 25;
        let mut all = (students(7, self.peers), (self.parts)());
        let (mut optimizer, mut finite) = (optimizer(), true);
        for (step, batch) in school().train.iter().cycle().take(SOME).enumerate() {
            let (students, parts) = &mut all;
            let pass = Pass::new(students, batch, step);
            let own = (self.loss)(parts, &pass);
            finite &= number(own.clone().inner()).is_finite();
            let loss = match self.beside {
                Some(weight) => own.mul_scalar(weight) + pass.cross_entropy(),
                None => own,
            };
            let gradients = GradientsParams::from_grads(loss.backward(), &all);
            all = optimizer.step(0.1, all, gradients);
        }
        let mut parameters = Finite(finite);
        all.visit(&mut parameters);
        parameters.0
    }

    /// What is compared, where it is not the loss itself.
    pub(crate) fn judged(mut self, judge: impl Fn(&mut P, &Pass) -> Tensor<1> + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    pub(crate) fn teach(
        &self,
        students: Vec<Classifier>,
        batches: &[Batch],
        steps: usize,
        rate: f64,
    ) -> (Vec<Classifier>, P) {
        let mut all = (students, (self.parts)());
        let mut optimizer = optimizer();
        for (step, batch) in batches.iter().cycle().take(steps).enumerate() {
            let (students, parts) = &mut all;
            let pass = Pass::new(students, batch, step);
            let loss = (self.loss)(parts, &pass).mul_scalar(self.weight);
            let gradients = GradientsParams::from_grads(loss.backward(), &all);
            let left = 1.0 - step as f64 / steps as f64;
            all = optimizer.step(rate * left, all, gradients);
        }
        all
    }

    /// The parts alone.
    fn teach_parts(&self, students: &[Classifier]) -> P {
        let mut parts = (self.parts)();
        let mut optimizer = optimizer();
        for (step, batch) in school().train.iter().cycle().take(self.steps).enumerate() {
            let pass = Pass::new(students, batch, step);
            let loss = (self.loss)(&mut parts, &pass).mul_scalar(self.weight);
            if !loss.is_tracked() {
                return parts; // A memory, and nothing that learns.
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &parts);
            let left = 1.0 - step as f64 / self.steps as f64;
            parts = optimizer.step(self.rate * left, parts, gradients);
        }
        parts
    }

    fn held_out(&self, students: &[Classifier], mut parts: P) -> f64 {
        let judge = self.judge.as_ref().unwrap_or(&self.loss);
        let batches = &school().held_out;
        let values = batches.iter().map(|batch| {
            let pass = Pass::new(students, batch, STEPS - 1);
            number(judge(&mut parts, &pass))
        });
        values.sum::<f64>() / batches.len() as f64
    }
}

/// A lesson whatever its parts.
pub(crate) trait Taught {
    fn name(&self) -> &'static str;
    fn rival(&self) -> Rival;
    fn compare(&self, seed: u64) -> Row;
    fn stays_finite(&self) -> bool;
}

/// Whether every parameter is a number.
struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().without_autodiff().into_data();
        self.0 &= values.iter::<f32>().all(f32::is_finite);
    }
}

impl<P: Module> Taught for Lesson<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rival(&self) -> Rival {
        self.rival
    }

    fn stays_finite(&self) -> bool {
        Lesson::stays_finite(self)
    }

    fn compare(&self, seed: u64) -> Row {
        let control = control(seed, self.peers, self.steps, self.rate);
        let start = students(seed, self.peers);
        let (taught, parts) = self.teach(start, &school().train, self.steps, self.rate);
        let has_parts = (self.parts)().num_params() > 0;
        let of_control = if has_parts {
            self.teach_parts(control)
        } else {
            (self.parts)()
        };
        Row {
            untrained: self.held_out(
                &students(seed, self.peers).no_grad(),
                (self.parts)().no_grad(),
            ),
            control: self.held_out(control, of_control.no_grad()),
            control_alone: self.held_out(control, (self.parts)().no_grad()),
            student: self.held_out(&taught.no_grad(), parts.no_grad()),
        }
    }
}

/// Students trained with cross-entropy alone.
fn control(seed: u64, peers: usize, steps: usize, rate: f64) -> &'static [Classifier] {
    type Control = &'static OnceLock<Vec<Classifier>>;
    static CONTROLS: Mutex<BTreeMap<(u64, usize, usize, u64), Control>> =
        Mutex::new(BTreeMap::new());
    let control: Control = CONTROLS
        .lock()
        .unwrap()
        .entry((seed, peers, steps, rate.to_bits()))
        .or_insert_with(|| Box::leak(Box::default()));
    control.get_or_init(|| {
        let peers = students(seed, peers);
        ce().teach(peers, &school().train, steps, rate).0.no_grad()
    })
}
