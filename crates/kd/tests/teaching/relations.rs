//! Losses of what a batch is among itself, and of contrasts.

use kd::losses::*;
use kd::prelude::*;

use crate::lesson::{Lesson, Pass, Taught};
use crate::school::{CLASSES, HELD_OUT, IMAGES, Seen, WIDTH, tracked};

fn embeddings(pass: &Pass) -> [Tensor<2>; 2] {
    [pass.student().embedding, pass.teacher().embedding]
}

fn cc(name: &'static str, kernel: CcKernel) -> Lesson<CcLoss> {
    let config = CcLossConfig::new(WIDTH, WIDTH).with_kernel(kernel);
    Lesson::with_parts(
        name,
        move || config.init(&tracked()).unwrap(),
        |cc, pass| {
            let [s, t] = embeddings(pass);
            cc.forward(s, t)
        },
    )
}

fn graph(seen: Seen) -> Graph {
    let [_, lower, upper] = seen.maps;
    Graph {
        lower,
        upper,
        embedding: seen.embedding,
        logits: seen.logits,
    }
}

fn crd_config(contrast: CrdContrast, samples: usize) -> CrdLossConfig {
    CrdLossConfig::new(WIDTH, WIDTH, samples).with_contrast(contrast)
}

fn sampler(samples: usize, count: usize) -> NegativeSampler {
    let labels: Vec<usize> = (0..samples).map(|id| id % CLASSES).collect();
    NegativeSampler::new(&labels, count, 0).unwrap()
}

fn crd(name: &'static str, contrast: CrdContrast, count: usize) -> Lesson<CrdLoss> {
    let negatives = sampler(IMAGES, count);
    Lesson::with_parts(
        name,
        move || crd_config(contrast, IMAGES).init(&tracked()).unwrap(),
        move |crd, pass| {
            let ids = &pass.batch.ids;
            let negatives = negatives.clone().draw(pass.step as u64, ids).unwrap();
            let [s, t] = embeddings(pass);
            let output = crd.forward(s, t, ids, &negatives).unwrap();
            *crd = crd.clone().remember(output.update);
            output.loss
        },
    )
}

pub(crate) fn lessons() -> Vec<Box<dyn Taught>> {
    let sp = SpLossConfig::new().init();
    let rkd = RkdLossConfig::new().init().unwrap();
    let irg = IrgLossConfig::new().init().unwrap();
    let gaussian = CcKernel::Gaussian {
        gamma: 0.4,
        order: 2,
    };
    vec![
        Box::new(
            Lesson::new("sp", move |pass| {
                let ([.., s], [.., t]) = (pass.student().maps, pass.teacher().maps);
                sp.forward(s, t)
            })
            .weight(1000.0)
            .beside(3000.0),
        ),
        Box::new(
            cc("cc", CcKernel::Consecutive)
                .weight(0.02)
                .steps(250)
                .beside(0.02),
        ),
        Box::new(cc("cc_gaussian", gaussian).weight(10.0).beside(0.02)),
        Box::new(
            Lesson::new("pkt", |pass| {
                let [s, t] = embeddings(pass);
                PktLoss.forward(s, t)
            })
            .weight(10000.0)
            .beside(30000.0),
        ),
        Box::new(
            Lesson::new("rkd", move |pass| {
                let [s, t] = embeddings(pass);
                rkd.forward(s, t)
            })
            .beside(1.0),
        ),
        Box::new(
            Lesson::new("irg", move |pass| {
                irg.forward(graph(pass.student()), graph(pass.teacher()))
            })
            .weight(5.0)
            .beside(1.0),
        ),
        Box::new(
            crd("crd", CrdContrast::Nce, 40)
                .weight(0.05)
                .steps(400)
                .beside(0.8)
                .judged(|crd, pass| held_out(crd, CrdContrast::Nce, 40, pass))
                .against_control_alone(),
        ),
        Box::new(
            crd("crd_info_nce", CrdContrast::InfoNce, 160)
                .steps(400)
                .beside(0.8)
                .judged(|crd, pass| held_out(crd, CrdContrast::InfoNce, 16, pass)),
        ),
    ]
}

/// The trained layers with banks of the held-out images of a batch, which a first pass fills.
fn held_out(crd: &mut CrdLoss, contrast: CrdContrast, negatives: usize, pass: &Pass) -> Tensor<1> {
    let [s, t] = embeddings(pass);
    let count = pass.batch.ids.len();
    let mut judge = crd_config(contrast, HELD_OUT)
        .with_momentum(0.0)
        .init(&tracked())
        .unwrap();
    judge.embed_s = crd.embed_s.clone();
    judge.embed_t = crd.embed_t.clone();
    let z = crd
        .normalizers
        .val()
        .mul_scalar(count as f64 / IMAGES as f64);
    judge.normalizers = burn::module::Param::initialized(burn::module::ParamId::new(), z);
    let small = crd_config(contrast, count)
        .with_momentum(0.0)
        .init(&tracked())
        .unwrap();
    judge.bank_s = small.bank_s;
    judge.bank_t = small.bank_t;
    let ids: Vec<usize> = (0..count).collect();
    let labels: Vec<usize> = pass.batch.labels.iter().map(|&l| l as usize).collect();
    let negatives = NegativeSampler::new(&labels, negatives, 0)
        .unwrap()
        .draw(0, &ids)
        .unwrap();
    let output = judge
        .forward(s.clone(), t.clone(), &ids, &negatives)
        .unwrap();
    let judge = judge.remember(output.update);
    judge.forward(s, t, &ids, &negatives).unwrap().loss
}
