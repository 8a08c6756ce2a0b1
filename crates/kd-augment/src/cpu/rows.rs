//! Movement, one erased box and the map to floats, in one pass.

use super::isa::vectorized;
use crate::affine::Affine;
use crate::plan::{Erase, Gather, PixelBox};

/// Pixels treated at a time: two vectors of floats, or half a vector of bytes.
const BLOCK: usize = 32;

/// What is kept and what is painted in the columns of a row, one byte a column, a multiple of [`BLOCK`] long.
#[derive(Default)]
pub(super) struct Masks {
    /// Columns that have a source.
    inside: Vec<u8>,
    /// The same without those of the erased box.
    kept: Vec<u8>,
    /// Columns of the erased box.
    erased: Vec<u8>,
}

impl Masks {
    fn set(&mut self, step: &Gather, erase: Option<&Erase>, width: usize) {
        let padded = width.next_multiple_of(BLOCK);
        for mask in [&mut self.inside, &mut self.kept, &mut self.erased] {
            mask.clear();
            mask.resize(padded, 0);
        }
        self.inside[step.window.columns()].fill(0xFF);
        self.kept[step.window.columns()].fill(0xFF);
        if let Some(erase) = erase {
            self.kept[erase.area.columns()].fill(0);
            self.erased[erase.area.columns()].fill(0xFF);
        }
    }
}

/// One movement and then at most one erased box.
#[derive(Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) step: &'a Gather,
    pub(super) erase: Option<&'a Erase>,
}

vectorized! {
    /// To levels.
    pub(super) fn levels(work: Move<'_>, shape: [usize; 3], input: &[u8], out: &mut [u8], masks: &mut Masks) {
        each_block(work, shape, input, masks, |_, start, length, block| match out[start..].first_chunk_mut::<BLOCK>() {
            Some(out) if length == BLOCK => *out = *block,
            _ => out[start..start + length].copy_from_slice(&block[..length]),
        });
    }
}

vectorized! {
    /// To floats.
    pub(super) fn floats(
        work: Move<'_>, shape: [usize; 3], input: &[u8], affine: &Affine, out: &mut [f32], masks: &mut Masks,
    ) {
        each_block(work, shape, input, masks, |channel, start, length, block| match out[start..].first_chunk_mut::<BLOCK>() {
            Some(out) if length == BLOCK => affine.convert(channel, block, out),
            _ => {
                let mut floats = [0.0; BLOCK];
                affine.convert(channel, block, &mut floats);
                out[start..start + length].copy_from_slice(&floats[..length]);
            }
        });
    }
}

vectorized! {
    /// The floats of levels that stay where they are.
    pub(super) fn convert(image: &[u8], shape: [usize; 3], affine: &Affine, out: &mut [f32]) {
        let [_, h, w] = shape;
        let planes = image.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
        for (channel, (levels, out)) in planes.enumerate() {
            affine.convert(channel, levels, out);
        }
    }
}

/// Calls `put` with the channel, the position in the image, the length and the pixels of every block of every row.
#[inline(always)]
fn each_block(
    work: Move<'_>,
    [c, h, w]: [usize; 3],
    input: &[u8],
    masks: &mut Masks,
    mut put: impl FnMut(usize, usize, usize, &[u8; BLOCK]),
) {
    let Move { step, erase } = work;
    masks.set(step, erase, w);
    let erased_rows = erase.map_or(PixelBox::EMPTY, |erase| erase.area).rows();
    let rows = step.window.rows();
    for channel in 0..c {
        let level = erase.map_or(0, |erase| erase.fill.level(channel));
        for y in 0..h {
            let erases = erased_rows.contains(&y);
            let kept = match (rows.contains(&y), erases) {
                (false, _) => None,
                (true, false) => Some(&masks.inside),
                (true, true) => Some(&masks.kept),
            };
            let source = kept.map(|kept| {
                let (_, source_y) = step.source(0, y);
                (((channel * h + source_y) * w) as isize, kept)
            });
            for x in (0..w).step_by(BLOCK) {
                let mut block = match source {
                    None => [0; BLOCK],
                    Some((row, kept)) => {
                        let (x, dx) = (x as isize, step.dx as isize);
                        let mut block = match step.mirror_x {
                            false => load(input, row + dx + x),
                            true => {
                                let mut block = load(input, row + dx - x - (BLOCK as isize - 1));
                                block.reverse();
                                block
                            }
                        };
                        mask(&mut block, kept, x as usize);
                        block
                    }
                };
                if erases {
                    paint(&mut block, &masks.erased, x, level);
                }
                put(channel, (channel * h + y) * w + x, BLOCK.min(w - x), &block);
            }
        }
    }
}

/// The pixels from `start` on; what lies outside is 0, and masked by whoever asks.
#[inline(always)]
fn load(input: &[u8], start: isize) -> [u8; BLOCK] {
    let whole = usize::try_from(start)
        .ok()
        .and_then(|start| input.get(start..))
        .and_then(|rest| rest.first_chunk::<BLOCK>());
    match whole {
        Some(block) => *block,
        None => partial(input, start),
    }
}

#[cold]
#[inline(never)]
fn partial(input: &[u8], start: isize) -> [u8; BLOCK] {
    core::array::from_fn(|i| {
        let at = usize::try_from(start + i as isize).ok();
        at.and_then(|at| input.get(at)).copied().unwrap_or(0)
    })
}

#[inline(always)]
fn mask(block: &mut [u8; BLOCK], kept: &[u8], x: usize) {
    if let Some(kept) = kept[x..].first_chunk::<BLOCK>() {
        for (pixel, kept) in block.iter_mut().zip(kept) {
            *pixel &= kept;
        }
    }
}

#[inline(always)]
fn paint(block: &mut [u8; BLOCK], erased: &[u8], x: usize, level: u8) {
    if let Some(erased) = erased[x..].first_chunk::<BLOCK>() {
        for (pixel, erased) in block.iter_mut().zip(erased) {
            *pixel = (*pixel & !erased) | (erased & level);
        }
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
