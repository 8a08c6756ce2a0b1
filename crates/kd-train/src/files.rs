//! Files that are whole or not there.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::TrainError;

/// Replaces a file, so that `path` holds the old content or the new, never a part of it.
///
/// The content is first written to a new file with a name of its own in the same folder, so no
/// other file is touched, and several processes may write the same file.
///
/// # Errors
///
/// [`TrainError::Io`] naming `path`; the file is then as it was.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let write = || {
        let persisted = written_beside(path, content)?.persist(path);
        persisted.map_err(|e| e.error)?;
        sync_folder(folder_of(path))
    };
    write().map_err(|e| TrainError::io(path, e))
}

/// Writes a file that must not exist yet, whole or not at all. Returns whether it was written:
/// false if there is a file of that name.
pub(crate) fn create_atomically(path: &Path, content: &[u8]) -> Result<bool, TrainError> {
    let write = || match written_beside(path, content)?.persist_noclobber(path) {
        Ok(_) => sync_folder(folder_of(path)).map(|()| true),
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e.error),
    };
    write().map_err(|e| TrainError::io(path, e))
}

/// A new file in the folder of `path`, which removes itself unless it is persisted.
fn written_beside(path: &Path, content: &[u8]) -> std::io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    // Temporary files are private by default; this one becomes the user's, under the usual mask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(path))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a new file and waits until it is on the disk.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Waits until the names in a folder are on the disk. Where folders cannot be opened as files, the
/// system does it alone.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match cfg!(unix) {
        true => File::open(path)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let beside = folder.path().join("page.tmp");
        std::fs::write(&beside, "the user's").unwrap();
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read(&beside).unwrap(), b"the user's");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_file_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        assert!(create_atomically(&path, b"one").unwrap());
        assert!(!create_atomically(&path, b"two").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_rights_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, usual) = (folder.path().join("ours"), folder.path().join("usual"));
        write_atomically(&ours, b"").unwrap();
        std::fs::write(&usual, "").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&usual));
    }
}
