//! Folders in the layouts of CIFAR-10 and CIFAR-100: what is read, and what is refused with which words.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{CIFAR10_FILE, FOLDER, write};
use kd_data::{Cifar100Labels, DataError, Split, cifar10, cifar100};
use tempfile::{TempDir, tempdir};

/// A folder with a test file of zeros, but for some bytes.
fn test_folder(size: u64, bytes: &[(u64, u8)]) -> TempDir {
    let folder = tempdir().unwrap();
    write(folder.path(), "test_batch.bin", size, bytes);
    folder
}

fn refusal(folder: &Path, split: Split) -> String {
    let message = cifar10::load(folder, split).unwrap_err().to_string();
    let prefix = format!("{}/", folder.display());
    message
        .strip_prefix(&prefix)
        .map_or(message.clone(), String::from)
}

#[test]
fn records_are_label_then_planes() {
    let second = 3073;
    let bytes = [
        (0, 3),
        (1, 10),
        (1024, 11),
        (1025, 12),
        (3072, 13),
        (second, 9),
        (second + 1, 14),
    ];
    let folder = test_folder(CIFAR10_FILE, &bytes);
    let set = cifar10::load(folder.path(), Split::Test).unwrap();
    assert_eq!(
        (set.len(), set.shape(), set.classes()),
        (10_000, [3, 32, 32], 10)
    );
    assert_eq!(set.labels()[..3], [3, 9, 0]);
    let first = set.image(0);
    assert_eq!(
        [first[0], first[1023], first[1024], first[3071]],
        [10, 11, 12, 13]
    );
    assert_eq!(first.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 46);
    assert_eq!(set.image(1)[0], 14);
    assert_eq!(set.class_names()[9], "truck");
}

#[test]
fn train_is_five_files_in_order() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join(FOLDER);
    fs::create_dir(&folder).unwrap();
    for batch in 1..=5_u8 {
        write(
            &folder,
            &format!("data_batch_{batch}.bin"),
            CIFAR10_FILE,
            &[(0, batch)],
        );
    }
    fs::write(
        folder.join("batches.meta.txt"),
        "a\nb\r\nc\nd\ne\nf\ng\nh\ni\nj\n\n\n",
    )
    .unwrap();
    let set = cifar10::load(parent.path(), Split::Train).unwrap();
    assert_eq!(set.len(), 50_000);
    for batch in 0..5 {
        assert_eq!(usize::from(set.labels()[batch * 10_000]), batch + 1);
    }
    assert_eq!(set.class_names().concat(), "abcdefghij");

    write(&folder, "data_batch_4.bin", 12_345, &[]);
    assert_eq!(
        refusal(&folder, Split::Train),
        "data_batch_4.bin: truncated: expected 30730000 bytes, found the end at byte 12345"
    );
    fs::remove_file(folder.join("data_batch_2.bin")).unwrap();
    assert_eq!(refusal(&folder, Split::Train), "data_batch_2.bin: missing");
    assert_eq!(refusal(&folder, Split::Test), "test_batch.bin: missing");
}

#[test]
fn sizes_are_exact() {
    let refused = |size| refusal(test_folder(size, &[]).path(), Split::Test);
    assert_eq!(
        refused(CIFAR10_FILE - 1),
        "test_batch.bin: truncated: expected 30730000 bytes, found the end at byte 30729999"
    );
    assert_eq!(
        refused(CIFAR10_FILE + 1),
        "test_batch.bin: oversized: expected the end at byte 30730000, found 30730001 bytes"
    );
    assert!(refused(0).contains("found the end at byte 0"));
    // Sparse: were it read before it is measured, this would take 100 GB.
    assert!(refused(100_000_000_000).contains("found 100000000000 bytes"));
}

#[test]
fn labels_name_a_class() {
    let folder = test_folder(CIFAR10_FILE, &[(5 * 3073, 200)]);
    assert_eq!(
        refusal(folder.path(), Split::Test),
        "test_batch.bin: byte 15365: expected a label below 10, found 200"
    );
    let folder = test_folder(CIFAR10_FILE, &[(9_999 * 3073, 10)]);
    assert!(
        refusal(folder.path(), Split::Test)
            .contains("byte 30726927: expected a label below 10, found 10")
    );
}

#[test]
fn class_names_are_ten() {
    let folder = test_folder(CIFAR10_FILE, &[]);
    let names = folder.path().join("batches.meta.txt");
    fs::write(&names, "cat\ndog\n").unwrap();
    assert_eq!(
        refusal(folder.path(), Split::Test),
        "batches.meta.txt: expected 10 class names in UTF-8, one a line, found 2"
    );
    fs::write(&names, b"cat\n\xff\n").unwrap();
    assert!(refusal(folder.path(), Split::Test).ends_with("found another encoding at byte 4"));
    fs::write(&names, "x\n".repeat(5000)).unwrap();
    assert!(
        refusal(folder.path(), Split::Test).contains("oversized: expected the end at byte 4096")
    );
}

#[test]
fn no_set_at_all() {
    let folder = tempdir().unwrap();
    let error = cifar10::load(folder.path(), Split::Test).unwrap_err();
    assert!(matches!(error, DataError::NotFound { .. }));
    assert!(error.to_string().contains("`cifar-10-batches-bin`"));
    let nowhere = folder.path().join("nowhere");
    assert!(matches!(
        cifar100::load(&nowhere, Split::Test, Cifar100Labels::Fine),
        Err(DataError::NotFound { .. })
    ));
}

#[test]
fn cifar100_has_two_labels() {
    let folder = tempdir().unwrap();
    let size = 10_000 * 3074;
    let load = |kind| cifar100::load(folder.path(), Split::Test, kind);
    write(
        folder.path(),
        "test.bin",
        size,
        &[(0, 19), (1, 99), (2, 7), (3074, 4), (3075, 0)],
    );
    let fine = load(Cifar100Labels::Fine).unwrap();
    assert_eq!((fine.len(), fine.classes()), (10_000, 100));
    assert_eq!(
        (fine.labels()[..2].to_vec(), fine.image(0)[0]),
        (vec![99, 0], 7)
    );
    assert_eq!(fine.class_names()[99], "worm");
    let coarse = load(Cifar100Labels::Coarse).unwrap();
    assert_eq!(
        (coarse.labels()[..2].to_vec(), coarse.classes()),
        (vec![19, 4], 20)
    );
    assert_eq!(coarse.class_names()[19], "vehicles_2");
    assert_eq!(coarse.pixels(), fine.pixels());

    // Both labels are checked whichever is kept.
    for kind in [Cifar100Labels::Fine, Cifar100Labels::Coarse] {
        write(folder.path(), "test.bin", size, &[(3074, 20)]);
        let message = load(kind).unwrap_err().to_string();
        assert!(
            message.ends_with("byte 3074: expected a label below 20, found 20"),
            "{message}"
        );
        write(folder.path(), "test.bin", size, &[(3075, 100)]);
        let message = load(kind).unwrap_err().to_string();
        assert!(
            message.ends_with("byte 3075: expected a label below 100, found 100"),
            "{message}"
        );
    }
    write(folder.path(), "test.bin", CIFAR10_FILE, &[]);
    assert!(
        load(Cifar100Labels::Fine)
            .unwrap_err()
            .to_string()
            .contains("expected 30740000 bytes")
    );
}
