use kd_core::{
    AbLossConfig, AbReduction, AtDistance, AtLossConfig, FitNetLossConfig, FspLoss, FtFactor,
    FtLossConfig, NstLoss, ParaphraserConfig, TranslatorConfig, VidLossConfig,
};

use crate::harness::{cases, device};

#[test]
fn golden_fitnet() {
    for case in cases("fitnet", 8) {
        let [_, student @ ..] = case.shape::<4>("student");
        let [_, teacher @ ..] = case.shape::<4>("teacher");
        let config = FitNetLossConfig::new(student, teacher).with_relu(case.flag("relu"));
        case.check(|s| {
            let loss = s.module(config.init(&device().autodiff()).unwrap());
            loss.forward(s.input("student"), s.input("teacher"))
        });
    }
}

#[test]
fn golden_at() {
    for case in cases("at", 16) {
        let config = AtLossConfig::new()
            .with_power(case.number("p"))
            .with_distance(match case.form() {
                "mean_square" => AtDistance::MeanSquare,
                "norm" => AtDistance::Euclidean,
                other => panic!("{other}"),
            });
        let loss = config.init().unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_nst() {
    for case in cases("nst", 7) {
        case.check(|s| NstLoss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_vid() {
    for case in cases("vid", 7) {
        let [_, student, ..] = case.shape::<4>("student");
        let [_, teacher, ..] = case.shape::<4>("teacher");
        case.check(|s| {
            let loss = VidLossConfig::new(student, teacher).init(&device().autodiff());
            let loss = s.module(loss.unwrap());
            loss.forward(s.input("student"), s.input("teacher"))
        });
    }
}

#[test]
fn golden_fsp() {
    for case in cases("fsp", 5) {
        case.check(|s| {
            let student = [s.input("student_lower"), s.input("student_upper")];
            let teacher = [s.input("teacher_lower"), s.input("teacher_upper")];
            FspLoss.forward(student, teacher)
        });
    }
}

#[test]
fn golden_ab() {
    for case in cases("ab", 15) {
        let config = AbLossConfig::new()
            .with_margin(case.number("margin"))
            .with_reduction(match case.form() {
                "sum" => AbReduction::ScaledSum,
                "mean" => AbReduction::Mean,
                other => panic!("{other}"),
            });
        let loss = config.init().unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_ft() {
    for case in cases("ft", 14) {
        let loss = FtLossConfig::new()
            .with_factor(match case.form() {
                "attention" => FtFactor::Attention,
                "factor" => FtFactor::Whole,
                other => panic!("{other}"),
            })
            .init();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_paraphraser() {
    for case in cases("paraphraser", 4) {
        let [_, channels, ..] = case.shape::<4>("teacher");
        case.check(|s| {
            let config = ParaphraserConfig::new(channels).with_rate(case.number("k"));
            let paraphraser = s.module(config.init(&device().autodiff()).unwrap());
            paraphraser.reconstruction_loss(s.input("teacher"))
        });
    }
}

#[test]
fn golden_translator() {
    for case in cases("translator", 5) {
        let [_, student, ..] = case.shape::<4>("student");
        let [_, factor, ..] = case.shape::<4>("teacher");
        case.check(|s| {
            // Twice the factor's channels at half the rate.
            let config = TranslatorConfig::new(student, 2 * factor);
            let translator = s.module(config.init(&device().autodiff()).unwrap());
            let factor = translator.forward(s.input("student"));
            FtLossConfig::new()
                .init()
                .forward(factor, s.input("teacher"))
        });
    }
}
