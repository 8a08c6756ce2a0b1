//! CutMixPick from end to end, with networks that are formulas.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::cell::Cell;

use burn::tensor::{Device, Tensor, TensorData};
use kd_augment::{
    AugmentError, CutMix, CutMixPick, DrawKey, Mix, Mixer, Mixup, ParamSharing, PickCriterion,
    PickSize, Pool, cpu,
};

const SHAPE: [usize; 4] = [6, 1, 8, 8];
const IDS: [u64; 6] = [4, 8, 15, 16, 23, 42];

/// Image i is i/8 throughout.
fn base() -> Tensor<4> {
    let values = (0..6).flat_map(|i| vec![i as f32 / 8.0; 64]).collect();
    Tensor::from_data(TensorData::new(values, SHAPE), &Device::flex())
}

/// Logits (mean, 0): the smaller the mean, the larger the entropy.
fn network(images: Tensor<4>) -> Tensor<2> {
    let mean = images.mean_dim(3).mean_dim(2).flatten::<2>(1, 3) * 4.0;
    Tensor::cat(vec![mean.clone(), mean.zeros_like()], 1)
}

fn entropy(logit: f64) -> f64 {
    let p = 1.0 / (1.0 + (-logit).exp());
    -p * p.ln() - (1.0 - p) * (1.0 - p).ln()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The whole flow once more, with the host's engine and f64.
#[test]
fn the_pool_is_scored_and_the_best_are_picked() {
    let key = DrawKey::new(9).epoch(2);
    for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
        let calls = Cell::new(0);
        let picked = CutMixPick::new()
            .with_sharing(sharing)
            .with_copies(3)
            .pick(base(), &key, &IDS, 5, |images| {
                calls.set(calls.get() + 1);
                assert_eq!(images.dims(), [18, 1, 8, 8]);
                network(images)
            })
            .unwrap();
        assert_eq!(calls.get(), 1, "the teacher sees the pool once");

        let mixer = Mixer::new(CutMix::default().into(), sharing).unwrap();
        let base = values(base());
        let mut pool = Vec::new();
        let mut made = Vec::new();
        for copy in 0..3 {
            let plan = mixer.sample(&key.copy(copy), &IDS, 5, [8, 8]).unwrap();
            let mut mixed = vec![0.0; base.len()];
            cpu::mix(&plan, &base, [1, 8, 8], &mut mixed).unwrap();
            pool.extend(mixed);
            made.extend(
                (0..6).map(|i| (i, plan.partner[i], plan.lambda[i], plan.boxes().unwrap()[i])),
            );
        }
        let means: Vec<f64> = pool
            .chunks(64)
            .map(|image| image.iter().copied().map(f64::from).sum::<f64>() / 64.0)
            .collect();
        let mut order: Vec<usize> = (0..18).collect();
        order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
        // Equal scores may come in another order in f32: compare what was picked by value, and everything by position.
        assert_eq!(picked.indices.len(), 6);
        for (row, &index) in picked.indices.iter().enumerate() {
            assert!((means[index] - means[order[row]]).abs() < 1e-6);
            assert!((f64::from(picked.scores[row]) - entropy(4.0 * means[index])).abs() < 1e-6);
            let (own, partner, lambda, pasted) = made[index];
            assert_eq!((picked.own[row], picked.partner[row]), (own, partner));
            assert_eq!(
                (picked.lambda[row], picked.boxes.as_ref().unwrap()[row]),
                (lambda, pasted)
            );
        }
        let images = values(picked.images);
        for (row, &index) in picked.indices.iter().enumerate() {
            assert_eq!(images[row * 64..][..64], pool[index * 64..][..64]);
        }
        let logits = values(picked.teacher_logits);
        assert!(
            logits
                .chunks(2)
                .zip(&picked.indices)
                .all(|(row, &i)| (f64::from(row[0]) - 4.0 * means[i]).abs() < 1e-5)
        );
        assert!(picked.student_logits.is_none());
    }
}

