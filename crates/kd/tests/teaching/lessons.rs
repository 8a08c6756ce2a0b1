//! How each loss is taught, and what is compared.

use kd::burn::module::Param;
use kd::burn::tensor::TensorData;
use kd::losses::{TfKdVirtualLossConfig, VidLoss, divergence};
use kd::prelude::*;
use kd::train::{Objective, Seen};

use crate::alone::ALONE;
use crate::lesson::Lesson;
use crate::school::CLASSES;

/// The lessons of a loss: by itself with its defaults, unless there is more to say.
pub(crate) fn lessons(loss: &'static str) -> Vec<Lesson> {
    let of = |settings: &str| Lesson::of(loss, settings);
    let peers = |name, ensemble: &str| {
        of(&format!("ensemble = {ensemble}"))
            .called(name)
            .beside(1.0)
    };
    vec![match loss {
        "ab" => of("weight = 0.3").before_relu().beside(1.0),
        "at" => of("weight = 100.0").beside(1000.0),
        "cc" => {
            let kernel = "kernel = { gaussian = { gamma = 0.4, order = 2 } }\nweight = 10.0";
            let gaussian = of(kernel).called("cc_gaussian").beside(0.02);
            return vec![of("weight = 0.02").at(250, 0.05).beside(0.02), gaussian];
        }
        // Cross-entropy with the labels is the control.
        "ce" => {
            let kd = Lesson::new("kd", Recipe::default());
            let soft = of("")
                .called("soft_cross_entropy")
                .soft()
                .judged(|_, _, seen| divergence_of(&seen[0], 1.0));
            return vec![kd, soft.until_sure()];
        }
        "crd" => {
            let nce = of("negatives = 40\nweight = 0.05").against_control_alone();
            let info = of("negatives = 160\ncontrast = \"info_nce\"").called("crd_info_nce");
            let both = [nce, info].map(|lesson| lesson.remembering().at(400, 0.05).beside(0.8));
            return both.into();
        }
        "cs_kd" => of("").judged(|_, value, seen| value - cross_entropy(&seen[0])),
        "ddgsd" => of("")
            .beside_itself(|batch| batch.images.clone().flip([3]))
            .judged(|_, value, seen| value - cross_entropy(&seen[0]) - cross_entropy(&seen[1])),
        "dist" | "irg" | "js" => of("weight = 5.0").beside(1.0),
        "fitnet" => of("").beside(100.0),
        "fsp" => of("").beside(50.0),
        "ft" => of("weight = 200.0\npretrain = 0.3")
            .at(150, 0.05)
            .trained_before(45)
            .beside(200.0)
            .against_control_alone(),
        "kdcl" => {
            return vec![
                peers("kdcl_naive", "\"naive\""),
                peers("kdcl_linear", "\"linear\""),
                peers("kdcl_min_logit", "\"min_logit\""),
                peers("kdcl_general", "{ general = { weights = [0.4, 0.6] } }"),
            ];
        }
        "label_smoothing" => of("")
            .until_sure()
            .judged(|_, value, _| value + 0.91 * 0.91f64.ln() + 0.09 * 0.01f64.ln()),
        "nst" => of("weight = 50.0").beside(50.0),
        "pkt" => of("weight = 10000.0").beside(30000.0),
        "ps_kd" => of("").until_sure().remembering().judged(|_, value, seen| {
            value - entropy(one_hot(&seen[0]) * 0.2 + probabilities(&seen[0]) * 0.8)
        }),
        "sp" => of("weight = 1000.0").beside(3000.0),
        // Judged by the divergence alone: a tenth of the cross-entropy is its floor.
        "tf_kd_self" => of("weight = 5.0").judged(|_, _, seen| divergence_of(&seen[0], 20.0)),
        "tf_kd_virtual" => of("").judged(|_, value, seen| {
            let loss = TfKdVirtualLossConfig::new().init().unwrap();
            let labels = seen[0].hard_labels().unwrap().clone();
            let target = loss.target(&logits(&seen[0]), labels.inner());
            let mixed = (one_hot(&seen[0]) * 0.9 + target.clone()) / 1.9;
            value - entropy(mixed) * 1.9 + entropy(target)
        }),
        "vid" => of("weight = 10.0")
            .judged(|layers, _, seen| unexplained(layers, &seen[0]))
            .beside(1.0),
        _ => of("").beside(1.0),
    }]
}

fn number(x: Tensor<1>) -> f64 {
    f64::from(x.into_scalar::<f32>())
}

fn logits(seen: &Seen) -> Tensor<2> {
    seen.peers()[0].logits.clone().inner()
}

fn probabilities(seen: &Seen) -> Tensor<2> {
    divergence::softmax(logits(seen), 1.0)
}

fn one_hot(seen: &Seen) -> Tensor<2> {
    let labels = seen.hard_labels().unwrap().clone();
    labels.inner().one_hot::<2>(CLASSES).float()
}

fn cross_entropy(seen: &Seen) -> f64 {
    let labels = seen.hard_labels().unwrap().clone();
    number(divergence::cross_entropy(logits(seen), labels.inner()).mean())
}

/// Of the teacher's probabilities from the student's.
fn divergence_of(seen: &Seen, temperature: f32) -> f64 {
    let teacher = seen.teacher().unwrap().logits.clone();
    number(divergence::kl(teacher, logits(seen), temperature).mean())
}

fn entropy(p: Tensor<2>) -> f64 {
    number((p.clone() * p.log()).sum_dim(1).mean().neg())
}

/// The loss with its variances at those of the teacher's channels in the batch, without their logarithms: half
/// the share of the teacher's variance that the regression leaves, summed over the stages.
fn unexplained(layers: &Objective, seen: &Seen) -> f64 {
    let layers: &Vec<Vec<VidLoss>> = layers.parts_of(ALONE).unwrap();
    let (student, teacher) = (&seen.peers()[0].stages, &seen.teacher().unwrap().stages);
    let stages = layers[0]
        .iter()
        .zip(student.iter().skip(1).zip(teacher.iter().skip(1)));
    let left = stages.map(|(vid, (student, teacher))| {
        let [_, channels, ..] = teacher.dims();
        let rows = teacher.clone().swap_dims(0, 1).flatten::<2>(1, 3);
        let variances: Vec<f64> = rows.var_bias(1).into_data().iter::<f64>().collect();
        let variances: Vec<f64> = variances.into_iter().map(|v| v.max(1e-3)).collect();
        let scales: Vec<f32> = variances.iter().map(|v| v.exp_m1().ln() as f32).collect();
        let logs = variances.iter().map(|v| v.ln()).sum::<f64>() / channels as f64;
        let mut vid = vid.clone();
        let scales = TensorData::new(scales, [channels]);
        vid.log_scale = Param::from_data(scales, &student.device());
        number(vid.forward(student.clone(), teacher.clone()).inner()) - 0.5 * logs
    });
    left.sum()
}
