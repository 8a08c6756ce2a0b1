//! Drawn parameters of the operations follow the distributions that the documentation names. Seeds are fixed: a test passes or
//! fails for good, at levels where a right implementation fails for one seed in a thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kd_augment::plan::{Adaptive, Enhance, PointOp, Segment};
use kd_augment::{Augmentation, DrawKey, FMix, ImageOp, ParamSharing};

const N: u64 = 6_000;

/// The lists of many images under one operation.
fn lists(op: &str, sharing: ParamSharing) -> Vec<Vec<Segment>> {
    let op: ImageOp = serde_json::from_str(op).unwrap();
    let augmentation = Augmentation::identity().with_op(op).with_sharing(sharing);
    let augmenter = augmentation.build().unwrap();
    let shape = [3, 100, 200];
    let key = DrawKey::new(77);
    match sharing {
        ParamSharing::PerSample => {
            let ids: Vec<u64> = (0..N).collect();
            let plan = augmenter.sample(&key, &ids, 0, shape).unwrap();
            (0..N as usize)
                .map(|i| plan.images.image(i).to_vec())
                .collect()
        }
        ParamSharing::Batch => (0..N)
            .map(|batch| {
                let plan = augmenter.sample(&key, &[1, 2], batch, shape).unwrap();
                assert_eq!(plan.images.image(0), plan.images.image(1));
                plan.images.image(0).to_vec()
            })
            .collect(),
    }
}

