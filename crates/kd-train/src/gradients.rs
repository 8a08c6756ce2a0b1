//! Gradients of modules of any type: shares of a backward pass, sums of them, norms, steps.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Gradients, Tensor};

/// A module of any type that follows gradients: a network, or the parts of a term.
pub(crate) trait Trainable {
    /// Takes the module's share out of the gradients of a step.
    fn take(&self, gradients: &mut Gradients) -> GradientsParams;
    /// Adds gradients of the module to others of it.
    fn add(&self, sum: GradientsParams, more: GradientsParams) -> GradientsParams;
    /// The sum of the squares of its gradients: `[1]`. `None` without any.
    fn square_sum(&self, gradients: &GradientsParams) -> Option<Tensor<1>>;
    /// Multiplies its gradients by a factor.
    fn scaled(&self, gradients: GradientsParams, by: &Factor) -> GradientsParams;
    /// Follows gradients of the module.
    fn step(&mut self, optimizer: &mut ModuleOptimizer, rate: f64, gradients: GradientsParams);
    /// The parameters of one dimension.
    fn norms_and_biases(&self) -> Vec<ParamId>;
}

/// What gradients are multiplied by.
#[allow(clippy::large_enum_variant, reason = "one is made in a step")]
pub(crate) enum Factor {
    Number(f64),
    /// `[1]`, where the gradients are: its value is not brought to the host.
    Tensor(Tensor<1>),
}

/// What is done with each gradient of a module.
trait EachGradient {
    fn gradient<const D: usize>(&mut self, id: ParamId);
}

fn each_gradient<M: Module, E: EachGradient>(module: &M, each: E) -> E {
    struct Visitor<E>(E);
    impl<E: EachGradient> ModuleVisitor for Visitor<E> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.gradient::<D>(param.id);
        }
    }
    let mut visitor = Visitor(each);
    module.visit(&mut visitor);
    visitor.0
}

pub(crate) fn add<M: Module>(
    module: &M,
    sum: GradientsParams,
    more: GradientsParams,
) -> GradientsParams {
    struct Add {
        sum: GradientsParams,
        more: GradientsParams,
    }
    impl EachGradient for Add {
        fn gradient<const D: usize>(&mut self, id: ParamId) {
            let Some(more) = self.more.remove::<D>(id) else {
                return;
            };
            let sum = match self.sum.remove::<D>(id) {
                Some(sum) => sum + more,
                None => more,
            };
            self.sum.register(id, sum);
        }
    }
    each_gradient(module, Add { sum, more }).sum
}

pub(crate) fn square_sum<M: Module>(module: &M, gradients: &GradientsParams) -> Option<Tensor<1>> {
    struct Sum<'a>(&'a GradientsParams, Option<Tensor<1>>);
    impl EachGradient for Sum<'_> {
        fn gradient<const D: usize>(&mut self, id: ParamId) {
            if let Some(gradient) = self.0.get::<D>(id) {
                let square = gradient.square().sum();
                self.1 = Some(match self.1.take() {
                    Some(sum) => sum + square,
                    None => square,
                });
            }
        }
    }
    each_gradient(module, Sum(gradients, None)).1
}

pub(crate) fn scaled<M: Module>(
    module: &M,
    gradients: GradientsParams,
    by: &Factor,
) -> GradientsParams {
    struct Scale<'a>(GradientsParams, &'a Factor);
    impl EachGradient for Scale<'_> {
        fn gradient<const D: usize>(&mut self, id: ParamId) {
            if let Some(gradient) = self.0.remove::<D>(id) {
                let scaled = match self.1 {
                    Factor::Number(by) => gradient.mul_scalar(*by),
                    Factor::Tensor(by) => gradient * by.clone().reshape([1; D]),
                };
                self.0.register(id, scaled);
            }
        }
    }
    each_gradient(module, Scale(gradients, by)).0
}

/// Gradients of several batches for one step, in the order of what follows them.
#[derive(Default)]
pub(crate) struct Pending {
    shares: Vec<GradientsParams>,
    batches: usize,
}

impl Pending {
    /// Adds the gradients of a batch.
    pub(crate) fn add(&mut self, mut gradients: Gradients, modules: &[&dyn Trainable]) {
        let shares = modules.iter().map(|module| module.take(&mut gradients));
        self.shares = match self.batches {
            0 => shares.collect(),
            _ => {
                let sums = std::mem::take(&mut self.shares).into_iter().zip(shares);
                let pairs = modules.iter().zip(sums);
                pairs
                    .map(|(module, (sum, more))| module.add(sum, more))
                    .collect()
            }
        };
        self.batches += 1;
    }

