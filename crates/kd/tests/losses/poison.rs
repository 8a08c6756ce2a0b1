//! A number that is not a number, in the student's row or in the teacher's, shows in the value of a
//! loss or in its gradient, in both orders of memory.

use crate::DTYPE;
use crate::catalogue::*;

const BATCH: usize = 3;

/// Value and gradient.
fn evaluate(loss: &Loss, [student, teacher]: [&[f64]; 2]) -> Vec<f64> {
    let tensor = |values: &[f64]| rows(values, values.len() / BATCH).cast(DTYPE);
    let (value, gradient) = with_gradient(loss, &tensor(student), &tensor(teacher));
    let mut all = host(gradient);
    all.push(number(value));
    all
}

#[test]
fn every_loss_carries_nan_of_all_that_it_reads() {
    let mut swallowed = Vec::new();
    for innermost in [false, true] {
        channels_innermost(innermost);
        for loss in losses() {
            let shapes = [&OWN, loss.teacher];
            let values =
                [0, 1].map(|side| numbers(BATCH, shapes[side].width(), 1.5, 0.2 + side as f64));
            let ordinary = evaluate(loss, [&values[0], &values[1]]);
            assert!(ordinary.iter().all(|x| x.is_finite()), "{}", loss.name());
            let mut pieces_read = 0;
            for (side, piece) in [0, 1]
                .into_iter()
                .flat_map(|side| (0..5).map(move |i| (side, i)))
            {
                let places = shapes[side].pieces()[piece].clone();
                // In the row of the second sample.
                let changed = |places: std::ops::Range<usize>, to: fn(f64) -> f64| {
                    let mut values = values.clone();
                    let first = shapes[side].width();
                    for x in &mut values[side][first + places.start..first + places.end] {
                        *x = to(*x);
                    }
                    evaluate(loss, [&values[0], &values[1]])
                };
                if changed(places.clone(), |x| 0.5 - x) == ordinary {
                    continue;
                }
                pieces_read += 1;
                for place in places.step_by(3) {
                    let found = changed(place..place + 1, |_| f64::NAN);
                    if found.iter().all(|x| x.is_finite()) {
                        swallowed.push(format!("{}: {piece} of {side}", loss.name()));
                    }
                }
            }
            assert!(pieces_read > 0, "{}", loss.name());
        }
    }
    swallowed.dedup();
    assert!(swallowed.is_empty(), "not a number is lost: {swallowed:#?}");
}
