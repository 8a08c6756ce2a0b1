//! Augmentation throughput, drawing included: images a second, on one thread and on all.
//!
//! `cargo bench --bench augment`
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kd::augment::{Affine, Cutout, Images, cpu};
use kd::prelude::*;

fn augment(criterion: &mut Criterion) {
    let batch = kd_benches::batch();
    let images = Images::new(&batch.images, batch.shape).unwrap();
    let affine = Affine::normalize(&[0.5; 3], &[0.25; 3]).unwrap();
    let mut out = vec![0.0; batch.images.len()];
    let standard = || Augmentation::crop_flip(4);
    let schemes = [
        ("normalise", Augmentation::identity()),
        ("crop+flip", standard()),
        ("crop+flip+cutout", standard().with_op(Cutout::new(16))),
        ("crop+flip, mixup", standard().with_mix(Mixup::default())),
        ("crop+flip, CutMix", standard().with_mix(CutMix::default())),
    ];
    for threads in [1, 0] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let name = match threads {
            1 => "32 px, one thread",
            _ => "32 px, all threads",
        };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(batch.len() as u64));
        for (name, scheme) in &schemes {
            let augmenter = scheme.build().unwrap();
            let mut index = 0;
            group.bench_function(*name, |bencher| {
                // Inside the pool: waking its threads is not what is measured.
                pool.install(|| {
                    bencher.iter(|| {
                        index += 1;
                        let key = DrawKey::new(0).epoch(index);
                        let shape = images.image_shape();
                        let plan = augmenter.sample(&key, &batch.ids, index, shape).unwrap();
                        cpu::apply(&plan, images, &mut out, &affine).unwrap();
                    });
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, augment);
criterion_main!(benches);
