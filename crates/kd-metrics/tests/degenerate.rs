//! Values that are all equal, huge, tiny or not numbers: a measure is right or refuses them, and a
//! plot leaves them out. None is `Ok` with NaN.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use kd_metrics::plot::{LineChart, ScatterChart, bar_with_interval, heatmap};
use kd_metrics::structure::{EmbeddingMoments, Embeddings, TsneConfig, pca};
use kd_metrics::{EvaluationConfig, MetricError, PairedDifference, Relation, TemperatureScaling};

/// Three groups of 40 points in ten dimensions, far from one another.
fn groups(scale: f32) -> Vec<f32> {
    let value = |point: usize, dimension: usize| {
        let noise = (point * 7919 + dimension * 104_729) % 1024;
        scale * (noise as f32 / 1024.0 + if dimension == point % 3 { 12.0 } else { 0.0 })
    };
    (0..120)
        .flat_map(|point| (0..10).map(move |dimension| value(point, dimension)))
        .collect()
}

fn short() -> TsneConfig {
    TsneConfig {
        perplexity: 10.0,
        iterations: 300,
        ..TsneConfig::default()
    }
}

fn doubles(rows: &[Vec<f64>]) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    let data = TensorData::new(rows.concat(), shape);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn classes(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(
        TensorData::new(labels.to_vec(), [labels.len()]),
        &Device::flex(),
    )
}

#[test]
fn equal_rows_lie_in_one_place() {
    for value in [0.0, 0.1, -7.3, 1e-30, 1e30, f32::MAX] {
        for (count, dimensions) in [(5, 1), (30, 3), (120, 10), (9, 20)] {
            let rows = vec![value; count * dimensions];
            let layout = short().fit(&rows, dimensions).unwrap();
            let first = layout.points[0];
            assert!(first.0.is_finite() && first.1.is_finite());
            assert_eq!(
                layout.points,
                vec![first; count],
                "{value} {count} {dimensions}"
            );
        }
    }
}

#[test]
fn huge_and_tiny_rows_are_laid_out_like_others() {
    for scale in [1e-38, 1e-30, 1e-12, 1e-6, 1e6, 1e12, 1e18, 1e25, 2e37] {
        let layout = short().fit(&groups(scale), 10).unwrap();
        let distance = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).hypot(a.1 - b.1);
        for (index, &point) in layout.points.iter().enumerate() {
            assert!(point.0.is_finite() && point.1.is_finite(), "{scale}");
            let others = layout.points.iter().enumerate();
            let others = others.filter(|(other, _)| *other != index);
            let nearest =
                others.min_by(|a, b| distance(point, *a.1).total_cmp(&distance(point, *b.1)));
            assert_eq!(nearest.unwrap().0 % 3, index % 3, "{scale}, point {index}");
        }
    }
}

#[test]
fn many_copies_of_few_rows_and_far_outliers_have_a_place() {
    let copies = |rows: &[[f32; 2]], each: usize| -> Vec<f32> {
        rows.iter().flat_map(|row| row.repeat(each)).collect()
    };
    let mut outlier = groups(1.0);
    outlier[7] = 3e38;
    let mut two = groups(1.0);
    (two[7], two[18]) = (f32::MAX, f32::MIN);
    for (rows, dimensions) in [
        (copies(&[[0.0, 0.0], [1.0, 0.0]], 60), 2),
        (copies(&[[0.0, 0.0], [1.0, 0.0], [0.0, 1e20]], 150), 2),
        (copies(&[[f32::MAX, f32::MIN], [f32::MIN, f32::MAX]], 20), 2),
        (outlier, 10),
        (two, 10),
    ] {
        let layout = short().fit(&rows, dimensions).unwrap();
        for (x, y) in layout.points {
            assert!(x.is_finite() && y.is_finite(), "{x} {y}");
        }
    }
}

