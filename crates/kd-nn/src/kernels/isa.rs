//! Which instructions the kernels are compiled for, chosen at run time: AVX-512, AVX2 with FMA, or what every machine has.
//!
//! A set of instructions is a table of functions. `KD_NN_ISA` = `avx512`, `avx2` or `portable` forbids what is above it. The sets
//! differ in rounding only: the portable one has no fused multiply-add.

use std::ops::Range;
use std::sync::OnceLock;

use super::fill::{self, FillFn, NormGradient, Patch, Plane, Transform};
use super::norm::{
    self, Affine, AffineFn, GradientSums, GradientSumsFn, InputGradientFn, MomentsFn,
};
use super::tile::{self, Tile, TileFn, WeightTile, WeightTileFn};
use super::vector;

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    Portable,
    Avx2,
    Avx512,
}

/// Widest tile of any set, in pixels of a row.
const WIDEST: usize = 8;

/// Input channels that have tiles of their own: images have three or one.
const FEW: usize = 4;

/// The kernels for one set of instructions. Calling any of them needs the set and their own conditions.
pub(crate) struct Kernels {
    pub(crate) isa: Isa,
    /// Accumulators that a tile may hold.
    budget: usize,
    /// Blocks of output channels in a tile, at most.
    pub(crate) tile_blocks: usize,
    /// Pixels of a row in a tile, at most.
    pub(crate) tile_width: usize,
    /// By blocks - 1, pixels - 1, and whether for many rows.
    tiles: [[[TileFn; 2]; WIDEST]; 2],
    depthwise_tiles: [TileFn; WIDEST],
    /// Input channels of a tile of the weights' gradient, by blocks - 1.
    weight_channels: [usize; 2],
    weight_tiles: [WeightTileFn; 2],
    /// For [`FEW`] input channels at most.
    few_weight_tiles: [WeightTileFn; 2],
    pub(crate) depthwise_weight_tile: WeightTileFn,
    pub(crate) fill: FillFn,
    pub(crate) moments: MomentsFn,
    pub(crate) affine: AffineFn,
    pub(crate) gradient_sums: GradientSumsFn,
    pub(crate) input_gradient: InputGradientFn,
}

impl Kernels {
    /// The tile for `blocks` blocks and `width` pixels, and how many rows it takes: as many as fit, or one.
    pub(crate) fn tile(&self, blocks: usize, width: usize, many: bool) -> (TileFn, usize) {
        let rows = if many {
            rows(self.budget, width, blocks)
        } else {
            1
        };
        (self.tiles[blocks - 1][width - 1][usize::from(many)], rows)
    }

    pub(crate) fn depthwise_tile(&self, width: usize) -> TileFn {
        self.depthwise_tiles[width - 1]
    }

    /// The tile of the weights' gradient for `blocks` blocks, where `channels` input channels exist, and how many it takes.
    pub(crate) fn weight_tile(&self, blocks: usize, channels: usize) -> (WeightTileFn, usize) {
        match channels <= FEW {
            true => (self.few_weight_tiles[blocks - 1], FEW),
            false => (
                self.weight_tiles[blocks - 1],
                self.weight_channels[blocks - 1],
            ),
        }
    }
}

/// Rows of a tile with `budget` accumulators.
const fn rows(budget: usize, width: usize, blocks: usize) -> usize {
    let rows = budget / (width * blocks);
    if rows == 0 {
        1
    } else if rows > 8 {
        8
    } else {
        rows
    }
}

