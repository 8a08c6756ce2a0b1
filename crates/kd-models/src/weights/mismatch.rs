use std::fmt;

use burn_store::{ApplyError, ApplyResult};

/// Every way in which a set of tensors does not fit a network.
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
}

/// A tensor of another shape than the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name.
    pub name: String,
    /// The network's shape, in Burn's layout.
    pub expected: Vec<usize>,
    /// The file's, in Burn's layout.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// `None` when everything fits.
    pub(super) fn of(result: ApplyResult) -> Option<Self> {
        let mut mismatch = Self {
            missing: result
                .missing
                .iter()
                .map(|(name, _)| in_file(name))
                .collect(),
            unexpected: result.unused.iter().map(|name| in_file(name)).collect(),
            ..Self::default()
        };
        for error in result.errors {
            match error {
                ApplyError::ShapeMismatch {
                    path,
                    expected,
                    found,
                } => mismatch.misshapen.push(Misshapen {
                    name: in_file(&path),
                    expected: expected.to_vec(),
                    found: found.to_vec(),
                }),
                other => mismatch.unreadable.push(other.to_string()),
            }
        }
        // A misshapen tensor was neither missing nor unexpected.
        let misshapen = |name: &String| mismatch.misshapen.iter().any(|m| m.name == *name);
        mismatch.missing.retain(|name| !misshapen(name));
        mismatch.unexpected.retain(|name| !misshapen(name));
        (mismatch != Self::default()).then_some(mismatch)
    }
}

/// The name that a tensor has in files, from the one it has in kd's networks.
pub(super) fn in_file(name: &str) -> String {
    name.replace(".gamma", ".weight").replace(".beta", ".bias")
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
        f.write_str(&lines.join("\n"))
    }
}
