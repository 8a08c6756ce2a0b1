//! Losses of peers.

use kd::losses::*;

use crate::lesson::{Lesson, Taught, sum};
use crate::school::{CLASSES, WIDTH, tracked};

fn kdcl(name: &'static str, ensemble: KdclEnsemble) -> Box<dyn Taught> {
    let config = KdclLossConfig::new().with_ensemble(ensemble);
    let loss = config.init().unwrap();
    let lesson = Lesson::new(name, move |pass| {
        sum(loss.forward(&pass.logits(), pass.labels()))
    });
    Box::new(lesson.peers().beside(1.0))
}

fn general() -> Box<dyn Taught> {
    let lesson = Lesson::new("kdcl_general", |pass| {
        let mut errors = EnsembleErrors::new(2).unwrap();
        errors.update(&pass.logits(), pass.labels());
        let weights = errors.weights().unwrap();
        let ensemble = KdclEnsemble::General { weights };
        let loss = KdclLossConfig::new()
            .with_ensemble(ensemble)
            .init()
            .unwrap();
        sum(loss.forward(&pass.logits(), pass.labels()))
    });
    Box::new(lesson.peers().beside(1.0))
}

fn one() -> One {
    OneConfig::new(WIDTH, 2).init(&tracked()).unwrap()
}

pub(crate) fn lessons() -> Vec<Box<dyn Taught>> {
    let dml = DmlLossConfig::new().init().unwrap();
    vec![
        Box::new(
            Lesson::new("dml", move |pass| sum(dml.forward(&pass.logits())))
                .peers()
                .beside(1.0),
        ),
        Box::new(
            Lesson::new("mmd", |pass| sum(MmdLoss.forward(&pass.embeddings())))
                .peers()
                .beside(1.0),
        ),
        Box::new(
            Lesson::with_parts(
                "peer_teacher",
                || {
                    let config = PeerTeacherConfig::new(vec![WIDTH; 2], CLASSES);
                    config.init(&tracked()).unwrap()
                },
                |teacher, pass| {
                    let terms = teacher.forward(&pass.embeddings(), &pass.logits(), pass.labels());
                    terms.teacher + sum(terms.peers)
                },
            )
            .judged(|teacher, pass| {
                sum(teacher
                    .forward(&pass.embeddings(), &pass.logits(), pass.labels())
                    .peers)
            })
            .peers()
            .beside(1.0),
        ),
        kdcl("kdcl_naive", KdclEnsemble::Naive),
        kdcl("kdcl_linear", KdclEnsemble::Linear),
        kdcl("kdcl_min_logit", KdclEnsemble::MinLogit),
        general(),
        Box::new(
            Lesson::with_parts("one", one, |one, pass| {
                let shared = pass.student().embedding;
                let terms = one.forward(shared, &pass.logits(), pass.labels());
                terms.ensemble + sum(terms.branches)
            })
            .judged(|one, pass| {
                let shared = pass.student().embedding;
                sum(one.forward(shared, &pass.logits(), pass.labels()).branches)
            })
            .peers()
            .beside(1.0),
        ),
        Box::new(
            Lesson::with_parts(
                "okddip",
                || OkddipConfig::new(WIDTH).init(&tracked()).unwrap(),
                |okddip, pass| {
                    let (f, z) = (pass.embeddings(), pass.logits());
                    let terms = okddip.forward(&f, &z, z[1].clone());
                    sum(terms.peers) + terms.leader
                },
            )
            .peers()
            .beside(1.0),
        ),
    ]
}
