//! Every loss, forward and backward, beside the training step of the student that it teaches.
//!
//! `cargo bench --bench losses`; `cargo bench --bench losses -- 64/crd` for one.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use kd::prelude::*;
use kd_benches::{losses, train};

fn bench(criterion: &mut Criterion) {
    let device = default_device().unwrap();
    for batch in [64, 256] {
        let mut group = criterion.benchmark_group(batch.to_string());
        group.sample_size(10);
        group.bench_function("resnet20 step", |bencher| {
            let mut step = train::step("resnet20", batch, 32, 100, &device).unwrap();
            bencher.iter(&mut step);
        });
        for name in losses::names() {
            group.bench_function(name, |bencher| {
                let mut pass = losses::pass(name, batch, &device).unwrap().unwrap();
                bencher.iter(&mut pass);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
