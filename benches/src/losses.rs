//! Every loss on what a ResNet-20 and its ResNet-56 teacher give it: logits of 100 classes, three stages, the pooled embedding.

use kd::burn::module::Module;
use kd::burn::tensor::Distribution;
use kd::losses::*;
use kd::prelude::*;

/// Computes the loss and its gradients once.
pub type Pass = Box<dyn FnMut()>;

/// Names in the order of the documentation.
pub const NAMES: [&str; 36] = [
    "kd",
    "kl",
    "soft_cross_entropy",
    "label_smoothing",
    "dkd",
    "dist",
    "js",
    "reverse_kl",
    "mse_logits",
    "fitnet",
    "at",
    "sp",
    "cc",
    "cc_gaussian",
    "pkt",
    "vid",
    "nst",
    "rkd",
    "rkd_distance",
    "fsp",
    "ab",
    "ft",
    "irg",
    "crd",
    "crd_info_nce",
    "dml",
    "mmd",
    "peer_teacher",
    "kdcl_min_logit",
    "kdcl_linear",
    "one",
    "okddip",
    "tf_kd_virtual",
    "cs_kd",
    "ps_kd",
    "ddgsd",
];

const CLASSES: usize = 100;
const SAMPLES: usize = 50_000;
const NEGATIVES: usize = 16_384;
/// Channels and side of the stages.
const STAGES: [(usize, usize); 3] = [(16, 32), (32, 16), (64, 8)];

struct Inputs {
    batch: usize,
    plain: Device,
    device: Device,
}

impl Inputs {
    fn random<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &self.plain)
    }

    fn leaf<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        Tensor::from_inner(x).require_grad()
    }

    fn logits(&self) -> Tensor<2> {
        self.random([self.batch, CLASSES]) * 3.0
    }

    fn embedding(&self) -> Tensor<2> {
        self.random([self.batch, 64])
    }

    /// The maps of the stages, channels innermost as kd's networks leave them.
    fn maps(&self) -> [Tensor<4>; 3] {
        STAGES.map(|(channels, side)| {
            self.random([self.batch, side, side, channels])
                .permute([0, 3, 1, 2])
        })
    }

    fn labels(&self) -> Tensor<1, Int> {
        Tensor::arange(0..self.batch as i64, &self.device).remainder_scalar(CLASSES as i64)
    }

    fn of_logits(
        &self,
        loss: impl Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1> + 'static,
    ) -> Pass {
        let (student, teacher) = (self.leaf(self.logits()), self.logits());
        let labels = self.labels();
        Box::new(move || {
            let loss = loss(student.clone(), teacher.clone(), labels.clone());
            drop(loss.backward());
        })
    }

    fn of_embeddings(&self, loss: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1> + 'static) -> Pass {
        let (student, teacher) = (self.leaf(self.embedding()), self.embedding());
        Box::new(move || drop(loss(student.clone(), teacher.clone()).backward()))
    }

    /// Summed over the stages given.
    fn of_maps(
        &self,
        stages: &'static [usize],
        loss: impl Fn(usize, Tensor<4>, Tensor<4>) -> Tensor<1> + 'static,
    ) -> Pass {
        let (student, teacher) = (self.maps().map(|map| self.leaf(map)), self.maps());
        Box::new(move || {
            let terms = stages
                .iter()
                .map(|&i| loss(i, student[i].clone(), teacher[i].clone()));
            drop(Tensor::cat(terms.collect(), 0).sum().backward());
        })
    }

    fn of_peers(
        &self,
        loss: impl Fn(&[Tensor<2>], &[Tensor<2>]) -> Vec<Tensor<1>> + 'static,
    ) -> Pass {
        let logits = [self.leaf(self.logits()), self.leaf(self.logits())];
        let features = [self.leaf(self.embedding()), self.leaf(self.embedding())];
        Box::new(move || drop(Tensor::cat(loss(&features, &logits), 0).sum().backward()))
    }
}