/// The table of one set: `C` = input channels of a weight tile for one and for two blocks.
macro_rules! kernels {
    ($module:ident, $isa:ident, $vector:ty, $budget:literal, $blocks:literal, $width:literal, [$one:literal, $two:literal]
        $(, $features:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $features)])?
            unsafe fn tile<const R: usize, const P: usize, const N: usize>(t: &Tile<'_>) {
                tile::tile::<$vector, R, P, N>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_tile<const P: usize>(t: &Tile<'_>) {
                tile::depthwise_tile::<$vector, P>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn weight_tile<const C: usize, const N: usize>(t: &WeightTile) {
                tile::weight_tile::<$vector, C, N>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_weight_tile(t: &WeightTile) {
                tile::depthwise_weight_tile::<$vector>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn fill(patch: &Patch, to: *mut f32, plane: &Plane, image: usize, transform: &Transform<'_>) {
                fill::fill::<$vector>(patch, to, plane, image, transform);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn moments(data: *const f32, pixels: usize, channels: usize, mean: *mut f32, squares: *mut f32) {
                norm::moments::<$vector>(data, pixels, channels, mean, squares);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn affine(affine: &Affine, from: *const f32, to: *mut f32, pixels: usize, channels: usize) {
                norm::affine::<$vector>(affine, from, to, pixels, channels);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn gradient_sums(
                s: &GradientSums<'_>,
                pixels: Range<usize>,
                channels: usize,
                sums: *mut f32,
                products: *mut f32,
            ) {
                norm::gradient_sums::<$vector>(s, pixels, channels, sums, products);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn input_gradient(
                norm: &NormGradient<'_>,
                gradient: *const f32,
                to: *mut f32,
                first: usize,
                pixels: usize,
                channels: usize,
            ) {
                norm::input_gradient::<$vector>(norm, gradient, to, first, pixels, channels);
            }

            const fn pair<const P: usize, const N: usize>(many: TileFn) -> [TileFn; 2] {
                [tile::<1, P, N>, many]
            }

            pub(super) static KERNELS: Kernels = Kernels {
                isa: Isa::$isa,
                budget: $budget,
                tile_blocks: $blocks,
                tile_width: $width,
                tiles: [
                    [
                        pair::<1, 1>(tile::<{ rows($budget, 1, 1) }, 1, 1>),
                        pair::<2, 1>(tile::<{ rows($budget, 2, 1) }, 2, 1>),
                        pair::<3, 1>(tile::<{ rows($budget, 3, 1) }, 3, 1>),
                        pair::<4, 1>(tile::<{ rows($budget, 4, 1) }, 4, 1>),
                        pair::<5, 1>(tile::<{ rows($budget, 5, 1) }, 5, 1>),
                        pair::<6, 1>(tile::<{ rows($budget, 6, 1) }, 6, 1>),
                        pair::<7, 1>(tile::<{ rows($budget, 7, 1) }, 7, 1>),
                        pair::<8, 1>(tile::<{ rows($budget, 8, 1) }, 8, 1>),
                    ],
                    [
                        pair::<1, $blocks>(tile::<{ rows($budget, 1, $blocks) }, 1, $blocks>),
                        pair::<2, $blocks>(tile::<{ rows($budget, 2, $blocks) }, 2, $blocks>),
                        pair::<3, $blocks>(tile::<{ rows($budget, 3, $blocks) }, 3, $blocks>),
                        pair::<4, $blocks>(tile::<{ rows($budget, 4, $blocks) }, 4, $blocks>),
                        pair::<5, $blocks>(tile::<{ rows($budget, 5, $blocks) }, 5, $blocks>),
                        pair::<6, $blocks>(tile::<{ rows($budget, 6, $blocks) }, 6, $blocks>),
                        pair::<7, $blocks>(tile::<{ rows($budget, 7, $blocks) }, 7, $blocks>),
                        pair::<8, $blocks>(tile::<{ rows($budget, 8, $blocks) }, 8, $blocks>),
                    ],
                ],
                depthwise_tiles: [
                    depthwise_tile::<1>,
                    depthwise_tile::<2>,
                    depthwise_tile::<3>,
                    depthwise_tile::<4>,
                    depthwise_tile::<5>,
                    depthwise_tile::<6>,
                    depthwise_tile::<7>,
                    depthwise_tile::<8>,
                ],
                weight_channels: [$one, $two],
                weight_tiles: [weight_tile::<$one, 1>, weight_tile::<$two, $blocks>],
                few_weight_tiles: [weight_tile::<FEW, 1>, weight_tile::<FEW, $blocks>],
                depthwise_weight_tile,
                fill,
                moments,
                affine,
                gradient_sums,
                input_gradient,
            };
        }
    };
}

kernels!(portable, Portable, vector::Portable, 3, 1, 3, [2, 2]);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, vector::Avx2, 6, 1, 6, [4, 4], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, vector::Avx512, 24, 2, 8, [16, 8], "avx512f");

/// The kernels of `isa`, if this machine has it.
pub(crate) fn kernels_of(isa: Isa) -> Option<&'static Kernels> {
    match isa {
        Isa::Portable => Some(&portable::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
            .then_some(&avx2::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => is_x86_feature_detected!("avx512f").then_some(&avx512::KERNELS),
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    }
}

/// The best kernels that this machine has and that are not forbidden.
pub(crate) fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<&'static Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| {
        let allowed = match std::env::var("KD_NN_ISA").as_deref() {
            Ok("portable") => Isa::Portable,
            Ok("avx2") => Isa::Avx2,
            _ => Isa::Avx512,
        };
        [Isa::Avx512, Isa::Avx2]
            .into_iter()
            .filter(|&isa| isa <= allowed)
            .find_map(kernels_of)
            .unwrap_or(&portable::KERNELS)
    })
}
