//! T. stddev against the closed form of a one-hot teacher, and the coverage of its interval.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kd_metrics::{Bootstrap, ReferenceWindowConfig, TStddev, TStddevReport};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 10;
const BATCH: usize = 64;

/// A teacher that is sure and right, on `BATCH` images drawn with replacement from balanced classes.
fn one_hot_batch(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut rows = vec![0.0; BATCH * CLASSES];
    for row in rows.chunks_mut(CLASSES) {
        row[rng.random_range(0..CLASSES as u64) as usize] = 1.0;
    }
    rows
}

fn measure(means: usize, include_standard: bool, seed: u64) -> TStddevReport {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let config = ReferenceWindowConfig {
        include_standard,
        ..ReferenceWindowConfig::default()
    };
    let mut window = config.init(CLASSES).unwrap();
    let mut measure = TStddev::new(CLASSES).unwrap();
    while measure.len() < means {
        // Identity: the augmented view is the standard one.
        let view = one_hot_batch(&mut rng);
        if let Some(mean) = window.push_step(&view, &view).unwrap() {
            measure.push(&mean).unwrap();
        }
    }
    measure.compute(Bootstrap::default()).unwrap()
}

/// sqrt(p (1 − p) / n) for p = 0.1 and n = 5 × 64 images.
fn closed_form() -> f64 {
    (0.1f64 * 0.9 / 320.0).sqrt()
}

/// Three standard errors of the measure. One standard deviation over M nearly normal means has the standard error σ / sqrt(2 (M − 1)).
/// The mean over C = 10 classes has it over sqrt(C), a little more because the classes are correlated by −1/9; that correlation of the
/// means enters squared, 1/81, so the factor is sqrt(1 + 9/81).
fn three_standard_errors(means: usize) -> f64 {
    let one_class = closed_form() / (2.0 * (means - 1) as f64).sqrt();
    3.0 * one_class * ((1.0 + 9.0 / 81.0) / CLASSES as f64).sqrt()
}

#[test]
fn a_one_hot_teacher_has_the_binomial_deviation() {
    // Counting every image twice, as identity does in the reference recipe, leaves the mean as it is.
    for include_standard in [true, false] {
        let means = 1564;
        let report = measure(means, include_standard, 1);
        let tolerance = three_standard_errors(means);
        assert!(
            tolerance < 0.02 * closed_form(),
            "the test must be able to fail"
        );
        assert!(
            (report.value - closed_form()).abs() < tolerance,
            "{report} for {} ± {tolerance}",
            closed_form()
        );
        assert_eq!(report.means, means);
    }
}

#[test]
fn the_interval_covers_the_truth_about_as_often_as_it_says() {
    // Of 200 measurements with 64 means each, the documentation promises about 92 % for a nominal 95 %; binomial standard error 1.9 %.
    let runs = 200;
    let covered = (0..runs)
        .filter(|&seed| {
            let (low, high) = measure(64, false, 100 + seed).interval;
            (low..=high).contains(&closed_form())
        })
        .count();
    let share = covered as f64 / runs as f64;
    assert!((0.87..=0.98).contains(&share), "covered {share}");
}

#[test]
fn merging_is_concatenating() {
    let draws: Vec<Vec<f64>> = (0..9)
        .map(|m| {
            let p = 0.1 + 0.08 * f64::from(m);
            vec![p, 1.0 - p]
        })
        .collect();
    let collect = |draws: &[Vec<f64>]| {
        let mut measure = TStddev::new(2).unwrap();
        draws.iter().for_each(|draw| measure.push(draw).unwrap());
        measure
    };
    let mut merged = collect(&draws[..4]);
    merged.merge(&collect(&draws[4..])).unwrap();
    let whole = collect(&draws).compute(Bootstrap::default()).unwrap();
    assert_eq!(merged.compute(Bootstrap::default()).unwrap(), whole);
    assert!(merged.merge(&TStddev::new(3).unwrap()).is_err());
}
