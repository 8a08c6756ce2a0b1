//! The convolution and its two gradients over whole activations, in tasks that do not depend on the number of threads.
//!
//! A task is a band: some rows of one image, or some whole images. It copies the pixels that it needs into a padded scratch buffer
//! that fits the second-level cache ([`super::fill`]), and sweeps tiles over it. All activations here are dense with channels
//! innermost: `[batch, height, width, channels]`.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::fill::{Patch, Plane, Transform};
use super::geometry::{Geometry, block_channels, blocks};
use super::isa::{Kernels, ROW_CHANNELS};
use super::pack::{self, Class};
use super::tile::{Finish, Segment, Tile, WeightTile};
use super::vector::LANES;
use super::winograd;

/// A scratch buffer's size, in floats: 320 KB, a third of the second-level cache of the machines of today.
pub(crate) const SCRATCH: usize = 80 << 10;

/// Small images are taken together up to this size: 64 KB.
pub(crate) const TOGETHER: usize = 16 << 10;

/// Bands into which a batch is cut at least, if it has as many images.
const BANDS: usize = 32;

/// Floats of input and gradient that the taps of the weights' gradient pass over before the next rows: 40 KB, most of the first-level
/// cache of the machines of today.
const STRIP: usize = 10 << 10;

/// Sums of the weights' gradient that are taken separately and then added in order.
const PARTS: usize = 16;

/// As [`PARTS`], for weights beyond [`LARGE`] floats.
const LARGE_PARTS: usize = 8;
const LARGE: usize = 256 << 10;

/// A pointer that tasks share. Every task writes a part of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) T);

// SAFETY: the functions that build one see to it that no two tasks touch the same memory, or that all only read it.
#[allow(unsafe_code)]
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    pub(crate) fn get(&self) -> T {
        self.0
    }
}

/// Some rows of the output of some images: whole images, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

impl Band {
    /// The band's output pixels, which lie together.
    pub(crate) fn pixels(&self, g: &Geometry) -> Range<usize> {
        let first = self.images.start * g.output[0] + self.rows.start;
        let rows = self.images.len() * self.rows.len();
        first * g.output[1]..(first + rows) * g.output[1]
    }
}

