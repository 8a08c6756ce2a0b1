//! A diagnosis of networks whose embeddings cannot be drawn, or hardly.
#![allow(clippy::unwrap_used, missing_docs)]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use kd_augment::Preset;
use kd_data::{ImageSet, Shapes, Split};
use kd_models::{Classify, Features, InputSpec, Statistics};
use kd_train::{
    Diagnosis, DiagnosisConfig, LossRelation, Progress, RankConfig, Scheme, diagnose_network,
    rank_augmentations,
};
use serde_json::Value;

/// A network with embeddings of a kind.
#[derive(Module, Debug)]
struct Odd {
    linear: Linear,
    #[module(skip)]
    embedding: fn(Tensor<2>) -> Option<Tensor<2>>,
    #[module(skip)]
    spec: InputSpec,
}

impl Classify for Odd {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_features(images).logits
    }

    fn forward_features(&self, images: Tensor<4>) -> Features {
        let pixels: Tensor<2> = self.spec.normalize(images).flatten(1, 3);
        let features = Features::new(self.linear.forward(pixels.clone()));
        match (self.embedding)(pixels) {
            Some(embedding) => features.with_embedding(embedding),
            None => features,
        }
    }

    fn input_spec(&self) -> &InputSpec {
        &self.spec
    }
}

fn diagnose(embedding: fn(Tensor<2>) -> Option<Tensor<2>>, set: &ImageSet) -> Diagnosis {
    let device = Device::flex();
    let network = Odd {
        linear: LinearConfig::new(3 * 32 * 32, 10).init(&device),
        embedding,
        spec: InputSpec::cifar(10, Statistics::CIFAR10).unwrap(),
    };
    let mut config = DiagnosisConfig::default();
    config.tsne.iterations = 50;
    let found = diagnose_network("odd", &network, set, &config, &Progress::Silent).unwrap();
    Diagnosis {
        data: "Shapes".into(),
        classes: set.class_names().to_vec(),
        networks: vec![found],
        ranking: None,
        mixes: None,
        relation: None,
    }
}

fn images(count: usize) -> ImageSet {
    Shapes::render(0, Split::Test, count)
}

/// The network as JSON, the page, and the names of the pictures.
fn shown(diagnosis: &Diagnosis) -> (Value, String, Vec<String>) {
    let network = serde_json::to_value(&diagnosis.networks[0]).unwrap();
    let figures = diagnosis.figures().unwrap();
    let names = figures.into_iter().map(|figure| figure.name).collect();
    (network, diagnosis.page("odd").unwrap(), names)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(values) => values.values().any(has_null),
        _ => false,
    }
}

/// What cannot be drawn is in no file, and the page says why.
fn is_missing(diagnosis: &Diagnosis, reason: &str) {
    let (network, page, names) = shown(diagnosis);
    assert!(network.get("layout").is_none(), "{}", network["layout"]);
    assert!(page.contains(reason), "the page does not say: {reason}");
    assert!(
        !names
            .iter()
            .any(|name| name.contains("tsne") || name.contains("pca"))
    );
    // What was written is read as it was.
    let text = serde_json::to_string(diagnosis).unwrap();
    let again: Diagnosis = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    assert_eq!(again.page("odd").unwrap(), page);
}

#[test]
fn equal_embeddings_have_no_picture_and_the_page_says_why() {
    let zeros = |x: Tensor<2>| Some(x.mul_scalar(0.0));
    is_missing(
        &diagnose(zeros, &images(80)),
        "all of its embeddings are equal",
    );
    let tenths = |x: Tensor<2>| {
        let [batch, _] = x.dims();
        Some(x.slice([0..batch, 0..8]).mul_scalar(0.0).add_scalar(0.1))
    };
    is_missing(
        &diagnose(tenths, &images(80)),
        "all of its embeddings are equal",
    );
}

#[test]
fn a_network_without_embeddings_has_no_picture_and_the_page_says_why() {
    is_missing(&diagnose(|_| None, &images(80)), "it gives no embeddings");
}

#[test]
fn a_line_and_a_handful_of_images_have_no_picture_and_the_page_says_why() {
    let line = |x: Tensor<2>| {
        let [batch, _] = x.dims();
        Some(x.slice([0..batch, 0..1]))
    };
    is_missing(&diagnose(line, &images(80)), "one dimension");
    let few = |x: Tensor<2>| Some(x);
    is_missing(&diagnose(few, &images(3)), "3 images are too few");
}

#[test]
fn huge_embeddings_are_drawn() {
    let huge: fn(Tensor<2>) -> Option<Tensor<2>> = |x| Some(x.mul_scalar(1e25));
    let tiny: fn(Tensor<2>) -> Option<Tensor<2>> = |x| Some(x.mul_scalar(1e-25));
    for embedding in [huge, tiny] {
        let diagnosis = diagnose(embedding, &images(80));
        let (network, page, names) = shown(&diagnosis);
        assert!(!has_null(&network["layout"]), "{}", network["layout"]);
        assert_eq!(network["layout"]["tsne"].as_array().unwrap().len(), 80);
        assert!(names.contains(&"odd-tsne".to_string()), "{names:?}");
        assert!(!page.contains("NaN") && !page.contains("no data"));
        // One place for all of them would be a picture of nothing.
        let first = &network["layout"]["tsne"][0];
        assert!(
            network["layout"]["tsne"]
                .as_array()
                .unwrap()
                .iter()
                .any(|point| point != first)
        );
    }
}

#[test]
fn pictures_that_were_not_asked_for_are_not_explained() {
    let device = Device::flex();
    let network = Odd {
        linear: LinearConfig::new(3 * 32 * 32, 10).init(&device),
        embedding: |x| Some(x),
        spec: InputSpec::cifar(10, Statistics::CIFAR10).unwrap(),
    };
    let mut config = DiagnosisConfig::default();
    config.points_per_class = 0;
    let set = images(40);
    let found = diagnose_network("odd", &network, &set, &config, &Progress::Silent).unwrap();
    let value = serde_json::to_value(&found).unwrap();
    assert!(value.get("layout").is_none() && value.get("no_layout").is_none());
}

/// A ranking of three schemes for a teacher whose answer never changes.
#[test]
fn losses_and_deviations_that_do_not_vary_have_points_and_no_line() {
    let device = Device::flex();
    let constant = Odd {
        linear: LinearConfig::new(3 * 32 * 32, 10)
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(&device),
        embedding: |_| None,
        spec: InputSpec::cifar(10, Statistics::CIFAR10).unwrap(),
    };
    let mut config = RankConfig::default();
    config.schemes = ["identity", "flip", "mixup"]
        .map(|name| Scheme::named(name, Preset::Cifar10).unwrap())
        .to_vec();
    config.means = 3;
    config.batch_size = 16;
    let train = Shapes::render(0, Split::Train, 64);
    let ranking = rank_augmentations(&constant, &train, &config, &Progress::Silent).unwrap();
    let losses = [("identity", 0.5), ("flip", 0.5), ("mixup", 0.5)];
    let losses = losses.map(|(name, loss)| (name.to_string(), loss));
    // After hours of measuring this was an error, and the diagnosis was lost.
    let relation = LossRelation::of(&ranking, &losses).unwrap();
    assert_eq!((relation.points.len(), relation.relation), (3, None));
    let svg = relation.figure().unwrap().svg;
    assert!(svg.contains("no line") && svg.contains("mixup") && !svg.contains("NaN"));
    assert!(LossRelation::of(&ranking, &losses[..2]).is_err());
}
