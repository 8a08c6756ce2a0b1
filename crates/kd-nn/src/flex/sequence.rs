//! What a sequence of layers is made of: groups of convolution, batch norm, addition and ReLU, each part optional.

use crate::kernels::geometry::Geometry;

/// Groups one after the other, as `T` holds tensors.
#[derive(Clone, Debug)]
pub(crate) struct Sequence<T> {
    pub(crate) input: T,
    /// At least one.
    pub(crate) groups: Vec<Group<T>>,
}

/// Convolution, batch norm, addition, ReLU, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    pub(crate) conv: Option<Conv<T>>,
    pub(crate) norm: Option<Norm<T>>,
    pub(crate) addend: Option<Addend<T>>,
    pub(crate) relu: bool,
    /// Of the output: `[batch, channels, height, width]`.
    pub(crate) shape: [usize; 4],
}

#[derive(Clone, Debug)]
pub(crate) struct Conv<T> {
    pub(crate) weight: T,
    pub(crate) bias: Option<T>,
    pub(crate) geometry: Geometry,
}

#[derive(Clone, Debug)]
pub(crate) struct Norm<T> {
    pub(crate) gamma: T,
    pub(crate) beta: T,
    pub(crate) epsilon: f64,
    /// Mean and variance to use instead of the batch's own.
    pub(crate) fixed: Option<[T; 2]>,
}

#[derive(Clone, Debug)]
pub(crate) enum Addend<T> {
    Tensor(T),
    /// What the group of this index was given: a shortcut.
    Shortcut(usize),
    /// What a group makes of that.
    Projection(usize, Box<Group<T>>),
}

impl<T> Sequence<T> {
    pub(super) fn map<U>(self, f: &mut impl FnMut(T) -> U) -> Sequence<U> {
        Sequence {
            input: f(self.input),
            groups: self.groups.into_iter().map(|group| group.map(f)).collect(),
        }
    }

    /// The tensors that may have a gradient, in the order of [`Gradients`](super::backward::Gradients).
    pub(super) fn parameters(&self) -> Vec<&T> {
        let mut all = vec![&self.input];
        for group in &self.groups {
            group.parameters(&mut all);
        }
        all
    }

    /// Every tensor.
    pub(super) fn tensors(&self) -> Vec<&T> {
        let mut all = self.parameters();
        for group in self.groups.iter().flat_map(Group::with_projection) {
            all.extend(
                group
                    .norm
                    .iter()
                    .flat_map(|norm| norm.fixed.iter().flatten()),
            );
        }
        all
    }
}

impl<T> Group<T> {
    fn map<U>(self, f: &mut impl FnMut(T) -> U) -> Group<U> {
        Group {
            conv: self.conv.map(|conv| Conv {
                weight: f(conv.weight),
                bias: conv.bias.map(&mut *f),
                geometry: conv.geometry,
            }),
            norm: self.norm.map(|norm| Norm {
                gamma: f(norm.gamma),
                beta: f(norm.beta),
                epsilon: norm.epsilon,
                fixed: norm.fixed.map(|fixed| fixed.map(&mut *f)),
            }),
            addend: self.addend.map(|addend| match addend {
                Addend::Tensor(tensor) => Addend::Tensor(f(tensor)),
                Addend::Shortcut(from) => Addend::Shortcut(from),
                Addend::Projection(from, group) => Addend::Projection(from, Box::new(group.map(f))),
            }),
            relu: self.relu,
            shape: self.shape,
        }
    }

    /// Weight, bias, gamma, beta, then what is added.
    fn parameters<'a>(&'a self, all: &mut Vec<&'a T>) {
        if let Some(conv) = &self.conv {
            all.push(&conv.weight);
            all.extend(&conv.bias);
        }
        if let Some(norm) = &self.norm {
            all.extend([&norm.gamma, &norm.beta]);
        }
        match &self.addend {
            Some(Addend::Tensor(tensor)) => all.push(tensor),
            Some(Addend::Projection(_, group)) => group.parameters(all),
            Some(Addend::Shortcut(_)) | None => {}
        }
    }

    /// The group, and that which projects its shortcut.
    pub(crate) fn with_projection(&self) -> impl Iterator<Item = &Self> {
        let projection = match &self.addend {
            Some(Addend::Projection(_, group)) => Some(&**group),
            _ => None,
        };
        std::iter::once(self).chain(projection)
    }

    /// The index of the group whose input is its shortcut.
    pub(super) fn shortcut(&self) -> Option<usize> {
        match self.addend {
            Some(Addend::Shortcut(from) | Addend::Projection(from, _)) => Some(from),
            _ => None,
        }
    }
}

/// Cuts a long sequence where no shortcut passes, into pieces of at most `most` parameters, their inputs among them. `None` if a
/// single branch has more.
pub(super) fn pieces<T>(groups: Vec<Group<T>>, most: usize) -> Option<Vec<Vec<Group<T>>>> {
    let counts: Vec<usize> = groups
        .iter()
        .map(|group| {
            let mut all = Vec::new();
            group.parameters(&mut all);
            all.len()
        })
        .collect();
    // For each group, whether nothing behind its beginning refers to what lies before it.
    let mut cuts = vec![true; groups.len()];
    for (index, from) in groups
        .iter()
        .enumerate()
        .filter_map(|(i, g)| Some((i, g.shortcut()?)))
    {
        cuts[from + 1..=index].fill(false);
    }
    let mut pieces: Vec<Vec<Group<T>>> = Vec::new();
    let mut begins = vec![0];
    let mut last_cut = 0;
    let mut count = 1;
    for index in 0..groups.len() {
        if cuts[index] {
            last_cut = index;
        }
        count += counts[index];
        if count > most {
            let begin = begins[begins.len() - 1];
            if last_cut == begin {
                return None;
            }
            begins.push(last_cut);
            count = 1 + counts[last_cut..=index].iter().sum::<usize>();
        }
    }
    begins.push(groups.len());
    let mut groups = groups.into_iter();
    for ends in begins.windows(2) {
        let piece = groups.by_ref().take(ends[1] - ends[0]);
        pieces.push(piece.map(|group| group.moved(ends[0])).collect());
    }
    Some(pieces)
}

impl<T> Group<T> {
    /// The group in a piece that begins with group `begin`.
    fn moved(mut self, begin: usize) -> Self {
        if let Some(Addend::Shortcut(from) | Addend::Projection(from, _)) = &mut self.addend {
            *from -= begin;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(parameters: bool, shortcut: Option<usize>) -> Group<()> {
        Group {
            conv: None,
            norm: parameters.then_some(Norm {
                gamma: (),
                beta: (),
                epsilon: 0.0,
                fixed: None,
            }),
            addend: shortcut.map(Addend::Shortcut),
            relu: false,
            shape: [1; 4],
        }
    }

    #[test]
    fn pieces_are_cut_where_no_shortcut_passes() {
        // Three blocks of two groups of two parameters, each with the block's input as its shortcut.
        let blocks = || {
            (0..6)
                .map(|i| group(true, (i % 2 == 1).then(|| i - 1)))
                .collect()
        };
        let lengths =
            |most| pieces(blocks(), most).map(|p| p.iter().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(lengths(13), Some(vec![6]));
        assert_eq!(lengths(12), Some(vec![4, 2]));
        assert_eq!(lengths(8), Some(vec![2, 2, 2]));
        assert_eq!(lengths(5), Some(vec![2, 2, 2]));
        assert_eq!(lengths(4), None);
        for piece in pieces(blocks(), 5).into_iter().flatten() {
            assert_eq!(piece[1].shortcut(), Some(0));
        }
    }
}
