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

/// Draw the weights of `module` anew, as the reference implementations of the CIFAR networks do:
///
/// - convolution (rank 4): normal, `std = sqrt(2 / (out_channels · kernel_height · kernel_width))` (Kaiming, fan-out);
/// - linear (rank 2, and the bias that follows it): uniform in `±1 / sqrt(fan_in)`;
/// - everything else (batch-norm weights and statistics, convolution biases) keeps the constant it was built with.
///
/// Source: He et al., *Delving Deep into Rectifiers*, 2015, Eq. 14; the linear default is PyTorch's.
pub fn initialize<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Initialization {
        seed,
        path: Vec::new(),
        linear: None,
    })
}

struct Initialization {
    seed: u64,
    path: Vec<String>,
    /// Path and bound of the linear weight seen last: its bias shares the bound.
    linear: Option<(String, f64)>,
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
        param.map(|_| Tensor::from_data(TensorData::new(values, shape), &device))
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
        match D {
            4 => {
                let std = (2.0 / (shape[0] * shape[2] * shape[3]) as f64).sqrt();
                self.draw(param, |stream| {
                    let z: f64 = StandardNormal.sample(stream);
                    std * z
                })
            }
            2 => {
                // Burn keeps a linear weight as [fan_in, fan_out].
                let bound = 1.0 / (shape[0] as f64).sqrt();
                self.linear = Some((self.parent(), bound));
                self.draw(param, |stream| uniform(stream, bound))
            }
            1 => match &self.linear {
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
