//! Checkpoints before PyTorch 1.6: five pickles, then the storages one after the other.

use std::collections::HashMap;
use std::io::{BufReader, Seek};

use super::super::source::{Place, Places, Source};
use super::pickle::{Node, Pickle};
use super::{BIG_ENDIAN, Checkpoint};

/// The first pickle, a number.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The same, as protocols 0 and 1 write it.
const MAGIC_TEXT: &[u8] = b"L119547037146038801333356";

pub(super) fn begins(head: &[u8]) -> bool {
    matches!(head, [0x80, 0..=5, ..]) || head.starts_with(MAGIC_TEXT)
}

pub(super) fn open(source: &Source) -> Result<Checkpoint, String> {
    let file = source.at(0).map_err(|e| e.to_string())?;
    let mut reader = BufReader::new(&*file);
    let magic = Pickle::read(&mut reader)?;
    if !matches!(magic.nodes[magic.root], Node::Integer(MAGIC)) {
        return Err("a pickle, and none that `torch.save` wrote".into());
    }
    let version = Pickle::read(&mut reader)?;
    if version.number(version.root) != Some(1001) {
        return Err("its version is not 1001".into());
    }
    check_order(&Pickle::read(&mut reader)?)?;
    let pickle = Pickle::read(&mut reader)?;
    let keys = Pickle::read(&mut reader)?;
    let mut start = reader.stream_position().map_err(|e| e.to_string())?;
    drop(reader);
    drop(file);

    let storages = (0..pickle.nodes.len()).filter_map(|id| pickle.storage(id));
    let widths: HashMap<_, _> = storages
        .map(|storage| (storage.key, storage.element.bytes))
        .collect();
    let mut places = Places::new();
    for &key in keys.sequence(keys.root).unwrap_or_default() {
        let key = keys.key(key).ok_or("the key of a storage is no text")?;
        let width = widths
            .get(&key)
            .ok_or_else(|| format!("storage `{key}` is of no known type"))?;
        let count = source
            .read(start, 8)
            .map_err(|_| format!("storage `{key}` is missing: the file is cut off"))?;
        let length = count.iter().rev();
        let length = length
            .fold(0_u64, |value, &byte| value << 8 | u64::from(byte))
            .checked_mul(*width);
        start += 8;
        let end = length.and_then(|length| start.checked_add(length));
        let (Some(length), Some(end)) = (length, end.filter(|&end| end <= source.length())) else {
            return Err(format!("storage `{key}` is not whole: the file is cut off"));
        };
        places.insert(key, Place::new(start, length, None));
        start = end;
    }
    Ok(Checkpoint {
        pickle,
        places,
        outside: HashMap::new(),
    })
}

/// What the file says of the machine that wrote it.
pub(super) fn check_order(system: &Pickle) -> Result<(), String> {
    let items = system.map(system.root).unwrap_or_default();
    let mut items = items.iter();
    let order = items.find(|(key, _)| system.text(*key) == Some("little_endian"));
    match order.map(|&(_, order)| &system.nodes[order]) {
        Some(Node::Truth(true)) => Ok(()),
        Some(Node::Truth(false)) => Err(BIG_ENDIAN.into()),
        _ => Err("it does not say whether its numbers are little-endian".into()),
    }
}
