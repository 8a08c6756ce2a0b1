use burn::module::{Module, ModuleMapper, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Gradients, Tensor};
use kd_core::*;

use crate::*;

/// A step down the gradient, for every parameter that has one.
struct Descent(Gradients);

impl ModuleMapper for Descent {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(
            |x| match x.is_require_grad().then(|| x.grad(&self.0)).flatten() {
                Some(gradient) => {
                    Tensor::from_inner(x.inner() - gradient.mul_scalar(0.1)).require_grad()
                }
                None => x,
            },
        )
    }
}

pub(crate) fn descend<M: Module>(module: M, loss: &Tensor<1>) -> M {
    module.map(&mut Descent(loss.backward()))
}

/// One step of training: the module after it, and the loss.
pub(crate) type Step<M> = fn(M, usize) -> (M, Tensor<1>);

pub(crate) fn run<M: Module>(
    mut module: M,
    steps: std::ops::RangeInclusive<usize>,
    step: Step<M>,
) -> (M, Vec<f32>) {
    let mut losses = Vec::new();
    for number in steps {
        let (next, loss) = step(module, number);
        module = next;
        losses.push(loss.into_scalar::<f32>());
    }
    (module, losses)
}

/// Six steps in one go are three, saved and restored into a module of another seed, and three more.
fn check<M: Module>(name: &str, init: fn(u64) -> M, step: Step<M>) {
    let (whole, losses) = run(init(7), 1..=6, step);
    assert!(
        losses.iter().all(|loss| loss.is_finite()),
        "{name}: {losses:?}"
    );
    assert_ne!(
        numbers(&whole.valid()),
        numbers(&init(7).valid()),
        "{name} learns"
    );

    let (half, _) = run(init(7), 1..=3, step);
    // Batch norm keeps its latest update aside until somebody asks for a synchronised copy.
    let _synchronised = half.valid();
    let bytes = half.into_record().into_bytes().unwrap();
    let record = ModuleRecord::from_bytes(bytes).unwrap();
    let restored = init(99).try_load_record(record).unwrap();
    let (resumed, after) = run(restored, 4..=6, step);
    assert_eq!(after, losses[3..], "{name}");
    assert_eq!(numbers(&resumed.valid()), numbers(&whole.valid()), "{name}");
}

#[test]
fn crd_goes_on_where_it_was() {
    check("NCE", |seed| crd_config(CrdContrast::Nce, seed), crd_step);
    check(
        "InfoNCE",
        |seed| crd_config(CrdContrast::InfoNce, seed),
        crd_step,
    );
}

#[test]
fn ps_kd_goes_on_where_it_was() {
    check("PS-KD", ps_kd, |memory, step| {
        let output = ps_kd_forward(&memory, step);
        (memory.remember(output.update), output.loss)
    });
}

fn maps(step: usize) -> [Tensor<4>; 2] {
    [
        input([BATCH, 3, 4, 4], step),
        input([BATCH, 5, 4, 4], step + 50),
    ]
}

#[test]
fn regressors_go_on_where_they_were() {
    let fitnet = |seed| {
        let config = FitNetLossConfig::new([3, 4, 4], [5, 4, 4]).with_seed(seed);
        config.init(&device()).unwrap()
    };
    check("FitNet", fitnet, |loss, step| {
        let [student, teacher] = maps(step);
        let value = loss.forward(student, teacher);
        (descend(loss, &value), value)
    });
    let vid = |seed| {
        VidLossConfig::new(3, 5)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("VID", vid, |loss, step| {
        let [student, teacher] = maps(step);
        let value = loss.forward(student, teacher);
        (descend(loss, &value), value)
    });
    let translator = |seed| {
        TranslatorConfig::new(3, 10)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("translator", translator, |translator, step| {
        let [student, teacher] = maps(step);
        let value = FtLossConfig::new()
            .init()
            .forward(translator.forward(student), teacher);
        (descend(translator, &value), value)
    });
    let paraphraser = |seed| {
        ParaphraserConfig::new(5)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("paraphraser", paraphraser, |paraphraser, step| {
        let [_, teacher] = maps(step);
        let value = paraphraser.reconstruction_loss(teacher);
        (descend(paraphraser, &value), value)
    });
}

#[test]
fn cc_goes_on_where_it_was() {
    fn step(loss: CcLoss, step: usize) -> (CcLoss, Tensor<1>) {
        let value = loss.forward(input([BATCH, 5], step), input([BATCH, 6], step + 50));
        (descend(loss, &value), value)
    }
    fn config(seed: u64) -> CcLossConfig {
        CcLossConfig::new(5, 6).with_features(4).with_seed(seed)
    }
    check(
        "consecutive",
        |seed| config(seed).init(&device()).unwrap(),
        step,
    );
    check(
        "Gaussian",
        |seed| {
            let kernel = CcKernel::Gaussian {
                gamma: 0.4,
                order: 2,
            };
            config(seed).with_kernel(kernel).init(&device()).unwrap()
        },
        step,
    );
}

/// Embeddings or logits of two peers.
fn peers(width: usize, step: usize) -> [Tensor<2>; 2] {
    [step, step + 50].map(|step| input([BATCH, width], step))
}

#[test]
fn ensembles_go_on_where_they_were() {
    let one = |seed| {
        OneConfig::new(5, 2)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("ONE", one, |one, step| {
        let value = one
            .forward(input([BATCH, 5], step), &peers(CLASSES, step), labels())
            .ensemble;
        (descend(one, &value), value)
    });
    let okddip = |seed| {
        OkddipConfig::new(5)
            .with_reduction(2)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("OKDDip", okddip, |okddip, step| {
        let [leader, _] = peers(CLASSES, step + 9);
        let mut terms = okddip.forward(&peers(5, step), &peers(CLASSES, step), leader);
        let value = terms.peers.swap_remove(0) + terms.peers.swap_remove(0);
        (descend(okddip, &value), value)
    });
    let teacher = |seed| {
        PeerTeacherConfig::new(vec![5, 5], CLASSES)
            .with_seed(seed)
            .init(&device())
            .unwrap()
    };
    check("peer teacher", teacher, |teacher, step| {
        let value = teacher
            .forward(&peers(5, step), &peers(CLASSES, step), labels())
            .teacher;
        (descend(teacher, &value), value)
    });
}
