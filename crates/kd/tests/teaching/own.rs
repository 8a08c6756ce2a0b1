//! Losses of a network that is its own teacher, or has none.

use kd::losses::*;
use kd::prelude::*;

use crate::lesson::{Lesson, STEPS_TO_BE_SURE, Taught};
use crate::school::{CLASSES, HELD_OUT, IMAGES, tracked};

fn entropy(p: Tensor<2>) -> Tensor<1> {
    (p.clone() * p.log()).sum_dim(1).mean().neg()
}

pub(crate) fn lessons() -> Vec<Box<dyn Taught>> {
    let smoothing = LabelSmoothingLossConfig::new().init().unwrap();
    let virt = TfKdVirtualLossConfig::new().init().unwrap();
    let selfs = TfKdSelfLossConfig::new().init().unwrap();
    let cs = CsKdLossConfig::new().init().unwrap();
    let ddgsd = DdgsdLossConfig::new().init().unwrap();
    let floor = -(0.91f64 * 0.91f64.ln() + 0.09 * 0.01f64.ln());
    vec![
        Box::new(
            Lesson::new("label_smoothing", move |pass| {
                smoothing.forward(pass.student().logits, pass.labels())
            })
            .judged(move |_, pass| {
                smoothing
                    .forward(pass.student().logits, pass.labels())
                    .sub_scalar(floor)
            })
            .until_sure(),
        ),
        // Judged by the divergence alone: a tenth of the cross-entropy is its floor.
        Box::new(
            Lesson::new("tf_kd_self", move |pass| {
                selfs.forward(pass.student().logits, pass.teacher().logits, pass.labels())
            })
            .weight(5.0)
            .judged(|_, pass| {
                let (s, t) = (pass.student().logits, pass.teacher().logits);
                divergence::kl(t, s, 20.0).mean()
            }),
        ),
        Box::new(
            Lesson::new("tf_kd_virtual", move |pass| {
                virt.forward(pass.student().logits, pass.labels())
            })
            .judged(move |_, pass| {
                let z = pass.student().logits.inner();
                let y = pass.labels().inner();
                let u = virt.target(&z, y.clone());
                let one_hot = y.clone().one_hot::<2>(CLASSES).float();
                let q = (one_hot * 0.9 + u.clone()) / 1.9;
                virt.forward(z, y) - entropy(q) * 1.9 + entropy(u)
            }),
        ),
        Box::new(
            Lesson::new("cs_kd", move |pass| {
                let partner = pass.see(0, &pass.batch.partners).logits;
                cs.forward(pass.student().logits, partner, pass.labels())
            })
            .judged(move |_, pass| {
                let partner = pass.see(0, &pass.batch.partners).logits;
                cs.forward(pass.student().logits, partner, pass.labels()) - pass.cross_entropy()
            }),
        ),
        Box::new(
            Lesson::with_parts(
                "ps_kd",
                || PsKdConfig::new(IMAGES, CLASSES).init(&tracked()).unwrap(),
                |memory, pass| {
                    let progress = (pass.step + 1) as f64 / STEPS_TO_BE_SURE as f64;
                    let output = memory
                        .forward(
                            pass.student().logits,
                            pass.labels(),
                            &pass.batch.ids,
                            progress,
                        )
                        .unwrap();
                    *memory = memory.clone().remember(output.update);
                    output.loss
                },
            )
            .judged(|_, pass| {
                let memory = PsKdConfig::new(HELD_OUT, CLASSES).init(&tracked()).unwrap();
                let step = |memory: &PsKd| {
                    memory
                        .forward(pass.student().logits, pass.labels(), &pass.batch.ids, 1.0)
                        .unwrap()
                };
                let first = step(&memory);
                let memory = memory.remember(first.update);
                let p = divergence::softmax(pass.student().logits, 1.0);
                let t = pass.labels().one_hot::<2>(CLASSES).float() * 0.2 + p * 0.8;
                step(&memory).loss - entropy(t)
            })
            .until_sure(),
        ),
        Box::new(
            Lesson::new("ddgsd", move |pass| {
                let view = |images| {
                    let seen = pass.see(0, &images);
                    DistortedView {
                        logits: seen.logits,
                        features: seen.embedding,
                    }
                };
                let images = pass.batch.images.clone();
                ddgsd.forward(view(images.clone()), view(images.flip([3])), pass.labels())
            })
            .judged(move |_, pass| {
                let view = |images| {
                    let seen = pass.see(0, &images);
                    DistortedView {
                        logits: seen.logits,
                        features: seen.embedding,
                    }
                };
                let images = pass.batch.images.clone();
                let terms =
                    ddgsd.terms(view(images.clone()), view(images.flip([3])), pass.labels());
                terms.kl + terms.mmd
            }),
        ),
    ]
}
