//! Inputs from formulas, gradients as digests.

use std::collections::BTreeMap;
use std::sync::Once;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Gradients, Int, IntDType, Tensor, TensorData};
use serde::Deserialize;
use serde_json::Value;

use crate::PRECISION;

/// The number type of inputs, and how far values and gradients may be from the fixture's.
pub(crate) struct Precision {
    pub(crate) inputs: DType,
    /// Of the largest number, at least; a test may ask for more.
    pub(crate) bound: f64,
    /// Beside the bound.
    pub(crate) least: f64,
}

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    loss: String,
    case: String,
    params: BTreeMap<String, Value>,
    inputs: BTreeMap<String, Formula>,
    #[serde(default)]
    parameters: BTreeMap<String, Formula>,
    pub(crate) value: f64,
    pub(crate) value2: Option<f64>,
    gradients: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    pub(crate) gradients2: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    pub(crate) indices: Vec<usize>,
    #[serde(default)]
    pub(crate) negatives: Vec<Vec<usize>>,
    #[serde(default)]
    pub(crate) indices2: Vec<usize>,
    #[serde(default)]
    pub(crate) negatives2: Vec<Vec<usize>>,
    #[serde(default)]
    pub(crate) extra: BTreeMap<String, Vec<f64>>,
    /// How maps lie in memory: so in every other case.
    #[serde(skip)]
    channels_last: bool,
}

#[derive(Deserialize)]
struct Formula {
    shape: Vec<usize>,
    scale: f64,
    offset: f64,
    same: Option<String>,
}

/// All cases of a loss; `expected` of them, so that none gets lost.
pub(crate) fn cases(loss: &str, expected: usize) -> Vec<Case> {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../fixtures/losses.json")).expect("the fixture");
    let mut cases: Vec<_> = fixture
        .cases
        .into_iter()
        .filter(|case| case.loss == loss)
        .collect();
    for case in cases.iter_mut().skip(1).step_by(2) {
        case.channels_last = true;
    }
    assert_eq!(cases.len(), expected, "cases of {loss}");
    cases
}

/// The CPU; in float64 modules, too, have parameters of that type.
pub(crate) fn device() -> Device {
    static ONCE: Once = Once::new();
    let mut device = Device::flex();
    ONCE.call_once(|| {
        if PRECISION.inputs == DType::F64 {
            device
                .configure((FloatDType::F64, IntDType::I64))
                .expect("before the first tensor");
        }
    });
    device
}

/// Parameters are never of half precision.
fn of_parameters() -> DType {
    match PRECISION.inputs {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// Number `index` of the stream `key`: 24 bits in [-1, 1), as `tools/README.md` states it.
fn uniform(key: &str, count: usize) -> Vec<f64> {
    let hash = key.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let one = |index: u64| {
        let mut z = hash.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 40) as f64 - 8_388_608.0) / 8_388_608.0
    };
    (0..count as u64).map(one).collect()
}

/// All numbers of a small gradient, four weighted sums of a large one.
pub(crate) fn digest(numbers: &[f64]) -> Vec<f64> {
    if numbers.len() <= 12 {
        return numbers.to_vec();
    }
    (0..4)
        .map(|k| {
            let weights = uniform(&format!("digest{k}"), numbers.len());
            numbers.iter().zip(weights).map(|(g, w)| g * w).sum()
        })
        .collect()
}

type Reader = Box<dyn Fn(&Gradients) -> Option<Vec<f64>>>;

/// One evaluation of a case: remembers the leaves that it made.
pub(crate) struct Session<'a> {
    pub(crate) case: &'a Case,
    leaves: Vec<(String, Reader)>,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{} {} {:?}", self.loss, self.case, self.params)
    }

    pub(crate) fn number(&self, param: &str) -> f64 {
        self.params[param].as_f64().expect("a number")
    }

    pub(crate) fn flag(&self, param: &str) -> bool {
        self.params.get(param).and_then(Value::as_bool) == Some(true)
    }

    pub(crate) fn form(&self) -> &str {
        self.params["form"].as_str().expect("a form")
    }

    pub(crate) fn shape<const D: usize>(&self, input: &str) -> [usize; D] {
        self.inputs[input].shape.clone().try_into().expect("a rank")
    }

    /// How many inputs are called `prefix0`, `prefix1`, ...
    pub(crate) fn count(&self, prefix: &str) -> usize {
        (0..)
            .take_while(|i| self.inputs.contains_key(&format!("{prefix}{i}")))
            .count()
    }

    fn values(&self, name: &str, formula: &Formula) -> Vec<f64> {
        let name = formula.same.as_deref().unwrap_or(name);
        let key = format!("{}.{}.{name}", self.loss, self.case);
        let count = formula.shape.iter().product();
        uniform(&key, count)
            .into_iter()
            .map(|u| formula.offset + formula.scale * u)
            .collect()
    }

    /// An input outside of autodiff.
    pub(crate) fn constant<const D: usize>(&self, input: &str) -> Tensor<D> {
        let formula = &self.inputs[input];
        let data = TensorData::new(self.values(input, formula), formula.shape.clone());
        let x = Tensor::<D>::from_data(data, (&device(), PRECISION.inputs));
        if D != 4 || !self.channels_last {
            return x;
        }
        let inside_out = x.swap_dims(1, 2).swap_dims(2, 3).into_data();
        let x = Tensor::<D>::from_data(inside_out, (&device(), PRECISION.inputs));
        x.swap_dims(2, 3).swap_dims(1, 2)
    }

    /// `(7 i + 3) mod C`.
    pub(crate) fn labels(&self, batch: usize, classes: usize) -> Tensor<1, Int> {
        let labels: Vec<i64> = (0..batch).map(|i| ((7 * i + 3) % classes) as i64).collect();
        Tensor::from_data(
            TensorData::new(labels, [batch]),
            (&device().autodiff(), DType::I64),
        )
    }

    /// Computes the loss and compares value and every gradient.
    pub(crate) fn check(&self, loss: impl FnOnce(&mut Session) -> Tensor<1>) {
        self.check_within(1e-9, loss);
    }

    pub(crate) fn check_within(&self, bound: f64, loss: impl FnOnce(&mut Session) -> Tensor<1>) {
        let mut session = self.session();
        let loss = loss(&mut session);
        session.compare(bound, loss, self.value, &self.gradients);
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session {
            case: self,
            leaves: Vec::new(),
        }
    }
}