/// A pass of the loss, or `None` if there is none of this name.
///
/// # Errors
///
/// If a configuration is refused.
pub fn pass(name: &str, batch: usize, device: &Device) -> Result<Option<Pass>, CoreError> {
    let inputs = Inputs {
        batch,
        plain: device.clone(),
        device: device.clone().autodiff(),
    };
    let device = &inputs.device;
    const ALL: &[usize] = &[0, 1, 2];
    Ok(Some(match name {
        "kd" => {
            let loss = KdLossConfig::new().init()?;
            inputs.of_logits(move |s, t, y| loss.forward(s, t, y))
        }
        "kl" => {
            let loss = KlLossConfig::new().init()?;
            inputs.of_logits(move |s, t, _| loss.forward(s, t))
        }
        "soft_cross_entropy" => {
            inputs.of_logits(|s, t, _| SoftCrossEntropyLoss.forward(s, divergence::softmax(t, 1.0)))
        }
        "label_smoothing" => {
            let loss = LabelSmoothingLossConfig::new().init()?;
            inputs.of_logits(move |s, _, y| loss.forward(s, y))
        }
        "dkd" => {
            let loss = DkdLossConfig::new().init()?;
            inputs.of_logits(move |s, t, y| loss.forward(s, t, y))
        }
        "dist" => {
            let loss = DistLossConfig::new().init()?;
            inputs.of_logits(move |s, t, _| loss.forward(s, t))
        }
        "js" => {
            let loss = JsLossConfig::new().init()?;
            inputs.of_logits(move |s, t, _| loss.forward(s, t))
        }
        "reverse_kl" => {
            let loss = ReverseKlLossConfig::new().init()?;
            inputs.of_logits(move |s, t, _| loss.forward(s, t))
        }
        "mse_logits" => {
            let loss = LogitMseLossConfig::new().init();
            inputs.of_logits(move |s, t, _| loss.forward(s, t))
        }
        "fitnet" => {
            let loss = FitNetLossConfig::new([32, 16, 16], [32, 16, 16]).init(device)?;
            inputs.of_maps(&[1], move |_, s, t| loss.forward(s, t))
        }
        "at" => {
            let loss = AtLossConfig::new().init()?;
            inputs.of_maps(ALL, move |_, s, t| loss.forward(s, t))
        }
        "sp" => {
            let loss = SpLossConfig::new().init();
            inputs.of_maps(&[2], move |_, s, t| loss.forward(s, t))
        }
        "cc" => {
            let loss = CcLossConfig::new(64, 64).init(device)?;
            inputs.of_embeddings(move |s, t| loss.forward(s, t))
        }
        "cc_gaussian" => {
            let kernel = CcKernel::Gaussian {
                gamma: 0.4,
                order: 2,
            };
            let loss = CcLossConfig::new(64, 64).with_kernel(kernel).init(device)?;
            inputs.of_embeddings(move |s, t| loss.forward(s, t))
        }
        "pkt" => inputs.of_embeddings(|s, t| PktLoss.forward(s, t)),
        "vid" => {
            let losses = STAGES.map(|(c, _)| VidLossConfig::new(c, c).init(device));
            let [a, b, c] = losses;
            let losses = [a?, b?, c?];
            inputs.of_maps(ALL, move |i, s, t| losses[i].forward(s, t))
        }
        "nst" => inputs.of_maps(ALL, |_, s, t| NstLoss.forward(s, t)),
        "rkd" => {
            let loss = RkdLossConfig::new().init()?;
            inputs.of_embeddings(move |s, t| loss.forward(s, t))
        }
        "rkd_distance" => {
            let loss = RkdLossConfig::new().with_angle(0.0).init()?;
            inputs.of_embeddings(move |s, t| loss.forward(s, t))
        }
        "fsp" => {
            let (s, t) = (inputs.maps().map(|map| inputs.leaf(map)), inputs.maps());
            Box::new(move || {
                let pair = |of: &[Tensor<4>; 3], i: usize| [of[i].clone(), of[i + 1].clone()];
                let terms = [0, 1].map(|i| FspLoss.forward(pair(&s, i), pair(&t, i)));
                drop(Tensor::cat(terms.into(), 0).sum().backward());
            })
        }
        "ab" => {
            let loss = AbLossConfig::new().init()?;
            inputs.of_maps(ALL, move |_, s, t| loss.forward(s, t))
        }
        "ft" => {
            let translator = TranslatorConfig::new(64, 64).init(device)?;
            let paraphraser = ParaphraserConfig::new(64).init(device)?.valid();
            let loss = FtLossConfig::new().init();
            inputs.of_maps(&[2], move |_, s, t| {
                loss.forward(translator.forward(s), paraphraser.forward(t))
            })
        }
        "irg" => {
            let loss = IrgLossConfig::new().init()?;
            let (s, t) = (inputs.maps().map(|map| inputs.leaf(map)), inputs.maps());
            let graph = |[_, lower, upper]: [Tensor<4>; 3], embedding, logits| Graph {
                lower,
                upper,
                embedding,
                logits,
            };
            let s = graph(
                s,
                inputs.leaf(inputs.embedding()),
                inputs.leaf(inputs.logits()),
            );
            let t = graph(t, inputs.embedding(), inputs.logits());
            Box::new(move || drop(loss.forward(s.clone(), t.clone()).backward()))
        }
        "crd" | "crd_info_nce" => {
            let contrast = match name {
                "crd" => CrdContrast::Nce,
                _ => CrdContrast::InfoNce,
            };
            let mut loss = Some(
                CrdLossConfig::new(64, 64, SAMPLES)
                    .with_contrast(contrast)
                    .init(device)?,
            );
            let labels: Vec<usize> = (0..SAMPLES).map(|i| i % CLASSES).collect();
            let sampler = NegativeSampler::new(&labels, NEGATIVES, 0)?;
            let (s, t) = (inputs.leaf(inputs.embedding()), inputs.embedding());
            let indices: Vec<usize> = (0..batch).map(|i| i * 191 % SAMPLES).collect();
            let mut step = 0;
            Box::new(move || {
                step += 1;
                let Some(crd) = loss.take() else { return };
                let Ok(negatives) = sampler.draw(step, &indices) else {
                    return;
                };
                let Ok(output) = crd.forward(s.clone(), t.clone(), &indices, &negatives) else {
                    return;
                };
                drop(output.loss.backward());
                loss = Some(crd.remember(output.update));
            })
        }
        "dml" => {
            let loss = DmlLossConfig::new().init()?;
            inputs.of_peers(move |_, z| loss.forward(z))
        }
        "mmd" => inputs.of_peers(|f, _| MmdLoss.forward(f)),
        "peer_teacher" => {
            let teacher = PeerTeacherConfig::new(vec![64, 64], CLASSES).init(device)?;
            let labels = inputs.labels();
            inputs.of_peers(move |f, z| {
                let mut terms = teacher.forward(f, z, labels.clone());
                terms.peers.push(terms.teacher);
                terms.peers
            })
        }
        "kdcl_min_logit" | "kdcl_linear" => {
            let ensemble = match name {
                "kdcl_linear" => KdclEnsemble::Linear,
                _ => KdclEnsemble::MinLogit,
            };
            let loss = KdclLossConfig::new().with_ensemble(ensemble).init()?;
            let labels = inputs.labels();
            inputs.of_peers(move |_, z| loss.forward(z, labels.clone()))
        }
        "one" => {
            let one = OneConfig::new(64, 2).init(device)?;
            let labels = inputs.labels();
            inputs.of_peers(move |f, z| {
                let mut terms = one.forward(f[0].clone(), z, labels.clone());
                terms.branches.push(terms.ensemble);
                terms.branches
            })
        }
        "okddip" => {
            let okddip = OkddipConfig::new(64).init(device)?;
            let leader = inputs.leaf(inputs.logits());
            inputs.of_peers(move |f, z| {
                let mut terms = okddip.forward(f, z, leader.clone());
                terms.peers.push(terms.leader);
                terms.peers
            })
        }
        "tf_kd_virtual" => {
            let loss = TfKdVirtualLossConfig::new().init()?;
            inputs.of_logits(move |s, _, y| loss.forward(s, y))
        }
        "cs_kd" => {
            let loss = CsKdLossConfig::new().init()?;
            inputs.of_logits(move |s, t, y| loss.forward(s, t, y))
        }
        "ps_kd" => {
            let mut memory = Some(PsKdConfig::new(SAMPLES, CLASSES).init(device)?);
            let (student, labels) = (inputs.leaf(inputs.logits()), inputs.labels());
            let indices: Vec<usize> = (0..batch).map(|i| i * 191 % SAMPLES).collect();
            Box::new(move || {
                let Some(past) = memory.take() else { return };
                let step = past.forward(student.clone(), labels.clone(), &indices, 0.5);
                let Ok(output) = step else { return };
                drop(output.loss.backward());
                memory = Some(past.remember(output.update));
            })
        }
        "ddgsd" => {
            let loss = DdgsdLossConfig::new().init()?;
            let labels = inputs.labels();
            inputs.of_peers(move |f, z| {
                let view = |i: usize| DistortedView {
                    logits: z[i].clone(),
                    features: f[i].clone(),
                };
                vec![loss.forward(view(0), view(1), labels.clone())]
            })
        }
        _ => return Ok(None),
    }))
}
