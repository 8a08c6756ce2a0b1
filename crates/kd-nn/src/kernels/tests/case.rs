//! A convolution with all that may be done on its way, by loops in f64 and by the kernels.

use std::ops::Range;

use super::guarded::*;
use super::{TOLERANCE, sets};
use crate::kernels::batch_norm::padded;
use crate::kernels::conv::{Backward, Forward};
use crate::kernels::fill::{Gate, NormGradient, Transform};
use crate::kernels::geometry::Geometry;
use crate::kernels::isa::Kernels;
use crate::kernels::pack;

/// `count` multiples of 1/64 in [-1, 1).
pub(super) fn numbers(count: usize, seed: u64) -> Vec<f32> {
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
pub(super) fn per_channel(channels: usize, seed: u64) -> Vec<f32> {
    let mut values = numbers(channels, seed);
    values.resize(padded(channels), 1e3);
    values
}

/// What happens to the input on its way in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Input {
    Plain,
    Affine { relu: bool },
}

/// What happens to the gradient of the output on its way in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gradient {
    Plain,
    Open,
    Output,
    Again,
}

pub(super) const INPUTS: [Input; 3] = [
    Input::Plain,
    Input::Affine { relu: false },
    Input::Affine { relu: true },
];

pub(super) const GRADIENTS: [Gradient; 4] = [
    Gradient::Plain,
    Gradient::Open,
    Gradient::Output,
    Gradient::Again,
];

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) g: Geometry,
    pub(super) seed: u64,
    pub(super) input: Input,
    pub(super) gradient: Gradient,
    pub(super) shift: bool,
    pub(super) addend: bool,
    pub(super) relu: bool,
}

impl Case {
    /// Options by turns.
    pub(super) fn new(g: Geometry, index: usize) -> Self {
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
pub(super) struct Expected {
    pub(super) x: Vec<f32>,
    pub(super) weights: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Batch norm's input and ReLU's output, laid out as the gradient.
    pub(super) norm_input: Vec<f32>,
    pub(super) relu_output: Vec<f32>,
    /// Laid out as the output and as the input.
    pub(super) addends: [Vec<f32>; 2],
    pub(super) shift: Vec<f32>,
    pub(super) affine: [Vec<f32>; 2],
    pub(super) again: [Vec<f32>; 2],
    /// Mean, scale, slope, shift.
    pub(super) norm: [Vec<f32>; 4],
    pub(super) output: Vec<f64>,
    pub(super) to_input: Vec<f64>,
    pub(super) to_weights: Vec<f64>,
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

impl Expected {
    pub(super) fn new(case: &Case) -> Self {
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
pub(super) fn naive(g: &Geometry, x: &[f64], weights: &[f64], gradient: &[f64]) -> [Vec<f64>; 3] {
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

pub(super) fn close(found: &[f32], expected: &[f64]) -> Result<(), String> {
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
pub(super) fn run(
    kernels: &Kernels,
    case: &Case,
    e: &Expected,
    side: Side,
    parts: bool,
) -> [Guarded; 3] {
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
pub(super) fn partition(mut ranges: Vec<Range<usize>>, pixels: usize) {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in ranges {
        assert_eq!(range.start, end);
        end = range.end;
    }
    assert_eq!(end, pixels);
}

pub(super) fn check(case: &Case, sides: &[Side]) -> Result<(), String> {
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

pub(super) fn check_all(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        check(&case, &SIDES).unwrap_or_else(|error| panic!("{error}"));
    }
}
