//! What the drawn set promises: the same pictures everywhere, balanced classes, and too hard for a linear classifier.

#![allow(clippy::unwrap_used, missing_docs)]

use kd_data::{ImageSet, Nuisance, Shapes, ShapesConfig, Split};

#[test]
fn a_picture_depends_on_seed_split_and_number_alone() {
    let long = Shapes::render(5, Split::Train, 60);
    let short = Shapes::render(5, Split::Train, 17);
    assert_eq!(long.take(17).fingerprint(), short.fingerprint());
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let again = alone.install(|| Shapes::render(5, Split::Train, 60));
    assert_eq!(again.fingerprint(), long.fingerprint());
    let others = [
        Shapes::render(6, Split::Train, 60),
        Shapes::render(5, Split::Test, 60),
    ];
    for other in others {
        let equal = (0..60).filter(|&i| other.image(i) == long.image(i)).count();
        assert_eq!(equal, 0);
    }
}

/// Not a proof that the pictures are right: a promise that nobody changes them, on whatever machine, without noticing. Results on them are only
/// comparable while this holds.
#[test]
fn the_pictures_stay_as_they_are() {
    let set = Shapes::render(1, Split::Test, 200);
    assert_eq!(
        set.fingerprint(),
        "034c376ad81e9458f429569ae9bb1a6329b4240bfbd7d3bae414f4dd5422efea"
    );
}

#[test]
fn classes_are_balanced() {
    let set = Shapes::render(5, Split::Test, 50);
    for class in 0..10 {
        assert_eq!(
            set.labels().iter().filter(|&&label| label == class).count(),
            5
        );
    }
    assert_eq!((set.shape(), set.classes()), ([3, 32, 32], 10));
}

/// With every nuisance off, the shape is the only thing in the picture: its area in pixels is that of the outline.
#[test]
fn a_bare_shape_has_the_area_of_its_outline() {
    let nuisance = Nuisance {
        radius: [10.0, 10.0],
        shift: 0.0,
        turn: 0.0,
        background: [0.0, 0.0],
        foreground: [1.0, 1.0],
        gradient: 0.0,
        strokes: 0,
        occlusion: 0.0,
        noise: 0.0,
        ..Nuisance::default()
    };
    let set = ShapesConfig::new(0)
        .with_nuisance(nuisance)
        .init()
        .unwrap()
        .images(Split::Test, 10);
    let area = |class| {
        set.image(class)[..1024]
            .iter()
            .map(|&byte| f32::from(byte))
            .sum::<f32>()
            / 255.0
    };
    for (class, expected) in [
        (0, 84.64 * std::f32::consts::PI),
        (1, (96.04 - 25.0) * std::f32::consts::PI),
        (5, 256.0),
        (7, 4.0 * 64.0 - 40.96),
        (8, 212.8),
    ] {
        // The one-pixel ramp is exact on straight edges away from corners; 2 % covers the corners and the curvature.
        let relative = area(class) / expected;
        assert!(
            (relative - 1.0).abs() < 0.02,
            "class {class}: {} for {expected}",
            area(class)
        );
    }
    for class in 0..10 {
        let image = set.image(class);
        assert_eq!(image[..1024], image[1024..2048]);
        for row in image[..1024].chunks_exact(32) {
            // Corners that are no exact mirror images round to one value more or less.
            let mut pairs = row.iter().zip(row.iter().rev());
            assert!(
                pairs.all(|(&left, &right)| left.abs_diff(right) <= 1),
                "class {class} is its own mirror image"
            );
        }
    }
}

#[test]
fn settings_are_checked_and_kept() {
    let nuisance = Nuisance {
        noise: 2.0,
        ..Nuisance::default()
    };
    let error = ShapesConfig::new(0)
        .with_nuisance(nuisance)
        .init()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "noise: expected a value in [0, 1], found 2.0"
    );
    let config: ShapesConfig =
        serde_json::from_str(r#"{"seed": 3, "nuisance": {"shift": 2.5}}"#).unwrap();
    assert_eq!(
        (config.seed, config.nuisance.shift, config.nuisance.noise),
        (3, 2.5, 0.06)
    );
    assert!(
        serde_json::from_str::<ShapesConfig>(r#"{"seed": 3, "nuisance": {"shfit": 2.5}}"#).is_err()
    );
}

/// Softmax regression on raw pixels, 2,000 pictures, 15 epochs: below 60 % on 1,000 others in every epoch, though it has learned more than chance.
#[test]
fn a_linear_classifier_stays_below_sixty_percent() {
    let (train, test) = (
        Shapes::render(1, Split::Train, 2000),
        Shapes::render(1, Split::Test, 1000),
    );
    let mut weights = vec![[0.0_f32; 10]; 3 * 32 * 32 + 1];
    let mut best = 0.0_f32;
    for epoch in 0..15 {
        for step in 0..train.len() {
            // 7 and 2000 have no common factor: every picture once, no class twice in a row.
            let index = (step * 7 + epoch) % train.len();
            let input = scaled(&train, index);
            let scores = linear(&weights, &input);
            let most = scores.iter().copied().fold(f32::MIN, f32::max);
            let exponentials = scores.map(|score| (score - most).exp());
            let sum: f32 = exponentials.iter().sum();
            let mut error = exponentials.map(|value| value / sum);
            error[usize::from(train.labels()[index])] -= 1.0;
            for (row, value) in weights.iter_mut().zip(&input) {
                for (weight, error) in row.iter_mut().zip(error) {
                    *weight -= 2e-4 * value * error;
                }
            }
        }
        best = best.max(accuracy(&weights, &test));
    }
    let fitted = accuracy(&weights, &train);
    println!("linear classifier: {best:.3} at best on the test pictures, {fitted:.3} on its own");
    assert!(best < 0.6, "{best}");
    assert!(
        best > 0.2 && fitted > 0.5,
        "it has not been trained: {best}, {fitted}"
    );
}

/// The pixels around zero, and a one for the bias.
fn scaled(set: &ImageSet, index: usize) -> Vec<f32> {
    let pixels = set
        .image(index)
        .iter()
        .map(|&byte| f32::from(byte) / 64.0 - 2.0);
    pixels.chain([1.0]).collect()
}

fn linear(weights: &[[f32; 10]], input: &[f32]) -> [f32; 10] {
    let mut scores = [0.0; 10];
    for (row, value) in weights.iter().zip(input) {
        for (score, weight) in scores.iter_mut().zip(row) {
            *score += weight * value;
        }
    }
    scores
}

fn accuracy(weights: &[[f32; 10]], set: &ImageSet) -> f32 {
    let right = (0..set.len()).filter(|&index| {
        let scores = linear(weights, &scaled(set, index));
        let best = (0..10)
            .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
            .unwrap();
        best == usize::from(set.labels()[index])
    });
    right.count() as f32 / set.len() as f32
}
