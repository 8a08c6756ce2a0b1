//! CIFAR-100: 50,000 + 10,000 photographs of a hundred kinds of things in twenty groups (Krizhevsky 2009).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::records::{IMAGE_SIZE, Records};
use super::source::{Distribution, FileSpec, Size};
use crate::{DataError, ImageSet, Split};

const DISTRIBUTION: Distribution = Distribution {
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    files: &[TRAIN, TEST, FINE, COARSE],
};
const TRAIN: FileSpec = images("train.bin", 50_000);
const TEST: FileSpec = images("test.bin", 10_000);
const FINE: FileSpec = names("fine_label_names.txt");
const COARSE: FileSpec = names("coarse_label_names.txt");

const fn images(name: &'static str, count: u64) -> FileSpec {
    FileSpec {
        name,
        size: Size::Exact(count * (2 + IMAGE_SIZE) as u64),
    }
}

const fn names(name: &'static str) -> FileSpec {
    FileSpec {
        name,
        size: Size::AtMost(4096),
    }
}

/// Which of an image's two labels counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cifar100Labels {
    /// One of a hundred kinds, as "maple".
    Fine,
    /// One of twenty groups, as "trees".
    Coarse,
}

/// Reads one split in the official binary layout.
///
/// `path` is the folder `cifar-100-binary`, a folder that contains it, or the file `cifar-100-binary.tar.gz`, which is unpacked to memory. Class
/// names come from `fine_label_names.txt` or `coarse_label_names.txt`, or are the usual ones where that file is missing.
///
/// # Errors
///
/// As [`cifar10::load`](crate::cifar10::load); both labels of every image are checked.
pub fn load(path: &Path, split: Split, label_kind: Cifar100Labels) -> Result<ImageSet, DataError> {
    let (kept, names, default_names): (_, _, &[&str]) = match label_kind {
        Cifar100Labels::Coarse => (0, COARSE, &COARSE_NAMES),
        Cifar100Labels::Fine => (1, FINE, &FINE_NAMES),
    };
    let records = Records {
        images: match split {
            Split::Train => &[TRAIN],
            Split::Test => &[TEST],
        },
        label_classes: &[20, 100],
        kept,
        names,
        default_names,
    };
    records.load(path, &DISTRIBUTION)
}

#[rustfmt::skip]
const COARSE_NAMES: [&str; 20] = [
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes", "large_omnivores_and_herbivores",
    "medium_mammals", "non-insect_invertebrates", "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
];

#[rustfmt::skip]
const FINE_NAMES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];
