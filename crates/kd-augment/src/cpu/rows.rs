//! Movement, one erased box and the map to floats, in one pass.
//!
//! In a plane without gaps between its rows a shift in x and y is one shift of the whole plane; what it carries over from one row
//! into the next has no source and is masked. So a plane is one long loop, which vectorises whatever the width of its rows, where a
//! loop for each row of 32 pixels would cost more than its work. Mirrored images are mirrored first, a row at a time.

use super::isa::vectorized;
use super::stream;
use crate::affine::{Affine, Line, unit};
use crate::plan::{Erase, Gather, PixelBox};

/// One movement and then at most one erased box.
#[derive(Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) step: &'a Gather,
    pub(super) erase: Option<&'a Erase>,
}

/// Scratch space.
#[derive(Default)]
pub(super) struct Masks {
    /// 255 where a pixel of a plane has a source, else 0.
    kept: Vec<u8>,
    /// 255 where it is painted over, else 0.
    erased: Vec<u8>,
    row: Vec<u8>,
    mirrored: Vec<u8>,
}

/// Marks the pixels of a box in a plane.
fn mark(plane: &mut Vec<u8>, row: &mut Vec<u8>, area: PixelBox, [h, w]: [usize; 2]) {
    plane.clear();
    plane.resize(h * w, 0);
    row.clear();
    row.resize(w, 0);
    row[area.columns()].fill(0xFF);
    let rows = &mut plane[area.rows().start * w..area.rows().end * w];
    // A copy of known length is a single instruction, of unknown length a call.
    match row.first_chunk::<32>() {
        Some(row) if w == 32 => rows.as_chunks_mut().0.fill(*row),
        _ => {
            for line in rows.chunks_exact_mut(w) {
                line.copy_from_slice(row);
            }
        }
    }
}

vectorized! {
    /// Mirrors every plane.
    fn mirror(step: &Gather, shape: [usize; 3], input: &[u8], out: &mut [u8]) {
        let [_, h, w] = shape;
        if w == 32 && !step.mirror_y {
            // Rows of known length need no loop of their own.
            let (rows, _) = input.as_chunks::<32>();
            let (out_rows, _) = out.as_chunks_mut::<32>();
            for (row, out) in rows.iter().zip(out_rows) {
                reverse_block(row, out);
            }
            return;
        }
        for (input, out) in input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
            for (y, out) in out.chunks_exact_mut(w).enumerate() {
                let y = if step.mirror_y { h - 1 - y } else { y };
                let row = &input[y * w..][..w];
                if step.mirror_x {
                    reverse(row, out);
                } else {
                    out.copy_from_slice(row);
                }
            }
        }
    }
}

/// Four words of eight pixels.
#[inline(always)]
fn reverse_block(block: &[u8; 32], out: &mut [u8; 32]) {
    let (words, _) = block.as_chunks::<8>();
    let (out, _) = out.as_chunks_mut::<8>();
    for i in 0..4 {
        out[3 - i] = u64::from_le_bytes(words[i]).swap_bytes().to_le_bytes();
    }
}

#[inline(always)]
fn reverse(row: &[u8], out: &mut [u8]) {
    let (blocks, rest) = row.as_chunks::<32>();
    let (head, out_blocks) = out.as_rchunks_mut::<32>();
    for (out, block) in out_blocks.iter_mut().rev().zip(blocks) {
        reverse_block(block, out);
    }
    for (out, pixel) in head.iter_mut().rev().zip(rest) {
        *out = *pixel;
    }
}

/// What a level becomes.
trait Sink {
    type Pixel;

    fn of(&self, level: u8) -> Self::Pixel;
}

struct Levels;

impl Sink for Levels {
    type Pixel = u8;

    #[inline(always)]
    fn of(&self, level: u8) -> u8 {
        level
    }
}

struct Unit;

impl Sink for Unit {
    type Pixel = f32;

    #[inline(always)]
    fn of(&self, level: u8) -> f32 {
        unit(level)
    }
}

impl Sink for Line {
    type Pixel = f32;

    #[inline(always)]
    fn of(&self, level: u8) -> f32 {
        self.at(level)
    }
}

/// What all planes of an image have in common: pixel i of the output is pixel i + `offset` of the source.
struct Plane<'a> {
    offset: isize,
    kept: &'a [u8],
    erased: Option<&'a [u8]>,
}

impl Plane<'_> {
    /// Writes the pixels from `base` on of a plane whose box is painted with `level`.
    #[inline(always)]
    fn run<S: Sink>(&self, sink: &S, level: u8, base: usize, input: &[u8], out: &mut [S::Pixel]) {
        // The pixels of `out` that would have a source, were the plane endless; none of the others has one.
        let (n, size) = (out.len() as isize, input.len() as isize);
        let first = self.offset.saturating_add(base as isize);
        let start = first.saturating_neg().clamp(0, n) as usize;
        let end = size.saturating_sub(first).clamp(0, n) as usize;
        let (start, end) = if start < end {
            (start, end)
        } else {
            (n as usize, n as usize)
        };
        let from = (start as isize).saturating_add(first).clamp(0, size) as usize;
        let source = &input[from..][..end - start];
        let kept = &self.kept[base + start..base + end];
        match self.erased {
            None => {
                let zero = |out: &mut [S::Pixel]| out.iter_mut().for_each(|out| *out = sink.of(0));
                zero(&mut out[..start]);
                zero(&mut out[end..]);
                let out = &mut out[start..end];
                for i in 0..out.len() {
                    out[i] = sink.of(source[i] & kept[i]);
                }
            }
            Some(erased) => {
                let erased = &erased[base..base + out.len()];
                for (out, erased) in out[..start].iter_mut().zip(erased) {
                    *out = sink.of(erased & level);
                }
                for (out, erased) in out[end..].iter_mut().zip(&erased[end..]) {
                    *out = sink.of(erased & level);
                }
                let (out, erased) = (&mut out[start..end], &erased[start..end]);
                for i in 0..out.len() {
                    let e = erased[i];
                    out[i] = sink.of((source[i] & kept[i] & !e) | (e & level));
                }
            }
        }
    }
}

