use std::collections::HashMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{CoreError, check_count, check_indices};

/// The samples that each image of a batch is told apart from: the same number of ids of the training set for each.
///
/// All are among some candidates of the batch; of each image and each candidate is known how often it counts.
#[derive(Debug, Clone)]
pub struct Negatives {
    candidates: Vec<usize>,
    rows: Rows,
    count: usize,
    pub(super) samples: usize,
}

#[derive(Debug, Clone)]
enum Rows {
    /// How often each candidate counts, image by image.
    Chosen(Vec<f32>),
    /// Candidates of other classes than the image's.
    Others {
        /// Of the candidates.
        classes: Vec<u32>,
        images: Vec<Others>,
    },
}

/// What counts for an image: candidates of other classes, all of them `rounds` times, and those before `end` once more.
#[derive(Debug, Clone, Copy)]
struct Others {
    class: u32,
    rounds: usize,
    end: usize,
}

impl Negatives {
    /// Ids chosen by the caller, the same number for each image. An id that comes twice counts twice.
    ///
    /// # Errors
    ///
    /// [`CoreError::Index`] if an id is not below `samples`, [`CoreError::Shape`] if there are none or rows differ in length.
    pub fn new(ids: &[Vec<usize>], samples: usize) -> Result<Self, CoreError> {
        let count = ids.first().map_or(0, Vec::len);
        check_count("negatives", count, 1, "[1, inf)")?;
        for row in ids {
            if row.len() != count {
                return Err(CoreError::Shape {
                    what: "negatives of an image",
                    found: row.len().to_string(),
                    expected: format!("{count}, as of the first"),
                });
            }
            check_indices("negatives", row, samples)?;
        }
        let mut place = vec![None; samples];
        let mut candidates = Vec::new();
        for &id in ids.iter().flatten() {
            place[id].get_or_insert_with(|| {
                candidates.push(id);
                candidates.len() - 1
            });
        }
        let mut weights = vec![0.0; ids.len() * candidates.len()];
        for (weights, row) in weights.chunks_mut(candidates.len()).zip(ids) {
            for place in row.iter().filter_map(|&id| place[id]) {
                weights[place] += 1.0;
            }
        }
        Ok(Self {
            candidates,
            rows: Rows::Chosen(weights),
            count,
            samples,
        })
    }

    /// Images and negatives of each.
    pub fn dims(&self) -> [usize; 2] {
        let images = match &self.rows {
            Rows::Chosen(weights) => weights.len() / self.candidates.len(),
            Rows::Others { images, .. } => images.len(),
        };
        [images, self.count]
    }

    /// The samples among which all negatives are, each once.
    pub fn candidates(&self) -> &[usize] {
        &self.candidates
    }

    /// The negatives of one image, in the order of the candidates.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn row(&self, image: usize) -> Vec<usize> {
        let mut weights = vec![0.0; self.candidates.len()];
        self.weigh(image, 0, &mut weights);
        let counted = self.candidates.iter().zip(weights);
        counted
            .flat_map(|(&id, weight)| std::iter::repeat_n(id, weight as usize))
            .collect()
    }

    /// How often each candidate counts, image by image.
    pub(super) fn weights(&self) -> Vec<f32> {
        let [images, _] = self.dims();
        let candidates = self.candidates.len();
        let mut weights = vec![0.0; images * candidates];
        for (image, row) in weights.chunks_mut(candidates).enumerate() {
            self.weigh(image, 0, row);
        }
        weights
    }

    /// How often the candidates from `first` on count for an image.
    #[inline(always)]
    pub(super) fn weigh(&self, image: usize, first: usize, weights: &mut [f32]) {
        match &self.rows {
            Rows::Chosen(chosen) => {
                let start = image * self.candidates.len() + first;
                weights.copy_from_slice(&chosen[start..][..weights.len()]);
            }
            Rows::Others { classes, images } => {
                let Others { class, rounds, end } = images[image];
                let before = end.saturating_sub(first).min(weights.len());
                let classes = &classes[first..][..weights.len()];
                let mut weigh = |from: usize, to: usize, weight: f32| {
                    for (weight_of, &other) in weights[from..to].iter_mut().zip(&classes[from..to])
                    {
                        *weight_of = if other == class { 0.0 } else { weight };
                    }
                };
                weigh(0, before, (rounds + 1) as f32);
                weigh(before, classes.len(), rounds as f32);
            }
        }
    }
}

