//! Laws of the operations: chains, identities, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use kd_augment::plan::Segment;
use kd_augment::{
    Affine, AugmentError, Augmentation, ColorJitter, CutMix, DrawKey, FMix, ImageOp, Images, Mixup,
    PadCrop, Padding, Pairing, Plan, Rotate, ShearX, TranslateX, cpu,
};
use proptest::prelude::*;

fn augmentation(ops: &[ImageOp]) -> Augmentation {
    ops.iter()
        .cloned()
        .fold(Augmentation::identity(), Augmentation::with_op)
}

fn pixels(shape: [usize; 4], seed: usize) -> Vec<u8> {
    (0..shape.iter().product())
        .map(|k: usize| ((k * k + k * 151 + seed * 7919) % 251) as u8)
        .collect()
}

fn bytes(plan: &Plan, pixels: &[u8], shape: [usize; 4]) -> Vec<u8> {
    let mut out = vec![99; pixels.len()];
    cpu::apply_u8(plan, Images::new(pixels, shape).unwrap(), &mut out).unwrap();
    out
}

fn sample(ops: &[ImageOp], [n, c, h, w]: [usize; 4]) -> Plan {
    let ids: Vec<u64> = (0..n as u64).collect();
    augmentation(ops)
        .sample(&DrawKey::new(1), &ids, 0, [c, h, w])
        .unwrap()
}

