//! Products of matrices, alone or many of one shape, of any strides.
//!
//! A task takes some columns of one product over some of its depth. It copies the part of the right operand into panels of
//! [`COLUMNS`] columns, so that the inner loop reads it in order whatever its strides are, and a left operand whose rows lie far apart as
//! well; then tiles are held in registers for the whole depth of a block. Tasks follow from the sizes alone, and parts of a depth are
//! added in their order: the bits do not depend on the number of threads.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::isa::{Kernels, kernels};
use super::vector::{LANES, Vector};

/// Columns of a panel, two vectors.
pub(crate) const COLUMNS: usize = 2 * LANES;
/// Depth of a block: a panel of it, 32 KB, stays in the first-level cache.
const DEPTH: usize = 256;
/// Columns of a task.
const TASK_COLUMNS: usize = 512;
/// Multiply-adds below which a product is one task.
const LEAST_WORK: usize = 1 << 20;
/// Depth of a task, where rows and columns are too few to share.
const TASK_DEPTH: usize = 2048;
/// From this distance of rows on (a page), they would meet in few sets of the first-level cache.
const FAR: usize = 1024;
/// Columns from which on the copy of the left operand is soon paid for.
const WIDE: usize = 3 * COLUMNS;

/// Rows, columns, depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
}

/// A matrix, or one for each of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) numbers: &'a [f32],
    /// Between matrices, rows and columns.
    pub(crate) strides: [usize; 3],
}

impl Matrix<'_> {
    /// Whether all of `sizes` lies within the numbers.
    fn holds(&self, sizes: [usize; 3]) -> bool {
        let last: usize = (0..3).map(|i| (sizes[i] - 1) * self.strides[i]).sum();
        last < self.numbers.len()
    }
}

/// Of one tile: rows of `a`, given by its strides or packed, times a packed panel.
pub(crate) struct MatmulTile {
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_depth: usize,
    pub(crate) panel: *const f32,
    pub(crate) depth: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    /// Of the panel's columns, those that exist.
    pub(crate) columns: usize,
    /// Whether to add to what is there.
    pub(crate) add: bool,
}

pub(crate) type MatmulTileFn = unsafe fn(&MatmulTile);

/// `R` rows and `N` vectors of columns. If `PACKED`, the `R` numbers of a depth are neighbours, and one depth follows the other.
///
/// # Safety
/// `a` is valid for `R` rows and the depth, `panel` for the depth times [`COLUMNS`], `c` for `R` rows of `columns`, which are at most
/// `N` vectors.
#[inline(always)]
pub(crate) unsafe fn tile<V: Vector, const R: usize, const N: usize, const PACKED: bool>(
    t: &MatmulTile,
) {
    let mut sums = [[V::zero(); N]; R];
    for k in 0..t.depth {
        let mut b = [V::zero(); N];
        for n in 0..N {
            b[n] = V::load(t.panel.add(k * COLUMNS + n * LANES));
        }
        let a = t.a.add(k * if PACKED { R } else { t.a_depth });
        for r in 0..R {
            let x = V::splat(*a.add(r * if PACKED { 1 } else { t.a_row }));
            for n in 0..N {
                sums[r][n] = x.mul_add(b[n], sums[r][n]);
            }
        }
    }
    for r in 0..R {
        for n in 0..N {
            let to = t.c.add(r * t.c_row + n * LANES);
            let lanes = t.columns.saturating_sub(n * LANES).min(LANES);
            if lanes == LANES {
                let old = if t.add { V::load(to) } else { V::zero() };
                sums[r][n].add(old).store(to);
            } else if lanes > 0 {
                let old = if t.add {
                    V::load_first(to, lanes)
                } else {
                    V::zero()
                };
                sums[r][n].add(old).store_first(to, lanes);
            }
        }
    }
}

/// `c = a b` for each of the batch, `c` without gaps.
pub(crate) fn multiply(sizes: Sizes, a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    multiply_with(kernels(), sizes, a, b, c);
}

