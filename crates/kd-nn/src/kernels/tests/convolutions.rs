//! Convolutions and their gradients.

use proptest::prelude::*;

use super::case::*;
use super::guarded::*;
use super::{bits, sets};
use crate::kernels::conv::{Forward, SCRATCH, bands};
use crate::kernels::fill::Transform;
use crate::kernels::geometry::Geometry;
use crate::kernels::pack;

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
