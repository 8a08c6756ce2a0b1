use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{CoreError, check_count, check_indices};

/// How many ids of a row are told apart by their first table; the others are offsets from it.
const STEP: usize = 128;

/// The samples that each image of a batch is told apart from: the same number of ids of the training set for each.
#[derive(Debug, Clone)]
pub struct Negatives {
    rows: Rows,
    count: usize,
    pub(super) samples: usize,
}

#[derive(Debug, Clone)]
enum Rows {
    Chosen(Vec<Vec<usize>>),
    Walks { walks: Vec<Walk>, order: Arc<Order> },
}

/// A walk through all samples but those of one class, which lie side by side.
#[derive(Debug, Clone, Copy)]
struct Walk {
    start: usize,
    stride: usize,
    /// Samples of other classes.
    others: usize,
    /// Where the class begins, and its length.
    class: (usize, usize),
}

/// All samples, class by class.
#[derive(Debug)]
struct Order {
    ids: Vec<usize>,
    /// Where the class of each sample begins, and its length.
    class: Vec<(usize, usize)>,
}

impl Negatives {
    /// Ids chosen by the caller, the same number for each image.
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
        Ok(Self {
            rows: Rows::Chosen(ids.to_vec()),
            count,
            samples,
        })
    }

    /// Images and negatives of each.
    pub fn dims(&self) -> [usize; 2] {
        let images = match &self.rows {
            Rows::Chosen(rows) => rows.len(),
            Rows::Walks { walks, .. } => walks.len(),
        };
        [images, self.count]
    }

    /// The negatives of one image, in their order.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn row(&self, image: usize) -> Vec<usize> {
        let mut row = Vec::with_capacity(self.count);
        self.in_blocks::<128>(image, |ids| row.extend_from_slice(ids));
        row
    }

    /// The same, `N` at a time.
    pub(super) fn in_blocks<const N: usize>(&self, image: usize, mut block: impl FnMut(&[usize])) {
        let (walks, order) = match &self.rows {
            Rows::Chosen(rows) => return rows[image].chunks(N).for_each(block),
            Rows::Walks { walks, order } => (walks, order),
        };
        let walk = walks[image];
        let (class, len) = walk.class;
        let (mut place, mut ids) = (walk.start, [0; N]);
        for first in (0..self.count).step_by(N) {
            let ids = &mut ids[..N.min(self.count - first)];
            for id in ids.iter_mut() {
                let at = if place < class { place } else { place + len };
                *id = order.ids[at];
                place += walk.stride;
                if place >= walk.others {
                    place -= walk.others;
                }
            }
            block(ids);
        }
    }

    /// The ids as a tensor, `[images, negatives]`, made by a few operations on the device.
    pub fn ids(&self, device: &Device) -> Tensor<2, Int> {
        match &self.rows {
            Rows::Chosen(rows) => {
                let ids: Vec<i64> = rows.iter().flatten().map(|&id| id as i64).collect();
                Tensor::from_data(TensorData::new(ids, self.dims()), device)
            }
            Rows::Walks { walks, order } => on_device(walks, order, self.count, device),
        }
    }
}

/// The ids of all walks: their places as sums of two tables, so that no product of stride and step can overflow.
fn on_device(walks: &[Walk], order: &Order, count: usize, device: &Device) -> Tensor<2, Int> {
    let (batch, blocks) = (walks.len(), count.div_ceil(STEP));
    let column = |of: &dyn Fn(&Walk) -> usize| {
        let numbers: Vec<i64> = walks.iter().map(|walk| of(walk) as i64).collect();
        Tensor::<2, Int>::from_data(TensorData::new(numbers, [batch, 1]), device)
    };
    let table = |len: usize, shape: [usize; 3], of: &dyn Fn(&Walk, usize) -> usize| {
        let numbers = walks
            .iter()
            .flat_map(|walk| (0..len).map(move |k| (of(walk, k) % walk.others) as i64));
        Tensor::<3, Int>::from_data(TensorData::new(numbers.collect(), shape), device)
    };
    let starts = table(blocks, [batch, blocks, 1], &|walk, k| {
        walk.start + k * STEP * walk.stride
    });
    let offsets = table(STEP, [batch, 1, STEP], &|walk, k| k * walk.stride);
    let places = (starts + offsets)
        .reshape([batch, blocks * STEP])
        .narrow(1, 0, count);
    // Around the end, then over the own class.
    let beyond = |places: Tensor<2, Int>, limit: Tensor<2, Int>| {
        let shape = places.dims();
        places.greater_equal(limit.expand(shape)).int()
    };
    let others = column(&|walk| walk.others);
    let places = places.clone() - beyond(places, others.clone()) * others;
    let over = beyond(places.clone(), column(&|walk| walk.class.0));
    let places = places + over * column(&|walk| walk.class.1);
    let ids: Vec<i64> = order.ids.iter().map(|&id| id as i64).collect();
    let samples = ids.len();
    Tensor::<1, Int>::from_data(TensorData::new(ids, [samples]), device)
        .select(0, places.reshape([batch * count]))
        .reshape([batch, count])
}

