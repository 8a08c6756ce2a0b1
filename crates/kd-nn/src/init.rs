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

/// How the weights of convolutions and linear layers are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Convolutions (rank 4) normal, `std = sqrt(2 / (out_channels · kernel_height · kernel_width))`, their biases as they are;
    /// linear layers (rank 2, and the bias that follows it) uniform in `±1 / sqrt(fan_in)`.
    ///
    /// What the reference implementations of the CIFAR networks do: He et al., *Delving Deep into Rectifiers*, 2015, Eq. 14, with the
    /// fan-out; the linear rule is PyTorch's default.
    KaimingFanOut,
    /// Convolutions and linear layers, weight and bias, uniform in `±1 / sqrt(fan_in)`: PyTorch's default.
    UniformFanIn,
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
        let fan_in = match D {
            4 => shape[1] * shape[2] * shape[3],
            2 => shape[0],
            _ => 1,
        };
        let bound = 1.0 / (fan_in as f64).sqrt();
        match D {
            4 if self.scheme == Scheme::KaimingFanOut => {
                self.bias = None;
                let std = (2.0 / (shape[0] * shape[2] * shape[3]) as f64).sqrt();
                self.draw(param, |stream| {
                    let z: f64 = StandardNormal.sample(stream);
                    std * z
                })
            }
            2 | 4 => {
                self.bias = Some((self.parent(), bound));
                self.draw(param, |stream| uniform(stream, bound))
            }
            1 => match &self.bias {
                Some((parent, bound)) if *parent == self.parent() => {
                    let bound = *bound;
                    self.draw(param, |stream| uniform(stream, bound))
                }
                _ => param,
            },
            _ => param,
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
