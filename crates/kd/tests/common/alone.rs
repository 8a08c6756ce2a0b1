//! A loss by the name of its term: a recipe of it alone, and an objective that can be given any
//! features.
#![allow(dead_code, reason = "no program needs all of it")]

use kd::burn::tensor::{Device, Gradients, Tensor};
use kd::models::Features;
use kd::train::{Labels, Objective, Recipe, Seen, Setting, Shapes, Terms, TrainError};

/// The name of the term in a [`recipe`].
pub(crate) const ALONE: &str = "alone";

/// Writes a recipe of two epochs, in the first of which some terms train their own layers alone.
/// The loss stands on the view `original` and, if it reads two views, on `second`.
pub(crate) fn recipe(loss: &str, settings: &str) -> Result<Recipe, TrainError> {
    let on = |views: &str| {
        Recipe::from_toml(&format!(
            "epochs = 2\nviews.second = {{}}\n\
             [terms.{ALONE}]\nloss = \"{loss}\"\non = {views}\n{settings}"
        ))
    };
    on("\"original\"").or_else(|_| on("[\"original\", \"second\"]"))
}

/// Makes the objective of a recipe for the fewest peers that its terms take, and returns their
/// number. The shapes are those of what a student and the teacher make of any images.
pub(crate) fn objective(
    recipe: &Recipe,
    labels: &[u16],
    [student, teacher]: [&Features; 2],
) -> Result<(Objective, usize), TrainError> {
    let terms = Terms::standard();
    let classes = student.logits.dims()[1];
    let of = |peers: usize| {
        let setting = Setting::new(classes, labels, &student.logits.device())
            .with_peers(vec![Shapes::of(student); peers])
            .with_shared(vec![student.embedding.as_ref().map(|x| x.dims()[1])])
            .with_teacher(Shapes::of(teacher));
        Ok((Objective::new(recipe, &terms, &setting)?, peers))
    };
    of(1).or_else(|_| of(2)).or_else(|_| of(3))
}

/// A view with all that a loss can read of it. What branches would share is the first peer's
/// embedding.
pub(crate) fn seen(peers: Vec<Features>, teacher: &Features, labels: Labels) -> Seen {
    let shared = peers.iter().take(1).map(|peer| peer.embedding.clone());
    Seen::default()
        .with_shared(shared.collect())
        .with_peers(peers)
        .with_teacher(teacher.clone())
        .with_labels(labels)
}

/// Both views as an objective takes them.
pub(crate) fn named([original, second]: &[Seen; 2]) -> [(&'static str, &Seen); 2] {
    [("original", original), ("second", second)]
}

/// Gradients of nothing: an objective that accepts a loss with them remembers, and trains nothing.
pub(crate) fn no_gradients(device: &Device) -> Gradients {
    let leaf = Tensor::<1>::zeros([1], &device.clone().autodiff());
    leaf.require_grad().backward()
}
