//! t-SNE.

use std::borrow::Cow;

use bhtsne::Neighbor;
use rayon::ThreadPoolBuilder;
use serde::{Deserialize, Serialize};

use super::pca::{check_whole, pca};
use crate::error::{MetricError, check_positive};

/// Settings of a layout by t-distributed stochastic neighbour embedding (van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008),
/// with Barnes-Hut approximation (van der Maaten, 2014).
///
/// It starts from the first two principal components and draws nothing: equal rows give equal layouts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TsneConfig {
    /// How many neighbours a point has, about; less than a third of the points. Fewer where there are fewer points.
    pub perplexity: f32,
    /// Steps of the descent.
    pub iterations: usize,
    /// How coarsely far points are lumped together, above 0; the smaller, the more exact.
    pub theta: f32,
}

impl Default for TsneConfig {
    /// Perplexity 30, 1,000 steps, theta 0.5.
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 1000,
            theta: 0.5,
        }
    }
}

/// Points in the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TsneLayout {
    /// A point for each row. Axes have no meaning, nor have distances between far groups.
    pub points: Vec<(f64, f64)>,
    /// The perplexity that was used.
    pub perplexity: f32,
}

impl TsneConfig {
    /// The layout of `rows`, `[n, dimensions]` one after the other.
    ///
    /// Rows that are all equal lie in one place. The unit of the rows makes no difference: very large
    /// and very small ones are measured in another one, because their squares are beyond f32.
    ///
    /// # Errors
    /// [`MetricError::Config`] for a setting out of range, [`MetricError::TooFew`] with fewer than five rows, [`MetricError::Count`] for an
    /// incomplete row, [`MetricError::Embedding`] for one that is not finite.
    pub fn fit(&self, rows: &[f32], dimensions: usize) -> Result<TsneLayout, MetricError> {
        check_least("perplexity", self.perplexity, 1.0, "must be 1 or more")?;
        check_least("theta", self.theta, f32::MIN_POSITIVE, "must be above 0")?;
        check_positive("dimensions", dimensions)?;
        check_whole(rows, dimensions)?;
        let count = rows.len() / dimensions;
        if count < 5 {
            return Err(MetricError::TooFew {
                what: "rows of a t-SNE",
                needed: 5,
                found: count,
            });
        }
        let perplexity = self.perplexity.min((count - 1) as f32 / 3.0 - 1e-3);
        let start = pca(rows, dimensions, dimensions.min(2))?;
        let spread = start.variance[0].sqrt();
        if spread == 0.0 {
            return Ok(TsneLayout {
                points: vec![(0.0, 0.0); count],
                perplexity,
            });
        }
        let start: Vec<f32> = start
            .projected
            .iter()
            .flat_map(|row| [row[0], row.get(1).copied().unwrap_or(0.0)])
            .map(|value| (value / spread * 1e-4) as f32)
            .collect();
        let rows = &in_a_fit_unit(rows)[..];
        let samples: Vec<&[f32]> = rows.chunks_exact(dimensions).collect();
        // One thread, so that sums have one order.
        let pool = ThreadPoolBuilder::new().num_threads(1).build();
        let pool = pool.map_err(|error| MetricError::Threads {
            reason: error.to_string(),
        })?;
        let points = pool.install(|| {
            let mut tsne = bhtsne::tSNE::<f32, &[f32], 2>::new(&samples);
            tsne.perplexity(perplexity)
                .epochs(self.iterations)
                .learning_rate((count as f32 / 12.0).max(50.0))
                .initial_embedding(start);
            tsne.barnes_hut_with_neighbors(self.theta, &neighbors(&samples, perplexity));
            tsne.embedding()
        });
        Ok(TsneLayout {
            points: points
                .chunks_exact(2)
                .map(|point| (f64::from(point[0]), f64::from(point[1])))
                .collect(),
            perplexity,
        })
    }
}

