//! Principal component analysis.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use crate::error::{MetricError, check_positive, expect_count};

/// Principal components of some rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// The rows in the coordinates of the components, `[rows][components]`. Of each component the entry of largest size points to the
    /// positive side, so that signs do not depend on the solver.
    pub projected: Vec<Vec<f64>>,
    /// Unbiased variance along each component, the largest first.
    pub variance: Vec<f64>,
    /// The share of the whole variance, in [0, 1]; 0 where nothing varies.
    pub share: Vec<f64>,
}

/// Principal components of `rows`, `[n, dimensions]` one after the other: eigenvectors of the smaller of the two Gram matrices of the centred
/// rows (dimensions² or n²), in `f64`.
///
/// # Errors
/// [`MetricError::Config`] without components or with more than dimensions, [`MetricError::TooFew`] with fewer than two rows,
/// [`MetricError::Count`] for an incomplete row, [`MetricError::Embedding`] for one that is not finite.
pub fn pca(rows: &[f32], dimensions: usize, components: usize) -> Result<Pca, MetricError> {
    check_positive("components", components)?;
    check_positive("dimensions", dimensions)?;
    if components > dimensions {
        return Err(MetricError::Config {
            field: "components",
            value: components.to_string(),
            reason: "must not be more than the dimensions",
        });
    }
    check_whole(rows, dimensions)?;
    let count = rows.len() / dimensions;
    if count < 2 {
        return Err(MetricError::TooFew {
            what: "rows of a principal component analysis",
            needed: 2,
            found: count,
        });
    }
    let mut centred =
        DMatrix::from_row_iterator(count, dimensions, rows.iter().map(|&x| f64::from(x)));
    let means = centred.row_mean();
    for mut row in centred.row_iter_mut() {
        row -= &means;
    }
    let wide = dimensions > count;
    let gram = if wide {
        &centred * centred.transpose()
    } else {
        centred.transpose() * &centred
    };
    let total = gram.trace();
    let eigen = SymmetricEigen::new(gram);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));

    let mut projected = vec![vec![0.0; components]; count];
    let (mut variance, mut share) = (vec![0.0; components], vec![0.0; components]);
    for (component, &index) in order.iter().take(components).enumerate() {
        let value = eigen.eigenvalues[index].max(0.0);
        variance[component] = value / (count - 1) as f64;
        share[component] = if total > 0.0 { value / total } else { 0.0 };
        let vector = eigen.eigenvectors.column(index);
        // Of n² the eigenvector is the projection but for its length; of dimensions² it is the direction.
        let (direction, along) = if wide {
            (centred.transpose() * vector, vector * value.sqrt())
        } else {
            (vector.into_owned(), &centred * vector)
        };
        let sign = direction[direction.icamax()].signum();
        for (row, value) in projected.iter_mut().zip(along.iter()) {
            row[component] = sign * value;
        }
    }
    Ok(Pca {
        projected,
        variance,
        share,
    })
}

/// Checks that rows are complete and finite.
pub(super) fn check_whole(rows: &[f32], dimensions: usize) -> Result<(), MetricError> {
    let whole = rows.len().div_ceil(dimensions) * dimensions;
    expect_count("values in rows of embeddings", whole, rows.len())?;
    match rows.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(MetricError::Embedding {
            row: index / dimensions,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn points_on_a_line_have_one_component() {
        let rows = [0.0, 0.0, 3.0, 4.0, 6.0, 8.0];
        let found = pca(&rows, 2, 2).unwrap();
        for (row, expected) in found.projected.iter().zip([-5.0, 0.0, 5.0]) {
            assert!(
                (row[0] - expected).abs() < 1e-12 && row[1].abs() < 1e-12,
                "{row:?}"
            );
        }
        assert!((found.variance[0] - 25.0).abs() < 1e-12);
        assert!((found.share[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_vary_has_no_share() {
        assert_eq!(pca(&[1.0; 6], 3, 2).unwrap().share, [0.0, 0.0]);
        assert!(pca(&[1.0; 3], 3, 2).is_err());
        assert!(pca(&[1.0; 6], 3, 4).is_err());
        assert!(pca(&[1.0; 7], 3, 2).is_err());
        let nan = pca(&[1.0, 2.0, 3.0, f32::NAN], 2, 1);
        assert!(matches!(nan, Err(MetricError::Embedding { row: 1 })));
    }
}