/// The input rows that `rows` rows of output need.
fn reach(g: &Geometry, rows: usize) -> usize {
    (rows - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1
}

/// Cuts the output into bands, by the sizes alone.
pub(crate) fn bands(g: &Geometry) -> Vec<Band> {
    let height = g.output[0];
    let row = input_patch(g, 0, 1).row() * scratch_blocks(g);
    let image = row * reach(g, height);
    if image <= SCRATCH {
        let together = (TOGETHER / image).clamp(1, (g.batch / BANDS).max(1));
        return (0..g.batch)
            .step_by(together)
            .map(|first| Band {
                images: first..(first + together).min(g.batch),
                rows: 0..height,
            })
            .collect();
    }
    let fits = |rows: &usize| row * reach(g, *rows) <= SCRATCH;
    let most = (1..height).rev().find(fits).unwrap_or(1);
    let mut rows = height.div_ceil(height.div_ceil(most));
    if winograd::applies(g) {
        // Patches of two rows belong to one band.
        rows = rows.next_multiple_of(2);
    }
    let mut bands = Vec::new();
    for image in 0..g.batch {
        for first in (0..height).step_by(rows) {
            bands.push(Band {
                images: image..image + 1,
                rows: first..(first + rows).min(height),
            });
        }
    }
    bands
}

/// Blocks of one group's input; depthwise convolutions hold all channels at once.
fn scratch_blocks(g: &Geometry) -> usize {
    match g.depthwise() {
        true => blocks(g.channels[0]),
        false => blocks(g.group_channels()[0]),
    }
}

fn groups(g: &Geometry) -> usize {
    if g.depthwise() { 1 } else { g.groups }
}

/// The scratch that holds the input of `rows` output rows from `first`.
fn input_patch(g: &Geometry, first: usize, rows: usize) -> Patch {
    let even = |size: usize| {
        if winograd::applies(g) {
            size.next_multiple_of(2)
        } else {
            size
        }
    };
    let width = even(g.output[1]);
    let columns = (width - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1;
    Patch {
        rows: reach(g, even(rows)),
        top: (first * g.stride[0]) as isize - g.padding[0] as isize,
        left: -(g.padding[1] as isize),
        columns: columns.div_ceil(g.stride[1]),
        phases: g.stride[1],
        blocks: scratch_blocks(g),
    }
}

/// How far the pixel that a tap meets lies behind the tile's pixel, for every tap.
fn tap_offsets(g: &Geometry, patch: &Patch) -> Vec<usize> {
    let mut offsets = Vec::with_capacity(g.taps());
    for y in 0..g.kernel[0] {
        for x in 0..g.kernel[1] {
            let column = x * g.dilation[1];
            offsets.push(
                y * g.dilation[0] * patch.row()
                    + column % g.stride[1] * patch.phase()
                    + column / g.stride[1] * LANES,
            );
        }
    }
    offsets
}

fn segments(offsets: &[usize], channels: usize, block: usize) -> Vec<Segment> {
    (0..blocks(channels))
        .flat_map(|b| {
            offsets.iter().map(move |offset| Segment {
                offset: b * block + offset,
                channels: block_channels(channels, b),
            })
        })
        .collect()
}

/// Tiles over all rows of a band.
struct Sweep<'a> {
    kernels: &'a Kernels,
    depthwise: bool,
    input: *const f32,
    /// For depthwise sweeps: from one block to the next.
    input_block: usize,
    input_rows: &'a [usize],
    segments: &'a [Segment],
    weights: *const f32,
    output: *mut f32,
    output_rows: &'a [usize],
    output_pixel: usize,
    width: usize,
    channels: usize,
    finish: Finish,
}

impl Sweep<'_> {
    /// # Safety
    /// Every row's segments lie in `input`, every row's pixels in `output` and `addend`; `weights` and `shift` hold all blocks.
    unsafe fn run(&self) {
        let all = blocks(self.channels);
        let weight_block = match self.depthwise {
            true => self.segments.len() * LANES,
            false => self.segments.iter().map(|s| s.channels).sum::<usize>() * LANES,
        };
        let most = if self.depthwise {
            1
        } else {
            self.kernels.tile_blocks
        };
        let mut block = 0;
        while block < all {
            let n = most.min(all - block);
            let at = block * LANES;
            let shifted = |p: *const f32| if p.is_null() { p } else { p.add(at) };
            let mut tile = Tile {
                input: match self.depthwise {
                    true => self.input.add(block * self.input_block),
                    false => self.input,
                },
                input_rows: self.input_rows.as_ptr(),
                segments: self.segments,
                weights: self.weights.add(block * weight_block),
                weight_block,
                output: self.output.add(at),
                output_rows: self.output_rows.as_ptr(),
                output_pixel: self.output_pixel,
                last_channels: block_channels(self.channels, block + n - 1),
                finish: Finish {
                    shift: shifted(self.finish.shift),
                    addend: shifted(self.finish.addend),
                    relu: self.finish.relu,
                },
            };
            self.rows(&mut tile, n);
            block += n;
        }
    }

    /// Whether segments come in threes that lie one pixel after the other.
    fn threes(&self) -> bool {
        let (threes, rest) = self.segments.as_chunks::<3>();
        rest.is_empty()
            && threes.iter().all(|[a, b, c]| {
                b.offset == a.offset + LANES
                    && c.offset == b.offset + LANES
                    && [a.channels, b.channels] == [b.channels, c.channels]
            })
    }

    unsafe fn rows(&self, tile: &mut Tile<'_>, blocks: usize) {
        // Even parts of a row, none wider than the widest tile.
        let parts = self.width.div_ceil(self.kernels.tile_width);
        if parts == 0 {
            return;
        }
        let threes = self.threes();
        let (narrow, wider) = (self.width / parts, self.width % parts);
        let pick = |width: usize, many: bool| match self.depthwise {
            true => (self.kernels.depthwise_tile(width), 1),
            false => self.kernels.tile(threes, blocks, width, many),
        };
        // Some rows at a time, all parts of them, so that the input stays in the first-level cache.
        let (_, together) = pick(narrow, true);
        let (input, output, addend) = (tile.input, tile.output, tile.finish.addend);
        let rows = self.input_rows.len();
        for first in (0..rows).step_by(together) {
            let end = (first + together).min(rows);
            let mut x = 0;
            for part in 0..parts {
                let width = narrow + usize::from(part < wider);
                tile.input = input.add(x * LANES);
                tile.output = output.add(x * self.output_pixel);
                if !addend.is_null() {
                    tile.finish.addend = addend.add(x * self.output_pixel);
                }
                let (many, takes) = pick(width, true);
                let (one, _) = pick(width, false);
                let mut row = first;
                while row < end {
                    tile.input_rows = self.input_rows.as_ptr().add(row);
                    tile.output_rows = self.output_rows.as_ptr().add(row);
                    match row + takes <= end {
                        true => {
                            many(tile);
                            row += takes;
                        }
                        false => {
                            one(tile);
                            row += 1;
                        }
                    }
                }
                x += width;
            }
        }
    }
}

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
        let whole = blocks(g.channels[1]) * LANES;
        assert!(self.shift.is_none_or(|shift| shift.len() >= whole));
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
                input_rows
                    .push(i * patch.image() + (row - band.rows.start) * g.stride[0] * patch.row());
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
            let plane = input_plane(g, self.input.as_ptr(), group);
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

