use std::sync::{Arc, OnceLock};

use crate::{ChannelStatistics, DataError, fingerprint, soft_labels};

/// A labelled set of images of one size, planar bytes in memory.
///
/// The pixel order is image, channel, row, column. Clones and [`take`](Self::take) share the memory. A sample's id is its position.
///
/// ```
/// use kd_data::ImageSet;
///
/// let names = vec!["dark".to_string(), "light".to_string()];
/// let set = ImageSet::new(vec![0, 10, 250, 255], [1, 1, 2], vec![0, 1], names)?;
/// assert_eq!(set.image(1), &[250, 255]);
/// # Ok::<(), kd_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageSet {
    len: usize,
    shape: [usize; 3],
    pixels: Arc<Vec<u8>>,
    labels: Arc<Vec<u16>>,
    class_names: Arc<[String]>,
    soft_labels: Option<Arc<Vec<f32>>>,
    fingerprint: Arc<OnceLock<String>>,
}

impl ImageSet {
    /// A set of `labels.len()` images of `shape`: channels, height, width.
    ///
    /// # Errors
    ///
    /// When a dimension or the number of classes is zero, when the number of pixels does not fit, or when a label is not
    /// below `class_names.len()`.
    pub fn new(
        pixels: Vec<u8>,
        shape: [usize; 3],
        labels: Vec<u16>,
        class_names: Vec<String>,
    ) -> Result<Self, DataError> {
        let classes = class_names.len();
        let no_shape = || DataError::Shape { shape, classes };
        let expected = shape
            .iter()
            .try_fold(labels.len(), |size, &side| size.checked_mul(side))
            .ok_or_else(no_shape)?;
        if shape.contains(&0) || !(1..=1 << 16).contains(&classes) {
            return Err(no_shape());
        }
        if pixels.len() != expected {
            return Err(DataError::PixelCount {
                expected,
                found: pixels.len(),
                labels: labels.len(),
            });
        }
        if let Some(index) = labels
            .iter()
            .position(|&label| usize::from(label) >= classes)
        {
            return Err(DataError::Label {
                index,
                found: labels[index],
                classes,
            });
        }
        Ok(Self {
            len: labels.len(),
            shape,
            pixels: Arc::new(pixels),
            labels: Arc::new(labels),
            class_names: class_names.into(),
            soft_labels: None,
            fingerprint: Arc::default(),
        })
    }

    /// The set with a distribution over the classes for each image, row by row.
    ///
    /// # Errors
    ///
    /// When the number of values is not images times classes, when a value is negative or not finite, or when a row's sum is
    /// further than 0.001 from 1. The error names the row.
    pub fn with_soft_labels(mut self, soft_labels: Vec<f32>) -> Result<Self, DataError> {
        let expected = self.len * self.classes();
        if soft_labels.len() != expected {
            return Err(DataError::SoftLabelCount {
                expected,
                found: soft_labels.len(),
            });
        }
        soft_labels::check(&soft_labels, self.classes())?;
        self.soft_labels = Some(Arc::new(soft_labels));
        self.fingerprint = Arc::default();
        Ok(self)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The names of the classes, in label order.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The bytes of image `index`, channel by channel.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.pixels()[index * size..(index + 1) * size]
    }