pub(crate) fn multiply_with(
    kernels: &Kernels,
    sizes: Sizes,
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
) {
    let Sizes {
        batch,
        rows,
        columns,
        depth,
    } = sizes;
    assert_eq!(c.len(), batch * rows * columns);
    if c.is_empty() {
        return;
    }
    if depth == 0 {
        c.fill(0.0);
        return;
    }
    assert!(a.holds([batch, rows, depth]) && b.holds([batch, depth, columns]));
    let work = rows * columns * depth;
    if work >= LEAST_WORK && columns <= TASK_COLUMNS && depth >= 2 * TASK_DEPTH {
        return in_depths(kernels, sizes, a, b, c);
    }
    let chunks = if work < LEAST_WORK {
        1
    } else {
        columns.div_ceil(TASK_COLUMNS)
    };
    let width = columns.div_ceil(chunks).next_multiple_of(COLUMNS);
    let to = Shared(c.as_mut_ptr());
    (0..batch * columns.div_ceil(width))
        .into_par_iter()
        .for_each(|task| {
            let chunks = columns.div_ceil(width);
            let (n, first) = (task / chunks, task % chunks * width);
            let part = Part {
                rows,
                columns: width.min(columns - first),
                first,
                depth: 0..depth,
                n,
            };
            // SAFETY: tasks differ in their matrix or in their columns; both lie within `c`, whose length was checked.
            unsafe {
                let c = to.at(n * rows * columns + first);
                part.compute(kernels, a, b, c, columns);
            }
        });
}

/// Products of few rows and columns and great depth: parts of the depth, added in their order.
fn in_depths(kernels: &Kernels, sizes: Sizes, a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    let Sizes {
        batch,
        rows,
        columns,
        depth,
    } = sizes;
    let (parts, size) = (depth.div_ceil(TASK_DEPTH), rows * columns);
    for (n, c) in c.chunks_mut(size).enumerate().take(batch) {
        let mut sums = Buffer::new(parts * size);
        let sums = &mut sums.as_mut_slice()[..parts * size];
        sums.par_chunks_mut(size).enumerate().for_each(|(i, sum)| {
            let part = Part {
                rows,
                columns,
                first: 0,
                depth: i * TASK_DEPTH..((i + 1) * TASK_DEPTH).min(depth),
                n,
            };
            // SAFETY: `sum` is rows times columns.
            unsafe { part.compute(kernels, a, b, sum.as_mut_ptr(), columns) };
        });
        let (first, others) = sums.split_at(size);
        c.copy_from_slice(first);
        for other in others.chunks(size) {
            for (c, x) in c.iter_mut().zip(other) {
                *c += x;
            }
        }
    }
}

/// Some columns of matrix `n`, over some depth.
struct Part {
    rows: usize,
    columns: usize,
    first: usize,
    depth: std::ops::Range<usize>,
    n: usize,
}

