use std::io::{self, BufRead, Read};

/// Bytes, counted.
pub(super) struct Input<R> {
    reader: R,
    place: u64,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, place: 0 }
    }

    /// The number of bytes that were read.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        Ok(self.bytes(1)?[0])
    }

    /// A little-endian number of at most eight bytes.
    pub(super) fn number(&mut self, width: u32) -> Result<u64, String> {
        let bytes = self.bytes(u64::from(width))?;
        let digits = bytes.iter().rev();
        Ok(digits.fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// Exactly so many bytes. No more memory is taken than there are bytes to be read.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        self.advance(read.map(|read| read as u64), length)?;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<(), String> {
        let read = io::copy(&mut self.reader.by_ref().take(length), &mut io::sink());
        self.advance(read, length)
    }

    fn advance(&mut self, read: io::Result<u64>, expected: u64) -> Result<(), String> {
        let read = read.map_err(|e| e.to_string())?;
        self.place += read;
        match read == expected {
            true => Ok(()),
            false => Err("the file ends here".into()),
        }
    }

    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line);
        self.place += read.map_err(|e| e.to_string())? as u64;
        match line.pop() {
            Some(b'\n') => {
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                Ok(String::from_utf8_lossy(line).into_owned())
            }
            _ => Err("the file ends here".into()),
        }
    }

    pub(super) fn decimal(&mut self) -> Result<u64, String> {
        let line = self.line()?;
        line.parse().map_err(|_| format!("`{line}` is no key"))
    }

    /// An integer in two's complement. `None` for one of more than 16 bytes, which is nobody's
    /// size.
    pub(super) fn integer(&mut self, length: u64) -> Result<Option<i128>, String> {
        if length > 16 {
            self.skip(length)?;
            return Ok(None);
        }
        let bytes = self.bytes(length)?;
        let sign = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if sign { 0xff } else { 0 }; 16];
        whole[..bytes.len()].copy_from_slice(&bytes);
        Ok(Some(i128::from_le_bytes(whole)))
    }
}
