//! What a student and the teacher have in common: pairs of maps and of embeddings.

use burn::tensor::Tensor;
use kd_models::Features;

use crate::TrainError;
use crate::term::{Setting, Shapes};

/// Maps of the stages after the stem, from the last backwards as many as both have.
pub(super) fn stages(student: &Features, teacher: &Features) -> Vec<[Tensor<4>; 2]> {
    let after = |features: &Features| features.stages.iter().skip(1).cloned().rev().collect();
    let (student, teacher): (Vec<_>, Vec<_>) = (after(student), after(teacher));
    let mut pairs: Vec<_> = student
        .into_iter()
        .zip(teacher)
        .map(|(s, t)| [s, t])
        .collect();
    pairs.reverse();
    pairs
}

/// The shapes of [`stages`].
pub(super) fn stage_shapes(student: &Shapes, teacher: &Shapes) -> Vec<[[usize; 3]; 2]> {
    let after = |shapes: &Shapes| shapes.stages.iter().skip(1).copied().rev().collect();
    let (student, teacher): (Vec<_>, Vec<_>) = (after(student), after(teacher));
    let mut pairs: Vec<_> = student
        .into_iter()
        .zip(teacher)
        .map(|(s, t)| [s, t])
        .collect();
    pairs.reverse();
    pairs
}

/// Sums over the stages.
pub(super) fn sum(terms: impl IntoIterator<Item = Tensor<1>>) -> Result<Tensor<1>, TrainError> {
    let sum = terms.into_iter().reduce(|sum, term| sum + term);
    sum.ok_or(NO_STAGES)
}

const NO_STAGES: TrainError = TrainError::Unread {
    what: "the maps of stages, which a network that is trained or the teacher does not give",
};

const NO_EMBEDDING: TrainError = TrainError::Unread {
    what: "an embedding, which a network that is trained or the teacher does not give",
};

/// Seed of the parts of a network.
pub(super) fn seed(setting: &Setting<'_>, network: usize) -> u64 {
    setting.seed.wrapping_add((network as u64) << 32)
}

/// The embeddings of a student and the teacher.
pub(super) fn embeddings(
    student: &Features,
    teacher: &Features,
) -> Result<[Tensor<2>; 2], TrainError> {
    match (&student.embedding, &teacher.embedding) {
        (Some(student), Some(teacher)) => Ok([student.clone(), teacher.clone()]),
        _ => Err(NO_EMBEDDING),
    }
}

/// Student and teacher widths of the embeddings, for each network.
pub(super) fn widths(setting: &Setting<'_>) -> Result<Vec<[usize; 2]>, TrainError> {
    let of = |student: &Shapes| {
        let teacher = setting.teacher.as_ref()?;
        Some([student.embedding?, teacher.embedding?])
    };
    let pairs = setting.networks.iter().map(of).collect::<Option<Vec<_>>>();
    pairs.ok_or(NO_EMBEDDING)
}

/// Student and teacher shapes of the stages after the stem, for each network.
pub(super) fn shapes(setting: &Setting<'_>) -> Result<Vec<Vec<[[usize; 3]; 2]>>, TrainError> {
    let teacher = setting.teacher.as_ref().ok_or(NO_STAGES)?;
    let of = |student: &Shapes| match stage_shapes(student, teacher) {
        pairs if pairs.is_empty() => Err(NO_STAGES),
        pairs => Ok(pairs),
    };
    setting.networks.iter().map(of).collect()
}