/// Draws negatives: samples of other classes, each equally likely, none twice as long as there are enough.
///
/// The training set is laid out class by class, shuffled within each. An image's negatives are a walk through what lies outside of its
/// own class, from a random start with a random stride that has no common divisor with the length: systematic sampling. So a row
/// costs two random numbers on the host, its ids are made where they are used, and it meets all classes evenly. The reference code
/// draws each row independently on the host, which takes longer than the training step.
///
/// Start and stride are functions of *(seed, step, sample)*: neither the batch nor what was drawn before matters.
#[derive(Debug, Clone)]
pub struct NegativeSampler {
    order: Arc<Order>,
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
        let mut order: Vec<usize> = (0..labels.len()).collect();
        let mut stream = stream(seed, u64::MAX, 0);
        // Shuffled as a whole and then sorted by class, which keeps the shuffled order within each.
        for i in (1..order.len()).rev() {
            order.swap(i, below(&mut stream, i + 1));
        }
        order.sort_by_key(|&id| labels[id]);
        let mut class = vec![(0, 0); labels.len()];
        let mut start = 0;
        for run in order.chunk_by(|&a, &b| labels[a] == labels[b]) {
            for &id in run {
                class[id] = (start, run.len());
            }
            start += run.len();
        }
        if class.iter().any(|&(_, len)| len == labels.len()) || labels.is_empty() {
            return Err(CoreError::OutOfRange {
                field: "classes",
                value: if labels.is_empty() { 0.0 } else { 1.0 },
                range: "[2, inf)",
            });
        }
        Ok(Self {
            order: Arc::new(Order { ids: order, class }),
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
        let samples = self.order.ids.len();
        check_indices("negatives", indices, samples)?;
        let walk = |&index: &usize| {
            let class = self.order.class[index];
            let others = samples - class.1;
            let mut stream = stream(self.seed, step, index as u64);
            Walk {
                start: below(&mut stream, others),
                stride: unit(&mut stream, others),
                others,
                class,
            }
        };
        Ok(Negatives {
            rows: Rows::Walks {
                walks: indices.iter().map(walk).collect(),
                order: Arc::clone(&self.order),
            },
            count: self.count,
            samples,
        })
    }
}

/// A number without common divisor with `length`, below it (1 for lengths of 1 and 2).
fn unit(stream: &mut ChaCha8Rng, length: usize) -> usize {
    fn divisor(a: usize, b: usize) -> usize {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    if length < 3 {
        return 1;
    }
    loop {
        let stride = 1 + below(stream, length - 1);
        if divisor(stride, length) == 1 {
            return stride;
        }
    }
}

/// Uniform below `length`, from the high bits of a product.
fn below(stream: &mut ChaCha8Rng, length: usize) -> usize {
    ((u128::from(stream.next_u64()) * length as u128) >> 64) as usize
}

fn stream(seed: u64, step: u64, sample: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key
        .chunks_exact_mut(8)
        .zip([seed, step, sample, 0x6372_6400])
    {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
            let on_device = drawn.ids(&Device::flex()).into_data();
            let on_device: Vec<usize> = on_device.iter::<i64>().map(|id| id as usize).collect();
            let drawn = rows(&drawn);
            prop_assert_eq!(drawn.concat(), on_device);
            for (&index, row) in indices.iter().zip(drawn) {
                prop_assert_eq!(row.len(), count);
                prop_assert!(row.iter().all(|&id| labels[id] != labels[index]));
                let others = labels.iter().filter(|label| **label != labels[index]).count();
                let distinct = row.iter().collect::<std::collections::HashSet<_>>().len();
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
    fn a_row_depends_on_seed_step_and_sample_alone() {
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
