use burn::tensor::Tensor;
use kd_core::*;

use crate::{device, labels};

fn rows(batch: usize, width: usize) -> Tensor<2> {
    Tensor::ones([batch, width], &device())
}

fn map(batch: usize, channels: usize, size: usize) -> Tensor<4> {
    Tensor::ones([batch, channels, size, size], &device())
}

/// Tests of what is refused, and with which words.
macro_rules! refused {
    ($message:literal: $($name:ident => $body:expr;)+) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let _ = $body;
        }
    )+};
}

refused! { "must have the same [batch, classes]":
    kl_of_other_classes => KlLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 4));
    kl_of_another_batch => KlLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3));
    kd_of_other_classes => KdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 4), labels(2));
    reverse_kl_of_another_batch => ReverseKlLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3));
    js_of_another_batch => JsLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3));
    logits_of_another_batch => LogitMseLossConfig::new().init().forward(rows(2, 3), rows(1, 3));
    dkd_of_other_classes => DkdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 4), labels(2));
    dist_of_another_batch => DistLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3));
    tf_kd_of_another_batch => TfKdSelfLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3), labels(2));
    cs_kd_of_another_batch => CsKdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3), labels(2));
    probabilities_of_another_batch => SoftCrossEntropyLoss.forward(rows(2, 3), rows(1, 3));
    irg_of_other_classes => irg(graph(3, 2, 4), Graph { logits: rows(3, 6), ..graph(3, 2, 4) });
    a_memory_of_other_classes => {
        let memory = PsKdConfig::new(5, 4).init(&device()).unwrap();
        memory.forward(rows(2, 3), labels(2), &[0, 1], 1.0)
    };
}

refused! { "1 labels for 2 rows of logits":
    cross_entropy_of_too_few_labels => divergence::cross_entropy(rows(2, 3), labels(1));
    kd_of_too_few_labels => KdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 3), labels(1));
    dkd_of_too_few_labels => DkdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 3), labels(1));
    label_smoothing_of_too_few_labels => LabelSmoothingLossConfig::new().init().unwrap().forward(rows(2, 3), labels(1));
    tf_kd_of_too_few_labels => TfKdSelfLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 3), labels(1));
    virtual_tf_kd_of_too_few_labels => TfKdVirtualLossConfig::new().init().unwrap().forward(rows(2, 3), labels(1));
    cs_kd_of_too_few_labels => CsKdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(2, 3), labels(1));
    naive_kdcl_of_too_few_labels => kdcl(KdclEnsemble::Naive, 1);
    linear_kdcl_of_too_few_labels => kdcl(KdclEnsemble::Linear, 1);
    smallest_kdcl_of_too_few_labels => kdcl(KdclEnsemble::MinLogit, 1);
    one_of_too_few_labels => {
        let one = OneConfig::new(4, 2).init(&device()).unwrap();
        one.forward(rows(2, 4), &[rows(2, 3), rows(2, 3)], labels(1))
    };
    a_peer_teacher_of_too_few_labels => {
        let teacher = PeerTeacherConfig::new(vec![4, 4], 3).init(&device()).unwrap();
        teacher.forward(&[rows(2, 4), rows(2, 4)], &[rows(2, 3), rows(2, 3)], labels(1))
    };
    ddgsd_of_too_few_labels => {
        let view = || DistortedView { logits: rows(2, 3), features: rows(2, 4) };
        DdgsdLossConfig::new().init().unwrap().forward(view(), view(), labels(1))
    };
    ps_kd_of_too_few_labels => {
        let memory = PsKdConfig::new(5, 3).init(&device()).unwrap();
        memory.forward(rows(2, 3), labels(1), &[0, 1], 1.0)
    };
    errors_of_too_few_labels => EnsembleErrors::new(2).unwrap().update(&[rows(2, 3), rows(2, 3)], labels(1));
}

fn kdcl(ensemble: KdclEnsemble, labelled: usize) -> Vec<Tensor<1>> {
    let loss = KdclLossConfig::new()
        .with_ensemble(ensemble)
        .init()
        .unwrap();
    loss.forward(&[rows(2, 3), rows(2, 3)], labels(labelled))
}

refused! { "two are needed":
    dml_of_one_peer => DmlLossConfig::new().init().unwrap().forward(&[rows(2, 3)]);
    mmd_of_one_peer => MmdLoss.forward(&[rows(2, 3)]);
    kdcl_of_no_peer => KdclLossConfig::new().init().unwrap().forward(&[], labels(2));
    dkd_of_one_class => DkdLossConfig::new().init().unwrap().forward(rows(2, 1), rows(2, 1), labels(2));
}

refused! { "must have the same shape":
    dml_of_peers_with_other_classes => DmlLossConfig::new().init().unwrap().forward(&[rows(2, 3), rows(2, 4)]);
    mmd_of_peers_with_other_features => MmdLoss.forward(&[rows(2, 3), rows(2, 1)]);
    okddip_of_peers_with_other_features => okddip(&[rows(2, 4), rows(2, 3)], &[rows(2, 3), rows(2, 3)]);
    ddgsd_of_other_features => {
        let view = |width| DistortedView { logits: rows(2, 3), features: rows(2, width) };
        DdgsdLossConfig::new().init().unwrap().forward(view(4), view(1), labels(2))
    };
}

fn okddip(features: &[Tensor<2>], logits: &[Tensor<2>]) -> OkddipTerms {
    let okddip = OkddipConfig::new(4).init(&device()).unwrap();
    okddip.forward(features, logits, rows(2, 3))
}

