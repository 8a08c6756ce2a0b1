//! What does a network see in these images?
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail, ensure};
use clap::Parser;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult};
use kd::burn::tensor::TensorData;
use kd::models::weights::{self, WeightFile};
use kd::prelude::*;
use kd_examples::{Statistics, at_least_one, note, print, start};
use serde_json::{Value, json};

/// What does a network see in these images? The most likely classes of each, with probabilities
#[derive(Parser)]
#[command(after_help = "\
Examples:
  predict --weights runs/quickstart/student-kd.safetensors photo.jpg
  predict --weights student.safetensors --top 1 photographs/ more/cat.png --json
  predict --weights resnet20.th --arch resnet20 --image 3x32x32 --class-names names.txt photo.jpg

What is done to an image before the network sees it:
  1. It is read by its content, JPEG, PNG or WebP, whatever its name, and turned as its EXIF
     orientation says.
  2. The largest box of the network's proportions is cut from its centre, and scaled to the
     network's size with a triangle filter: a resize of the shorter side and a centre crop in one.
  3. Grey becomes three equal channels (three become grey for a network of one channel), and what
     is transparent lies on white. 16 bits keep their precision. Colour profiles are not applied.
  4. The network normalises the pixels with the mean and the deviation that its file carries.

A file that cannot be read is named, the others go on, and the exit code is 1. In a folder, with the
folders in it, files are taken that end in .jpg, .jpeg, .png or .webp.")]
struct Options {
    /// Images, and folders of images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Weights: safetensors, burnpack, or a PyTorch checkpoint, whatever its name
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,

    /// Architecture; not needed for files that name theirs
    #[arg(long, value_name = "NAME")]
    arch: Option<Architecture>,

    /// Names of the classes, one a line, in the order of the logits; needed for files that do not
    /// carry them
    #[arg(long, value_name = "FILE")]
    class_names: Option<PathBuf>,

    /// Channels, height and width of the network's input; needed for files that do not carry them
    #[arg(long, value_name = "CxHxW", value_parser = size)]
    image: Option<[usize; 3]>,

    /// Input statistics: imagenet, cifar10 or cifar100. By default those in the file, or those that
    /// a published checkpoint is known by
    #[arg(long, value_name = "NAME")]
    statistics: Option<Statistics>,

    /// How many classes are said of an image
    #[arg(long, default_value_t = 3, value_name = "K", value_parser = at_least_one)]
    top: usize,

    /// Images in a forward pass; changes memory and speed alone
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = at_least_one)]
    batch_size: usize,

    /// File with options: `key = value`, where key is the name of an option; what is typed wins
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,

    /// Print the result as one JSON object on standard output, and everything else on standard
    /// error
    #[arg(long)]
    json: bool,
}

/// `3x32x32`.
fn size(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[c @ (1 | 3), h @ 1..=4096, w @ 1..=4096]) => Ok([c, h, w]),
        _ => Err("expected channels (1 or 3), height and width (up to 4096), like 3x32x32".into()),
    }
}

fn main() -> ExitCode {
    start(|options: &Options| options.json, run)
}

fn run(options: &Options) -> anyhow::Result<Value> {
    let device = default_device()?;
    let (network, names) = network(options, &device)?;
    let [channels, height, width] = network.input_spec().size;
    ensure!(
        channels == 1 || channels == 3,
        "the network takes images of {channels} channels; expected 1 or 3"
    );
    note(format_args!(
        "{} for {channels}x{height}x{width} images of {} classes",
        network.architecture(),
        names.len()
    ));

    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let files = files(&options.images, &mut failed);
    for batch in files.chunks(options.batch_size) {
        let mut read = Vec::new();
        let mut pixels = Vec::new();
        for file in batch {
            match picture(file, [channels, height, width]) {
                Ok(picture) => {
                    pixels.extend_from_slice(&picture.pixels);
                    read.push((file, picture.size));
                }
                Err(error) => fail(&mut failed, file, &error),
            }
        }
        if read.is_empty() {
            continue;
        }
        let data = TensorData::new(pixels, [read.len(), channels, height, width]);
        let logits = network
            .forward(Tensor::from_data(data, &device))
            .try_into_data();
        let logits: Vec<f64> = logits.context("the device failed")?.iter().collect();
        for ((file, size), logits) in read.into_iter().zip(logits.chunks_exact(names.len())) {
            let top = top(logits, options.top);
            if !options.json {
                let said = top.iter().map(|&(class, probability)| {
                    format!("{} {:.1} %", names[class], 100.0 * probability)
                });
                let said = said.collect::<Vec<_>>().join(", ");
                print(format_args!("{}: {said}", file.display()))?;
            }
            let top = top.iter().map(|&(class, probability)| {
                json!({ "class": class, "name": names[class], "probability": probability })
            });
            found.push(json!({
                "file": file.display().to_string(),
                "width": size[0],
                "height": size[1],
                "top": top.collect::<Vec<_>>(),
            }));
        }
    }

    let all = found.len() + failed.len();
    let missing = failed.len();
    let result = json!({
        "example": "predict",
        "architecture": network.architecture(),
        "weights": options.weights.display().to_string(),
        "size": network.input_spec().size,
        "images": found,
        "failed": failed,
    });
    if missing > 0 {
        // What was found is printed all the same.
        if options.json {
            print(&result)?;
        }
        bail!("{missing} of {all} could not be read");
    }
    Ok(result)
}

