use burn::tensor::{Device, Tensor};
use kd_core::*;

use crate::common::*;
use crate::{HUGE, classes, close, matrix};

/// A student and a teacher that are sure, of different classes.
fn opposite() -> [Tensor<2>; 2] {
    [matrix([[-HUGE, HUGE]]), matrix([[HUGE, -HUGE]])]
}

#[test]
fn opposite_huge_logits_have_their_exact_divergence() {
    let ([student, teacher], temperature) = (opposite(), 4.0);
    // p_t = (1, 0) and log p_s = (-2e4 / tau, 0).
    let expected = temperature * 2.0 * f64::from(HUGE);
    let kl = KlLossConfig::new()
        .with_temperature(temperature)
        .init()
        .unwrap();
    close(kl.forward(student.clone(), teacher.clone()), expected);
    let reverse = ReverseKlLossConfig::new()
        .with_temperature(temperature)
        .init()
        .unwrap();
    close(reverse.forward(student.clone(), teacher.clone()), expected);
    let js = JsLossConfig::new()
        .with_temperature(temperature)
        .init()
        .unwrap();
    close(
        js.forward(student.clone(), teacher.clone()),
        temperature.powi(2) * 2f64.ln(),
    );
    let dml = DmlLossConfig::new()
        .with_temperature(temperature)
        .init()
        .unwrap();
    for loss in dml.forward(&[student.clone(), teacher.clone()]) {
        close(loss, expected);
    }
    let mse = LogitMseLossConfig::new().init();
    close(mse.forward(student, teacher), 4e8);
}

#[test]
fn the_gradient_of_opposite_huge_logits_is_the_difference_of_the_probabilities() {
    let [student, teacher] = opposite();
    let loss = KlLossConfig::new().init().unwrap();
    let (_, gradient) = with_gradient(|s, t| loss.forward(s, t), &student, &teacher);
    // tau (p_s - p_t)
    assert_eq!(gradient, [-4.0, 4.0]);
}

#[test]
fn opposite_huge_logits_and_labels() {
    let ([student, teacher], y) = (opposite(), || classes([0]));
    let (ce, kl) = (2.0 * f64::from(HUGE), 4.0 * 2.0 * f64::from(HUGE));
    let kd = KdLossConfig::new().init().unwrap();
    close(
        kd.forward(student.clone(), teacher.clone(), y()),
        0.1 * ce + 0.9 * kl,
    );
    let cs = CsKdLossConfig::new().with_lambda(3.0).init().unwrap();
    close(
        cs.forward(student.clone(), teacher.clone(), y()),
        ce + 3.0 * kl,
    );
    // At tau = 20 the divergence, averaged over two classes, is 20 * 2e4 / 2.
    let tf = TfKdSelfLossConfig::new().init().unwrap();
    close(
        tf.forward(student.clone(), teacher.clone(), y()),
        0.1 * ce + 0.9 * 20.0 * ce / 2.0,
    );
    // The uniform part has a mean of 1e4.
    let smoothing = LabelSmoothingLossConfig::new().init().unwrap();
    close(
        smoothing.forward(student.clone(), y()),
        0.9 * ce + 0.1 * ce / 2.0,
    );
    let soft = SoftCrossEntropyLoss;
    close(
        soft.forward(student.clone(), matrix([[0.25, 0.75]])),
        0.25 * ce,
    );
    // A sample that was never seen has its label for a past.
    let memory = PsKdConfig::new(3, 2).init(&Device::flex()).unwrap();
    close(memory.forward(student, y(), &[2], 1.0).unwrap().loss, ce);
}

/// Of a network that is sure, and right or wrong.
#[test]
fn a_virtual_teacher_of_huge_logits() {
    let config = TfKdVirtualLossConfig::new().with_correct_probability(0.9);
    let loss = config.with_temperature(0.5).init().unwrap();
    // softmax((0.9, 0.1) / 0.5)
    let label = 1.0 / (1.0 + (-1.6f64).exp());
    let entropy = -label * label.ln() - (1.0 - label) * (1.0 - label).ln();
    let huge = 2.0 * f64::from(HUGE);
    // The divergence has a factor of 0.1 * 100, and is averaged over two classes.
    let right = 5.0 * ((1.0 - label) * huge - entropy);
    close(loss.forward(matrix([[HUGE, -HUGE]]), classes([0])), right);
    let wrong = 0.9 * huge + 5.0 * (label * huge - entropy);
    close(loss.forward(matrix([[HUGE, -HUGE]]), classes([1])), wrong);
}