/// Kolmogorov and Smirnov's statistic against the uniform distribution: above 1.95 with probability 0.001.
fn distance_from_uniform(mut values: Vec<f64>, low: f64, high: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let parts = values.iter().map(|value| (value - low) / (high - low));
    let distances = parts.enumerate().map(|(i, part)| {
        assert!((-1e-6..=1.0 + 1e-6).contains(&part), "{part}");
        (part - i as f64 / n).max((i + 1) as f64 / n - part)
    });
    distances.fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn ranges_are_uniform() {
    type Read = fn(&Segment) -> f64;
    let cases: [(&str, Read, f64, f64); 11] = [
        (
            r#"{"op":"brightness","factor":[0.2,1.8]}"#,
            |segment| match segment {
                Segment::Point(PointOp::Brightness(factor)) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.2,
            1.8,
        ),
        (
            r#"{"op":"color","factor":[0.2,1.8]}"#,
            |segment| match segment {
                Segment::Color(Enhance { factor }) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.2,
            1.8,
        ),
        (
            r#"{"op":"contrast","factor":[0.2,1.8]}"#,
            |segment| match segment {
                Segment::Adapt(Adaptive::Contrast(factor)) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.2,
            1.8,
        ),
        (
            r#"{"op":"sharpness","factor":[0.2,1.8]}"#,
            |segment| match segment {
                Segment::Sharpness(Enhance { factor }) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.2,
            1.8,
        ),
        (
            r#"{"op":"rotate","degrees":[-80,80]}"#,
            |segment| match segment {
                Segment::Warp(warp) => warp.matrix[3].asin().to_degrees(),
                other => panic!("{other:?}"),
            },
            -80.0,
            80.0,
        ),
        (
            r#"{"op":"shear_x","slope":[-0.5,0.5]}"#,
            |segment| match segment {
                Segment::Warp(warp) => warp.matrix[1],
                other => panic!("{other:?}"),
            },
            -0.5,
            0.5,
        ),
        (
            r#"{"op":"shear_y","slope":[-0.5,0.5]}"#,
            |segment| match segment {
                Segment::Warp(warp) => warp.matrix[3],
                other => panic!("{other:?}"),
            },
            -0.5,
            0.5,
        ),
        (
            r#"{"op":"gaussian_noise","sigma":[0.1,0.3]}"#,
            |segment| match segment {
                Segment::Noise(noise) => f64::from(noise.sigma),
                other => panic!("{other:?}"),
            },
            0.1,
            0.3,
        ),
        (
            r#"{"op":"gaussian_blur","kernel":3,"sigma":[0.1,2.0]}"#,
            |segment| match segment {
                Segment::Blur(blur) => f64::from(blur.sigma),
                other => panic!("{other:?}"),
            },
            0.1,
            2.0,
        ),
        (
            r#"{"op":"color_jitter","brightness":0.4}"#,
            |segment| match segment {
                Segment::Point(PointOp::Brightness(factor)) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.6,
            1.4,
        ),
        (
            r#"{"op":"color_jitter","contrast":2}"#,
            |segment| match segment {
                Segment::Adapt(Adaptive::Contrast(factor)) => f64::from(*factor),
                other => panic!("{other:?}"),
            },
            0.0,
            3.0,
        ),
    ];
    for (op, read, low, high) in cases {
        for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
            let values = lists(op, sharing)
                .iter()
                .map(|list| read(&list[0]))
                .collect();
            let distance = distance_from_uniform(values, low, high);
            assert!(distance < 1.95, "{op} {sharing:?}: {distance}");
        }
    }
}

/// Pearson's statistic against these probabilities.
fn chi_square(counts: &[usize], probabilities: &[f64]) -> f64 {
    let total = counts.iter().sum::<usize>() as f64;
    let terms = counts.iter().zip(probabilities).map(|(count, p)| {
        let expected = total * p;
        (*count as f64 - expected).powi(2) / expected
    });
    terms.sum()
}

/// Translations in pixels are truncated: −1 < amount < 1 moves nothing, so 0 is twice as likely as each of ±1 … ±9.
#[test]
fn translations_are_truncated_uniform_amounts() {
    let mut counts = [0; 19];
    for list in lists(
        r#"{"op":"translate_x","pixels":[-10,10]}"#,
        ParamSharing::PerSample,
    ) {
        let moved = match list[..] {
            [] => 0,
            [Segment::Gather(gather)] => -gather.dx,
            _ => panic!("{list:?}"),
        };
        counts[(moved + 9) as usize] += 1;
    }
    let probabilities: Vec<f64> = (-9..=9).map(|k| if k == 0 { 0.1 } else { 0.05 }).collect();
    // 18 degrees of freedom, 0.001.
    let chi = chi_square(&counts, &probabilities);
    assert!(chi < 42.3, "{chi} {counts:?}");
}

/// Levels from `ceil(threshold)` on are inverted.
#[test]
fn thresholds_are_uniform() {
    let mut counts = [0; 16];
    for list in lists(
        r#"{"op":"solarize","threshold":[0,256]}"#,
        ParamSharing::PerSample,
    ) {
        let from = match list[..] {
            [] => 256,
            [Segment::Point(PointOp::Solarize(from))] => from,
            _ => panic!("{list:?}"),
        };
        counts[usize::from(from.max(1) - 1) / 16] += 1;
    }
    // 15 degrees of freedom, 0.001.
    let chi = chi_square(&counts, &[1.0 / 16.0; 16]);
    assert!(chi < 37.7, "{chi} {counts:?}");
}

/// Every operation of RandAugment's space is as likely, and so are both signs.
#[test]
fn policies_draw_operations_and_signs_uniformly() {
    let op = r#"{"op":"rand_augment","n":1,"m":10,"space":[
        {"op":"identity"},{"op":"rotate","high":30,"signed":true},{"op":"brightness","high":0.9,"signed":true},{"op":"equalize"}]}"#;
    let mut counts = [0; 6];
    for list in lists(op, ParamSharing::PerSample) {
        counts[match list[..] {
            [] => 0,
            [Segment::Adapt(Adaptive::Equalize)] => 1,
            [Segment::Warp(warp)] if warp.matrix[3] > 0.0 => 2,
            [Segment::Warp(_)] => 3,
            [Segment::Point(PointOp::Brightness(factor))] if factor > 1.0 => 4,
            [Segment::Point(_)] => 5,
            _ => panic!("{list:?}"),
        }] += 1;
    }
    // 5 degrees of freedom, 0.001.
    let chi = chi_square(&counts, &[0.25, 0.25, 0.125, 0.125, 0.125, 0.125]);
    assert!(chi < 20.5, "{chi} {counts:?}");
    // TrivialAugment's magnitude is any bin: of three, the first is the identity.
    let op = r#"{"op":"trivial_augment_wide","bins":3,"space":[{"op":"rotate","high":30}]}"#;
    let mut counts = [0; 3];
    for list in lists(op, ParamSharing::PerSample) {
        counts[match list[..] {
            [] => 0,
            [Segment::Warp(warp)] if warp.matrix[3].abs() < 0.3 => 1,
            _ => 2,
        }] += 1;
    }
    let chi = chi_square(&counts, &[1.0 / 3.0; 3]);
    assert!(chi < 13.8, "{chi} {counts:?}");
}

/// Sub-policies are as likely, and their steps have their own probabilities.
#[test]
fn steps_have_their_probabilities() {
    let op = r#"{"op":"auto_augment","policy":{"sub_policies":[
        [{"op":"invert","p":0.3},{"op":"equalize","p":0.6}], [{"op":"auto_contrast","p":0.9}]]}}"#;
    let mut counts = [0; 6];
    for list in lists(op, ParamSharing::PerSample) {
        counts[match list[..] {
            [] => 0,
            [Segment::Point(_)] => 1,
            [Segment::Adapt(Adaptive::Equalize)] => 2,
            [Segment::Point(_), Segment::Adapt(_)] => 3,
            [Segment::Adapt(Adaptive::AutoContrast)] => 4,
            _ => 5,
        }] += 1;
    }
    assert_eq!(counts[5], 0);
    let nothing = 0.5 * 0.7 * 0.4 + 0.5 * 0.1;
    // 4 degrees of freedom, 0.001.
    let chi = chi_square(&counts[..5], &[nothing, 0.06, 0.21, 0.09, 0.45]);
    assert!(chi < 18.5, "{chi} {counts:?}");
}

/// FMix keeps the share that it drew, to the pixel.
#[test]
fn fmix_keeps_a_uniform_share() {
    let ids: Vec<u64> = (0..2_000).collect();
    let mix = Augmentation::identity().with_mix(FMix::default());
    let plan = mix.sample(&DrawKey::new(5), &ids, 0, [1, 24, 24]).unwrap();
    let lambda = plan.mix.unwrap().lambda;
    let distance = distance_from_uniform(lambda.into_iter().map(f64::from).collect(), 0.0, 1.0);
    assert!(distance < 1.95, "{distance}");
}