impl Session<'_> {
    /// An input: a leaf if the fixture has a gradient for it, else a constant.
    pub(crate) fn input<const D: usize>(&mut self, name: &str) -> Tensor<D> {
        let tracked =
            self.case.gradients.contains_key(name) || self.case.gradients2.contains_key(name);
        let constant = self.case.constant::<D>(name);
        if !tracked {
            return constant;
        }
        let leaf = Tensor::from_inner(constant).require_grad();
        let kept = leaf.clone();
        let reader: Reader = Box::new(move |gradients| {
            let gradient = kept.grad(gradients)?;
            Some(gradient.into_data().iter::<f64>().collect())
        });
        self.leaves.push((name.to_string(), reader));
        leaf
    }

    pub(crate) fn inputs<const D: usize>(&mut self, prefix: &str) -> Vec<Tensor<D>> {
        (0..self.case.count(prefix))
            .map(|i| self.input(&format!("{prefix}{i}")))
            .collect()
    }

    /// A module with its parameters by formula. Burn keeps the weight of a linear layer transposed.
    pub(crate) fn module<M: Module>(&mut self, module: M) -> M {
        let module = module.map(&mut Fill {
            case: self.case,
            path: Vec::new(),
            filled: 0,
        });
        module.visit(&mut Leaves {
            path: Vec::new(),
            session: self,
        });
        module
    }

    /// Compares a loss and its gradients.
    pub(crate) fn compare(
        &self,
        bound: f64,
        loss: Tensor<1>,
        value: f64,
        expected: &BTreeMap<String, Vec<f64>>,
    ) {
        let name = self.case.name();
        let found = loss.clone().without_autodiff().into_scalar::<f64>();
        close(&format!("{name}: value"), &[found], &[value], bound);
        let gradients = loss.backward();
        for (leaf, expected) in expected {
            let (_, reader) = self
                .leaves
                .iter()
                .rev()
                .find(|(name, _)| name == leaf)
                .unwrap_or_else(|| panic!("{name}: nothing is called {leaf}"));
            let found = match reader(&gradients) {
                Some(numbers) => digest(&numbers),
                None => vec![0.0; expected.len()],
            };
            close(
                &format!("{name}: gradient of {leaf}"),
                &found,
                expected,
                bound,
            );
        }
    }
}

pub(crate) fn close(what: &str, found: &[f64], expected: &[f64], bound: f64) {
    let (bound, least) = (bound.max(PRECISION.bound), PRECISION.least);
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= bound * largest + least,
            "{what}, number {i}: {found} instead of {expected}"
        );
    }
}

/// The generator's name of a parameter.
fn name(path: &[String]) -> String {
    let kept = path
        .iter()
        .map(String::as_str)
        .filter(|part| !matches!(*part, "hint" | "Conv" | "Transposed" | "HintConv"));
    kept.collect::<Vec<_>>().join(".")
}

/// Of a linear layer, whose weight PyTorch has as `[out, in]`.
fn transposed(name: &str, rank: usize) -> bool {
    rank == 2 && name.ends_with(".weight")
}

struct Fill<'a> {
    case: &'a Case,
    path: Vec<String>,
    filled: usize,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = name(&self.path);
        let Some(formula) = self.case.parameters.get(&name) else {
            return param;
        };
        self.filled += 1;
        let data = TensorData::new(self.case.values(&name, formula), formula.shape.clone());
        let values = Tensor::<D>::from_data(data, (&device(), of_parameters()));
        let values = if transposed(&name, D) {
            values.transpose()
        } else {
            values
        };
        assert_eq!(values.dims(), param.val().dims(), "{name}");
        param.map(|old| {
            if old.is_autodiff() {
                let tracked = old.is_require_grad();
                Tensor::from_inner(values).set_require_grad(tracked)
            } else {
                values
            }
        })
    }
}

struct Leaves<'a, 'b> {
    path: Vec<String>,
    session: &'a mut Session<'b>,
}

impl ModuleVisitor for Leaves<'_, '_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = name(&self.path);
        let (leaf, transpose) = (param.val(), transposed(&name, D));
        let reader: Reader = Box::new(move |gradients| {
            let gradient = leaf.grad(gradients)?;
            let gradient = if transpose {
                gradient.transpose()
            } else {
                gradient
            };
            Some(gradient.into_data().iter::<f64>().collect())
        });
        self.session.leaves.push((name, reader));
    }
}
