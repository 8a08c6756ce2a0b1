use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::tensor::DType;
use burn_store::burn_pack::Tensor as PackTensor;

/// Every way in which a set of tensors does not fit a network. Names and shapes are those of the
/// file's format: PyTorch's for PyTorch checkpoints and safetensors, Burn's for burnpacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors of the network that the file lacks.
    pub missing: Vec<String>,
    /// Tensors of the file that the network lacks.
    pub unexpected: Vec<String>,
    /// Tensors that both have, in other shapes.
    pub misshapen: Vec<Misshapen>,
    /// Tensors whose data could not be read, with the reason.
    pub unreadable: Vec<String>,
    /// What all names in the file begin with, where no tensor of the network was found: `backbone.`
    pub prefix: Option<String>,
}

/// A tensor of another shape than the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name.
    pub name: String,
    /// The network's shape.
    pub expected: Vec<usize>,
    /// The file's.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// Compares a file's tensors with those of a network, as the file's format has them. `None` if
    /// everything fits.
    pub(super) fn between(network: &[PackTensor], file: &[PackTensor]) -> Option<Self> {
        let by_name = |tensors: &[PackTensor]| -> BTreeMap<String, (Vec<usize>, DType)> {
            let named = tensors.iter().map(|tensor| {
                let described = (tensor.shape.to_vec(), tensor.dtype);
                (tensor.name.clone(), described)
            });
            named.collect()
        };
        let (network, file) = (by_name(network), by_name(file));
        let without = |a: &BTreeMap<String, _>, b: &BTreeMap<String, _>| -> Vec<String> {
            let names = a.keys().filter(|name| !b.contains_key(*name));
            names.cloned().collect()
        };
        let mut mismatch = Self {
            missing: without(&network, &file),
            unexpected: without(&file, &network),
            ..Self::default()
        };
        for (name, (expected, _)) in network.iter() {
            match file.get(name) {
                Some((found, _)) if found != expected => mismatch.misshapen.push(Misshapen {
                    name: name.clone(),
                    expected: expected.clone(),
                    found: found.clone(),
                }),
                Some((_, dtype)) if !dtype.is_float() => mismatch.unreadable.push(format!(
                    "{name}: its numbers are {dtype:?}, expected floating-point ones"
                )),
                _ => {}
            }
        }
        if mismatch.missing.len() == network.len() {
            mismatch.prefix = shared_prefix(file.keys());
        }
        (mismatch != Self::default()).then_some(mismatch)
    }
}

/// The first part of all names, with its point, if it is the same.
fn shared_prefix<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    let first = |name: &'a String| name.split_once('.').map(|(first, _)| first);
    let parts: BTreeSet<_> = names.map(first).collect();
    match parts.into_iter().collect::<Vec<_>>()[..] {
        [Some(part)] => Some(format!("{part}.")),
        _ => None,
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A long list says nothing that its beginning does not.
        const SHOWN: usize = 8;
        let mut lines = Vec::new();
        let mut group = |title: &str, items: Vec<String>| {
            if items.is_empty() {
                return;
            }
            lines.push(format!("  {} {title}:", items.len()));
            lines.extend(items.iter().take(SHOWN).map(|item| format!("    {item}")));
            if items.len() > SHOWN {
                lines.push(format!("    and {} more", items.len() - SHOWN));
            }
        };
        group("missing in the file", self.missing.clone());
        group(
            "in the file that the network lacks",
            self.unexpected.clone(),
        );
        group(
            "of another shape",
            self.misshapen
                .iter()
                .map(|m| format!("{}: expected {:?}, found {:?}", m.name, m.expected, m.found))
                .collect(),
        );
        group("unreadable", self.unreadable.clone());
        if let Some(prefix) = &self.prefix {
            lines.push(format!("  all names in the file begin with `{prefix}`"));
        }
        f.write_str(&lines.join("\n"))
    }
}
