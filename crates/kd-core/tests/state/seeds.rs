use burn::tensor::{Device, Distribution, Tensor};
use kd_core::*;

use crate::{CLASSES, SAMPLES, device, numbers};

/// All modules of a seed, as numbers.
fn drawn(seed: u64, device: &Device) -> Vec<Vec<(String, Vec<f32>)>> {
    let gaussian = CcKernel::Gaussian {
        gamma: 0.4,
        order: 2,
    };
    vec![
        numbers(
            &CrdLossConfig::new(5, 6, SAMPLES)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &FitNetLossConfig::new([3, 4, 4], [5, 2, 2])
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &FitNetLossConfig::new([3, 4, 4], [5, 8, 8])
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &VidLossConfig::new(3, 5)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &TranslatorConfig::new(3, 4)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &ParaphraserConfig::new(4)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &CcLossConfig::new(5, 6)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(
            &CcLossConfig::new(5, 6)
                .with_kernel(gaussian)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
        numbers(&OneConfig::new(5, 2).with_seed(seed).init(device).unwrap()),
        numbers(&OkddipConfig::new(5).with_seed(seed).init(device).unwrap()),
        numbers(
            &PeerTeacherConfig::new(vec![5, 4], CLASSES)
                .with_seed(seed)
                .init(device)
                .unwrap(),
        ),
    ]
}

#[test]
fn a_seed_is_the_same_numbers_whatever_came_before_and_on_any_thread_and_device() {
    let expected = drawn(7, &device());
    // Burn's own generator, which the whole process shares, moves on.
    let _ = Tensor::<1>::random([100], Distribution::Default, &device()).into_data();
    let other = drawn(8, &device());
    assert!(expected.iter().zip(&other).all(|(a, b)| a != b));
    assert_eq!(drawn(7, &Device::flex()), expected);
    let threads: Vec<_> = (0..3)
        .map(|_| std::thread::spawn(|| drawn(7, &device())))
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), expected);
    }
}
