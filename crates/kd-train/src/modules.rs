//! What is asked of the parameters of any module.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use sha2::{Digest, Sha256};

/// SHA-256 over the path, the shape and the data of every float parameter, batch-norm statistics included.
pub fn fingerprint<M: Module>(module: &M) -> String {
    struct Hasher(Sha256);
    impl EachFloat for Hasher {
        fn float<const D: usize>(&mut self, path: &[String], _: ParamId, value: Tensor<D>) {
            let data = value.into_data();
            self.0.update(path.join("."));
            self.0.update(format!("{:?}", data.shape()));
            self.0.update(data.as_bytes());
        }
    }
    hex(&each_float(module, Hasher(Sha256::new())).0.finalize())
}

/// Returns the path of the first float parameter or statistic that contains NaN or infinity.
pub(crate) fn not_finite<M: Module>(module: &M) -> Option<String> {
    struct Found(Option<String>);
    impl EachFloat for Found {
        fn float<const D: usize>(&mut self, path: &[String], _: ParamId, value: Tensor<D>) {
            if self.0.is_none() && !value.is_finite().all().into_scalar::<bool>() {
                self.0 = Some(path.join("."));
            }
        }
    }
    each_float(module, Found(None)).0
}

/// Returns the identity of every float parameter or statistic, with its path.
pub(crate) fn parameters<M: Module>(module: &M) -> Vec<(ParamId, String)> {
    struct Found(Vec<(ParamId, String)>);
    impl EachFloat for Found {
        fn float<const D: usize>(&mut self, path: &[String], id: ParamId, _: Tensor<D>) {
            self.0.push((id, path.join(".")));
        }
    }
    each_float(module, Found(Vec::new())).0
}

/// Registers every float parameter or statistic of a module by its identity.
pub(crate) fn each_value<M: Module>(module: &M, values: &mut GradientsParams) {
    struct Register<'a>(&'a mut GradientsParams);
    impl EachFloat for Register<'_> {
        fn float<const D: usize>(&mut self, _: &[String], id: ParamId, value: Tensor<D>) {
            self.0.register(id, value);
        }
    }
    each_float(module, Register(values));
}

/// Returns parameters of these identities, which stand for others in a group of them.
pub(crate) fn stand_ins(ids: &[ParamId]) -> Vec<Param<Tensor<1>>> {
    let nothing = || Tensor::zeros([1], &Device::default());
    let stand_in = |id: &ParamId| Param::initialized(*id, nothing());
    ids.iter().map(stand_in).collect()
}

/// Returns the identity of every parameter of one dimension: norms and biases.
pub(crate) fn norms_and_biases<M: Module>(module: &M) -> Vec<ParamId> {
    struct Found(Vec<ParamId>);
    impl EachFloat for Found {
        fn float<const D: usize>(&mut self, _: &[String], id: ParamId, _: Tensor<D>) {
            if D == 1 {
                self.0.push(id);
            }
        }
    }
    each_float(module, Found(Vec::new())).0
}

/// What is done with each float parameter or statistic of a module.
trait EachFloat {
    fn float<const D: usize>(&mut self, path: &[String], id: ParamId, value: Tensor<D>);
}

fn each_float<M: Module, E: EachFloat>(module: &M, each: E) -> E {
    struct Visitor<E> {
        each: E,
        path: Vec<String>,
    }
    impl<E: EachFloat> ModuleVisitor for Visitor<E> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.each.float(&self.path, param.id, param.val());
        }
    }
    let path = Vec::new();
    let mut visitor = Visitor { each, path };
    module.visit(&mut visitor);
    visitor.each
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
