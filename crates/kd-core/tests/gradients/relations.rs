use burn::tensor::Tensor;
use kd_core::*;

use crate::harness::{check, check_parameters, device, input};

const BATCH: usize = 4;

fn embedding(width: usize, phase: f64) -> Tensor<2> {
    input([BATCH, width], 1.0, phase)
}

#[test]
fn sp_loss() {
    for norm in [SpNorm::Rows, SpNorm::Whole] {
        let loss = SpLossConfig::new().with_norm(norm).init();
        let teacher = || input([BATCH, 2, 3, 1], 1.0, 2.0);
        let name = format!("{norm:?}");
        check(&name, input([BATCH, 3, 2, 2], 1.0, 0.0), |x| {
            loss.forward(x, teacher())
        });
        check(&name, input([BATCH, 2, 2, 3], 1.0, 0.0), |x| {
            loss.forward(x.permute([0, 3, 1, 2]), teacher())
        });
    }
}

#[test]
fn pkt_loss() {
    check("PKT", embedding(5, 0.0), |x| {
        PktLoss.forward(x, embedding(3, 2.0))
    });
}

#[test]
fn rkd_loss() {
    for (distance, angle) in [(25.0, 50.0), (1.0, 0.0), (0.0, 1.0)] {
        let config = RkdLossConfig::new().with_distance(distance);
        let loss = config.with_angle(angle).init().unwrap();
        check(&format!("{distance} {angle}"), embedding(5, 0.0), |x| {
            loss.forward(x, embedding(3, 2.0))
        });
    }
}

fn graph(phase: f64) -> Graph {
    Graph {
        lower: input([BATCH, 2, 4, 2], 1.0, phase),
        upper: input([BATCH, 4, 2, 1], 1.0, phase + 1.0),
        embedding: embedding(5, phase + 2.0),
        logits: input([BATCH, 5], 1.0, phase + 3.0),
    }
}

#[test]
fn irg_loss() {
    let loss = IrgLossConfig::new().init().unwrap();
    let student = || {
        let Graph {
            lower,
            upper,
            embedding,
            logits,
        } = graph(0.0);
        Graph {
            lower: Tensor::from_inner(lower),
            upper: Tensor::from_inner(upper),
            embedding: Tensor::from_inner(embedding),
            logits: Tensor::from_inner(logits),
        }
    };
    check("lower", graph(0.0).lower, |lower| {
        loss.forward(Graph { lower, ..student() }, graph(5.0))
    });
    check("upper", graph(0.0).upper, |upper| {
        loss.forward(Graph { upper, ..student() }, graph(5.0))
    });
    check("embedding", graph(0.0).embedding, |embedding| {
        loss.forward(
            Graph {
                embedding,
                ..student()
            },
            graph(5.0),
        )
    });
    check("logits", graph(0.0).logits, |logits| {
        loss.forward(
            Graph {
                logits,
                ..student()
            },
            graph(5.0),
        )
    });
}

#[test]
fn cc_loss() {
    let gaussian = |order| CcKernel::Gaussian { gamma: 0.4, order };
    for kernel in [CcKernel::Consecutive, gaussian(1), gaussian(2), gaussian(4)] {
        let config = CcLossConfig::new(5, 3).with_features(4).with_kernel(kernel);
        let loss = config.init(&device()).unwrap();
        let name = format!("{kernel:?}");
        check(&name, embedding(5, 0.0), |x| {
            loss.forward(x, embedding(3, 2.0))
        });
        check_parameters(&name, &loss, &[], |loss| {
            loss.forward(Tensor::from_inner(embedding(5, 0.0)), embedding(3, 2.0))
        });
    }
}
