//! Which instructions a kernel is compiled for, chosen at run time.
//!
//! Kernels are plain Rust that the compiler vectorises. [`vectorized!`] compiles each of them three times, for AVX-512, for AVX2
//! and for the target's baseline, and calls the best that the machine has. Results are the same bits: only the width of the
//! vectors differs, and nothing is fused. `KD_AUGMENT_ISA` = `avx512`, `avx2` or `portable` forbids what is above it, for tests.

use std::sync::OnceLock;

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Isa {
    Portable,
    Avx2,
    Avx512,
}

/// The best set that this machine has and that is not forbidden.
#[inline]
pub(super) fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| best().min(allowed()))
}

fn allowed() -> Isa {
    match std::env::var("KD_AUGMENT_ISA").as_deref() {
        Ok("portable") => Isa::Portable,
        Ok("avx2") => Isa::Avx2,
        _ => Isa::Avx512,
    }
}

#[cfg(target_arch = "x86_64")]
fn best() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Isa {
    Isa::Portable
}

/// Compiles a function for every set of instructions.
macro_rules! vectorized {
    ($(#[$attribute:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$attribute])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn portable($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,bmi2")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    portable($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    portable($($arg),*)
                }
                // SAFETY: `isa` names only what this machine was seen to have; the functions have no other condition.
                #[allow(unsafe_code)]
                match $crate::cpu::isa::isa() {
                    $crate::cpu::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    $crate::cpu::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::isa::Isa::Portable => {}
                }
            }
            portable($($arg),*)
        }
    };
}
pub(super) use vectorized;