    /// The bytes of all images.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels[..self.len * self.image_size()]
    }

    /// The labels of all images.
    pub fn labels(&self) -> &[u16] {
        &self.labels[..self.len]
    }

    /// The distributions over the classes, row by row, where the set has them.
    pub fn soft_labels(&self) -> Option<&[f32]> {
        let rows = self.soft_labels.as_ref()?;
        Some(&rows[..self.len * self.classes()])
    }

    /// The first `count` images, or all where there are fewer. Copies nothing.
    pub fn take(&self, count: usize) -> Self {
        Self {
            len: count.min(self.len),
            fingerprint: Arc::default(),
            ..self.clone()
        }
    }

    /// The images at `indices`, in that order; they get new ids.
    ///
    /// # Errors
    ///
    /// When an index is not below [`len`](Self::len).
    pub fn subset(&self, indices: &[usize]) -> Result<Self, DataError> {
        if let Some(&index) = indices.iter().find(|&&index| index >= self.len) {
            return Err(DataError::Index {
                index,
                len: self.len,
            });
        }
        let (pixels, labels, soft_labels) = self.gather(indices);
        Ok(Self {
            len: indices.len(),
            pixels: Arc::new(pixels),
            labels: Arc::new(labels),
            soft_labels: soft_labels.map(Arc::new),
            fingerprint: Arc::default(),
            ..self.clone()
        })
    }

    /// Mean and standard deviation of each channel, on the scale from 0 to 1.
    pub fn statistics(&self) -> ChannelStatistics {
        ChannelStatistics::of(self)
    }

    /// A SHA-256 in hexadecimal over shape, class names, labels, soft labels and pixels. Two sets with the same fingerprint are the same.
    ///
    /// Computed once and kept.
    pub fn fingerprint(&self) -> String {
        self.fingerprint
            .get_or_init(|| fingerprint::of(self))
            .clone()
    }

    /// Copies of the pixels, labels and soft labels at `indices`, all of which are below `len`.
    pub(crate) fn gather(&self, indices: &[usize]) -> (Vec<u8>, Vec<u16>, Option<Vec<f32>>) {
        let mut pixels = Vec::with_capacity(indices.len() * self.image_size());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        let classes = self.classes();
        let soft_labels = self.soft_labels().map(|rows| {
            let row = |&index: &usize| &rows[index * classes..(index + 1) * classes];
            indices.iter().flat_map(row).copied().collect()
        });
        (pixels, labels, soft_labels)
    }

    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    /// Three images of 2×1×2 whose bytes count up.
    fn three() -> ImageSet {
        ImageSet::new((0..12).collect(), [2, 1, 2], vec![0, 1, 1], names(2)).unwrap()
    }

    #[test]
    fn counts_and_labels_are_checked() {
        let error = |pixels: usize, shape, labels: Vec<u16>, classes| {
            let set = ImageSet::new(vec![0; pixels], shape, labels, names(classes));
            set.unwrap_err().to_string()
        };
        assert_eq!(
            error(11, [2, 1, 2], vec![0; 3], 2),
            "expected 12 pixel values for 3 labels, found 11"
        );
        assert_eq!(
            error(12, [2, 1, 2], vec![0, 2, 0], 2),
            "label 1: expected a value below 2, found 2"
        );
        assert!(error(0, [2, 0, 2], vec![], 2).contains("[2, 0, 2]"));
        assert!(error(0, [1, 1, 1], vec![], 0).contains("and 0"));
        assert!(error(0, [usize::MAX, 2, 2], vec![0], 1).contains("shape"));
    }

    #[test]
    fn soft_labels_are_checked() {
        let error = |rows: &[f32]| {
            three()
                .with_soft_labels(rows.to_vec())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(&[1.0; 5]), "expected 6 soft-label values, found 5");
        assert_eq!(
            error(&[1.0, 0.0, 0.5, 0.5, 0.5, 0.625]),
            "soft-label row 2: expected a sum of 1 ± 0.001, found 1.125"
        );
        assert_eq!(
            error(&[1.0, 0.0, -0.5, 1.5, 1.0, 0.0]),
            "soft-label row 1, class 0: expected a finite value of at least 0, found -0.5"
        );
        assert!(error(&[1.0, 0.0, 1.0, 0.0, f32::NAN, 0.0]).contains("row 2, class 0"));
        assert!(error(&[1.0, 0.0, 1.0, f32::INFINITY, 1.0, 0.0]).contains("row 1, class 1"));
        let rows = vec![1.0, 0.0, 0.2505, 0.75, 0.0, 1.0];
        let set = three().with_soft_labels(rows.clone()).unwrap();
        assert_eq!(set.soft_labels(), Some(&rows[..]));
        assert_eq!(set.take(2).soft_labels(), Some(&rows[..4]));
        assert_eq!(
            set.subset(&[2, 1]).unwrap().soft_labels(),
            Some(&[0.0, 1.0, 0.2505, 0.75][..])
        );
    }

    #[test]
    fn parts_of_a_set() {
        let set = three();
        assert_eq!(set.image(1), &[4, 5, 6, 7]);
        let first = set.take(2);
        assert_eq!((first.len(), first.labels()), (2, &[0, 1][..]));
        assert_eq!(first.pixels(), &[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(set.take(9).len(), 3);
        assert!(set.take(0).is_empty());
        let subset = set.subset(&[2, 0, 2]).unwrap();
        assert_eq!(subset.pixels(), &[8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
        assert_eq!(subset.labels(), &[1, 0, 1]);
        let error = first.subset(&[0, 2]).unwrap_err();
        assert_eq!(error.to_string(), "image 2 of a set of 2");
    }
}
