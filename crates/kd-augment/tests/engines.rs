//! The engines agree on the same plan.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use burn::tensor::{Device, Tensor, TensorData};
use kd_augment::plan::Fill;
use kd_augment::{
    Affine, Augmentation, CutMix, Cutout, DrawKey, HorizontalFlip, Images, MixBox, Mixup, PadCrop,
    ParamSharing, Plan, cpu, tensor,
};

fn pixels(shape: [usize; 4]) -> Vec<u8> {
    (0..shape.iter().product())
        .map(|k: usize| ((k * 151 + 13) % 256) as u8)
        .collect()
}

/// Both engines' floats.
fn both(plan: &Plan, shape: [usize; 4], affine: &Affine) -> (Vec<f32>, Vec<f32>) {
    let pixels = pixels(shape);
    let mut host = vec![0.0; pixels.len()];
    cpu::apply(
        plan,
        Images::new(&pixels, shape).unwrap(),
        &mut host,
        affine,
    )
    .unwrap();
    let levels: Vec<f32> = pixels
        .iter()
        .map(|level| f32::from(*level) / 255.0)
        .collect();
    let images = Tensor::<4>::from_data(TensorData::new(levels, shape), &Device::flex());
    let device = tensor::apply(plan, images, affine).unwrap();
    assert_eq!(device.dims(), shape);
    (host, device.into_data().try_into_vec().unwrap())
}

fn plan(augmentation: &Augmentation, [n, c, h, w]: [usize; 4], batch: u64) -> Plan {
    let ids: Vec<u64> = (0..n as u64).collect();
    augmentation
        .sample(&DrawKey::new(11), &ids, batch, [c, h, w])
        .unwrap()
}

/// Two erasing steps around a movement, several holes, colours: what lists of every length and order look like.
fn busy() -> Augmentation {
    Augmentation::crop_flip(3)
        .with_op(Cutout {
            holes: 3,
            p: 0.7,
            ..Cutout::new(4)
        })
        .with_op(PadCrop {
            p: 0.5,
            ..PadCrop::new(2)
        })
        .with_op(Cutout {
            fill: Fill::Level(200),
            p: 0.5,
            ..Cutout::new(3)
        })
        .with_op(Cutout {
            fill: Fill::Level(3),
            p: 0.5,
            ..Cutout::new(3)
        })
        .with_op(HorizontalFlip { p: 0.5 })
}

const SHAPES: [[usize; 4]; 4] = [[16, 3, 8, 8], [5, 1, 5, 9], [3, 2, 1, 1], [0, 3, 4, 4]];

#[test]
fn image_operations_and_pasting_are_exact() {
    for shape in SHAPES {
        for augmentation in [
            busy(),
            busy().with_mix(CutMix::default()),
            busy().with_mix(CutMix {
                boxes: MixBox::Inside,
                p: 0.5,
                ..CutMix::default()
            }),
        ] {
            for sharing in [ParamSharing::PerSample, ParamSharing::Batch] {
                for batch in 0..8 {
                    let plan = plan(&augmentation.clone().with_sharing(sharing), shape, batch);
                    let (host, device) = both(&plan, shape, &Affine::unit());
                    assert_eq!(host, device, "{shape:?} {sharing:?} {batch}");
                }
            }
        }
    }
    let coloured = Augmentation::identity().with_op(Cutout {
        fill: Fill::Rgb([125, 123, 114]),
        ..Cutout::new(4)
    });
    let (host, device) = both(&plan(&coloured, SHAPES[0], 0), SHAPES[0], &Affine::unit());
    assert_eq!(host, device);
}

/// Three roundings of numbers up to 1 with fused multiplication or without: 1e-6 leaves room. A normalisation divides by
/// the std, here a quarter.
#[test]
fn weighted_sums_and_normalisation_agree() {
    for shape in SHAPES {
        let channels = shape[1];
        let normalised = Affine::normalize(&vec![0.45; channels], &vec![0.25; channels]).unwrap();
        for (affine, tolerance) in [(Affine::unit(), 1e-6), (normalised, 4e-6)] {
            let plan = plan(&busy().with_mix(Mixup::default()), shape, 1);
            let (host, device) = both(&plan, shape, &affine);
            for (host, device) in host.iter().zip(&device) {
                assert!((host - device).abs() < tolerance, "{host} {device}");
            }
        }
    }
}

