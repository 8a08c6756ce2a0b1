//! What every augmentation does to an image, on one sheet that can be checked by eye.
#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser};
use kd::augment::{CutNMix, ImageOp, Images, Mixer, cpu};
use kd::prelude::*;
use kd_examples::sheet::{Entry, Group, Tile, draw, png};
use kd_examples::{CommonOptions, clear_shapes, note, start_with, write_whole};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What does an augmentation do to an image? Every operation, policy and mix, before and after, as one picture: to check by
/// eye that it does what it should, and how strong it is on your data
#[derive(Parser)]
#[command(after_help = "\
Examples:
  gallery                                                       (on Shapes, which needs no data)
  gallery --data DIR --only rand_augment,cutmix --seed 7 --out mine.png

Above each row stand the name and the parameters, as they are written in a recipe. Framed pictures
are originals, what follows one are draws from it. A mix shows its two originals, then mixes of the
first with the second; lambda is the share of the first. KD_DATA is not looked at here; give --data.")]
struct Options {
    /// Show these alone, by the names that recipes use, separated by commas
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    only: Vec<String>,

    /// Each pixel becomes N x N of them, without smoothing
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    scale: u32,

    /// The originals, by their number in the training set; at least two
    #[arg(
        long,
        value_name = "N,N",
        value_delimiter = ',',
        default_value = "9,3,6,2"
    )]
    images: Vec<usize>,

    #[command(flatten)]
    common: CommonOptions,
}

/// What is shown under one name, which is that of a recipe, as are its parameters.
struct Row(Kind, &'static str, &'static str);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// An operation that is the same each time: two originals, each with its result.
    Fixed,
    /// An operation that is drawn: an original and three draws.
    Drawn,
    /// A policy: an original and seven draws.
    Policy,
    /// Two originals and six mixes.
    Mix,
    /// Two originals and two draws for three networks.
    Networks,
}
use Kind::{Drawn, Fixed, Networks, Policy};

