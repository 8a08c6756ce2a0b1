//! One network on a test set.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use kd_data::ImageSet;
use kd_metrics::structure::{Embeddings, TsneConfig};
use kd_metrics::{
    Evaluation, EvaluationConfig, EvaluationReport, MetricError, StructureReport, TemperatureFit,
    TemperatureScaling,
};
use kd_models::Classify;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::evaluation::{device_of, fits, host};
use crate::pixels::{self, labels, rows};
use crate::progress::Progress;

/// How a network is looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiagnosisConfig {
    /// Images in a forward pass; changes memory and speed alone.
    pub batch_size: usize,
    /// Bins, and how human labels are smoothed.
    pub evaluation: EvaluationConfig,
    /// Images that embeddings are kept of: the first so many. What is said of embeddings is said of these.
    pub embeddings: usize,
    /// Images of each class in the pictures of embeddings; 0 for no pictures.
    pub points_per_class: usize,
    /// How the pictures are laid out.
    pub tsne: TsneConfig,
}

impl Default for DiagnosisConfig {
    fn default() -> Self {
        Self {
            batch_size: 256,
            evaluation: EvaluationConfig::new(),
            embeddings: Embeddings::CAP,
            points_per_class: 150,
            tsne: TsneConfig::default(),
        }
    }
}

/// What was found of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkDiagnosis {
    /// As it is called.
    pub name: String,
    /// Accuracy, likelihood, calibration, agreement with people, separability.
    pub evaluation: EvaluationReport,
    /// What one number would do for its calibration.
    pub temperature: TemperatureDiagnosis,
    /// Cohesion, adhesion and discrimination of its embeddings, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<StructureReport>,
    /// The same of its logits: the dimensions that the published values agree with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<StructureReport>,
    /// Pictures of its embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Why there are no such pictures, if they were asked for: the end of a sentence with "because".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_layout: Option<String>,
    /// Seconds of its forward passes.
    pub forward_seconds: f64,
}

/// Temperature scaling, fitted on every other image of each class and measured on the rest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemperatureDiagnosis {
    /// The fit.
    pub fit: TemperatureFit,
    /// Calibration error on the other images as they are, bins of equal width.
    pub ece_before: f64,
    /// The same at the temperature.
    pub ece_after: f64,
    /// Negative log-likelihood on the other images as they are, in nats.
    pub nll_before: f64,
    /// The same at the temperature.
    pub nll_after: f64,
}

/// Points in the plane, some of each class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The class of each point.
    pub labels: Vec<usize>,
    /// By t-SNE.
    pub tsne: Vec<(f64, f64)>,
    /// By the first two principal components.
    pub pca: Vec<(f64, f64)>,
    /// Shares of the variance along these.
    pub pca_share: Vec<f64>,
}

impl Layout {
    /// Classes that a picture tells apart; further ones are left out.
    pub const CLASSES: usize = 24;
}

/// Look at a network on a test set, in one pass over the images.
///
/// # Errors
///
/// [`TrainError::Recipe`] for a batch size of 0, [`TrainError::Unfit`] when the set is not one for the network, and what the device and the
/// measures report.
pub fn diagnose_network<N: Classify + 'static>(
    name: &str,
    network: &N,
    set: &ImageSet,
    config: &DiagnosisConfig,
    progress: &Progress,
) -> Result<NetworkDiagnosis, TrainError> {
    if config.batch_size == 0 {
        return Err(TrainError::Recipe {
            place: "batch_size".into(),
            reason: "is 0, expected at least 1".into(),
        });
    }
    fits("network", network.input_spec(), "test", set)?;
    let device = device_of(network);
    let frozen = network.valid();
    let classes = set.classes();
    let mut evaluation = config.evaluation.init(classes)?;
    let mut answers = Embeddings::new(classes, config.embeddings)?;
    let mut embeddings = Embeddings::new(classes, config.embeddings)?;
    let mut logits = Vec::with_capacity(set.len() * classes);
    let mut seconds = 0.0;

    let task = progress.task(&format!("diagnose {name}"), set.len() as u64, "images");
    let [channels, height, width] = set.shape();
    let size = channels * height * width;
    for start in (0..set.len()).step_by(config.batch_size) {
        let end = set.len().min(start + config.batch_size);
        let pixels = &set.pixels()[start * size..end * size];
        let images = pixels::plain(pixels, [end - start, channels, height, width], &device)?;
        let started = Instant::now();
        let features = frozen.forward_features(images);
        // A failure shows when the answers are read.
        let _ = features.logits.device().sync();
        seconds += started.elapsed().as_secs_f64();
        let labels = labels(&set.labels()[start..end], &device);
        let human = set
            .soft_labels()
            .map(|soft| rows(&soft[start * classes..end * classes], classes, &device));
        evaluation.update(features.logits.clone(), labels.clone(), human)?;
        let kept = (end - start).min(config.embeddings - answers.len());
        if kept > 0 {
            let labels = labels.slice(0..kept);
            answers.update(features.logits.clone().slice(0..kept), labels.clone())?;
            if let Some(embedding) = features.embedding {
                embeddings.update(embedding.slice(0..kept), labels)?;
            }
        }
        logits.extend(host(features.logits)?);
        task.advance((end - start) as u64);
    }
    task.finish();
    let (layout, no_layout) = match config.points_per_class {
        0 => (None, None),
        _ => match layout(&embeddings, config)? {
            Ok(layout) => (Some(layout), None),
            Err(reason) => (None, Some(reason)),
        },
    };
    Ok(NetworkDiagnosis {
        name: name.to_string(),
        evaluation: evaluation.compute()?,
        temperature: temperature(&logits, set.labels(), classes, config, &device)?,
        embedding: structure(&embeddings)?,
        logits: structure(&answers)?,
        layout,
        no_layout,
        forward_seconds: seconds,
    })
}

