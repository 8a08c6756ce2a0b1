//! Burn's tensors as the kernels see them: dense, with channels innermost.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use burn::tensor::DType;
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes, Shape};
use rayon::prelude::*;

use crate::kernels::buffer::{ALIGNMENT, Buffer};

/// A pooled buffer as the storage of a tensor.
struct Pooled(Buffer);

impl AllocationController for Pooled {
    fn alloc_align(&self) -> usize {
        ALIGNMENT
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    // SAFETY: the caller writes initialised data only, as the trait asks; `MaybeUninit<u8>` has no other condition.
    #[allow(unsafe_code)]
    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let bytes = self.0.bytes();
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), bytes) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: the buffer owns `bytes` bytes, all of them initialised.
        #[allow(unsafe_code)]
        Ok(unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.bytes()) })
    }

    fn capacity(&self) -> usize {
        self.0.bytes()
    }
}

/// The first numbers of a buffer as a contiguous tensor.
pub(super) fn contiguous(buffer: Buffer, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    tensor(buffer, Layout::contiguous(shape))
}

fn tensor(buffer: Buffer, layout: Layout) -> FlexTensor {
    let bytes = layout.num_elements() * size_of::<f32>();
    assert!(bytes <= buffer.bytes());
    // SAFETY: the buffer's memory is initialised and holds `bytes` bytes.
    #[allow(unsafe_code)]
    let bytes = unsafe { Bytes::from_controller(Box::new(Pooled(buffer)), bytes) };
    FlexTensor::new(bytes, layout, DType::F32)
}

/// The numbers of an f32 tensor in the order of its dimensions.
pub(super) fn numbers(tensor: &FlexTensor) -> Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
    }
}

/// A `[batch, channels, height, width]` tensor whose numbers lie dense with channels innermost.
#[derive(Clone, Debug)]
pub(crate) struct Activation {
    tensor: FlexTensor,
    start: usize,
    len: usize,
}

impl Activation {
    /// The tensor itself where it is laid out so already, else a copy of it that is.
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let shape: [usize; 4] = tensor.layout().shape().dims();
        let len = shape.iter().product();
        let layout = tensor.layout();
        if layout.strides() == strides(shape) || dense(layout, shape) {
            let start = layout.start_offset();
            return Self { tensor, start, len };
        }
        let mut buffer = Buffer::new(len);
        copy(&tensor, shape, &mut buffer);
        Self::from_buffer(buffer, shape)
    }

    /// What was computed into `buffer`, of shape `[batch, channels, height, width]`.
    pub(super) fn from_buffer(buffer: Buffer, shape: [usize; 4]) -> Self {
        let layout = Layout::new(shape.into(), strides(shape).to_vec(), 0);
        Self {
            tensor: tensor(buffer, layout),
            start: 0,
            len: shape.iter().product(),
        }
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.tensor.storage::<f32>()[self.start..self.start + self.len]
    }

    /// `[batch, channels, height, width]`.
    pub(super) fn shape(&self) -> [usize; 4] {
        self.tensor.layout().shape().dims()
    }

    pub(super) fn tensor(&self) -> FlexTensor {
        self.tensor.clone()
    }
}

/// Of `[batch, channels, height, width]`, channels innermost.
fn strides([_, channels, height, width]: [usize; 4]) -> [isize; 4] {
    [height * width * channels, 1, width * channels, channels].map(|stride| stride as isize)
}

/// Whether a layout is the one with channels innermost, apart from the strides of dimensions of one element.
pub(super) fn dense(layout: &Layout, shape: [usize; 4]) -> bool {
    let expected = strides(shape);
    (0..4).all(|i| shape[i] == 1 || layout.strides()[i] == expected[i])
}

/// Copies images in parallel, sixteen pixels of sixteen channels at a time.
fn copy(tensor: &FlexTensor, shape: [usize; 4], to: &mut Buffer) {
    const SIDE: usize = 16;
    let layout = tensor.layout();
    let (tensor, strides) = match layout.strides().iter().all(|&stride| stride >= 0) {
        true => (tensor.clone(), layout.strides().to_vec()),
        false => {
            let tensor = tensor.to_contiguous();
            let strides = tensor.layout().strides().to_vec();
            (tensor, strides)
        }
    };
    let from = &tensor.storage::<f32>()[tensor.layout().start_offset()..];
    let [batch, channels, height, width] = shape;
    let stride = |axis: usize| strides[axis] as usize;
    let image = channels * height * width;
    if image == 0 {
        return;
    }
    if (0..4).all(|axis| shape[axis] == 1 || strides[axis] == 0) {
        // One number for all, as the gradient of a sum.
        let all = &mut to.as_mut_slice()[..batch * image];
        all.par_chunks_mut(SIDE << 10)
            .for_each(|part| part.fill(from[0]));
        return;
    }
    to.as_mut_slice()[..batch * image]
        .par_chunks_mut(image)
        .enumerate()
        .for_each(|(n, to)| {
            let mut block = [[0.0; SIDE]; SIDE];
            for y in 0..height {
                for first in (0..width).step_by(SIDE) {
                    let pixels = SIDE.min(width - first);
                    for channel in (0..channels).step_by(SIDE) {
                        let lanes = SIDE.min(channels - channel);
                        for (c, line) in block.iter_mut().enumerate().take(lanes) {
                            let at = n * stride(0)
                                + (channel + c) * stride(1)
                                + y * stride(2)
                                + first * stride(3);
                            for (p, number) in line.iter_mut().enumerate().take(pixels) {
                                *number = from[at + p * stride(3)];
                            }
                        }
                        for p in 0..pixels {
                            let at = (y * width + first + p) * channels + channel;
                            for (number, line) in to[at..at + lanes].iter_mut().zip(&block) {
                                *number = line[p];
                            }
                        }
                    }
                }
            }
        });
}
