//! What a loss does not see.

use kd::burn::tensor::{Tensor, TensorData};
use proptest::prelude::*;

use crate::catalogue::*;
use crate::properties::{Batch, NORMALISED, batches, cases, rounding};

/// Compares a loss with the loss where pieces of the rows of student and teacher were changed.
fn agree(
    loss: &Loss,
    batch: &Batch,
    pieces: &[usize],
    [student, teacher]: [&dyn Fn(Tensor<2>) -> Tensor<2>; 2],
    bound: f64,
) -> Result<(), TestCaseError> {
    let changed = |mut rows: Tensor<2>, shape: &Shape, change: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        for piece in pieces.iter().map(|piece| shape.pieces()[*piece].clone()) {
            let part = rows.clone().narrow(1, piece.start, piece.len());
            rows = rows.slice_assign([0..batch.size, piece], change(part));
        }
        rows
    };
    let (s, t) = (batch.student(), batch.teacher(loss));
    let before = number(loss.of(&s, &t));
    let after = loss.of(
        &changed(s, &OWN, student),
        &changed(t, loss.teacher, teacher),
    );
    let after = number(after);
    prop_assert!(
        (before - after).abs() <= bound * (1.0 + before.abs()),
        "{}: {before} {after}",
        loss.name()
    );
    Ok(())
}

fn named(terms: &[&str]) -> impl Iterator<Item = &'static Loss> {
    losses().filter(|loss| loss.is_any(terms))
}

/// Turns the plane of the first and the third number of each row.
fn turned(x: Tensor<2>, angle: f64) -> Tensor<2> {
    let (a, c) = (x.clone().narrow(1, 0, 1), x.clone().narrow(1, 2, 1));
    let [_, width] = x.dims();
    let parts = vec![
        a.clone().mul_scalar(angle.cos()) - c.clone().mul_scalar(angle.sin()),
        x.clone().narrow(1, 1, 1),
        a.mul_scalar(angle.sin()) + c.mul_scalar(angle.cos()),
        x.narrow(1, 3, width - 3),
    ];
    Tensor::cat(parts, 1)
}

/// Adds the same row to all.
fn moved(x: Tensor<2>, by: &[f32]) -> Tensor<2> {
    let width = x.dims()[1];
    let by = TensorData::new(by[..width].to_vec(), [1, width]);
    x.clone() + Tensor::from_data(by, &x.device())
}

fn same(x: Tensor<2>) -> Tensor<2> {
    x
}

proptest! {
    #![proptest_config(cases())]

    /// All but those that compare logits themselves.
    #[test]
    fn a_shift_of_all_logits_of_a_sample(
        batch in batches(), shifts in prop::collection::vec(-20f32..20.0, 4),
    ) {
        let shift = |x: Tensor<2>, by: f64| {
            let shift = TensorData::new(shifts[..batch.size].to_vec(), [batch.size, 1]);
            x.clone() + Tensor::from_data(shift, &x.device()).mul_scalar(by)
        };
        for loss in losses().filter(|loss| !loss.is(&["mse_logits", "irg"])) {
            // Logits within +-8 that move to +-28 are rounded more coarsely by 2^2.
            let bound = 4.0 * rounding(loss);
            agree(loss, &batch, &[LOGITS], [&|s| shift(s, 1.0), &|t| shift(t, -0.7)], bound)?;
        }
    }

    #[test]
    fn the_scale_of_a_map_or_an_embedding(batch in batches(), factor in 0.1f64..10.0) {
        let student = |s: Tensor<2>| s.mul_scalar(factor);
        let teacher = |t: Tensor<2>| t.mul_scalar(1.0 / factor);
        for loss in named(&NORMALISED).chain(named(&["pkt", "rkd"])) {
            agree(loss, &batch, &[LOWER, UPPER, EMBEDDING], [&student, &teacher], rounding(loss))?;
        }
    }

    #[test]
    fn a_rotation_and_an_origin_of_an_embedding(
        batch in batches(), angle in 0f64..6.0, by in prop::collection::vec(-2f32..2.0, 16),
    ) {
        let (student, teacher) = (|s| turned(s, angle), |t| turned(t, 2.0 * angle));
        for loss in named(&["rkd", "pkt", "irg"]) {
            agree(loss, &batch, &[EMBEDDING], [&student, &teacher], rounding(loss))?;
        }
        for loss in named(&["sp"]) {
            agree(loss, &batch, &[UPPER], [&student, &teacher], rounding(loss))?;
        }
        // Distances do not change, so the edges of a graph do not either.
        for loss in named(&["rkd", "irg"]) {
            let moved = [&|s| moved(s, &by), &|t| moved(t, &by[6..])] as [&dyn Fn(_) -> _; 2];
            agree(loss, &batch, &[EMBEDDING], moved, rounding(loss))?;
        }
    }

    /// The channels of a student have no order.
    #[test]
    fn the_order_of_channels(batch in batches()) {
        for loss in named(&NORMALISED) {
            for piece in [LOWER, UPPER] {
                let reversed = |x: Tensor<2>| {
                    let dims = x.dims();
                    map(x, OWN.stages[piece]).flip([1]).reshape(dims)
                };
                agree(loss, &batch, &[piece], [&reversed, &same], rounding(loss))?;
            }
        }
    }
}
