//! Every set of instructions that this machine has, against loops in f64, on memory that ends or begins at an unreadable page.
//!
//! Numbers are multiples of 1/64 below 1, so batch norm's sums and products of two of them are exact in f32 and no ReLU's gate depends
//! on rounding. Tolerance: 1e-5 of the largest element of a result. Its sums have up to 3 000 terms, of which f32 loses
//! `√3000 · 6e-8` of the largest at random, in parts and by several sums at once less.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut, Range};

use proptest::prelude::*;

use super::batch_norm::{self, Normalised, Scaling, padded};
use super::conv::{Backward, Forward, SCRATCH, bands};
use super::fill::{Gate, NormGradient, Transform};
use super::geometry::Geometry;
use super::isa::{Isa, Kernels, kernels_of};
use super::pack;

const TOLERANCE: f64 = 1e-5;

/// The sets that this machine has; the portable one is always there.
fn sets() -> Vec<(Isa, &'static Kernels)> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter_map(|isa| Some((isa, kernels_of(isa)?)))
        .collect()
}

/// What lies next to the unreadable page.
#[derive(Clone, Copy, Debug)]
enum Side {
    End,
    Start,
}

const SIDES: [Side; 2] = [Side::End, Side::Start];

/// Numbers between two pages that nobody may touch: directly before the second, or directly behind the first.
struct Guarded {
    map: *mut libc::c_void,
    bytes: usize,
    data: *mut f32,
    len: usize,
}

impl Guarded {
    fn new(values: &[f32], side: Side) -> Self {
        // SAFETY: a fresh mapping of whole pages, of which the first and the last are closed, and the rest holds the numbers.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let size = size_of_val(values);
            let room = size.next_multiple_of(page);
            let bytes = room + 2 * page;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let map = libc::mmap(std::ptr::null_mut(), bytes, access, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(map, page, libc::PROT_NONE), 0);
            let last = map.byte_add(page + room);
            assert_eq!(libc::mprotect(last, page, libc::PROT_NONE), 0);
            let data: *mut f32 = match side {
                Side::End => last.byte_sub(size).cast(),
                Side::Start => map.byte_add(page).cast(),
            };
            std::ptr::copy_nonoverlapping(values.as_ptr(), data, values.len());
            Self {
                map,
                bytes,
                data,
                len: values.len(),
            }
        }
    }

    /// To be written: what is not shows as NaN.
    fn unwritten(len: usize, side: Side) -> Self {
        Self::new(&vec![f32::NAN; len], side)
    }

    /// The numbers as the vector that a [`Scaling`] holds.
    fn vector(&self) -> Vec<f32> {
        // SAFETY: never freed, for it is `ManuallyDrop`'s, nor grown, for a `Scaling` is only read.
        unsafe { Vec::from_raw_parts(self.data, self.len, self.len) }
    }
}

impl Deref for Guarded {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the mapping holds `len` floats there.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's.
        unsafe {
            libc::munmap(self.map, self.bytes);
        }
    }
}

/// A guarded scaling, and the memory that it looks at.
struct GuardedScaling {
    scaling: ManuallyDrop<Scaling>,
    _memory: [Guarded; 2],
}

impl GuardedScaling {
    fn new(scale: &[f32], shift: &[f32], side: Side) -> Self {
        let memory = [scale, shift].map(|values| Guarded::new(values, side));
        let scaling = Scaling {
            scale: memory[0].vector(),
            shift: memory[1].vector(),
        };
        Self {
            scaling: ManuallyDrop::new(scaling),
            _memory: memory,
        }
    }
}

/// `count` multiples of 1/64 in [-1, 1).
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 57) as f32 / 64.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// One number a channel, and behind them what must not be used: it is there for whole vectors to be read.
fn per_channel(channels: usize, seed: u64) -> Vec<f32> {
    let mut values = numbers(channels, seed);
    values.resize(padded(channels), 1e3);
    values
}

/// What happens to the input on its way in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    Plain,
    Affine { relu: bool },
}

/// What happens to the gradient of the output on its way in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gradient {
    Plain,
    Open,
    Output,
    Again,
}

const INPUTS: [Input; 3] = [
    Input::Plain,
    Input::Affine { relu: false },
    Input::Affine { relu: true },
];

const GRADIENTS: [Gradient; 4] = [
    Gradient::Plain,
    Gradient::Open,
    Gradient::Output,
    Gradient::Again,
];

#[derive(Clone, Debug)]
struct Case {
    g: Geometry,
    seed: u64,
    input: Input,
    gradient: Gradient,
    shift: bool,
    addend: bool,
    relu: bool,
}

impl Case {
    /// Options by turns.
    fn new(g: Geometry, index: usize) -> Self {
        let hash = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let pick = |among: u64, shift: u64| ((hash >> shift) % among) as usize;
        Self {
            g,
            seed: 100 * index as u64,
            input: INPUTS[pick(3, 0)],
            gradient: GRADIENTS[pick(4, 5)],
            shift: pick(2, 9) == 0,
            addend: pick(2, 11) == 0,
            relu: pick(2, 13) == 0,
        }
    }
}

