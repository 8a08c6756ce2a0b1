//! An endless set of simple pictures, drawn from a seed.

mod canvas;
mod distance;
mod nuisance;
mod outline;
mod scene;

pub use nuisance::Nuisance;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::stream::Stream;
use crate::{DataError, ImageSet, Split};
use canvas::SIDE;

const IMAGE_SIZE: usize = 3 * SIDE * SIDE;

/// Settings of [`Shapes`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapesConfig {
    /// The seed that all pictures come from.
    pub seed: u64,
    /// What hides the shapes.
    #[serde(default)]
    pub nuisance: Nuisance,
}

impl ShapesConfig {
    /// The usual pictures under `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            nuisance: Nuisance::default(),
        }
    }

    /// Hides the shapes in another way.
    pub fn with_nuisance(mut self, nuisance: Nuisance) -> Self {
        self.nuisance = nuisance;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// When a [`Nuisance`] is outside its range.
    pub fn init(self) -> Result<Shapes, DataError> {
        self.nuisance.check()?;
        Ok(Shapes {
            seed: self.seed,
            nuisance: self.nuisance,
        })
    }
}

/// Ten classes of 32×32 RGB pictures that need no download: disc, ring, crescent, half-disc, triangle, square, star, cross, bars, arrow.
///
/// Each picture shows one shape, lighter than its background, at a random place, size, turn and colour, among strokes, under
/// a band that hides part of it, and with noise. A linear classifier stays under 60 % and a small residual network passes 90 %.
///
/// Picture number *i* of a split depends on (seed, split, *i*) alone: a set of 4,000 begins with the set of 1,000, for any number of threads
/// and, as only operations that IEEE rounds correctly are used, on any machine. The label is *i* mod 10: every class is equally frequent.
///
/// ```
/// use kd_data::{Shapes, Split};
///
/// let train = Shapes::render(7, Split::Train, 100);
/// assert_eq!(train.shape(), [3, 32, 32]);
/// assert_eq!(train.class_names()[usize::from(train.labels()[6])], "star");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Shapes {
    seed: u64,
    nuisance: Nuisance,
}

impl Shapes {
    /// The first `len` pictures of a split under the default [`Nuisance`].
    pub fn render(seed: u64, split: Split, len: usize) -> ImageSet {
        let nuisance = Nuisance::default();
        Self { seed, nuisance }.images(split, len)
    }

    /// The first `len` pictures of a split.
    pub fn images(&self, split: Split, len: usize) -> ImageSet {
        let mut pixels = vec![0; len * IMAGE_SIZE];
        pixels
            .par_chunks_exact_mut(IMAGE_SIZE)
            .enumerate()
            .for_each(|(index, image)| {
                let part = match split {
                    Split::Train => 0,
                    Split::Test => 1,
                };
                let mut stream = Stream::new(b"kd-data shapes 1", self.seed, part, index as u64);
                scene::paint(label(index), &self.nuisance, &mut stream, image);
            });
        let labels = (0..len).map(|index| label(index) as u16).collect();
        let names = outline::NAMES.map(String::from).to_vec();
        #[expect(clippy::expect_used, reason = "counts and labels fit by construction")]
        ImageSet::new(pixels, [3, SIDE, SIDE], labels, names)
            .expect("a set of rendered shapes is valid")
    }
}

fn label(index: usize) -> usize {
    index % outline::NAMES.len()
}
