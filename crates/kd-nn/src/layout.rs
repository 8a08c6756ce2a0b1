use burn::tensor::Tensor;

/// Whether a tensor of shape `[batch, channels, height, width]` lies in memory with its channels innermost, as the outputs of this
/// crate's layers do on the CPU.
///
/// Then `x.permute([0, 2, 3, 1])` is a dense tensor, on which Burn's `flex` computes about ten times as fast as on `x` itself; otherwise
/// `x` is the faster view. A matter of speed alone: the numbers are the same. `false` on every other backend.
pub fn channels_last(x: &Tensor<4>) -> bool {
    #[cfg(feature = "flex")]
    return crate::flex::channels_last(x.clone().into_dispatch());
    #[cfg(not(feature = "flex"))]
    {
        let _ = x;
        false
    }
}
