//! Archives in memory: what is read, and what is refused with which words.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{CIFAR10_FILE, Entry, archive};
use kd_data::{DataError, ImageSet, Split, cifar10};
use tar::EntryType;
use tempfile::tempdir;

const TEST: &str = "cifar-10-batches-bin/test_batch.bin";

/// What reading an archive of these bytes gives, and that nothing has been written beside it.
fn load(bytes: &[u8]) -> Result<ImageSet, DataError> {
    let outer = tempdir().unwrap();
    let folder = outer.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("cifar-10-binary.tar.gz");
    fs::write(&path, bytes).unwrap();
    let result = cifar10::load(&path, Split::Test);
    for (place, count) in [(outer.path(), 1), (&folder, 1)] {
        assert_eq!(
            fs::read_dir(place).unwrap().count(),
            count,
            "something was written"
        );
    }
    if let Err(error) = &result {
        let message = error.to_string();
        assert!(
            message.starts_with(path.to_str().unwrap()),
            "names no file: {message}"
        );
    }
    result
}

/// The message behind the archive's name.
fn refusal(bytes: &[u8]) -> String {
    let message = load(bytes).unwrap_err().to_string();
    message.split_once("tar.gz").unwrap().1.to_string()
}

/// Labels and images of zeros, but for a label, a pixel, and some 200 KB that do not compress.
fn test_file() -> Vec<u8> {
    let mut bytes = vec![0; CIFAR10_FILE as usize];
    bytes[0] = 6;
    bytes[3072] = 77;
    let mut state = 1_u32;
    for place in (3_073_000..3_280_000).filter(|place| place % 3073 != 0) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[place] = (state >> 24) as u8;
    }
    bytes
}

fn with_test_file(others: Vec<Entry<'_>>) -> Vec<u8> {
    let content = test_file();
    let mut entries = others;
    entries.push(Entry::file(TEST, &content));
    archive(&entries)
}

#[test]
fn a_good_archive_is_read() {
    let folder = Entry {
        name: "cifar-10-batches-bin/",
        kind: EntryType::Directory,
        size: 0,
        content: &[],
    };
    let names = Entry::file(
        "./cifar-10-batches-bin/batches.meta.txt",
        b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n\n",
    );
    let page = Entry::file("cifar-10-batches-bin/readme.html", b"<html>");
    // The right name in the wrong folder is another file.
    let other = Entry::file("elsewhere/test_batch.bin", b"short");
    let deeper = Entry::file("a/cifar-10-batches-bin/test_batch.bin", b"short");
    let bytes = with_test_file(vec![folder, names, page, other, deeper]);
    let set = load(&bytes).unwrap();
    assert_eq!(
        (set.len(), set.labels()[0], set.image(0)[3071]),
        (10_000, 6, 77)
    );
    assert_eq!(set.class_names().concat(), "0123456789");

    // Also found by the folder that it lies in.
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("cifar-10-binary.tar.gz"), bytes).unwrap();
    let again = cifar10::load(folder.path(), Split::Test).unwrap();
    assert_eq!(again.fingerprint(), set.fingerprint());
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../x", "/etc/x", "cifar-10-batches-bin/../../x"] {
        let bytes = with_test_file(vec![Entry::file(name, b"x")]);
        assert_eq!(
            refusal(&bytes),
            format!(": entry {name:?} has a name that leads out of the archive")
        );
    }
}

#[test]
fn links_and_devices_are_refused() {
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNUSparse,
    ];
    for kind in kinds {
        let entry = Entry {
            name: TEST,
            kind,
            size: 0,
            content: &[],
        };
        let message = refusal(&archive(&[entry]));
        if kind != EntryType::GNUSparse {
            assert_eq!(
                message,
                format!(": entry {TEST:?} is neither a plain file nor a folder")
            );
        }
    }
}

