//! A loss, and what it is to be compared with.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use kd::burn::optim::momentum::MomentumConfig;
use kd::burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use kd::losses::divergence;
use kd::prelude::*;
use kd::train::{Labels, Loss, Objective, Seen};

use crate::alone::{named, recipe, remember, seen};
use crate::school::{Batch, objective, school, students, tracked};

pub(crate) const STEPS: usize = 100;
/// The learning rate at the start; it falls to 0 in proportion to the steps.
const RATE: f64 = 0.05;

/// The value that is compared, of the loss of its peers and of what was seen in both views.
pub(crate) type Judge = fn(&Objective, f64, &[Seen; 2]) -> f64;

/// A loss as it is taught.
pub(crate) struct Lesson {
    pub(crate) name: &'static str,
    /// Each step is an epoch.
    pub(crate) recipe: Recipe,
    steps: usize,
    rate: f64,
    /// Weight beside the cross-entropy; without one the loss has its own.
    beside: Option<f64>,
    judge: Option<Judge>,
    /// Whether a student is to beat the control as it is seen through layers that nothing has trained for it.
    alone: bool,
    /// Steps in which the loss trains layers of the teacher and no student.
    before: usize,
    /// Whether the loss compares with what it remembers of an image.
    remembers: bool,
    /// Whether the labels are the teacher's probabilities.
    soft: bool,
    /// Whether maps are read before their ReLU.
    before_relu: bool,
    /// The images of the second view.
    second: fn(&Batch) -> Tensor<4>,
}

/// What the networks make of a batch.
struct Views<'a> {
    seen: [Seen; 2],
    ids: &'a [u64],
}

impl Views<'_> {
    fn loss(&self, objective: &Objective, step: usize) -> Loss {
        let loss = objective.loss([step, 0], self.ids, &named(&self.seen));
        loss.unwrap()
    }
}

impl Lesson {
    pub(crate) fn new(name: &'static str, recipe: Recipe) -> Self {
        let lesson = Self {
            name,
            recipe,
            steps: STEPS,
            rate: RATE,
            beside: None,
            judge: None,
            alone: false,
            before: 0,
            remembers: false,
            soft: false,
            before_relu: false,
            second: |batch| batch.partners.clone(),
        };
        lesson.at(STEPS, RATE)
    }

    /// A loss alone, with these settings.
    pub(crate) fn of(loss: &'static str, settings: &str) -> Self {
        Self::new(loss, recipe(loss, settings).unwrap())
    }

