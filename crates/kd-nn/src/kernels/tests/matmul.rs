//! Products of matrices against a loop in f64: every set of instructions, sizes around every block, any strides.
//!
//! A sum of `depth` products is rounded at most `depth` times in f32: the bound is `depth · 2⁻²⁴` of the sum of magnitudes, and a few
//! of them for short ones.

use proptest::prelude::*;

use crate::kernels::isa::{Isa, kernels_of};
use crate::kernels::matmul::{Matrix, Sizes, multiply_with};

fn number(i: usize) -> f32 {
    ((i as f32) * 0.731).sin()
}

/// Strides of `[batch, rows, columns]` with the dimensions in memory in the order `order`, and gaps.
fn strides(sizes: [usize; 3], order: usize, gap: usize) -> ([usize; 3], usize) {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [2, 1, 0],
        [1, 2, 0],
        [2, 0, 1],
    ];
    let (mut strides, mut step) = ([0; 3], 1);
    for &axis in orders[order].iter().rev() {
        strides[axis] = step;
        step *= sizes[axis] + gap;
    }
    (strides, step)
}

fn check(sizes: Sizes, orders: [usize; 2], gap: usize) {
    let Sizes {
        batch,
        rows,
        columns,
        depth,
    } = sizes;
    let (a_strides, a_len) = strides([batch, rows, depth], orders[0], gap);
    let (b_strides, b_len) = strides([batch, depth, columns], orders[1], gap);
    let a: Vec<f32> = (0..a_len).map(number).collect();
    let b: Vec<f32> = (0..b_len).map(|i| number(i + 17)).collect();
    let at = |numbers: &[f32], strides: [usize; 3], place: [usize; 3]| {
        let place: usize = (0..3).map(|i| strides[i] * place[i]).sum();
        f64::from(numbers[place])
    };
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        let Some(kernels) = kernels_of(isa) else {
            continue;
        };
        let mut c = vec![f32::NAN; batch * rows * columns];
        let matrix = |numbers, strides| Matrix { numbers, strides };
        multiply_with(
            kernels,
            sizes,
            matrix(&a, a_strides),
            matrix(&b, b_strides),
            &mut c,
        );
        for (i, found) in c.iter().enumerate() {
            let (n, r, j) = (i / (rows * columns), i / columns % rows, i % columns);
            let terms =
                (0..depth).map(|k| at(&a, a_strides, [n, r, k]) * at(&b, b_strides, [n, k, j]));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
            let bound = (depth as f64 + 4.0) * 2f64.powi(-24) * size + 1e-30;
            assert!(
                (f64::from(*found) - sum).abs() <= bound,
                "{isa:?} {sizes:?} orders {orders:?} gap {gap}: [{n}, {r}, {j}] is {found} instead of {sum}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn products_of_any_sizes_and_strides(
        batch in 1usize..4,
        rows in 1usize..30,
        columns in 1usize..70,
        depth in 0usize..40,
        orders in [0usize..6, 0usize..6],
        gap in 0usize..3,
    ) {
        check(Sizes { batch, rows, columns, depth }, orders, gap);
    }
}

#[test]
fn products_beyond_every_block() {
    for (batch, rows, columns, depth) in [
        (1, 64, 1100, 33),
        (2, 13, 31, 1025),
        (1, 25, 100, 5000),
        (1, 16, 520, 600),
        (3, 17, 33, 4100),
    ] {
        for orders in [[0, 0], [1, 1], [0, 1], [1, 0]] {
            let sizes = Sizes {
                batch,
                rows,
                columns,
                depth,
            };
            check(sizes, orders, 0);
        }
    }
}

#[test]
fn an_operand_may_end_where_its_memory_ends() {
    let sizes = Sizes {
        batch: 1,
        rows: 3,
        columns: 5,
        depth: 7,
    };
    let (a, b) = (vec![1.0; 21], vec![2.0; 35]);
    let mut c = vec![0.0; 15];
    let kernels = kernels_of(Isa::Portable).expect("every machine has it");
    let matrix = |numbers, strides| Matrix { numbers, strides };
    multiply_with(
        kernels,
        sizes,
        matrix(&a, [0, 7, 1]),
        matrix(&b, [0, 5, 1]),
        &mut c,
    );
    assert_eq!(c, [14.0; 15]);
}

#[test]
#[should_panic(expected = "holds")]
fn an_operand_that_is_too_short_is_refused() {
    let sizes = Sizes {
        batch: 1,
        rows: 3,
        columns: 5,
        depth: 7,
    };
    let kernels = kernels_of(Isa::Portable).expect("every machine has it");
    let matrix = |numbers, strides| Matrix { numbers, strides };
    let (a, b) = (vec![1.0; 20], vec![2.0; 35]);
    multiply_with(
        kernels,
        sizes,
        matrix(&a, [0, 7, 1]),
        matrix(&b, [0, 5, 1]),
        &mut [0.0; 15],
    );
}
