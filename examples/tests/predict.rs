//! `predict` on images of every kind: what it reads, how it turns them, and what it refuses.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba};
use kd::models::weights;
use kd::prelude::*;
use serde_json::Value;

fn predict(weights: &Path) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let name = format!("predict{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(path.join("examples").join(name));
    command.env_remove("BURN_DEVICE");
    command.arg("--weights").arg(weights);
    command
}

/// A network with weights from a seed, which tells any two images apart.
fn network(folder: &Path, channels: usize) -> PathBuf {
    let names = ["ant", "bee", "cat", "dog"].map(String::from).to_vec();
    let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
    let spec = InputSpec::new([channels, 32, 32], mean, std, names).unwrap();
    let config = ModelConfig::new(spec).with_seed(1);
    let network = Architecture::LeNet5.init(&config, &Device::flex()).unwrap();
    let path = folder.join(format!("network{channels}.safetensors"));
    weights::save(&network, &path).unwrap();
    path
}

/// Nothing about it is symmetric.
fn scene(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (255 * x / width, 255 * y / height);
        Rgb([x as u8, (y * y / 255) as u8, ((x * y / 255 + x) / 2) as u8])
    })
    .into()
}

fn run(command: &mut Command) -> (Value, String, Option<i32>) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg("--json").output().unwrap();
    let message = String::from_utf8(stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    let found = serde_json::from_slice(&stdout);
    (found.unwrap_or(Value::Null), message, status.code())
}

/// The probabilities of the classes, in their order, and the size that is said of the image.
fn seen(weights: &Path, image: &Path) -> (Vec<f64>, [u64; 2]) {
    let (found, message, code) = run(predict(weights).args(["--top", "9"]).arg(image));
    assert_eq!(code, Some(0), "{message}");
    let image = &found["images"][0];
    let mut top: Vec<_> = image["top"].as_array().unwrap().iter().collect();
    assert_eq!(top.len(), 4);
    top.sort_by_key(|entry| entry["class"].as_u64());
    let probabilities = top
        .iter()
        .map(|entry| entry["probability"].as_f64().unwrap());
    let size = [&image["width"], &image["height"]].map(|n| n.as_u64().unwrap());
    (probabilities.collect(), size)
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[test]
fn the_same_picture_in_any_form_is_the_same_to_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let file = |name: &str| folder.path().join(name);
    let save = |image: &DynamicImage, name: &str, format| {
        image.save_with_format(file(name), format).unwrap();
        seen(&weights, &file(name)).0
    };
    let scene = scene(80, 64);
    let png = save(&scene, "a.png", ImageFormat::Png);
    // A PNG by another name, and lossless WebP.
    assert_eq!(save(&scene, "b.jpg", ImageFormat::Png), png);
    assert_eq!(save(&scene, "c.webp", ImageFormat::WebP), png);
    // An opaque fourth channel, and 16 bits.
    let opaque = save(&scene.to_rgba8().into(), "d.png", ImageFormat::Png);
    assert!(close(&opaque, &png, 1e-6), "{opaque:?} {png:?}");
    let deep = save(&scene.to_rgb16().into(), "e.png", ImageFormat::Png);
    assert!(close(&deep, &png, 1e-6), "{deep:?} {png:?}");
    let other = save(&scene.fliph(), "f.png", ImageFormat::Png);
    assert!(!close(&other, &png, 1e-3), "{other:?} {png:?}");
    // JPEG loses something, and no more.
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 98);
    scene.write_with_encoder(encoder).unwrap();
    fs::write(file("g.jpeg"), bytes).unwrap();
    let jpeg = seen(&weights, &file("g.jpeg")).0;
    assert!(close(&jpeg, &png, 5e-3), "{jpeg:?} {png:?}");
    // Grey has three equal channels, of 8 bits or of 16.
    let grey = save(&scene.to_luma8().into(), "h.png", ImageFormat::Png);
    let three = DynamicImage::from(scene.to_luma8()).to_rgb8();
    let three = save(&three.into(), "i.png", ImageFormat::Png);
    assert!(close(&three, &grey, 1e-6), "{three:?} {grey:?}");
    let deep = DynamicImage::from(scene.to_luma8()).to_luma16();
    let deep = save(&deep.into(), "j.png", ImageFormat::Png);
    assert!(close(&deep, &grey, 1e-6), "{deep:?} {grey:?}");
}

