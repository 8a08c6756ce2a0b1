//! Teachers that are functions: what they teach, how they are measured, and how they are refused.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "common/small.rs"]
mod small;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use kd_data::{Shapes, Split};
use kd_models::{Architecture, Classifier, Classify};
use kd_train::{
    AnyTeacher, Distiller, Outcome, Progress, TrainError, evaluate, fingerprint, logits,
};
use small::{network, recipe, teacher, train_set};

type Answer = Result<Vec<f32>, Infallible>;

fn of_tensors(name: &str, network: &Classifier) -> AnyTeacher {
    let (network, spec) = (network.valid(), network.input_spec());
    AnyTeacher::from_tensors(name, spec.size, spec.class_names.clone(), move |images| {
        network.forward(images)
    })
    .unwrap()
}

fn on_host(
    name: &str,
    answer: impl FnMut(&[f32], [usize; 4]) -> Answer + Send + 'static,
) -> AnyTeacher {
    let spec = teacher().input_spec().clone();
    AnyTeacher::from_pixels(name, spec.size, spec.class_names, answer).unwrap()
}

fn of_pixels(name: &str, network: &Classifier) -> AnyTeacher {
    let network = network.valid();
    on_host(name, move |pixels, shape| {
        let data = TensorData::new(pixels.to_vec(), shape);
        let logits = network.forward(Tensor::from_data(data, &Device::flex()));
        Ok(logits.into_data().try_into_vec().unwrap())
    })
}

fn run(distiller: Distiller) -> Result<Outcome<Classifier>, TrainError> {
    distiller.run(network(Architecture::ResNet8, 1), &train_set())
}

fn new(name: &str) -> Distiller {
    Distiller::new(recipe(name)).unwrap()
}

