//! Works through the lists of all images side by side.
//!
//! The images of a batch have different lists. In each round one kind of step is done for all images that have it next; the
//! others wait, which does not change their order. Which kind comes next is the choice that matters: each round costs launches.
//! It is the kind before which most steps are waiting, a good approximation of the shortest common order of all lists.

use burn::tensor::{FloatDType, IndexingUpdateOp, Tensor};

use super::{colour, filter, host, lookup, movement, noise, resize, warp};
use crate::affine;
use crate::error::AugmentError;
use crate::plan::{ImagePlan, Interpolation, Segment};

/// Steps that are done together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Move,
    Table,
    Warp,
    Stretch,
    Color,
    Hue,
    Sharpness,
    Blur,
    Noise,
}

const KINDS: usize = Kind::Noise as usize + 1;

impl Kind {
    fn of(segment: &Segment) -> Self {
        let bilinear = |interpolation, kind| match interpolation {
            Interpolation::Nearest => Self::Move,
            Interpolation::Bilinear => kind,
        };
        match segment {
            Segment::Gather(_) | Segment::Shift(_) | Segment::Erase(_) => Self::Move,
            Segment::Warp(step) => bilinear(step.interpolation, Self::Warp),
            Segment::Resize(step) => bilinear(step.interpolation, Self::Stretch),
            Segment::Point(_) | Segment::Adapt(_) => Self::Table,
            Segment::Color(_) | Segment::Grayscale => Self::Color,
            Segment::Hue(_) => Self::Hue,
            Segment::Sharpness(_) => Self::Sharpness,
            Segment::Blur(_) => Self::Blur,
            Segment::Noise(_) => Self::Noise,
        }
    }

    /// The kind before which most steps wait; `None` when all is done.
    fn next(lists: &[&[Segment]]) -> Option<Self> {
        let mut waiting: [(usize, Option<Self>); KINDS] = [(0, None); KINDS];
        for list in lists {
            if let Some(first) = list.first() {
                let kind = Self::of(first);
                let (count, name) = &mut waiting[kind as usize];
                *count += list.len();
                *name = Some(kind);
            }
        }
        // Of equals the first.
        waiting.iter().rev().max_by_key(|(count, _)| *count)?.1
    }
}

/// Pixels in [0, 1] after the segments of their images.
pub(super) fn segments(plan: &ImagePlan, images: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
    let mut lists: Vec<&[Segment]> = (0..plan.len()).map(|i| plan.image(i)).collect();
    let copies = |segment: &Segment| matches!(segment, Segment::Gather(_) | Segment::Erase(_));
    if lists.iter().copied().flatten().all(copies) {
        let mut images = images;
        while lists.iter().any(|list| !list.is_empty()) {
            images = movement::moved(&mut lists, images, affine::unit);
        }
        return Ok(images);
    }
    let precision = images.dtype();
    // Whole levels have no slope.
    let images = images.set_require_grad(false).cast(FloatDType::F32);
    let mut levels = (images * 255.0).round().clamp(0.0, 255.0);
    while let Some(kind) = Kind::next(&lists) {
        levels = round(kind, &mut lists, levels)?;
    }
    // As `affine::unit`: correctly rounded whether or not the device fuses multiplication and addition.
    let unit = levels.clone() * affine::HEAD + levels * affine::TAIL;
    Ok(unit.cast(precision))
}

/// One kind of step, for all images that have it next.
fn round(
    kind: Kind,
    lists: &mut [&[Segment]],
    levels: Tensor<4>,
) -> Result<Tensor<4>, AugmentError> {
    match kind {
        Kind::Move => return Ok(movement::moved(lists, levels, f32::from)),
        Kind::Table => return lookup::mapped(lists, levels),
        _ => {}
    }
    let n = lists.len();
    let (rows, steps) = take(kind, lists);
    if rows.len() == n {
        return done(kind, &steps, levels);
    }
    let rows = host::indices(rows, [steps.len()], &levels);
    let group = done(kind, &steps, levels.clone().select(0, rows.clone()))?;
    Ok(levels.select_assign(0, rows, group, IndexingUpdateOp::Assign))
}

/// The images whose next step is of this kind, and the steps, taken from the lists.
fn take(kind: Kind, lists: &mut [&[Segment]]) -> (Vec<i32>, Vec<Segment>) {
    let next = |(i, list): (usize, &mut &[Segment])| {
        let (first, rest) = list.split_first()?;
        if Kind::of(first) != kind {
            return None;
        }
        *list = rest;
        Some((i as i32, *first))
    };
    lists.iter_mut().enumerate().filter_map(next).unzip()
}

/// One step of this kind on each image.
fn done(kind: Kind, steps: &[Segment], levels: Tensor<4>) -> Result<Tensor<4>, AugmentError> {
    // The parameters of all steps: a step of another kind is not among them.
    macro_rules! parameters {
        ($($pattern:pat => $value:expr),+ $(,)?) => {
            &steps.iter().filter_map(|step| match step { $($pattern => Some($value),)+ _ => None }).collect::<Vec<_>>()
        };
    }
    Ok(match kind {
        Kind::Warp => warp::warped(parameters!(Segment::Warp(step) => *step), levels),
        Kind::Stretch => resize::stretched(parameters!(Segment::Resize(step) => *step), levels),
        Kind::Color => {
            let factors =
                parameters!(Segment::Color(step) => step.factor, Segment::Grayscale => 0.0);
            colour::saturated(factors, levels)
        }
        Kind::Hue => colour::turned(parameters!(Segment::Hue(step) => *step), levels)?,
        Kind::Sharpness => {
            filter::sharpened(parameters!(Segment::Sharpness(step) => step.factor), levels)
        }
        Kind::Blur => filter::blurred(parameters!(Segment::Blur(step) => *step), levels),
        Kind::Noise => noise::noisy(parameters!(Segment::Noise(step) => *step), levels),
        // Done for the whole batch.
        Kind::Move | Kind::Table => levels,
    })
}
