//! Every loss on what a ResNet-20 and its ResNet-56 teacher give it: logits of 100 classes, a stem
//! and three stages, the pooled embedding.
//!
//! A loss is a term of `Terms::standard`, as the step of a run computes it: with its value on the
//! host, and what it remembers.

#[path = "../../crates/kd/tests/common/alone.rs"]
mod alone;

use kd::burn::optim::SgdConfig;
use kd::burn::tensor::Distribution;
use kd::losses::divergence;
use kd::models::Features;
use kd::prelude::*;
use kd::train::{Labels, Terms, TrainError};

/// Computes the loss and its gradients once.
pub type Pass = Box<dyn FnMut()>;

/// Losses that are a term with other settings: name, term, settings.
const VARIANTS: [(&str, &str, &str); 6] = [
    (
        "cc_gaussian",
        "cc",
        "kernel = { gaussian = { gamma = 0.4, order = 2 } }",
    ),
    ("crd_info_nce", "crd", "contrast = \"info_nce\""),
    ("kdcl_linear", "kdcl", "ensemble = \"linear\""),
    ("kdcl_min_logit", "kdcl", "ensemble = \"min_logit\""),
    ("rkd_distance", "rkd", "angle = 0.0"),
    ("soft_cross_entropy", "ce", ""),
];

const CLASSES: usize = 100;
const SAMPLES: usize = 50_000;
/// Channels and side of the stem and the stages.
const STAGES: [(usize, usize); 4] = [(16, 32), (16, 32), (32, 16), (64, 8)];

/// Names of the losses: `kd` is the cross-entropy and `kl` of the default recipe.
pub fn names() -> Vec<&'static str> {
    let terms = Terms::standard();
    let terms = terms.names().filter(|name| *name != "kdcl");
    let variants = VARIANTS.iter().map(|(name, ..)| *name);
    terms.chain(variants).chain(["kd"]).collect()
}

/// What a network makes of a batch: maps with channels innermost, as kd's networks leave them. Of a
/// student it is leaves.
fn features(batch: usize, device: &Device, is_student: bool) -> Features {
    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
    }
    fn leaf<const D: usize>(x: Tensor<D>, is_student: bool) -> Tensor<D> {
        match is_student {
            true => Tensor::from_inner(x).require_grad(),
            false => x,
        }
    }
    let map = |(channels, side)| {
        let map = random([batch, side, side, channels], device);
        leaf(map.permute([0, 3, 1, 2]), is_student)
    };
    let maps = || STAGES.map(map).into();
    let logits = random([batch, CLASSES], device) * 3.0;
    Features::new(leaf(logits, is_student))
        .with_embedding(leaf(random([batch, 64], device), is_student))
        .with_before_relu(maps())
        .with_stages(maps())
}

/// A pass of the loss, or `None` if there is none of this name.
///
/// # Errors
///
/// If a configuration is refused.
pub fn pass(name: &str, batch: usize, device: &Device) -> Result<Option<Pass>, TrainError> {
    if !names().contains(&name) {
        return Ok(None);
    }
    let variant = VARIANTS.iter().find(|(variant, ..)| *variant == name);
    let recipe = match variant {
        _ if name == "kd" => Recipe::default(),
        Some((_, term, settings)) => alone::recipe(term, settings)?,
        None => alone::recipe(name, "")?,
    };
    let of_set: Vec<u16> = (0..SAMPLES).map(|i| (i % CLASSES) as u16).collect();
    let teacher = features(batch, device, false);
    let student = || features(batch, device, true);
    let (mut objective, peers) = alone::objective(&recipe, &of_set, [&student(), &teacher])?;
    let view = || {
        let labels = match name {
            "soft_cross_entropy" => Labels::Mixed(divergence::softmax(teacher.logits.clone(), 1.0)),
            _ => {
                let labels = Tensor::arange(0..batch as i64, &device.clone().autodiff());
                Labels::Hard(labels.remainder_scalar(CLASSES as i64))
            }
        };
        alone::seen((0..peers).map(|_| student()).collect(), &teacher, labels)
    };
    let views = [view(), view()];
    let ids: Vec<u64> = (0..batch).map(|i| (i * 191 % SAMPLES) as u64).collect();
    let (last, mut step) = (recipe.epochs - 1, 0);
    // What can fail fails here.
    objective.loss([last, step], &ids, &alone::named(&views))?;
    let mut no_gradients = alone::no_gradients(device);
    let mut optimizer = SgdConfig::new().init();
    Ok(Some(Box::new(move || {
        step += 1;
        if let Ok(loss) = objective.loss([last, step], &ids, &alone::named(&views)) {
            drop(loss.total.backward());
            objective.accept(loss, &mut no_gradients, &mut optimizer, 0.0);
        }
    })))
}