#[test]
fn what_is_transparent_lies_on_white() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let mut clear = scene(40, 40).to_rgba8();
    let mut white = scene(40, 40).to_rgb8();
    for y in 10..30 {
        clear.put_pixel(y, y, Rgba([200, 0, 0, 0]));
        white.put_pixel(y, y, Rgb([255; 3]));
    }
    let (a, b) = (folder.path().join("a.png"), folder.path().join("b.png"));
    clear.save(&a).unwrap();
    white.save(&b).unwrap();
    let (a, b) = (seen(&weights, &a).0, seen(&weights, &b).0);
    assert!(close(&a, &b, 1e-6), "{a:?} {b:?}");
}

#[test]
fn an_image_is_turned_as_its_exif_orientation_says() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let upright = scene(48, 80);
    let path = folder.path().join("upright.png");
    upright.save(&path).unwrap();
    let expected = seen(&weights, &path);
    assert_eq!(expected.1, [48, 80]);
    // How the pixels lie in a file of that orientation.
    let stored = [
        upright.clone(),
        upright.fliph(),
        upright.rotate180(),
        upright.flipv(),
        upright.rotate270().flipv(),
        upright.rotate270(),
        upright.rotate90().flipv(),
        upright.rotate90(),
    ];
    for (orientation, image) in (1u8..).zip(&stored) {
        let path = folder.path().join(format!("{orientation}.png"));
        // A TIFF header and one entry: tag 0x112, one short.
        let exif = [
            b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0, 0],
        ];
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif.concat()).unwrap();
        image.write_with_encoder(encoder).unwrap();
        fs::write(&path, bytes).unwrap();
        assert_eq!(seen(&weights, &path), expected, "orientation {orientation}");
    }
}

#[test]
fn any_proportions_are_taken_and_the_centre_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let path = folder.path().join("image.png");
    let see = |image: &RgbImage| {
        image.save(&path).unwrap();
        seen(&weights, &path).0
    };
    let square = scene(32, 32).to_rgb8();
    let expected = see(&square);
    for (width, height) in [(96, 32), (32, 50), (33, 32)] {
        let mut image = RgbImage::from_pixel(width, height, Rgb([9, 90, 200]));
        let (x, y) = (i64::from(width - 32) / 2, i64::from(height - 32) / 2);
        image::imageops::replace(&mut image, &square, x, y);
        assert_eq!(see(&image), expected, "{width}x{height}");
    }
    for (width, height) in [(1, 1), (1, 900), (900, 1), (3, 97)] {
        assert!(
            see(&scene(width, height).to_rgb8())
                .iter()
                .all(|p| p.is_finite())
        );
    }
}

