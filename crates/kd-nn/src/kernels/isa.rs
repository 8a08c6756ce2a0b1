//! Which instructions the kernels are compiled for, chosen at run time: AVX-512, AVX2 with FMA, or what every machine has.
//!
//! A set of instructions is a table of functions. `KD_NN_ISA` = `avx512`, `avx2` or `portable` forbids what is above it. The sets
//! differ in rounding only: the portable one has no fused multiply-add.

use std::ops::Range;
use std::sync::OnceLock;

use super::fill::{self, FillFn, NormGradient, Patch, Plane};
use super::matmul::{self, MatmulTile, MatmulTileFn};
use super::norm::{
    self, Affine, AffineFn, GradientSums, GradientSumsFn, InputGradientFn, MomentsFn,
};
use super::tile::{self, Tile, TileFn, WeightTile, WeightTileFn};
use super::vector;
use super::winograd::{self, Outputs, OutputsFn, Product, ProductFn, Transform, TransformFn};

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

/// For each width of a tile, and many rows or one.
type Tiles = [[TileFn; 2]; WIDEST];

/// Tiles of one kind, for one block of output channels and for several.
struct Kind {
    /// Accumulators that a tile may hold, by blocks - 1.
    budget: [usize; 2],
    tiles: [Tiles; 2],
}

/// The kernels for one set of instructions. Calling any of them needs the set and their own conditions.
pub(crate) struct Kernels {
    /// Blocks of output channels in a tile, at most.
    pub(crate) tile_blocks: usize,
    /// Pixels of a row in a tile, at most.
    pub(crate) tile_width: usize,
    tiles: Kind,
    /// For taps in threes, where registers suffice.
    row_tiles: Option<Kind>,
    depthwise_tiles: [TileFn; WIDEST],
    /// Input channels of a tile of the weights' gradient, by blocks - 1.
    weight_channels: [usize; 2],
    weight_tiles: [WeightTileFn; 2],
    /// For [`FEW`] input channels at most.
    few_weight_tiles: [WeightTileFn; 2],
    /// For three taps, one block of output channels and [`ROW_CHANNELS`] input channels, where registers suffice.
    pub(crate) weight_row_tile: Option<WeightTileFn>,
    pub(crate) depthwise_weight_tile: WeightTileFn,
    pub(crate) transform_input: TransformFn,
    pub(crate) transform_gradient: TransformFn,
    pub(crate) transform_output: OutputsFn,
    /// By blocks - 1.
    pub(crate) products: [ProductFn; 2],
    pub(crate) fill: FillFn,
    pub(crate) moments: MomentsFn,
    pub(crate) affine: AffineFn,
    pub(crate) gradient_sums: GradientSumsFn,
    pub(crate) input_gradient: InputGradientFn,
    /// Rows of a tile of a matrix product, at most.
    pub(crate) matmul_rows: usize,
    /// By vectors of columns - 1, for the most rows, for four and for one.
    pub(crate) matmul_tiles: [[MatmulTileFn; 3]; 2],
    /// The same for packed rows.
    pub(crate) packed_matmul_tiles: [[MatmulTileFn; 3]; 2],
}

/// Input channels of a tile of the gradient of three taps.
pub(crate) const ROW_CHANNELS: usize = 8;