/// Operations of a list, by number.
fn chosen(all: &[ImageOp], numbers: &[usize]) -> Vec<ImageOp> {
    numbers.iter().map(|k| all[k % all.len()].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// One plan of a chain gives what its operations give one after the other.
    #[test]
    fn a_chain_is_its_operations_in_turn(
        numbers in prop::collection::vec(any::<usize>(), 0..7),
        c in prop::sample::select(vec![1, 2, 3]), h in 1..12_usize, w in 1..40_usize,
    ) {
        let shape = [2, c, h, w];
        let ops = chosen(&common::constant(c != 2), &numbers);
        let mut stepwise = pixels(shape, 1);
        let whole = bytes(&sample(&ops, shape), &stepwise, shape);
        for op in ops {
            let single = sample(std::slice::from_ref(&op), shape);
            stepwise = bytes(&single, &stepwise, shape);
        }
        prop_assert_eq!(whole, stepwise);
    }

    /// Floats are the levels of the same plan, mapped.
    #[test]
    fn floats_are_levels(
        numbers in prop::collection::vec(any::<usize>(), 0..4), c in prop::sample::select(vec![1, 3]), h in 3..9_usize, w in 3..40_usize,
    ) {
        let shape = [3, c, h, w];
        let plan = sample(&chosen(&common::drawn(true), &numbers), shape);
        let pixels = pixels(shape, 2);
        let levels = bytes(&plan, &pixels, shape);
        let affine = Affine::normalize(&vec![0.4; c], &vec![0.25; c]).unwrap();
        for affine in [Affine::unit(), affine] {
            let mut direct = vec![0.0; pixels.len()];
            cpu::apply(&plan, Images::new(&pixels, shape).unwrap(), &mut direct, &affine).unwrap();
            let nothing = sample(&[], shape);
            let mut after = vec![0.0; pixels.len()];
            cpu::apply(&nothing, Images::new(&levels, shape).unwrap(), &mut after, &affine).unwrap();
            prop_assert_eq!(direct, after);
        }
    }
}

#[test]
fn every_operation_changes_something_and_keeps_the_shape() {
    let shape = [32, 3, 32, 32];
    let pixels = pixels(shape, 3);
    for op in common::drawn(true) {
        let out = bytes(&sample(std::slice::from_ref(&op), shape), &pixels, shape);
        assert_ne!(out, pixels, "{op:?}");
    }
}

#[test]
fn identity_magnitudes_change_nothing() {
    let ops: Vec<ImageOp> = [
        r#"{"op":"horizontal_flip","p":0}"#,
        r#"{"op":"pad_crop","pad":0}"#,
        r#"{"op":"pad_crop","pad":0,"padding":"reflect"}"#,
        r#"{"op":"resize_crop","scale":1,"ratio":1}"#,
        r#"{"op":"rotate","degrees":0}"#,
        r#"{"op":"rotate","degrees":360,"interpolation":"bilinear"}"#,
        r#"{"op":"shear_x","slope":0}"#,
        r#"{"op":"shear_y","slope":0}"#,
        r#"{"op":"translate_x","pixels":0.9,"fill":9}"#,
        r#"{"op":"translate_y","fraction":0}"#,
        r#"{"op":"brightness","factor":1}"#,
        r#"{"op":"color","factor":1}"#,
        r#"{"op":"contrast","factor":1}"#,
        r#"{"op":"sharpness","factor":1}"#,
        r#"{"op":"posterize","bits":8}"#,
        r#"{"op":"solarize","threshold":256}"#,
        r#"{"op":"hue","shift":0}"#,
        r#"{"op":"color_jitter"}"#,
        r#"{"op":"gaussian_noise","sigma":0}"#,
        r#"{"op":"gaussian_blur","kernel":1}"#,
        r#"{"op":"rand_augment","m":0,"space":[{"op":"rotate","high":30},{"op":"identity"},{"op":"posterize","low":8,"high":4}]}"#,
        r#"{"op":"auto_augment","policy":{"sub_policies":[[{"op":"invert","p":0}]]}}"#,
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect();
    for op in ops {
        let plan = sample(std::slice::from_ref(&op), [4, 3, 8, 8]);
        assert!(plan.images.is_identity(), "{op:?}");
    }
}

#[test]
fn affine_maps_fuse_when_asked() {
    let chain = augmentation(&[
        Rotate::new(20.0).into(),
        ShearX::new(0.2).into(),
        TranslateX::pixels(2.0).into(),
    ]);
    let segments = |augmentation: &Augmentation| {
        let plan = augmentation.sample(&DrawKey::new(0), &[1], 0, [3, 32, 32]);
        plan.unwrap().images.image(0).to_vec()
    };
    assert_eq!(segments(&chain).len(), 3);
    let fused = segments(&chain.clone().with_fused_affine(true));
    let [Segment::Warp(warp)] = fused[..] else {
        panic!("{fused:?}")
    };
    // The centre's neighbourhood by hand: translate, then shear, then rotate, from the output back to the input.
    let through =
        |[a, b, c, d, e, f]: [f64; 6], (x, y): (f64, f64)| (a * x + b * y + c, d * x + e * y + f);
    let steps = segments(&chain);
    let (Segment::Warp(rotate), Segment::Warp(shear)) = (steps[0], steps[1]) else {
        panic!("{steps:?}")
    };
    let expected = through(rotate.matrix, through(shear.matrix, (10.0 - 2.0, 20.0)));
    let found = through(warp.matrix, (10.0, 20.0));
    assert!((expected.0 - found.0).abs() < 1e-9 && (expected.1 - found.1).abs() < 1e-9);
}

#[test]
fn impossible_configurations_are_refused_where_they_are_built() {
    let refusal = |text: &str| -> String {
        let op: ImageOp = serde_json::from_str(text).unwrap();
        augmentation(&[op]).build().unwrap_err().to_string()
    };
    for (text, complaint) in [
        (
            r#"{"op":"rotate","degrees":[-400,0]}"#,
            "rotate.degrees is -400, but must be between -360 and 360",
        ),
        (
            r#"{"op":"brightness","factor":[0.5,-1]}"#,
            "brightness.factor is -1, but must be between 0 and 100",
        ),
        (
            r#"{"op":"rand_augment","m":31}"#,
            "rand_augment.m is 31, but must be below rand_augment.bins",
        ),
        (
            r#"{"op":"gaussian_blur","kernel":4}"#,
            "gaussian_blur.kernel is 4, but must be odd and between 1 and 511",
        ),
        (
            r#"{"op":"posterize","bits":9}"#,
            "posterize.bits is 9, but must be between 0 and 8",
        ),
        (
            r#"{"op":"translate_x"}"#,
            "exactly one of translate_x.pixels and translate_x.fraction must be given, found 0",
        ),
        (
            r#"{"op":"cutout","length":8,"p":1.5}"#,
            "cutout.p is 1.5, but must be between 0 and 1",
        ),
    ] {
        assert_eq!(refusal(text), complaint);
    }
    let jitter = augmentation(&[ColorJitter::new(0.0, 0.0, 0.0, 0.7).into()]);
    assert!(jitter.build().is_err());
}

#[test]
fn images_that_do_not_suit_an_operation_are_refused() {
    let refusal = |op: ImageOp, shape: [usize; 3]| {
        let drawn = augmentation(&[op]).sample(&DrawKey::new(0), &[1], 0, shape);
        drawn.unwrap_err().to_string()
    };
    let reflect = PadCrop::new(4).with_padding(Padding::Reflect);
    assert_eq!(
        refusal(reflect.into(), [3, 4, 9]),
        "pad_crop needs images with sides above its pad where it reflects, found [3, 4, 9]"
    );
    let two_channels = [2, 8, 8];
    for (op, name) in common::drawn(true)
        .into_iter()
        .skip(common::drawn(false).len())
        .map(|op| (op.clone(), serde_json::to_value(&op).unwrap()["op"].clone()))
    {
        let message = refusal(op, two_channels);
        let name = name.as_str().unwrap();
        assert_eq!(
            message,
            format!("{name} needs images of 1 or 3 channels, found [2, 8, 8]")
        );
    }
}

#[test]
fn halves_need_an_even_batch() {
    let key = DrawKey::new(0);
    for mix in [
        kd_augment::Mix::from(Mixup {
            pairing: Pairing::Halves,
            ..Mixup::default()
        }),
        CutMix {
            pairing: Pairing::Halves,
            ..CutMix::default()
        }
        .into(),
        FMix {
            pairing: Pairing::Halves,
            ..FMix::default()
        }
        .into(),
    ] {
        let augmentation = Augmentation::identity().with_mix(mix);
        let even = augmentation
            .sample(&key, &[1, 2, 3, 4], 0, [3, 8, 8])
            .unwrap();
        assert_eq!(even.mix.unwrap().partner, [2, 3, 0, 1]);
        let odd = augmentation.sample(&key, &[1, 2, 3], 0, [3, 8, 8]);
        assert_eq!(
            odd,
            Err(AugmentError::OddBatch {
                pairing: "halves",
                found: 3
            })
        );
    }
}

/// A batch that no cache holds is written in another way, with the same floats.
#[test]
fn large_batches_are_small_ones() {
    let shape = [30, 3, 223, 211];
    let pixels = pixels(shape, 4);
    let affine = Affine::normalize(&[0.4, 0.5, 0.6], &[0.25; 3]).unwrap();
    let size = 3 * 223 * 211;
    for text in [
        r#"[{"op":"pad_crop","pad":28},{"op":"horizontal_flip"},{"op":"cutout","length":56}]"#,
        r#"[{"op":"invert"}]"#,
        "[]",
    ] {
        let ops: Vec<ImageOp> = serde_json::from_str(text).unwrap();
        let plan = sample(&ops, shape);
        let images = Images::new(&pixels, shape).unwrap();
        for affine in [&Affine::unit(), &affine] {
            // One float further, so that no row begins where a vector does.
            let mut out = vec![f32::NAN; pixels.len() + 1];
            assert!(size_of_val(&out[..]) > 16 << 20);
            cpu::apply(&plan, images, &mut out[1..], affine).unwrap();
            let levels = bytes(&plan, &pixels, shape);
            let nothing = sample(&[], [1, 3, 223, 211]);
            for (levels, out) in levels.chunks_exact(size).zip(out[1..].chunks_exact(size)) {
                let image = Images::new(levels, [1, 3, 223, 211]).unwrap();
                let mut expected = vec![0.0; size];
                cpu::apply(&nothing, image, &mut expected, affine).unwrap();
                assert!(out == expected, "{text}");
            }
        }
    }
}

#[test]
fn plans_of_every_operation_survive_serde() {
    for op in common::drawn(true)
        .into_iter()
        .chain(common::constant(true))
    {
        let text = serde_json::to_string(&op).unwrap();
        assert_eq!(serde_json::from_str::<ImageOp>(&text).unwrap(), op);
        let toml = toml::to_string(&augmentation(std::slice::from_ref(&op))).unwrap();
        let read: Augmentation = toml::from_str(&toml).unwrap();
        assert_eq!(read.ops, std::slice::from_ref(&op));
        let plan = sample(&[op], [16, 3, 9, 9]);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}

/// Plans that no draw produces are refused before a pixel is written.
#[test]
fn plans_from_elsewhere_are_looked_at() {
    let pixels = vec![7; 27];
    let images = Images::new(&pixels, [1, 3, 3, 3]).unwrap();
    for segment in [
        r#"{"shift":{"dx":3,"dy":0,"border":"reflect"}}"#,
        r#"{"shift":{"dx":-2147483648,"dy":0,"border":"replicate"}}"#,
        r#"{"warp":{"matrix":[1e300,0,0,0,1,0],"interpolation":"bilinear","fill":0}}"#,
        r#"{"resize":{"area":{"x0":1,"y0":1,"x1":1,"y1":2},"interpolation":"bilinear"}}"#,
        r#"{"resize":{"area":{"x0":0,"y0":0,"x1":4,"y1":2},"interpolation":"nearest"}}"#,
        r#"{"point":{"brightness":-1}}"#,
        r#"{"adapt":{"contrast":-0.5}}"#,
        r#"{"blur":{"radius":3,"sigma":1}}"#,
        r#"{"blur":{"radius":1,"sigma":0}}"#,
    ] {
        let text =
            format!(r#"{{"images":{{"shape":[3,3,3],"segments":[{segment}],"spans":[[0,1]]}}}}"#);
        let plan: Plan = serde_json::from_str(&text).unwrap();
        let mut out = [1; 27];
        let refused = cpu::apply_u8(&plan, images, &mut out);
        assert!(refused.is_err(), "{segment}");
        assert_eq!(out, [1; 27]);
    }
}

/// Maps that no bound holds any more stay one after the other: what is drawn can be applied.
#[test]
fn fused_maps_stay_within_bounds() {
    let ops: Vec<ImageOp> = serde_json::from_str(
        r#"[{"op":"shear_x","slope":100},{"op":"shear_y","slope":100},{"op":"translate_x","pixels":1000000},
            {"op":"shear_x","slope":100},{"op":"shear_y","slope":100},{"op":"shear_x","slope":100}]"#,
    )
    .unwrap();
    let plan = augmentation(&ops)
        .with_fused_affine(true)
        .sample(&DrawKey::new(0), &[1], 0, [1, 8, 8])
        .unwrap();
    assert!(plan.check([1, 1, 8, 8]).is_ok());
    assert!(plan.images.image(0).len() < 6);
}

/// The largest map on the widest image leaves it: no coordinate wraps round.
#[test]
fn far_away_is_outside() {
    let shape = [1, 1, 1, 200_000];
    let text = r#"{"images":{"shape":[1,1,200000],"spans":[[0,1]],"segments":[{"warp":
        {"matrix":[1e9,0,0,0,1,0],"interpolation":"nearest","fill":5}}]}}"#;
    let plan: Plan = serde_json::from_str(text).unwrap();
    assert_eq!(bytes(&plan, &vec![7; 200_000], shape), vec![5; 200_000]);
}

#[test]
fn impossible_sizes_are_refused() {
    let mixer = kd_augment::Mixer::new(CutMix::default().into(), Default::default()).unwrap();
    for size in [[0, 8], [8, 0], [usize::MAX, 2], [1 << 16, 1 << 16]] {
        assert!(mixer.sample(&DrawKey::new(0), &[1, 2], 0, size).is_err());
        let networks = kd_augment::CutNMix::default();
        let plans = networks.sample(2, Default::default(), &DrawKey::new(0), &[1, 2], 0, size);
        assert!(plans.is_err());
    }
}
