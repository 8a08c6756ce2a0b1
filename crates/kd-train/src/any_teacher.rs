//! A teacher of any kind: a function from images to logits.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};
use kd_data::ImageSet;
use kd_metrics::EvaluationReport;
use kd_models::{Features, Heads, InputSpec};
use sha2::{Digest, Sha256};

use crate::evaluation::{fits, for_each_batch, host, measure};
use crate::modules::hex;
use crate::network::Frozen;
use crate::pixels;
use crate::progress::Progress;
use crate::{Distiller, TrainError};

/// A teacher that is a function from images to logits: another inference engine, a service, an
/// ensemble with rules of its own.
///
/// A run learns from it like from a network ([`Distiller::with_any_teacher`]), and
/// [`evaluate`](AnyTeacher::evaluate) measures it like one. It gives logits alone, so a run with a
/// loss of features refuses it before the first step.
///
/// Pixels are in `[0, 1]`, and the function normalises them itself. Every answer is checked: an
/// answer of another shape, or one that is not finite, stops the run before the step is applied.
///
/// The name stands for what the function computes. A run that is resumed compares it, as it
/// compares the weights of a network, so give another name to other weights.
///
/// ```
/// use kd_train::AnyTeacher;
///
/// // An engine that knows nothing of Burn: planar pixels in, a row of logits for each image out.
/// let names = vec!["dark".to_string(), "bright".to_string()];
/// let teacher = AnyTeacher::from_pixels("brightness", [3, 32, 32], names, |pixels, shape| {
///     let images = pixels.chunks_exact(shape[1..].iter().product());
///     let mean = |image: &[f32]| image.iter().sum::<f32>() / image.len() as f32;
///     let logits = images.flat_map(|image| [0.0, 10.0 * (mean(image) - 0.5)]);
///     Ok::<_, std::convert::Infallible>(logits.collect())
/// })?;
/// assert_eq!(teacher.name(), "brightness");
/// # Ok::<(), kd_train::TrainError>(())
/// ```
#[derive(Clone)]
pub struct AnyTeacher {
    name: String,
    spec: InputSpec,
    answer: Arc<Mutex<Answer>>,
}

/// What an inference engine reports.
type Reason = Box<dyn Error + Send + Sync>;
type OfTensors = dyn FnMut(Tensor<4>) -> Tensor<2> + Send;
type OfPixels = dyn FnMut(&[f32], [usize; 4]) -> Result<Vec<f32>, Reason> + Send;

enum Answer {
    Tensors(Box<OfTensors>),
    Pixels(Box<OfPixels>),
}

impl AnyTeacher {
    /// A teacher that computes with Burn's tensors.
    ///
    /// `size` is channels, height and width of an image, `class_names` are the classes in the order
    /// of the logits. Images come on the device of the run, without autodiff.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width] -> [batch, classes]`
    ///
    /// # Errors
    ///
    /// [`TrainError::Model`] when a size is zero, or there is no class.
    pub fn from_tensors(
        name: impl Into<String>,
        size: [usize; 3],
        class_names: Vec<String>,
        answer: impl FnMut(Tensor<4>) -> Tensor<2> + Send + 'static,
    ) -> Result<Self, TrainError> {
        Self::new(name, size, class_names, Answer::Tensors(Box::new(answer)))
    }

    /// A teacher that computes on the host, with any library or none.
    ///
    /// The function is given planar pixels, row by row, channel by channel, image by image, and
    /// their shape `[batch, channels, height, width]`. It returns `batch * classes` logits, image
    /// by image. Batches differ in size: the last of an epoch is smaller, and a pool of candidates
    /// is larger.
    ///
    /// # Errors
    ///
    /// As [`AnyTeacher::from_tensors`].
    pub fn from_pixels<E: Into<Reason>>(
        name: impl Into<String>,
        size: [usize; 3],
        class_names: Vec<String>,
        mut answer: impl FnMut(&[f32], [usize; 4]) -> Result<Vec<f32>, E> + Send + 'static,
    ) -> Result<Self, TrainError> {
        let answer = move |pixels: &[f32], shape| answer(pixels, shape).map_err(E::into);
        Self::new(name, size, class_names, Answer::Pixels(Box::new(answer)))
    }