/// Whatever temperature is not refused gives a number.
#[test]
fn losses_at_the_ends_of_the_temperature() {
    let student = || matrix([[-HUGE, HUGE, 0.0], [1.0, 2.0, 3.0]]);
    let teacher = || matrix([[HUGE, -HUGE, 0.0], [3.0, 2.0, 0.5]]);
    for temperature in [1.2e-38, 1e-30, 1e-3, 1e3, 1e19, 1e20, 3e38] {
        let check = |name: &str, loss: Option<Tensor<1>>| {
            let value = loss.map_or(0.0, number);
            assert!(value.is_finite(), "{name} at {temperature:e}: {value}");
        };
        let kl = KlLossConfig::new().with_temperature(temperature).init();
        check("KL", kl.ok().map(|loss| loss.forward(student(), teacher())));
        let js = JsLossConfig::new().with_temperature(temperature).init();
        check("JS", js.ok().map(|loss| loss.forward(student(), teacher())));
        let dist = DistLossConfig::new().with_temperature(temperature).init();
        check(
            "DIST",
            dist.ok().map(|loss| loss.forward(student(), teacher())),
        );
        let dkd = DkdLossConfig::new().with_temperature(temperature).init();
        let labels = || classes([0, 1]);
        check(
            "DKD",
            dkd.ok()
                .map(|loss| loss.forward(student(), teacher(), labels())),
        );
    }
}

/// A problem of one class is solved.
#[test]
fn one_class() {
    let memory = PsKdConfig::new(2, 1).init(&Device::flex()).unwrap();
    let output = memory.forward(matrix([[3.0]]), classes([0]), &[1], 1.0);
    close(output.unwrap().loss, 0.0);
}

/// The logarithm of a softmax that has underflowed is infinite; a difference of logits is not.
#[test]
fn dkd_of_huge_logits() {
    let student = || matrix([[-HUGE, HUGE, 0.0]]);
    let teacher = || matrix([[HUGE, -HUGE, 0.0]]);
    let loss = DkdLossConfig::new()
        .with_temperature(1.0)
        .with_beta(2.0)
        .init()
        .unwrap();
    // The label against the rest: (1, 0) and log (-2e4, 0). Of the others: (0, 1) and log (0, -1e4).
    let (target, others) = (2.0 * f64::from(HUGE), f64::from(HUGE));
    close(
        loss.forward(student(), teacher(), classes([0])),
        target + 2.0 * others,
    );
    // The student is sure of the label, which to the teacher is the least likely: (0, 1) and log (0, -1e4), and again of the others.
    close(
        loss.forward(student(), teacher(), classes([1])),
        others + 2.0 * others,
    );
    close(loss.forward(teacher(), teacher(), classes([1])), 0.0);
}

#[test]
fn of_two_classes_dkd_has_nothing_to_say_of_the_others() {
    let (student, teacher) = (
        matrix([[0.3, -1.2], [2.0, 1.0]]),
        matrix([[-0.5, 1.5], [0.0, 4.0]]),
    );
    let dkd = DkdLossConfig::new().init().unwrap();
    let terms = dkd.terms(student.clone(), teacher.clone(), classes([0, 1]));
    assert_eq!(host(terms.others), [0.0, 0.0]);
    let kl = KlLossConfig::new().init().unwrap();
    close(terms.target.mean(), number(kl.forward(student, teacher)));
}

#[test]
fn dist_where_a_deviation_is_zero() {
    let config = DistLossConfig::new().with_beta(2.0).with_gamma(3.0);
    let loss = config.with_temperature(4.0).init().unwrap();
    let [student, teacher] = opposite();
    // Of one sample: the classes are opposite, r = -1; no class has a deviation, r = 0.
    close(
        loss.forward(student, teacher.clone()),
        16.0 * (2.0 * 2.0 + 3.0),
    );
    // A student that says nothing correlates with nobody, itself included.
    let uniform = matrix([[1.0, 1.0]]);
    close(loss.forward(uniform.clone(), teacher), 16.0 * (2.0 + 3.0));
    close(loss.forward(uniform.clone(), uniform), 16.0 * (2.0 + 3.0));
}

