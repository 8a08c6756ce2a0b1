//! The binary layout of the CIFAR sets: label bytes, then 3,072 planar bytes of red, green and blue, image after image.

use std::path::Path;

use super::source::{Content, Distribution, FileSpec, Source};
use crate::{DataError, ImageSet};

/// Channels, height and width of every CIFAR image.
const SHAPE: [usize; 3] = [3, 32, 32];
/// The bytes of one image.
pub(super) const IMAGE_SIZE: usize = 3 * 32 * 32;

/// What to read from a distribution, and how.
pub(super) struct Records<'a> {
    /// The files that hold the images, in order.
    pub(super) images: &'a [FileSpec],
    /// The number of classes of each label byte that precedes an image.
    pub(super) label_classes: &'a [usize],
    /// The position of the label byte that is kept.
    pub(super) kept: usize,
    /// The file that names the classes of the label kept, if it is there.
    pub(super) names: FileSpec,
    /// The names otherwise.
    pub(super) default_names: &'a [&'a str],
}

impl Records<'_> {
    /// Reads the images and the names.
    pub(super) fn load(
        &self,
        path: &Path,
        distribution: &Distribution,
    ) -> Result<ImageSet, DataError> {
        let wanted: Vec<FileSpec> = self.images.iter().copied().chain([self.names]).collect();
        let mut contents = Source::find(path, distribution)?.read(distribution, &wanted)?;
        let names = class_names(contents.pop().flatten(), self.default_names)?;
        let bytes: usize = contents
            .iter()
            .flatten()
            .map(|content| content.bytes.len())
            .sum();
        let count = bytes / self.record_size();
        let mut pixels = Vec::with_capacity(count * IMAGE_SIZE);
        let mut labels = Vec::with_capacity(count);
        for content in contents.into_iter().flatten() {
            self.decode(&content, &mut pixels, &mut labels)?;
        }
        ImageSet::new(pixels, SHAPE, labels, names)
    }

    fn record_size(&self) -> usize {
        self.label_classes.len() + IMAGE_SIZE
    }

    /// Appends the images and labels of a file whose size has been checked. Every label byte must name a class, also those that are not kept.
    fn decode(
        &self,
        content: &Content,
        pixels: &mut Vec<u8>,
        labels: &mut Vec<u16>,
    ) -> Result<(), DataError> {
        let size = self.record_size();
        for (index, record) in content.bytes.chunks_exact(size).enumerate() {
            let (head, image) = record.split_at(self.label_classes.len());
            for (place, (&label, &classes)) in head.iter().zip(self.label_classes).enumerate() {
                if usize::from(label) >= classes {
                    return Err(DataError::LabelByte {
                        file: content.file.clone(),
                        offset: (index * size + place) as u64,
                        found: label,
                        classes,
                    });
                }
            }
            labels.push(u16::from(head[self.kept]));
            pixels.extend_from_slice(image);
        }
        Ok(())
    }
}

/// The class names of a text file, one a line with blank lines allowed, or `default` where there is no file.
fn class_names(content: Option<Content>, default: &[&str]) -> Result<Vec<String>, DataError> {
    let Some(content) = content else {
        return Ok(default.iter().map(ToString::to_string).collect());
    };
    let wrong = |found| DataError::ClassNames {
        file: content.file.clone(),
        expected: default.len(),
        found,
    };
    let text = std::str::from_utf8(&content.bytes)
        .map_err(|error| wrong(format!("another encoding at byte {}", error.valid_up_to())))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(String::from).collect();
    if names.len() == default.len() {
        Ok(names)
    } else {
        Err(wrong(format!("{}", names.len())))
    }
}
