//! T. stddev where its value is known.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use kd_augment::ParamSharing;
use kd_data::ImageSet;
use kd_models::{Classify, InputSpec};
use kd_train::{Progress, RankConfig, Scheme, rank_augmentations};

/// A teacher that is sure, and right: an image says its class in its first pixel.
#[derive(Module, Debug)]
struct Oracle {
    anchor: burn::module::Param<Tensor<1>>,
    #[module(skip)]
    spec: InputSpec,
}

impl Classify for Oracle {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let [batch, ..] = images.dims();
        let device = images.device();
        let class = images
            .slice([0..batch, 0..1, 0..1, 0..1])
            .reshape([batch, 1])
            * 255.0;
        let classes = Tensor::<1, burn::tensor::Int>::arange(0..10, &device).float();
        let distance = class - classes.reshape([1, 10]);
        distance.powi_scalar(2) * -1000.0
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

fn oracle() -> Oracle {
    let names = (0..10).map(|class| class.to_string()).collect();
    Oracle {
        anchor: burn::module::Param::from_tensor(Tensor::zeros([1], &Device::flex())),
        spec: InputSpec::new([1, 2, 2], [0.0], [1.0], names).unwrap(),
    }
}

fn balanced(count: usize) -> ImageSet {
    let labels: Vec<u16> = (0..count).map(|i| (i % 10) as u16).collect();
    let pixels = labels.iter().flat_map(|label| [*label as u8; 4]).collect();
    let names = (0..10).map(|class| class.to_string()).collect();
    ImageSet::new(pixels, [1, 2, 2], labels, names).unwrap()
}

fn schemes(names: &[&str]) -> Vec<Scheme> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// With a one-hot teacher on balanced data each mean is a share of a class among 5 × 64 images, whose standard deviation is
/// sqrt(0.1 · 0.9 / 320). Over 400 means a standard deviation has a relative error of 1 / sqrt(2 · 399) = 3.5 %, and their
/// average over nearly nine independent classes 1.2 %; drawing without replacement takes off 0.5 % in a set of 32,000. Four
/// errors and that: 5.5 %.
#[test]
fn a_sure_teacher_has_the_deviation_of_a_share() {
    let expected = (0.1f64 * 0.9 / 320.0).sqrt();
    let mut config = RankConfig::plain();
    config.schemes = schemes(&["identity"]);
    config.sharing = vec![ParamSharing::PerSample];
    config.means = 400;
    // The reference form counts the same answers twice, which changes no mean.
    let mut reference = config.clone();
    reference.window.include_standard = true;
    for config in [config, reference] {
        let report =
            rank_augmentations(&oracle(), &balanced(32_000), &config, &Progress::Silent).unwrap();
        let result = &report.rows[0].result;
        let error = (result.value / expected - 1.0).abs();
        assert!(error < 0.055, "{}, expected {expected}", result.value);
        assert_eq!(result.means, 400);
        let (low, high) = result.interval;
        assert!(low < result.value && result.value < high);
    }
}

#[test]
fn the_standard_view_is_asked_for_once_for_all_schemes() {
    let config = |names: &[&str]| {
        let mut config = RankConfig::default();
        config.schemes = schemes(names);
        config.means = 3;
        config.batch_size = 16;
        config.standard = kd_augment::Augmentation::flip();
        config
    };
    let images = |names: &[&str]| {
        let config = config(names);
        let report = rank_augmentations(&oracle(), &balanced(640), &config, &Progress::Silent);
        report.unwrap().teacher_images
    };
    let view = 3 * 5 * 16;
    assert_eq!(images(&["identity"]), view);
    // Each with both sharings.
    assert_eq!(images(&["identity", "flip"]), view + 2 * view);
    assert_eq!(images(&["flip", "mixup", "cutmix"]), view + 6 * view);
    // Two candidates for each that is picked.
    assert_eq!(images(&["cutmix_pick"]), view + 4 * view);
}

#[test]
fn the_same_seed_gives_the_same_ranking() {
    let rank = |seed: u64| {
        let mut config = RankConfig::default();
        config.schemes = schemes(&["mixup", "cutmix", "cutmix_pick"]);
        config.means = 4;
        config.batch_size = 8;
        config.seed = seed;
        config.standard = kd_augment::Augmentation::flip();
        rank_augmentations(&oracle(), &balanced(320), &config, &Progress::Silent)
            .unwrap()
            .rows
    };
    assert_eq!(rank(1), rank(1));
    assert_ne!(rank(1), rank(2));
    // Nor does it depend on which schemes stand beside it, or in which order.
    let mut config = RankConfig::default();
    config.schemes = schemes(&["cutmix_pick", "mixup"]);
    config.means = 4;
    config.batch_size = 8;
    config.seed = 1;
    config.standard = kd_augment::Augmentation::flip();
    let other = rank_augmentations(&oracle(), &balanced(320), &config, &Progress::Silent);
    let rows = rank(1);
    for row in other.unwrap().rows {
        assert!(rows.contains(&row), "{row:?}");
    }
    assert_eq!(rows.len(), 6);
    for sharing in rows.chunk_by(|a, b| a.sharing == b.sharing) {
        assert!(sharing.is_sorted_by(|a, b| a.result.value <= b.result.value));
    }
}

#[test]
fn impossible_configurations_are_refused() {
    let mut config = RankConfig::default();
    config.means = 1;
    let error = rank_augmentations(&oracle(), &balanced(100), &config, &Progress::Silent);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("means: is 1, expected at least 2")
    );
    let empty = balanced(100).take(0);
    let error = rank_augmentations(&oracle(), &empty, &RankConfig::default(), &Progress::Silent);
    assert!(error.unwrap_err().to_string().contains("no image"));
    assert!("cutmix_pik".parse::<Scheme>().is_err());
}