#[test]
fn a_file_twice_is_refused() {
    let content = test_file();
    let bytes = with_test_file(vec![Entry::file(TEST, &content)]);
    assert_eq!(refusal(&bytes), format!(": entry {TEST:?} is there twice"));
}

#[test]
fn a_missing_file_is_named() {
    let bytes = archive(&[Entry::file("cifar-10-batches-bin/readme.html", b"<html>")]);
    assert_eq!(refusal(&bytes), format!("/{TEST}: missing"));
    assert_eq!(refusal(&archive(&[])), format!("/{TEST}: missing"));
}

#[test]
fn sizes_and_labels_are_checked() {
    let mut content = test_file();
    content[3073] = 200;
    assert_eq!(
        refusal(&archive(&[Entry::file(TEST, &content)])),
        format!("/{TEST}: byte 3073: expected a label below 10, found 200")
    );
    content.push(0);
    assert_eq!(
        refusal(&archive(&[Entry::file(TEST, &content)])),
        format!("/{TEST}: oversized: expected the end at byte 30730000, found 30730001 bytes")
    );
    assert!(
        refusal(&archive(&[Entry::file(TEST, &content[..99])]))
            .contains("found the end at byte 99")
    );
    // A header that promises 8 GB is refused by its word.
    let boast = Entry {
        size: 8 << 30,
        ..Entry::file(TEST, b"")
    };
    assert!(refusal(&archive(&[boast])).contains("found 8589934592 bytes"));
}

#[test]
fn a_bomb_is_stopped() {
    // 256 MiB of zeros in a megabyte, under a name that nobody asks for; the whole set is 184 MB.
    let zeros = vec![0; 1 << 28];
    for kind in [EntryType::Regular, EntryType::GNULongName] {
        let bomb = Entry {
            kind,
            ..Entry::file("cifar-10-batches-bin/zeros", &zeros)
        };
        let bytes = archive(&[bomb]);
        assert!(bytes.len() < 3 << 20, "{}", bytes.len());
        let message = refusal(&bytes);
        assert!(
            message.starts_with(": unpacks to more than 188"),
            "{message}"
        );
    }
}

#[test]
fn damage_is_noticed() {
    let bytes = with_test_file(vec![]);
    load(&bytes).unwrap();
    let damaged = |bytes: &[u8], what: &str| match load(bytes) {
        Err(DataError::Archive { .. }) => {}
        other => panic!("{what}: {:?}", other.map(|set| set.len())),
    };
    for part in 0..8 {
        let end = bytes.len() * part / 8;
        damaged(&bytes[..end], &format!("cut at {end}"));
    }
    for cut in [1, 4, 8, 9] {
        damaged(
            &bytes[..bytes.len() - cut],
            &format!("without the last {cut}"),
        );
    }
    damaged(&[&bytes[..], b"more"].concat(), "with something behind");
    damaged(&[&bytes[..], &bytes[..]].concat(), "twice");
    damaged(b"not an archive at all", "text");
    // The checksum and the length of the unpacked data stand in the last eight bytes.
    for place in [1, 8] {
        let mut changed = bytes.clone();
        changed[bytes.len() - place] ^= 1;
        damaged(&changed, &format!("byte {place} from the end"));
    }
    // One changed bit anywhere is refused, or it is one that means nothing (the zeros compress to some such bits).
    let fingerprint = load(&bytes).unwrap().fingerprint();
    let mut refused = 0;
    for part in 0..16 {
        let mut changed = bytes.clone();
        changed[bytes.len() * part / 16] ^= 0x10;
        match load(&changed) {
            Ok(set) => assert_eq!(set.fingerprint(), fingerprint),
            Err(_) => refused += 1,
        }
    }
    assert!(refused >= 8, "{refused}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read() {
    let error = cifar10::load(Path::new("/proc/self/mem"), Split::Test).unwrap_err();
    assert!(error.to_string().starts_with("/proc/self/mem"), "{error}");
}