#[test]
fn principal_components_of_equal_and_huge_rows() {
    for value in [0.1, 0.7, 1e30, f32::MAX, 1e-44] {
        for (count, dimensions) in [(3, 3), (7, 4), (4, 9), (49, 2)] {
            let found = pca(&vec![value; count * dimensions], dimensions, 2).unwrap();
            assert_eq!(found.share, [0.0; 2], "{value} {count} {dimensions}");
            assert_eq!(found.variance, [0.0; 2], "{value} {count} {dimensions}");
        }
    }
    let usual = pca(&groups(1.0), 10, 2).unwrap();
    for scale in [1e-30, 1e20, 2f32.powi(120)] {
        let found = pca(&groups(scale), 10, 2).unwrap();
        for (a, b) in found.share.iter().zip(&usual.share) {
            assert!((a / b - 1.0).abs() < 1e-4, "{scale}: {a} {b}");
        }
        assert!(found.projected.iter().flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn logits_of_f64_beyond_f32_are_refused_by_their_row() {
    // A temperature keeps them in f32, where they would be infinite.
    for bad in [1e300, -1e39, f64::MAX, f64::INFINITY, f64::NAN] {
        let logits = || doubles(&[vec![1.0, 0.0], vec![bad, 0.0], vec![0.0, 2.0]]);
        let mut scaling = TemperatureScaling::new(2).unwrap();
        let error = scaling.update(logits(), classes(&[0, 0, 1])).unwrap_err();
        assert!(matches!(error, MetricError::Logits { row: 1 }), "{error}");
        let mut evaluation = EvaluationConfig::new().init(2).unwrap();
        evaluation
            .update(logits(), classes(&[0, 0, 1]), None)
            .unwrap();
        let error = evaluation.compute().unwrap_err();
        assert!(matches!(error, MetricError::Logits { row: 1 }), "{error}");
    }
}

#[test]
fn the_largest_logits_of_f32_have_a_temperature() {
    let most = f64::from(f32::MAX);
    let mut scaling = TemperatureScaling::new(2).unwrap();
    let rows = doubles(&[vec![most, -most], vec![-most, most], vec![most, -most]]);
    scaling.update(rows, classes(&[0, 0, 1])).unwrap();
    let fit = scaling.fit().unwrap();
    let found = [fit.temperature, fit.nll_before, fit.nll_after];
    assert!(found.iter().all(|value| value.is_finite()), "{fit:?}");
}

#[test]
fn embeddings_of_f64_beyond_f32_are_refused_by_their_row() {
    let rows = || doubles(&[vec![1.0, 0.0], vec![0.0, 1e200], vec![0.0, 2.0]]);
    let mut embeddings = Embeddings::new(2, 10).unwrap();
    let error = embeddings.update(rows(), classes(&[0, 0, 1])).unwrap_err();
    assert!(
        matches!(error, MetricError::Embedding { row: 1 }),
        "{error}"
    );
    let mut moments = EmbeddingMoments::new(2).unwrap();
    let error = moments.update(rows()).unwrap_err();
    assert!(
        matches!(error, MetricError::Embedding { row: 1 }),
        "{error}"
    );
}

#[test]
fn the_structure_of_huge_tiny_and_equal_embeddings_is_finite() {
    let labels: Vec<i64> = (0..120).map(|point| point % 3).collect();
    let structure = |scale: f32| {
        let data = TensorData::new(groups(scale), [120, 10]);
        let mut embeddings = Embeddings::new(3, 1000).unwrap();
        let rows = Tensor::from_data(data, &Device::flex());
        embeddings.update(rows, classes(&labels)).unwrap();
        embeddings.structure().unwrap()
    };
    let usual = structure(1.0);
    for scale in [1e-30, 1e18, 2e37] {
        let found = structure(scale);
        assert!((found.cohesion - usual.cohesion).abs() < 1e-5, "{scale}");
        assert!((found.adhesion - usual.adhesion).abs() < 1e-5, "{scale}");
    }
    let nothing = structure(0.0);
    assert_eq!((nothing.cohesion, nothing.adhesion), (0.0, 0.0));
}

#[test]
fn correlations_do_not_depend_on_the_unit() {
    let (x, y) = ([1.0, 2.0, 4.0, 8.0], [2.0, 1.0, 5.0, 6.0]);
    let usual = Relation::of(&x, &y).unwrap();
    for power in [-1000, -600, -60, 60, 600, 1000] {
        let unit = 2f64.powi(power);
        let found = Relation::of(&x.map(|x| x * unit), &y.map(|y| y * unit)).unwrap();
        assert_eq!(found.pearson, usual.pearson, "2^{power}");
        assert_eq!(found.spearman, usual.spearman, "2^{power}");
        assert_eq!(found.kendall, usual.kendall, "2^{power}");
        assert_eq!(found.slope, usual.slope, "2^{power}");
        assert_eq!(found.intercept, usual.intercept * unit, "2^{power}");
    }
}

#[test]
fn a_slope_and_a_difference_that_f64_cannot_hold_are_refused() {
    let steep = Relation::of(&[0.0, 1e-300, 2e-300], &[0.0, 1e300, 3e300]);
    assert!(matches!(steep, Err(MetricError::Value { .. })), "{steep:?}");
    let apart = PairedDifference::of(&[-1e308, 0.0], &[1e308, 0.0], 0.95);
    assert!(matches!(apart, Err(MetricError::Value { .. })), "{apart:?}");
}

#[test]
fn plots_of_odd_values_are_drawn_without_them() {
    let odd = [
        0.0,
        5e-324,
        -5e-324,
        1e-310,
        f64::MIN_POSITIVE,
        1e308,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let names = ["a", "b"].map(String::from);
    for &a in &odd {
        for &b in &odd {
            let points = vec![(0.0, a), (1.0, b), (a, b), (b, a)];
            let band = vec![(0.0, a, b), (1.0, b, a)];
            let chart = || {
                LineChart::new("t", "x", "y")
                    .series("s", points.clone())
                    .band(band.clone())
            };
            let scatter = ScatterChart::new("t", "x", "y")
                .named("p", (a, b))
                .named("q", (b, a))
                .line(a, b);
            let groups = ScatterChart::without_axes("t").group("g", points.clone());
            let bars = [("p", a, None), ("q", b, Some((a, b))), ("r", 1.0, None)];
            let cells = vec![vec![Some(a), Some(b)], vec![Some(b), None]];
            for svg in [
                chart().render().unwrap(),
                chart().log_y().render().unwrap(),
                scatter.render().unwrap(),
                groups.render().unwrap(),
                bar_with_interval("t", "x", &bars).unwrap(),
                heatmap("t", ["r", "c"], &names, &cells).unwrap(),
            ] {
                assert!(
                    !svg.contains("NaN") && !svg.contains("inf"),
                    "{a} {b}: {svg}"
                );
                assert!(svg.len() < 100_000, "{a} {b}: {} bytes", svg.len());
            }
        }
    }
}
