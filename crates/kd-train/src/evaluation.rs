use burn::tensor::{Device, Tensor};
use kd_data::ImageSet;
use kd_metrics::{EvaluationConfig, EvaluationReport};
use kd_models::{Classify, InputSpec};

use crate::network::{Frozen, frozen};
use crate::progress::Progress;
use crate::{TrainError, pixels};

/// Measure a network on a set: accuracy, likelihood, calibration, and, where the set has soft labels, the divergence from
/// them. The network is asked without autodiff, in evaluation mode, and not changed.
///
/// # Errors
///
/// [`TrainError::Unfit`] when the set has other images or another number of classes than the network, and what
/// the device and the measures report.
///
/// # Panics
///
/// Panics if `batch_size` is 0.
pub fn evaluate<N: Classify + 'static>(
    network: &N,
    set: &ImageSet,
    batch_size: usize,
    progress: &Progress,
) -> Result<EvaluationReport, TrainError> {
    fits("network", network.input_spec(), "test", set)?;
    measure(
        &*frozen(network),
        set,
        batch_size,
        &device_of(network),
        progress,
    )
}

/// [`evaluate`] for a network of any type that fits the set.
pub(crate) fn measure(
    network: &dyn Frozen,
    set: &ImageSet,
    batch_size: usize,
    device: &Device,
    progress: &Progress,
) -> Result<EvaluationReport, TrainError> {
    let task = progress.task("evaluate", set.len() as u64, "images");
    let passes = |images| vec![network.logits(images)];
    let mut reports = measure_all(passes, set, batch_size, device, |count| task.advance(count))?;
    task.finish();
    Ok(reports.swap_remove(0))
}

/// [`measure`] for each head of a network.
pub(crate) fn measure_heads(
    network: &dyn Frozen,
    set: &ImageSet,
    batch_size: usize,
    device: &Device,
) -> Result<Vec<EvaluationReport>, TrainError> {
    let passes = |images| {
        let heads = network.heads(images).heads.into_iter();
        heads.map(|head| head.logits).collect()
    };
    measure_all(passes, set, batch_size, device, |_| ())
}

/// Measures every answer that a pass gives: at least one.
fn measure_all(
    passes: impl Fn(Tensor<4>) -> Vec<Tensor<2>>,
    set: &ImageSet,
    batch_size: usize,
    device: &Device,
    advance: impl Fn(u64),
) -> Result<Vec<EvaluationReport>, TrainError> {
    let classes = set.classes();
    let mut evaluations = Vec::new();
    for_each_batch(passes, set, batch_size, device, |answers, range| {
        let labels = pixels::labels(&set.labels()[range.clone()], device);
        let human = set.soft_labels().map(|soft| {
            let soft = &soft[range.start * classes..range.end * classes];
            pixels::rows(soft, classes, device)
        });
        for (number, logits) in answers.into_iter().enumerate() {
            if number == evaluations.len() {
                evaluations.push(EvaluationConfig::new().init(classes)?);
            }
            evaluations[number].update(logits, labels.clone(), human.clone())?;
        }
        advance(range.len() as u64);
        Ok(())
    })?;
    let reports = evaluations
        .into_iter()
        .map(|evaluation| evaluation.compute());
    Ok(reports.collect::<Result<_, _>>()?)
}

/// The logits of a network on a set, image by image: `[images, classes]`, row by row.
///
/// # Errors
///
/// As [`evaluate`].
///
/// # Panics
///
/// Panics if `batch_size` is 0.
pub fn logits<N: Classify + 'static>(
    network: &N,
    set: &ImageSet,
    batch_size: usize,
    progress: &Progress,
) -> Result<Vec<f32>, TrainError> {
    let teacher = frozen(network);
    fits("network", teacher.input_spec(), "test", set)?;
    let device = device_of(network);
    let mut all = Vec::with_capacity(set.len() * set.classes());
    let task = progress.task("logits", set.len() as u64, "images");
    let pass = |images| teacher.logits(images);
    for_each_batch(pass, set, batch_size, &device, |logits, range| {
        all.extend(host(logits)?);
        task.advance(range.len() as u64);
        Ok(())
    })?;
    task.finish();
    Ok(all)
}

/// Row-major values on the host.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor
        .try_into_data()
        .map_err(|e| TrainError::Device(e.to_string()))?
        .convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|e| TrainError::Device(e.to_string()))
}

pub(crate) fn for_each_batch<T>(
    pass: impl Fn(Tensor<4>) -> T,
    set: &ImageSet,
    batch_size: usize,
    device: &Device,
    mut each: impl FnMut(T, std::ops::Range<usize>) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let [channels, height, width] = set.shape();
    let size = channels * height * width;
    assert!(batch_size > 0, "batch_size is 0, expected at least 1");
    let mut start = 0;
    while start < set.len() {
        let end = set.len().min(start + batch_size);
        let images = &set.pixels()[start * size..end * size];
        let images = pixels::plain(images, [end - start, channels, height, width], device)?;
        each(pass(images), start..end)?;
        start = end;
    }
    Ok(())
}

/// Where a network's parameters live, without autodiff.
pub(crate) fn device_of<N: Classify>(network: &N) -> Device {
    let devices = network.devices();
    devices.into_iter().next().unwrap_or_default().inner()
}

/// Refuse an empty set, and one whose images or classes are not those of the network.
pub(crate) fn fits(
    network: &'static str,
    spec: &InputSpec,
    name: &'static str,
    set: &ImageSet,
) -> Result<(), TrainError> {
    let describe = |size: [usize; 3], classes: &[String]| match numbered(classes) {
        true => format!("{size:?} images of {} classes", classes.len()),
        false => format!(
            "{size:?} images of {} classes ({})",
            classes.len(),
            classes.join(", ")
        ),
    };
    // Classes that are only numbered may be any.
    let (ours, theirs) = (&spec.class_names[..], set.class_names());
    let same_classes = match numbered(ours) || numbered(theirs) {
        true => ours.len() == theirs.len(),
        false => ours == theirs,
    };
    if spec.size == set.shape() && same_classes && !set.is_empty() {
        return Ok(());
    }
    Err(TrainError::Unfit {
        network,
        set: name,
        expected: describe(spec.size, ours),
        found: match set.is_empty() {
            true => "no image".into(),
            false => describe(set.shape(), theirs),
        },
    })
}

fn numbered(classes: &[String]) -> bool {
    classes
        .iter()
        .enumerate()
        .all(|(number, name)| *name == number.to_string())
}
