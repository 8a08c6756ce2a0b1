//! Prints images a second on one thread; measures nothing that could fail. Run with
//! `cargo test --release --workspace --test throughput -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use kd_augment::{Affine, Augmentation, Cutout, DrawKey, Images, cpu};

const BATCH: usize = 512;

/// Median seconds of a call.
fn median(mut call: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[7]
}

#[test]
#[ignore = "a measurement, not a test"]
fn images_a_second() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
        for side in [32, 224] {
            let n = if side == 32 { BATCH } else { 64 };
            let shape = [n, 3, side, side];
            let pixels: Vec<u8> = (0..shape.iter().product()).map(|k: usize| (k * 151 % 251) as u8).collect();
            let images = Images::new(&pixels, shape).unwrap();
            let ids: Vec<u64> = (0..n as u64).collect();
            let normalise =
                Affine::normalize(&[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]).unwrap();
            let mut out = vec![0.0; pixels.len()];
            let cut = Augmentation::crop_flip(side / 8).with_op(Cutout::new(side / 2));
            for (name, augmentation) in [
                ("crop+flip+cutout+normalise", cut.clone()),
                ("crop+flip+cutout+CutMix+normalise", cut.clone().with_mix(kd_augment::CutMix::default())),
                ("crop+flip+cutout+mixup+normalise", cut.with_mix(kd_augment::Mixup::default())),
                ("identity+normalise", Augmentation::identity()),
            ] {
                let augmenter = augmentation.build().unwrap();
                let sample = || augmenter.sample(&DrawKey::new(1), &ids, 0, images.image_shape()).unwrap();
                let plan = sample();
                let draw = median(|| drop(black_box(sample())));
                let apply = median(|| {
                    cpu::apply(&plan, images, &mut out, &normalise).unwrap();
                    black_box(&out);
                });
                let rate = |seconds: f64| n as f64 / seconds / 1000.0;
                println!(
                    "{side:3} px {name:35} sample {:6.0} k/s, apply {:5.0} k/s, both {:5.0} k/s",
                    rate(draw),
                    rate(apply),
                    rate(draw + apply)
                );
            }
        }
    });
}
