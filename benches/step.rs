//! A training step of the reference pair in small: ResNet-20 teaches ResNet-8, 64 images.
//!
//! `cargo bench --bench step`
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use kd::prelude::*;

fn step(criterion: &mut Criterion) {
    let device = default_device().unwrap();
    let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
    let teacher = Architecture::ResNet20
        .init(&ModelConfig::new(spec.clone()), &device)
        .unwrap();
    let set = Shapes::render(0, Split::Train, 64);
    let mut group = criterion.benchmark_group("64 images, 32 px");
    group.sample_size(10);
    for name in ["ce", "kd", "tlcutmix", "tlcutmix_pick"] {
        let recipe = Recipe::named(name)
            .unwrap()
            .with_overrides(["epochs=1"])
            .unwrap();
        let distiller = Distiller::new(recipe).unwrap().with_teacher(&teacher);
        let student = || {
            Architecture::ResNet8
                .init(&ModelConfig::new(spec.clone()), &device)
                .unwrap()
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                student,
                |student| distiller.run(student, &set).unwrap().seconds,
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
