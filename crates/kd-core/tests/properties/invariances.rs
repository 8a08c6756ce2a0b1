//! What a loss does not see.

use burn::tensor::{Device, Tensor, TensorData};
use kd_core::*;
use proptest::prelude::*;

use crate::cases;
use crate::catalogue::*;
use crate::losses::{Batch, NORMALISED, batches, rounding};

fn named(names: &[&str]) -> Vec<Loss> {
    let losses: Vec<_> = taught()
        .into_iter()
        .chain(untaught())
        .filter(|loss| names.contains(&loss.name))
        .collect();
    assert_eq!(losses.len(), names.len());
    losses
}

/// The loss, and the loss where the student and the teacher were changed.
fn before_and_after(
    loss: &Loss,
    batch: &Batch,
    student: impl Fn(Tensor<2>) -> Tensor<2>,
    teacher: impl Fn(Tensor<2>) -> Tensor<2>,
) -> (f64, f64) {
    let (s, t) = (batch.student(loss), batch.teacher(loss));
    (
        number(loss.of(&s, &t)),
        number(loss.of(&student(s), &teacher(t))),
    )
}

fn agree(loss: &Loss, (before, after): (f64, f64), bound: f64) -> Result<(), TestCaseError> {
    prop_assert!(
        (before - after).abs() <= bound * (1.0 + before.abs()),
        "{}: {before} {after}",
        loss.name
    );
    Ok(())
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
    x + Tensor::from_data(by, &Device::flex())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_shift_of_all_logits_of_a_sample(batch in batches(), shifts in prop::collection::vec(-20f32..20.0, 4)) {
        let mut losses = divergences();
        losses.extend(named(&["KD", "Tf-KD", "CS-KD",
            "DIST", "soft cross-entropy", "PS-KD", "label smoothing", "Tf-KD virtual"]));
        let shift = TensorData::new(shifts[..batch.size].to_vec(), [batch.size, 1]);
        let shift = Tensor::<2>::from_data(shift, &Device::flex());
        for loss in losses {
            let pair = before_and_after(&loss, &batch, |s| s + shift.clone(), |t| t - shift.clone().mul_scalar(0.7));
            // Logits within +-8 that move to +-28 are rounded more coarsely by 2^2.
            agree(&loss, pair, 4.0 * rounding(&loss))?;
        }
    }

    #[test]
    fn the_scale_of_a_map_or_an_embedding(batch in batches(), factor in 0.1f64..10.0) {
        let mut losses = named(&NORMALISED);
        losses.extend(named(&["PKT", "RKD"]));
        for loss in losses {
            let pair = before_and_after(&loss, &batch, |s| s.mul_scalar(factor), |t| t.mul_scalar(1.0 / factor));
            agree(&loss, pair, rounding(&loss))?;
        }
    }

    #[test]
    fn where_the_origin_of_an_embedding_lies(batch in batches(), by in prop::collection::vec(-2f32..2.0, 64)) {
        for loss in named(&["RKD"]) {
            let pair = before_and_after(&loss, &batch, |s| moved(s, &by), |t| moved(t, &by[FEATURES..]));
            agree(&loss, pair, rounding(&loss))?;
        }
    }

    #[test]
    fn a_rotation_of_an_embedding(batch in batches(), angle in 0f64..6.0) {
        for loss in named(&["RKD", "PKT", "SP", "SP whole"]) {
            let pair = before_and_after(&loss, &batch, |s| turned(s, angle), |t| turned(t, 2.0 * angle));
            agree(&loss, pair, rounding(&loss))?;
        }
    }

    /// Distances do not change, so the edges of the graph do not either.
    #[test]
    fn a_rotation_and_an_origin_of_the_embedding_of_a_graph(
        batch in batches(), angle in 0f64..6.0, by in prop::collection::vec(-2f32..2.0, 64),
    ) {
        let change = |x| {
            let graph = graph(x);
            Graph { embedding: moved(turned(graph.embedding, angle), &by), ..graph }
        };
        let irg = IrgLossConfig::new().init().unwrap();
        for loss in named(&["IRG"]) {
            let (s, t) = (batch.student(&loss), batch.teacher(&loss));
            let before = number(loss.of(&s, &t));
            let after = number(irg.forward(change(s), change(t)));
            agree(&loss, (before, after), rounding(&loss))?;
        }
    }

    /// The channels of a student have no order. (Its factor, compared as a whole, has.)
    #[test]
    fn the_order_of_channels(batch in batches()) {
        let reversed = |x: Tensor<2>| {
            let [size, width] = x.dims();
            map(x, MAP).flip([1]).reshape([size, width])
        };
        for loss in named(&NORMALISED).into_iter().filter(|loss| loss.name != "FT of whole factors") {
            let pair = before_and_after(&loss, &batch, reversed, |t| t);
            agree(&loss, pair, rounding(&loss))?;
        }
    }

    #[test]
    fn js_does_not_see_who_is_the_teacher_and_is_bounded(batch in batches(), temperature in 0.5f64..10.0) {
        let loss = JsLossConfig::new().with_temperature(temperature).init().unwrap();
        for at in named(&["JS"]) {
            let (s, t) = (batch.student(&at), batch.teacher(&at));
            let one = host(loss.forward_no_reduction(s.clone(), t.clone()));
            let other = host(loss.forward_no_reduction(t, s));
            let scale = temperature.powi(2);
            for (a, b) in one.into_iter().zip(other) {
                prop_assert!((a - b).abs() <= f64::from(crate::ROUNDING) * scale, "{a} {b}");
                prop_assert!(a <= scale * (2f64.ln() + 1e-6), "{a}");
            }
        }
    }
}
