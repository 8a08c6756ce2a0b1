//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::TrainError;

/// Write a file so that `path` holds the old content or the new, never a part of it.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), TrainError> {
    let temporary = path.with_extension("tmp");
    let write = || {
        write_durably(&temporary, content)?;
        fs::rename(&temporary, path)?;
        sync_folder(path.parent())
    };
    write().map_err(|e| {
        // The reason is worth more than whether the leftover could be removed.
        let _ = fs::remove_file(&temporary);
        TrainError::io(path, e)
    })
}

/// Write a new file and wait until it is on the disk.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Wait until the names in a folder are on the disk. Where folders cannot be opened as files, the system does it alone.
pub(crate) fn sync_folder(path: Option<&Path>) -> std::io::Result<()> {
    match path {
        Some(path) if cfg!(unix) && !path.as_os_str().is_empty() => File::open(path)?.sync_all(),
        _ => Ok(()),
    }
}