vectorized! {
    fn level_plane(plane: &Plane<'_>, level: u8, input: &[u8], out: &mut [u8]) {
        plane.run(&Levels, level, 0, input, out);
    }
}

vectorized! {
    fn unit_plane(plane: &Plane<'_>, level: u8, base: usize, input: &[u8], out: &mut [f32]) {
        plane.run(&Unit, level, base, input, out);
    }
}

vectorized! {
    fn line_plane(plane: &Plane<'_>, line: &Line, level: u8, base: usize, input: &[u8], out: &mut [f32]) {
        plane.run(line, level, base, input, out);
    }
}

/// Calls `work` with each channel, its plane and the level of its box.
fn each_plane<T>(
    Move { step, erase }: Move<'_>,
    shape: [usize; 3],
    input: &[u8],
    out: &mut [T],
    masks: &mut Masks,
    work: impl Fn(usize, &Plane<'_>, u8, &[u8], &mut [T]),
) {
    let [_, h, w] = shape;
    let mut input = input;
    let (mut dx, mut dy) = (step.dx as isize, step.dy as isize);
    if step.mirror_x || step.mirror_y {
        masks.mirrored.resize(input.len(), 0);
        mirror(step, shape, input, &mut masks.mirrored);
        input = &masks.mirrored;
        if step.mirror_x {
            dx = w as isize - 1 - dx;
        }
        if step.mirror_y {
            dy = h as isize - 1 - dy;
        }
    }
    mark(&mut masks.kept, &mut masks.row, step.window, [h, w]);
    if let Some(erase) = erase {
        mark(&mut masks.erased, &mut masks.row, erase.area, [h, w]);
    }
    let plane = Plane {
        offset: dy.saturating_mul(w as isize).saturating_add(dx),
        kept: &masks.kept,
        erased: erase.map(|_| &masks.erased[..]),
    };
    let planes = input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    for (channel, (input, out)) in planes.enumerate() {
        let level = erase.map_or(0, |erase| erase.fill.level(channel));
        work(channel, &plane, level, input, out);
    }
}

/// To levels.
pub(super) fn levels(
    work: Move<'_>,
    shape: [usize; 3],
    input: &[u8],
    out: &mut [u8],
    masks: &mut Masks,
) {
    each_plane(
        work,
        shape,
        input,
        out,
        masks,
        |_, plane, level, input, out| {
            level_plane(plane, level, input, out);
        },
    );
}

/// Floats that are computed in the cache before they are written past it.
const PART: usize = 1024;

/// Calls `work` with each part of `out` and where it begins. What is large is written past the cache.
fn in_parts(out: &mut [f32], past_cache: bool, mut work: impl FnMut(usize, &mut [f32])) {
    if !past_cache {
        return work(0, out);
    }
    let mut part = [0.0; PART];
    for (k, out) in out.chunks_mut(PART).enumerate() {
        let part = &mut part[..out.len()];
        work(k * PART, part);
        stream::copy(part, out);
    }
    stream::fence();
}

/// To floats.
pub(super) fn floats(
    work: Move<'_>,
    shape: [usize; 3],
    input: &[u8],
    to: Target<'_>,
    out: &mut [f32],
    masks: &mut Masks,
) {
    each_plane(
        work,
        shape,
        input,
        out,
        masks,
        |channel, plane, level, input, out| {
            let line = to.affine.line(channel);
            in_parts(out, to.past_cache, |base, out| match &line {
                None => unit_plane(plane, level, base, input, out),
                Some(line) => line_plane(plane, line, level, base, input, out),
            });
        },
    );
}

/// How floats are written.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) affine: &'a Affine,
    /// Whether the batch is too large for the caches.
    pub(super) past_cache: bool,
}

/// The floats of levels that stay where they are.
pub(super) fn convert(image: &[u8], shape: [usize; 3], to: Target<'_>, out: &mut [f32]) {
    let [_, h, w] = shape;
    let planes = image.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    for (channel, (levels, out)) in planes.enumerate() {
        in_parts(out, to.past_cache, |base, out| {
            convert_plane(to.affine, channel, &levels[base..][..out.len()], out);
        });
    }
}

vectorized! {
    fn convert_plane(affine: &Affine, channel: usize, levels: &[u8], out: &mut [f32]) {
        affine.convert(channel, levels, out);
    }
}

/// Paints a box, in place.
pub(super) fn erase(step: &Erase, [_, h, w]: [usize; 3], pixels: &mut [u8]) {
    for (channel, plane) in pixels.chunks_exact_mut(h * w).enumerate() {
        let level = step.fill.level(channel);
        let rows = plane.chunks_exact_mut(w);
        for row in rows.take(step.area.rows().end).skip(step.area.rows().start) {
            row[step.area.columns()].fill(level);
        }
    }
}
