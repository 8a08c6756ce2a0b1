//! Operations whose gradient is written by hand, for other crates of losses and layers.

use std::ops::Deref;

use burn::tensor::{Device, Tensor};

/// The numbers of a tensor of f32 on the CPU where they are, without a copy.
///
/// In the order of the dimensions, or, if [`channels_last`](Self::channels_last), of `[batch, height, width, channels]`.
pub struct Dense {
    #[cfg(feature = "flex")]
    numbers: crate::flex::Dense,
    #[cfg(not(feature = "flex"))]
    numbers: std::convert::Infallible,
    channels_last: bool,
}

impl Dense {
    /// The numbers of `x`, with or without autodiff, if it is a tensor of Burn's `flex` backend that lies in memory without gaps, as it is
    /// or with channels innermost. `None` for all others: they take the way that goes everywhere.
    pub fn of<const D: usize>(x: &Tensor<D>) -> Option<Self> {
        #[cfg(feature = "flex")]
        {
            let (numbers, channels_last) = crate::flex::dense(x.clone().into_dispatch())?;
            Some(Self {
                numbers,
                channels_last,
            })
        }
        #[cfg(not(feature = "flex"))]
        {
            let _ = x;
            None
        }
    }

    /// Whether the second of four dimensions lies innermost.
    pub fn channels_last(&self) -> bool {
        self.channels_last
    }
}

impl Deref for Dense {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        #[cfg(feature = "flex")]
        return self.numbers.numbers();
        #[cfg(not(feature = "flex"))]
        match self.numbers {}
    }
}

/// Whether a device, with or without autodiff, is Burn's `flex` backend, on which a tensor is read
/// without waiting for anything.
///
/// Always `false` without the feature `flex`.
pub fn on_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return crate::flex::is_flex(&device.clone().without_autodiff());
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// A tensor on the CPU, without autodiff, whose numbers `fill` writes, in memory that is kept from step to step.
///
/// The order is that of the dimensions or, if `channels_last`, of `[batch, height, width, channels]`. What `fill` finds there is
/// arbitrary.
///
/// # Panics
///
/// Without the feature `flex`; whoever has a [`Dense`] has it.
pub fn dense_tensor<const D: usize>(
    shape: [usize; D],
    channels_last: bool,
    fill: impl FnOnce(&mut [f32]),
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    return Tensor::from_dispatch(crate::flex::dense_tensor(&shape, channels_last, fill));
    #[cfg(not(feature = "flex"))]
    {
        let _ = (shape, channels_last, fill);
        unreachable!("only with the feature flex is there a dense tensor to begin with")
    }
}

/// A value that was computed from `x` outside of autodiff, with its way back: `backward` makes of the gradient of the value that of `x`.
///
/// If `x` is not tracked, the value is returned as it is.
///
/// # Panics
///
/// If `x` has a graph and is not a tensor of `flex`, where the gradient would be lost: make a [`Dense`] of it first.
pub fn with_backward<const D: usize, const V: usize>(
    x: Tensor<D>,
    value: Tensor<V>,
    backward: impl Fn(Tensor<V>) -> Tensor<D> + Send + Sync + 'static,
) -> Tensor<V> {
    #[cfg(feature = "flex")]
    {
        let backward = move |gradient, _| {
            let gradient = backward(Tensor::<V>::from_dispatch(gradient));
            [Some(gradient.into_dispatch())]
        };
        let value =
            crate::flex::with_backward([x.into_dispatch()], value.into_dispatch(), backward);
        Tensor::from_dispatch(value)
    }
    #[cfg(not(feature = "flex"))]
    {
        let _ = backward;
        assert!(
            !x.is_autodiff(),
            "only with the feature flex is there a way back written by hand"
        );
        value
    }
}

/// `a b`, as [`Tensor::matmul`] computes it, outside of autodiff.
///
/// Plain f32 tensors of `flex`, of two dimensions or of three with equal batches and of any strides, are multiplied by this crate's kernel: a
/// transposed operand costs no copy, and many small products no call each. All others by Burn.
///
/// # Shapes
///
/// `[.., rows, depth]` and `[.., depth, columns]` -> `[.., rows, columns]`
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        let product = crate::flex::matmul(a.clone().into_dispatch(), b.clone().into_dispatch());
        if let Some(product) = product {
            return Tensor::from_dispatch(product);
        }
    }
    a.matmul(b)
}

/// Runs `f`, compiled for the best vector instructions of this machine: plain loops in it, and in the functions marked
/// `#[inline(always)]` that it calls, become vectors as wide as there are. `KD_NN_ISA` forbids some, as for the kernels.
///
/// No product and sum are contracted to one rounding: the results are the same bits whatever the width, unless a sum is reordered by hand.
#[inline]
pub fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "flex")]
    return crate::kernels::isa::vectorized(f);
    #[cfg(not(feature = "flex"))]
    f()
}
