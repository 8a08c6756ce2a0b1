//! Drawn parameters follow the distributions that the documentation names. Seeds are fixed: a test passes or fails for
//! good, at levels where a right implementation fails for one seed in a thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use kd_augment::plan::Segment;
use kd_augment::{
    Augmentation, CutMix, Cutout, DrawKey, HorizontalFlip, MixBox, Mixup, PadCrop, ParamSharing,
    Plan,
};

fn sample(augmentation: &Augmentation, n: u64, shape: [usize; 3]) -> Plan {
    let ids: Vec<u64> = (0..n).collect();
    augmentation
        .sample(&DrawKey::new(2024), &ids, 0, shape)
        .unwrap()
}

/// Pearson's statistic against equal counts.
fn chi_square(counts: &[usize]) -> f64 {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    counts
        .iter()
        .map(|count| (*count as f64 - expected).powi(2) / expected)
        .sum()
}

/// Largest distance of the empirical distribution from `cdf`, times the root of the number of values: above 1.95 with
/// probability 0.001.
fn kolmogorov_smirnov(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = values
        .iter()
        .enumerate()
        .map(|(i, value)| (cdf(*value) - i as f64 / n).max((i + 1) as f64 / n - cdf(*value)))
        .fold(0.0, f64::max);
    distance * n.sqrt()
}

/// Four standard deviations around p.
#[test]
fn flip_rate() {
    let n = 20_000;
    for p in [0.1, 0.5, 0.9] {
        let flip = Augmentation::identity().with_op(HorizontalFlip { p });
        let plan = sample(&flip, n, [1, 2, 2]);
        let rate = (0..n as usize)
            .filter(|i| !plan.images.image(*i).is_empty())
            .count() as f64
            / n as f64;
        assert!(
            (rate - p).abs() < 4.0 * (p * (1.0 - p) / n as f64).sqrt(),
            "{p}: {rate}"
        );
    }
}

/// All 81 offsets of pad 4, x and y independent; over samples, and over batches with shared draws.
#[test]
fn crop_offsets_are_uniform() {
    let crop = Augmentation::identity().with_op(PadCrop::new(4));
    let mut counts = vec![0; 81];
    let mut count = |list: &[Segment]| {
        let (dx, dy) = match list {
            [] => (0, 0),
            [Segment::Gather(gather)] => (gather.dx, gather.dy),
            other => panic!("{other:?}"),
        };
        counts[((dy + 4) * 9 + dx + 4) as usize] += 1;
    };
    let plan = sample(&crop, 16_200, [1, 32, 32]);
    (0..16_200).for_each(|i| count(plan.images.image(i)));
    let shared = crop.with_sharing(ParamSharing::Batch).build().unwrap();
    for batch in 0..8_100 {
        let plan = shared
            .sample(&DrawKey::new(7), &[1], batch, [1, 32, 32])
            .unwrap();
        count(plan.images.image(0));
    }
    // Chi-square with 80 degrees of freedom, 0.001.
    let chi = chi_square(&counts);
    assert!(chi < 124.8, "{chi} {counts:?}");
}

/// Every pixel is as likely to be the centre: a square of length 2 ends with its centre, wherever it is clipped.
#[test]
fn cutout_centres_are_uniform() {
    let cutout = Augmentation::identity().with_op(Cutout {
        holes: 2,
        ..Cutout::new(2)
    });
    let plan = sample(&cutout, 10_000, [1, 8, 8]);
    let mut counts = vec![0; 64];
    for i in 0..10_000 {
        for segment in plan.images.image(i) {
            let Segment::Erase(erase) = segment else {
                panic!("{segment:?}")
            };
            counts[((erase.area.y1 - 1) * 8 + erase.area.x1 - 1) as usize] += 1;
        }
    }
    assert_eq!(counts.iter().sum::<usize>(), 20_000);
    // 63 degrees of freedom, 0.001.
    let chi = chi_square(&counts);
    assert!(chi < 103.5, "{chi} {counts:?}");
}

