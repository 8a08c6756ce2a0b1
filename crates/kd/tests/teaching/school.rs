//! Pictures, a teacher and what it makes of them, students.

use std::sync::OnceLock;

use burn::nn::Linear;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::TensorData;
use kd::losses::{Paraphraser, ParaphraserConfig};
use kd::prelude::*;

use crate::lesson::{Lesson, Pass};

pub(crate) const CLASSES: usize = 10;
pub(crate) const BATCH: usize = 64;
/// Images that are learnt from, and images that are held out.
pub(crate) const IMAGES: usize = 640;
pub(crate) const HELD_OUT: usize = 320;
/// Channels, height and width of the three stages of teacher and student, and the width of their embeddings.
pub(crate) const MAPS: [[usize; 3]; 3] = [[16, 16, 16], [32, 8, 8], [64, 4, 4]];
pub(crate) const WIDTH: usize = 64;

/// Pictures are shown at half their size.
const SIDE: usize = 16;

const TEACHER_STEPS: usize = 100;
const PARAPHRASER_STEPS: usize = 40;

/// What a network makes of a batch.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) logits: Tensor<2>,
    pub(crate) maps: [Tensor<4>; 3],
    pub(crate) embedding: Tensor<2>,
}

pub(crate) struct Batch {
    pub(crate) ids: Vec<usize>,
    pub(crate) labels: Vec<i32>,
    pub(crate) images: Tensor<4>,
    /// Another image of each one's class.
    pub(crate) partners: Tensor<4>,
    pub(crate) teacher: Seen,
}

pub(crate) struct School {
    pub(crate) train: Vec<Batch>,
    pub(crate) held_out: Vec<Batch>,
    pub(crate) paraphraser: Paraphraser,
}

pub(crate) fn school() -> &'static School {
    static SCHOOL: OnceLock<School> = OnceLock::new();
    SCHOOL.get_or_init(|| {
        let teacher = teacher();
        let set = |split, len| batches(&Shapes::render(0, split, len), |x| see(&teacher, x));
        let (train, held_out) = (set(Split::Train, IMAGES), set(Split::Test, HELD_OUT));
        School {
            paraphraser: paraphraser(&train),
            train,
            held_out,
        }
    })
}

pub(crate) fn plain() -> Device {
    Device::flex()
}

pub(crate) fn tracked() -> Device {
    Device::flex().autodiff()
}

pub(crate) fn optimizer() -> ModuleOptimizer {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    SgdConfig::new().with_momentum(Some(momentum)).init()
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

pub(crate) fn see(network: &Classifier, images: Tensor<4>) -> Seen {
    let features = network.forward_features(images);
    let [_, a, b, c] = <[Tensor<4>; 4]>::try_from(features.stages).unwrap();
    Seen {
        logits: features.logits,
        maps: [a, b, c],
        embedding: features.embedding.unwrap(),
    }
}

/// Trained with cross-entropy on pictures of its own, each seen once.
fn teacher() -> Classifier {
    let unseen = |_| Seen {
        logits: Tensor::zeros([1, 1], &plain()),
        maps: [0; 3].map(|_| Tensor::zeros([1, 1, 1, 1], &plain())),
        embedding: Tensor::zeros([1, 1], &plain()),
    };
    let batches = batches(
        &Shapes::render(1, Split::Train, TEACHER_STEPS * BATCH),
        unseen,
    );
    let network = vec![network(Architecture::ResNet14, 0)];
    let (mut teachers, _) = ce().teach(network, &batches, TEACHER_STEPS, 0.1);
    teachers.remove(0).valid()
}

/// Cross-entropy with the labels, summed over the students.
pub(crate) fn ce() -> Lesson<Vec<Linear>> {
    Lesson::new("ce", |pass| pass.cross_entropy())
}

fn paraphraser(train: &[Batch]) -> Paraphraser {
    let lesson = Lesson::with_parts(
        "paraphraser",
        || ParaphraserConfig::new(MAPS[2][0]).init(&tracked()).unwrap(),
        |paraphraser, pass: &Pass| {
            let [.., map] = pass.batch.teacher.maps.clone();
            paraphraser.reconstruction_loss(Tensor::from_inner(map))
        },
    );
    let (_, paraphraser) = lesson.teach(Vec::new(), train, PARAPHRASER_STEPS, 0.01);
    paraphraser.valid()
}

fn batches(set: &ImageSet, teacher: impl Fn(Tensor<4>) -> Seen) -> Vec<Batch> {
    let loader = LoaderConfig::new(BATCH).with_seed(1).init(set.clone());
    let batch = |batch: kd::data::Batch| {
        let ids: Vec<usize> = batch.ids.iter().map(|&id| id as usize).collect();
        // Picture i is of class i mod 10.
        let partners: Vec<usize> = ids.iter().map(|id| (id + CLASSES) % set.len()).collect();
        let images = pixels(set, &ids);
        Batch {
            labels: batch.labels.iter().map(|&label| label.into()).collect(),
            partners: pixels(set, &partners),
            teacher: teacher(images.clone()),
            images,
            ids,
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
    burn::tensor::module::adaptive_avg_pool2d(full, [SIDE; 2])
}
