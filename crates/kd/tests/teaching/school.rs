//! Pictures, a teacher and what it makes of them, students.

use std::sync::OnceLock;

use kd::burn::tensor::TensorData;
use kd::models::Features;
use kd::prelude::*;
use kd::train::{Objective, TrainError};

use crate::alone::{self, recipe};
use crate::lesson::Lesson;

pub(crate) const CLASSES: usize = 10;
const BATCH: usize = 64;
/// Images that are learnt from, and images that are held out: their numbers follow.
pub(crate) const IMAGES: usize = 640;
const HELD_OUT: usize = 320;

/// Pictures are shown at half their size.
const SIDE: usize = 16;

const TEACHER_STEPS: usize = 100;

pub(crate) struct Batch {
    pub(crate) ids: Vec<u64>,
    pub(crate) labels: Vec<i32>,
    pub(crate) images: Tensor<4>,
    /// Another image of each one's class.
    pub(crate) partners: Tensor<4>,
    pub(crate) teacher: Features,
}

pub(crate) struct School {
    pub(crate) train: Vec<Batch>,
    pub(crate) held_out: Vec<Batch>,
}

pub(crate) fn school() -> &'static School {
    static SCHOOL: OnceLock<School> = OnceLock::new();
    SCHOOL.get_or_init(|| {
        let teacher = teacher();
        let before_relu = teacher.clone().with_before_relu();
        let answers = |images: Tensor<4>| {
            let answers = teacher.forward_features(images.clone());
            answers.with_before_relu(before_relu.forward_features(images).before_relu)
        };
        School {
            train: batches(&Shapes::render(0, Split::Train, IMAGES), 0, answers),
            held_out: batches(&Shapes::render(0, Split::Test, HELD_OUT), IMAGES, answers),
        }
    })
}

fn plain() -> Device {
    Device::flex()
}

pub(crate) fn tracked() -> Device {
    Device::flex().autodiff()
}

fn network(architecture: Architecture, seed: u64) -> Classifier {
    let spec = InputSpec::cifar(CLASSES, Statistics::CIFAR10).unwrap();
    architecture
        .init(&ModelConfig::new(spec).with_seed(seed), &tracked())
        .unwrap()
}

/// Students of a seed, untrained. Clones would share their batch norm's statistics.
pub(crate) fn students(seed: u64, count: usize) -> Vec<Classifier> {
    (0..count as u64)
        .map(|peer| network(Architecture::ResNet8, seed + 100 * peer))
        .collect()
}

/// The terms of a recipe for these students and this teacher, and how many students there are.
pub(crate) fn objective(recipe: &Recipe) -> Result<(Objective, usize), TrainError> {
    static ANY: OnceLock<Features> = OnceLock::new();
    let any = ANY.get_or_init(|| {
        let network = network(Architecture::ResNet8, 0).with_before_relu();
        network.forward_features(Tensor::zeros([1, 3, SIDE, SIDE], &tracked()))
    });
    // Picture i is of class i mod 10.
    let labels: Vec<u16> = (0..IMAGES + HELD_OUT)
        .map(|id| (id % CLASSES) as u16)
        .collect();
    alone::objective(recipe, &labels, [any, any])
}

/// Trained with cross-entropy on pictures of its own, each seen once.
fn teacher() -> Classifier {
    let unseen = |_| Features::new(Tensor::zeros([1, 1], &plain()));
    let set = Shapes::render(1, Split::Train, TEACHER_STEPS * BATCH);
    let batches = batches(&set, 0, unseen);
    let mut network = vec![network(Architecture::ResNet14, 0)];
    let lesson = Lesson::new("ce", recipe("ce", "").unwrap()).at(TEACHER_STEPS, 0.1);
    lesson.teach(
        &mut network,
        &mut objective(&lesson.recipe).unwrap().0,
        &batches,
        TEACHER_STEPS,
    );
    network.remove(0).valid()
}

fn batches(set: &ImageSet, first: usize, teacher: impl Fn(Tensor<4>) -> Features) -> Vec<Batch> {
    let loader = LoaderConfig::new(BATCH).with_seed(1).init(set.clone());
    let batch = |batch: kd::data::Batch| {
        let ids: Vec<usize> = batch.ids.iter().map(|&id| id as usize).collect();
        let partners: Vec<usize> = ids.iter().map(|id| (id + CLASSES) % set.len()).collect();
        let images = pixels(set, &ids);
        Batch {
            ids: ids.iter().map(|id| (first + id) as u64).collect(),
            labels: batch.labels.iter().map(|&label| label.into()).collect(),
            partners: pixels(set, &partners),
            teacher: teacher(images.clone()),
            images,
        }
    };
    loader.unwrap().epoch(0).map(batch).collect()
}

fn pixels(set: &ImageSet, ids: &[usize]) -> Tensor<4> {
    let [channels, height, width] = set.shape();
    let bytes = ids.iter().flat_map(|&id| set.image(id));
    let values: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 255.0).collect();
    let shape = [ids.len(), channels, height, width];
    let full = Tensor::from_data(TensorData::new(values, shape), &plain());
    kd::burn::tensor::module::adaptive_avg_pool2d(full, [SIDE; 2])
}
