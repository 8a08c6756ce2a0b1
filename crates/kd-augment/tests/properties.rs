//! Laws that hold for every augmentation, key and batch.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use kd_augment::plan::{Blend, Erase, Fill, Gather, Segment};
use kd_augment::{
    Affine, Augmentation, CutMix, Cutout, DrawKey, FMix, HorizontalFlip, ImagePlan, Images, Mix,
    MixBox, Mixup, PadCrop, Pairing, ParamSharing, PixelBox, Plan, cpu,
};
use proptest::prelude::*;

fn pixels(shape: [usize; 4], seed: usize) -> Vec<u8> {
    (0..shape.iter().product())
        .map(|k: usize| ((k * 151 + seed * 7919) % 251) as u8)
        .collect()
}

fn float(plan: &Plan, images: Images<'_>) -> Vec<f32> {
    let mut out = vec![f32::NAN; images.pixels().len()];
    cpu::apply(plan, images, &mut out, &Affine::unit()).unwrap();
    out
}

fn bytes(plan: &Plan, images: Images<'_>) -> Vec<u8> {
    let mut out = vec![99; images.pixels().len()];
    cpu::apply_u8(plan, images, &mut out).unwrap();
    out
}

prop_compose! {
    fn shapes()(n in 0..7_usize, c in prop::sample::select(vec![1, 2, 3]), h in 1..9_usize, w in 1..9_usize) -> [usize; 4] {
        [n, c, h, w]
    }
}

prop_compose! {
    fn keys()(seed in any::<u64>(), epoch in 0..3_u64, view in 0..3_u32, copy in 0..3_u32) -> DrawKey {
        DrawKey { seed, epoch, view, copy }
    }
}

fn sharing() -> impl Strategy<Value = ParamSharing> {
    prop::sample::select(vec![ParamSharing::PerSample, ParamSharing::Batch])
}

prop_compose! {
    fn image_ops()(numbers in prop::collection::vec(any::<usize>(), 0..3), p in 0.0..=1.0_f64, pad in 0..6_usize, holes in 1..4_usize, length in 1..9_usize, level in any::<u8>(), sharing in sharing()) -> Augmentation {
        let first = Augmentation::identity()
            .with_op(PadCrop::new(pad))
            .with_op(HorizontalFlip { p })
            .with_op(Cutout { holes, length, fill: Fill::Level(level), p: 1.0 - p / 2.0 })
            .with_op(PadCrop { p, ..PadCrop::new(1) })
            .with_sharing(sharing);
        let all = common::drawn(false);
        numbers.into_iter().fold(first, |ops, k| ops.with_op(all[k % all.len()].clone()))
    }
}

