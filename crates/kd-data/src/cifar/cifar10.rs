//! CIFAR-10: 50,000 + 10,000 photographs of ten kinds of things (Krizhevsky, "Learning multiple layers of features from tiny images", 2009).

use std::path::Path;

use super::records::{IMAGE_SIZE, Records};
use super::source::{Distribution, FileSpec, Size};
use crate::{DataError, ImageSet, Split};

const DISTRIBUTION: Distribution = Distribution {
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    files: &[
        batch("data_batch_1.bin"),
        batch("data_batch_2.bin"),
        batch("data_batch_3.bin"),
        batch("data_batch_4.bin"),
        batch("data_batch_5.bin"),
        batch("test_batch.bin"),
        META,
    ],
};
const META: FileSpec = FileSpec {
    name: "batches.meta.txt",
    size: Size::AtMost(4096),
};
const CLASS_NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

const fn batch(name: &'static str) -> FileSpec {
    FileSpec {
        name,
        size: Size::Exact(10_000 * (1 + IMAGE_SIZE) as u64),
    }
}

/// Reads one split in the official binary layout.
///
/// `path` is the folder `cifar-10-batches-bin`, a folder that contains it, or the file `cifar-10-binary.tar.gz`, which is unpacked to
/// memory. Class names come from `batches.meta.txt`, or are the usual ones where that file is missing.
///
/// The images keep the order of the files. The human labels of [`cifar10h`](crate::cifar10h) are in the order of the *python* distribution, in
/// which the official binary files are not: for them, convert the python files.
///
/// # Errors
///
/// When a file is missing, truncated or oversized, when a label byte is above 9, or when the archive is damaged or unsafe. The
/// error names the file, the offset, what was found and what was expected.
pub fn load(path: &Path, split: Split) -> Result<ImageSet, DataError> {
    let (train, rest) = DISTRIBUTION.files.split_at(5);
    let records = Records {
        images: match split {
            Split::Train => train,
            Split::Test => &rest[..1],
        },
        label_classes: &[10],
        kept: 0,
        names: META,
        default_names: &CLASS_NAMES,
    };
    records.load(path, &DISTRIBUTION)
}
