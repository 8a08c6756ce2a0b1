//! The chain of one image, in u8.

use super::rows::{Masks, Move, Target};
use super::{colour, filter, lookup, noise, resize, rows, warp};
use crate::arith::{self, Table};
use crate::plan::{Adaptive, Erase, Gather, Segment};

/// Scratch space of one thread. It grows to what its images need and stays.
#[derive(Default)]
pub(super) struct Chain {
    current: Vec<u8>,
    other: Vec<u8>,
    /// The levels of an image that is wanted in floats.
    levels: Vec<u8>,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    masks: Masks,
    indices: Vec<u32>,
    row: warp::Row,
    floats: Vec<f32>,
    tables: Vec<Table>,
    resize: resize::Scratch,
}

/// Segments that are done in one pass over the image.
enum Pass<'a> {
    /// A movement or none, then erased boxes.
    Move(Option<&'a Gather>, &'a [Segment]),
    /// Maps of levels: fixed ones, after at most one that depends on the image.
    Tables(Option<Adaptive>, &'a [Segment]),
    /// Anything else.
    Single(&'a Segment),
}

impl<'a> Pass<'a> {
    /// The first pass and what is left after it.
    fn split(segments: &'a [Segment]) -> Option<(Self, &'a [Segment])> {
        let (first, rest) = segments.split_first()?;
        let run = |segments: &'a [Segment], of: fn(&Segment) -> bool| {
            let end = segments.iter().position(|segment| !of(segment));
            segments.split_at(end.unwrap_or(segments.len()))
        };
        let erases = |segment: &Segment| matches!(segment, Segment::Erase(_));
        let points = |segment: &Segment| matches!(segment, Segment::Point(_));
        Some(match first {
            Segment::Gather(gather) => {
                let (erased, rest) = run(rest, erases);
                (Self::Move(Some(gather), erased), rest)
            }
            Segment::Erase(_) => {
                let (erased, rest) = run(segments, erases);
                (Self::Move(None, erased), rest)
            }
            Segment::Adapt(adaptive) => {
                let (points, rest) = run(rest, points);
                (Self::Tables(Some(*adaptive), points), rest)
            }
            Segment::Point(_) => {
                let (points, rest) = run(segments, points);
                (Self::Tables(None, points), rest)
            }
            other => (Self::Single(other), rest),
        })
    }

    fn run(&self, shape: [usize; 3], input: &[u8], out: &mut [u8], scratch: &mut Scratch) {
        match self {
            Self::Move(gather, erased) => {
                let [_, h, w] = shape;
                match (gather, erased) {
                    (Some(step), [] | [Segment::Erase(_)]) => {
                        let erase = single(erased);
                        rows::levels(Move { step, erase }, shape, input, out, &mut scratch.masks);
                        return;
                    }
                    (Some(step), _) => {
                        let work = Move { step, erase: None };
                        rows::levels(work, shape, input, out, &mut scratch.masks);
                    }
                    (None, [Segment::Erase(erase)]) => {
                        let step = &Gather::identity(h, w);
                        let work = Move {
                            step,
                            erase: Some(erase),
                        };
                        rows::levels(work, shape, input, out, &mut scratch.masks);
                        return;
                    }
                    (None, _) => out.copy_from_slice(input),
                }
                for segment in *erased {
                    if let Segment::Erase(erase) = segment {
                        rows::erase(erase, shape, out);
                    }
                }
            }
            Self::Tables(adaptive, points) => {
                let [c, h, w] = shape;
                tables(*adaptive, points, c, h * w, input, &mut scratch.tables);
                let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
                for ((input, out), table) in planes.zip(scratch.tables.iter().cycle()) {
                    lookup::lookup(table, input, out);
                }
            }
            Self::Single(segment) => match segment {
                Segment::Shift(step) => warp::shift(step, shape, input, out),
                Segment::Warp(step) => {
                    let Scratch { indices, row, .. } = scratch;
                    warp::warp(step, shape, input, out, indices, row);
                }
                Segment::Resize(step) => {
                    resize::resize(step, shape, input, out, &mut scratch.resize);
                }
                Segment::Color(step) => colour::color(step.factor, input, out),
                Segment::Grayscale => colour::grayscale(input, out),
                Segment::Hue(step) => colour::hue(step.turn, input, out),
                Segment::Sharpness(step) => filter::sharpness(step.factor, shape, input, out),
                Segment::Blur(step) => filter::blur(step, shape, input, out, &mut scratch.floats),
                Segment::Noise(step) => noise::noise(step, input, out, &mut scratch.floats),
                // In passes of their own.
                Segment::Gather(_) | Segment::Erase(_) | Segment::Point(_) | Segment::Adapt(_) => {}
            },
        }
    }
}