#[test]
fn a_function_around_a_network_teaches_what_the_network_does() {
    for name in ["kd", "tlcutmix_pick"] {
        let student = |distiller| fingerprint(&run(distiller).unwrap().student);
        let expected = student(new(name).with_teacher(&teacher()));
        for any in [of_tensors("t", &teacher()), of_pixels("t", &teacher())] {
            assert_eq!(
                student(new(name).with_any_teacher(&any)),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn a_function_and_a_network_speak_with_one_voice() {
    let other = network(Architecture::ResNet8, 200);
    let student = |distiller| fingerprint(&run(distiller).unwrap().student);
    let two = new("kd").with_teacher(&teacher()).with_teacher(&other);
    let mixed = new("kd").with_teacher(&teacher());
    let mixed = mixed.with_any_teacher(&of_pixels("other", &other));
    assert_eq!(student(two), student(mixed));
}

#[test]
fn it_is_measured_like_the_network() {
    let set = Shapes::render(0, Split::Test, 30);
    let (device, silent) = (Device::flex(), Progress::Silent);
    let expected = evaluate(&teacher(), &set, 16, &silent).unwrap();
    for any in [of_tensors("t", &teacher()), of_pixels("t", &teacher())] {
        assert_eq!(any.evaluate(&set, 16, &device, &silent).unwrap(), expected);
        let found = any.logits(&set, 16, &device, &silent).unwrap();
        assert_eq!(found, logits(&teacher(), &set, 16, &silent).unwrap());
    }
}

#[test]
fn the_name_is_what_a_resumed_run_compares() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| {
        let any = of_pixels(name, &teacher());
        run(new("kd")
            .with_any_teacher(&any)
            .with_folder(folder.path().join("run"))
            .with_resume(true))
    };
    let first = fingerprint(&named("first").unwrap().student);
    assert_eq!(fingerprint(&named("first").unwrap().student), first);
    let error = named("second").unwrap_err().to_string();
    assert!(error.contains("teacher differs"), "{error}");
}

#[test]
fn losses_of_features_refuse_it_with_a_sentence() {
    for (name, needs) in [
        ("fitnet", "the maps of stages"),
        ("sp", "needs"),
        ("pkt", "embedding"),
    ] {
        let distiller = new(name).with_any_teacher(&of_pixels("t", &teacher()));
        let error = run(distiller).unwrap_err().to_string();
        assert!(error.contains("teacher does not give"), "{name}: {error}");
        assert!(error.contains(needs), "{name}: {error}");
    }
}

#[test]
fn an_answer_that_is_none_stops_the_run_and_names_the_teacher() {
    type Wrong = fn(&[f32], [usize; 4]) -> Answer;
    let cases: [(Wrong, &str); 4] = [
        (
            |_, shape| Ok(vec![0.0; (shape[0] - 1) * 10]),
            "130 logits, expected 140",
        ),
        (
            |_, shape| Ok(vec![0.0; shape[0] * 9]),
            "126 logits, expected 140: 14 images, 10 classes",
        ),
        (
            |_, shape| {
                Ok((0..shape[0] * 10)
                    .map(|i| if i == 53 { f32::NAN } else { 0.0 })
                    .collect())
            },
            "NaN for image 5 of a batch and class 3, expected finite logits",
        ),
        (
            |_, shape| Ok(vec![f32::INFINITY; shape[0] * 10]),
            "inf for image 0",
        ),
    ];
    for name in ["kd", "tlcutmix_pick"] {
        for (wrong, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            let any = on_host("engine", wrong);
            let with_folder = new(name)
                .with_any_teacher(&any)
                .with_folder(folder.path().join("run"));
            for distiller in [new(name).with_any_teacher(&any), with_folder] {
                let error = run(distiller).unwrap_err();
                assert!(
                    matches!(error, TrainError::TeacherAnswer { .. }),
                    "{error:?}"
                );
                let error = error.to_string();
                assert!(
                    error.starts_with("the teacher `engine` answered with"),
                    "{error}"
                );
                // Of a recipe that picks, the first pass may be over a pool.
                assert!(name != "kd" || error.contains(expected), "{error}");
            }
            // Seen before there is a folder.
            assert!(!folder.path().join("run").exists());
        }
    }
    let spec = teacher().input_spec().clone();
    let rows = |images: Tensor<4>| Tensor::zeros([images.dims()[0], 9], &images.device());
    let any = AnyTeacher::from_tensors("rows", spec.size, spec.class_names, rows).unwrap();
    let error = run(new("kd").with_any_teacher(&any))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the teacher `rows` answered with [14, 9] logits, expected [14, 10]"),
        "{error}"
    );
}

/// The logarithm of a mean probability is cut at the smallest number, which would hide a NaN.
#[test]
fn one_of_several_teachers_that_fails_is_named() {
    let any = on_host("engine", |_, shape| Ok(vec![f32::NAN; shape[0] * 10]));
    for say in ["mean_logits", "mean_probabilities"] {
        let recipe = recipe("kd").with_overrides([format!("teachers={say}")]);
        let distiller = Distiller::new(recipe.unwrap()).unwrap();
        let error = run(distiller.with_teacher(&teacher()).with_any_teacher(&any));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`engine` answered with NaN"), "{error}");
    }
}

#[test]
fn an_error_of_the_engine_is_that_of_the_run_and_of_the_measures() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let spec = teacher().input_spec().clone();
    let any =
        AnyTeacher::from_pixels(
            "engine",
            spec.size,
            spec.class_names,
            move |_, shape| match count.fetch_add(1, Ordering::Relaxed) {
                0..3 => Ok(vec![0.0; shape[0] * 10]),
                _ => Err("out of memory"),
            },
        );
    let any = any.unwrap();
    let error = run(new("kd").with_any_teacher(&any)).unwrap_err();
    assert!(
        matches!(error, TrainError::TeacherFailed { .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the teacher `engine` failed: out of memory"
    );
    // It is not asked again after the first error.
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    let set = Shapes::render(0, Split::Test, 30);
    let error = any.evaluate(&set, 16, &Device::flex(), &Progress::Silent);
    assert_eq!(
        error.unwrap_err().to_string(),
        "the teacher `engine` failed: out of memory"
    );
}

#[test]
fn a_teacher_for_other_images_is_refused() {
    let names: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let answer = |_: &[f32], _: [usize; 4]| Answer::Ok(Vec::new());
    let any = AnyTeacher::from_pixels("large", [3, 64, 64], names, answer).unwrap();
    let error = run(new("kd").with_any_teacher(&any)).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Unfit {
                network: "teacher",
                ..
            }
        ),
        "{error:?}"
    );
    let error = AnyTeacher::from_pixels("no class", [3, 64, 64], Vec::new(), answer);
    assert!(matches!(error, Err(TrainError::Model(_))));
}