impl Kernels {
    /// The tile for `blocks` blocks and `width` pixels, and how many rows it takes: as many as fit, or one. `threes` says that taps come
    /// in threes.
    pub(crate) fn tile(
        &self,
        threes: bool,
        blocks: usize,
        width: usize,
        many: bool,
    ) -> (TileFn, usize) {
        let kind = match &self.row_tiles {
            Some(kind) if threes => kind,
            _ => &self.tiles,
        };
        let rows = match many {
            true => rows(kind.budget[blocks - 1], width, blocks),
            false => 1,
        };
        (kind.tiles[blocks - 1][width - 1][usize::from(many)], rows)
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

/// The tiles of one kind for every width.
macro_rules! tiles {
    ($tile:ident, $budget:expr, $blocks:expr) => {
        [
            [
                $tile::<1, 1, $blocks>,
                $tile::<{ rows($budget, 1, $blocks) }, 1, $blocks>,
            ],
            [
                $tile::<1, 2, $blocks>,
                $tile::<{ rows($budget, 2, $blocks) }, 2, $blocks>,
            ],
            [
                $tile::<1, 3, $blocks>,
                $tile::<{ rows($budget, 3, $blocks) }, 3, $blocks>,
            ],
            [
                $tile::<1, 4, $blocks>,
                $tile::<{ rows($budget, 4, $blocks) }, 4, $blocks>,
            ],
            [
                $tile::<1, 5, $blocks>,
                $tile::<{ rows($budget, 5, $blocks) }, 5, $blocks>,
            ],
            [
                $tile::<1, 6, $blocks>,
                $tile::<{ rows($budget, 6, $blocks) }, 6, $blocks>,
            ],
            [
                $tile::<1, 7, $blocks>,
                $tile::<{ rows($budget, 7, $blocks) }, 7, $blocks>,
            ],
            [
                $tile::<1, 8, $blocks>,
                $tile::<{ rows($budget, 8, $blocks) }, 8, $blocks>,
            ],
        ]
    };
}

/// The tiles of matrix products, packed or not.
macro_rules! matmul_tiles {
    ($tile:ident, $rows:literal, $packed:literal) => {
        [
            [
                $tile::<$rows, 1, $packed>,
                $tile::<4, 1, $packed>,
                $tile::<1, 1, $packed>,
            ],
            [
                $tile::<$rows, 2, $packed>,
                $tile::<4, 2, $packed>,
                $tile::<1, 2, $packed>,
            ],
        ]
    };
}

/// The table of one set of instructions:
/// - `budget`: accumulators of a tile; with thirty-two registers all but those for weights and inputs;
/// - `blocks`, `width`: of a tile, at most;
/// - `weights`: input channels of a tile of the weights' gradient, for one and for several blocks;
/// - `patches`: of a tile of Winograd's products, for one block while they last, and else;
/// - `matmul`: rows of a tile of a matrix product;
/// - `rows`: budgets of tiles for taps in threes, if there are enough registers for those.
macro_rules! kernels {
    ($module:ident, $vector:ty, budget: $budget:literal, blocks: $blocks:literal, width: $width:literal,
        weights: [$one:literal, $two:literal], patches: [$many:literal, $few:literal], matmul: $matmul:literal $(, rows: [$row:literal, $row_two:literal])? $(; $features:literal)?) => {
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
            unsafe fn transform_input(t: &Transform<'_>) {
                winograd::transform_input::<$vector>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn transform_gradient(t: &Transform<'_>) {
                winograd::transform_gradient::<$vector>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn transform_output(t: &Outputs<'_>) {
                winograd::transform_output::<$vector>(t);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product<const P: usize, const Q: usize, const N: usize>(p: &Product) {
                winograd::product::<$vector, P, Q, N>(p);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn fill(patch: &Patch, to: *mut f32, plane: &Plane, image: usize, transform: &fill::Transform<'_>) {
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
                pixels: Range<usize>,
                channels: usize,
            ) {
                norm::input_gradient::<$vector>(norm, gradient, to, pixels, channels);
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn matmul_tile<const R: usize, const N: usize, const PACKED: bool>(t: &MatmulTile) {
                matmul::tile::<$vector, R, N, PACKED>(t);
            }

            kernels!(@rows $vector $(, $row, $row_two, $blocks)? $(; $features)?);

            pub(super) static KERNELS: Kernels = Kernels {
                tile_blocks: $blocks,
                tile_width: $width,
                tiles: Kind {
                    budget: [$budget; 2],
                    tiles: [tiles!(tile, $budget, 1), tiles!(tile, $budget, $blocks)],
                },
                row_tiles: ROW_TILES,
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
                weight_row_tile: WEIGHT_ROW_TILE,
                depthwise_weight_tile,
                transform_input,
                transform_gradient,
                transform_output,
                products: [product::<$many, $few, 1>, product::<$few, $few, $blocks>],
                fill,
                moments,
                affine,
                gradient_sums,
                input_gradient,
                matmul_rows: $matmul,
                matmul_tiles: matmul_tiles!(matmul_tile, $matmul, false),
                packed_matmul_tiles: matmul_tiles!(matmul_tile, $matmul, true),
            };
        }
    };
    (@rows $vector:ty $(; $features:literal)?) => {
        const ROW_TILES: Option<Kind> = None;
        const WEIGHT_ROW_TILE: Option<WeightTileFn> = None;
    };
    (@rows $vector:ty, $row:literal, $row_two:literal, $blocks:literal $(; $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        unsafe fn row_tile<const R: usize, const P: usize, const N: usize>(t: &Tile<'_>) {
            tile::row_tile::<$vector, R, P, N>(t);
        }
        $(#[target_feature(enable = $features)])?
        unsafe fn weight_row_tile(t: &WeightTile) {
            tile::weight_row_tile::<$vector, ROW_CHANNELS>(t);
        }
        const ROW_TILES: Option<Kind> = Some(Kind {
            budget: [$row, $row_two],
            tiles: [tiles!(row_tile, $row, 1), tiles!(row_tile, $row_two, $blocks)],
        });
        const WEIGHT_ROW_TILE: Option<WeightTileFn> = Some(weight_row_tile);
    };
}

kernels!(portable, vector::Portable, budget: 3, blocks: 1, width: 3, weights: [2, 2], patches: [2, 2], matmul: 4);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, vector::Avx2, budget: 6, blocks: 1, width: 6, weights: [4, 4], patches: [4, 4], matmul: 4; "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512, vector::Avx512, budget: 24, blocks: 2, width: 8, weights: [16, 8], patches: [24, 8], matmul: 12, rows: [24, 20]; "avx512f");

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
    best().1
}

fn best() -> (Isa, &'static Kernels) {
    static BEST: OnceLock<(Isa, &'static Kernels)> = OnceLock::new();
    *BEST.get_or_init(|| {
        let allowed = match std::env::var("KD_NN_ISA").as_deref() {
            Ok("portable") => Isa::Portable,
            Ok("avx2") => Isa::Avx2,
            _ => Isa::Avx512,
        };
        [Isa::Avx512, Isa::Avx2]
            .into_iter()
            .filter(|&isa| isa <= allowed)
            .find_map(|isa| Some((isa, kernels_of(isa)?)))
            .unwrap_or((Isa::Portable, &portable::KERNELS))
    })
}

/// Runs `f`, compiled for the best instructions that this machine has and that are not forbidden.
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
        unsafe fn avx512<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        let skylake = || {
            is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
        };
        match best().0 {
            // SAFETY: `best` has found AVX-512F, `skylake` the other features.
            Isa::Avx512 if skylake() => return unsafe { avx512(f) },
            // SAFETY: `best` has found both.
            Isa::Avx2 => return unsafe { avx2(f) },
            Isa::Avx512 | Isa::Portable => {}
        }
    }
    f()
}
