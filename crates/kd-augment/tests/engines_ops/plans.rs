//! Plans by hand, and what images come in.

use burn::tensor::{DType, Device};
use kd_augment::plan::{
    Adaptive, Blur, Border, Enhance, Erase, Fill, Gather, Hue, Noise, PointOp, Resize, Segment,
    Shift, Warp,
};
use kd_augment::{
    Affine, Augmentation, Color, ImagePlan, Interpolation, PadCrop, PixelBox, Plan, Sharpness,
    tensor,
};

use super::operations::GREY;
use super::{SHAPES, distance, host, images, pixels, plan};

/// One image for each list.
fn plan_of(shape: [usize; 4], lists: &[Vec<Segment>]) -> Plan {
    let [_, c, h, w] = shape;
    let mut images = ImagePlan::new([c, h, w]).unwrap();
    for list in lists {
        images.add_image();
        list.iter().for_each(|segment| images.push(*segment));
    }
    Plan { images, mix: None }
}

/// Parameters that no operation draws but a plan may hold.
#[test]
fn extreme_parameters() {
    let shape = [1, 3, 7, 6];
    let area = PixelBox {
        x0: 5,
        y0: 2,
        x1: 6,
        y1: 3,
    };
    let key = [1, 2, 3, 4];
    let warp = |matrix| {
        Segment::Warp(Warp {
            matrix,
            interpolation: Interpolation::Nearest,
            fill: GREY,
        })
    };
    for segment in [
        Segment::Color(Enhance { factor: f32::MAX }),
        Segment::Color(Enhance { factor: 1e-30 }),
        Segment::Sharpness(Enhance { factor: f32::MAX }),
        Segment::Point(PointOp::Brightness(f32::MAX)),
        Segment::Adapt(Adaptive::Contrast(f32::MAX)),
        Segment::Noise(Noise {
            mean: 3.0,
            sigma: f32::MAX,
            key,
        }),
        Segment::Noise(Noise {
            mean: -f32::MAX,
            sigma: f32::MAX,
            key,
        }),
        Segment::Resize(Resize {
            area,
            interpolation: Interpolation::Bilinear,
        }),
        Segment::Resize(Resize {
            area,
            interpolation: Interpolation::Nearest,
        }),
        Segment::Shift(Shift {
            dx: -5,
            dy: 6,
            border: Border::Reflect,
        }),
        Segment::Shift(Shift {
            dx: 5,
            dy: -6,
            border: Border::Replicate,
        }),
        Segment::Gather(Gather::shifted(100, 0, 7, 6)),
        warp([1e9, -1e9, 1e9, 1e9, 1e9, -1e9]),
        warp([0.0; 6]),
    ] {
        let distance = distance(&plan_of(shape, &[vec![segment]]), shape, 5);
        assert_eq!(distance, 0.0, "{segment:?}");
    }
    for segment in [
        Segment::Blur(Blur {
            radius: 5,
            sigma: 1e-20,
        }),
        Segment::Blur(Blur {
            radius: 5,
            sigma: f32::MAX,
        }),
        Segment::Warp(Warp {
            matrix: [1e-9, 0.0, 6.0 - 1e-9, 0.0, 1e-9, 0.0],
            interpolation: Interpolation::Bilinear,
            fill: GREY,
        }),
    ] {
        let distance = distance(&plan_of(shape, &[vec![segment]]), shape, 5);
        assert!(distance <= 1.001, "{segment:?}: {distance}");
    }
}

/// Lists of which none resembles another, several colours in a row among them.
#[test]
fn lists_without_a_common_order() {
    let shape = [4, 3, 7, 6];
    let area = PixelBox {
        x0: 1,
        y0: 2,
        x1: 4,
        y1: 5,
    };
    let erase = |level| {
        Segment::Erase(Erase {
            area,
            fill: Fill::Level(level),
        })
    };
    let color = Segment::Color(Enhance { factor: 1.7 });
    let sharpness = Segment::Sharpness(Enhance { factor: 0.3 });
    let equalize = Segment::Adapt(Adaptive::Equalize);
    let contrast = Segment::Adapt(Adaptive::Contrast(1.4));
    let invert = Segment::Point(PointOp::Invert);
    let hue = Segment::Hue(Hue { turn: 50 });
    let flip = Segment::Gather(Gather::mirrored(7, 6));
    let plan = plan_of(
        shape,
        &[
            vec![
                color,
                sharpness,
                equalize,
                invert,
                equalize,
                erase(3),
                flip,
                erase(200),
            ],
            vec![
                erase(9),
                equalize,
                sharpness,
                color,
                hue,
                Segment::Grayscale,
            ],
            vec![],
            vec![
                invert,
                contrast,
                hue,
                flip,
                erase(1),
                erase(2),
                hue,
                contrast,
                color,
            ],
        ],
    );
    assert_eq!(distance(&plan, shape, 8), 0.0);
}

/// Levels are treated in single precision, whatever the images come in, and no gradient passes.
#[test]
fn precision_and_gradient() {
    let shape = SHAPES[0];
    let pixels = pixels(shape, 3);
    let augmentation = Augmentation::identity()
        .with_op(Color::new(0.5))
        .with_op(Sharpness {
            p: 0.5,
            ..Sharpness::new(2.0)
        })
        .with_op(PadCrop::new(1));
    let plan = plan(&augmentation, shape, 1).unwrap();
    let expected = host(&plan, shape, &pixels);
    let double = images(shape, &pixels, &Device::flex(), DType::F64);
    let found = tensor::apply(&plan, double, &Affine::unit()).unwrap();
    assert_eq!(found.dtype(), DType::F64);
    assert_eq!(
        found.into_data().try_into_vec_as::<f32>().unwrap(),
        expected
    );

    let device = Device::flex().autodiff();
    let leaf = images(shape, &pixels, &device, DType::F32).require_grad();
    for tracked in [leaf.clone(), leaf.clone() * 1.0] {
        let found = tensor::apply(&plan, tracked.clone(), &Affine::unit()).unwrap();
        assert!(!found.is_tracked());
        assert_eq!(
            found.clone().into_data().try_into_vec::<f32>().unwrap(),
            expected
        );
        let gradients = (found + tracked).sum().backward();
        let gradient = leaf.grad(&gradients).unwrap().into_data();
        assert!(
            gradient
                .try_into_vec::<f32>()
                .unwrap()
                .iter()
                .all(|slope| *slope == 1.0)
        );
    }
}
