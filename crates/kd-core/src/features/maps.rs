//! Feature maps as matrices, in whichever order their memory has.
//!
//! kd-nn's layers leave channels innermost, other networks pixels. Neither order is converted to the other: what a loss needs of a map
//! (sums over channels, inner products, a flat row) exists in both, and Burn's CPU backend is several times slower on strided views.

use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;

use super::kernels;
use crate::math::mean_per_sample;

/// `[batch, channels, height, width]` without its geometry: `[batch, pixels, channels]` if `last`, else `[batch, channels, pixels]`.
#[derive(Clone)]
pub(crate) struct Maps {
    x: Tensor<3>,
    last: bool,
}

impl Maps {
    pub(crate) fn new(x: Tensor<4>) -> Self {
        let last = kd_nn::channels_last(&x);
        Self::ordered(x, last)
    }

    fn ordered(x: Tensor<4>, last: bool) -> Self {
        let [batch, channels, height, width] = x.dims();
        let x = if last {
            x.permute([0, 2, 3, 1])
                .reshape([batch, height * width, channels])
        } else {
            x.reshape([batch, channels, height * width])
        };
        Self { x, last }
    }

    /// The sum of all channels of each pixel: `[batch, pixels]`.
    pub(crate) fn sum_channels(self) -> Tensor<2> {
        let dim = if self.last { 2 } else { 1 };
        self.x.sum_dim(dim).squeeze_dim(dim)
    }

    /// The mean of all pixels of each channel: `[batch, channels]`.
    pub(crate) fn mean_pixels(self) -> Tensor<2> {
        let dim = if self.last { 1 } else { 2 };
        self.x.mean_dim(dim).squeeze_dim(dim)
    }

    pub(crate) fn map(self, f: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Self {
        Self {
            x: f(self.x),
            last: self.last,
        }
    }

    /// Everything of a sample in a row, in the order of the memory: `[batch, channels * pixels]`.
    pub(crate) fn flat(self) -> Tensor<2> {
        let [batch, a, b] = self.x.dims();
        self.x.reshape([batch, a * b])
    }

    /// What is left where the other, made by [`pair`] with this one, is taken away.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            x: self.x - other.x,
            last: self.last,
        }
    }

    /// The means of groups of `size` consecutive channels.
    pub(crate) fn mean_groups(self, size: usize) -> Self {
        if size == 1 {
            return self;
        }
        let [batch, a, b] = self.x.dims();
        let x = if self.last {
            let groups: Tensor<4> = self.x.reshape([batch, a, b / size, size]);
            groups.mean_dim(3).squeeze_dim(3)
        } else {
            let groups: Tensor<4> = self.x.reshape([batch, a / size, size, b]);
            groups.mean_dim(2).squeeze_dim(2)
        };
        Self { x, last: self.last }
    }

    /// The same numbers with the dimensions in the order of another.
    pub(crate) fn ordered_as(self, other: &Self) -> Self {
        let x = if self.last == other.last {
            self.x
        } else {
            self.x.transpose()
        };
        Self {
            x,
            last: other.last,
        }
    }

    /// The numbers in the order of the memory.
    pub(crate) fn into_tensor(self) -> Tensor<3> {
        self.x
    }

    /// Inner products over the pixels: `[batch, own channels, other's channels]`.
    pub(crate) fn products(self, other: Self) -> Tensor<3> {
        let other = if self.last == other.last {
            other.x
        } else {
            other.x.transpose()
        };
        kernels::products(self.x, other, self.last)
    }

    /// What [`kernels::selectivity`] makes of both, on the CPU.
    pub(crate) fn selectivity(&self, teacher: &Self) -> Option<Tensor<1>> {
        if self.last != teacher.last {
            return None;
        }
        kernels::selectivity(self.x.clone(), teacher.x.clone(), self.last)
    }

    /// The same of the channels with each other.
    pub(crate) fn own_products(self) -> Tensor<3> {
        kernels::own_products(self.x, self.last)
    }
}

/// Two maps of equal shape, both in the order of the first: for what is computed element by element.
pub(crate) fn pair(first: Tensor<4>, second: Tensor<4>) -> (Maps, Maps) {
    assert_eq!(
        first.dims(),
        second.dims(),
        "maps that are compared element by element must have the same [batch, channels, height, width]"
    );
    let last = kd_nn::channels_last(&first);
    (Maps::ordered(first, last), Maps::ordered(second, last))
}

/// Both maps at the smaller height and the smaller width: whichever is larger is averaged over adaptive windows.
pub(crate) fn match_sizes(student: Tensor<4>, teacher: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [batch, _, height, width] = student.dims();
    let [teacher_batch, _, teacher_height, teacher_width] = teacher.dims();
    assert_eq!(
        batch, teacher_batch,
        "the student's and the teacher's maps must be of the same batch"
    );
    let size = [height.min(teacher_height), width.min(teacher_width)];
    (pool(student, size), pool(teacher, size))
}

/// Adaptive average pooling to `[height, width]`.
pub(crate) fn pool(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [to_height, to_width] = size;
    if [height, width] == size {
        return x;
    }
    if let Some(pooled) = kernels::mean_of_windows(&x, size) {
        return pooled;
    }
    if !height.is_multiple_of(to_height) || !width.is_multiple_of(to_width) {
        return adaptive_avg_pool2d(x, size);
    }
    let (rows, columns) = (height / to_height, width / to_width);
    let windows = [batch, channels, to_height, rows, to_width, columns];
    let pooled: Tensor<6> = x.reshape(windows).sum_dim(3).sum_dim(5);
    pooled
        .reshape([batch, channels, to_height, to_width])
        .mul_scalar(1.0 / (rows * columns) as f64)
}

/// The mean over the channels of `f` of each number: `[batch, pixels]`.
pub(crate) fn mean_channels(map: Tensor<4>, f: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<2> {
    let [_, channels, ..] = map.dims();
    Maps::new(map)
        .map(f)
        .sum_channels()
        .mul_scalar(1.0 / channels as f64)
}

/// The mean over the channels of the squares: `[batch, pixels]`.
pub(crate) fn energy(map: Tensor<4>) -> Tensor<2> {
    kernels::energy(&map).unwrap_or_else(|| mean_channels(map, |x| x.square()))
}

/// The mean squared difference of each sample: `[batch]`.
pub(crate) fn mean_squared_difference(student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
    kernels::mean_pointwise(&student, &teacher, kernels::SquaredDifference).unwrap_or_else(|| {
        let (student, teacher) = pair(student, teacher);
        mean_per_sample(student.minus(teacher).into_tensor().square())
    })
}
