//! `zoo` with sizes that nobody has.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

#[test]
fn sizes_that_nobody_has_are_refused() {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let name = format!("zoo{}", std::env::consts::EXE_SUFFIX);
    let zoo = path.join("examples").join(name);
    for (arguments, expected) in [
        (["--image", "3x4294967296x4294967296"], "65536"),
        (["--image", "3x99999999999x1"], "65536"),
        (["--image", "999999999999x1x1"], "65536"),
        (["--image", "18446744073709551615x3x3"], "65536"),
        (["--image", "0x1x18446744073709551615"], "at least 1"),
        (["--classes", "18446744073709551615"], "1000000"),
        (["--classes", "99999999999"], "1000000"),
        (["--classes", "0"], "at least 1"),
    ] {
        let output = Command::new(&zoo)
            .args(arguments)
            .args(["--arch", "resnet20"])
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        // No signal and no panic.
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{arguments:?}: {message}"
        );
        assert!(!message.contains("panicked"), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    for arguments in [["--image", "3x65536x65536"], ["--classes", "1000000"]] {
        let output = Command::new(&zoo)
            .args(arguments)
            .args(["--arch", "resnet20"])
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {message}");
    }
}
