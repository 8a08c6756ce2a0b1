//! The device that a program runs on, chosen when it starts.

use burn::tensor::Device;

/// `BURN_DEVICE` asks for what this program cannot give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The backend was not compiled in.
    #[error(
        "BURN_DEVICE={name}: this program was built without it; enable the feature `{name}` (cargo … --features {name}). \
         Built with: {compiled}"
    )]
    NotCompiled {
        /// The backend, which is also the name of the feature.
        name: String,
        /// What there is.
        compiled: String,
    },
    /// There is no backend of that name.
    #[error("BURN_DEVICE={name}: no such device; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that have a meaning.
        known: String,
    },
    /// The program was built without any backend.
    #[error("this program was built without a device; enable one of the features {known}")]
    None {
        /// The features.
        known: String,
    },
}

/// The backends, by feature, and whether each was compiled in.
const BACKENDS: [(&str, bool); 7] = [
    ("flex", cfg!(feature = "flex")),
    ("vulkan", cfg!(feature = "vulkan-plain")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("webgpu", cfg!(feature = "webgpu")),
    ("metal", cfg!(feature = "metal")),
    ("rocm", cfg!(feature = "rocm")),
    ("cuda", cfg!(feature = "cuda")),
];

/// The device that the environment variable `BURN_DEVICE` names, else the fastest kind that was compiled in.
///
/// Burn's own default panics where this returns an error.
///
/// # Errors
///
/// [`DeviceError`] naming the feature to enable.
pub fn default_device() -> Result<Device, DeviceError> {
    check(std::env::var("BURN_DEVICE").ok().as_deref())?;
    Ok(Device::default())
}

fn check(name: Option<&str>) -> Result<(), DeviceError> {
    let names = |all: bool| -> String {
        let listed = BACKENDS.iter().filter(|(_, compiled)| all || *compiled);
        listed.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let Some(name) = name else {
        return match BACKENDS.iter().any(|(_, compiled)| *compiled) {
            true => Ok(()),
            false => Err(DeviceError::None { known: names(true) }),
        };
    };
    let name = name.to_lowercase();
    match BACKENDS.iter().find(|(known, _)| *known == name) {
        Some((_, true)) => Ok(()),
        Some((_, false)) => Err(DeviceError::NotCompiled {
            name,
            compiled: names(false),
        }),
        None => Err(DeviceError::Unknown {
            name,
            known: names(true),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_was_not_compiled_in_names_its_feature() {
        for (name, compiled) in BACKENDS {
            match (compiled, check(Some(name))) {
                (true, result) => assert_eq!(result, Ok(())),
                (false, Err(error)) => {
                    assert!(error.to_string().contains(&format!("feature `{name}`")));
                }
                (false, Ok(())) => panic!("{name} was not compiled in"),
            }
        }
        let error = check(Some("gpu")).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.contains("known: flex, vulkan")));
    }
}
