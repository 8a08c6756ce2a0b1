//! Images of one class: who stands for whom in a view of the same class.

use kd_data::ImageSet;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The images of each class.
pub(crate) struct Siblings {
    classes: Vec<Vec<u64>>,
    /// Of each image.
    class: Vec<u16>,
}

impl Siblings {
    pub(crate) fn of(set: &ImageSet) -> Self {
        let mut classes = vec![Vec::new(); set.classes()];
        for (id, label) in (0_u64..).zip(set.labels()) {
            classes[usize::from(*label)].push(id);
        }
        Self {
            classes,
            class: set.labels().to_vec(),
        }
    }

    /// Draws another image of the class of an image, uniformly; the image itself if there is no
    /// other. A function of its arguments alone.
    pub(crate) fn draw(&self, seed: u64, epoch: u64, view: u32, id: u64) -> u64 {
        let class = &self.classes[usize::from(self.class[id as usize])];
        if class.len() < 2 {
            return id;
        }
        let mut name = [0; 32];
        name[..8].copy_from_slice(&seed.to_le_bytes());
        name[8..16].copy_from_slice(&epoch.to_le_bytes());
        name[16..20].copy_from_slice(&view.to_le_bytes());
        name[24..].copy_from_slice(&id.to_le_bytes());
        // One of the others: the last of the class stands in for the image itself.
        let drawn =
            class[ChaCha8Rng::from_seed(name).random_range(0..class.len() as u64 - 1) as usize];
        match drawn == id {
            true => class[class.len() - 1],
            false => drawn,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(labels: Vec<u16>) -> ImageSet {
        let names = ["a", "b"].map(String::from).to_vec();
        ImageSet::new(vec![0; labels.len()], [1, 1, 1], labels, names).unwrap()
    }

    #[test]
    fn every_other_image_of_the_class_is_as_likely() {
        let siblings = Siblings::of(&set(vec![0, 1, 0, 0, 0, 1]));
        let mut counts = [0_u32; 6];
        for epoch in 0..6000 {
            counts[siblings.draw(1, epoch, 3, 2) as usize] += 1;
        }
        assert_eq!([counts[1], counts[2], counts[5]], [0; 3]);
        for count in [counts[0], counts[3], counts[4]] {
            // Four standard deviations of a binomial of 6,000 and 1/3.
            assert!((i64::from(count) - 2000).abs() < 146, "{counts:?}");
        }
    }

    #[test]
    fn an_image_alone_stands_for_itself() {
        let siblings = Siblings::of(&set(vec![0, 1, 1]));
        assert_eq!(siblings.draw(0, 0, 0, 0), 0);
        assert_eq!(siblings.draw(0, 0, 0, 1), 2);
        assert_eq!(siblings.draw(0, 0, 0, 2), 1);
    }
}