/// The part of the input that a group sees.
fn input_plane(g: &Geometry, data: *const f32, group: usize) -> Plane {
    let channels = g.group_channels()[0];
    Plane {
        data,
        height: g.input[0],
        width: g.input[1],
        pixel: g.channels[0],
        first_channel: group * channels,
        channels: if g.depthwise() {
            g.channels[0]
        } else {
            channels
        },
    }
}

/// The part of the output's gradient that a group sees.
fn gradient_plane(g: &Geometry, data: *const f32, group: usize) -> Plane {
    let channels = g.group_channels()[1];
    Plane {
        data,
        height: g.output[0],
        width: g.output[1],
        pixel: g.channels[1],
        first_channel: group * channels,
        channels: if g.depthwise() {
            g.channels[1]
        } else {
            channels
        },
    }
}

/// Both gradients of a convolution in one pass over the output's gradient.
pub(crate) struct Backward<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) geometry: Geometry,
    /// The gradient of the output, or of what batch norm and ReLU made of it.
    pub(crate) gradient: &'a [f32],
    /// Of the gradient, on its way in.
    pub(crate) transform: Transform<'a>,
    /// The weights, if the input's gradient is wanted.
    pub(crate) weights: Option<&'a [f32]>,
    /// The convolution's input, if the weights' gradient is wanted.
    pub(crate) input: Option<&'a [f32]>,
    /// Of the input, on its way in.
    pub(crate) input_transform: Transform<'a>,
    /// Added to the input's gradient; laid out as the input.
    pub(crate) addend: Option<&'a [f32]>,
}

/// What a task of [`Backward`] needs that is the same for all.
struct Plan<'a> {
    classes: &'a [Class],
    packed: Option<&'a Buffer>,
    input_gradient: *mut f32,
}