/// The erased box, if there is exactly one.
fn single(erased: &[Segment]) -> Option<&Erase> {
    match erased {
        [Segment::Erase(erase)] => Some(erase),
        _ => None,
    }
}

/// The maps of levels of a pass: one for all channels, or one for each.
pub(crate) fn tables(
    adaptive: Option<Adaptive>,
    points: &[Segment],
    channels: usize,
    size: usize,
    input: &[u8],
    out: &mut Vec<Table>,
) {
    out.clear();
    let planes = input.chunks_exact(size);
    match adaptive {
        None => out.push(arith::identity()),
        Some(Adaptive::AutoContrast) => out.extend(planes.map(|plane| {
            let (low, high) = lookup::extremes(plane);
            arith::auto_contrast(low, high)
        })),
        Some(Adaptive::Equalize) => {
            out.extend(planes.map(|plane| arith::equalize(&lookup::histogram(plane))));
        }
        Some(Adaptive::Contrast(factor)) => {
            let sum = match channels {
                3 => {
                    let (red, rest) = input.split_at(size);
                    let (green, blue) = rest.split_at(size);
                    lookup::luminance_sum(red, green, blue)
                }
                _ => lookup::level_sum(input),
            };
            out.push(arith::contrast(sum, size as u64, factor));
        }
    }
    for segment in points {
        if let Segment::Point(op) = segment {
            for table in out.iter_mut() {
                arith::point(table, *op);
            }
        }
    }
}

impl Chain {
    /// Writes the image after all segments.
    pub(super) fn levels(
        &mut self,
        shape: [usize; 3],
        image: &[u8],
        segments: &[Segment],
        out: &mut [u8],
    ) {
        let Some((pass, rest)) = Pass::split(segments) else {
            return out.copy_from_slice(image);
        };
        if rest.is_empty() {
            return pass.run(shape, image, out, &mut self.scratch);
        }
        self.current.resize(image.len(), 0);
        self.other.resize(image.len(), 0);
        pass.run(shape, image, &mut self.current, &mut self.scratch);
        let mut left = rest;
        while let Some((pass, rest)) = Pass::split(left) {
            if rest.is_empty() {
                return pass.run(shape, &self.current, out, &mut self.scratch);
            }
            pass.run(shape, &self.current, &mut self.other, &mut self.scratch);
            core::mem::swap(&mut self.current, &mut self.other);
            left = rest;
        }
    }

    /// Writes the floats of the image after all segments. A last movement and a last box are done on the way.
    pub(super) fn floats(
        &mut self,
        shape: [usize; 3],
        image: &[u8],
        segments: &[Segment],
        to: Target<'_>,
        out: &mut [f32],
    ) {
        let [_, h, w] = shape;
        let (head, step, erase) = match segments {
            [head @ .., Segment::Gather(step), Segment::Erase(erase)] => (head, *step, Some(erase)),
            [head @ .., Segment::Gather(step)] => (head, *step, None),
            [head @ .., Segment::Erase(erase)]
                if !matches!(head.last(), Some(Segment::Erase(_))) =>
            {
                (head, Gather::identity(h, w), Some(erase))
            }
            [] => return rows::convert(image, shape, to, out),
            _ => {
                return self.with_levels(shape, image, segments, |levels, _| {
                    rows::convert(levels, shape, to, out);
                });
            }
        };
        let work = Move { step: &step, erase };
        if head.is_empty() {
            return rows::floats(work, shape, image, to, out, &mut self.scratch.masks);
        }
        self.with_levels(shape, image, head, |levels, masks| {
            rows::floats(work, shape, levels, to, out, masks);
        });
    }

    fn with_levels(
        &mut self,
        shape: [usize; 3],
        image: &[u8],
        segments: &[Segment],
        then: impl FnOnce(&[u8], &mut Masks),
    ) {
        let mut levels = core::mem::take(&mut self.levels);
        levels.resize(image.len(), 0);
        self.levels(shape, image, segments, &mut levels);
        then(&levels, &mut self.scratch.masks);
        self.levels = levels;
    }
}