    fn new(
        name: impl Into<String>,
        size: [usize; 3],
        class_names: Vec<String>,
        answer: Answer,
    ) -> Result<Self, TrainError> {
        let channels = size[0];
        Ok(Self {
            name: name.into(),
            // The function normalises: this says so.
            spec: InputSpec::new(size, vec![0.0; channels], vec![1.0; channels], class_names)?,
            answer: Arc::new(Mutex::new(answer)),
        })
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it expects to be shown. Mean and standard deviation are 0 and 1, since the function
    /// normalises.
    pub fn input_spec(&self) -> &InputSpec {
        &self.spec
    }

    /// Asks for the logits of a batch with pixels in `[0, 1]`, and checks the answer.
    ///
    /// # Shapes
    ///
    /// `[batch, channels, height, width] -> [batch, classes]`
    ///
    /// # Errors
    ///
    /// [`TrainError::TeacherFailed`] when the function reports an error,
    /// [`TrainError::TeacherAnswer`] when its answer has another shape or is not finite.
    pub fn ask(&self, images: Tensor<4>) -> Result<Tensor<2>, TrainError> {
        let (shape, device) = (images.dims(), images.device());
        let [batch, classes] = [shape[0], self.spec.classes()];
        let logits = match &mut *lock(&self.answer) {
            Answer::Tensors(answer) => {
                let logits = answer(images).without_autodiff().to_device(&device);
                if logits.dims() != [batch, classes] {
                    return Err(self.answered(
                        format!("{:?} logits", logits.dims()),
                        format!("{:?}: a row for each image", [batch, classes]),
                    ));
                }
                logits
            }
            Answer::Pixels(answer) => {
                let logits = answer(&host(images)?, shape);
                let logits = logits.map_err(|reason| TrainError::TeacherFailed {
                    name: self.name.clone(),
                    reason,
                })?;
                if logits.len() != batch * classes {
                    return Err(self.answered(
                        format!("{} logits", logits.len()),
                        format!("{}: {batch} images, {classes} classes", batch * classes),
                    ));
                }
                pixels::rows(&logits, classes, &device)
            }
        };
        let values = host(logits.clone())?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(logits),
            Some(at) => Err(self.answered(
                format!(
                    "{} for image {} of a batch and class {}",
                    values[at],
                    at / classes,
                    at % classes
                ),
                "finite logits".into(),
            )),
        }
    }

    /// Measures the teacher on a set, as [`evaluate`](crate::evaluate) measures a network. The
    /// measures are computed on `device`, where the function also gets tensors if it takes them.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](crate::evaluate) and [`AnyTeacher::ask`].
    ///
    /// # Panics
    ///
    /// Panics if `batch_size` is 0.
    pub fn evaluate(
        &self,
        set: &ImageSet,
        batch_size: usize,
        device: &Device,
        progress: &Progress,
    ) -> Result<EvaluationReport, TrainError> {
        fits("teacher", &self.spec, "test", set)?;
        let asked = Asked::new(self);
        let report = measure(&asked, set, batch_size, device, progress);
        asked.failure().map_or(report, Err)
    }

    /// Returns the logits for a set, image by image: `[images, classes]`, row by row.
    ///
    /// # Errors
    ///
    /// As [`AnyTeacher::evaluate`].
    ///
    /// # Panics
    ///
    /// Panics if `batch_size` is 0.
    pub fn logits(
        &self,
        set: &ImageSet,
        batch_size: usize,
        device: &Device,
        progress: &Progress,
    ) -> Result<Vec<f32>, TrainError> {
        fits("teacher", &self.spec, "test", set)?;
        let mut all = Vec::with_capacity(set.len() * set.classes());
        let task = progress.task("logits", set.len() as u64, "images");
        let ask = |images| self.ask(images);
        for_each_batch(ask, set, batch_size, device, |answer, range| {
            all.extend(host(answer?)?);
            task.advance(range.len() as u64);
            Ok(())
        })?;
        task.finish();
        Ok(all)
    }

    fn answered(&self, found: String, expected: String) -> TrainError {
        TrainError::TeacherAnswer {
            name: self.name.clone(),
            found,
            expected,
        }
    }
}

impl fmt::Debug for AnyTeacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTeacher")
            .field("name", &self.name)
            .field("input_spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Distiller {
    /// Adds a teacher that is a function from images to logits. Several teachers, of this kind or
    /// networks, speak with one voice: see [`Teachers`](crate::Teachers).
    pub fn with_any_teacher(self, teacher: &AnyTeacher) -> Self {
        self.add_teacher(Box::new(Asked::new(teacher)))
    }
}

/// A teacher in a run. Passes return no error, so the first is kept until somebody takes it; the
/// logits are NaN from then on.
struct Asked {
    teacher: AnyTeacher,
    failure: Mutex<Option<TrainError>>,
}

impl Asked {
    fn new(teacher: &AnyTeacher) -> Self {
        Self {
            teacher: teacher.clone(),
            failure: Mutex::new(None),
        }
    }
}

impl Frozen for Asked {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let (shape, device) = (
            [images.dims()[0], self.teacher.spec.classes()],
            images.device(),
        );
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            match self.teacher.ask(images) {
                Ok(logits) => return logits,
                Err(error) => *failure = Some(error),
            }
        }
        Tensor::full(shape, f32::NAN, &device)
    }

    fn features(&self, images: Tensor<4>) -> Features {
        Features::new(self.logits(images))
    }

    fn heads(&self, images: Tensor<4>) -> Heads {
        self.features(images).into()
    }

    fn input_spec(&self) -> &InputSpec {
        &self.teacher.spec
    }

    fn fingerprint(&self) -> String {
        let AnyTeacher { name, spec, .. } = &self.teacher;
        let facts = format!("{name:?} {:?} {:?}", spec.size, spec.class_names);
        hex(&Sha256::digest(facts))
    }

    fn failure(&self) -> Option<TrainError> {
        lock(&self.failure).take()
    }
}

/// A function that panicked is not asked again by whoever saw the panic; others may try.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
