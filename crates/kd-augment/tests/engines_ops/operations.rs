//! Every operation that there is, with what it can be asked for.

use kd_augment::plan::Fill;
use kd_augment::{
    AutoAugment, AutoAugmentPolicy, AutoContrast, Brightness, Color, ColorJitter, Contrast, Cutout,
    Equalize, GaussianBlur, GaussianNoise, Grayscale, HorizontalFlip, Hue, ImageOp, Interpolation,
    Invert, PadCrop, Padding, Posterize, RandAugment, ResizeCrop, Rotate, Sharpness, ShearX,
    ShearY, Solarize, TranslateX, TranslateY, TrivialAugmentWide, VerticalFlip,
};

pub(crate) const GREY: Fill = Fill::Level(128);
pub(crate) const COLOURED: Fill = Fill::Rgb([125, 123, 114]);

/// Operations whose pixels are the same bits. Some of them skip images, so that lists differ.
pub(crate) fn exact() -> Vec<ImageOp> {
    vec![
        HorizontalFlip::default().into(),
        VerticalFlip::default().into(),
        PadCrop::new(2).into(),
        PadCrop::new(4).with_padding(Padding::Reflect).into(),
        PadCrop::new(3).with_padding(Padding::Replicate).into(),
        ResizeCrop {
            interpolation: Interpolation::Nearest,
            p: 0.8,
            ..ResizeCrop::default()
        }
        .into(),
        ResizeCrop {
            interpolation: Interpolation::Bilinear,
            p: 0.8,
            ..ResizeCrop::default()
        }
        .into(),
        Rotate {
            fill: GREY,
            p: 0.7,
            ..Rotate::new(-180.0..=180.0)
        }
        .into(),
        Rotate {
            fill: COLOURED,
            ..Rotate::new(-30.0..=30.0)
        }
        .into(),
        ShearX {
            fill: GREY,
            p: 0.7,
            ..ShearX::new(-0.5..=0.5)
        }
        .into(),
        ShearY {
            p: 0.7,
            ..ShearY::new(-0.5..=0.5)
        }
        .into(),
        TranslateX {
            fill: COLOURED,
            ..TranslateX::fraction(-0.5..=0.5)
        }
        .into(),
        TranslateY {
            fill: GREY,
            p: 0.6,
            ..TranslateY::pixels(-2.0..=2.0)
        }
        .into(),
        Brightness {
            p: 0.7,
            ..Brightness::new(0.0..=3.0)
        }
        .into(),
        Color {
            p: 0.7,
            ..Color::new(0.0..=3.0)
        }
        .into(),
        Contrast {
            p: 0.7,
            ..Contrast::new(0.0..=3.0)
        }
        .into(),
        Sharpness {
            p: 0.7,
            ..Sharpness::new(0.0..=3.0)
        }
        .into(),
        Posterize {
            p: 0.7,
            ..Posterize::new(3)
        }
        .into(),
        Solarize {
            p: 0.7,
            ..Solarize::new(0.0..=255.0)
        }
        .into(),
        AutoContrast { p: 0.7 }.into(),
        Equalize { p: 0.7 }.into(),
        Invert { p: 0.5 }.into(),
        Hue {
            p: 0.7,
            ..Hue::new(-0.5..=0.5)
        }
        .into(),
        ColorJitter::new(0.4, 0.4, 0.4, 0.1).into(),
        Grayscale { p: 0.5 }.into(),
        GaussianNoise {
            p: 0.7,
            ..GaussianNoise::new(0.0..=0.3)
        }
        .into(),
        Cutout {
            holes: 3,
            fill: GREY,
            p: 0.7,
            ..Cutout::new(3)
        }
        .into(),
        AutoAugment {
            fill: GREY,
            ..AutoAugment::new(AutoAugmentPolicy::Cifar10)
        }
        .into(),
        AutoAugment::new(AutoAugmentPolicy::ImageNet).into(),
        AutoAugment::new(AutoAugmentPolicy::Svhn).into(),
        RandAugment::new(3, 15).into(),
        TrivialAugmentWide {
            fill: GREY,
            ..TrivialAugmentWide::default()
        }
        .into(),
    ]
}

/// Operations that agree within a level.
pub(crate) fn inexact() -> Vec<ImageOp> {
    let interpolation = Interpolation::Bilinear;
    vec![
        Rotate {
            interpolation,
            fill: GREY,
            p: 0.7,
            ..Rotate::new(-180.0..=180.0)
        }
        .into(),
        Rotate {
            interpolation,
            fill: COLOURED,
            ..Rotate::new(90.0)
        }
        .into(),
        ShearX {
            interpolation,
            p: 0.7,
            ..ShearX::new(-0.5..=0.5)
        }
        .into(),
        ShearY {
            interpolation,
            fill: GREY,
            ..ShearY::new(-0.5..=0.5)
        }
        .into(),
        GaussianBlur {
            p: 0.7,
            ..GaussianBlur::new(3)
        }
        .into(),
        GaussianBlur::new(7).into(),
        RandAugment {
            interpolation,
            ..RandAugment::new(1, 9)
        }
        .into(),
        TrivialAugmentWide {
            interpolation,
            ..TrivialAugmentWide::default()
        }
        .into(),
    ]
}