impl Part {
    /// # Safety
    /// `a` and `b` hold the part; `c` is valid for the rows and columns, `c_row` apart, and nobody else's.
    unsafe fn compute(
        &self,
        kernels: &Kernels,
        a: Matrix<'_>,
        b: Matrix<'_>,
        c: *mut f32,
        c_row: usize,
    ) {
        let (most, strides) = (kernels.matmul_rows, a.strides);
        let packs = a.strides[1] >= FAR || self.columns >= WIDE;
        let deepest = self.depth.len().min(DEPTH);
        let mut panels = Buffer::new(deepest * self.columns.next_multiple_of(COLUMNS));
        let mut packed = Buffer::new(if packs { deepest * self.rows } else { 0 });
        let mut start = self.depth.start;
        while start < self.depth.end {
            let depth = deepest.min(self.depth.end - start);
            for (i, first) in (0..self.columns).step_by(COLUMNS).enumerate() {
                let columns = COLUMNS.min(self.columns - first);
                let from = b.n_at(self.n, start, self.first + first);
                let to = &mut panels.as_mut_slice()[i * depth * COLUMNS..][..depth * COLUMNS];
                pack(
                    &b.numbers[from..],
                    [b.strides[1], b.strides[2]],
                    [depth, columns],
                    to,
                );
            }
            let from = a.n_at(self.n, 0, start);
            if packs {
                let (to, mut at) = (packed.as_mut_slice(), 0);
                for (row, height, _) in heights(self.rows, most) {
                    for k in 0..depth {
                        let column = from + row * strides[1] + k * strides[2];
                        for r in 0..height {
                            to[at + r] = a.numbers[column + r * strides[1]];
                        }
                        at += height;
                    }
                }
            }
            for (i, first) in (0..self.columns).step_by(COLUMNS).enumerate() {
                let columns = COLUMNS.min(self.columns - first);
                let vectors = columns.div_ceil(LANES);
                for (row, _, kind) in heights(self.rows, most) {
                    let (tiles, a) = if packs {
                        (
                            &kernels.packed_matmul_tiles,
                            packed.as_ptr().add(row * depth),
                        )
                    } else {
                        let from = from + row * a.strides[1];
                        (&kernels.matmul_tiles, a.numbers.as_ptr().add(from))
                    };
                    (tiles[vectors - 1][kind])(&MatmulTile {
                        a,
                        a_row: strides[1],
                        a_depth: strides[2],
                        panel: panels.as_ptr().add(i * depth * COLUMNS),
                        depth,
                        c: c.add(row * c_row + first),
                        c_row,
                        columns,
                        add: start > self.depth.start,
                    });
                }
            }
            start += depth;
        }
    }
}

/// Rows in tiles: first row, height, and which of the tiles it is: the most rows while they last, then four, then one.
fn heights(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let left = rows - row;
        let (height, kind) = match left {
            0 => return None,
            _ if left >= most => (most, 0),
            4.. => (4, 1),
            _ => (1, 2),
        };
        row += height;
        Some((row - height, height, kind))
    })
}

impl Matrix<'_> {
    fn n_at(&self, n: usize, row: usize, column: usize) -> usize {
        n * self.strides[0] + row * self.strides[1] + column * self.strides[2]
    }
}

/// Copies a block of `[depth, columns]` into a panel, zeros behind the last column.
fn pack(from: &[f32], [down, across]: [usize; 2], [depth, columns]: [usize; 2], to: &mut [f32]) {
    if across == 1 {
        for (k, to) in to.chunks_exact_mut(COLUMNS).enumerate().take(depth) {
            to[..columns].copy_from_slice(&from[k * down..][..columns]);
            to[columns..].fill(0.0);
        }
        return;
    }
    for (block, first) in (0..depth).step_by(LANES).enumerate() {
        let deep = LANES.min(depth - first);
        let to = &mut to[block * LANES * COLUMNS..][..deep * COLUMNS];
        if columns < COLUMNS {
            to.fill(0.0);
        }
        let (to, _) = to.as_chunks_mut::<COLUMNS>();
        for column in 0..columns {
            let from = &from[first * down + column * across..];
            match (from.first_chunk::<LANES>(), to.first_chunk_mut::<LANES>()) {
                (Some(from), Some(to)) if down == 1 => {
                    for k in 0..LANES {
                        to[k][column] = from[k];
                    }
                }
                _ => {
                    for (k, to) in to.iter_mut().enumerate().take(deep) {
                        to[column] = from[k * down];
                    }
                }
            }
        }
    }
}

/// A pointer for tasks that write apart.
struct Shared(*mut f32);

// SAFETY: each task writes its own places, as `multiply_with` says.
unsafe impl Sync for Shared {}

impl Shared {
    unsafe fn at(&self, offset: usize) -> *mut f32 {
        self.0.add(offset)
    }
}
