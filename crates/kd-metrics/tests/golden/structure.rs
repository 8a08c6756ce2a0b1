//! How embeddings lie to one another.

use kd_metrics::ClassStructure;
use kd_metrics::structure::{EmbeddingMoments, Embeddings, TsneConfig, pca};
use serde::Deserialize;

use crate::{Table, all_close, cases, classes, close, same_gaps, table, within};

#[derive(Deserialize)]
struct Structure {
    name: String,
    classes: usize,
    embeddings: Table,
    labels: Vec<i64>,
    cohesion: Vec<Option<f64>>,
    adhesion: Vec<Vec<Option<f64>>>,
    mean_cohesion: f64,
    mean_adhesion: f64,
    discrimination: f64,
}

#[test]
fn cohesion_and_adhesion() {
    for case in cases::<Structure>("structure") {
        let name = &case.name;
        let mut embeddings = Embeddings::new(case.classes, 1000).unwrap();
        embeddings
            .update(table(&case.embeddings), classes(&case.labels))
            .unwrap();
        let report = embeddings.structure().unwrap();
        close(name, report.cohesion, case.mean_cohesion);
        close(name, report.adhesion, case.mean_adhesion);
        close(name, report.discrimination, case.discrimination);
        same_gaps(name, &report.per_class, &case.cohesion);
        for (found, expected) in report.between.iter().zip(&case.adhesion) {
            same_gaps(name, found, expected);
        }

        // The two passes by hand, in batches, and as two halves that are merged.
        let halves = [
            0..case.labels.len() / 2,
            case.labels.len() / 2..case.labels.len(),
        ];
        let part = |range: &std::ops::Range<usize>| table(&case.embeddings[range.clone()].to_vec());
        let halves: Vec<_> = halves
            .into_iter()
            .filter(|range| !range.is_empty())
            .collect();
        let mut moments = EmbeddingMoments::new(case.embeddings[0].len()).unwrap();
        for range in &halves {
            let mut half = EmbeddingMoments::new(case.embeddings[0].len()).unwrap();
            half.update(part(range)).unwrap();
            moments.merge(&half).unwrap();
        }
        let standardization = moments.compute().unwrap();
        let mut structure = ClassStructure::new(case.classes, standardization.clone()).unwrap();
        for range in &halves {
            let mut half = ClassStructure::new(case.classes, standardization.clone()).unwrap();
            half.update(part(range), classes(&case.labels[range.clone()]))
                .unwrap();
            structure.merge(&half).unwrap();
        }
        let streamed = structure.compute().unwrap();
        within(name, streamed.discrimination, report.discrimination, 1e-9);
        same_gaps(name, &streamed.per_class, &report.per_class);
    }
}

#[derive(Deserialize)]
struct Components {
    rows: Table,
    components: usize,
    explained_variance: Vec<f64>,
    explained_variance_ratio: Vec<f64>,
    projected_abs: Table,
}

fn flat(rows: &Table) -> Vec<f32> {
    rows.iter().flatten().map(|&value| value as f32).collect()
}

#[test]
fn principal_components() {
    for case in cases::<Components>("pca") {
        let found = pca(&flat(&case.rows), case.rows[0].len(), case.components).unwrap();
        all_close("variance", &found.variance, &case.explained_variance);
        all_close("share", &found.share, &case.explained_variance_ratio);
        for (found, expected) in found.projected.iter().zip(&case.projected_abs) {
            let found: Vec<f64> = found.iter().map(|value| value.abs()).collect();
            all_close("projection", &found, expected);
        }
    }
}

#[derive(Deserialize)]
struct Affinities {
    rows: Table,
    perplexity: f32,
    joint: Table,
    layout: Table,
    kl_divergence: f64,
    fitted_kl: f64,
}

/// KL(P‖Q) with Q from a layout by Student's t with one degree of freedom (van der Maaten and Hinton, 2008, equations 4 and 5).
fn divergence(joint: &Table, layout: &[(f64, f64)]) -> f64 {
    let kernel = |i: usize, j: usize| {
        let ((a, b), (c, d)) = (layout[i], layout[j]);
        1.0 / (1.0 + (a - c).powi(2) + (b - d).powi(2))
    };
    let pairs = || {
        (0..layout.len())
            .flat_map(|i| (0..layout.len()).map(move |j| (i, j)))
            .filter(|(i, j)| i != j)
    };
    let sum: f64 = pairs().map(|(i, j)| kernel(i, j)).sum();
    pairs()
        .filter(|&(i, j)| joint[i][j] > 0.0)
        .map(|(i, j)| joint[i][j] * (joint[i][j] * sum / kernel(i, j)).ln())
        .sum()
}

/// The descent is another one than scikit-learn's and looks at the nearest three times perplexity only, so its divergence is compared, and
/// not its points: it may not be more than a tenth above what scikit-learn reaches from the same start.
#[test]
fn tsne() {
    for case in cases::<Affinities>("tsne_affinities") {
        let layout: Vec<_> = case.layout.iter().map(|row| (row[0], row[1])).collect();
        close(
            "of a given layout",
            divergence(&case.joint, &layout),
            case.kl_divergence,
        );
        let config = TsneConfig {
            perplexity: case.perplexity,
            theta: 0.1,
            ..TsneConfig::default()
        };
        let found = config.fit(&flat(&case.rows), case.rows[0].len()).unwrap();
        let reached = divergence(&case.joint, &found.points);
        assert!(
            reached < 1.1 * case.fitted_kl,
            "{reached} for {}",
            case.fitted_kl
        );
    }
}
