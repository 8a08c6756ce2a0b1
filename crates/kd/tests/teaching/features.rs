//! Losses of feature maps.

use burn::tensor::TensorData;
use kd::losses::*;
use kd::prelude::*;

use crate::lesson::{Lesson, Pass, Taught, sum};
use crate::school::{MAPS, school, tracked};

/// The sum over the three stages.
fn stages(pass: &Pass, loss: impl Fn(usize, Tensor<4>, Tensor<4>) -> Tensor<1>) -> Tensor<1> {
    let (student, teacher) = (pass.student().maps, pass.teacher().maps);
    let pairs = student.into_iter().zip(teacher).enumerate();
    sum(pairs.map(|(i, (s, t))| loss(i, s, t)).collect())
}

fn hint() -> Hint {
    let config = HintConfig::new(MAPS[0], MAPS[0]).with_relu(false);
    config.init(&tracked()).unwrap()
}

fn vid() -> VidLoss {
    let [channels, ..] = MAPS[0];
    VidLossConfig::new(channels, channels)
        .init(&tracked())
        .unwrap()
}

/// The loss with its variances at those of the teacher's channels in the batch, without their logarithms: half the share of the
/// teacher's variance that the regression leaves.
fn unexplained(vid: &VidLoss, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    let [_, channels, ..] = teacher.dims();
    let rows = teacher.clone().swap_dims(0, 1).flatten::<2>(1, 3);
    let variances: Vec<f64> = rows.var_bias(1).into_data().iter::<f64>().collect();
    let variances: Vec<f64> = variances.into_iter().map(|v| v.max(1e-3)).collect();
    let scales: Vec<f32> = variances.iter().map(|v| v.exp_m1().ln() as f32).collect();
    let logs = variances.iter().map(|v| v.ln()).sum::<f64>() / channels as f64;
    let mut vid = vid.clone();
    vid.log_scale = burn::module::Param::from_data(TensorData::new(scales, [channels]), &tracked());
    vid.forward(student, teacher).sub_scalar(0.5 * logs)
}

pub(crate) fn lessons() -> Vec<Box<dyn Taught>> {
    let at = AtLossConfig::new().init().unwrap();
    let ab = AbLossConfig::new().init().unwrap();
    let ft = FtLossConfig::new().init();
    let middle = || {
        FitNetLossConfig::new(MAPS[1], MAPS[1])
            .init(&tracked())
            .unwrap()
    };
    vec![
        Box::new(
            Lesson::with_parts("fitnet", middle, |fitnet, pass| {
                let ([_, s, _], [_, t, _]) = (pass.student().maps, pass.teacher().maps);
                fitnet.forward(s, t)
            })
            .beside(100.0),
        ),
        Box::new(
            Lesson::new("at", move |pass| stages(pass, |_, s, t| at.forward(s, t)))
                .weight(100.0)
                .beside(1000.0),
        ),
        Box::new(
            Lesson::with_parts("vid", vid, |vid, pass| {
                let ([s, ..], [t, ..]) = (pass.student().maps, pass.teacher().maps);
                vid.forward(s, t)
            })
            .weight(30.0)
            .judged(|vid, pass| {
                let ([s, ..], [t, ..]) = (pass.student().maps, pass.teacher().maps);
                unexplained(vid, s, t)
            })
            .beside(1.0),
        ),
        Box::new(
            Lesson::new("nst", |pass| stages(pass, |_, s, t| NstLoss.forward(s, t)))
                .weight(50.0)
                .beside(50.0),
        ),
        Box::new(
            Lesson::new("fsp", |pass| {
                let [a, b, c] = pass.student().maps;
                let [d, e, f] = pass.teacher().maps;
                let lower = FspLoss.forward([a, b.clone()], [d, e.clone()]);
                lower + FspLoss.forward([b, c], [e, f])
            })
            .beside(50.0),
        ),
        Box::new(
            Lesson::with_parts("ab", hint, move |hint, pass| {
                let ([s, ..], [t, ..]) = (pass.student().maps, pass.teacher().maps);
                ab.forward(hint.forward(s), t)
            })
            .weight(0.3)
            .beside(1.0),
        ),
        Box::new(
            Lesson::with_parts(
                "ft",
                || {
                    let [channels, ..] = MAPS[2];
                    TranslatorConfig::new(channels, channels)
                        .init(&tracked())
                        .unwrap()
                },
                move |translator, pass| {
                    let ([.., s], [.., t]) = (pass.student().maps, pass.teacher().maps);
                    ft.forward(translator.forward(s), school().paraphraser.forward(t))
                },
            )
            .weight(200.0)
            .beside(200.0)
            .against_control_alone(),
        ),
    ]
}