impl Backward<'_> {
    /// Writes the gradients that are wanted. `weights` is `[output, input / groups, height, width]`. If that of the input is,
    /// `then(gradient, pixels)` is called when those pixels of it are
    /// done, and may change them, in the thread that has them in its cache.
    pub(crate) fn run<T: Send>(
        &self,
        input: Option<&mut [f32]>,
        weights: Option<&mut [f32]>,
        then: impl Fn(*mut f32, Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        let g = &self.geometry;
        assert_eq!(
            self.gradient.len(),
            g.batch * g.output_pixels() * g.channels[1]
        );
        if let Transform::Gradient(norm) = self.transform {
            assert_eq!(norm.input.len(), self.gradient.len());
        }
        let inputs = g.batch * g.input_pixels() * g.channels[0];
        assert!(self.input.is_none_or(|x| x.len() == inputs));
        assert!(self.addend.is_none_or(|x| x.len() == inputs));
        assert!(input.as_ref().is_none_or(|x| x.len() == inputs));
        assert_eq!(input.is_some(), self.weights.is_some());
        assert_eq!(weights.is_some(), self.input.is_some());
        let classes = pack::classes(g);
        let packed = self
            .weights
            .map(|weights| pack::backward(g, &classes, weights));
        let plan = Shared(Plan {
            classes: &classes,
            packed: packed.as_ref(),
            input_gradient: input.map_or(core::ptr::null_mut(), |input| input.as_mut_ptr()),
        });
        let plan = &plan;
        let size = pack::gradient_floats(g) * groups(g);
        let parts = if size > LARGE { LARGE_PARTS } else { PARTS };
        let bands = bands(g);
        let each = bands.len().div_ceil(parts);
        let done: Vec<(Option<Buffer>, Vec<T>)> = bands
            .par_chunks(each)
            .map(|bands| {
                let mut sum = self.input.map(|_| {
                    let mut sum = Buffer::new(size);
                    sum.as_mut_slice()[..size].fill(0.0);
                    sum
                });
                let mut results = Vec::new();
                for band in bands {
                    // SAFETY: the lengths were checked above; bands share no pixel of the input's gradient, and every part has a
                    // sum of its own.
                    #[allow(unsafe_code)]
                    unsafe {
                        self.band(band, &plan.0, sum.as_mut());
                    }
                    if !plan.0.input_gradient.is_null() {
                        results.push(then(plan.0.input_gradient, self.input_pixels(band)));
                    }
                }
                (sum, results)
            })
            .collect();
        let (sums, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        if let Some(weights) = weights {
            assert_eq!(
                weights.len(),
                g.channels[1] * g.group_channels()[0] * g.taps()
            );
            let sums: Vec<Buffer> = sums.into_iter().flatten().collect();
            pack::unpack_gradient(g, &sums, weights);
        }
        results.into_iter().flatten().collect()
    }

    /// The pixels of the input whose gradient belongs to a band.
    fn input_pixels(&self, band: &Band) -> Range<usize> {
        let [height, width] = self.geometry.input;
        let rows = self.input_rows(band);
        let first = band.images.start * height + rows.start;
        let count = match rows.len() == height {
            true => band.images.len() * height,
            false => rows.len(),
        };
        first * width..(first + count) * width
    }

    /// The input rows whose gradient belongs to a band of output rows.
    fn input_rows(&self, band: &Band) -> Range<usize> {
        let g = &self.geometry;
        let end = match band.rows.end == g.output[0] {
            true => g.input[0],
            false => (band.rows.end * g.stride[0]).min(g.input[0]),
        };
        (band.rows.start * g.stride[0]).min(end)..end
    }

    /// The scratch that holds the output's gradient for a band: its own rows, and those which its input rows need.
    fn gradient_patch(&self, band: &Band, classes: &[Class]) -> Patch {
        let g = &self.geometry;
        let rows = self.input_rows(band);
        let mut low = [band.rows.start as isize, 0];
        let mut high = [band.rows.end as isize, g.output[1] as isize];
        if winograd::applies(g) {
            // Patches of 2×2 pixels of the output, and of 4×4 around every 2×2 of the input.
            let even = |size: usize| size.next_multiple_of(2) as isize;
            high = [low[0] + even(band.rows.len()), even(g.output[1])];
            for (axis, (first, size)) in [(rows.start, rows.len()), (0, g.input[1])]
                .into_iter()
                .enumerate()
            {
                let begin = first as isize + g.padding[axis] as isize - 2;
                low[axis] = low[axis].min(begin);
                high[axis] = high[axis].max(begin + even(size) + 2);
            }
        } else if self.weights.is_some() {
            for class in classes {
                let [top, bottom] = class_lines(rows.clone(), class.remainder[0], g.stride[0]);
                let [left, right] = class_lines(0..g.input[1], class.remainder[1], g.stride[1]);
                for &(_, [y, x]) in &class.taps {
                    if top < bottom && left < right {
                        low = [low[0].min(top + y), low[1].min(left + x)];
                        high = [high[0].max(bottom + y), high[1].max(right + x)];
                    }
                }
            }
        }
        Patch {
            rows: (high[0] - low[0]) as usize,
            top: low[0],
            left: low[1],
            columns: (high[1] - low[1]) as usize,
            phases: 1,
            blocks: match g.depthwise() {
                true => blocks(g.channels[1]),
                false => blocks(g.group_channels()[1]),
            },
        }
    }

    #[allow(unsafe_code)]
    unsafe fn band(&self, band: &Band, plan: &Plan<'_>, sum: Option<&mut Buffer>) {
        let g = &self.geometry;
        let patch = self.gradient_patch(band, plan.classes);
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        let mut sum = sum.map(|sum| sum.as_mut_ptr());
        for group in 0..groups(g) {
            let plane = gradient_plane(g, self.gradient.as_ptr(), group);
            for (i, image) in band.images.clone().enumerate() {
                let to = scratch.as_mut_ptr().add(i * patch.image());
                (self.kernels.fill)(&patch, to, &plane, image, &self.transform);
            }
            if let Some(packed) = plan.packed {
                self.input_gradient(band, group, &patch, &scratch, plan, packed);
            }
            if let Some(sum) = &mut sum {
                self.weight_gradient(band, group, &patch, &scratch, *sum);
                *sum = sum.add(pack::gradient_floats(g));
            }
        }
    }

    #[allow(unsafe_code)]
    unsafe fn input_gradient(
        &self,
        band: &Band,
        group: usize,
        patch: &Patch,
        scratch: &Buffer,
        plan: &Plan<'_>,
        packed: &Buffer,
    ) {
        let g = &self.geometry;
        let [channels, outputs] = g.group_channels();
        let first = group * channels;
        let rows = self.input_rows(band);
        let mut weights = packed.as_ptr().add(match g.depthwise() {
            true => 0,
            false => group * pack::backward_floats(g),
        });
        if winograd::applies(g) {
            let mut spots = Vec::new();
            let origin = |y: usize, axis: usize, begin: isize| {
                (y as isize + g.padding[axis] as isize - 2 - begin) as usize
            };
            for (i, image) in band.images.clone().enumerate() {
                let from = |y: usize| {
                    i * patch.image()
                        + origin(rows.start + y, 0, patch.top) * patch.row()
                        + origin(0, 1, patch.left) * LANES
                };
                let line =
                    |y: usize| (image * g.input[0] + rows.start + y) * g.input[1] * g.channels[0];
                winograd::spots(
                    &mut spots,
                    [rows.len(), g.input[1]],
                    g.channels[0],
                    from,
                    line,
                );
            }
            winograd::Pass {
                kernels: self.kernels,
                scratch: scratch.as_ptr(),
                scratch_block: patch.block(),
                scratch_row: patch.row(),
                spots: &spots,
                inputs: outputs,
                outputs: channels,
                weights,
                output: plan.input_gradient.add(first),
                output_row: g.input[1] * g.channels[0],
                output_pixel: g.channels[0],
                finish: Finish {
                    shift: core::ptr::null(),
                    addend: self
                        .addend
                        .map_or(core::ptr::null(), |x| x.as_ptr().add(first)),
                    relu: false,
                },
            }
            .run();
            return;
        }
        for class in plan.classes {
            let [top, bottom] = class_lines(rows.clone(), class.remainder[0], g.stride[0]);
            let [left, right] = class_lines(0..g.input[1], class.remainder[1], g.stride[1]);
            let (mut input_rows, mut output_rows) = (Vec::new(), Vec::new());
            for (i, image) in band.images.clone().enumerate() {
                for line in top..bottom {
                    input_rows.push(i * patch.image() + (line - top) as usize * patch.row());
                    let y = line as usize * g.stride[0] + class.remainder[0];
                    let x = left as usize * g.stride[1] + class.remainder[1];
                    output_rows.push(((image * g.input[0] + y) * g.input[1] + x) * g.channels[0]);
                }
            }
            let width = (right - left).max(0) as usize;
            if width > 0 && !input_rows.is_empty() {
                let offsets: Vec<usize> = class
                    .taps
                    .iter()
                    .map(|(_, [y, x])| {
                        (top + y - patch.top) as usize * patch.row()
                            + (left + x - patch.left) as usize * LANES
                    })
                    .collect();
                let segments = match g.depthwise() {
                    true => segments(&offsets, 1, 0),
                    false => segments(&offsets, outputs, patch.block()),
                };
                Sweep {
                    kernels: self.kernels,
                    depthwise: g.depthwise(),
                    input: scratch.as_ptr(),
                    input_block: patch.block(),
                    input_rows: &input_rows,
                    segments: &segments,
                    weights,
                    output: plan.input_gradient.add(first),
                    output_rows: &output_rows,
                    output_pixel: g.channels[0] * g.stride[1],
                    width,
                    channels: if g.depthwise() {
                        g.channels[0]
                    } else {
                        channels
                    },
                    finish: Finish {
                        shift: core::ptr::null(),
                        addend: self
                            .addend
                            .map_or(core::ptr::null(), |x| x.as_ptr().add(first)),
                        relu: false,
                    },
                }
                .run();
            }
            weights = weights.add(match g.depthwise() {
                true => blocks(g.channels[0]) * class.taps.len() * LANES,
                false => blocks(channels) * class.taps.len() * outputs * LANES,
            });
        }
    }

    #[allow(unsafe_code)]
    unsafe fn weight_gradient(
        &self,
        band: &Band,
        group: usize,
        gradient: &Patch,
        gradient_scratch: &Buffer,
        sum: *mut f32,
    ) {
        let g = &self.geometry;
        let Some(input) = self.input else { return };
        let [channels, outputs] = g.group_channels();
        let patch = input_patch(g, band.rows.start, band.rows.len());
        let mut scratch = Buffer::new(patch.image() * band.images.len());
        let plane = input_plane(g, input.as_ptr(), group);
        let (mut input_rows, mut gradient_rows) = (Vec::new(), Vec::new());
        for (i, image) in band.images.clone().enumerate() {
            let to = scratch.as_mut_ptr().add(i * patch.image());
            (self.kernels.fill)(&patch, to, &plane, image, &self.input_transform);
            for row in band.rows.clone() {
                input_rows
                    .push(i * patch.image() + (row - band.rows.start) * g.stride[0] * patch.row());
                let line = (row as isize - gradient.top) as usize;
                gradient_rows.push(
                    i * gradient.image() + line * gradient.row() + -gradient.left as usize * LANES,
                );
            }
        }
        if winograd::applies(g) {
            let (mut input_spots, mut gradient_spots) = (Vec::new(), Vec::new());
            let size = [band.rows.len(), g.output[1]];
            for i in 0..band.images.len() {
                let from = |y: usize| i * patch.image() + y * patch.row();
                winograd::spots(&mut input_spots, size, 0, from, |_| 0);
                let line = |y: usize| {
                    let row = (band.rows.start + y) as isize - gradient.top;
                    i * gradient.image()
                        + row as usize * gradient.row()
                        + -gradient.left as usize * LANES
                };
                winograd::spots(&mut gradient_spots, size, 0, line, |_| 0);
            }
            winograd::WeightPass {
                kernels: self.kernels,
                input: scratch.as_ptr(),
                input_block: patch.block(),
                input_row: patch.row(),
                input_spots: &input_spots,
                inputs: channels,
                gradient: gradient_scratch.as_ptr(),
                gradient_block: gradient.block(),
                gradient_row: gradient.row(),
                gradient_spots: &gradient_spots,
                outputs,
                sum,
            }
            .run();
            return;
        }
        let offsets = tap_offsets(g, &patch);
        // Rows whose input and gradient stay in the first-level cache while all taps pass over them.
        let together = self.kernels.tile_blocks.min(blocks(outputs));
        let line = patch.row() + together * g.output[1] * LANES;
        let strip = (STRIP / line).clamp(1, input_rows.len());
        let tile = |rows: Range<usize>| WeightTile {
            input: scratch.as_ptr(),
            input_rows: input_rows[rows.clone()].as_ptr(),
            gradient: gradient_scratch.as_ptr(),
            gradient_rows: gradient_rows[rows.clone()].as_ptr(),
            gradient_block: gradient.block(),
            rows: rows.len(),
            width: g.output[1],
            output: sum,
            output_block: 0,
            tap: LANES * LANES,
        };
        let strips = || {
            (0..input_rows.len())
                .step_by(strip)
                .map(|first| first..(first + strip).min(input_rows.len()))
        };
        if g.depthwise() {
            for block in 0..blocks(g.channels[0]) {
                for rows in strips() {
                    for (tap, offset) in offsets.iter().enumerate() {
                        let mut tile = tile(rows.clone());
                        tile.input = tile.input.add(block * patch.block() + offset);
                        tile.gradient = tile.gradient.add(block * gradient.block());
                        tile.output = sum.add((block * g.taps() + tap) * LANES);
                        (self.kernels.depthwise_weight_tile)(&tile);
                    }
                }
            }
            return;
        }
        let tap_floats = LANES * LANES;
        let threes = g.kernel[1] == 3 && g.stride[1] == 1 && g.dilation[1] == 1 && g.output[1] > 1;
        let output_block = blocks(channels) * g.taps() * tap_floats;
        let mut block = 0;
        while block < blocks(outputs) {
            let n = self.kernels.tile_blocks.min(blocks(outputs) - block);
            for c in 0..blocks(channels) {
                let lanes = block_channels(channels, c);
                let (mut function, mut takes) = self.kernels.weight_tile(n, lanes);
                let mut step = 1;
                if let Some(row) = self.kernels.weight_row_tile
                    && n == 1
                    && threes
                    && lanes > takes.min(ROW_CHANNELS)
                {
                    (function, takes, step) = (row, ROW_CHANNELS, 3);
                }
                for rows in strips() {
                    for (tap, offset) in offsets.iter().enumerate().step_by(step) {
                        for first in (0..lanes).step_by(takes) {
                            let mut tile = tile(rows.clone());
                            tile.input = tile.input.add(c * patch.block() + offset + first);
                            tile.gradient = tile.gradient.add(block * gradient.block());
                            tile.output = sum.add(
                                block * output_block
                                    + (c * g.taps() + tap) * tap_floats
                                    + first * LANES,
                            );
                            tile.output_block = output_block;
                            function(&tile);
                        }
                    }
                }
            }
            block += n;
        }
    }
}

/// From the first to behind the last quotient of the lines in `lines` that leave `remainder` modulo `stride`.
fn class_lines(lines: Range<usize>, remainder: usize, stride: usize) -> [isize; 2] {
    let quotient = |end: usize| end.saturating_sub(remainder).div_ceil(stride) as isize;
    [quotient(lines.start), quotient(lines.end)]
}
