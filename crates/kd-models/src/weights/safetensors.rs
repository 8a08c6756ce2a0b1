//! Safetensors: eight bytes of length, a header of JSON, numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{BoolStore, Bytes, DType, Shape};
use burn_store::burn_pack::{Error as PackError, Tensor as PackTensor};
use serde::Deserialize;

use super::source::Source;

/// The longest header that the format allows.
const LONGEST: u64 = 100_000_000;

#[derive(Deserialize)]
struct Header {
    #[serde(default, rename = "__metadata__")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Described>,
}

#[derive(Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// Tensors, and texts beside them.
pub(super) struct Content {
    pub(super) tensors: Vec<PackTensor>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Whether a file that begins with these bytes is one.
pub(super) fn begins(head: &[u8]) -> bool {
    let length = head.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length <= LONGEST) && head.get(8) == Some(&b'{')
}

/// Reads the header; the numbers stay in the file.
pub(super) fn read(source: Source) -> Result<Content, String> {
    let cut = |_| "the header is cut off";
    let length = source.read(0, 8).map_err(cut)?;
    let length = length.iter().rev();
    let length = length.fold(0, |value, &byte| value << 8 | u64::from(byte));
    let json = source.read(8, length.min(LONGEST)).map_err(cut)?;
    let header: Header = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    let start = 8 + length;

    // The tensors follow each other without gaps up to the end of the file, so no damage to the
    // header goes unseen.
    let mut tensors: Vec<_> = header.tensors.into_iter().collect();
    tensors.sort_by_key(|(_, described)| described.data_offsets);
    let mut end = 0;
    for (name, described) in &tensors {
        let [first, last] = described.data_offsets;
        let mut sizes = described.shape.iter();
        let count = sizes.try_fold(1_u64, |count, &size| count.checked_mul(size as u64));
        let bits = count.and_then(|count| count.checked_mul(bits(&described.dtype)?));
        let bits = bits.ok_or_else(|| format!("{name}: unknown numbers `{}`", described.dtype))?;
        if first != end || last < first || last - first != bits.div_ceil(8) {
            return Err(format!("{name}: bytes {first} to {last} are not its own"));
        }
        end = last;
    }
    if start.checked_add(end) != Some(source.length()) {
        return Err("the file has another length than its header says".into());
    }
    let source = Arc::new(source);
    let tensors = tensors.into_iter();
    Ok(Content {
        tensors: tensors
            .map(|(name, described)| deferred(name, described, start, &source))
            .collect(),
        metadata: header.metadata.unwrap_or_default(),
    })
}

fn deferred(name: String, described: Described, start: u64, source: &Arc<Source>) -> PackTensor {
    let [first, last] = described.data_offsets;
    let (length, source) = (last - first, source.clone());
    let shape = Shape::from(described.shape);
    let Some(dtype) = dtype(&described.dtype) else {
        let reason = format!(
            "its numbers are {}, which no network takes",
            described.dtype
        );
        let length = shape.num_elements().saturating_mul(4);
        let fail = move || Err(PackError::ValidationError(reason.clone()));
        return PackTensor::deferred(name, DType::F32, shape, None, length, fail);
    };
    let read = move || match source.read(start + first, length) {
        Ok(bytes) => Ok(Bytes::from_bytes_vec(bytes)),
        Err(error) => Err(PackError::ValidationError(error.to_string())),
    };
    PackTensor::deferred(name, dtype, shape, None, length as usize, read)
}

fn dtype(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U64" => DType::U64,
        "U32" => DType::U32,
        "U16" => DType::U16,
        "U8" => DType::U8,
        "BOOL" => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}

/// What one number takes.
fn bits(name: &str) -> Option<u64> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits = digits.split('_').next()?;
    match name {
        "BOOL" => Some(8),
        _ => digits.parse().ok(),
    }
}
