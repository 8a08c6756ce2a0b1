//! What a loader promises: one order, whatever the workers, and every image once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::data::dataloader::split::split_dataloader;
use burn::tensor::Device;
use kd_data::{Batch, ImageSet, LoaderConfig};
use proptest::prelude::*;
use serde::Deserialize;

/// Images of 1×1×3 that carry their own number.
fn numbered(len: usize) -> ImageSet {
    let pixels = (0..len)
        .flat_map(|i| [i as u8, (i >> 8) as u8, 7])
        .collect();
    let labels = (0..len).map(|i| (i % 2) as u16).collect();
    let names = vec!["even".to_string(), "odd".to_string()];
    let soft = (0..len)
        .flat_map(|i| [1.0 - (i % 2) as f32, (i % 2) as f32])
        .collect();
    let set = ImageSet::new(pixels, [3, 1, 1], labels, names).unwrap();
    set.with_soft_labels(soft).unwrap()
}

/// Every part of a batch belongs to the images that its ids name.
fn check_content(batch: &Batch) {
    assert_eq!(batch.shape, [batch.len(), 3, 1, 1]);
    assert_eq!(batch.images.len(), 3 * batch.len());
    let soft = batch.soft_labels.as_ref().unwrap();
    for (place, &id) in batch.ids.iter().enumerate() {
        assert_eq!(
            batch.images[3 * place..3 * place + 3],
            [id as u8, (id >> 8) as u8, 7]
        );
        assert_eq!(u64::from(batch.labels[place]), id % 2);
        assert_eq!(soft[2 * place + usize::from(batch.labels[place])], 1.0);
    }
}

fn ids(batches: impl IntoIterator<Item = Batch>) -> Vec<u64> {
    batches.into_iter().flat_map(|batch| batch.ids).collect()
}

#[derive(Deserialize)]
struct Golden {
    length: usize,
    seed: u64,
    epoch: u64,
    order: Vec<usize>,
}

#[test]
fn orders_agree_with_another_implementation() {
    let golden: Vec<Golden> = serde_json::from_str(include_str!("fixtures/order.json")).unwrap();
    assert_eq!(golden.len(), 5);
    for case in golden {
        let config = LoaderConfig::new(4).with_seed(case.seed);
        let loader = config.init(numbered(case.length)).unwrap();
        assert_eq!(loader.order(case.epoch), case.order);
        let given: Vec<usize> = ids(loader.epoch(case.epoch))
            .into_iter()
            .map(|id| id as usize)
            .collect();
        assert_eq!(given, case.order);
    }
}

#[test]
fn without_shuffling_the_order_is_that_of_the_set() {
    let loader = LoaderConfig::new(3)
        .with_shuffle(false)
        .init(numbered(8))
        .unwrap();
    assert_eq!(ids(loader.epoch(5)), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn empty_sets_and_batches() {
    let loader = LoaderConfig::new(3)
        .with_workers(2)
        .init(numbered(0))
        .unwrap();
    assert_eq!((loader.batches(), loader.epoch(0).count()), (0, 0));
    let error = LoaderConfig::new(0).init(numbered(3)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch_size: expected at least 1, found 0"
    );
    let large = LoaderConfig::new(usize::MAX).init(numbered(3)).unwrap();
    assert_eq!(large.epoch(0).count(), 1);
    assert_eq!(large.epoch_from(0, usize::MAX).count(), 0);
}

#[test]
fn the_adapter_goes_on_by_an_epoch_each_time() {
    let loader = LoaderConfig::new(4)
        .with_seed(9)
        .init(numbered(10))
        .unwrap();
    let adapter = loader.clone().into_data_loader(3);
    for epoch in 3..6 {
        let mut iterator = adapter.iter();
        let first = iterator.next().unwrap().unwrap();
        let progress = iterator.progress();
        assert_eq!((progress.items_processed, progress.items_total), (4, 10));
        let rest = iterator.map(Result::unwrap);
        assert_eq!(
            ids([first].into_iter().chain(rest)),
            ids(loader.epoch(epoch))
        );
    }
    // A copy for a device goes on from here, by itself.
    let copy = adapter.to_device(&Device::flex());
    for _ in 0..2 {
        let epoch = copy.iter().next().unwrap().unwrap().epoch;
        assert!((6..8).contains(&epoch));
    }
    assert_eq!(adapter.iter().next().unwrap().unwrap().epoch, 6);
}

#[test]
fn slices_share_an_epoch_out() {
    let loader = LoaderConfig::new(4)
        .with_seed(9)
        .with_workers(2)
        .init(numbered(23))
        .unwrap();
    let devices = [Device::flex(), Device::flex(), Device::flex()];
    let adapter: Arc<dyn DataLoader<Batch>> = Arc::new(loader.clone().into_data_loader(0));
    let slices = split_dataloader(adapter, &devices);
    assert_eq!(
        slices.iter().map(|slice| slice.num_items()).sum::<usize>(),
        23
    );
    for epoch in 0..2 {
        let batches = slices
            .iter()
            .flat_map(|slice| slice.iter().map(Result::unwrap));
        assert_eq!(ids(batches), ids(loader.epoch(epoch)));
    }
    let nested = slices[1].slice(2, 5);
    let expected: Vec<u64> = loader.order(2)[9..12].iter().map(|&id| id as u64).collect();
    assert_eq!(ids(nested.iter().map(Result::unwrap)), expected);
    assert_eq!(slices[2].slice(7, 99).num_items(), 2);
}

#[test]
fn num_items_is_what_is_given() {
    for (drop_last, items) in [(false, 23), (true, 20)] {
        let config = LoaderConfig::new(4).with_drop_last(drop_last);
        let adapter = config.init(numbered(23)).unwrap().into_data_loader(0);
        assert_eq!(adapter.num_items(), items);
        assert_eq!(ids(adapter.iter().map(Result::unwrap)).len(), items);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_are_the_same_for_any_number_of_workers(
        len in 0_usize..300,
        batch_size in 1_usize..40,
        seed: u64,
        epoch: u64,
        first in 0_usize..12,
        drop_last: bool,
        shuffle: bool,
        prefetch in 0_usize..4,
    ) {
        let set = numbered(len);
        let with = |workers| {
            let config = LoaderConfig { batch_size, shuffle, seed, workers, drop_last, prefetch };
            config.init(set.clone()).unwrap()
        };
        let expected: Vec<Batch> = with(0).epoch(epoch).collect();
        expected.iter().for_each(check_content);
        for (place, batch) in expected.iter().enumerate() {
            prop_assert_eq!((batch.epoch, batch.index), (epoch, place));
            let full = batch.len() == batch_size;
            prop_assert!(full || (!drop_last && place + 1 == expected.len() && !batch.is_empty()));
        }
        let mut seen = ids(expected.clone());
        prop_assert_eq!(seen.len(), if drop_last { len - len % batch_size } else { len });
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), ids(expected.clone()).len());
        for workers in [0, 1, 2, 4] {
            let loader = with(workers);
            prop_assert_eq!(loader.batches(), expected.len());
            prop_assert_eq!(loader.epoch(epoch).len(), expected.len());
            prop_assert_eq!(&loader.epoch(epoch).collect::<Vec<_>>(), &expected);
            let rest: Vec<Batch> = loader.epoch_from(epoch, first).collect();
            prop_assert_eq!(&rest[..], &expected[first.min(expected.len())..]);
        }
    }
}