    pub(crate) fn called(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// So many steps, from such a rate on; so is the control.
    pub(crate) fn at(mut self, steps: usize, rate: f64) -> Self {
        (self.steps, self.rate, self.recipe.epochs) = (steps, rate, steps);
        self
    }

    /// After so many steps at such a rate cross-entropy has made a student sure of all it says, errors as well.
    pub(crate) fn until_sure(self) -> Self {
        self.at(300, 0.4)
    }

    pub(crate) fn beside(mut self, weight: f64) -> Self {
        self.beside = Some(weight);
        self
    }

    /// What is compared, where it is not the loss itself.
    pub(crate) fn judged(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }

    pub(crate) fn against_control_alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(crate) fn trained_before(mut self, steps: usize) -> Self {
        self.before = steps;
        self
    }

    pub(crate) fn remembering(mut self) -> Self {
        self.remembers = true;
        self
    }

    pub(crate) fn soft(mut self) -> Self {
        self.soft = true;
        self
    }

    pub(crate) fn before_relu(mut self) -> Self {
        self.before_relu = true;
        self
    }

    pub(crate) fn beside_itself(mut self, second: fn(&Batch) -> Tensor<4>) -> Self {
        self.second = second;
        self
    }

    fn views<'a>(&self, networks: &[Classifier], batch: &'a Batch) -> Views<'a> {
        let labels = || match self.soft {
            true => Labels::Mixed(divergence::softmax(batch.teacher.logits.clone(), 1.0)),
            false => Labels::Hard(Tensor::from_ints(&batch.labels[..], &tracked())),
        };
        let see = |images: Tensor<4>| {
            let pass =
                |network: &Classifier| network.forward_features(Tensor::from_inner(images.clone()));
            seen(
                networks.iter().map(pass).collect(),
                &batch.teacher,
                labels(),
            )
        };
        let first = see(batch.images.clone());
        let second = match self.recipe.terms.values().any(|term| term.on.len() > 1) {
            true => see((self.second)(batch)),
            false => Seen::default(),
        };
        Views {
            seen: [first, second],
            ids: &batch.ids,
        }
    }

    /// Trains networks and layers. Networks without gradients stay as they are.
    pub(crate) fn teach(
        &self,
        networks: &mut [Classifier],
        objective: &mut Objective,
        batches: &[Batch],
        steps: usize,
    ) {
        let mut optimizer = optimizer();
        for (step, batch) in batches.iter().cycle().take(steps).enumerate() {
            let loss = self.views(networks, batch).loss(objective, step);
            if !loss.total.is_tracked() {
                return; // Nothing that learns.
            }
            let rate = self.rate * (1.0 - step as f64 / self.steps as f64);
            descend(networks, objective, loss, &mut optimizer, rate);
        }
    }

    /// The mean over the images that are held out.
    fn held_out(&self, networks: &[Classifier], objective: &mut Objective) -> f64 {
        let (train, held_out) = (&school().train, &school().held_out);
        // Whatever is remembered of images becomes what these networks make of them.
        let passes = if self.remembers { 4 } else { 0 };
        for batch in (0..passes).flat_map(|_| train.iter().chain(held_out)) {
            let loss = self.views(networks, batch).loss(objective, self.steps - 1);
            remember(objective, loss);
        }
        let value = |batch| {
            let views = self.views(networks, batch);
            let loss = views.loss(objective, self.steps - 1);
            // A loss of the term's own layers has a name instead of a number.
            let is_own = |name: &str| {
                name.split('.')
                    .nth(1)
                    .is_some_and(|x| x.parse::<u8>().is_err())
            };
            let own = loss.values.terms.iter().filter(|(name, _)| is_own(name));
            let own: f32 = own.map(|(_, value)| value).sum();
            let value = f64::from(loss.values.loss - own);
            self.judge
                .map_or(value, |judge| judge(objective, value, &views.seen))
        };
        held_out.iter().map(value).sum::<f64>() / held_out.len() as f64
    }

    fn networks(&self, networks: Vec<Classifier>) -> Vec<Classifier> {
        match self.before_relu {
            true => networks
                .into_iter()
                .map(Classifier::with_before_relu)
                .collect(),
            false => networks,
        }
    }

    /// Compares a student of a seed with the control: a line of the table, and whether the student has learnt.
    pub(crate) fn compare(&self, seed: u64) -> (String, bool) {
        let (mut taught, peers) = objective(&self.recipe).unwrap();
        // Networks, and the layers of the loss after so many steps on what they make of the pictures.
        let held_out = |mut networks: Vec<Classifier>, steps: usize| {
            let (mut layers, _) = objective(&self.recipe).unwrap();
            self.teach(&mut networks, &mut layers, &school().train, steps);
            self.held_out(&networks, &mut layers)
        };
        let untrained = self.networks(students(seed, peers).no_grad());
        let untrained = held_out(untrained, self.before);
        let control = self.networks(control(seed, peers, self.steps, self.rate).to_vec());
        let alone = held_out(control.clone(), self.before);
        let control = held_out(control, self.steps);
        let mut student = self.networks(students(seed, peers));
        self.teach(&mut student, &mut taught, &school().train, self.steps);
        let student = self.held_out(&student.no_grad(), &mut taught);
        let (whom, beaten) = match self.alone {
            true => ("control alone", alone),
            false => ("control", control),
        };
        let share = student / beaten;
        let line = format!(
            "{:20} seed {seed}: untrained {untrained:9.4}, control {control:9.4} (alone {alone:9.4}), \
             student {student:9.4}; {share:5.3} of {whom}",
            self.name
        );
        (line, student <= 0.7 * beaten && student >= -1e-3)
    }

    /// Trained as the papers train: cross-entropy, and the loss with its published weight, at a rate of 0.1.
    /// Returns whether every value is a number: that of the last step is none if a parameter was none.
    pub(crate) fn stays_finite(&self) -> bool {
        const SOME: usize = 26;
        let mut recipe = self.recipe.clone();
        if let Some(weight) = self.beside {
            recipe
                .terms
                .values_mut()
                .for_each(|term| term.weight = weight);
            let mut ce = Recipe::default().terms["ce"].clone();
            ce.weight = 1.0;
            recipe.terms.insert("ce".into(), ce);
        }
        let (mut objective, peers) = objective(&recipe).unwrap();
        let mut networks = self.networks(students(7, peers));
        let mut optimizer = optimizer();
        let mut batches = school().train.iter().cycle().take(SOME).enumerate();
        batches.all(|(step, batch)| {
            let loss = self
                .views(&networks, batch)
                .loss(&objective, self.before + step);
            let is_finite = loss.values.non_finite().is_none();
            descend(&mut networks, &mut objective, loss, &mut optimizer, 0.1);
            is_finite
        })
    }
}

fn optimizer() -> ModuleOptimizer {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).init()
}

fn descend(
    networks: &mut [Classifier],
    objective: &mut Objective,
    loss: Loss,
    optimizer: &mut ModuleOptimizer,
    rate: f64,
) {
    let mut gradients = loss.total.backward();
    for network in networks {
        let own = GradientsParams::from_module(&mut gradients, &*network);
        *network = optimizer.step(rate, network.clone(), own);
    }
    objective.accept(loss, &mut gradients, optimizer, rate);
}

/// Students trained with cross-entropy alone, for as many steps at the same rates.
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
        let lesson = Lesson::of("ce", "").at(steps, rate);
        let (mut networks, mut layers) =
            (students(seed, peers), objective(&lesson.recipe).unwrap().0);
        lesson.teach(&mut networks, &mut layers, &school().train, steps);
        networks.no_grad()
    })
}