/// Draws negatives: samples of other classes, each equally likely, none twice as long as there are enough.
///
/// The candidates of a batch are the beginning of a shuffled training set, as long as it must be for `count` of them to be of
/// other classes than any image's; an image's negatives are the first `count` that are not of its own. So each image has what the reference code
/// draws for it, a uniform subset of the other classes' samples; that code draws one for each image and gathers it. Here images of
/// a batch share theirs, their scores are one product of matrices, and a batch costs one random number a candidate.
///
/// The shuffle is a function of *(seed, step)*, and so an image's negatives of *(seed, step, its class)*: neither the batch nor what was
/// drawn before matters.
#[derive(Debug, Clone)]
pub struct NegativeSampler {
    /// Of each sample, from 0 without gaps.
    classes: Vec<u32>,
    /// Samples of each class.
    sizes: Vec<usize>,
    count: usize,
    seed: u64,
}

impl NegativeSampler {
    /// Negatives of other classes, `count` for each image.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if `count` is 0, or all samples are of one class.
    pub fn new(labels: &[usize], count: usize, seed: u64) -> Result<Self, CoreError> {
        check_count("negatives", count, 1, "[1, inf)")?;
        let mut numbers = HashMap::new();
        let mut sizes: Vec<usize> = Vec::new();
        let classes: Vec<u32> = labels
            .iter()
            .map(|label| {
                let class = *numbers.entry(label).or_insert(sizes.len());
                if class == sizes.len() {
                    sizes.push(0);
                }
                sizes[class] += 1;
                class as u32
            })
            .collect();
        check_count("classes", sizes.len(), 2, "[2, inf)")?;
        Ok(Self {
            classes,
            sizes,
            count,
            seed,
        })
    }

    /// Negatives that are any other sample, of the same class too: for data without labels.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] if `count` is 0 or there are fewer than two samples.
    pub fn any_other(samples: usize, count: usize, seed: u64) -> Result<Self, CoreError> {
        Self::new(&(0..samples).collect::<Vec<_>>(), count, seed)
    }

    /// The negatives of a batch at a step.
    ///
    /// # Errors
    ///
    /// [`CoreError::Index`] if an index is not that of a sample.
    pub fn draw(&self, step: u64, indices: &[usize]) -> Result<Negatives, CoreError> {
        let samples = self.classes.len();
        check_indices("negatives", indices, samples)?;
        let mut in_batch = vec![false; self.sizes.len()];
        for &index in indices {
            in_batch[self.classes[index] as usize] = true;
        }
        // Fisher and Yates, until every class of the batch has enough.
        let mut candidates: Vec<usize> = (0..samples).collect();
        let mut stream = stream(self.seed, step);
        let mut met = vec![0usize; self.sizes.len()];
        let (mut len, mut most) = (0, 0);
        while len < samples && len - most < self.count {
            candidates.swap(len, len + below(&mut stream, samples - len));
            let class = self.classes[candidates[len]] as usize;
            met[class] += 1;
            if in_batch[class] {
                most = most.max(met[class]);
            }
            len += 1;
        }
        candidates.truncate(len);
        let classes: Vec<u32> = candidates.iter().map(|&id| self.classes[id]).collect();

        let mut found = HashMap::new();
        let images = indices.iter().map(|&index| {
            let class = self.classes[index];
            *found.entry(class).or_insert_with(|| {
                let others = len - met[class as usize];
                let (rounds, rest) = (self.count / others, self.count % others);
                // Enough for one round and no more, or in several rounds all.
                let (rounds, mut surplus) = match rest {
                    0 => (rounds - 1, 0),
                    rest => (rounds, others - rest),
                };
                let mut end = len;
                while surplus > 0 {
                    end -= 1;
                    surplus -= usize::from(classes[end] != class);
                }
                Others { class, rounds, end }
            })
        });
        let images = images.collect();
        Ok(Negatives {
            candidates,
            rows: Rows::Others { classes, images },
            count: self.count,
            samples,
        })
    }
}