/// Where a deviation is 0, `r` is 0 without gradient.
#[test]
fn dist_does_not_move_a_student_that_says_nothing() {
    let loss = DistLossConfig::new().init().unwrap();
    let teacher = matrix([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]]);
    let student = matrix([[1.0; 3]; 2]);
    let (_, gradient) = with_gradient(|s, t| loss.forward(s, t), &student, &teacher);
    assert_eq!(gradient, [0.0; 6]);
}

/// A softmax of equal logits is a row of equal numbers whose mean is rounded: what is left of them
/// after it was taken off is noise.
#[test]
fn dist_does_not_move_a_zero_initialised_head() {
    for (batch, classes) in [(32, 10), (64, 100), (128, 37), (16, 1000), (7, 3)] {
        let dist = DistLossConfig::new().with_temperature(4.0).init().unwrap();
        let loss = |s, t| dist.forward(s, t);
        let noise = |scale| {
            rows(
                &numbers(batch, classes, scale, 0.3),
                classes,
                &Device::flex(),
            )
        };
        let teacher = noise(3.0);
        // Without a bias, with one number as the bias of all, and a softmax of what are not quite
        // zeros.
        for student in [noise(0.0), noise(0.0) + 0.7, noise(1e-7)] {
            let (value, gradient) = with_gradient(loss, &student, &teacher);
            assert!(
                gradient.iter().all(|g| *g == 0.0),
                "{batch} of {classes}: {gradient:?}"
            );
            assert_eq!(value, 32.0, "{batch} of {classes}");
            // Nor does a teacher that says nothing move anything.
            let (value, gradient) = with_gradient(loss, &teacher, &student);
            assert!(
                gradient.iter().all(|g| *g == 0.0),
                "{batch} of {classes}: {gradient:?}"
            );
            assert_eq!(value, 32.0, "{batch} of {classes}");
        }
        // A bias for each class: the same of all images, which moves nothing between them.
        let dist = DistLossConfig::new().with_beta(0.0).init().unwrap();
        let loss = |s, t| dist.forward(s, t);
        let student = noise(3.0).narrow(0, 0, 1).repeat_dim(0, batch);
        let (value, gradient) = with_gradient(loss, &student, &teacher);
        assert!(
            gradient.iter().all(|g| *g == 0.0),
            "{batch} of {classes}: {gradient:?}"
        );
        assert_eq!(value, 1.0, "{batch} of {classes}");
    }
}

#[test]
fn peers_of_zeros() {
    let losses = MmdLoss.forward(&[matrix([[0.0; 2]; 3]), matrix([[3.0, 4.0]; 3])]);
    losses.into_iter().for_each(|loss| close(loss, 25.0));
}

#[test]
fn peers_that_are_always_right_share_evenly() {
    let mut errors = EnsembleErrors::new(2).unwrap();
    let sure = matrix([[HUGE, -HUGE], [-HUGE, HUGE]]);
    errors.update(&[sure.clone(), sure], classes([0, 1]));
    assert_eq!(errors.weights().unwrap(), [0.5, 0.5]);
}

/// The teacher of two peers that are sure, one of the label.
#[test]
fn kdcl_of_opposite_huge_logits_teaches_the_label() {
    let [wrong, right] = opposite();
    for ensemble in [
        KdclEnsemble::Naive,
        KdclEnsemble::Linear,
        KdclEnsemble::MinLogit,
    ] {
        let loss = KdclLossConfig::new()
            .with_ensemble(ensemble)
            .init()
            .unwrap();
        let losses = loss.forward(&[wrong.clone(), right.clone()], classes([0]));
        // tau^2 2e4 / tau
        close(losses[0].clone(), 2.0 * 2.0 * f64::from(HUGE));
        close(losses[1].clone(), 0.0);
    }
}

#[test]
fn two_equal_views_leave_their_cross_entropies() {
    let view = || DistortedView {
        logits: opposite()[0].clone(),
        features: matrix([[HUGE, 0.0]]),
    };
    let loss = DdgsdLossConfig::new().init().unwrap();
    close(
        loss.forward(view(), view(), classes([0])),
        2.0 * 2.0 * f64::from(HUGE),
    );
    close(loss.forward(view(), view(), classes([1])), 0.0);
}