#[test]
fn a_student_may_choose() {
    let key = DrawKey::new(1);
    let cutmix_pick = CutMixPick::new()
        .with_criterion(PickCriterion::StudentEntropy)
        .with_pick(4);
    // The teacher is not asked about what is not picked.
    let teacher = |images: Tensor<4>| {
        assert_eq!(images.dims()[0], 4);
        network(images)
    };
    // This student is uncertain where the other network is certain.
    let student = |images: Tensor<4>| network(images) - 4.0;
    let picked = cutmix_pick
        .pick_with_student(base(), &key, &IDS, 0, teacher, student)
        .unwrap();
    assert_eq!(picked.images.dims(), [4, 1, 8, 8]);
    assert_eq!(picked.teacher_logits.dims(), [4, 2]);
    let student_logits = values(picked.student_logits.unwrap());
    let teacher_logits = values(picked.teacher_logits);
    for (student, teacher) in student_logits.iter().zip(&teacher_logits) {
        assert!((student + 4.0 - teacher).abs() < 1e-5);
    }
    let missing = cutmix_pick.pick(base(), &key, &IDS, 0, network);
    assert!(matches!(
        missing,
        Err(AugmentError::MissingLogits {
            network: "student",
            ..
        })
    ));
    // KL of equal networks is nothing; ties go to the first.
    let kl = CutMixPick::new().with_criterion(PickCriterion::KlTeacherStudent { temperature: 4.0 });
    let picked = kl
        .pick_with_student(base(), &key, &IDS, 0, network, network)
        .unwrap();
    assert!(picked.scores.iter().all(|score| score.abs() < 1e-6));
    assert_eq!(picked.indices, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn random_picks_follow_the_key() {
    let random = CutMixPick::new().with_criterion(PickCriterion::Random);
    let indices = |key, batch| {
        random
            .pick(base(), &key, &IDS, batch, network)
            .unwrap()
            .indices
    };
    let key = DrawKey::new(3);
    assert_eq!(indices(key, 1), indices(key, 1));
    assert_ne!(indices(key, 1), indices(key, 2));
    assert_ne!(indices(key, 1), indices(key.epoch(1), 1));
}

#[test]
fn copies_differ_and_other_mixes_serve() {
    let pool = Pool {
        copies: 2,
        pick: PickSize::Fixed(12),
        criterion: PickCriterion::TeacherEntropy,
    };
    let mixer = Mixer::new(Mix::from(Mixup::default()), ParamSharing::Batch).unwrap();
    let picked = pool
        .draw(&mixer, base(), &DrawKey::new(1), &IDS, 0, network, None)
        .unwrap();
    assert!(picked.boxes.is_none());
    let mut lambda = picked.lambda.clone();
    lambda.sort_by(f32::total_cmp);
    lambda.dedup();
    assert_eq!(
        lambda.len(),
        2,
        "one lambda for each copy: {:?}",
        picked.lambda
    );
}

#[test]
fn impossible_pools_are_refused() {
    let key = DrawKey::new(0);
    let draw = |pick: CutMixPick, ids: &[u64]| {
        pick.pick(base(), &key, ids, 0, network)
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(
        draw(CutMixPick::new().with_copies(0), &IDS).to_string(),
        "pick.copies is 0, but must be between 1 and 65536"
    );
    assert!(matches!(
        draw(CutMixPick::new().with_pick(0), &IDS),
        AugmentError::OutOfRange { .. }
    ));
    assert_eq!(
        draw(CutMixPick::new().with_pick(13), &IDS),
        AugmentError::PickExceedsPool { pick: 13, pool: 12 }
    );
    assert!(matches!(
        draw(CutMixPick::new(), &IDS[1..]),
        AugmentError::Length { .. }
    ));
    let empty = Tensor::<4>::zeros([0, 1, 8, 8], &Device::flex());
    assert!(
        CutMixPick::new()
            .pick(empty, &key, &[], 0, network)
            .is_err()
    );
    // A teacher that returns nonsense.
    let nan = |images: Tensor<4>| network(images) * f32::NAN;
    let refused = CutMixPick::new()
        .pick(base(), &key, &IDS, 0, nan)
        .unwrap_err();
    assert_eq!(refused, AugmentError::ScoreIsNan { index: 0 });
    let short = |images: Tensor<4>| network(images).narrow(0, 0, 3);
    assert!(matches!(
        CutMixPick::new().pick(base(), &key, &IDS, 0, short),
        Err(AugmentError::Shape { .. })
    ));
}

#[test]
fn a_single_image_is_picked_unmixed() {
    let single = Tensor::<4>::ones([1, 1, 8, 8], &Device::flex());
    let picked = CutMixPick::new()
        .pick(single, &DrawKey::new(0), &[7], 0, network)
        .unwrap();
    assert_eq!(
        (picked.indices, picked.partner, picked.lambda),
        (vec![0], vec![0], vec![1.0])
    );
}

#[test]
fn recipes() {
    let text = "sharing = 'batch'\ncutmix = { boxes = 'inside' }\npool = { copies = 3, criterion = { by = 'random' } }";
    let read: CutMixPick = toml::from_str(text).unwrap();
    assert_eq!(read.sharing, ParamSharing::Batch);
    assert_eq!((read.pool.copies, read.pool.pick), (3, PickSize::Batch));
    assert_eq!(read.pool.criterion, PickCriterion::Random);
    assert_eq!(toml::from_str::<CutMixPick>("").unwrap(), CutMixPick::new());
    assert!(toml::from_str::<CutMixPick>("copies = 3").is_err());
}

/// What is picked is worth more than the pool; the same pool picked twice overlaps as its indices say.
#[test]
fn the_ratio_and_the_overlap_come_out_as_numbers() {
    let key = DrawKey::new(3);
    let pick = |criterion| {
        let pick = CutMixPick::new().with_criterion(criterion);
        let student = |images: Tensor<4>| network(images) * 0.5;
        pick.pick_with_student(base(), &key, &IDS, 0, network, student)
            .unwrap()
    };
    let divergence = PickCriterion::KlTeacherStudent { temperature: 4.0 };
    let by_divergence = pick(divergence);
    // By hand, from the scores of the whole pool.
    let whole = CutMixPick::new()
        .with_criterion(divergence)
        .with_pick(12)
        .pick_with_student(base(), &key, &IDS, 0, network, |images| {
            network(images) * 0.5
        })
        .unwrap();
    let mean = |scores: &[f32]| scores.iter().sum::<f32>() / scores.len() as f32;
    let expected = mean(&by_divergence.scores) / mean(&whole.scores);
    assert!((by_divergence.score_ratio - expected).abs() < 1e-5);
    assert!(by_divergence.score_ratio > 1.0);
    assert!((whole.score_ratio - 1.0).abs() < 1e-6);
    let by_entropy = pick(PickCriterion::TeacherEntropy);
    let both = by_entropy
        .indices
        .iter()
        .filter(|index| by_divergence.indices.contains(index))
        .count();
    assert_eq!(
        by_entropy.overlap(&by_divergence.indices),
        both as f32 / 6.0
    );
    assert_eq!(by_entropy.overlap(&by_entropy.indices), 1.0);
    assert_eq!(by_entropy.overlap(&[]), 0.0);
}

/// The reference implementation picks 64, whatever the batch.
#[test]
fn pick_sizes_by_name() {
    for (text, size) in [
        (r#""batch""#, PickSize::Batch),
        (r#""reference""#, PickSize::Reference),
        ("48", PickSize::Fixed(48)),
    ] {
        assert_eq!(serde_json::from_str::<PickSize>(text).unwrap(), size);
        assert_eq!(serde_json::to_string(&size).unwrap(), text);
    }
    assert!(serde_json::from_str::<PickSize>(r#""some""#).is_err());
    let mut pick = CutMixPick::new();
    pick.pool.pick = PickSize::Reference;
    let picked = pick
        .pick(base(), &DrawKey::new(0), &IDS, 0, network)
        .unwrap();
    assert_eq!(picked.indices.len(), 12, "a small pool stays whole");
}