/// The numbers of a case, and what f64 makes of them.
struct Expected {
    x: Vec<f32>,
    weights: Vec<f32>,
    gradient: Vec<f32>,
    /// Batch norm's input and ReLU's output, laid out as the gradient.
    norm_input: Vec<f32>,
    relu_output: Vec<f32>,
    /// Laid out as the output and as the input.
    addends: [Vec<f32>; 2],
    shift: Vec<f32>,
    affine: [Vec<f32>; 2],
    again: [Vec<f32>; 2],
    /// Mean, scale, slope, shift.
    norm: [Vec<f32>; 4],
    output: Vec<f64>,
    to_input: Vec<f64>,
    to_weights: Vec<f64>,
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

impl Expected {
    fn new(case: &Case) -> Self {
        let g = &case.g;
        let [inputs, outputs] = g.channels;
        let seed = case.seed;
        let input_len = g.batch * g.input_pixels() * inputs;
        let output_len = g.batch * g.output_pixels() * outputs;
        let mut expected = Self {
            x: numbers(input_len, seed),
            weights: numbers(outputs * g.group_channels()[0] * g.taps(), seed + 1),
            gradient: numbers(output_len, seed + 2),
            norm_input: numbers(output_len, seed + 3),
            relu_output: numbers(output_len, seed + 4),
            addends: [numbers(output_len, seed + 5), numbers(input_len, seed + 6)],
            shift: per_channel(outputs, seed + 7),
            affine: [8, 9].map(|i| per_channel(inputs, seed + i)),
            again: [10, 11].map(|i| per_channel(outputs, seed + i)),
            norm: [12, 13, 14, 15].map(|i| per_channel(outputs, seed + i)),
            output: Vec::new(),
            to_input: Vec::new(),
            to_weights: Vec::new(),
        };
        let e = &expected;
        let mut x = wide(&e.x);
        if let Input::Affine { relu } = case.input {
            for (i, x) in x.iter_mut().enumerate() {
                let [scale, shift] = e.affine.each_ref().map(|v| f64::from(v[i % inputs]));
                *x = *x * scale + shift;
                if relu {
                    *x = x.max(0.0);
                }
            }
        }
        let mut gradient = wide(&e.gradient);
        if case.gradient != Gradient::Plain {
            for (i, gradient) in gradient.iter_mut().enumerate() {
                let c = i % outputs;
                let y = f64::from(e.norm_input[i]);
                let [again_scale, again_shift] = e.again.each_ref().map(|v| f64::from(v[c]));
                let passes = match case.gradient {
                    Gradient::Output => e.relu_output[i] > 0.0,
                    Gradient::Again => y * again_scale + again_shift > 0.0,
                    _ => true,
                };
                let [mean, scale, slope, shift] = e.norm.each_ref().map(|v| f64::from(v[c]));
                let behind = if passes { *gradient } else { 0.0 };
                *gradient = scale * behind + slope * (y - mean) + shift;
            }
        }
        let [mut output, mut to_input, to_weights] = naive(g, &x, &wide(&e.weights), &gradient);
        for (i, y) in output.iter_mut().enumerate() {
            if case.shift {
                *y += f64::from(e.shift[i % outputs]);
            }
            if case.addend {
                *y += f64::from(e.addends[0][i]);
            }
            if case.relu {
                *y = y.max(0.0);
            }
        }
        if case.addend {
            for (x, addend) in to_input.iter_mut().zip(&e.addends[1]) {
                *x += f64::from(*addend);
            }
        }
        expected.output = output;
        expected.to_input = to_input;
        expected.to_weights = to_weights;
        expected
    }
}

/// Output, gradient of the input, gradient of the weights.
fn naive(g: &Geometry, x: &[f64], weights: &[f64], gradient: &[f64]) -> [Vec<f64>; 3] {
    let [inputs, outputs] = g.channels;
    let [group_inputs, group_outputs] = g.group_channels();
    let mut y = vec![0.0; gradient.len()];
    let mut dx = vec![0.0; x.len()];
    let mut dw = vec![0.0; weights.len()];
    // The input row or column that a tap meets.
    let meets = |axis: usize, line: usize, tap: usize| {
        (line * g.stride[axis] + tap * g.dilation[axis])
            .checked_sub(g.padding[axis])
            .filter(|&at| at < g.input[axis])
    };
    for image in 0..g.batch {
        for row in 0..g.output[0] {
            for ky in 0..g.kernel[0] {
                let Some(iy) = meets(0, row, ky) else {
                    continue;
                };
                for column in 0..g.output[1] {
                    for kx in 0..g.kernel[1] {
                        let Some(ix) = meets(1, column, kx) else {
                            continue;
                        };
                        let pixel = (image * g.output[0] + row) * g.output[1] + column;
                        let from = (image * g.input[0] + iy) * g.input[1] + ix;
                        for o in 0..outputs {
                            let to = pixel * outputs + o;
                            let first = from * inputs + o / group_outputs * group_inputs;
                            for c in 0..group_inputs {
                                let w =
                                    ((o * group_inputs + c) * g.kernel[0] + ky) * g.kernel[1] + kx;
                                y[to] += x[first + c] * weights[w];
                                dx[first + c] += gradient[to] * weights[w];
                                dw[w] += gradient[to] * x[first + c];
                            }
                        }
                    }
                }
            }
        }
    }
    [y, dx, dw]
}

fn close(found: &[f32], expected: &[f64]) -> Result<(), String> {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        if error.is_nan() || error > TOLERANCE * largest {
            return Err(format!(
                "element {i}: {found}, expected {expected} (largest {largest})"
            ));
        }
    }
    Ok(())
}

