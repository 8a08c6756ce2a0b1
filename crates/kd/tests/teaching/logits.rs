//! Losses of logits.

use kd::losses::*;
use kd::prelude::*;

use crate::lesson::{Lesson, Pass, Taught};

/// A loss of the student's logits, the teacher's and the labels.
fn lesson(
    name: &'static str,
    loss: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1> + 'static,
) -> Lesson<Vec<burn::nn::Linear>> {
    Lesson::new(name, move |pass: &Pass| {
        loss(pass.student().logits, pass.teacher().logits, pass.labels())
    })
}

pub(crate) fn lessons() -> Vec<Box<dyn Taught>> {
    let kd = KdLossConfig::new().init().unwrap();
    let kl = KlLossConfig::new().init().unwrap();
    let dkd = DkdLossConfig::new().init().unwrap();
    let dist = DistLossConfig::new().init().unwrap();
    let js = JsLossConfig::new().init().unwrap();
    let reverse = ReverseKlLossConfig::new().init().unwrap();
    let mse = LogitMseLossConfig::new().init();
    vec![
        Box::new(lesson("kd", move |s, t, y| kd.forward(s, t, y))),
        Box::new(lesson("kl", move |s, t, _| kl.forward(s, t)).beside(1.0)),
        Box::new(
            lesson("soft_cross_entropy", |s, t, _| {
                SoftCrossEntropyLoss.forward(s, divergence::softmax(t, 1.0))
            })
            .judged(|_, pass| {
                let (s, t) = (pass.student().logits, pass.teacher().logits);
                divergence::kl(t, s, 1.0).mean()
            })
            .until_sure(),
        ),
        Box::new(lesson("dkd", move |s, t, y| dkd.forward(s, t, y)).beside(1.0)),
        Box::new(
            lesson("dist", move |s, t, _| dist.forward(s, t))
                .weight(5.0)
                .beside(1.0),
        ),
        Box::new(
            lesson("js", move |s, t, _| js.forward(s, t))
                .weight(5.0)
                .beside(1.0),
        ),
        Box::new(lesson("reverse_kl", move |s, t, _| reverse.forward(s, t)).beside(1.0)),
        Box::new(lesson("mse_logits", move |s, t, _| mse.forward(s, t)).beside(1.0)),
    ]
}