/// Everything there is. An operation that has a direction is shown with a known one first.
#[rustfmt::skip]
const GROUPS: [(&str, &[Row]); 8] = [
    ("Movement", &[
        Row(Fixed, "horizontal_flip", "p = 1"),
        Row(Fixed, "vertical_flip", "p = 1"),
        Row(Fixed, "translate_x", "pixels = 6"),
        Row(Fixed, "translate_y", "fraction = 0.25"),
        Row(Drawn, "pad_crop", "pad = 4"),
        Row(Drawn, "pad_crop", r#"pad = 8, padding = "reflect""#),
        Row(Drawn, "pad_crop", r#"pad = 8, padding = "replicate""#),
        Row(Drawn, "translate_x", "fraction = [-0.4, 0.4], fill = 128"),
    ]),
    ("Geometry", &[
        Row(Fixed, "rotate", r#"degrees = 30, interpolation = "bilinear""#),
        Row(Fixed, "shear_x", "slope = 0.3"),
        Row(Fixed, "shear_y", "slope = 0.3"),
        Row(Drawn, "resize_crop", ""),
        Row(Drawn, "rotate", "degrees = [-180, 180]"),
        Row(Drawn, "shear_x", "slope = [-0.5, 0.5]"),
        Row(Drawn, "shear_y", "slope = [-0.5, 0.5], fill = 128"),
        Row(Drawn, "resize_crop", r#"interpolation = "nearest""#),
    ]),
    ("Levels", &[
        Row(Fixed, "brightness", "factor = 1.6"),
        Row(Fixed, "contrast", "factor = 2"),
        Row(Fixed, "solarize", "threshold = 128"),
        Row(Fixed, "posterize", "bits = 2"),
        Row(Drawn, "brightness", "factor = [0.1, 1.9]"),
        Row(Fixed, "auto_contrast", ""),
        Row(Fixed, "equalize", ""),
        Row(Fixed, "invert", ""),
    ]),
    ("Colour", &[
        Row(Fixed, "grayscale", ""),
        Row(Fixed, "color", "factor = 3"),
        Row(Drawn, "hue", "shift = [-0.5, 0.5]"),
        Row(Drawn, "color_jitter", "brightness = 0.4, contrast = 0.4, hue = 0.1"),
    ]),
    ("Filters and noise", &[
        Row(Fixed, "sharpness", "factor = 0"),
        Row(Fixed, "sharpness", "factor = 4"),
        Row(Drawn, "gaussian_blur", "kernel = 5"),
        Row(Drawn, "gaussian_noise", "sigma = [0.02, 0.2]"),
    ]),
    ("Erasing", &[
        Row(Drawn, "cutout", "length = 16"),
        Row(Drawn, "cutout", "length = 16, fill = [125, 123, 114]"),
        Row(Drawn, "cutout", "length = 8, holes = 3"),
        Row(Drawn, "cutout", "length = 4, holes = 16"),
    ]),
    ("Policies", &[
        Row(Policy, "auto_augment", r#"policy = "cifar10""#),
        Row(Policy, "auto_augment", r#"policy = "imagenet""#),
        Row(Policy, "auto_augment", r#"policy = "svhn""#),
        Row(Policy, "trivial_augment_wide", ""),
        Row(Policy, "rand_augment", "n = 2, m = 9"),
        Row(Policy, "rand_augment", "n = 3, m = 20"),
    ]),
    ("Mixes", &[
        Row(Kind::Mix, "mixup", "alpha = 1"),
        Row(Kind::Mix, "fmix", "alpha = 1, decay = 3"),
        Row(Kind::Mix, "cutmix", "alpha = 1"),
        Row(Kind::Mix, "cutmix", "lambda = 0.5"),
        Row(Kind::Mix, "cutmix", r#"lambda = 0.5, boxes = "inside""#),
        Row(Networks, "cutnmix", "lambda = 0.6"),
    ]),
];

fn main() -> ExitCode {
    // The default is to need no data, whatever the environment says; and what is left behind is a file.
    let command = Options::command()
        .mut_arg("data", |data| data.env(None))
        .mut_arg("seed", |seed| seed.help("Seed of all draws"))
        .mut_arg("out", |out| {
            let out = out.value_name("FILE.png");
            out.help("The picture [default: gallery.png]")
        });
    start_with(command, |options: &Options| options.common.json, run)
}

fn run(options: &Options) -> Result<Value> {
    let path = options.common.out.clone().unwrap_or("gallery.png".into());
    if path.extension().is_none_or(|extension| extension != "png") {
        bail!("{}: expected a name that ends in .png", path.display());
    }
    check_names(&options.only)?;
    let sets = options.common.sets()?;
    let set = match sets.name {
        "Shapes" => clear_shapes(sets.train.len())?,
        _ => sets.train,
    };
    let images = &options.images;
    match images.iter().find(|image| **image >= set.len()) {
        Some(image) => bail!(
            "--images: no image {image} among {}, counted from 0",
            set.len()
        ),
        None if images.len() < 2 => bail!("--images: a mix needs two images, found 1"),
        None => {}
    }

    let (mut groups, mut shown, mut number) = (Vec::new(), Vec::new(), 0);
    for (heading, rows) in GROUPS {
        let mut entries = Vec::new();
        for row in rows {
            // Each row draws under a number of its own, which does not depend on what else is shown.
            let key = DrawKey::new(options.common.seed).view(number);
            number += 1;
            let Row(_, name, parameters) = *row;
            if options.only.is_empty() || options.only.iter().any(|only| only == name) {
                let tiles = row.tiles(&key, &set, images);
                entries.push(Entry {
                    name: name.into(),
                    note: parameters.into(),
                    tiles: tiles.with_context(|| format!("{name} {parameters}"))?,
                });
                shown.push(json!({ "group": heading, "op": name, "parameters": parameters }));
            }
        }
        if !entries.is_empty() {
            let heading = heading.into();
            groups.push(Group { heading, entries });
        }
    }
    let seed = options.common.seed;
    let title = format!("{}, seed {seed}. Framed: originals", sets.name);
    let sheet = draw(&title, &groups, set.shape(), options.scale);
    write_whole(&path, &png(&sheet)?)?;
    let ([width, height], path) = (sheet.dimensions().into(), path.display());
    note(format_args!(
        "{path}: {} rows, {width} x {height} pixels",
        shown.len()
    ));
    Ok(json!({
        "example": "gallery",
        "data": sets.name,
        "seed": seed,
        "rows": shown,
        "width": width,
        "height": height,
        "picture": path.to_string(),
    }))
}

fn check_names(only: &[String]) -> Result<()> {
    let rows = GROUPS.iter().flat_map(|(_, rows)| rows.iter());
    let known: BTreeSet<&str> = rows.map(|Row(_, name, _)| *name).collect();
    let known = Vec::from_iter(known);
    match only.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => bail!("--only: unknown name `{name}`; known: {}", known.join(", ")),
    }
}

impl Row {
    /// The pictures of the row.
    fn tiles(&self, key: &DrawKey, set: &ImageSet, images: &[usize]) -> Result<Vec<Tile>> {
        // Rows that show one image, or a pair, show another each.
        let image = |index: usize| images[index % images.len()];
        let turn = key.view as usize;
        match self.0 {
            Fixed => self.draws(key, set, &[image(0), image(1)], 1),
            Drawn => self.draws(key, set, &[image(turn)], 3),
            Policy => self.draws(key, set, &[image(turn)], 7),
            Kind::Mix | Networks => self.mixes(key, set, [image(turn), image(turn + 1)]),
        }
    }

    /// Each image, and draws from it.
    fn draws(&self, key: &DrawKey, set: &ImageSet, of: &[usize], count: u32) -> Result<Vec<Tile>> {
        let [channels, height, width] = set.shape();
        let augmenter = Augmentation::identity().with_op(self.read::<ImageOp>()?);
        let augmenter = augmenter.build()?;
        let mut tiles = Vec::new();
        for image in of {
            let before = set.image(*image);
            tiles.push(Tile::new(before).framed());
            for copy in 0..count {
                let plan = augmenter.sample(&key.copy(copy), &[*image as u64], 0, set.shape())?;
                let mut after = vec![0; before.len()];
                let batch = Images::new(before, [1, channels, height, width])?;
                cpu::apply_u8(&plan, batch, &mut after)?;
                tiles.push(Tile::new(after));
            }
        }
        Ok(tiles)
    }

    /// Two images, and mixes of the first with the second.
    fn mixes(&self, key: &DrawKey, set: &ImageSet, pair: [usize; 2]) -> Result<Vec<Tile>> {
        let [_, height, width] = set.shape();
        let originals = pair.map(|image| set.image(image));
        let mut tiles = originals.map(|image| Tile::new(image).framed()).to_vec();
        let levels = originals.concat();
        let before: Vec<f32> = levels.iter().map(|level| f32::from(*level)).collect();
        let mut after = vec![0.0; before.len()];
        let (size, ids) = ([height, width], pair.map(|image| image as u64));
        let sharing = ParamSharing::PerSample;
        let draws = if self.0 == Networks { 2 } else { 6 };
        for copy in 0..draws {
            let key = key.copy(copy);
            let plans = match self.0 {
                Networks => self
                    .read::<CutNMix>()?
                    .sample(3, sharing, &key, &ids, 0, size)?,
                _ => vec![Mixer::new(self.read()?, sharing)?.sample(&key, &ids, 0, size)?],
            };
            for (network, plan) in plans.iter().enumerate() {
                cpu::mix(plan, &before, set.shape(), &mut after)?;
                let mixed = after.iter().map(|level| level.round() as u8);
                let caption = match self.0 {
                    Networks => format!("net {}, {:.2}", network + 1, plan.lambda[0]),
                    _ => format!("lambda {:.2}", plan.lambda[0]),
                };
                let tile = Tile::new(mixed.take(originals[0].len()).collect::<Vec<_>>());
                tiles.push(tile.captioned(caption));
            }
        }
        Ok(tiles)
    }

    /// Reads what the row says, as a recipe is read.
    fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let Row(kind, name, parameters) = self;
        let name = format!("op = \"{name}\"");
        let keys = match kind {
            // Not with a partner that is drawn, but always the first with the second.
            Kind::Mix => [name.as_str(), parameters, "pairing = \"roll\""],
            Networks => ["", parameters, "pairing = \"roll\""],
            _ => [name.as_str(), parameters, ""],
        };
        let keys: Vec<_> = keys.into_iter().filter(|keys| !keys.is_empty()).collect();
        let table = format!("{{ {} }}", keys.join(", "));
        Ok(table.parse::<toml::Value>()?.try_into()?)
    }
}
