//! PyTorch's checkpoints: a pickle of any values, and the numbers of its tensors beside it.
//!
//! Three containers have been in use: a zip archive since PyTorch 1.6, before that pickles and
//! numbers one after the other, and a tar archive before 0.1.10. Each is read into a
//! [`Checkpoint`].

mod entries;
mod input;
mod legacy;
mod pickle;
mod tar;
mod tensor;
mod view;
mod zip;

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::{Bytes, DType, Shape};
use burn_store::burn_pack::{Error as PackError, Tensor as PackTensor};

use super::source::{Places, Source};
use pickle::Pickle;
use view::View;

/// A checkpoint whose pickle has been read.
struct Checkpoint {
    pickle: Pickle,
    /// The storages by their keys.
    places: Places,
    /// Tensors that stand outside the pickle, as in tar archives.
    outside: HashMap<String, View>,
}

/// Whether a file that begins with these bytes is a checkpoint.
pub(super) fn begins(head: &[u8]) -> bool {
    is_zip(head) || tar::begins(head) || legacy::begins(head)
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// The tensors of the network in a checkpoint. Their numbers stay in the file.
pub(super) fn read(source: Source, head: &[u8]) -> Result<Vec<PackTensor>, String> {
    let checkpoint = if is_zip(head) {
        open_zip(&source)
    } else if tar::begins(head) {
        tar::open(&source)
    } else {
        legacy::open(&source)
    }?;
    let found = entries::weights(&checkpoint)?;
    if found.is_empty() {
        return Err("it holds no tensors".into());
    }
    let file = Arc::new((source, checkpoint.places));
    let tensors = found.into_iter();
    tensors
        .map(|(name, view)| deferred(name, view, &file))
        .collect()
}

fn open_zip(source: &Source) -> Result<Checkpoint, String> {
    let mut places = zip::directory(source)?;
    // Everything lies in one folder, which is called as the file was when it was saved.
    let folder = places
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"))
        .find(|folder| folder.is_empty() || folder.find('/') == Some(folder.len() - 1))
        .ok_or("the zip archive holds no `data.pkl`, or a compressed one")?
        .to_string();
    let entry = |name: &str| -> Result<Option<Vec<u8>>, String> {
        let name = format!("{folder}{name}");
        let Some(place) = places.get(&name) else {
            return Ok(None);
        };
        let bytes = source.part(place, 0, place.length);
        bytes.map(Some).map_err(|e| format!("entry `{name}`: {e}"))
    };
    if entry("byteorder")?.is_some_and(|order| order != b"little") {
        return Err(BIG_ENDIAN.into());
    }
    let pickle = Pickle::read(&*entry("data.pkl")?.unwrap_or_default())?;
    let data = format!("{folder}data/");
    places = places
        .into_iter()
        .filter_map(|(name, place)| Some((name.strip_prefix(&data)?.to_string(), place)))
        .collect();
    Ok(Checkpoint {
        pickle,
        places,
        outside: HashMap::new(),
    })
}

const BIG_ENDIAN: &str = "its numbers are big-endian, which is not read";

/// A tensor whose numbers are read when they are asked for.
fn deferred(name: String, view: View, file: &Arc<(Source, Places)>) -> Result<PackTensor, String> {
    /// What broadcast tensors may take beyond what the file holds.
    const SPARE: u64 = 1 << 26;
    let (source, places) = &**file;
    let place = places.get(&view.key);
    let place = place.ok_or_else(|| format!("{name}: storage `{}` is missing", view.key))?;
    let (start, length) = view.span();
    let bytes = view
        .bytes()
        .filter(|&bytes| bytes <= source.length() + SPARE);
    let fits = start
        .checked_add(length)
        .is_some_and(|end| end <= place.length);
    let (Some(bytes), true) = (bytes, fits) else {
        return Err(format!(
            "{name}: shape {:?} is more than the file holds",
            view.shape
        ));
    };
    let shape = Shape::from(view.shape.clone());
    let Some(dtype) = view.element.dtype else {
        let reason = format!(
            "its numbers are {}, which no network takes",
            view.element.name
        );
        let length = shape.num_elements().saturating_mul(4);
        let fail = move || Err(PackError::ValidationError(reason.clone()));
        return Ok(PackTensor::deferred(
            name,
            DType::F32,
            shape,
            None,
            length,
            fail,
        ));
    };
    let file = file.clone();
    let read = move || {
        let (source, places) = &*file;
        let span = source.part(&places[&view.key], start, length);
        let span = span.map_err(|e| PackError::ValidationError(e.to_string()))?;
        Ok(Bytes::from_bytes_vec(view.gather(span)))
    };
    Ok(PackTensor::deferred(
        name,
        dtype,
        shape,
        None,
        bytes as usize,
        read,
    ))
}
