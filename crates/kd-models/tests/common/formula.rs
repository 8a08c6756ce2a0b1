//! Weights, images and labels from formulas, as `tools/README.md` states them: what PyTorch and these tests both compute, so
//! that fixtures hold results alone.
#![allow(dead_code)]

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

pub fn fnv1a(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

pub fn bits(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What the weights of a convolution are divided by the root of.
#[derive(Clone, Copy)]
pub enum Fan {
    In,
    Out,
}

/// A tensor by its PyTorch path and shape. `statistics`: whether batch norm has seen data.
pub fn values(network: &str, path: &str, shape: &[usize], statistics: bool, fan: Fan) -> Vec<f32> {
    let key = fnv1a(&format!("{network}.{path}"));
    (0..shape.iter().product::<usize>() as u64)
        .map(|index| {
            let u = ((bits(key, index) >> 40) as f64 - 8_388_608.0) / 8_388_608.0;
            let value = match (shape.len(), path.rsplit('.').next()) {
                (4, _) => {
                    let channels = match fan {
                        Fan::In => shape[1],
                        Fan::Out => shape[0],
                    };
                    u * (6.0 / (channels * shape[2] * shape[3]) as f64).sqrt()
                }
                (2, _) => u / (shape[1] as f64).sqrt(),
                (_, Some("running_mean")) => f64::from(u8::from(statistics)) * 0.05 * u,
                (_, Some("running_var")) => 1.0 + f64::from(u8::from(statistics)) * 0.2 * u,
                _ if path == "fc.bias" || path == "linear.bias" => 0.0,
                (_, Some("weight")) => 1.0 + 0.1 * u,
                _ => 0.1 * u,
            };
            value as f32
        })
        .collect()
}

/// The path that PyTorch gives to a parameter of kd's networks.
pub fn pytorch_path(path: &[String]) -> String {
    let parts = path.iter().filter(|part| *part != "network");
    let path = parts.cloned().collect::<Vec<_>>().join(".");
    path.replace(".gamma", ".weight").replace(".beta", ".bias")
}

/// Fill a network by the formulas.
pub fn fill<M: Module>(module: M, network: &str, statistics: bool) -> M {
    fill_by(Fan::Out, module, network, statistics)
}

/// The same, convolutions divided by the root of their inputs or outputs.
pub fn fill_by<M: Module>(fan: Fan, module: M, network: &str, statistics: bool) -> M {
    struct Fill<'a> {
        network: &'a str,
        statistics: bool,
        fan: Fan,
        path: Vec<String>,
    }
    impl ModuleMapper for Fill<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = pytorch_path(&self.path);
            let mut shape = param.lazy_shape().to_vec();
            let device = param.lazy_device();
            if D == 2 {
                shape.reverse();
            }
            let values = values(self.network, &path, &shape, self.statistics, self.fan);
            let tensor = Tensor::<D>::from_data(TensorData::new(values, shape), &device);
            param.map(|old| {
                let tensor = if D == 2 { tensor.transpose() } else { tensor };
                tensor.set_require_grad(old.is_require_grad())
            })
        }
    }
    module.map(&mut Fill {
        network,
        statistics,
        fan,
        path: Vec::new(),
    })
}

pub fn label(image: u64) -> u64 {
    bits(fnv1a("label"), image) % 10
}

/// Pixels in `[0, 1]` and labels of the images `first .. first + count`.
pub fn images(first: u64, count: u64, device: &Device) -> (Tensor<4>, Vec<i32>) {
    sized_images(first, count, 32, device)
}

/// The same, `size` pixels wide and high.
pub fn sized_images(first: u64, count: u64, size: u64, device: &Device) -> (Tensor<4>, Vec<i32>) {
    let (pixel, tint) = (fnv1a("pixel"), fnv1a("tint"));
    let mut pixels = Vec::new();
    for n in first..first + count {
        let l = label(n);
        for c in 0..3 {
            for y in 0..size {
                for x in 0..size {
                    let colour = (l + 1) * (37 + 22 * c) % 128;
                    let phase = (7 * l + 11 * c + (1 + l % 3) * y + (1 + l / 3 % 3) * x) % 64;
                    let noise = bits(pixel, ((n * 3 + c) * size + y) * size + x) >> 59;
                    let byte =
                        colour + 2 * phase.abs_diff(32) + (bits(tint, n * 3 + c) >> 60) + noise;
                    pixels.push(byte as f32 / 255.0);
                }
            }
        }
    }
    let data = TensorData::new(pixels, [count as usize, 3, size as usize, size as usize]);
    let labels = (first..first + count).map(|n| label(n) as i32).collect();
    (Tensor::from_data(data, device), labels)
}
