//! Augmentation throughput, drawing included: images and bytes a second of every operation, policy, mix and chain, at 32, 64 and
//! 224 pixels, on one thread and on all.
//!
//! `cargo bench --bench augment` runs everything (about half an hour); a filter picks, for example `cargo bench --bench augment --
//! "32 px, one thread"`.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kd::augment::{
    Affine, AutoAugment, AutoAugmentPolicy, AutoContrast, Brightness, Color, ColorJitter, Contrast,
    Cutout, Equalize, FMix, GaussianBlur, GaussianNoise, Grayscale, HorizontalFlip, Hue, ImageOp,
    Images, Interpolation, Invert, PadCrop, Padding, Plan, Posterize, Preset, RandAugment,
    ResizeCrop, Rotate, Sharpness, ShearX, ShearY, Solarize, TranslateX, TranslateY,
    TrivialAugmentWide, VerticalFlip, cpu,
};
use kd::prelude::*;

/// Images in a batch.
const BATCH: usize = 64;

/// Bytes of a pixel: one is read, and one, or a float of four, is written.
const LEVELS: usize = 1 + 1;
const FLOATS: usize = 1 + 4;

fn bilinear(rotate: Rotate) -> Rotate {
    Rotate {
        interpolation: Interpolation::Bilinear,
        ..rotate
    }
}

/// Every operation by itself, always applied, with parameters that are drawn for each image.
fn operations(side: usize) -> Vec<(&'static str, ImageOp)> {
    let preset = Preset::of(side, 10);
    let factor = 0.1..=1.9;
    vec![
        ("horizontal_flip", HorizontalFlip { p: 1.0 }.into()),
        ("vertical_flip", VerticalFlip { p: 1.0 }.into()),
        ("pad_crop", PadCrop::new(preset.pad()).into()),
        (
            "pad_crop reflect",
            PadCrop::new(preset.pad())
                .with_padding(Padding::Reflect)
                .into(),
        ),
        ("resize_crop", ResizeCrop::default().into()),
        ("rotate", Rotate::new(-30.0..=30.0).into()),
        (
            "rotate bilinear",
            bilinear(Rotate::new(-30.0..=30.0)).into(),
        ),
        ("shear_x", ShearX::new(-0.3..=0.3).into()),
        ("shear_y", ShearY::new(-0.3..=0.3).into()),
        ("translate_x", TranslateX::fraction(-0.3..=0.3).into()),
        ("translate_y", TranslateY::fraction(-0.3..=0.3).into()),
        ("brightness", Brightness::new(factor.clone()).into()),
        ("color", Color::new(factor.clone()).into()),
        ("contrast", Contrast::new(factor.clone()).into()),
        ("sharpness", Sharpness::new(factor).into()),
        ("posterize", Posterize::new(4).into()),
        ("solarize", Solarize::new(0.0..=256.0).into()),
        ("auto_contrast", AutoContrast::default().into()),
        ("equalize", Equalize::default().into()),
        ("invert", Invert::default().into()),
        ("hue", Hue::new(-0.5..=0.5).into()),
        ("color_jitter", ColorJitter::new(0.4, 0.4, 0.4, 0.1).into()),
        ("grayscale", Grayscale::default().into()),
        ("gaussian_noise", GaussianNoise::new(0.02..=0.1).into()),
        (
            "gaussian_blur",
            GaussianBlur::new((side / 20 * 2 + 1).max(3)).into(),
        ),
        ("cutout", Cutout::new(preset.cutout_length()).into()),
        ("cutout, 16 holes", Cutout::sixteen_holes(side / 8).into()),
        (
            "auto_augment cifar10",
            AutoAugment::new(AutoAugmentPolicy::Cifar10).into(),
        ),
        (
            "auto_augment imagenet",
            AutoAugment::new(AutoAugmentPolicy::ImageNet).into(),
        ),
        (
            "auto_augment svhn",
            AutoAugment::new(AutoAugmentPolicy::Svhn).into(),
        ),
        ("rand_augment 2, 9", RandAugment::default().into()),
        ("trivial_augment_wide", TrivialAugmentWide::default().into()),
    ]
}

/// Chains and mixes, which end in normalised floats.
fn chains(side: usize) -> Vec<(&'static str, Augmentation)> {
    let preset = Preset::of(side, 10);
    let standard = || Augmentation::crop_flip(preset.pad());
    let cutout = Cutout::new(preset.cutout_length());
    vec![
        ("normalise", Augmentation::identity()),
        ("crop+flip", standard()),
        ("crop+flip+cutout", standard().with_op(cutout)),
        (
            "crop+flip+rand_augment",
            standard().with_op(RandAugment::default()),
        ),
        ("crop+flip, mixup", standard().with_mix(Mixup::default())),
        ("crop+flip, cutmix", standard().with_mix(CutMix::default())),
        ("crop+flip, fmix", standard().with_mix(FMix::default())),
    ]
}

fn augment(criterion: &mut Criterion) {
    for side in [32, 64, 224] {
        let shape = [BATCH, 3, side, side];
        let pixels = kd_benches::pixels(shape);
        let images = Images::new(&pixels, shape).unwrap();
        let ids: Vec<u64> = (0..BATCH as u64).collect();
        let affine = Affine::normalize(&[0.5; 3], &[0.25; 3]).unwrap();
        let mut floats = vec![0.0; pixels.len()];
        let mut levels = vec![0; pixels.len()];
        for threads in [1, 0] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let words = if threads == 1 {
                "one thread"
            } else {
                "all threads"
            };
            let mut plan = Plan::default();
            let mut index = 0;
            let operations = operations(side)
                .into_iter()
                .map(|(name, op)| (name, Augmentation::identity().with_op(op), LEVELS));
            let chains = chains(side)
                .into_iter()
                .map(|(name, augmentation)| (name, augmentation, FLOATS));
            for (name, augmentation, bytes) in operations.chain(chains) {
                let augmenter = augmentation.build().unwrap();
                let kind = if bytes == LEVELS {
                    "operations"
                } else {
                    "chains"
                };
                let mut group = criterion.benchmark_group(format!("{kind}, {side} px, {words}"));
                group.throughput(Throughput::ElementsAndBytes {
                    elements: BATCH as u64,
                    bytes: (bytes * pixels.len()) as u64,
                });
                group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                    // Inside the pool: waking its threads is not what is measured.
                    pool.install(|| {
                        bencher.iter(|| {
                            index += 1;
                            let key = DrawKey::new(0).epoch(index);
                            let shape = images.image_shape();
                            augmenter
                                .sample_into(&key, &ids, index, shape, &mut plan)
                                .unwrap();
                            match bytes {
                                LEVELS => cpu::apply_u8(&plan, images, &mut levels).unwrap(),
                                _ => cpu::apply(&plan, images, &mut floats, &affine).unwrap(),
                            }
                        });
                    });
                });
                group.finish();
            }
        }
    }
}

criterion_group!(benches, augment);
criterion_main!(benches);
