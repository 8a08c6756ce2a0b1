use rayon::prelude::*;

use super::Shared;
use super::bands::{Band, INPUT, bands, groups, input_patch, plane};
use super::sweep::{Sweep, segments, tap_offsets};
use crate::kernels::batch_norm::padded;
use crate::kernels::buffer::Buffer;
use crate::kernels::fill::Transform;
use crate::kernels::geometry::Geometry;
use crate::kernels::isa::Kernels;
use crate::kernels::tile::Finish;
use crate::kernels::{pack, winograd};

/// The output of a convolution, and what is done to it on its way to memory.
pub(crate) struct Forward<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) geometry: Geometry,
    pub(crate) input: &'a [f32],
    /// Of the input, on its way in.
    pub(crate) transform: Transform<'a>,
    /// As [`pack::forward`] orders them.
    pub(crate) weights: &'a Buffer,
    /// One number an output channel, padded to whole blocks.
    pub(crate) shift: Option<&'a [f32]>,
    /// Laid out as the output.
    pub(crate) addend: Option<&'a [f32]>,
    pub(crate) relu: bool,
}

impl Forward<'_> {
    /// Writes the whole output, and calls `then(pixels)` on each band's when they are done, in the band's own thread.
    pub(crate) fn run<T: Send>(
        &self,
        output: &mut [f32],
        then: impl Fn(&[f32]) -> T + Sync,
    ) -> Vec<T> {
        self.check(output);
        let g = &self.geometry;
        let to = Shared(output.as_mut_ptr());
        bands(g)
            .par_iter()
            .map(|band| {
                let pixels = band.pixels(g);
                // SAFETY: the lengths were checked above; bands share no pixel of the output.
                #[allow(unsafe_code)]
                let done = unsafe {
                    self.band(band, to.get());
                    std::slice::from_raw_parts(
                        to.get().add(pixels.start * g.channels[1]),
                        pixels.len() * g.channels[1],
                    )
                };
                then(done)
            })
            .collect()
    }

    /// Writes the whole output in this thread, all images in one scratch buffer.
    pub(crate) fn run_alone(&self, output: &mut [f32]) {
        self.check(output);
        let all = Band {
            images: 0..self.geometry.batch,
            rows: 0..self.geometry.output[0],
        };
        // SAFETY: the lengths were checked.
        unsafe { self.band(&all, output.as_mut_ptr()) }
    }

    fn check(&self, output: &[f32]) {
        let g = &self.geometry;
        assert_eq!(self.input.len(), g.batch * g.input_pixels() * g.channels[0]);
        assert_eq!(output.len(), g.batch * g.output_pixels() * g.channels[1]);
        assert!(
            self.addend
                .is_none_or(|addend| addend.len() == output.len())
        );
        let padded = padded(g.channels[1]);
        assert!(self.shift.is_none_or(|shift| shift.len() >= padded));
        self.transform.check(self.input.len(), g.channels[0]);
    }

    unsafe fn band(&self, band: &Band, output: *mut f32) {
        let g = &self.geometry;
        let patch = input_patch(g, band.rows.start, band.rows.len());
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        let [input, channels] = g.group_channels();
        let offsets = tap_offsets(g, &patch);
        let segments = match g.depthwise() {
            true => segments(&offsets, 1, 0),
            false => segments(&offsets, input, patch.block()),
        };
        let (mut input_rows, mut output_rows) = (Vec::new(), Vec::new());
        for (i, image) in band.images.clone().enumerate() {
            for row in band.rows.clone() {
                input_rows.push(
                    i * patch.image() + (row - band.rows.start) * g.scratch_stride(0) * patch.row(),
                );
                output_rows.push((image * g.output[0] + row) * g.output[1] * g.channels[1]);
            }
        }
        let mut spots = Vec::new();
        if winograd::applies(g) {
            for (i, image) in band.images.clone().enumerate() {
                let line = |y: usize| {
                    (image * g.output[0] + band.rows.start + y) * g.output[1] * g.channels[1]
                };
                let size = [band.rows.len(), g.output[1]];
                let from = |y: usize| i * patch.image() + y * patch.row();
                winograd::spots(&mut spots, size, g.channels[1], from, line);
            }
        }
        for group in 0..groups(g) {
            let plane = plane(g, INPUT, self.input.as_ptr(), group);
            for (i, image) in band.images.clone().enumerate() {
                let to = scratch.as_mut_ptr().add(i * patch.image());
                (self.kernels.fill)(&patch, to, &plane, image, &self.transform);
            }
            let first = group * channels;
            let at = |p: Option<&[f32]>| p.map_or(core::ptr::null(), |p| p.as_ptr().add(first));
            let finish = Finish {
                shift: at(self.shift),
                addend: at(self.addend),
                relu: self.relu,
            };
            let weights = self.weights.as_ptr().add(group * pack::group_floats(g));
            if winograd::applies(g) {
                winograd::Pass {
                    kernels: self.kernels,
                    scratch: scratch.as_ptr(),
                    scratch_block: patch.block(),
                    scratch_row: patch.row(),
                    spots: &spots,
                    inputs: input,
                    outputs: channels,
                    weights,
                    output: output.add(first),
                    output_row: g.output[1] * g.channels[1],
                    output_pixel: g.channels[1],
                    finish,
                }
                .run();
                continue;
            }
            Sweep {
                kernels: self.kernels,
                depthwise: g.depthwise(),
                input: scratch.as_ptr(),
                input_block: patch.block(),
                input_rows: &input_rows,
                segments: &segments,
                weights,
                output: output.add(first),
                output_rows: &output_rows,
                output_pixel: g.channels[1],
                width: g.output[1],
                channels: if g.depthwise() {
                    g.channels[1]
                } else {
                    channels
                },
                finish,
            }
            .run();
        }
    }
}
