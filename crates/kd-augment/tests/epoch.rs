//! A whole epoch in one call is its batches.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use kd_augment::{
    Affine, Augmentation, CutMix, DrawKey, FMix, Images, Mix, Mixup, ParamSharing, cpu,
};

const SHAPE: [usize; 4] = [37, 3, 8, 8];

fn pixels() -> Vec<u8> {
    (0..SHAPE.iter().product())
        .map(|k: usize| (k * 151 % 251) as u8)
        .collect()
}

fn augmentations() -> Vec<Augmentation> {
    let ops = common::drawn(true).into_iter().take(12);
    let ops = ops.fold(Augmentation::crop_flip(2), Augmentation::with_op);
    let mixes: [Option<Mix>; 4] = [
        None,
        Some(Mixup::default().into()),
        Some(CutMix::default().into()),
        Some(FMix::default().into()),
    ];
    let mut all = Vec::new();
    for mix in mixes {
        for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
            let mut augmentation = ops.clone().with_sharing(sharing);
            augmentation.mix = mix;
            all.push(augmentation);
        }
    }
    all
}

#[test]
fn an_epoch_is_its_batches() {
    let pixels = pixels();
    let set = Images::new(&pixels, SHAPE).unwrap();
    // Another order, with one image twice.
    let mut order: Vec<u64> = (0..37).map(|i| i * 10 % 37).collect();
    order.push(5);
    let affine = Affine::normalize(&[0.4; 3], &[0.25; 3]).unwrap();
    let size = 3 * 8 * 8;
    let mut whole = vec![f32::NAN; order.len() * size];
    for augmentation in augmentations() {
        let augmenter = augmentation.build().unwrap();
        for (epoch, batch_size) in [(0, 8), (1, 5), (2, 100), (3, 1)] {
            let key = DrawKey::new(7).epoch(epoch);
            let batches = cpu::Epoch {
                order: &order,
                batch_size,
            };
            let mut expected = Vec::new();
            for (index, ids) in order.chunks(batch_size).enumerate() {
                let batch: Vec<u8> = ids
                    .iter()
                    .flat_map(|id| set.image(*id as usize).to_vec())
                    .collect();
                let images = Images::new(&batch, [ids.len(), 3, 8, 8]).unwrap();
                let plan = augmenter
                    .sample(&key, ids, index as u64, [3, 8, 8])
                    .unwrap();
                let mut out = vec![0.0; batch.len()];
                cpu::apply(&plan, images, &mut out, &affine).unwrap();
                expected.extend(out);
            }
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let run = || cpu::epoch(&augmenter, &key, set, batches, &affine, &mut whole);
                pool.unwrap().install(run).unwrap();
                assert_eq!(whole, expected, "{batch_size} {threads}");
            }
        }
    }
}

#[test]
fn impossible_epochs_are_refused() {
    let pixels = pixels();
    let set = Images::new(&pixels, SHAPE).unwrap();
    let augmenter = Augmentation::flip().build().unwrap();
    let mut out = vec![0.0; 2 * 3 * 64];
    let mut run = |order: &[u64], batch_size: usize, length: usize| {
        let batches = cpu::Epoch { order, batch_size };
        let out = &mut out[..length];
        cpu::epoch(
            &augmenter,
            &DrawKey::new(0),
            set,
            batches,
            &Affine::unit(),
            out,
        )
    };
    assert!(run(&[1, 2], 2, 384).is_ok());
    assert!(run(&[1, 2], usize::MAX, 384).is_ok());
    assert!(run(&[], 2, 0).is_ok());
    assert!(run(&[1, 2], 0, 384).is_err());
    assert!(run(&[1, 2], 2, 383).is_err());
    assert_eq!(
        run(&[1, 37], 2, 384).unwrap_err().to_string(),
        "an id of epoch.order is 37, but must be below the number of images"
    );
}
