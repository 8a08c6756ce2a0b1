//! In the steady state nothing is allocated: memory is taken once and kept.
#![allow(clippy::unwrap_used, missing_docs, unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use kd_augment::{Affine, Augmentation, CutMix, DrawKey, FMix, Images, Mix, Mixup, Plan, cpu};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of `batches` batches after as many to warm up.
fn allocations(augmentation: &Augmentation, mixed: bool) -> usize {
    let shape = [16, 3, 32, 32];
    let pixels: Vec<u8> = (0..shape.iter().product())
        .map(|k: usize| (k * 151 % 251) as u8)
        .collect();
    let images = Images::new(&pixels, shape).unwrap();
    let ids: Vec<u64> = (0..16).collect();
    let augmenter = augmentation.build().unwrap();
    let (mut floats, mut levels) = (vec![0.0; pixels.len()], vec![0; pixels.len()]);
    let mut plan = Plan::default();
    let mut batch = |epoch: u64| {
        let key = DrawKey::new(3).epoch(epoch);
        augmenter
            .sample_into(&key, &ids, 0, [3, 32, 32], &mut plan)
            .unwrap();
        cpu::apply(&plan, images, &mut floats, &Affine::unit()).unwrap();
        if !mixed {
            cpu::apply_u8(&plan, images, &mut levels).unwrap();
        }
    };
    // The same draws again, so that no list is longer than before.
    (0..40).for_each(&mut batch);
    let before = COUNT.load(Ordering::Relaxed);
    (0..40).for_each(&mut batch);
    COUNT.load(Ordering::Relaxed) - before
}

/// One test: a second one would allocate in between.
#[test]
fn a_steady_state_allocates_nothing() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    pool.install(|| {
        for op in common::drawn(true) {
            let augmentation = Augmentation::identity().with_op(op);
            assert_eq!(allocations(&augmentation, false), 0, "{augmentation:?}");
        }
        let chain = common::drawn(true)
            .into_iter()
            .fold(Augmentation::identity(), Augmentation::with_op);
        let mixes: [Option<Mix>; 4] = [
            None,
            Some(Mixup::default().into()),
            Some(CutMix::default().into()),
            Some(FMix::default().into()),
        ];
        for mix in mixes {
            let mut mixed = chain.clone();
            mixed.mix = mix;
            assert_eq!(allocations(&mixed, mix.is_some()), 0, "{mix:?}");
        }
    });
}