/// Nothing where classes or samples are too few for the measure.
fn structure(embeddings: &Embeddings) -> Result<Option<StructureReport>, TrainError> {
    match embeddings.structure() {
        Ok(report) => Ok(Some(report)),
        Err(MetricError::TooFew { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The pictures, or why they cannot be drawn.
fn layout(
    embeddings: &Embeddings,
    config: &DiagnosisConfig,
) -> Result<Result<Layout, String>, TrainError> {
    // More classes than can be told apart are not shown; each has fewer points where there are many.
    let sample = embeddings
        .of_classes(Layout::CLASSES)
        .sample(config.points_per_class);
    let missing = |reason: &str| Ok(Err(reason.to_string()));
    match (embeddings.is_empty(), sample.is_empty()) {
        (true, _) => return missing("it gives no embeddings"),
        (_, true) => return missing("no image is of the classes that a picture shows"),
        _ => {}
    }
    if sample.dimensions() < 2 {
        return missing("its embeddings have only one dimension");
    }
    let pictures = sample
        .tsne(&config.tsne)
        .and_then(|tsne| Ok((tsne, sample.pca(2)?)));
    let (tsne, pca) = match pictures {
        Ok(pictures) => pictures,
        Err(MetricError::TooFew { needed, found, .. }) => {
            let reason = format!("{found} images are too few; {needed} are needed");
            return Ok(Err(reason));
        }
        Err(error) => return Err(error.into()),
    };
    if pca.variance[0] == 0.0 {
        return missing("all of its embeddings are equal");
    }
    Ok(Ok(Layout {
        labels: sample.labels().to_vec(),
        tsne: tsne.points,
        pca: pca.projected.iter().map(|row| (row[0], row[1])).collect(),
        pca_share: pca.share,
    }))
}

fn temperature(
    logits: &[f32],
    all_labels: &[u16],
    classes: usize,
    config: &DiagnosisConfig,
    device: &Device,
) -> Result<TemperatureDiagnosis, TrainError> {
    // Every other image of each class, whatever the order of the set.
    let mut seen = vec![0; classes];
    let halves: Vec<usize> = all_labels
        .iter()
        .map(|&label| {
            let count = &mut seen[usize::from(label)];
            *count += 1;
            (*count - 1) % 2
        })
        .collect();
    // Without a second half, the first is its own test.
    let test = usize::from(halves.contains(&1));
    let part = |half: usize| {
        let chosen = (0..all_labels.len()).filter(|index| halves[*index] == half);
        let values: Vec<f32> = chosen
            .clone()
            .flat_map(|index| &logits[index * classes..][..classes])
            .copied()
            .collect();
        let own: Vec<u16> = chosen.map(|index| all_labels[index]).collect();
        (rows(&values, classes, device), labels(&own, device))
    };
    let (fitted, fitted_labels) = part(0);
    let mut scaling = TemperatureScaling::new(classes)?;
    scaling.update(fitted, fitted_labels)?;
    let fit = scaling.fit()?;
    let (others, other_labels) = part(test);
    let measure = |logits: Tensor<2>| -> Result<EvaluationReport, TrainError> {
        let mut evaluation: Evaluation = config.evaluation.init(classes)?;
        evaluation.update(logits, other_labels.clone(), None)?;
        Ok(evaluation.compute()?)
    };
    let before = measure(others.clone())?;
    let after = measure(others.div_scalar(fit.temperature))?;
    Ok(TemperatureDiagnosis {
        fit,
        ece_before: before.ece,
        ece_after: after.ece,
        nll_before: before.nll,
        nll_after: after.nll,
    })
}
