//! Checkpoints before PyTorch 0.1.10: a tar archive of tables.

use std::collections::HashMap;
use std::io::BufRead;

use super::super::source::{Place, Places, Source};
use super::Checkpoint;
use super::legacy::check_order;
use super::pickle::{Id, Pickle};
use super::view::{Element, View};

const BLOCK: u64 = 512;

pub(super) fn begins(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

pub(super) fn open(source: &Source) -> Result<Checkpoint, String> {
    let files = files(source)?;
    let file = |name: &str| -> Result<(u64, Vec<u8>), String> {
        let (start, length) = files
            .get(name)
            .ok_or_else(|| format!("the tar archive holds no `{name}`"))?;
        let bytes = source.read(*start, *length);
        Ok((*start, bytes.map_err(|e| e.to_string())?))
    };
    if files.contains_key("sys_info") {
        check_order(&Pickle::read(&*file("sys_info")?.1)?)?;
    }
    let (start, bytes) = file("storages")?;
    let (places, types) = storages(start, &bytes)?;
    let outside = tensors(&file("tensors")?.1, &places, &types)?;
    let pickle = Pickle::read(&*file("pickle")?.1)?;
    Ok(Checkpoint {
        pickle,
        places,
        outside,
    })
}

/// Start and length of every file in the archive.
fn files(source: &Source) -> Result<HashMap<String, (u64, u64)>, String> {
    let mut files = HashMap::new();
    let mut start = 0;
    while start + BLOCK <= source.length() {
        let header = source.read(start, BLOCK).map_err(|e| e.to_string())?;
        if header[0] == 0 {
            break;
        }
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|&byte| byte == 0);
            String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
        };
        let name = text(&header[..100]);
        let length = u64::from_str_radix(text(&header[124..136]).trim(), 8)
            .map_err(|_| format!("the length of `{name}` in the tar archive is no number"))?;
        start += BLOCK;
        if start
            .checked_add(length)
            .is_none_or(|end| end > source.length())
        {
            return Err(format!("`{name}` is not whole: the file is cut off"));
        }
        files.insert(name.trim_start_matches("./").to_string(), (start, length));
        start += length.next_multiple_of(BLOCK);
    }
    Ok(files)
}

/// A count; for each storage its key, device and class, then a count of numbers and the numbers;
/// then the parts of storages.
fn storages(start: u64, bytes: &[u8]) -> Result<(Places, HashMap<String, Element>), String> {
    let (mut places, mut types) = (Places::new(), HashMap::new());
    let mut rest = bytes;
    for _ in 0..count(&mut rest)? {
        let head = Pickle::read(&mut rest)?;
        let [key, _device, class] = fields(&head, head.root)?;
        let key = key_of(&head, key)?;
        let element = head
            .element(class)
            .ok_or_else(|| format!("storage `{key}` is of no known type"))?;
        let length = number(&mut rest)?.saturating_mul(element.bytes);
        let at = start + (bytes.len() - rest.len()) as u64;
        if length > rest.len() as u64 {
            return Err(format!("storage `{key}` is not whole"));
        }
        rest.consume(length as usize);
        places.insert(key.clone(), Place::new(at, length, None));
        types.insert(key, element);
    }
    let parts = Pickle::read(&mut rest)?;
    for &part in parts.sequence(parts.root).unwrap_or_default() {
        let [key, whole, first, count] = fields(&parts, part)?;
        let (key, whole) = (key_of(&parts, key)?, key_of(&parts, whole)?);
        let element = types.get(&whole).copied();
        let (first, count) = (parts.number(first), parts.number(count));
        let (Some(element), Some(first), Some(count)) = (element, first, count) else {
            return Err(format!("`{key}` is a part of no storage"));
        };
        let [first, length] = [first, count].map(|count| count.saturating_mul(element.bytes));
        let whole = &places[&whole];
        if first.saturating_add(length) > whole.length {
            return Err(format!("`{key}` reaches beyond its storage"));
        }
        let place = Place::new(whole.start + first, length, None);
        places.insert(key.clone(), place);
        types.insert(key, element);
    }
    Ok((places, types))
}

/// A count; for each tensor its key, storage and class, then rank, sizes, strides and offset.
fn tensors(
    mut rest: &[u8],
    places: &Places,
    types: &HashMap<String, Element>,
) -> Result<HashMap<String, View>, String> {
    let mut tensors = HashMap::new();
    for _ in 0..count(&mut rest)? {
        let head = Pickle::read(&mut rest)?;
        let [key, storage, _class] = fields(&head, head.root)?;
        let (key, storage) = (key_of(&head, key)?, key_of(&head, storage)?);
        // Four bytes, and four that nobody set.
        let rank = number(&mut rest)? & 0xffff_ffff;
        let numbers = (0..rank.min(64) * 2 + 1).map(|_| number(&mut rest));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let (shape, stride) = numbers.split_at(rank.min(64) as usize);
        let (stride, offset) = stride.split_at(shape.len());
        let (Some(&element), Some(place)) = (types.get(&storage), places.get(&storage)) else {
            return Err(format!("storage `{storage}` is missing"));
        };
        let shape = shape.iter().map(|&size| usize::try_from(size));
        let shape = shape.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        let count = place.length / element.bytes;
        let view = View::new(storage, element, shape, stride.to_vec(), offset[0], count)?;
        tensors.insert(key, view);
    }
    Ok(tensors)
}

fn count(rest: &mut &[u8]) -> Result<u64, String> {
    let pickle = Pickle::read(rest)?;
    let count = pickle.number(pickle.root);
    count.ok_or_else(|| "a table of the tar archive has no length".into())
}

/// Eight bytes, little-endian.
fn number(rest: &mut &[u8]) -> Result<u64, String> {
    let (bytes, behind) = rest.split_first_chunk::<8>().ok_or("a table is cut off")?;
    *rest = behind;
    Ok(u64::from_le_bytes(*bytes))
}

fn fields<const N: usize>(pickle: &Pickle, id: Id) -> Result<[Id; N], String> {
    let fields = pickle
        .sequence(id)
        .and_then(|fields| fields.try_into().ok());
    fields.ok_or_else(|| format!("a line of a table has not {N} fields"))
}

fn key_of(pickle: &Pickle, id: Id) -> Result<String, String> {
    pickle
        .key(id)
        .ok_or_else(|| "a key of a table is no text".into())
}
