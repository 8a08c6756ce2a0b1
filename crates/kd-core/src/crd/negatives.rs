use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{CoreError, check_count, check_indices};

/// How many ids of a row are told apart by their first table; the others are offsets from it.
const STEP: usize = 128;

/// The samples that each image of a batch is told apart from: `[batch, count]` ids of the training set.
#[derive(Debug, Clone)]
pub struct Negatives {
    pub(super) ids: Tensor<2, Int>,
    pub(super) samples: usize,
}

impl Negatives {
    /// Ids chosen by the caller, the same number for each image.
    ///
    /// # Errors
    ///
    /// [`CoreError::Index`] if an id is not below `samples`, [`CoreError::Shape`] if there are none or rows differ in length.
    pub fn new(ids: &[Vec<usize>], samples: usize, device: &Device) -> Result<Self, CoreError> {
        let count = ids.first().map_or(0, Vec::len);
        check_count("negatives", count, 1, "[1, inf)")?;
        let mut numbers = Vec::with_capacity(ids.len() * count);
        for row in ids {
            if row.len() != count {
                return Err(CoreError::Shape {
                    what: "negatives of an image",
                    found: row.len().to_string(),
                    expected: format!("{count}, as of the first"),
                });
            }
            check_indices("negatives", row, samples)?;
            numbers.extend(row.iter().map(|&id| id as i64));
        }
        let data = TensorData::new(numbers, [ids.len(), count]);
        Ok(Self {
            ids: Tensor::from_data(data, &device.clone().without_autodiff()),
            samples,
        })
    }

    /// The ids: `[batch, count]`.
    pub fn ids(&self) -> Tensor<2, Int> {
        self.ids.clone()
    }
}

/// Draws negatives: samples of other classes, each equally likely, none twice as long as there are enough.
///
/// The training set is laid out class by class, shuffled within each. An image's negatives are a walk through what lies outside of its
/// own class, from a random start with a random stride that has no common divisor with the length: systematic sampling. So a row
/// costs two random numbers on the host and a few integer operations on the device, and meets all classes evenly. The reference code
/// draws each row independently on the host, which takes longer than the training step.
///
/// Start and stride are functions of *(seed, step, sample)*: neither the batch nor what was drawn before matters.
#[derive(Debug, Clone)]
pub struct NegativeSampler {
    /// Ids, class by class.
    order: Vec<usize>,
    /// Where the class of each sample begins in `order`, and its length.
    class: Vec<(usize, usize)>,
    count: usize,
    seed: u64,
    on_device: Option<Tensor<1, Int>>,
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
            order,
            class,
            count,
            seed,
            on_device: None,
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
    pub fn draw(
        &mut self,
        step: u64,
        indices: &[usize],
        device: &Device,
    ) -> Result<Negatives, CoreError> {
        let samples = self.order.len();
        check_indices("negatives", indices, samples)?;
        let device = device.clone().without_autodiff();
        let (batch, blocks) = (indices.len(), self.count.div_ceil(STEP));
        let mut starts = Vec::with_capacity(batch * blocks);
        let mut offsets = Vec::with_capacity(batch * STEP);
        let mut limits = Vec::with_capacity(batch * 3);
        for &index in indices {
            let (class, len) = self.class[index];
            let others = samples - len;
            let mut stream = stream(self.seed, step, index as u64);
            let start = below(&mut stream, others);
            let stride = unit(&mut stream, others);
            starts.extend((0..blocks).map(|k| ((start + k * STEP * stride) % others) as i64));
            offsets.extend((0..STEP).map(|k| (k * stride % others) as i64));
            limits.push([others as i64, class as i64, len as i64]);
        }
        let from = |numbers: Vec<i64>, shape: [usize; 3]| {
            Tensor::<3, Int>::from_data(TensorData::new(numbers, shape), &device)
        };
        let walk = from(starts, [batch, blocks, 1]) + from(offsets, [batch, 1, STEP]);
        let walk = walk
            .reshape([batch, blocks * STEP])
            .narrow(1, 0, self.count);
        let limit = |i: usize| {
            let column: Vec<i64> = limits.iter().map(|limits| limits[i]).collect();
            Tensor::<2, Int>::from_data(TensorData::new(column, [batch, 1]), &device)
        };
        // Around the end, then over the own class.
        let around = walk.clone().greater_equal(limit(0).expand(walk.dims()));
        let walk = walk - around.int() * limit(0);
        let over = walk.clone().greater_equal(limit(1).expand(walk.dims()));
        let walk = walk + over.int() * limit(2);
        let order = self.order_on(&device);
        let ids = order
            .select(0, walk.reshape([batch * self.count]))
            .reshape([batch, self.count]);
        Ok(Negatives { ids, samples })
    }

    fn order_on(&mut self, device: &Device) -> Tensor<1, Int> {
        match &self.on_device {
            Some(order) if order.device() == *device => order.clone(),
            _ => {
                let ids: Vec<i64> = self.order.iter().map(|&id| id as i64).collect();
                let len = ids.len();
                let order = Tensor::from_data(TensorData::new(ids, [len]), device);
                self.on_device.insert(order).clone()
            }
        }
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
        let [_, count] = negatives.ids.dims();
        let ids = negatives.ids().into_data();
        let ids: Vec<usize> = ids.iter::<i64>().map(|id| id as usize).collect();
        ids.chunks(count).map(<[usize]>::to_vec).collect()
    }

    proptest! {
        #[test]
        fn negatives_are_of_other_classes_and_none_comes_twice(
            labels in prop::collection::vec(0usize..5, 2..400),
            count in 1usize..300,
            seed: u64,
            step: u64,
        ) {
            let Ok(mut sampler) = NegativeSampler::new(&labels, count, seed) else {
                prop_assert!(labels.iter().all(|label| *label == labels[0]));
                return Ok(());
            };
            let indices: Vec<usize> = (0..labels.len()).step_by(7).collect();
            let drawn = rows(&sampler.draw(step, &indices, &Device::flex()).unwrap());
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
        let mut sampler = NegativeSampler::new(&labels, 20, 1).unwrap();
        let mut seen = [0usize; 90];
        let draws = 3000;
        for step in 0..draws {
            let drawn = sampler.draw(step, &[4], &Device::flex()).unwrap();
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
        let device = Device::flex();
        let row = |seed, step, batch: &[usize], place: usize| {
            let mut sampler = NegativeSampler::new(&labels, 10, seed).unwrap();
            sampler.draw(step + 1, &[1], &device).unwrap();
            rows(&sampler.draw(step, batch, &device).unwrap())[place].clone()
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
        let mut sampler = NegativeSampler::any_other(5, 2, 0).unwrap();
        let error = sampler.draw(0, &[2, 5], &Device::flex()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "negatives: index 5 is outside of the 5 samples"
        );
        let ragged = Negatives::new(&[vec![1, 2], vec![1]], 5, &Device::flex());
        assert!(matches!(ragged, Err(CoreError::Shape { .. })));
        let outside = Negatives::new(&[vec![1, 9]], 5, &Device::flex());
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
