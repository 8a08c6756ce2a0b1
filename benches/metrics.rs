//! How many predictions a second go through the measures: `cargo bench --bench metrics`.
//!
//! `stream 1000000 1000` (a binary of this package) sends a whole test set through and says how much memory it took.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kd::burn::tensor::TensorData;
use kd::metrics::structure::Embeddings;
use kd::metrics::{EvaluationConfig, TemperatureScaling};
use kd::prelude::*;

const BATCH: usize = 1000;

/// Logits by formula, between −8 and 8.
fn logits(classes: usize) -> Tensor<2> {
    let value = |index: usize| ((index * 7919 + index * index % 1013) % 1024) as f32 / 64.0 - 8.0;
    let values: Vec<f32> = (0..BATCH * classes).map(value).collect();
    Tensor::from_data(TensorData::new(values, [BATCH, classes]), &Device::flex())
}

fn labels(classes: usize) -> Tensor<1, Int> {
    let values: Vec<i32> = (0..BATCH)
        .map(|index| (index * 13 % classes) as i32)
        .collect();
    Tensor::from_data(TensorData::new(values, [BATCH]), &Device::flex())
}

fn evaluation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluation");
    for classes in [10, 100, 1000] {
        let (logits, labels) = (logits(classes), labels(classes));
        let human = divergence::softmax(logits.clone().mul_scalar(0.5), 1.0);
        group.throughput(Throughput::Elements(BATCH as u64));
        for (name, human) in [("plain", None), ("human", Some(human))] {
            group.bench_with_input(BenchmarkId::new(name, classes), &human, |bencher, human| {
                bencher.iter(|| {
                    let mut evaluation = EvaluationConfig::new().init(classes).unwrap();
                    evaluation
                        .update(logits.clone(), labels.clone(), human.clone())
                        .unwrap();
                    evaluation.compute().unwrap()
                });
            });
        }
    }
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let (logits, labels) = (logits(100), labels(100));
    let mut scaling = TemperatureScaling::new(100).unwrap();
    scaling.update(logits.clone(), labels.clone()).unwrap();
    criterion.bench_function("temperature/100", |bencher| {
        bencher.iter(|| scaling.fit().unwrap());
    });
    let mut embeddings = Embeddings::new(100, BATCH).unwrap();
    embeddings.update(logits, labels).unwrap();
    criterion.bench_function("structure/100", |bencher| {
        bencher.iter(|| embeddings.structure().unwrap());
    });
    let sample = embeddings.sample(5);
    criterion.bench_function("tsne/500", |bencher| {
        bencher.iter(|| sample.tsne(&Default::default()).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = evaluation, others
}
criterion_main!(benches);
