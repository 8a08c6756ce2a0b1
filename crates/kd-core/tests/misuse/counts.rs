use kd_core::*;

use crate::{Attempt, check, device, message};

/// Counts are refused at 0, or below the two that a comparison takes.
#[test]
fn counts_are_large_enough() {
    let zero = |field, attempts| check(field, "[1, inf)", &[0.0], &[1.0, 3.0], attempts);
    zero(
        "student_features",
        attempts! {
            "CC": n => CcLossConfig::new(n as usize, 4).init(&device()),
            "CRD": n => CrdLossConfig::new(n as usize, 4, 9).init(&device()),
        },
    );
    zero(
        "teacher_features",
        attempts! {
            "CC": n => CcLossConfig::new(4, n as usize).init(&device()),
            "CRD": n => CrdLossConfig::new(4, n as usize, 9).init(&device()),
        },
    );
    zero(
        "features",
        attempts! {
            "CC": n => CcLossConfig::new(4, 4).with_features(n as usize).init(&device()),
            "CRD": n => CrdLossConfig::new(4, 4, 9).with_features(n as usize).init(&device()),
            "ONE": n => OneConfig::new(n as usize, 2).init(&device()),
            "OKDDip": n => OkddipConfig::new(n as usize).init(&device()),
            "peer teacher": n => PeerTeacherConfig::new(vec![4, n as usize], 3).init(&device()),
        },
    );
    zero(
        "student_channels",
        attempts! {
            "VID": n => VidLossConfig::new(n as usize, 4).init(&device()),
            "translator": n => TranslatorConfig::new(n as usize, 4).init(&device()),
        },
    );
    zero(
        "teacher_channels",
        attempts! { "VID": n => VidLossConfig::new(4, n as usize).init(&device()) },
    );
    zero(
        "reduction",
        attempts! { "OKDDip": n => OkddipConfig::new(4).with_reduction(n as usize).init(&device()) },
    );
    zero(
        "samples",
        attempts! { "PS-KD": n => PsKdConfig::new(n as usize, 3).init(&device()) },
    );
    zero(
        "classes",
        attempts! {
            "PS-KD": n => PsKdConfig::new(9, n as usize).init(&device()),
            "peer teacher": n => PeerTeacherConfig::new(vec![4, 4], n as usize).init(&device()),
        },
    );
    zero(
        "negatives",
        attempts! { "CRD": n => Negatives::new(&[vec![0; n as usize]], 9) },
    );
    let pair = |field, attempts| check(field, "[2, inf)", &[0.0, 1.0], &[2.0, 3.0], attempts);
    pair(
        "samples",
        attempts! { "CRD": n => CrdLossConfig::new(4, 4, n as usize).init(&device()) },
    );
    pair(
        "branches",
        attempts! { "ONE": n => OneConfig::new(4, n as usize).init(&device()) },
    );
    pair(
        "peers",
        attempts! {
            "peer teacher": n => PeerTeacherConfig::new(vec![4; n as usize], 3).init(&device()),
            "KDCL": n => EnsembleErrors::new(n as usize),
        },
    );
    check(
        "channels of the factor",
        "[1, inf): rate * channels, rounded down",
        &[0.0],
        &[],
        attempts! {
            "paraphraser": _n => ParaphraserConfig::new(3).with_rate(0.3).init(&device()),
            "translator": _n => TranslatorConfig::new(4, 1).init(&device()),
        },
    );
}

#[test]
fn a_hint_is_between_maps_that_a_convolution_can_join() {
    let config = |student, teacher| FitNetLossConfig::new(student, teacher).init(&device());
    assert_eq!(
        message(config([0, 4, 4], [4, 4, 4])),
        "the student's map: found 0x4x4, expected no 0"
    );
    assert_eq!(
        message(config([4, 4, 4], [4, 4, 0])),
        "the teacher's map: found 4x4x0, expected no 0"
    );
    for teacher in [[4, 6, 6], [4, 8, 4], [4, 4, 5]] {
        let message = message(config([3, 4, 4], teacher));
        assert!(
            message.starts_with("the teacher's map beside the student's: found 4x"),
            "{message}"
        );
        assert!(
            message.ends_with(
                "and 3x4x4, expected a teacher's map that is not larger, or exactly twice as large"
            ),
            "{message}"
        );
    }
}
