//! The names of tensors, without what training scripts put around them.

use std::collections::HashMap;

use burn_store::burn_pack::Tensor as PackTensor;

/// Parts of names that wrappers put in, wherever they wrap: `DataParallel`, `torch.compile`, FSDP
/// and its checkpoints.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// Attributes under which training modules keep the network. In what distils, the student is it.
const HOLDERS: [&str; 4] = ["student", "model", "net", "network"];

/// Counters beside the weights, which no forward pass reads: of batch norms, of averaged models, of
/// the profiler `thop`.
const COUNTERS: [&str; 4] = [
    "num_batches_tracked",
    "n_averaged",
    "total_ops",
    "total_params",
];

/// A name without wrappers and holders, and how surely it is the network's: 2 with `student`, 1
/// with another holder, else 0.
fn plain(name: &str) -> (String, u8) {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    let parts: Vec<_> = parts.collect();
    let held = parts.iter().take_while(|part| HOLDERS.contains(part));
    // The last part is the tensor itself.
    let held = held.count().min(parts.len().saturating_sub(1));
    let rank = match &parts[..held] {
        [] => 0,
        holders if holders.contains(&HOLDERS[0]) => 2,
        _ => 1,
    };
    (parts[held..].join("."), rank)
}

/// Gives every tensor its plain name. Where some stand in a holder, the others are not the
/// network's and are left out.
pub(super) fn settle(mut tensors: Vec<PackTensor>) -> Result<Vec<PackTensor>, String> {
    let last = |name: &str| name.rsplit('.').next().map(str::to_string);
    tensors.retain(|tensor| last(&tensor.name).is_none_or(|l| !COUNTERS.contains(&l.as_str())));
    let mut seen = HashMap::new();
    let mut ranked = Vec::new();
    for mut tensor in tensors {
        let (name, rank) = plain(&tensor.name);
        let given = std::mem::replace(&mut tensor.name, name.clone());
        if let Some(other) = seen.insert(name.clone(), given.clone()) {
            return Err(format!("`{other}` and `{given}` are both `{name}`"));
        }
        ranked.push((rank, tensor));
    }
    let best = ranked.iter().map(|(rank, _)| *rank).max();
    ranked.retain(|(rank, _)| Some(*rank) == best);
    Ok(ranked.into_iter().map(|(_, tensor)| tensor).collect())
}

#[cfg(test)]
mod tests {
    use super::plain;
    use crate::{Architecture, InputSpec, ModelConfig, Statistics};

    #[test]
    fn wrappers_go_in_any_order() {
        for name in [
            "fc.weight",
            "module.fc.weight",
            "_orig_mod.fc.weight",
            "module._orig_mod.fc.weight",
            "_orig_mod.module.fc.weight",
            "module.module.fc.weight",
            "model.fc.weight",
            "model._orig_mod.net.module.fc.weight",
            "_fsdp_wrapped_module.fc._fsdp_wrapped_module.weight",
            "student.network.fc.weight",
        ] {
            assert_eq!(plain(name).0, "fc.weight", "{name}");
        }
        assert_eq!(plain("features.module.0.weight").0, "features.0.weight");
        assert_eq!(plain("backbone.fc.weight").0, "backbone.fc.weight");
        assert_eq!(plain("model").0, "model");
        assert_eq!(plain("module").0, "");
    }

    /// Else a network of kd's own could not be read back.
    #[test]
    #[allow(clippy::unwrap_used)]
    fn no_network_has_a_wrapper_s_name() {
        let spec = InputSpec::cifar(10, Statistics::CIFAR10).unwrap();
        let config = ModelConfig::new(spec).with_hidden(16);
        for architecture in Architecture::ALL {
            for layer in architecture.summary(&config).unwrap().layers {
                assert_eq!(
                    plain(&layer.name),
                    (layer.name.clone(), 0),
                    "{architecture}"
                );
            }
        }
    }
}