/// Output, gradient of the input, gradient of the weights, by the kernels. `parts`: the gradients in a pass each.
fn run(kernels: &Kernels, case: &Case, e: &Expected, side: Side, parts: bool) -> [Guarded; 3] {
    let g = &case.g;
    let guard = |values: &[f32]| Guarded::new(values, side);
    let (x, weights, gradient) = (guard(&e.x), guard(&e.weights), guard(&e.gradient));
    let addends = e.addends.each_ref().map(|values| guard(values));
    let shift = guard(&e.shift);
    let affine = GuardedScaling::new(&e.affine[0], &e.affine[1], side);
    let again = GuardedScaling::new(&e.again[0], &e.again[1], side);
    let (norm_input, relu_output) = (guard(&e.norm_input), guard(&e.relu_output));
    let norm = e.norm.each_ref().map(|values| guard(values));
    let input_transform = match case.input {
        Input::Plain => Transform::None,
        Input::Affine { relu } => Transform::Affine(&affine.scaling, relu),
    };
    let norm = NormGradient {
        input: &norm_input,
        gate: match case.gradient {
            Gradient::Output => Gate::Output(&relu_output),
            Gradient::Again => Gate::Again(&again.scaling),
            _ => Gate::Open,
        },
        mean: &norm[0],
        scale: &norm[1],
        slope: &norm[2],
        shift: &norm[3],
    };

    let packed = pack::forward(g, &weights, None);
    let mut output = Guarded::unwritten(e.output.len(), side);
    let first = output.as_ptr() as usize;
    let done = Forward {
        kernels,
        geometry: *g,
        input: &x,
        transform: input_transform,
        weights: &packed,
        shift: case.shift.then_some(&*shift),
        addend: case.addend.then_some(&*addends[0]),
        relu: case.relu,
    }
    .run(&mut output, |pixels| {
        assert!(pixels.iter().all(|v| !v.is_nan()), "unfinished pixels");
        let start = (pixels.as_ptr() as usize - first) / size_of::<f32>() / g.channels[1];
        start..start + pixels.len() / g.channels[1]
    });
    partition(done, g.batch * g.output_pixels());

    let backward = |input: bool, to_weights: bool| Backward {
        kernels,
        geometry: *g,
        gradient: &gradient,
        transform: match case.gradient {
            Gradient::Plain => Transform::None,
            _ => Transform::Gradient(&norm),
        },
        weights: input.then_some(&*weights),
        input: to_weights.then_some(&*x),
        input_transform,
        addend: case.addend.then_some(&*addends[1]),
    };
    let mut to_input = Guarded::unwritten(x.len(), side);
    let mut to_weights = Guarded::unwritten(weights.len(), side);
    let finished = |gradient: *mut f32, pixels: Range<usize>| {
        for i in pixels.start * g.channels[0]..pixels.end * g.channels[0] {
            // SAFETY: these pixels are done, and this task's.
            assert!(!unsafe { *gradient.add(i) }.is_nan(), "unfinished pixels");
        }
        pixels
    };
    let done = match parts {
        false => backward(true, true).run(Some(&mut to_input), Some(&mut to_weights), finished),
        true => {
            let none = backward(false, true).run(None, Some(&mut to_weights), |_, _| ());
            assert!(none.is_empty());
            backward(true, false).run(Some(&mut to_input), None, finished)
        }
    };
    partition(done, g.batch * g.input_pixels());
    [output, to_input, to_weights]
}

/// Every pixel belongs to one range.
fn partition(mut ranges: Vec<Range<usize>>, pixels: usize) {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in ranges {
        assert_eq!(range.start, end);
        end = range.end;
    }
    assert_eq!(end, pixels);
}

fn check(case: &Case, sides: &[Side]) -> Result<(), String> {
    let e = Expected::new(case);
    let expected = [&e.output, &e.to_input, &e.to_weights];
    for (isa, kernels) in sets() {
        for (turn, &side) in sides.iter().enumerate() {
            let found = run(kernels, case, &e, side, turn % 2 == 1);
            let what = ["output", "gradient of the input", "gradient of the weights"];
            for ((found, expected), what) in found.iter().zip(expected).zip(what) {
                close(found, expected)
                    .map_err(|error| format!("{isa:?} {side:?} {case:?}: {what}: {error}"))?;
            }
        }
    }
    Ok(())
}

