//! Integer-exact movement of one image.

use crate::plan::Gather;

/// Moves the pixels of every channel.
///
/// In a plane without gaps between its rows a shift in x and y is one shift of the whole plane: a single copy. What it
/// carries over from one row into the next lies outside the window and is masked to zero. Rows of 32 pixels are so short
/// that a call for each row would cost more than the work. `mask` is scratch space.
pub(super) fn gather(
    step: &Gather,
    [_, h, w]: [usize; 3],
    input: &[u8],
    out: &mut [u8],
    mask: &mut Vec<u8>,
) {
    let window = step.window;
    if window.is_empty() {
        out.fill(0);
        return;
    }
    let (rows, columns) = (window.rows(), window.columns());
    // Mirrored rows are copied forwards, from the source of the window's last column, and turned round afterwards.
    let (start, leftmost) = if step.mirror {
        (w - columns.end, columns.end - 1)
    } else {
        (columns.start, columns.start)
    };
    let (source_x, source_y) = step.source(leftmost, rows.start);
    let length = (rows.len() - 1) * w + columns.len();
    let to = rows.start * w + start;
    let from = source_y * w + source_x;

    mask.clear();
    mask.resize(w, 0);
    mask[columns.clone()].fill(0xFF);

    for (input, out) in input.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w)) {
        out[..to].fill(0);
        out[to..to + length].copy_from_slice(&input[from..from + length]);
        out[to + length..].fill(0);
        let out = &mut out[rows.start * w..rows.end * w];
        if step.mirror {
            out.chunks_exact_mut(w).for_each(<[u8]>::reverse);
        }
        if columns.len() < w {
            for row in out.chunks_exact_mut(w) {
                for (pixel, mask) in row.iter_mut().zip(mask.iter()) {
                    *pixel &= mask;
                }
            }
        }
    }
}