/// A ranking that was cut off, in the middle of a line even, and goes on from its journal ends with the numbers of one that was not.
#[test]
fn a_ranking_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs/means.jsonl");
    let config = |means: usize, journal: bool| {
        let mut config = RankConfig::default();
        config.schemes = schemes(&["identity", "mixup", "cutmix_pick"]);
        config.means = means;
        config.batch_size = 8;
        config.standard = kd_augment::Augmentation::flip();
        config.journal = journal.then(|| path.clone());
        config
    };
    let set = balanced(320);
    let rank = |config: &RankConfig| rank_augmentations(&oracle(), &set, config, &Progress::Silent);
    let numbers = |report: kd_train::RankReport| (report.rows, report.baseline, report.stability);
    let whole = numbers(rank(&config(6, false)).unwrap());
    assert!(whole.1.is_some());
    assert_eq!(numbers(rank(&config(6, true)).unwrap()), whole);
    let text = std::fs::read_to_string(&path).unwrap();
    // A head, and for each mean the standard view and three schemes under two sharings.
    assert_eq!(text.lines().count(), 1 + 6 * 7);

    let first = text.split_inclusive('\n').next().unwrap().len();
    for cut in [
        0,
        first / 2,
        first,
        text.len() / 3,
        text.len() / 2,
        text.len() - 1,
    ] {
        std::fs::write(&path, &text[..cut]).unwrap();
        let resumed = rank(&config(6, true)).unwrap();
        assert!(cut == 0 || resumed.teacher_images > 0);
        assert_eq!(numbers(resumed), whole, "cut at {cut}");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "cut at {cut}"
        );
    }
    // What is complete is not measured again, fewer means are a part of it, and more extend it.
    assert_eq!(rank(&config(6, true)).unwrap().teacher_images, 0);
    assert_eq!(
        numbers(rank(&config(3, true)).unwrap()),
        numbers(rank(&config(3, false)).unwrap())
    );
    assert_eq!(
        numbers(rank(&config(8, true)).unwrap()),
        numbers(rank(&config(8, false)).unwrap())
    );

    // A first line that was cut inside of a character, or that is not ours.
    std::fs::write(&path, &text.as_bytes()[..20]).unwrap();
    assert_eq!(numbers(rank(&config(6, true)).unwrap()), whole);
    std::fs::write(&path, "{\"somebody's\": 1}").unwrap();
    let error = rank(&config(6, true)).unwrap_err().to_string();
    assert!(error.contains("not the first line"), "{error}");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"somebody's\": 1}"
    );
    std::fs::write(&path, text.clone() + "{\"scheme\": \"\u{2016}").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(numbers(rank(&config(6, true)).unwrap()), whole);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let mut other = config(6, true);
    other.schemes.push(other.schemes[0].clone());
    let error = rank(&other).unwrap_err().to_string();
    assert!(error.contains("`identity` is there twice"), "{error}");
    let mut other = config(6, true);
    other.seed = 1;
    let error = rank(&other).unwrap_err().to_string();
    assert!(
        error.contains("the configuration differs") && error.contains("seed 1"),
        "{error}"
    );
    std::fs::write(
        &path,
        text.replacen("\"scheme\":\"mixup\"", "\"scheme\":7", 1),
    )
    .unwrap();
    let error = rank(&config(6, true)).unwrap_err().to_string();
    assert!(
        error.contains("means.jsonl") && error.contains("line 5"),
        "{error}"
    );
}

/// One-hot answers have no entropy, and what drawing images alone gives is known.
#[test]
fn records_say_what_a_sure_teacher_sees() {
    let mut config = RankConfig::default();
    config.schemes = schemes(&["identity", "mixup", "cutmix_pick_random"]);
    config.sharing = vec![ParamSharing::PerSample];
    config.means = 20;
    config.standard = kd_augment::Augmentation::identity();
    let set = balanced(32_000);
    let report = rank_augmentations(&oracle(), &set, &config, &Progress::Silent).unwrap();
    let row = |name: &str| report.rows.iter().find(|row| row.scheme == name).unwrap();
    assert!(row("identity").entropy.abs() < 1e-9);
    assert!(row("identity").labels.is_none() && row("identity").score_ratio.is_none());
    // Between two numbers lies a third: mixed up, an image says a class that is neither.
    let labels = row("mixup").labels.unwrap();
    assert_eq!(labels.rows, 20 * 320);
    assert!(
        labels.disagree > 0.0 && labels.outside <= labels.disagree,
        "{labels:?}"
    );
    assert!(
        (row("cutmix_pick_random").score_ratio.unwrap() - 1.5).abs() < 0.05,
        "the upper half of uniform scores"
    );
    // One-hot answers on balanced classes: variance 0.1 · 0.9; twenty means of 320 of 32,000 images are of one epoch, so that v/n remains.
    let expected = (0.09_f64 / 320.0).sqrt();
    assert!((report.baseline.unwrap() / expected - 1.0).abs() < 0.01);
    let stability = &report.stability[0];
    assert_eq!(stability.below_next.len(), 2);
    assert_eq!(
        stability.kendall.last().map(|(means, tau)| (*means, *tau)),
        Some((20, 1.0))
    );
}