fn check_all(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        check(&case, &SIDES).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The span of a kernel.
fn span(kernel: usize, dilation: usize) -> usize {
    (kernel - 1) * dilation + 1
}

/// The geometry with `after` zeros behind, if there is an output.
fn fitted(mut g: Geometry, after: [usize; 2]) -> Option<Geometry> {
    for (axis, after) in after.into_iter().enumerate() {
        let room = (g.input[axis] + g.padding[axis] + after)
            .checked_sub(span(g.kernel[axis], g.dilation[axis]))?;
        g.output[axis] = room / g.stride[axis] + 1;
    }
    Some(g)
}

const KERNELS: [[usize; 2]; 7] = [[1, 1], [3, 3], [5, 5], [7, 7], [2, 2], [1, 3], [3, 1]];
const STRIDES: [[usize; 2]; 6] = [[1, 1], [2, 2], [3, 3], [1, 2], [3, 1], [2, 3]];
const DILATIONS: [[usize; 2]; 3] = [[1, 1], [2, 2], [1, 2]];
const SIZES: [[usize; 2]; 7] = [[8, 8], [5, 5], [7, 6], [9, 13], [1, 7], [2, 3], [1, 1]];
const BATCHES: [usize; 4] = [1, 2, 3, 7];

/// Channels and groups.
const CHANNELS: [([usize; 2], usize); 24] = [
    ([1, 1], 1),
    ([3, 16], 1),
    ([5, 3], 1),
    ([16, 16], 1),
    ([17, 5], 1),
    ([3, 3], 3),
    ([16, 33], 1),
    ([33, 17], 1),
    ([48, 48], 1),
    ([1, 48], 1),
    ([33, 3], 3),
    ([3, 48], 3),
    ([48, 33], 3),
    ([33, 33], 1),
    ([3, 1], 1),
    ([5, 5], 5),
    ([16, 16], 16),
    ([17, 17], 17),
    ([33, 33], 33),
    ([48, 48], 48),
    ([5, 10], 5),
    ([17, 16], 1),
    ([48, 1], 1),
    ([16, 48], 1),
];

/// Zeros around the input by name: none, as many as keep the size, more than any tap needs, different ones before and behind, and
/// fewer or more rows of output than the input suggests.
const PADDINGS: usize = 6;

fn padded_geometry(g: Geometry, padding: usize) -> Option<Geometry> {
    let span = [0, 1].map(|axis| span(g.kernel[axis], g.dilation[axis]));
    let half = span.map(|span| span / 2);
    let with = |padding: [usize; 2]| Geometry { padding, ..g };
    match padding {
        0 => fitted(g, [0, 0]),
        1 => fitted(with(half), half),
        2 => fitted(with(span), span.map(|span| span + 1)),
        3 => fitted(with([half[0], 0]), [0, span[1]]),
        4 => {
            let mut g = fitted(with(half), half)?;
            g.output = g.output.map(|n| n.max(2) - 1);
            Some(g)
        }
        _ => {
            let mut g = fitted(with([0, half[1]]), half)?;
            g.output = [g.output[0] + 2, g.output[1] + 3];
            Some(g)
        }
    }
}

/// All kernels, strides, dilations and paddings; channels, groups, batches and sizes by turns.
fn grid() -> Vec<Case> {
    let mut cases = Vec::new();
    for kernel in KERNELS {
        for stride in STRIDES {
            for dilation in DILATIONS {
                for padding in 0..PADDINGS {
                    let index = cases.len();
                    let (channels, groups) = CHANNELS[index * 7 % CHANNELS.len()];
                    let g = Geometry {
                        batch: BATCHES[index / 3 % 4],
                        channels,
                        groups,
                        input: SIZES[index * 3 % SIZES.len()],
                        output: [0, 0],
                        kernel,
                        stride,
                        dilation,
                        padding: [0, 0],
                    };
                    // Where the kernel is larger than the input: a larger one.
                    let larger = Geometry {
                        input: [13, 15],
                        ..g
                    };
                    let g =
                        padded_geometry(g, padding).or_else(|| padded_geometry(larger, padding));
                    cases.push(Case::new(g.unwrap(), index));
                }
            }
        }
    }
    cases
}

#[test]
fn convolutions_of_every_kernel_stride_dilation_and_padding() {
    check_all(grid());
}

fn square(batch: usize, channels: [usize; 2], groups: usize, input: [usize; 2]) -> Geometry {
    let g = Geometry {
        batch,
        channels,
        groups,
        input,
        output: [0, 0],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
    };
    fitted(g, [1, 1]).unwrap()
}

/// All channels, groups and batches, and every option with each of some kernels.
#[test]
fn convolutions_of_every_number_of_channels() {
    let mut index = 1000;
    let mut next = |g: Geometry| {
        index += 1;
        Case::new(g, index)
    };
    for (channels, groups) in CHANNELS {
        for (batch, input) in [(1, [7, 9]), (2, [1, 1]), (3, [4, 2]), (7, [2, 3])] {
            let g = square(batch, channels, groups, input);
            let pointwise = Geometry {
                kernel: [1, 1],
                padding: [0, 0],
                ..g
            };
            check_all([next(g), next(fitted(pointwise, [0, 0]).unwrap())]);
        }
    }
    for (channels, groups) in [([17, 33], 1), ([16, 16], 16), ([48, 48], 3)] {
        for input in INPUTS {
            for gradient in GRADIENTS {
                for options in 0..8 {
                    let g = square(2, channels, groups, [5, 6]);
                    check_all([Case {
                        input,
                        gradient,
                        shift: options & 1 > 0,
                        addend: options & 2 > 0,
                        relu: options & 4 > 0,
                        ..next(g)
                    }]);
                }
            }
        }
    }
}

/// Groups whose last vector of per-channel numbers would begin within the vectors' padding: 8, 5 and 17 channels a group.
#[test]
fn groups_that_do_not_end_at_a_block() {
    let mut index = 2000;
    for (channels, groups) in [
        ([32, 32], 4),
        ([15, 15], 3),
        ([51, 51], 3),
        ([34, 16], 2),
        ([16, 34], 2),
        ([15, 48], 3),
    ] {
        for input in INPUTS {
            for gradient in GRADIENTS {
                index += 1;
                check_all([Case {
                    input,
                    gradient,
                    shift: true,
                    ..Case::new(square(2, channels, groups, [4, 5]), index)
                }]);
            }
        }
    }
}

/// Images that are cut into bands, rows that alone are more than a scratch buffer, and small images that share one.
fn large() -> Vec<Case> {
    let with = |g: Geometry, kernel: usize, stride: [usize; 2], dilation: usize, padding: usize| {
        let g = Geometry {
            kernel: [kernel; 2],
            stride,
            dilation: [dilation; 2],
            padding: [padding; 2],
            ..g
        };
        fitted(g, [padding; 2]).unwrap()
    };
    let geometries = [
        square(1, [48, 5], 1, [47, 45]),
        square(2, [3, 17], 1, [75, 73]),
        with(square(1, [1, 5], 1, [90, 81]), 5, [2, 2], 1, 2),
        with(square(1, [48, 48], 48, [47, 46]), 3, [2, 2], 2, 1),
        with(square(1, [33, 33], 33, [45, 50]), 3, [1, 1], 1, 1),
        with(square(1, [33, 3], 3, [60, 95]), 7, [3, 3], 1, 3),
        with(square(1, [16, 3], 1, [3, 6000]), 3, [1, 1], 1, 1),
        with(square(1, [3, 16], 1, [130, 40]), 7, [3, 1], 2, 9),
        with(square(1, [33, 16], 1, [75, 75]), 1, [2, 2], 1, 0),
        // More rows of output than input: bands that meet padding alone.
        with(square(1, [5, 3], 1, [40, 70]), 3, [1, 1], 2, 60),
        // Gaps between the bands' input rows.
        with(square(1, [17, 5], 1, [160, 60]), 2, [3, 2], 1, 0),
        square(100, [16, 5], 1, [2, 2]),
        square(70, [3, 3], 3, [3, 1]),
        with(square(97, [5, 17], 1, [5, 5]), 3, [2, 2], 1, 1),
        // Gradients of weights by output channels.
        square(18, [176, 176], 1, [2, 1]),
        square(3, [160, 160], 1, [4, 5]),
        // Winograd's patches in bands of their own, at odd ends, and of several images.
        square(1, [48, 40], 1, [47, 45]),
        square(2, [33, 50], 1, [61, 33]),
        with(square(1, [64, 32], 1, [43, 44]), 3, [1, 1], 1, 2),
        with(square(1, [64, 32], 1, [45, 44]), 3, [1, 1], 1, 0),
        square(70, [32, 32], 1, [4, 4]),
    ];
    let index = 3000..;
    geometries
        .into_iter()
        .zip(index)
        .map(|(g, index)| Case::new(g, index))
        .collect()
}

#[test]
fn convolutions_in_several_bands() {
    let cases = large();
    let cut = |case: &&Case| {
        bands(&case.g)
            .iter()
            .any(|band| band.rows.len() < case.g.output[0])
    };
    let together = |case: &&Case| bands(&case.g).iter().any(|band| band.images.len() > 1);
    assert_eq!(cases.iter().filter(cut).count(), 14, "{SCRATCH} floats");
    assert_eq!(cases.iter().filter(together).count(), 4);
    check_all(cases);
}

prop_compose! {
    fn any_geometry()(
        batch in 1..5_usize,
        groups in prop_oneof![4 => Just(1), 1 => 2..5_usize],
        group_channels in [1..40_usize, 1..40_usize],
        depthwise in prop_oneof![3 => Just(None), 1 => (2..40_usize).prop_map(Some)],
        input in [1..20_usize, 1..20_usize],
        kernel in [1..6_usize, 1..6_usize],
        stride in [1..4_usize, 1..4_usize],
        dilation in [1..3_usize, 1..3_usize],
        padding in [0..6_usize, 0..6_usize],
        output in [0..8_usize, 0..8_usize],
    ) -> Geometry {
        let (channels, groups) = match (depthwise, groups) {
            (Some(channels), _) => ([channels; 2], channels),
            (None, 1) => (group_channels, 1),
            (None, groups) => (group_channels.map(|c| (c / 2).max(1) * groups), groups),
        };
        let g = Geometry {
            batch, channels, groups, input, output: [1, 1], kernel, stride, dilation, padding,
        };
        // What the input suggests, and some lines more or fewer.
        let mut g = fitted(g, padding).unwrap_or(g);
        g.output = [0, 1].map(|axis| (g.output[axis] + output[axis]).saturating_sub(4).max(1));
        g
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_any_geometry(g in any_geometry(), index in 0..10_000_usize, start in any::<bool>()) {
        let side = if start { Side::Start } else { Side::End };
        prop_assert_eq!(check(&Case::new(g, index), &[side]), Ok(()));
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let more = grid().into_iter().step_by(37);
    let pools = [1, 2, 5].map(|threads| {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        builder.build().unwrap()
    });
    for case in large().into_iter().chain(more) {
        // Numbers that do not add up exactly, so that another order shows.
        let mut e = Expected::new(&case);
        for values in [&mut e.x, &mut e.weights, &mut e.gradient] {
            for value in values {
                *value = (*value * 1.7).sin();
            }
        }
        for (isa, kernels) in sets() {
            let [one, two, five] = pools.each_ref().map(|pool| {
                pool.install(|| {
                    run(kernels, &case, &e, Side::End, false).map(|values| bits(&values))
                })
            });
            assert!(one == two && two == five, "{isa:?} {case:?}");
        }
    }
}

/// The whole batch in one thread and one scratch buffer, as evaluation image by image does it.
#[test]
fn a_convolution_alone() {
    for case in grid().into_iter().step_by(11) {
        let e = Expected::new(&case);
        for (isa, kernels) in sets() {
            let [x, shift, addend] =
                [&e.x, &e.shift, &e.addends[0]].map(|values| Guarded::new(values, Side::End));
            let scaling = GuardedScaling::new(&e.affine[0], &e.affine[1], Side::End);
            let mut output = Guarded::unwritten(e.output.len(), Side::End);
            Forward {
                kernels,
                geometry: case.g,
                input: &x,
                transform: match case.input {
                    Input::Plain => Transform::None,
                    Input::Affine { relu } => Transform::Affine(&scaling.scaling, relu),
                },
                weights: &pack::forward(&case.g, &e.weights, None),
                shift: case.shift.then_some(&*shift),
                addend: case.addend.then_some(&*addend),
                relu: case.relu,
            }
            .run_alone(&mut output);
            close(&output, &e.output).unwrap_or_else(|error| panic!("{isa:?} {case:?}: {error}"));
        }
    }
}

/// Weights times a factor for each output channel.
#[test]
fn packed_weights_are_scaled() {
    for (channels, groups) in CHANNELS {
        let g = square(1, channels, groups, [2, 2]);
        let weights = numbers(channels[1] * g.group_channels()[0] * g.taps(), 5);
        let scale = per_channel(channels[1], 6);
        let each = weights.len() / channels[1];
        let scaled: Vec<f32> = weights
            .iter()
            .enumerate()
            .map(|(i, w)| w * scale[i / each])
            .collect();
        let floats = pack::group_floats(&g) * if g.depthwise() { 1 } else { groups };
        let [a, b] = [
            pack::forward(&g, &weights, Some(&scale)),
            pack::forward(&g, &scaled, None),
        ];
        assert_eq!(a.as_slice()[..floats], b.as_slice()[..floats], "{g:?}");
    }
}

const WIDTHS: [usize; 8] = [1, 3, 5, 16, 17, 33, 48, 100];
const PIXELS: [usize; 9] = [1, 2, 3, 4, 5, 63, 66, 700, 5000];

/// Numbers of about normal distribution with the given mean and deviation for each channel.
fn spread(pixels: usize, channels: usize, mean: f64, deviation: f64) -> Vec<f32> {
    let parts = [1, 2, 3, 4].map(|seed| numbers(pixels * channels, seed + pixels as u64));
    (0..pixels * channels)
        .map(|i| {
            let c = (i % channels) as f64;
            // The sum of four uniform numbers has a variance of 4/3.
            let sum: f64 = parts.iter().map(|part| f64::from(part[i])).sum();
            (mean * (1.0 + c / 100.0) + deviation * sum * 0.866) as f32
        })
        .collect()
}

/// Mean and biased variance of every channel.
fn exact_moments(data: &[f32], channels: usize) -> Vec<[f64; 2]> {
    let pixels = (data.len() / channels) as f64;
    let column = |c: usize| data[c..].iter().step_by(channels).map(|&v| f64::from(v));
    (0..channels)
        .map(|c| {
            let mean = column(c).sum::<f64>() / pixels;
            let variance = column(c).map(|v| (v - mean).powi(2)).sum::<f64>() / pixels;
            [mean, variance]
        })
        .collect()
}

/// The relative error of the variance stays below 1e-4 where the mean is a thousand deviations away, where a difference of sums of
/// squares would lose everything: squares of 1e6 have a rounding error of 0.06.
#[test]
fn moments() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for (mean, deviation) in [(0.0, 1.0), (-3.0, 0.1), (1e3, 1.0)] {
                    for side in SIDES {
                        let data = spread(pixels, channels, mean, deviation);
                        let data = Guarded::new(&data, side);
                        let found = batch_norm::moments(kernels, &data, channels);
                        assert_eq!(found.pixels, pixels);
                        // The whole in one part as well, its results against the page.
                        let [mut means, mut squares] =
                            [(); 2].map(|()| Guarded::unwritten(padded(channels), side));
                        // SAFETY: the lengths are right, and `sets` gives what this machine has.
                        unsafe {
                            (kernels.moments)(
                                data.as_ptr(),
                                pixels,
                                channels,
                                means.as_mut_ptr(),
                                squares.as_mut_ptr(),
                            );
                        }
                        for (c, exact) in exact_moments(&data, channels).iter().enumerate() {
                            let what = format!("{isa:?} {channels} {pixels} {mean} {c}: {exact:?}");
                            let parts = [found.mean[c], found.variance[c]];
                            let whole = [means[c], squares[c] / pixels as f32];
                            for found in [parts, whole] {
                                let [mean_error, variance_error] =
                                    [0, 1].map(|i| (f64::from(found[i]) - exact[i]).abs());
                                // A part's mean is a sum in f32 of up to 5 000 numbers.
                                let size = exact[0].abs().max(deviation);
                                assert!(mean_error <= 4e-6 * size, "{what} {found:?}");
                                // One pixel has the variance 0 exactly.
                                assert!(variance_error <= 1e-4 * exact[1], "{what} {found:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn scaling_addition_and_relu() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for options in 0..4 {
                    let (adds, relu) = (options & 1 > 0, options & 2 > 0);
                    for side in SIDES {
                        let len = pixels * channels;
                        let [x, addend] =
                            [1, 2].map(|seed| Guarded::new(&numbers(len, seed), side));
                        let [scale, shift] = [3, 4].map(|seed| per_channel(channels, seed));
                        let scaling = GuardedScaling::new(&scale, &shift, side);
                        let mut to = Guarded::unwritten(len, side);
                        let added = adds.then_some(&*addend);
                        let scaling = &scaling.scaling;
                        scaling.apply(kernels, &x, added, relu, &mut to, channels);
                        for i in 0..len {
                            let c = i % channels;
                            let plain = x[i] * scale[c] + shift[c];
                            let sum = plain + if adds { addend[i] } else { 0.0 };
                            // All exact.
                            let expected = if relu { sum.max(0.0) } else { sum };
                            assert_eq!(to[i], expected, "{isa:?} {channels} {pixels} {i}");
                        }
                    }
                }
            }
        }
    }
}

/// ReLU and what adds up to its input let NaN pass, so that a diverging training shows.
#[test]
fn nan_is_kept() {
    for (isa, kernels) in sets() {
        for channels in [5, 16, 33] {
            let mut x = numbers(7 * channels, 1);
            x[2 * channels + 3] = f32::NAN;
            let scaling = Scaling::identity(channels);
            let mut to = vec![0.0; x.len()];
            scaling.apply(kernels, &x, None, true, &mut to, channels);
            let expected: Vec<f32> = x.iter().map(|&x| if x < 0.0 { 0.0 } else { x }).collect();
            assert_eq!(bits(&to), bits(&expected), "{isa:?}");
        }
    }
}

/// `(x - mean) / √(variance + ε) · γ + β` and ReLU, backward, by the textbook.
#[test]
fn batch_norm_backward() {
    for (isa, kernels) in sets() {
        for channels in WIDTHS {
            for pixels in PIXELS {
                for (turn, gradient_kind) in GRADIENTS.into_iter().enumerate() {
                    let what = format!("{isa:?} {channels} {pixels} {gradient_kind:?}");
                    batch_norm_backward_of(
                        kernels,
                        [pixels, channels],
                        gradient_kind,
                        (turn + pixels) % 2 == 0,
                        SIDES[(turn + channels) % 2],
                    )
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                }
            }
        }
    }
}

fn batch_norm_backward_of(
    kernels: &Kernels,
    [pixels, channels]: [usize; 2],
    kind: Gradient,
    fixed: bool,
    side: Side,
) -> Result<(), String> {
    // Large enough that one pixel, of variance 0, has gradients of a size that f32 holds.
    let epsilon = 1e-3;
    let len = pixels * channels;
    let input = Guarded::new(&spread(pixels, channels, 0.7, 1.3), side);
    let gradient = Guarded::new(&numbers(len, 21), side);
    let relu_output = Guarded::new(&numbers(len, 22), side);
    let [again_scale, again_shift] = [23, 24].map(|seed| per_channel(channels, seed));
    let again = GuardedScaling::new(&again_scale, &again_shift, side);
    let gamma = numbers(channels, 25);
    let of = Normalised {
        kernels,
        channels,
        input: &input,
        moments: batch_norm::moments(kernels, &input, channels),
        gamma: gamma.clone(),
        epsilon,
        fixed,
    };
    let gate = match kind {
        Gradient::Output => Gate::Output(&relu_output),
        Gradient::Again => Gate::Again(&again.scaling),
        _ => Gate::Open,
    };
    let mut gated = Guarded::unwritten(len, side);
    let plain = of.gradients(&gradient, gate, None);
    let sums = of.gradients(&gradient, gate, Some(&mut gated));
    assert_eq!(bits(&plain.gamma), bits(&sums.gamma));
    assert_eq!(bits(&plain.beta), bits(&sums.beta));

    let passes = |i: usize| match kind {
        Gradient::Output => relu_output[i] > 0.0,
        // As the kernels compute it; the input is not a multiple of 1/64 here, so a fused product may have another sign.
        Gradient::Again => gated[i] != 0.0,
        _ => true,
    };
    if matches!(kind, Gradient::Again) {
        for i in 0..len {
            let c = i % channels;
            let [x, scale, shift] = [input[i], again_scale[c], again_shift[c]].map(f64::from);
            let before = x * scale + shift;
            if before.abs() > 1e-5 && gradient[i] != 0.0 {
                assert_eq!(passes(i), before > 0.0, "{i}: {before}");
            }
        }
    }
    let behind: Vec<f64> = (0..len)
        .map(|i| {
            if passes(i) {
                f64::from(gradient[i])
            } else {
                0.0
            }
        })
        .collect();
    close(&gated, &behind)?;

    let exact = exact_moments(&input, channels);
    let n = pixels as f64;
    let mut to_gamma = vec![0.0; channels];
    let mut to_beta = vec![0.0; channels];
    let mut to_input = vec![0.0; len];
    let mut magnitudes = [0.0_f64; 2];
    let mut size = 0.0_f64;
    for c in 0..channels {
        let [mean, variance] = exact[c];
        let inverse = 1.0 / (variance + epsilon).sqrt();
        let normal = |i: usize| (f64::from(input[i]) - mean) * inverse;
        let of_channel = || (c..len).step_by(channels);
        to_beta[c] = of_channel().map(|i| behind[i]).sum();
        to_gamma[c] = of_channel().map(|i| behind[i] * normal(i)).sum();
        for (magnitude, sum) in magnitudes.iter_mut().zip([
            of_channel()
                .map(|i| (behind[i] * normal(i)).abs())
                .sum::<f64>(),
            of_channel().map(|i| behind[i].abs()).sum(),
        ]) {
            *magnitude = magnitude.max(sum);
        }
        let scale = f64::from(gamma[c]) * inverse;
        for i in of_channel() {
            let through_moments = match fixed {
                true => 0.0,
                false => to_beta[c] / n + normal(i) * to_gamma[c] / n,
            };
            to_input[i] = scale * (behind[i] - through_moments);
            size = size.max((scale * behind[i]).abs());
        }
    }
    // Sums may cancel: their error goes by the sum of magnitudes.
    let sums_are_close = |found: &[f32], expected: &[f64], magnitude: f64| {
        let error = found
            .iter()
            .zip(expected)
            .map(|(found, expected)| (f64::from(*found) - expected).abs())
            .fold(0.0, f64::max);
        match error <= 3e-6 * magnitude {
            true => Ok(()),
            false => Err(format!("sums differ by {error}, of magnitudes {magnitude}")),
        }
    };
    sums_are_close(&sums.gamma, &to_gamma, magnitudes[0])?;
    sums_are_close(&sums.beta, &to_beta, magnitudes[1])?;

    // The difference of numbers that may cancel: of one pixel it is 0.
    let vectors =
        [&of.moments.mean, &sums.scale, &sums.slope, &sums.shift].map(|v| Guarded::new(v, side));
    let norm = NormGradient {
        input: &input,
        gate,
        mean: &vectors[0],
        scale: &vectors[1],
        slope: &vectors[2],
        shift: &vectors[3],
    };
    let mut to = Guarded::unwritten(len, side);
    batch_norm::input_gradient(kernels, &norm, &gradient, &mut to, channels);
    for i in 0..len {
        let error = (f64::from(to[i]) - to_input[i]).abs();
        if error.is_nan() || error > 1e-5 * size {
            return Err(format!("input {i}: {}, expected {}", to[i], to_input[i]));
        }
    }
    Ok(())
}
