use crate::ImageSet;

/// Some images of a set with their labels, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The epoch that the batch belongs to.
    pub epoch: u64,
    /// The batch's number in its epoch.
    pub index: usize,
    /// The sample ids: positions in the loader's set.
    pub ids: Vec<u64>,
    /// The bytes of the images: image, channel, row, column.
    pub images: Vec<u8>,
    /// Images, channels, height, width.
    pub shape: [usize; 4],
    /// The labels.
    pub labels: Vec<u16>,
    /// The distributions over the classes, row by row, where the set has them.
    pub soft_labels: Option<Vec<f32>>,
}

impl Batch {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image; no loader gives such a batch.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images of `set` at `positions`.
    pub(super) fn gather(set: &ImageSet, epoch: u64, index: usize, positions: &[usize]) -> Self {
        let (images, labels, soft_labels) = set.gather(positions);
        let [channels, height, width] = set.shape();
        Self {
            epoch,
            index,
            ids: positions.iter().map(|&position| position as u64).collect(),
            images,
            shape: [positions.len(), channels, height, width],
            labels,
            soft_labels,
        }
    }
}
