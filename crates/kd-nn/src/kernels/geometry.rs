//! What a convolution is, apart from its numbers.

use super::vector::LANES;

/// The sizes of a convolution whose operands have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub(crate) batch: usize,
    /// Of the input and of the output.
    pub(crate) channels: [usize; 2],
    pub(crate) groups: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Above and to the left. Below and to the right follow from `output`.
    pub(crate) padding: [usize; 2],
}

impl Geometry {
    /// Input and output channels of one group.
    pub(crate) fn group_channels(&self) -> [usize; 2] {
        self.channels.map(|channels| channels / self.groups)
    }

    /// One input and one output channel in every group.
    pub(crate) fn depthwise(&self) -> bool {
        self.groups > 1 && self.group_channels() == [1, 1]
    }

    /// The stride over the scratch buffer, which leaves out the rows and columns that a kernel of one row or column never meets.
    pub(crate) fn scratch_stride(&self, axis: usize) -> usize {
        if self.kernel[axis] == 1 {
            1
        } else {
            self.stride[axis]
        }
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(crate) fn input_pixels(&self) -> usize {
        self.input[0] * self.input[1]
    }

    pub(crate) fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }
}

/// Blocks of sixteen that hold `channels`.
pub(crate) fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// The channels of block `block` among `channels`.
pub(crate) fn block_channels(channels: usize, block: usize) -> usize {
    (channels - block * LANES).min(LANES)
}
