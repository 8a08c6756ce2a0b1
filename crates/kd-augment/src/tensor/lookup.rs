//! Maps of levels.

use burn::tensor::Tensor;

use super::host;
use crate::cpu;
use crate::error::AugmentError;
use crate::plan::{Adaptive, Segment};

/// Maps the levels of the images whose lists begin so: at most one map that depends on the image, then fixed ones, in one
/// look-up. Images that wait are looked up in a map that changes nothing.
///
/// What depends on an image is computed from its levels on the host: this waits for the device.
pub(super) fn mapped(
    lists: &mut [&[Segment]],
    images: Tensor<4>,
) -> Result<Tensor<4>, AugmentError> {
    let [n, c, h, w] = images.dims();
    let size = c * h * w;
    let steps: Vec<(Option<Adaptive>, &[Segment])> = lists.iter_mut().map(take).collect();
    let asked: Vec<i32> = (0..n as i32)
        .filter(|i| steps[*i as usize].0.is_some())
        .collect();
    let levels = match asked.len() {
        0 => Vec::new(),
        all if all == n => host::levels(images.clone())?,
        some => {
            let asked = host::indices(asked, [some], &images);
            host::levels(images.clone().select(0, asked))?
        }
    };
    // One map for all channels of an image, unless one of the batch has one for each.
    let differ =
        |adaptive: &Option<Adaptive>| !matches!(adaptive, None | Some(Adaptive::Contrast(_)));
    let planes = match steps.iter().any(|(adaptive, _)| differ(adaptive)) {
        true => c,
        false => 1,
    };
    let mut values = Vec::with_capacity(n * planes * 256);
    let mut tables = Vec::new();
    let mut levels = levels.chunks_exact(size);
    for (adaptive, points) in steps {
        let image = adaptive.and_then(|_| levels.next()).unwrap_or_default();
        cpu::tables(adaptive, points, c, h * w, image, &mut tables);
        for table in tables.iter().cycle().take(planes) {
            values.extend(table.iter().map(|level| f32::from(*level)));
        }
    }
    let tables = host::floats(values, [n, planes, 256], &images);
    let indices = images.reshape([n, planes, size / planes]).int();
    Ok(tables.gather(2, indices).reshape([n, c, h, w]))
}

/// The maps that the list begins with.
fn take<'a>(list: &mut &'a [Segment]) -> (Option<Adaptive>, &'a [Segment]) {
    let mut adaptive = None;
    if let Some((Segment::Adapt(first), rest)) = list.split_first() {
        adaptive = Some(*first);
        *list = rest;
    }
    let fixed = |segment: &Segment| matches!(segment, Segment::Point(_));
    let end = list.iter().position(|segment| !fixed(segment));
    let (points, rest) = list.split_at(end.unwrap_or(list.len()));
    *list = rest;
    (adaptive, points)
}