/// The rows, or the rows times a power of two if squares of their differences may be beyond f32.
fn in_a_fit_unit(rows: &[f32]) -> Cow<'_, [f32]> {
    let largest = rows
        .iter()
        .fold(0.0, |most: f32, value| most.max(value.abs()));
    if (1e-12..1e12).contains(&largest) {
        return Cow::Borrowed(rows);
    }
    // In f64, which holds every power of two that may be needed.
    let unit = 2f64.powi(-(f64::from(largest).log2().floor() as i32));
    let scaled = rows.iter().map(|&value| (f64::from(value) * unit) as f32);
    scaled.collect()
}

/// The nearest three times perplexity of each sample, and at least a hundred, by looking at all pairs: the tree that the descent comes with
/// draws from a generator that has no seed.
fn neighbors(samples: &[&[f32]], perplexity: f32) -> Vec<Vec<Neighbor<f32>>> {
    const LEAST: usize = 100;
    let count = ((3.0 * perplexity).ceil() as usize)
        .max(LEAST)
        .min(samples.len() - 1);
    let of = |index: usize| {
        let own = samples[index];
        let others = samples
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let distance = |sample: &[f32]| {
            let squares = own.iter().zip(sample).map(|(a, b)| (a - b) * (a - b));
            squares.sum::<f32>().sqrt()
        };
        let mut all: Vec<_> = others
            .map(|(index, sample)| Neighbor {
                index,
                distance: distance(sample),
            })
            .collect();
        let nearer = |a: &Neighbor<f32>, b: &Neighbor<f32>| {
            a.distance
                .total_cmp(&b.distance)
                .then(a.index.cmp(&b.index))
        };
        all.select_nth_unstable_by(count - 1, nearer);
        all.truncate(count);
        all.sort_by(nearer);
        all
    };
    (0..samples.len()).map(of).collect()
}

fn check_least(
    field: &'static str,
    value: f32,
    least: f32,
    reason: &'static str,
) -> Result<(), MetricError> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    Err(MetricError::Config {
        field,
        value: value.to_string(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Three groups of 40 points in ten dimensions, far from one another.
    fn groups() -> Vec<f32> {
        let value = |point: usize, dimension: usize| {
            let noise = (point * 7919 + dimension * 104_729) % 1024;
            noise as f32 / 1024.0 + if dimension == point % 3 { 12.0 } else { 0.0 }
        };
        (0..120)
            .flat_map(|point| (0..10).map(move |dimension| value(point, dimension)))
            .collect()
    }

    #[test]
    fn groups_stay_together_and_the_layout_is_the_same_again() {
        let config = TsneConfig {
            perplexity: 10.0,
            iterations: 500,
            ..TsneConfig::default()
        };
        let layout = config.fit(&groups(), 10).unwrap();
        let distance = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1);
        for (index, point) in layout.points.iter().enumerate() {
            let others = layout
                .points
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let nearest =
                others.min_by(|a, b| distance(*point, *a.1).total_cmp(&distance(*point, *b.1)));
            assert_eq!(nearest.unwrap().0 % 3, index % 3, "point {index}");
        }
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| config.fit(&groups(), 10)).unwrap(), layout);
    }

    #[test]
    fn few_points_have_fewer_neighbours() {
        let rows: Vec<f32> = (0..12).map(|value| (value * value % 7) as f32).collect();
        let layout = TsneConfig::default().fit(&rows, 2).unwrap();
        assert_eq!(layout.points.len(), 6);
        assert!(layout.perplexity < 5.0 / 3.0);
        assert!(
            layout
                .points
                .iter()
                .all(|(x, y)| x.is_finite() && y.is_finite())
        );
        assert!(TsneConfig::default().fit(&rows[..8], 2).is_err());
        for (perplexity, theta) in [
            (0.0, 0.5),
            (30.0, 0.0),
            (f32::NAN, 0.5),
            (30.0, f32::INFINITY),
        ] {
            let config = TsneConfig {
                perplexity,
                theta,
                ..TsneConfig::default()
            };
            assert!(config.fit(&rows, 2).is_err(), "{perplexity} {theta}");
        }
    }
}
