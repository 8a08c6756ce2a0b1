use std::rc::Rc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use kd_models::{Classify, InputSpec};
use sha2::{Digest, Sha256};

/// A network that is asked and never trained: without autodiff, in evaluation mode, its batch-norm statistics at rest.
pub(crate) struct Teacher {
    forward: Box<dyn Fn(Tensor<4>) -> Tensor<2>>,
    fingerprint: Box<dyn Fn() -> String>,
    input_spec: InputSpec,
}

impl Teacher {
    pub(crate) fn new<T: Classify + 'static>(network: &T) -> Self {
        let frozen = Rc::new(network.valid());
        Self {
            input_spec: frozen.input_spec().clone(),
            fingerprint: {
                let frozen = frozen.clone();
                Box::new(move || fingerprint(&*frozen))
            },
            forward: Box::new(move |images| frozen.forward(images)),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        (self.forward)(images)
    }

    pub(crate) fn input_spec(&self) -> &InputSpec {
        &self.input_spec
    }

    /// SHA-256 of its parameters and statistics, and of what it expects to be shown.
    pub(crate) fn fingerprint(&self) -> String {
        let InputSpec {
            size,
            mean,
            std,
            class_names,
        } = &self.input_spec;
        let spec = format!("{size:?} {mean:?} {std:?} {class_names:?}");
        hex(&Sha256::digest((self.fingerprint)() + &spec))
    }
}

/// SHA-256 over the path, the shape and the data of every float parameter, batch-norm statistics included.
pub fn fingerprint<M: Module>(module: &M) -> String {
    struct Hasher {
        sha256: Sha256,
        path: Vec<String>,
    }
    impl ModuleVisitor for Hasher {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            self.sha256.update(self.path.join("."));
            self.sha256.update(format!("{:?}", data.shape()));
            self.sha256.update(data.as_bytes());
        }
    }
    let mut hasher = Hasher {
        sha256: Sha256::new(),
        path: Vec::new(),
    };
    module.visit(&mut hasher);
    hex(&hasher.sha256.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
