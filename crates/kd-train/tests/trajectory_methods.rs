//! Twenty training steps of every method against PyTorch, in f64.
//!
//! A term can have the right value and still train wrongly: its target is not detached, its memory
//! is kept a step too late, its layer is not trained, or a pass does not move the statistics that it
//! should. Each of these changes a loss or a digest here by more than 1e-2. Rounding does not: if
//! the initial weights are disturbed by 1e-12 of themselves, the losses change by less than 1e-8.
//! The tolerance is 1e-6 for the loss of every step, and the nine digits of the fixture for every
//! tensor after the last step. `trajectory.rs` says why the numbers are f64.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/course.rs"]
mod course;
#[path = "../../kd-models/tests/common/formula.rs"]
mod formula;
#[path = "common/parts.rs"]
mod parts;
#[path = "common/trajectory.rs"]
mod trajectory;
#[path = "common/world.rs"]
mod world;

use burn::tensor::Tensor;
use course::{Method, Shown};
use kd_core::{NegativeSampler, Okddip, One, PeerTeacher, PsKd, VidLoss};
use kd_models::{Classifier, Classify, Features};
use kd_train::{CrdParts, Seen};
use world::{
    branched, consecutive, hard_labels, labels, lowered, mirrored, mixed_labels, partners, pasted,
    pixels, reordered, see, student, teacher,
};

/// The student of the methods with one network.
fn alone() -> Vec<(&'static str, Classifier)> {
    vec![("student", student("student"))]
}

fn peers() -> Vec<(&'static str, Classifier)> {
    ["peer0", "peer1"].map(|name| (name, student(name))).into()
}

#[test]
fn sp_kd_two_views() {
    let recipe = r#"
        [views.mixed]
        of = "original"
        mix = { op = "cutmix" }
        [terms]
        ce = { weight = 0.1 }
        kl = { weight = 0.9, temperature = 4.0 }
        kl_mixed = { loss = "kl", on = "mixed", weight = 0.9, temperature = 4.0 }
        sp = { weight = 3000.0 }
        sp_mixed = { loss = "sp", on = "mixed", weight = 3000.0 }
    "#;
    let teacher = teacher();
    let method = Method::new("sp_kd_two_views", recipe).with_teacher(&teacher);
    method.follow(alone(), |networks, step| {
        let ids = consecutive(step);
        let images = pixels(&ids);
        let taught = |images: Tensor<4>| {
            let answer = teacher.forward_features(images.clone());
            see(networks, &[images]).with_teacher(answer)
        };
        // The passes move the running statistics in this order.
        let original = taught(images.clone()).with_labels(hard_labels(&ids));
        let mixed = taught(pasted(images, 4, 2));
        Shown {
            at: [0, step],
            ids,
            views: vec![("original", original), ("mixed", mixed)],
        }
    });
}

#[test]
fn vid() {
    let teacher = teacher();
    let method = Method::new("vid", "[terms]\nce = {}\nvid = {}")
        .with_parts::<Vec<Vec<VidLoss>>>("vid")
        .with_teacher(&teacher);
    method.follow(alone(), |networks, step| {
        let ids = consecutive(step);
        let images = pixels(&ids);
        let view = see(networks, std::slice::from_ref(&images))
            .with_labels(hard_labels(&ids))
            .with_teacher(teacher.forward_features(images));
        Shown::one(step, ids, "original", view)
    });
}

#[test]
fn crd() {
    const SAMPLES: u64 = 80;
    const SEED: u64 = 7;
    let recipe = r#"
        epochs = 4
        [terms]
        ce = {}
        crd = { weight = 0.8, negatives = 16, features = 16 }
    "#;
    let teacher = teacher();
    let method = Method::new("crd", recipe)
        .with_parts::<CrdParts>("crd")
        .with_teacher(&teacher)
        .with_labels(labels(SAMPLES))
        .with_seed(SEED);
    // Without the same negatives there is nothing to compare.
    let classes: Vec<usize> = labels(SAMPLES).into_iter().map(usize::from).collect();
    let sampler = NegativeSampler::new(&classes, 16, SEED).unwrap();
    let (_, ids) = reordered(0, SAMPLES, 7);
    let ids: Vec<usize> = ids.into_iter().map(|id| id as usize).collect();
    let drawn = sampler.draw(0, &ids).unwrap();
    let golden = method.golden();
    let rows = golden["negatives"].as_array().unwrap();
    assert_eq!(rows.len(), ids.len());
    for (image, row) in rows.iter().enumerate() {
        let expected = row.as_array().unwrap().iter();
        let mut expected: Vec<u64> = expected.map(|id| id.as_u64().unwrap()).collect();
        let mut found: Vec<u64> = drawn.row(image).into_iter().map(|id| id as u64).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "negatives of image {image}");
    }
    method.follow(alone(), |networks, step| {
        let (at, ids) = reordered(step, SAMPLES, 7);
        let images = pixels(&ids);
        let view = see(networks, std::slice::from_ref(&images))
            .with_labels(hard_labels(&ids))
            .with_teacher(teacher.forward_features(images));
        Shown {
            at,
            ..Shown::one(step, ids, "original", view)
        }
    });
}