#[test]
fn a_network_of_one_channel_sees_grey() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 1);
    let (a, b) = (folder.path().join("a.png"), folder.path().join("b.png"));
    let grey = DynamicImage::from(scene(50, 50).to_luma8());
    grey.save(&a).unwrap();
    grey.to_rgb8().save(&b).unwrap();
    let (a, b) = (seen(&weights, &a).0, seen(&weights, &b).0);
    assert!(close(&a, &b, 1e-5), "{a:?} {b:?}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let images = folder.path().join("images");
    fs::create_dir_all(images.join("inner")).unwrap();
    fs::create_dir_all(folder.path().join("empty")).unwrap();
    scene(40, 30).save(images.join("b.png")).unwrap();
    scene(30, 40).save(images.join("inner/a.JPG")).unwrap();
    scene(300, 400).save(images.join("whole.jpg")).unwrap();
    let whole = fs::read(images.join("whole.jpg")).unwrap();
    fs::write(images.join("cut.jpg"), &whole[..whole.len() * 2 / 3]).unwrap();
    fs::write(images.join("notes.txt"), "no image, and not taken for one").unwrap();
    fs::write(images.join("text.png"), "no image").unwrap();
    let command = || {
        let mut command = predict(&weights);
        command.arg(&images).arg(folder.path().join("nowhere.png"));
        command
            .arg(folder.path().join("empty"))
            .args(["--batch-size", "2"]);
        command
    };
    let (found, message, code) = run(&mut command());
    assert_eq!(code, Some(1));
    let names = |list: &str| -> Vec<String> {
        let list = found[list].as_array().unwrap().iter();
        let name = |entry: &Value| {
            let file = PathBuf::from(entry["file"].as_str().unwrap());
            file.file_name().unwrap().to_string_lossy().into()
        };
        list.map(name).collect()
    };
    assert_eq!(names("images"), ["b.png", "a.JPG", "whole.jpg"]);
    assert_eq!(
        names("failed"),
        ["empty", "cut.jpg", "text.png", "nowhere.png"]
    );
    for expected in [
        "cut.jpg: the file is cut off",
        "text.png: ",
        "4 of 7 could not be read",
    ] {
        assert!(message.contains(expected), "{message}");
    }
    // For people, a line an image.
    let output = command().args(["--top", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().all(|line| line.ends_with(" %")), "{text}");
}

#[test]
fn a_file_without_names_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let weights = network(folder.path(), 3);
    let image = folder.path().join("a.png");
    scene(32, 32).save(&image).unwrap();
    let (names, few) = (
        folder.path().join("names.txt"),
        folder.path().join("few.txt"),
    );
    fs::write(&names, "Ameise\nBiene\nKatze\nHund\n\n").unwrap();
    fs::write(&few, "Ameise\n").unwrap();
    // The names of the file are replaced.
    let (found, ..) = run(predict(&weights)
        .arg(&image)
        .arg("--class-names")
        .arg(&names));
    let name = found["images"][0]["top"][0]["name"].as_str().unwrap();
    assert!(
        ["Ameise", "Biene", "Katze", "Hund"].contains(&name),
        "{name}"
    );
    let refused = |command: &mut Command, expected: &str| {
        let (found, message, code) = run(command);
        assert_eq!((code, found), (Some(1), Value::Null));
        assert!(message.contains(expected), "{message}");
    };
    let with = |option: &str, value: &Path| {
        let mut command = predict(&weights);
        command.arg(&image).arg(option).arg(value);
        command
    };
    refused(
        &mut with("--class-names", &few),
        "1 names for a network of 4 classes",
    );
    refused(
        &mut with("--image", Path::new("3x64x64")),
        "the network takes [3, 32, 32]",
    );
    // What is left of the file without what kd adds.
    let bytes = fs::read(&weights).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    header.as_object_mut().unwrap().remove("__metadata__");
    let header = serde_json::to_vec(&header).unwrap();
    let bare = folder.path().join("bare.safetensors");
    let length = (header.len() as u64).to_le_bytes();
    fs::write(
        &bare,
        [&length[..], &header, &bytes[8 + bytes_of(&bytes)..]].concat(),
    )
    .unwrap();
    let bare = |more: &[&str]| {
        let mut command = predict(&bare);
        command.args(["--arch", "lenet5"]).args(more).arg(&image);
        command
    };
    let names = names.display().to_string();
    refused(&mut bare(&[]), "--class-names FILE");
    refused(&mut bare(&["--class-names", &names]), "--image CxHxW");
    let sized = ["--class-names", &names, "--image", "3x32x32"];
    refused(&mut bare(&sized), "--statistics NAME");
    let (found, message, _) = run(bare(&sized).args(["--statistics", "cifar10"]));
    assert_eq!(found["size"], serde_json::json!([3, 32, 32]), "{message}");
}

/// The length of the header of a file of safetensors.
fn bytes_of(file: &[u8]) -> usize {
    u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}