prop_compose! {
    fn mixes()(alpha in 0.1..4.0_f64, p in 0.5..=1.0_f64, kind in 0..4, derange in any::<bool>()) -> Mix {
        let pairing = if derange { Pairing::Derangement } else { Pairing::Permutation };
        match kind {
            0 => Mixup { alpha, pairing, p, ..Mixup::default() }.into(),
            1 => CutMix { alpha, pairing, boxes: MixBox::Clip, p, ..CutMix::default() }.into(),
            2 => CutMix { alpha, pairing, boxes: MixBox::Inside, p, ..CutMix::default() }.into(),
            _ => FMix { alpha, pairing, p, ..FMix::default() }.into(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn identity_changes_nothing(shape in shapes(), key in keys()) {
        let pixels = pixels(shape, 1);
        let images = Images::new(&pixels, shape).unwrap();
        let ids: Vec<u64> = (0..shape[0] as u64).collect();
        let none = [Augmentation::identity(), Augmentation::crop_flip(0).with_op(HorizontalFlip { p: 0.0 })];
        let plan = none[0].sample(&key, &ids, 0, images.image_shape()).unwrap();
        prop_assert!(plan.images.is_identity());
        prop_assert_eq!(&bytes(&plan, images), &pixels);
        let expected: Vec<f32> = pixels.iter().map(|level| f32::from(*level) / 255.0).collect();
        prop_assert_eq!(float(&plan, images), expected);
    }

    #[test]
    fn flipping_twice_is_identity(shape in shapes(), key in keys()) {
        let pixels = pixels(shape, 2);
        let images = Images::new(&pixels, shape).unwrap();
        let ids: Vec<u64> = (0..shape[0] as u64).collect();
        let flip = Augmentation::identity().with_op(HorizontalFlip { p: 1.0 });
        let once = flip.sample(&key, &ids, 0, images.image_shape()).unwrap();
        let flipped = bytes(&once, images);
        let again = bytes(&once, Images::new(&flipped, shape).unwrap());
        prop_assert_eq!(&again, &pixels);
        // As one plan it is nothing at all.
        let twice = flip.clone().with_op(HorizontalFlip { p: 1.0 });
        prop_assert!(twice.sample(&key, &ids, 0, images.image_shape()).unwrap().images.is_identity());
    }

    /// A fused chain gives what its parts give one after the other.
    #[test]
    fn fusing_changes_no_pixel(shape in shapes(), moves in prop::collection::vec((any::<bool>(), -5..6_i32, -5..6_i32, any::<bool>()), 0..6)) {
        let [n, c, h, w] = shape;
        let mut fused = ImagePlan::new([c, h, w]).unwrap();
        let mut stepwise = pixels(shape, 3);
        let start = stepwise.clone();
        let segments: Vec<Segment> = moves.iter().map(|&(mirror, dx, dy, erase)| {
            if erase {
                let area = PixelBox { x0: 0, y0: 0, x1: w.div_ceil(2) as u32, y1: 1 };
                Segment::Erase(Erase { area, fill: Fill::Level(9) })
            } else if mirror {
                Segment::Gather(Gather::mirrored(h, w))
            } else {
                Segment::Gather(Gather::shifted(dx, dy, h, w))
            }
        }).collect();
        for segment in &segments {
            let mut single = ImagePlan::new([c, h, w]).unwrap();
            (0..n).for_each(|_| { single.add_image(); single.push(*segment); });
            stepwise = bytes(&Plan { images: single, mix: None }, Images::new(&stepwise, shape).unwrap());
        }
        for _ in 0..n {
            fused.add_image();
            segments.iter().for_each(|segment| fused.push(*segment));
        }
        let plan = Plan { images: fused, mix: None };
        prop_assert_eq!(bytes(&plan, Images::new(&start, shape).unwrap()), stepwise);
    }

    /// What happens to an image does not depend on the batch that it is in.
    #[test]
    fn image_draws_ignore_the_batch(ops in image_ops(), key in keys(), mut ids in prop::collection::hash_set(any::<u64>(), 1..12).prop_map(Vec::from_iter), batch in any::<u64>()) {
        let ops = ops.with_sharing(ParamSharing::PerSample).build().unwrap();
        let shape = [3, 6, 5];
        let whole = ops.sample(&key, &ids, batch, shape).unwrap();
        let expected: Vec<_> = ids.iter().enumerate().map(|(i, id)| (*id, whole.images.image(i).to_vec())).collect();
        ids.reverse();
        let backwards = ops.sample(&key, &ids, batch ^ 1, shape).unwrap();
        for (i, (id, list)) in expected.iter().rev().enumerate() {
            prop_assert_eq!(backwards.images.image(i), &list[..]);
            let alone = ops.sample(&key, &[*id], 0, shape).unwrap();
            prop_assert_eq!(alone.images.image(0), &list[..]);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits(ops in image_ops(), mix in mixes(), key in keys()) {
        let shape = [40, 3, 8, 8];
        let pixels = pixels(shape, 4);
        let images = Images::new(&pixels, shape).unwrap();
        let ids: Vec<u64> = (0..40).collect();
        let plan = ops.with_mix(mix).sample(&key, &ids, 0, images.image_shape()).unwrap();
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| float(&plan, images))
        };
        let bits = |out: Vec<f32>| out.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(with_threads(1)), bits(with_threads(4)));
    }

    /// Mixing in one pass from u8 gives the bits of mixing the floats afterwards.
    #[test]
    fn mixing_last_is_mixing_afterwards(ops in image_ops(), mix in mixes(), key in keys(), shape in shapes(), normalise in any::<bool>()) {
        let pixels = pixels(shape, 5);
        let images = Images::new(&pixels, shape).unwrap();
        let ids: Vec<u64> = (0..shape[0] as u64).collect();
        let plan = ops.with_mix(mix).sample(&key, &ids, 0, images.image_shape()).unwrap();
        let affine = if normalise {
            Affine::normalize(&vec![0.4; shape[1]], &vec![0.25; shape[1]]).unwrap()
        } else {
            Affine::unit()
        };
        let (mut whole, mut base) = (vec![0.0; pixels.len()], vec![0.0; pixels.len()]);
        cpu::apply(&plan, images, &mut whole, &affine).unwrap();
        let unmixed = Plan { images: plan.images.clone(), mix: None };
        cpu::apply(&unmixed, images, &mut base, &affine).unwrap();
        let mut mixed = vec![0.0; pixels.len()];
        cpu::mix(plan.mix.as_ref().unwrap(), &base, images.image_shape(), &mut mixed).unwrap();
        prop_assert_eq!(whole, mixed);
    }

    /// A pasted pixel comes from one of its two sources, and lambda is the share of its own.
    #[test]
    fn lambda_is_the_share_of_own_pixels(mix in mixes(), key in keys(), h in 1..20_usize, w in 1..20_usize, n in 1..6_usize, sharing in sharing()) {
        let ids: Vec<u64> = (0..n as u64).collect();
        let plan = Augmentation::identity().with_mix(mix).with_sharing(sharing)
            .sample(&key, &ids, 0, [1, h, w]).unwrap();
        // Image i is level 10·(i + 1) throughout.
        let levels: Vec<u8> = (0..n).flat_map(|i| vec![10 * (i as u8 + 1); h * w]).collect();
        let out = float(&plan, Images::new(&levels, [n, 1, h, w]).unwrap());
        let mixed = plan.mix.unwrap();
        for (i, image) in out.chunks_exact(h * w).enumerate() {
            let own = 10.0 * (i as f32 + 1.0) / 255.0;
            let other = 10.0 * (mixed.partner[i] as f32 + 1.0) / 255.0;
            let lambda = mixed.lambda[i];
            match &mixed.blend {
                Blend::Linear => {
                    let expected = lambda * own + (1.0 - lambda) * other;
                    prop_assert!(image.iter().all(|pixel| (pixel - expected).abs() < 1e-6));
                }
                _ => {
                    prop_assert!(image.iter().all(|pixel| *pixel == own || *pixel == other));
                    if mixed.partner[i] != i {
                        let share = image.iter().filter(|pixel| **pixel == own).count() as f32 / (h * w) as f32;
                        prop_assert!((share - lambda).abs() < 1e-6, "{share} {lambda}");
                    }
                }
            }
        }
    }

    /// Shared draws are one draw: one lambda, one box; partners are a permutation.
    #[test]
    fn shared_mixes_are_one_draw(mix in mixes(), key in keys(), n in 2..40_usize, batch in any::<u64>()) {
        let ids: Vec<u64> = (0..n as u64).collect();
        let plan = Augmentation::identity().with_mix(mix).with_sharing(ParamSharing::Batch)
            .sample(&key, &ids, batch, [3, 16, 16]).unwrap().mix.unwrap();
        prop_assert!(plan.lambda.iter().all(|lambda| *lambda == plan.lambda[0]));
        if let Some(boxes) = plan.boxes() {
            prop_assert!(boxes.iter().all(|area| *area == boxes[0]));
        }
        let mut partners = plan.partner.clone();
        partners.sort_unstable();
        prop_assert!(partners.into_iter().eq(0..n));
    }

    #[test]
    fn plans_and_augmentations_survive_serde(ops in image_ops(), mix in mixes(), key in keys(), shape in shapes()) {
        let ops = ops.with_mix(mix);
        let text = toml::to_string(&ops).unwrap();
        prop_assert_eq!(&toml::from_str::<Augmentation>(&text).unwrap(), &ops);
        let ids: Vec<u64> = (0..shape[0] as u64).collect();
        let plan = ops.sample(&key, &ids, 0, [shape[1], shape[2], shape[3]]).unwrap();
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Plan>(&text).unwrap(), &plan);
    }
}

/// Two copies, views, epochs, operations of one image never share a draw.
#[test]
fn no_two_keys_share_a_draw() {
    let ids: Vec<u64> = (0..64).collect();
    // 40,001 offsets in x and in y: equal draws would show as equal plans.
    let wide = Augmentation::identity()
        .with_op(PadCrop::new(20_000))
        .build()
        .unwrap();
    let shape = [1, 1 << 15, 1 << 15];
    let key = DrawKey::new(1);
    let mut seen = std::collections::HashSet::new();
    let mut count = 0;
    for key in [
        key,
        key.copy(1),
        key.copy(2),
        key.view(1),
        key.epoch(1),
        DrawKey::new(2),
    ] {
        let plan = wide.sample(&key, &ids, 0, shape).unwrap();
        for i in 0..64 {
            let [Segment::Gather(gather)] = plan.images.image(i) else {
                continue;
            };
            count += 1;
            assert!(seen.insert((gather.dx, gather.dy)));
        }
    }
    assert!(count > 50, "only {count} shifts stayed in the picture");
    // Two operations of one image.
    let two = Augmentation::identity()
        .with_op(HorizontalFlip { p: 0.5 })
        .with_op(HorizontalFlip { p: 0.5 })
        .sample(&key, &ids, 0, [1, 2, 2])
        .unwrap();
    let flips = (0..64).filter(|i| !two.images.image(*i).is_empty()).count();
    assert!(
        (16..48).contains(&flips),
        "{flips}: equal draws would cancel each other"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let pixels = [0; 24];
    let images = Images::new(&pixels, [2, 3, 2, 2]).unwrap();
    let plan = Augmentation::crop_flip(1)
        .sample(&DrawKey::new(0), &[1, 2], 0, [3, 2, 2])
        .unwrap();
    let unit = Affine::unit();
    assert!(cpu::apply(&plan, images, &mut [0.0; 24], &unit).is_ok());
    assert!(cpu::apply(&plan, images, &mut [0.0; 23], &unit).is_err());
    assert!(cpu::apply_u8(&plan, images, &mut [0; 25]).is_err());
    let fewer = Images::new(&pixels[..12], [1, 3, 2, 2]).unwrap();
    assert!(cpu::apply(&plan, fewer, &mut [0.0; 12], &unit).is_err());
    let grey = Affine::normalize(&[0.5], &[0.5]).unwrap();
    assert!(cpu::apply(&plan, images, &mut [0.0; 24], &grey).is_err());
    let mixed = Augmentation::mixup()
        .sample(&DrawKey::new(0), &[1, 2], 0, [3, 2, 2])
        .unwrap();
    let refused = cpu::apply_u8(&mixed, images, &mut [0; 24]);
    assert_eq!(refused, Err(kd_augment::AugmentError::MixNeedsFloat));
    let mix = mixed.mix.unwrap();
    assert!(cpu::mix(&mix, &[0.0; 24], [3, 2, 2], &mut [0.0; 23]).is_err());
    assert!(cpu::mix(&mix, &[0.0; 23], [3, 2, 2], &mut [0.0; 23]).is_err());
}

#[test]
fn plans_from_elsewhere_are_looked_at() {
    let read = |text: &str| serde_json::from_str::<Plan>(text);
    let pixels = [0; 4];
    let images = Images::new(&pixels, [1, 1, 2, 2]).unwrap();
    for gather in [
        r#"{"dx":1,"dy":0,"window":{"x0":0,"y0":0,"x1":2,"y1":2}}"#,
        r#"{"dx":-2147483648,"dy":2147483647,"mirror_x":true,"window":{"x0":0,"y0":0,"x1":2,"y1":2}}"#,
        r#"{"dx":0,"dy":0,"window":{"x0":2,"y0":0,"x1":1,"y1":2}}"#,
    ] {
        let text = format!(
            r#"{{"images":{{"shape":[1,2,2],"segments":[{{"gather":{gather}}}],"spans":[[0,1]]}}}}"#
        );
        let plan = read(&text).unwrap();
        assert!(
            cpu::apply_u8(&plan, images, &mut [0; 4]).is_err(),
            "{gather}"
        );
    }
    let spans = read(r#"{"images":{"shape":[1,2,2],"segments":[],"spans":[[0,1]]}}"#).unwrap();
    assert!(cpu::apply_u8(&spans, images, &mut [0; 4]).is_err());
}