    /// Whether no gradient waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches == 0
    }

    /// Averages over the batches, scales a norm that is larger than `clip` down to it, and gives
    /// each module its share.
    pub(crate) fn finish(
        &mut self,
        modules: &[&dyn Trainable],
        clip: Option<f64>,
    ) -> Vec<GradientsParams> {
        let batches = std::mem::take(&mut self.batches);
        let mut shares = std::mem::take(&mut self.shares);
        let mean = 1.0 / batches.max(1) as f64;
        let squares = modules.iter().zip(&shares);
        let squares = squares.filter_map(|(module, share)| module.square_sum(share));
        let scale = match clip {
            // Of the mean, so that several batches are clipped as one large batch is.
            Some(clip) => squares.reduce(|sum, square| sum + square).map(|square| {
                let norm = square.sqrt().mul_scalar(mean);
                // As PyTorch's `clip_grad_norm_`.
                let scale = norm.add_scalar(1e-6).recip().mul_scalar(clip);
                Factor::Tensor(scale.clamp_max(1.0).mul_scalar(mean))
            }),
            None => (batches > 1).then_some(Factor::Number(mean)),
        };
        if let Some(scale) = scale {
            let pairs = modules.iter().zip(shares);
            shares = pairs
                .map(|(module, share)| module.scaled(share, &scale))
                .collect();
        }
        shares
    }
}