/// The network, and the names of its classes.
fn network(options: &Options, device: &Device) -> anyhow::Result<(Classifier, Vec<String>)> {
    let path = &options.weights;
    let file = WeightFile::open(path)?;
    let named = options
        .class_names
        .as_deref()
        .map(class_names)
        .transpose()?;
    let statistics = options.statistics.map(|statistics| statistics.0);
    let default = match file.input_spec() {
        Some(spec) => spec.clone(),
        None => {
            let lacks =
                |what, option| anyhow!("{}: does not carry {what}; give {option}", path.display());
            let names = named.clone();
            let names = names.ok_or_else(|| lacks("names of classes", "--class-names FILE"))?;
            let size = options
                .image
                .ok_or_else(|| lacks("a size", "--image CxHxW"))?;
            let known = statistics.or(file.known_statistics());
            let known = known.ok_or_else(|| lacks("statistics", "--statistics NAME"))?;
            InputSpec::new(size, known.mean, known.std, names)?
        }
    };
    if let Some(size) = options.image.filter(|size| *size != default.size) {
        bail!(
            "--image is {size:?}, and the network takes {:?}",
            default.size
        );
    }
    let network = weights::restore(path, options.arch, &default, statistics, device)?;
    let names = named.unwrap_or_else(|| network.input_spec().class_names.clone());
    let classes = network.input_spec().classes();
    ensure!(
        names.len() == classes,
        "--class-names: {} names for a network of {classes} classes",
        names.len()
    );
    Ok((network, names))
}

/// The lines of a file that are not empty.
fn class_names(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(String::from)
        .collect())
}

/// Says why a file is left out, and keeps it for the result.
fn fail(failed: &mut Vec<Value>, file: &Path, error: &anyhow::Error) {
    note(format_args!("{}: {error:#}", file.display()));
    failed.push(json!({
        "file": file.display().to_string(),
        "reason": format!("{error:#}"),
    }));
}

/// The files that are named, and those in the folders that are named, in the order of their names.
fn files(paths: &[PathBuf], failed: &mut Vec<Value>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        match below(path, &mut files) {
            Err(error) => fail(failed, path, &error),
            Ok(()) if files.len() == before => {
                fail(failed, path, &anyhow!("a folder without images"));
            }
            Ok(()) => {}
        }
    }
    files
}

/// Images by their names in a folder and the folders in it. Links to folders are not followed.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if entry.file_type()?.is_dir() {
            below(&path, files).with_context(|| path.display().to_string())?;
        } else if let Some("jpg" | "jpeg" | "png" | "webp") = extension.as_deref() {
            files.push(path);
        }
    }
    Ok(())
}

/// An image as a network takes it.
struct Picture {
    /// Planar, in `[0, 1]`.
    pixels: Vec<f32>,
    /// Width and height as a person sees it.
    size: [u32; 2],
}

/// Reads an image, and makes it one of `[channels, height, width]`.
fn picture(path: &Path, [channels, height, width]: [usize; 3]) -> anyhow::Result<Picture> {
    let bytes = fs::read(path)?;
    let image = decoded(&bytes).map_err(|error| anyhow!("{error}"))?;
    // The decoder fills up what is missing of a JPEG with grey.
    ensure!(!is_cut_jpeg(&bytes), "the file is cut off");

    let (found, wanted) = (
        [image.width(), image.height()],
        [width as u32, height as u32],
    );
    let [x, y, w, h] = centre(found, wanted);
    let mut image = image.crop_imm(x, y, w, h);
    if image.color().has_alpha() {
        image = on_white(&image);
    }
    let [width, height] = wanted;
    let pixels: Vec<f32> = match channels {
        1 => resize(&image.to_luma32f(), width, height, FilterType::Triangle).into_raw(),
        _ => {
            let rgb = resize(&image.to_rgb32f(), width, height, FilterType::Triangle).into_raw();
            let plane = |channel| rgb.iter().skip(channel).step_by(3).copied();
            (0..3).flat_map(plane).collect()
        }
    };
    Ok(Picture {
        pixels,
        size: found,
    })
}

/// An image as a person sees it.
fn decoded(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The largest box in the centre of an image that has the proportions of another: x, y, width and
/// height.
fn centre(image: [u32; 2], proportions: [u32; 2]) -> [u32; 4] {
    let [w, h] = image.map(u64::from);
    let [pw, ph] = proportions.map(u64::from);
    let (width, height) = match w * ph > h * pw {
        true => (((h * pw + ph / 2) / ph).clamp(1, w), h),
        false => (w, ((w * ph + pw / 2) / pw).clamp(1, h)),
    };
    [(w - width) / 2, (h - height) / 2, width, height].map(|pixels| pixels as u32)
}

fn on_white(image: &DynamicImage) -> DynamicImage {
    let mut image = image.to_rgba32f();
    for pixel in image.pixels_mut() {
        let alpha = pixel.0[3];
        pixel.0 = pixel.0.map(|level| level * alpha + 1.0 - alpha);
        pixel.0[3] = 1.0;
    }
    image.into()
}

/// Whether a JPEG ends before the marker of its end.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return false;
    }
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            (0xff, 0xd9) => return false,
            // Compressed data, in which 0xff is followed by 0 or by a number that restarts it.
            (0xff, 0 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, 0xff) => at += 1,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return true,
            },
            _ => at += 1,
        }
    }
    true
}

/// The most likely classes, each with its probability.
fn top(logits: &[f64], count: usize) -> Vec<(usize, f64)> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    let mut classes: Vec<_> = powers.iter().map(|power| power / sum).enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    classes.truncate(count);
    classes
}
