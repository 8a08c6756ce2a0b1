use burn::tensor::Tensor;
use kd_core::*;

use super::{CLASSES, FEATURES, Labels, Loss, MAP, map, numbers, rows, size};

/// Width of an embedding that is not the student's.
const WIDER: usize = 8;
/// A map that is not of the student's shape.
const SMALLER: [usize; 3] = [6, 2, 2];

/// With layers of their own.
pub(crate) fn learned() -> Vec<Loss> {
    let (embeddings, maps) = ([FEATURES, WIDER], [size(MAP), size(SMALLER)]);
    vec![
        Loss::new("FitNet", maps, |s, t, _| {
            let loss = FitNetLossConfig::new(MAP, SMALLER).init(&s.device());
            loss.unwrap().forward(map(s, MAP), map(t, SMALLER))
        })
        .each(|s, t, _| {
            let loss = FitNetLossConfig::new(MAP, SMALLER).init(&s.device());
            loss.unwrap()
                .forward_no_reduction(map(s, MAP), map(t, SMALLER))
        }),
        Loss::new("VID", maps, |s, t, _| {
            let loss = VidLossConfig::new(MAP[0], SMALLER[0]).init(&s.device());
            loss.unwrap().forward(map(s, MAP), map(t, SMALLER))
        })
        .each(|s, t, _| {
            let loss = VidLossConfig::new(MAP[0], SMALLER[0]).init(&s.device());
            loss.unwrap()
                .forward_no_reduction(map(s, MAP), map(t, SMALLER))
        }),
        Loss::new("FT with its translator", maps, |s, t, _| {
            let config = TranslatorConfig::new(MAP[0], SMALLER[0]).with_rate(1.0);
            let translator = config.init(&s.device()).unwrap();
            let factor = translator.forward(map(s, MAP));
            FtLossConfig::new().init().forward(factor, map(t, SMALLER))
        }),
        Loss::new("CC", embeddings, |s, t, _| {
            let loss = CcLossConfig::new(FEATURES, WIDER).init(&s.device());
            loss.unwrap().forward(s, t)
        }),
        Loss::new("CC Gaussian", embeddings, |s, t, _| {
            let kernel = CcKernel::Gaussian {
                gamma: 0.4,
                order: 2,
            };
            let config = CcLossConfig::new(FEATURES, WIDER).with_kernel(kernel);
            config.init(&s.device()).unwrap().forward(s, t)
        }),
        Loss::new("CRD", embeddings, |s, t, _| crd(CrdContrast::Nce, s, t)),
        Loss::new("CRD InfoNCE", embeddings, |s, t, _| {
            crd(CrdContrast::InfoNce, s, t)
        }),
        Loss::new("peer teacher", [CLASSES, FEATURES], |s, t, y| {
            let config = PeerTeacherConfig::new(vec![FEATURES; 2], CLASSES);
            let teacher = config.init(&s.device()).unwrap();
            let features = [t.clone(), t];
            let peers = [s.clone(), s];
            teacher.forward(&features, &peers, y).peers.swap_remove(0)
        }),
    ]
}

/// Of networks that are trained together, on one device.
pub(crate) fn ensembles() -> Vec<Loss> {
    let logits = [CLASSES; 2];
    vec![
        Loss::new("ONE", logits, one),
        Loss::new("OKDDip", logits, |s, t, _| {
            okddip([s.clone(), t], s).peers.swap_remove(0)
        }),
        Loss::new("OKDDip leader", logits, |s, t, _| {
            okddip([t.clone(), t], s).leader
        }),
    ]
}

fn crd(contrast: CrdContrast, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let ([batch, _], device) = (student.dims(), student.device());
    let samples = batch + 4;
    let loss = CrdLossConfig::new(FEATURES, WIDER, samples)
        .with_contrast(contrast)
        .init(&device)
        .unwrap();
    let indices: Vec<usize> = (0..batch).collect();
    let others: Vec<Vec<usize>> = (0..batch).map(|i| vec![i + 1, i + 2, i + 4]).collect();
    let negatives = Negatives::new(&others, samples).unwrap();
    let output = loss.forward(student, teacher, &indices, &negatives);
    output.unwrap().loss
}

fn one(student: Tensor<2>, teacher: Tensor<2>, labels: Labels) -> Tensor<1> {
    let ([batch, _], device) = (student.dims(), student.device());
    let one = OneConfig::new(FEATURES, 2).init(&device).unwrap();
    let shared = rows(&numbers(batch, FEATURES, 1.0, 0.3), FEATURES, &device);
    let terms = one.forward(shared, &[student, teacher], labels);
    terms.branches[0].clone()
}

fn okddip(peers: [Tensor<2>; 2], leader: Tensor<2>) -> OkddipTerms {
    let ([batch, _], device) = (leader.dims(), leader.device());
    let okddip = OkddipConfig::new(FEATURES).init(&device).unwrap();
    let features =
        [0.3, 0.8].map(|phase| rows(&numbers(batch, FEATURES, 1.0, phase), FEATURES, &device));
    okddip.forward(&features, &peers, leader)
}
