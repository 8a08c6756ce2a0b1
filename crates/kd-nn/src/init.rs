//! Initial weights from a host stream.
//!
//! Burn draws a parameter at its first touch from a generator that the whole process shares, so the weights of a network
//! depend on what else ran before. Here each parameter has a stream of its own, keyed by *(seed, parameter path)*: two
//! networks built in either order, on any thread and any device, get the same bits.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How the weights of convolutions and linear layers are drawn. `fan_in` and `fan_out` are the inputs and outputs of a layer, for a
/// convolution times the pixels of its kernel; groups divide the first alone, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Normal, `std = sqrt(2 / fan_out)`: He et al., *Delving Deep into Rectifiers*, 2015, Eq. 14. Biases are 0.
    KaimingFanOut,
    /// Normal, `std = sqrt(2 / fan_in)`: Eq. 10 there. Biases are 0.
    KaimingFanIn,
    /// Normal. Biases are 0.
    Normal {
        /// Its standard deviation.
        std: f64,
    },
    /// Weights and biases uniform in `±1 / sqrt(fan_in)`: PyTorch's default.
    UniformFanIn,
}

/// How the weights of a network are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheme {
    /// Convolutions.
    pub conv: Draw,
    /// Linear layers.
    pub linear: Draw,
    /// Whether biases of linear layers are drawn, where they are drawn with the weights; else they are 0.
    pub linear_bias: bool,
}

impl Scheme {
    /// Convolutions by [`Draw::KaimingFanOut`], linear layers by PyTorch's default: what the reference implementations of the CIFAR ResNets do.
    pub const KAIMING_FAN_OUT: Self = Self {
        conv: Draw::KaimingFanOut,
        linear: Draw::UniformFanIn,
        linear_bias: true,
    };
    /// PyTorch's default for both.
    pub const UNIFORM_FAN_IN: Self = Self {
        conv: Draw::UniformFanIn,
        linear: Draw::UniformFanIn,
        linear_bias: true,
    };
}

/// Draw the weights of `module` anew, by the scheme.
///
/// Everything that is neither a convolution nor a linear layer (batch-norm weights and statistics, vectors of other modules) keeps the
/// constant it was built with. Parameters of rank 4 are taken for convolutions `[out, in, height, width]`, those of rank 2 for linear
/// layers `[in, out]`, and one of rank 1 that follows in the same module for its bias.
pub fn initialize<M: Module>(module: M, scheme: Scheme, seed: u64) -> M {
    module.map(&mut Initialization {
        seed,
        scheme,
        path: Vec::new(),
        bias: None,
    })
}

struct Initialization {
    seed: u64,
    scheme: Scheme,
    path: Vec<String>,
    /// Module and bound of the weight seen last: its bias shares the bound.
    bias: Option<(String, f64)>,
}

impl Initialization {
    fn parent(&self) -> String {
        self.path[..self.path.len().saturating_sub(1)].join(".")
    }

    fn draw<const D: usize>(
        &self,
        param: Param<Tensor<D>>,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f64,
    ) -> Param<Tensor<D>> {
        let mut stream = stream(self.seed, &self.path.join("."));
        let shape = param.lazy_shape();
        let values: Vec<f32> = (0..shape.num_elements())
            .map(|_| draw(&mut stream) as f32)
            .collect();
        let device = param.lazy_device();
        // Whether it learns is what it was: on a device without autodiff, only the parameter knows.
        param.map(|old| {
            Tensor::from_data(TensorData::new(values, shape), &device)
                .set_require_grad(old.is_require_grad())
        })
    }
}

impl ModuleMapper for Initialization {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let (draw, fan_in, fan_out) = match D {
            4 => {
                let pixels = shape[2] * shape[3];
                (self.scheme.conv, shape[1] * pixels, shape[0] * pixels)
            }
            2 => (self.scheme.linear, shape[0], shape[1]),
            1 => {
                return match &self.bias {
                    Some((parent, bound)) if *parent == self.parent() => {
                        let bound = *bound;
                        self.draw(param, |stream| uniform(stream, bound))
                    }
                    _ => param,
                };
            }
            _ => return param,
        };
        let normal = |std: f64| {
            move |stream: &mut ChaCha8Rng| {
                let z: f64 = StandardNormal.sample(stream);
                std * z
            }
        };
        self.bias = None;
        match draw {
            Draw::KaimingFanOut => self.draw(param, normal((2.0 / fan_out as f64).sqrt())),
            Draw::KaimingFanIn => self.draw(param, normal((2.0 / fan_in as f64).sqrt())),
            Draw::Normal { std } => self.draw(param, normal(std)),
            Draw::UniformFanIn => {
                let bound = 1.0 / (fan_in as f64).sqrt();
                if D == 4 || self.scheme.linear_bias {
                    self.bias = Some((self.parent(), bound));
                }
                self.draw(param, |stream| uniform(stream, bound))
            }
        }
    }
}

/// Uniform in `[-bound, bound)` from the top 53 bits of a draw.
fn uniform(stream: &mut ChaCha8Rng, bound: f64) -> f64 {
    let unit = (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    (2.0 * unit - 1.0) * bound
}

/// The stream of one parameter. The key is the seed and three FNV-1a hashes of the path, each from its own basis.
fn stream(seed: u64, path: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    for (part, basis) in key[8..].chunks_exact_mut(8).zip(1u64..) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ basis;
        for byte in path.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        part.copy_from_slice(&hash.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
