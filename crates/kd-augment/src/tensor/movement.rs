//! What moves whole pixels and paints over them.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::host;
use crate::arith::nearest_indices;
use crate::cpu::nearest_source;
use crate::plan::{Fill, Interpolation, PixelBox, Segment};

/// Marks a pixel that is painted over.
const PAINTED: i32 = -1;

/// Steps of one image that only move and paint, with one colour at most. They are one look-up.
struct Run<'a> {
    steps: &'a [Segment],
    fill: Option<Fill>,
}

/// Moves and paints the images whose lists begin so, as far as one look-up goes. `value` is what a level is in `images`.
pub(super) fn moved(
    lists: &mut [&[Segment]],
    images: Tensor<4>,
    value: fn(u8) -> f32,
) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let size = h * w;
    let runs: Vec<Run> = lists.iter_mut().map(|list| take(list, [h, w])).collect();
    let mut sources = vec![0; n * size];
    sources
        .par_chunks_exact_mut(size)
        .zip(&runs)
        .for_each(|(sources, run)| trace(run.steps, [h, w], sources));
    let painted: Vec<bool> = sources.iter().map(|source| *source == PAINTED).collect();
    let moves = |run: &Run| {
        !run.steps
            .iter()
            .all(|step| matches!(step, Segment::Erase(_)))
    };
    let mut out = images;
    if runs.iter().any(moves) {
        let sources = sources.into_iter().map(|source| source.max(0)).collect();
        let sources = host::indices(sources, [n, 1, size], &out);
        out = out
            .reshape([n, c, size])
            .gather(2, sources.expand([n, c, size]))
            .reshape([n, c, h, w]);
    }
    if painted.contains(&true) {
        let fills = runs.iter().map(|run| run.fill.unwrap_or_default());
        out = filled(out, painted, fills, value);
    }
    out
}

/// Paints each image with its colour where `mask` says so.
pub(super) fn filled(
    images: Tensor<4>,
    mask: Vec<bool>,
    fills: impl Iterator<Item = Fill>,
    value: fn(u8) -> f32,
) -> Tensor<4> {
    let [n, c, h, w] = images.dims();
    let mask = host::mask(mask, &images);
    let colours: Vec<f32> = fills
        .flat_map(|fill| (0..c).map(move |channel| value(fill.level(channel))))
        .collect();
    if colours.iter().all(|colour| *colour == 0.0) {
        return images.mask_fill(mask, 0.0);
    }
    let colours = host::floats(colours, [n, c, 1, 1], &images);
    images.mask_where(mask, colours.expand([n, c, h, w]))
}

/// The longest run that the list begins with.
fn take<'a>(list: &mut &'a [Segment], size: [usize; 2]) -> Run<'a> {
    let mut fill = None;
    let breaks = |segment: &Segment| match paint_of(segment, size) {
        None => true,
        Some(None) => false,
        Some(Some(next)) => *fill.get_or_insert(next) != next,
    };
    let end = list.iter().position(breaks).unwrap_or(list.len());
    let (steps, rest) = list.split_at(end);
    *list = rest;
    Run { steps, fill }
}

/// The colour that a movement may bring in; `None` if the segment is no movement.
fn paint_of(segment: &Segment, [h, w]: [usize; 2]) -> Option<Option<Fill>> {
    match segment {
        Segment::Gather(step) if step.window == PixelBox::full(h, w) => Some(None),
        Segment::Gather(_) => Some(Some(Fill::Level(0))),
        Segment::Shift(_) => Some(None),
        Segment::Resize(step) if step.interpolation == Interpolation::Nearest => Some(None),
        Segment::Warp(step) if step.interpolation == Interpolation::Nearest => {
            Some(Some(step.fill))
        }
        Segment::Erase(step) => Some(Some(step.fill)),
        _ => None,
    }
}

/// For each pixel the one that is there after the steps.
fn trace(steps: &[Segment], [h, w]: [usize; 2], sources: &mut [i32]) {
    for (index, source) in sources.iter_mut().enumerate() {
        *source = index as i32;
    }
    for step in steps {
        match step {
            Segment::Gather(step) => follow(sources, w, |x, y| {
                step.window.contains(x, y).then(|| step.source(x, y))
            }),
            Segment::Shift(step) => {
                let fold =
                    |v: usize, d: i32, size| step.border.fold(v as i32 + d, size as i32) as usize;
                follow(sources, w, |x, y| {
                    Some((fold(x, step.dx, w), fold(y, step.dy, h)))
                });
            }
            Segment::Warp(step) => follow(sources, w, |x, y| {
                nearest_source(&step.matrix, [x, y], [h, w])
            }),
            Segment::Resize(step) => {
                let (mut columns, mut rows) = (Vec::new(), Vec::new());
                let area = step.area;
                nearest_indices(area.columns().start, area.columns().len(), w, &mut columns);
                nearest_indices(area.rows().start, area.rows().len(), h, &mut rows);
                follow(sources, w, |x, y| {
                    Some((columns[x] as usize, rows[y] as usize))
                });
            }
            Segment::Erase(step) => host::paint(sources, w, step.area, PAINTED),
            // Not in a run.
            _ => {}
        }
    }
}

/// One movement more: `from` gives the source of an output pixel, or nothing where that is outside.
fn follow(
    sources: &mut [i32],
    width: usize,
    from: impl Fn(usize, usize) -> Option<(usize, usize)>,
) {
    let before = sources.to_vec();
    for (y, row) in sources.chunks_exact_mut(width).enumerate() {
        for (x, source) in row.iter_mut().enumerate() {
            *source = from(x, y).map_or(PAINTED, |(sx, sy)| before[sy * width + sx]);
        }
    }
}
