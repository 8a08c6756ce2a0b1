//! What networks do with maps between convolutions.

use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Int, Tensor, TensorData};

/// Windows over a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Distance from window to window, vertical and horizontal.
    pub stride: [usize; 2],
    /// Pixels that the windows reach beyond the map, at each end; at most half of the kernel.
    pub padding: [usize; 2],
}

impl Pool {
    /// Square windows.
    pub const fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        }
    }

    /// The largest number of each window. Of several equal ones, the first has the gradient.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> `[batch, channels, windows, windows]`
    ///
    /// # Panics
    /// As Burn's, if a window is larger than the padded map.
    pub fn largest(&self, map: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        if let Some(windows) = self.windows(&map)
            && let Some(found) = crate::flex::max_pool(map.clone().into_dispatch(), windows)
        {
            return Tensor::from_dispatch(found);
        }
        let options = MaxPoolOptions::new(self.kernel)
            .with_stride(self.stride)
            .with_padding(self.padding);
        max_pool2d(map, options)
    }

    /// The mean of each window, zeros beyond the map.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` -> `[batch, channels, windows, windows]`
    ///
    /// # Panics
    /// As [`largest`](Self::largest).
    pub fn mean(&self, map: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        if let Some(windows) = self.windows(&map)
            && let Some(found) = crate::flex::average_pool(map.clone().into_dispatch(), windows)
        {
            return Tensor::from_dispatch(found);
        }
        let options = AvgPoolOptions::new(self.kernel)
            .with_stride(self.stride)
            .with_padding(self.padding);
        avg_pool2d(map, options)
    }

    #[cfg(feature = "flex")]
    fn windows(&self, map: &Tensor<4>) -> Option<crate::kernels::pool::Windows> {
        let [_, channels, height, width] = map.dims();
        let input = [height, width];
        let mut output = [0; 2];
        for axis in 0..2 {
            if self.padding[axis] * 2 > self.kernel[axis] || self.stride[axis] == 0 {
                return None;
            }
            let room = (input[axis] + 2 * self.padding[axis]).checked_sub(self.kernel[axis])?;
            output[axis] = room / self.stride[axis] + 1;
        }
        Some(crate::kernels::pool::Windows {
            channels,
            input,
            output,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        })
    }
}

/// The mean over the pixels of a map: `[batch, channels, height, width]` -> `[batch, channels]`.
pub fn mean_pixels(map: Tensor<4>) -> Tensor<2> {
    let [_, _, height, width] = map.dims();
    let pool = Pool {
        kernel: [height, width],
        stride: [1, 1],
        padding: [0, 0],
    };
    pool.mean(map).flatten(1, 3)
}

/// Channels of one or two maps in another order: of each channel of the result its map, and the channel there.
///
/// A concatenation, some of the channels, channels shuffled among groups, or all of that at once: a channel may come several times, or not
/// at all.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kd_nn::Arrangement;
///
/// let map = |number: f32| Tensor::<4>::full([1, 2, 3, 3], number, &Device::default());
/// let shuffled = Arrangement::new(vec![(0, 0), (1, 0), (0, 1), (1, 1)]);
/// let y = shuffled.of([map(1.0), map(2.0)]);
/// assert_eq!(y.dims(), [1, 4, 3, 3]);
/// ```
#[derive(Clone, Debug)]
pub struct Arrangement {
    order: Vec<(usize, usize)>,
    #[cfg(feature = "flex")]
    runs: std::sync::Arc<crate::kernels::arrange::Order>,
}

impl PartialEq for Arrangement {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Arrangement {
    /// By map and channel there.
    pub fn new(order: Vec<(usize, usize)>) -> Self {
        Self {
            #[cfg(feature = "flex")]
            runs: std::sync::Arc::new(crate::kernels::arrange::Order::new(&order)),
            order,
        }
    }

    /// Of each channel its map, and the channel there.
    pub fn order(&self) -> &[(usize, usize)] {
        &self.order
    }

    /// The maps' channels in this order.
    ///
    /// # Shapes
    /// `N` times `[batch, channels, height, width]` -> `[batch, order, height, width]`
    ///
    /// # Panics
    /// If there is no such map or channel, or maps differ in batch, height or width.
    pub fn of<const N: usize>(&self, maps: [Tensor<4>; N]) -> Tensor<4> {
        let [batch, _, height, width] = maps[0].dims();
        for map in &maps {
            let [b, _, h, w] = map.dims();
            assert_eq!(
                [b, h, w],
                [batch, height, width],
                "maps to arrange differ in batch, height or width"
            );
        }
        for &(map, channel) in &self.order {
            assert!(
                map < N && channel < maps[map].dims()[1],
                "there is no channel {channel} of map {map}"
            );
        }
        #[cfg(feature = "flex")]
        if let Some(found) = crate::flex::arrange::<N>(
            std::array::from_fn(|i| maps[i].clone().into_dispatch()),
            &self.runs,
        ) {
            return Tensor::from_dispatch(found);
        }
        let mut first = [0; N];
        for i in 1..N {
            first[i] = first[i - 1] + maps[i - 1].dims()[1];
        }
        let all = Tensor::cat(maps.into(), 1);
        let channels = self
            .order
            .iter()
            .map(|&(map, channel)| (first[map] + channel) as i64);
        let ids = TensorData::new(channels.collect(), [self.order.len()]);
        let ids = Tensor::<1, Int>::from_data(ids, &all.device());
        all.select(1, ids)
    }
}
