use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file whose parts are read when they are asked for.
pub(super) struct Source {
    file: Mutex<File>,
    length: u64,
}

/// A part of a file.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) length: u64,
    /// The CRC-32 of the part, if the file states it.
    crc: Option<u32>,
    checked: AtomicBool,
}

impl Place {
    pub(super) fn new(start: u64, length: u64, crc: Option<u32>) -> Self {
        Self {
            start,
            length,
            crc,
            checked: AtomicBool::new(crc.is_none()),
        }
    }
}

/// The parts of a file by their names.
pub(super) type Places = HashMap<String, Place>;

impl Source {
    pub(super) fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            length: file.metadata()?.len(),
            file: Mutex::new(file),
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file, from `start` on, for as long as the guard is kept.
    pub(super) fn at(&self, start: u64) -> io::Result<MutexGuard<'_, File>> {
        // A place in a file cannot be left half moved.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    }

    /// Exactly `length` bytes from `start` on.
    pub(super) fn read(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        if start
            .checked_add(length)
            .is_none_or(|end| end > self.length)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = Vec::new();
        let file = self.at(start)?;
        (&*file).take(length).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Some bytes of a part. At the first call the whole part is compared with its CRC-32.
    pub(super) fn part(&self, place: &Place, start: u64, length: u64) -> io::Result<Vec<u8>> {
        if start
            .checked_add(length)
            .is_none_or(|end| end > place.length)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !place.checked.load(Ordering::Relaxed) {
            self.check(place)?;
            place.checked.store(true, Ordering::Relaxed);
        }
        self.read(place.start + start, length)
    }

    fn check(&self, place: &Place) -> io::Result<()> {
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; 1 << 16];
        let file = self.at(place.start)?;
        let mut part = (&*file).take(place.length);
        loop {
            match part.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        let found = hasher.finalize();
        match place.crc {
            Some(expected) if expected != found => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the bytes have CRC-32 {found:08x}, the archive says {expected:08x}"),
            )),
            _ => Ok(()),
        }
    }
}
