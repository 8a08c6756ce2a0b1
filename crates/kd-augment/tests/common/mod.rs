//! What several tests share.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use kd_augment::ImageOp;

/// One of every operation, with parameters that are drawn.
const DRAWN: &[&str] = &[
    r#"{"op":"horizontal_flip"}"#,
    r#"{"op":"vertical_flip"}"#,
    r#"{"op":"pad_crop","pad":2}"#,
    r#"{"op":"pad_crop","pad":3,"padding":"replicate","p":0.7}"#,
    r#"{"op":"resize_crop","scale":[0.2,1.0]}"#,
    r#"{"op":"resize_crop","scale":[0.2,1.0],"interpolation":"nearest"}"#,
    r#"{"op":"rotate","degrees":[-180,180]}"#,
    r#"{"op":"rotate","degrees":[-45,45],"interpolation":"bilinear","fill":128}"#,
    r#"{"op":"shear_x","slope":[-0.5,0.5]}"#,
    r#"{"op":"shear_y","slope":[-0.5,0.5],"interpolation":"bilinear"}"#,
    r#"{"op":"translate_x","pixels":[-4,4]}"#,
    r#"{"op":"translate_y","fraction":[-0.5,0.5],"fill":77}"#,
    r#"{"op":"brightness","factor":[0.1,1.9]}"#,
    r#"{"op":"posterize","bits":4,"p":0.5}"#,
    r#"{"op":"solarize","threshold":[0,256]}"#,
    r#"{"op":"auto_contrast","p":0.8}"#,
    r#"{"op":"equalize","p":0.8}"#,
    r#"{"op":"invert","p":0.5}"#,
    r#"{"op":"sharpness","factor":[0.1,1.9]}"#,
    r#"{"op":"gaussian_noise","sigma":[0.01,0.2]}"#,
    r#"{"op":"cutout","holes":3,"length":3}"#,
];

/// Those that look at colours.
const DRAWN_COLOURS: &[&str] = &[
    r#"{"op":"color","factor":[0.1,1.9]}"#,
    r#"{"op":"contrast","factor":[0.1,1.9]}"#,
    r#"{"op":"hue","shift":[-0.5,0.5]}"#,
    r#"{"op":"color_jitter","brightness":0.4,"contrast":0.4,"saturation":0.4,"hue":0.1}"#,
    r#"{"op":"grayscale","p":0.5}"#,
    r#"{"op":"auto_augment","policy":"cifar10"}"#,
    r#"{"op":"auto_augment","policy":"svhn","interpolation":"bilinear"}"#,
    r#"{"op":"rand_augment","n":2,"m":20}"#,
    r#"{"op":"trivial_augment_wide"}"#,
];

/// Operations whose parameters are always the same.
const CONSTANT: &[&str] = &[
    r#"{"op":"horizontal_flip","p":1}"#,
    r#"{"op":"vertical_flip","p":1}"#,
    r#"{"op":"rotate","degrees":33}"#,
    r#"{"op":"rotate","degrees":-70,"interpolation":"bilinear","fill":9}"#,
    r#"{"op":"shear_x","slope":0.4}"#,
    r#"{"op":"shear_y","slope":-0.3}"#,
    r#"{"op":"translate_x","pixels":2}"#,
    r#"{"op":"translate_y","fraction":-0.3,"fill":77}"#,
    r#"{"op":"brightness","factor":1.3}"#,
    r#"{"op":"brightness","factor":0.4}"#,
    r#"{"op":"posterize","bits":3}"#,
    r#"{"op":"solarize","threshold":90}"#,
    r#"{"op":"auto_contrast"}"#,
    r#"{"op":"equalize"}"#,
    r#"{"op":"invert"}"#,
    r#"{"op":"sharpness","factor":1.8}"#,
];

const CONSTANT_COLOURS: &[&str] = &[
    r#"{"op":"color","factor":0.3}"#,
    r#"{"op":"contrast","factor":1.6}"#,
    r#"{"op":"hue","shift":0.2}"#,
    r#"{"op":"grayscale"}"#,
];

fn read(texts: &[&str]) -> Vec<ImageOp> {
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// One of every operation, with parameters that are drawn; with `colours` those that need 1 or 3 channels as well.
pub fn drawn(colours: bool) -> Vec<ImageOp> {
    let mut ops = read(DRAWN);
    ops.extend(read(if colours { DRAWN_COLOURS } else { &[] }));
    ops
}

/// Operations whose parameters are always the same.
pub fn constant(colours: bool) -> Vec<ImageOp> {
    let mut ops = read(CONSTANT);
    ops.extend(read(if colours { CONSTANT_COLOURS } else { &[] }));
    ops
}