/// Uniform below `length`, from the high bits of a product.
fn below(stream: &mut ChaCha8Rng, length: usize) -> usize {
    ((u128::from(stream.next_u64()) * length as u128) >> 64) as usize
}

fn stream(seed: u64, step: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, step, 0x6372_6400]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    fn rows(negatives: &Negatives) -> Vec<Vec<usize>> {
        let [images, _] = negatives.dims();
        (0..images).map(|i| negatives.row(i)).collect()
    }

    proptest! {
        #[test]
        fn negatives_are_of_other_classes_and_none_comes_twice(
            labels in prop::collection::vec(0usize..5, 2..400),
            count in 1usize..300,
            seed: u64,
            step: u64,
        ) {
            let Ok(sampler) = NegativeSampler::new(&labels, count, seed) else {
                prop_assert!(labels.iter().all(|label| *label == labels[0]));
                return Ok(());
            };
            let indices: Vec<usize> = (0..labels.len()).step_by(7).collect();
            let drawn = sampler.draw(step, &indices).unwrap();
            let candidates: HashSet<_> = drawn.candidates().iter().collect();
            prop_assert_eq!(candidates.len(), drawn.candidates().len());
            let drawn = rows(&drawn);
            for (&index, row) in indices.iter().zip(drawn) {
                prop_assert_eq!(row.len(), count);
                prop_assert!(row.iter().all(|&id| labels[id] != labels[index]));
                let others = labels.iter().filter(|label| **label != labels[index]).count();
                let distinct = row.iter().collect::<HashSet<_>>().len();
                prop_assert_eq!(distinct, count.min(others));
            }
        }
    }

    #[test]
    fn each_other_sample_is_equally_likely() {
        let labels: Vec<usize> = (0..90).map(|i| i % 3).collect();
        let sampler = NegativeSampler::new(&labels, 20, 1).unwrap();
        let mut seen = [0usize; 90];
        let draws = 3000;
        for step in 0..draws {
            let drawn = sampler.draw(step, &[4]).unwrap();
            rows(&drawn)[0].iter().for_each(|&id| seen[id] += 1);
        }
        // Binomial: mean 3000 * 20 / 60 = 1000, deviation sqrt(3000 / 3 * 2 / 3) = 26; five of them on either side.
        for (id, count) in seen.into_iter().enumerate() {
            if labels[id] == 1 {
                assert_eq!(count, 0);
            } else {
                assert!((870..1130).contains(&count), "sample {id}: {count}");
            }
        }
    }

    #[test]
    fn a_row_depends_on_seed_step_and_class_alone() {
        let labels: Vec<usize> = (0..50).map(|i| i % 4).collect();
        let row = |seed, step, batch: &[usize], place: usize| {
            let sampler = NegativeSampler::new(&labels, 10, seed).unwrap();
            sampler.draw(step + 1, &[1]).unwrap();
            sampler.draw(step, batch).unwrap().row(place)
        };
        let alone = row(3, 7, &[20], 0);
        assert_eq!(alone, row(3, 7, &[5, 6, 20], 2));
        assert_ne!(alone, row(3, 8, &[20], 0));
        assert_ne!(alone, row(4, 7, &[20], 0));
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(NegativeSampler::new(&[1, 1, 1], 2, 0).is_err());
        assert!(NegativeSampler::new(&[], 2, 0).is_err());
        assert!(NegativeSampler::new(&[0, 1], 0, 0).is_err());
        assert!(NegativeSampler::any_other(1, 2, 0).is_err());
        let sampler = NegativeSampler::any_other(5, 2, 0).unwrap();
        let error = sampler.draw(0, &[2, 5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "negatives: index 5 is outside of the 5 samples"
        );
        let ragged = Negatives::new(&[vec![1, 2], vec![1]], 5);
        assert!(matches!(ragged, Err(CoreError::Shape { .. })));
        let outside = Negatives::new(&[vec![1, 9]], 5);
        assert!(matches!(
            outside,
            Err(CoreError::Index {
                index: 9,
                len: 5,
                ..
            })
        ));
    }
}
