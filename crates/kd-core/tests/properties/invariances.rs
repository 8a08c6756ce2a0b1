//! What a loss does not see, where no term of kd-train shows the loss itself. (Losses:
//! `crates/kd/tests/losses`.)

use burn::tensor::{Device, Tensor, TensorData};
use kd_core::*;
use proptest::prelude::*;

use crate::common::{host, number, with_gradient};
use crate::{ROUNDING, cases};

const BATCH: usize = 3;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn maps() -> impl Strategy<Value = Tensor<4>> {
    prop::collection::vec(-8f32..8.0, BATCH * 64).prop_map(|x| tensor(x, [BATCH, 4, 4, 4]))
}

fn logits() -> impl Strategy<Value = Tensor<2>> {
    prop::collection::vec(-8f32..8.0, BATCH * 5).prop_map(|x| tensor(x, [BATCH, 5]))
}

proptest! {
    #![proptest_config(cases())]

    /// Factors have norm 1, and the channels of their attention have no order.
    #[test]
    fn the_scale_of_a_factor_and_the_order_of_its_channels(
        s in maps(), t in maps(), scale in 0.1f64..10.0,
    ) {
        for factor in [FtFactor::Attention, FtFactor::Whole] {
            let loss = FtLossConfig::new().with_factor(factor).init();
            let before = number(loss.forward(s.clone(), t.clone()));
            let smaller = t.clone().mul_scalar(1.0 / scale);
            let after = loss.forward(s.clone().mul_scalar(scale), smaller);
            prop_assert!((before - number(after)).abs() <= 1e-6 * (1.0 + before));
            let after = number(loss.forward(s.clone().flip([1]), t.clone()));
            let same = (before - after).abs() <= 1e-6 * (1.0 + before);
            prop_assert!(same || factor == FtFactor::Whole);
            let row = t.clone().reshape([BATCH, 64]);
            let of_rows = |s: Tensor<2>, _| loss.forward(s.reshape([BATCH, 4, 4, 4]), t.clone());
            let (value, gradient) = with_gradient(of_rows, &row, &row);
            let still = gradient.iter().all(|g| g.abs() <= 1e-6);
            prop_assert!(value.abs() <= 1e-6 && still, "{value}");
        }
    }

    #[test]
    fn js_does_not_see_who_is_the_teacher_and_is_bounded(
        s in logits(), t in logits(), tau in 0.5f64..10.0,
    ) {
        let loss = JsLossConfig::new().with_temperature(tau).init().unwrap();
        let one = host(loss.forward_no_reduction(s.clone(), t.clone()));
        let other = host(loss.forward_no_reduction(t, s));
        for (a, b) in one.into_iter().zip(other) {
            prop_assert!((a - b).abs() <= f64::from(ROUNDING) * tau.powi(2), "{a} {b}");
            prop_assert!(a <= tau.powi(2) * (2f64.ln() + 1e-6), "{a}");
        }
    }
}