#[test]
fn mixing_floats_agrees() {
    let shape = [6, 2, 5, 4];
    let base: Vec<f32> = (0..240).map(|k| (k as f32 * 0.37).sin() * 3.0).collect();
    for augmentation in [Augmentation::mixup(), Augmentation::cutmix()] {
        let mix = plan(&augmentation, shape, 0).mix.unwrap();
        let mut host = vec![0.0; base.len()];
        cpu::mix(&mix, &base, [2, 5, 4], &mut host).unwrap();
        let images = Tensor::<4>::from_data(TensorData::new(base.clone(), shape), &Device::flex());
        let device: Vec<f32> = tensor::mix(&mix, images)
            .unwrap()
            .into_data()
            .try_into_vec()
            .unwrap();
        for (host, device) in host.iter().zip(&device) {
            assert!((host - device).abs() < 2e-6, "{host} {device}");
        }
    }
}

/// A gradient reaches the pixels it came from: with movements only, each source pixel gets the number of places it is in.
#[test]
fn gradients_pass_through() {
    let shape = [4, 1, 4, 4];
    let plan = plan(&busy(), shape, 0);
    let device = Device::flex().autodiff();
    let images = Tensor::<4>::ones(shape, &device).require_grad();
    let out = tensor::apply(&plan, images.clone(), &Affine::unit()).unwrap();
    let gradients = out.sum().backward();
    let found: Vec<f32> = images
        .grad(&gradients)
        .unwrap()
        .into_data()
        .try_into_vec()
        .unwrap();
    // The same count from the other engine: mark each pixel by its own level and count the levels.
    let levels: Vec<u8> = (0..4).flat_map(|_| 220..236).collect();
    let mut out = vec![0; 64];
    cpu::apply_u8(&plan, Images::new(&levels, shape).unwrap(), &mut out).unwrap();
    let expected: Vec<f32> = (0..64)
        .map(|k| {
            out[k / 16 * 16..][..16]
                .iter()
                .filter(|level| **level == levels[k])
                .count() as f32
        })
        .collect();
    assert_eq!(found, expected);
    assert!(expected.contains(&0.0) && expected.contains(&1.0));
}

/// A tensor whose strides are not those of its shape, as a transposition leaves it, is as good as another.
#[test]
fn strides_do_not_matter() {
    let shape = [4, 3, 5, 7];
    let levels: Vec<f32> = pixels([4, 3, 7, 5])
        .into_iter()
        .map(|level| f32::from(level) / 255.0)
        .collect();
    let turned = Tensor::<4>::from_data(TensorData::new(levels, [4, 3, 7, 5]), &Device::flex())
        .swap_dims(2, 3);
    let straight = Tensor::<4>::from_data(turned.clone().into_data(), &Device::flex());
    for augmentation in [
        busy(),
        busy()
            .with_op(kd_augment::Rotate::new(40.0))
            .with_mix(CutMix::default()),
    ] {
        let plan = plan(&augmentation, shape, 3);
        let [turned, straight] = [&turned, &straight].map(|images| {
            let out = tensor::apply(&plan, images.clone(), &Affine::unit()).unwrap();
            out.into_data().try_into_vec::<f32>().unwrap()
        });
        assert_eq!(turned, straight);
    }
}

/// Pixels that are no levels, as those of an image that was normalised already, are clamped where levels are needed.
#[test]
fn pixels_beyond_the_range_are_clamped() {
    let shape = [1, 3, 4, 4];
    let wide: Vec<f32> = (0..48).map(|k| k as f32 / 12.0 - 1.5).collect();
    let clamped = wide
        .iter()
        .map(|pixel| pixel.clamp(0.0, 1.0))
        .collect::<Vec<_>>();
    let ops = Augmentation::identity()
        .with_op(kd_augment::Solarize::new(100.0))
        .with_op(kd_augment::Color::new(1.7))
        .with_op(kd_augment::Equalize::default());
    let plan = plan(&ops, shape, 0);
    let [wide, clamped] = [wide, clamped].map(|pixels| {
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &Device::flex());
        let out = tensor::apply(&plan, images, &Affine::unit()).unwrap();
        out.into_data().try_into_vec::<f32>().unwrap()
    });
    assert_eq!(wide, clamped);
}

#[test]
fn misfits_are_refused() {
    let images = Tensor::<4>::ones([2, 3, 4, 4], &Device::flex());
    let wider = plan(&Augmentation::cutmix(), [2, 3, 4, 5], 0);
    assert!(tensor::apply(&wider, images.clone(), &Affine::unit()).is_err());
    let more = plan(&Augmentation::cutmix(), [3, 3, 4, 4], 0).mix.unwrap();
    assert!(tensor::mix(&more, images).is_err());
}