refused! { "features and logits":
    okddip_of_features_of_other_peers => okddip(&[rows(2, 4), rows(2, 4)], &[rows(2, 3), rows(2, 3), rows(2, 3)]);
    a_peer_teacher_of_features_of_other_peers => {
        let teacher = PeerTeacherConfig::new(vec![4, 4], 3).init(&device()).unwrap();
        teacher.forward(&[rows(2, 4), rows(2, 4)], &[rows(2, 3)], labels(2))
    };
}

refused! { "another number of branches":
    one_of_too_many_branches => {
        let one = OneConfig::new(4, 2).init(&device()).unwrap();
        one.forward(rows(2, 4), &[rows(2, 3), rows(2, 3), rows(2, 3)], labels(2))
    };
}

refused! { "peers":
    kdcl_of_other_weights => kdcl(KdclEnsemble::General { weights: vec![0.2, 0.3, 0.5] }, 2);
    errors_of_other_peers => EnsembleErrors::new(3).unwrap().update(&[rows(2, 3), rows(2, 3)], labels(2));
}

refused! { "same [batch, channels, height, width]":
    ab_of_other_channels => AbLossConfig::new().init().unwrap().forward(map(2, 3, 4), map(2, 4, 4));
    fitnet_of_another_size => {
        let loss = FitNetLossConfig::new([3, 4, 4], [5, 2, 2]).init(&device()).unwrap();
        loss.forward(map(2, 3, 4), map(2, 5, 4))
    };
    whole_factors_of_other_channels => {
        let loss = FtLossConfig::new().with_factor(FtFactor::Whole).init();
        loss.forward(map(2, 3, 4), map(2, 4, 4))
    };
    vid_of_other_channels => {
        let loss = VidLossConfig::new(3, 5).init(&device()).unwrap();
        loss.forward(map(2, 3, 4), map(2, 4, 4))
    };
}

refused! { "same batch":
    at_of_another_batch => AtLossConfig::new().init().unwrap().forward(map(2, 3, 4), map(1, 3, 4));
    nst_of_another_batch => NstLoss.forward(map(2, 3, 4), map(1, 3, 4));
    ft_of_another_batch => FtLossConfig::new().init().forward(map(2, 3, 4), map(1, 3, 4));
    vid_of_another_batch => {
        let loss = VidLossConfig::new(3, 3).init(&device()).unwrap();
        loss.forward(map(2, 3, 4), map(1, 3, 4))
    };
    sp_of_another_batch => SpLossConfig::new().init().forward(map(2, 3, 4), map(1, 3, 4));
    fsp_of_another_batch => FspLoss.forward([map(2, 3, 4), map(2, 5, 2)], [map(1, 3, 4), map(1, 5, 2)]);
    fsp_of_other_channels => FspLoss.forward([map(2, 3, 4), map(2, 5, 2)], [map(2, 3, 4), map(2, 4, 2)]);
    fsp_of_stages_of_two_batches => FspLoss.forward([map(2, 3, 4), map(1, 5, 2)], [map(2, 3, 4), map(1, 5, 2)]);
    pkt_of_another_batch => PktLoss.forward(rows(2, 3), rows(1, 3));
    rkd_of_another_batch => RkdLossConfig::new().init().unwrap().forward(rows(2, 3), rows(1, 3));
    cc_of_another_batch => CcLossConfig::new(3, 3).init(&device()).unwrap().forward(rows(2, 3), rows(1, 3));
    gaussian_cc_of_another_batch => {
        let kernel = CcKernel::Gaussian { gamma: 0.4, order: 2 };
        let loss = CcLossConfig::new(3, 3).with_kernel(kernel).init(&device());
        loss.unwrap().forward(rows(2, 3), rows(1, 3))
    };
    irg_of_another_batch => irg(graph(3, 2, 4), Graph { logits: rows(3, 5), ..graph(1, 2, 4) });
}

fn graph(batch: usize, lower: usize, upper: usize) -> Graph {
    Graph {
        lower: map(batch, lower, 4),
        upper: map(batch, upper, 2),
        embedding: rows(batch, 3),
        logits: rows(batch, 5),
    }
}

fn irg(student: Graph, teacher: Graph) -> Tensor<1> {
    IrgLossConfig::new()
        .init()
        .unwrap()
        .forward(student, teacher)
}

refused! { "the upper map has 3 channels, the lower 2: expected a multiple":
    a_graph_whose_channels_do_not_divide => irg(graph(3, 2, 3), graph(3, 2, 4));
}

fn crd(
    student: usize,
    teacher: usize,
    indices: &[usize],
    negatives: usize,
) -> Result<CrdOutput, CoreError> {
    let loss = CrdLossConfig::new(3, 3, 9).init(&device()).unwrap();
    let negatives = Negatives::new(&vec![vec![1, 2]; negatives], 9).unwrap();
    loss.forward(rows(student, 3), rows(teacher, 3), indices, &negatives)
}

refused! { "3 indices and 2 rows of negatives for 2 embeddings":
    crd_of_too_many_indices => crd(2, 2, &[0, 1, 2], 2);
}

refused! { "2 indices and 3 rows of negatives for 2 embeddings":
    crd_of_too_many_negatives => crd(2, 2, &[0, 1], 3);
}

refused! { "embeddings":
    crd_of_a_teacher_of_another_batch => crd(2, 1, &[0, 1], 2);
}

refused! { "indices and rows of logits":
    ps_kd_of_too_few_indices => {
        let memory = PsKdConfig::new(5, 3).init(&device()).unwrap();
        memory.forward(rows(2, 3), labels(2), &[0], 1.0)
    };
}

refused! { "temperature = 0: must be positive and finite":
    softmax_at_zero => divergence::softmax(rows(2, 3), 0.0);
    kl_at_zero => divergence::kl(rows(2, 3), rows(2, 3), 0.0);
    entropy_at_zero => divergence::entropy(rows(2, 3), 0.0);
}
