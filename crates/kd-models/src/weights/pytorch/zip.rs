//! The directory of a zip archive, as far as PyTorch's archives need it: entries that are stored as
//! they are.

use super::super::source::{Place, Places, Source};

const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR_64: &[u8; 4] = b"PK\x06\x07";
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";

/// Where every entry lies in the file that is stored as it is. The code of traced models is
/// compressed, pickles and numbers never are.
pub(super) fn directory(source: &Source) -> Result<Places, String> {
    let (start, length, count) = end(source)?;
    let bytes = source
        .read(start, length)
        .map_err(|_| "the zip directory lies outside the file")?;
    let mut fields = Fields(&bytes);
    let mut places = Places::new();
    for _ in 0..count {
        let (name, place) = entry(source, &mut fields)?;
        let Some(place) = place else { continue };
        if places.insert(name.clone(), place).is_some() {
            return Err(format!(
                "two entries of the zip archive are called `{name}`"
            ));
        }
    }
    Ok(places)
}

/// Start, length and number of entries of the directory. What a field of 16 or 32 bits cannot hold
/// stands in zip64's end record.
fn end(source: &Source) -> Result<(u64, u64, u64), String> {
    /// The record, and the longest comment behind it.
    const SEARCHED: u64 = 22 + 0xffff;
    let length = source.length().min(SEARCHED);
    let tail_start = source.length() - length;
    let tail = source.read(tail_start, length).map_err(|e| e.to_string())?;
    let at = tail
        .windows(22)
        .rposition(|window| window.starts_with(END))
        .ok_or("the zip archive has no end record: the file may be cut off")?;
    let mut record = Fields(&tail[at..]);
    record.signature(END)?;
    record.skip(6)?;
    let count = record.number(2)?;
    let [size, start] = [record.number(4)?, record.number(4)?];

    // Zip64's locator stands right before the record, if there is one.
    let end_start = tail_start + at as u64;
    let locator = end_start
        .checked_sub(20)
        .map(|start| source.read(start, 20));
    let locator = locator.transpose().map_err(|e| e.to_string())?;
    let Some(locator) = locator.filter(|bytes| bytes.starts_with(LOCATOR_64)) else {
        return Ok((start, size, count));
    };
    let mut locator = Fields(&locator);
    locator.skip(8)?;
    let record = source
        .read(locator.number(8)?, 56)
        .map_err(|_| "the zip64 end record lies outside the file")?;
    let mut record = Fields(&record);
    record.signature(END_64)?;
    record.skip(28)?;
    let [count_64, size_64, start_64] = [record.number(8)?, record.number(8)?, record.number(8)?];
    let either = |short: u64, full: u64, long: u64| if short == full { long } else { short };
    Ok((
        either(start, 0xffff_ffff, start_64),
        either(size, 0xffff_ffff, size_64),
        either(count, 0xffff, count_64),
    ))
}

fn entry(source: &Source, fields: &mut Fields) -> Result<(String, Option<Place>), String> {
    fields.signature(ENTRY)?;
    fields.skip(4)?;
    let flags = fields.number(2)?;
    let method = fields.number(2)?;
    fields.skip(4)?;
    let crc = fields.number(4)? as u32;
    let [packed, mut length] = [fields.number(4)?, fields.number(4)?];
    let [name, extra, comment] = [fields.number(2)?, fields.number(2)?, fields.number(2)?];
    fields.skip(8)?;
    let mut local = fields.number(4)?;
    let name = String::from_utf8_lossy(fields.take(name)?).into_owned();
    let mut extras = Fields(fields.take(extra)?);
    fields.skip(comment)?;
    let mut packed_64 = packed;
    while extras.0.len() >= 4 {
        let (kind, size) = (extras.number(2)?, extras.number(2)?);
        let mut extra = Fields(extras.take(size)?);
        if kind == 1 {
            for field in [&mut length, &mut packed_64, &mut local] {
                if *field == 0xffff_ffff {
                    *field = extra.number(8)?;
                }
            }
        }
    }
    if flags & 1 != 0 || method != 0 || packed_64 != length {
        return Ok((name, None));
    }
    // The data begins behind a second header, whose extra field is of another length.
    let header = source
        .read(local, 30)
        .map_err(|_| format!("entry `{name}` of the zip archive lies outside the file"))?;
    let mut header = Fields(&header);
    header.signature(LOCAL)?;
    header.skip(22)?;
    let start = local + 30 + header.number(2)? + header.number(2)?;
    if start
        .checked_add(length)
        .is_none_or(|end| end > source.length())
    {
        return Err(format!(
            "entry `{name}` of the zip archive lies outside the file"
        ));
    }
    // `torch.serialization.set_crc32_options(False)` writes 0 everywhere.
    let crc = (crc != 0).then_some(crc);
    Ok((name, Some(Place::new(start, length, crc))))
}

/// Little-endian fields, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("a record of the zip archive is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        self.take(length).map(|_| ())
    }

    fn number(&mut self, width: u64) -> Result<u64, String> {
        let digits = self.take(width)?.iter().rev();
        Ok(digits.fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn signature(&mut self, expected: &[u8; 4]) -> Result<(), String> {
        match self.take(4)? == expected {
            true => Ok(()),
            false => Err("a record of the zip archive has another signature".into()),
        }
    }
}