/// Lambda of mixup for three alphas with a closed distribution function; shared and per sample.
#[test]
fn lambda_follows_the_beta_distribution() {
    let arcsine = |x: f64| 2.0 / std::f64::consts::PI * x.sqrt().asin();
    let uniform = |x: f64| x;
    let parabola = |x: f64| x * x * (3.0 - 2.0 * x);
    let cases: [(f64, &dyn Fn(f64) -> f64); 3] =
        [(0.5, &arcsine), (1.0, &uniform), (2.0, &parabola)];
    for (alpha, cdf) in cases {
        let mixup = Augmentation::identity().with_mix(Mixup {
            alpha,
            ..Mixup::default()
        });
        let plan = sample(&mixup, 10_000, [1, 2, 2]).mix.unwrap();
        // An image paired with itself is mixed as well: its lambda counts.
        let lambda: Vec<f64> = plan.lambda.into_iter().map(f64::from).collect();
        let statistic = kolmogorov_smirnov(lambda, cdf);
        assert!(statistic < 1.95, "alpha {alpha}: {statistic}");
        let shared = mixup.with_sharing(ParamSharing::Batch).build().unwrap();
        let of_batch = |batch| {
            let plan = shared
                .sample(&DrawKey::new(3), &[1, 2], batch, [1, 2, 2])
                .unwrap();
            f64::from(plan.mix.unwrap().lambda[0])
        };
        let statistic = kolmogorov_smirnov((0..4_000).map(of_batch).collect(), cdf);
        assert!(statistic < 1.95, "alpha {alpha}, shared: {statistic}");
    }
}

/// With alpha 1 the side of a box of 64 pixels is 64·sqrt(u), truncated: P(side <= s) = ((s + 1) / 64)². Its offset is
/// uniform over what fits.
#[test]
fn inside_boxes() {
    let cutmix = CutMix {
        boxes: MixBox::Inside,
        ..CutMix::default()
    };
    let plan = sample(
        &Augmentation::identity().with_mix(cutmix),
        20_000,
        [1, 64, 64],
    )
    .mix
    .unwrap();
    let boxes = plan.boxes().unwrap();
    let mut quarters = [0; 4];
    for area in boxes {
        quarters[(area.columns().len() / 16).min(3)] += 1;
    }
    for (i, count) in quarters.iter().enumerate() {
        let p = ((i + 1).pow(2) - i.pow(2)) as f64 / 16.0;
        let sd = (20_000.0 * p * (1.0 - p)).sqrt();
        assert!(
            (f64::from(*count) - 20_000.0 * p).abs() < 4.0 * sd,
            "{quarters:?}"
        );
    }
    let mut offsets = vec![0; 32];
    for area in boxes.iter().filter(|area| area.columns().len() == 33) {
        offsets[area.x0 as usize] += 1;
    }
    // 31 degrees of freedom, 0.001; about 10 boxes an offset.
    assert!(offsets.iter().sum::<usize>() > 200);
    let chi = chi_square(&offsets);
    assert!(chi < 61.1, "{chi} {offsets:?}");
}

/// Centres of clipping boxes: in a picture of 4×4 a box of side 2 or 3 (half 1) around (x, y) ends at x + 1, clipped.
#[test]
fn clipped_boxes() {
    let plan = sample(&Augmentation::cutmix(), 20_000, [1, 4, 4])
        .mix
        .unwrap();
    let mut ends = [0; 4];
    let mut boxes = 0;
    for (area, lambda) in plan.boxes().unwrap().iter().zip(&plan.lambda) {
        assert!((1.0 - area.area() as f32 / 16.0 - lambda).abs() < 1e-6);
        boxes += usize::from(!area.is_empty());
        if !area.is_empty() && area.columns().len() < 3 {
            // Halves of 1: x0 = x − 1, or 0 for x = 0 and x = 1.
            let centre = if area.x0 > 0 {
                area.x0 + 1
            } else {
                area.x1 - 1
            };
            ends[centre as usize] += 1;
        }
    }
    // Drawn side below 2, so that half of it is 0: 1 − λ < 1/4.
    let p = 0.75;
    assert!(
        (boxes as f64 / 20_000.0 - p).abs() < 4.0 * (p * (1.0 - p) / 20_000.0_f64).sqrt(),
        "{boxes}"
    );
    // 3 degrees of freedom, 0.001.
    let chi = chi_square(&ends);
    assert!(chi < 16.3, "{chi} {ends:?}");
}
