//! The layers and memories of terms by the names that `tools/trajectory_methods.py` gives them.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::formula::{self, Fan};
use crate::world::device;

/// Tensors that start as the loss defines it, not by formula.
const DEFINED: [&str; 3] = ["log_scale", "normalizers", "predictions"];

/// Sets the parts of terms by formula, or reads them.
#[derive(Default)]
pub struct Parts {
    fill: bool,
    path: Vec<String>,
    /// What was read, in PyTorch's layout: none of what was set.
    pub tensors: BTreeMap<String, Vec<f64>>,
}

impl Parts {
    pub fn fill() -> Self {
        Self {
            fill: true,
            ..Self::default()
        }
    }

    pub fn read() -> Self {
        Self::default()
    }

    /// The generator's name: the term's, then the path in its parts. Which network they are of is
    /// left out, because no method here has the same parts for two.
    fn name(&self) -> String {
        let parts = self.path.iter().map(String::as_str);
        let mut parts: Vec<&str> = parts.filter(|part| *part != "losses").collect();
        if parts.get(1).is_some_and(|part| part.parse::<u8>().is_ok()) {
            parts.remove(1);
        }
        let name = parts.join(".");
        name.replace(".gamma", ".weight").replace(".beta", ".bias")
    }
}

impl ModuleMapper for Parts {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.name();
        // Burn has the weight of a linear layer transposed. Memories lie as PyTorch's do.
        let transposed = D == 2 && name.ends_with(".weight");
        let oriented = |tensor: Tensor<D>| match transposed {
            true => tensor.transpose(),
            false => tensor,
        };
        if !self.fill {
            let values = oriented(param.val().inner()).into_data();
            self.tensors.insert(name, values.iter::<f64>().collect());
            return param;
        }
        if DEFINED.iter().any(|defined| name.ends_with(defined)) {
            return param;
        }
        let mut shape = param.lazy_shape().to_vec();
        if transposed {
            shape.reverse();
        }
        let values = formula::values("terms", &name, &shape, false, Fan::Out);
        let values = Tensor::<D>::from_data(TensorData::new(values, shape), &device());
        let values = oriented(values);
        param.map(|old| match old.is_autodiff() {
            true => Tensor::from_inner(values).set_require_grad(old.is_require_grad()),
            false => values,
        })
    }
}