/// Twenty steps against PyTorch in f64: `tools/optimisers.py` wrote the fixture.
///
/// Tolerance 1e-6 of losses, and of the weights by their magnitude. Burn raises the betas of Adam to
/// powers in f32, where `1 - 0.999^t` is known to 2e-5; betas with few binary digits have no such
/// error, and the usual ones are tried with a tolerance of 1e-4.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use burn::nn::Linear;
    use burn::tensor::{DType, Int, TensorData, activation};
    use kd_models::{Classify, InputSpec};
    use serde_json::Value;

    use super::*;
    use crate::network::trained;
    use crate::recipe::{Moment, Recipe};

    const FIXTURE: &str = include_str!("../tests/fixtures/optimisers.json");
    const INPUTS: usize = 12;
    const UNITS: usize = 16;
    const CLASSES: usize = 5;
    const BATCH: usize = 8;
    const IMAGES: usize = 40;
    const EPOCHS: usize = 4;

    fn formula(count: usize, phase: f64, scale: f64) -> Vec<f64> {
        let numbers = (0..count).map(|i| scale * (1.7 * i as f64 + phase).sin());
        numbers.collect()
    }

    fn tensor<const D: usize>(numbers: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        let device = burn::tensor::Device::flex();
        Tensor::from_data(TensorData::new(numbers, shape), (&device, DType::F64))
    }

    #[derive(Module, Debug)]
    struct Small {
        first: Linear,
        second: Linear,
        #[module(skip)]
        spec: InputSpec,
    }

    impl Small {
        fn filled() -> Self {
            let linear = |[outputs, inputs]: [usize; 2], phase: f64| Linear {
                weight: Param::from_tensor(
                    tensor(formula(outputs * inputs, phase, 0.4), [outputs, inputs]).transpose(),
                ),
                bias: Some(Param::from_tensor(tensor(
                    formula(outputs, phase + 0.1, 0.1),
                    [outputs],
                ))),
            };
            let names = (0..CLASSES).map(|class| class.to_string());
            let spec = InputSpec::new([1, 1, INPUTS], vec![0.0], vec![1.0], names.collect());
            Self {
                first: linear([UNITS, INPUTS], 0.1),
                second: linear([CLASSES, UNITS], 0.3),
                spec: spec.unwrap(),
            }
        }

        /// Of each parameter its sum and the sum of its magnitudes, in the fixture's order.
        fn sums(&self) -> Vec<[f64; 2]> {
            let of = |linear: &Linear| {
                let weight = linear.weight.val().into_data().try_to_vec::<f64>().unwrap();
                let bias = linear.bias.as_ref().unwrap().val().into_data();
                [weight, bias.try_to_vec::<f64>().unwrap()]
            };
            let all = of(&self.first).into_iter().chain(of(&self.second));
            all.map(|v| [v.iter().sum(), v.iter().map(|x| x.abs()).sum()])
                .collect()
        }
    }

    impl Classify for Small {
        fn forward(&self, images: Tensor<4>) -> Tensor<2> {
            let hidden = activation::tanh(self.first.forward(images.flatten::<2>(1, 3)));
            self.second.forward(hidden)
        }

        fn input_spec(&self) -> &InputSpec {
            &self.spec
        }
    }

    fn follows(name: &str, recipe: &str) {
        follows_within(1e-6, name, recipe);
    }

    fn follows_within(tolerance: f64, name: &str, recipe: &str) {
        let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
        let golden = &fixture[name];
        let recipe = Recipe::from_toml(&format!("epochs = {EPOCHS}\n{recipe}")).unwrap();
        let accumulate = recipe.optimizer.accumulate;
        let mut network = trained(Small::filled());
        let mut average = network.average();
        let mut optimizer = recipe.optimizer.init_for(&network.norms_and_biases());
        let mut pending = Pending::default();
        let inputs = formula(IMAGES * INPUTS, 0.5, 1.0);
        let batches = IMAGES / BATCH;
        let mut rates = golden["rate"].as_array().unwrap().iter();
        for number in 0..batches * EPOCHS {
            let first = number % batches * BATCH;
            let images = inputs[first * INPUTS..][..BATCH * INPUTS].to_vec();
            let images = tensor(images, [BATCH, 1, 1, INPUTS]);
            let labels: Vec<i64> = (first..first + BATCH)
                .map(|i| (i * 7 % CLASSES) as i64)
                .collect();
            let labels = TensorData::new(labels, [BATCH]);
            let logits = network.heads(images).heads.swap_remove(0).logits;
            let labels = Tensor::<1, Int>::from_data(labels, &logits.device());
            let log = activation::log_softmax(logits, 1);
            let loss = log.gather(1, labels.reshape([BATCH, 1])).mean().neg();
            let found = loss.clone().into_data().try_to_vec::<f64>().unwrap()[0];
            let expected = golden["loss"][number].as_f64().unwrap();
            assert!(
                (found - expected).abs() < tolerance,
                "{name} {number}: {found}, {expected}"
            );
            pending.add(loss.backward(), &[&*network as &dyn Trainable]);
            if !(number + 1).is_multiple_of(accumulate) {
                continue;
            }
            let (step, steps) = (number / accumulate, batches * EPOCHS / accumulate);
            // As one epoch of all steps; what counts epochs is not tried here.
            let at = Moment::new([0, 1], [step, steps]);
            let rate = recipe.optimizer.learning_rate * recipe.schedule.factor_at(at);
            let expected = rates.next().unwrap().as_f64().unwrap();
            assert!(
                (rate - expected).abs() < 1e-12,
                "{name} {step}: {rate}, {expected}"
            );
            let modules: [&dyn Trainable; 1] = [&*network];
            let mut shares = pending.finish(&modules, recipe.optimizer.clip);
            network.step(&mut optimizer, rate, shares.swap_remove(0));
            if let Some(ema) = recipe.ema {
                match step {
                    // PyTorch's average begins with the weights after the first step.
                    0 => average = network.average(),
                    _ => average.follow(&*network, ema.decay),
                }
            }
        }
        let close = |found: &Small, expected: &Value, what: &str| {
            for (found, expected) in found.sums().iter().zip(expected.as_array().unwrap()) {
                let expected = [0, 1].map(|i: usize| expected[i].as_f64().unwrap());
                for (found, expected_sum) in found.iter().zip(expected) {
                    let error = (found - expected_sum).abs();
                    assert!(
                        error < tolerance * expected[1].max(1.0),
                        "{name}, {what}: {error}"
                    );
                }
            }
        };
        let last = network.into_any().downcast::<Small>().unwrap();
        close(&last, &golden["weights"], "weights");
        if recipe.ema.is_some() {
            let average = average.into_any().downcast::<Small>().unwrap();
            close(&average, &golden["average"], "average");
        }
    }

    const SGD: &str = "learning_rate = 0.3, momentum = 0.9, weight_decay = 5e-4";
    const FLAT: &str = "schedule = { milestones = [] }";

    #[test]
    fn adamw_with_warm_up_and_cosine() {
        follows(
            "adamw_warm_cosine",
            "optimizer = { kind = \"adamw\", learning_rate = 0.02, weight_decay = 0.05,
             betas = [0.875, 0.96875] }
             schedule = { kind = \"cosine\", warmup = 0.2 }",
        );
    }

    #[test]
    fn adamw_with_its_usual_betas() {
        let adamw = "optimizer = { kind = \"adamw\", learning_rate = 0.02 }";
        follows_within(1e-4, "adamw", &format!("{adamw}\n{FLAT}"));
    }

    #[test]
    fn sgd_with_one_cycle() {
        let sgd = SGD.replace("0.3", "0.5");
        follows(
            "one_cycle",
            &format!("optimizer = {{ {sgd} }}\nschedule = {{ kind = \"one_cycle\" }}"),
        );
    }

    #[test]
    fn gradients_of_two_batches_and_clipping() {
        for (name, keys) in [
            ("accumulate", "accumulate = 2"),
            ("clip", "clip = 0.2"),
            ("accumulate_and_clip", "accumulate = 2, clip = 0.2"),
        ] {
            follows(name, &format!("optimizer = {{ {SGD}, {keys} }}\n{FLAT}"));
        }
    }

    #[test]
    fn a_moving_average() {
        follows(
            "ema",
            &format!("optimizer = {{ {SGD} }}\n{FLAT}\nema = {{ decay = 0.9 }}"),
        );
    }

    #[test]
    fn weight_decay_without_norms_and_biases() {
        let sgd = SGD.replace("5e-4", "0.05");
        follows(
            "decay_weights_alone",
            &format!("optimizer = {{ {sgd}, decay = \"weights\" }}\n{FLAT}"),
        );
    }

    #[test]
    fn other_methods() {
        for (name, keys) in [
            (
                "adam",
                "learning_rate = 0.02, weight_decay = 0.01, betas = [0.875, 0.96875]",
            ),
            (
                "rmsprop",
                "learning_rate = 0.005, alpha = 0.95, momentum = 0.5",
            ),
            ("adagrad", "learning_rate = 0.05"),
        ] {
            follows(
                name,
                &format!("optimizer = {{ kind = \"{name}\", {keys} }}\n{FLAT}"),
            );
        }
    }
}
