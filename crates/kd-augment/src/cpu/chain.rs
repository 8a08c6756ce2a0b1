//! The chain of one image, in u8.

use crate::affine::Affine;
use crate::plan::{Erase, Segment};

use super::gather::gather;

/// Scratch space for images of one shape.
pub(super) struct Chain {
    shape: [usize; 3],
    pixels: Vec<u8>,
    spare: Vec<u8>,
    mask: Vec<u8>,
}

impl Chain {
    pub(super) fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            pixels: Vec::new(),
            spare: Vec::new(),
            mask: Vec::new(),
        }
    }

    /// The image after all segments; the image itself if there are none.
    pub(super) fn run<'a>(&'a mut self, image: &'a [u8], segments: &[Segment]) -> &'a [u8] {
        let Some((first, rest)) = segments.split_first() else {
            return image;
        };
        self.pixels.resize(image.len(), 0);
        match first {
            Segment::Gather(step) => {
                gather(step, self.shape, image, &mut self.pixels, &mut self.mask)
            }
            Segment::Erase(step) => {
                self.pixels.copy_from_slice(image);
                erase(step, self.shape, &mut self.pixels);
            }
        }
        for segment in rest {
            match segment {
                Segment::Gather(step) => {
                    self.spare.resize(image.len(), 0);
                    gather(
                        step,
                        self.shape,
                        &self.pixels,
                        &mut self.spare,
                        &mut self.mask,
                    );
                    core::mem::swap(&mut self.pixels, &mut self.spare);
                }
                Segment::Erase(step) => erase(step, self.shape, &mut self.pixels),
            }
        }
        &self.pixels
    }
}

fn erase(step: &Erase, [_, h, w]: [usize; 3], pixels: &mut [u8]) {
    for (channel, plane) in pixels.chunks_exact_mut(h * w).enumerate() {
        let level = step.fill.level(channel);
        for row in plane
            .chunks_exact_mut(w)
            .take(step.area.rows().end)
            .skip(step.area.rows().start)
        {
            row[step.area.columns()].fill(level);
        }
    }
}

/// The floats of an image.
pub(super) fn to_float(image: &[u8], [_, h, w]: [usize; 3], affine: &Affine, out: &mut [f32]) {
    let planes = image.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
    for (channel, (levels, out)) in planes.enumerate() {
        affine.convert(channel, levels, out);
    }
}
