use kd_core::{
    CcKernel, CcLossConfig, Graph, IrgLossConfig, PktLoss, RkdLossConfig, SpLossConfig, SpNorm,
};

use crate::harness::{Session, cases, device};

#[test]
fn golden_sp() {
    for case in cases("sp", 14) {
        let loss = SpLossConfig::new()
            .with_norm(match case.form() {
                "rows" => SpNorm::Rows,
                "global" => SpNorm::Whole,
                other => panic!("{other}"),
            })
            .init();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_cc() {
    for case in cases("cc", 8) {
        let [_, student] = case.shape("student");
        let [_, teacher] = case.shape("teacher");
        let kernel = match case.form() {
            "consecutive" => CcKernel::Consecutive,
            "rbf" => CcKernel::Gaussian {
                gamma: case.number("gamma"),
                order: case.number("order") as u32,
            },
            other => panic!("{other}"),
        };
        let config = CcLossConfig::new(student, teacher)
            .with_features(8)
            .with_kernel(kernel);
        case.check(|s| {
            let loss = s.module(config.init(&device().autodiff()).unwrap());
            loss.forward(s.input("student"), s.input("teacher"))
        });
    }
}

#[test]
fn golden_pkt() {
    for case in cases("pkt", 4) {
        case.check(|s| PktLoss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_rkd() {
    for case in cases("rkd", 4) {
        let config = RkdLossConfig::new()
            .with_distance(case.number("w_d"))
            .with_angle(case.number("w_a"));
        let loss = config.init().unwrap();
        case.check(|s| loss.forward(s.input("student"), s.input("teacher")));
    }
}

#[test]
fn golden_irg() {
    for case in cases("irg", 4) {
        let config = IrgLossConfig::new()
            .with_vertex(case.number("w_vertex"))
            .with_edge(case.number("w_edge"))
            .with_transformation(case.number("w_transform"));
        let loss = config.init().unwrap();
        let graph = |s: &mut Session, whose: &str| Graph {
            lower: s.input(&format!("{whose}_lower")),
            upper: s.input(&format!("{whose}_upper")),
            embedding: s.input(&format!("{whose}_embedding")),
            logits: s.input(&format!("{whose}_logits")),
        };
        case.check(|s| {
            let (student, teacher) = (graph(s, "student"), graph(s, "teacher"));
            loss.forward(student, teacher)
        });
    }
}