#[test]
fn dml() {
    let recipe = r#"
        peers = 2
        [terms]
        ce = {}
        dml = { temperature = 3.0 }
    "#;
    Method::new("dml", recipe).follow(peers(), |networks, step| {
        let ids = consecutive(step);
        let view = see(networks, &[pixels(&ids)]).with_labels(hard_labels(&ids));
        Shown::one(step, ids, "original", view)
    });
}

#[test]
fn cutnmix() {
    let recipe = r#"
        peers = 2
        [views.mixed]
        of = "original"
        mix = { op = "cutnmix" }
        [terms]
        ce = { on = "mixed" }
        dml = { on = "mixed", weight = 0.6, temperature = 3.0 }
        mmd = { on = "mixed", weight = 0.3 }
        peer_teacher = { on = "mixed", weight = 0.1, temperature = 3.0 }
    "#;
    let method = Method::new("cutnmix", recipe).with_parts::<PeerTeacher>("peer_teacher");
    method.follow(peers(), |networks, step| {
        let ids = consecutive(step);
        let images = pixels(&ids);
        let boxes = [pasted(images.clone(), 2, 4), pasted(images, 7, 1)];
        let view = see(networks, &boxes).with_labels(mixed_labels(&ids));
        Shown::one(step, ids, "mixed", view)
    });
}

#[test]
fn kdcl() {
    let recipe = r#"
        peers = 2
        views.original.draws = "per_network"
        [terms]
        ce = {}
        kdcl = { ensemble = "min_logit", temperature = 2.0 }
    "#;
    Method::new("kdcl", recipe).follow(peers(), |networks, step| {
        let ids = consecutive(step);
        let images = pixels(&ids);
        let distorted = [mirrored(images.clone()), lowered(images)];
        let view = see(networks, &distorted).with_labels(hard_labels(&ids));
        Shown::one(step, ids, "original", view)
    });
}

#[test]
fn one() {
    let recipe = r#"
        branches = 3
        [terms]
        ce = {}
        one = { temperature = 3.0 }
    "#;
    let networks = vec![("student", branched(3))];
    let method = Method::new("one", recipe).with_parts::<One>("one");
    method.follow(networks, |networks, step| {
        let ids = consecutive(step);
        let view = see(networks, &[pixels(&ids)]).with_labels(hard_labels(&ids));
        Shown::one(step, ids, "original", view)
    });
}

#[test]
fn okddip() {
    let recipe = r#"
        branches = 4
        [terms]
        ce = {}
        okddip = { temperature = 3.0 }
    "#;
    let networks = vec![("student", branched(4))];
    let method = Method::new("okddip", recipe).with_parts::<Okddip>("okddip");
    method.follow(networks, |networks, step| {
        let ids = consecutive(step);
        let view = see(networks, &[pixels(&ids)]).with_labels(hard_labels(&ids));
        Shown::one(step, ids, "original", view)
    });
}

#[test]
fn ps_kd() {
    const SAMPLES: u64 = 64;
    let recipe = r#"
        epochs = 5
        [terms]
        ps_kd = { alpha = 0.8 }
    "#;
    let method = Method::new("ps_kd", recipe)
        .with_parts::<Vec<PsKd>>("ps_kd")
        .with_labels(labels(SAMPLES));
    method.follow(alone(), |networks, step| {
        let (at, ids) = reordered(step, SAMPLES, 5);
        let view = see(networks, &[pixels(&ids)]).with_labels(hard_labels(&ids));
        Shown {
            at,
            ..Shown::one(step, ids, "original", view)
        }
    });
}

#[test]
fn cs_kd() {
    let recipe = r#"
        views.partner.source = "same_class"
        [terms]
        cs_kd = { on = ["original", "partner"], lambda = 1.0, temperature = 4.0 }
    "#;
    Method::new("cs_kd", recipe).follow(alone(), |networks, step| {
        let ids = consecutive(step);
        let original = see(networks, &[pixels(&ids)]).with_labels(hard_labels(&ids));
        // In training mode, after the pass that is trained: it moves the running statistics.
        let images = mirrored(pixels(&partners(&ids)));
        let passed = networks[0].forward_features(Tensor::from_inner(images.clone()));
        let constants = Features::new(passed.logits.detach());
        let partner = Seen::new(images).with_peers(vec![constants]);
        Shown {
            at: [0, step],
            ids,
            views: vec![("original", original), ("partner", partner)],
        }
    });
}

#[test]
fn ddgsd() {
    let recipe = r#"
        [views.a]
        [views.b]
        [terms]
        ddgsd = { on = ["a", "b"], lambda = 1.0, mu = 1.0, temperature = 3.0 }
    "#;
    Method::new("ddgsd", recipe).follow(alone(), |networks, step| {
        let ids = consecutive(step);
        let images = pixels(&ids);
        let distorted = |images: Tensor<4>| see(networks, &[images]).with_labels(hard_labels(&ids));
        let a = distorted(mirrored(images.clone()));
        let b = distorted(lowered(images));
        Shown {
            at: [0, step],
            ids,
            views: vec![("a", a), ("b", b)],
        }
    });
}
