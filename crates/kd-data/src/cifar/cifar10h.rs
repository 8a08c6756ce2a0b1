//! CIFAR-10H: what some fifty people each took the CIFAR-10 test images for (Peterson, Battleday, Griffiths and Russakovsky, "Human
//! uncertainty makes classification more robust", ICCV 2019).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, NpyHeader, Order};

use crate::{DataError, soft_labels};

const FOLDER: &str = "cifar-10h";
const PROBABILITIES: &str = "cifar10h-probs.npy";
const COUNTS: &str = "cifar10h-counts.npy";
const IMAGES: usize = 10_000;
const CLASSES: usize = 10;
const VALUE_BYTES: u64 = (IMAGES * CLASSES * 8) as u64;
/// The most that a header may take: numpy writes 128 bytes, and a parser that calls itself must not meet more.
const HEADER_LIMIT: usize = 1024;
const SIZE_LIMIT: u64 = VALUE_BYTES + HEADER_LIMIT as u64;
const EXPECTED: &str = "10000x10 values in C order of type f64 or i64";

/// Reads the human label distributions: 10,000 rows of 10 probabilities, row *i* for test image *i* in the order of the *python*
/// distribution of CIFAR-10.
///
/// `path` is a `.npy` file, a folder that holds `cifar10h-probs.npy` or `cifar10h-counts.npy`, or a folder that contains `cifar-10h`. Values of type f64
/// are probabilities; values of type i64 are counts and are divided by their row's sum. The result fits
/// [`ImageSet::with_soft_labels`](crate::ImageSet::with_soft_labels).
///
/// # Errors
///
/// When there is no such file, when it is damaged, truncated or oversized, when the array has another order, type or shape, or when a row is not
/// a distribution. The error names the file and the offset or the row.
pub fn load(path: &Path) -> Result<Vec<f32>, DataError> {
    let file = find(path)?;
    let bytes = read(&file)?;
    check_header_size(&bytes).map_err(damaged(&file))?;
    let mut values = &bytes[..];
    let header = NpyHeader::from_reader(&mut values).map_err(damaged(&file))?;
    let counts = is_counts(&header, &file)?;
    check_size(&file, bytes.len() as u64, values.len() as u64)?;
    let array = NpyFile::with_header(header, values);
    let rows = if counts {
        let counts: Vec<i64> = array.into_vec().map_err(damaged(&file))?;
        normalise(&counts)
    } else {
        let rows: Vec<f64> = array.into_vec().map_err(damaged(&file))?;
        soft_labels::check(&rows, CLASSES).map(|()| rows)
    };
    match rows {
        Ok(rows) => Ok(rows.into_iter().map(|value| value as f32).collect()),
        Err(reason) => Err(DataError::SoftLabelFile {
            file,
            reason: Box::new(reason),
        }),
    }
}

fn find(path: &Path) -> Result<PathBuf, DataError> {
    let within = path.join(FOLDER);
    let candidates = [
        path.to_path_buf(),
        path.join(PROBABILITIES),
        within.join(PROBABILITIES),
        path.join(COUNTS),
        within.join(COUNTS),
    ];
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    found.ok_or_else(|| DataError::NotFound {
        path: path.to_path_buf(),
        expected: format!("a .npy file, or a folder with `{PROBABILITIES}` or `{COUNTS}`"),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |reason| DataError::Read {
        file: file.to_path_buf(),
        reason,
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(DataError::Oversized {
            file: file.to_path_buf(),
            expected: SIZE_LIMIT,
            found: bytes.len() as u64,
        });
    }
    Ok(bytes)
}

/// Refuses a header that says that it is longer than any for this array; whatever else is wrong, the parser tells.
fn check_header_size(bytes: &[u8]) -> io::Result<()> {
    // Six bytes of magic, two of version, then the length: two bytes in version 1, four in later ones.
    let length = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => u32::from_le_bytes([*a, *b, 0, 0]),
        [_, _, _, _, _, _, _, _, a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    if length as usize <= HEADER_LIMIT {
        Ok(())
    } else {
        let message = format!("the header says that it has {length} bytes");
        Err(io::Error::other(message))
    }
}

/// Whether the array holds counts; an error when it holds neither counts nor probabilities.
fn is_counts(header: &NpyHeader, file: &Path) -> Result<bool, DataError> {
    let kind = match header.dtype() {
        DType::Plain(kind) => kind.to_string(),
        other => other.descr(),
    };
    let fits = header.order() == Order::C && header.shape() == [IMAGES as u64, CLASSES as u64];
    match kind.as_str() {
        "<f8" | ">f8" if fits => Ok(false),
        "<i8" | ">i8" if fits => Ok(true),
        _ => Err(DataError::NpyArray {
            file: file.to_path_buf(),
            expected: EXPECTED,
            found: format!(
                "{:?} in {:?} order of type {kind}",
                header.shape(),
                header.order()
            ),
        }),
    }
}

/// Checks that the header, which takes the rest of `total`, is followed by exactly the values.
fn check_size(file: &Path, total: u64, values: u64) -> Result<(), DataError> {
    let file = file.to_path_buf();
    let expected = total - values + VALUE_BYTES;
    match values.cmp(&VALUE_BYTES) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(DataError::Truncated {
            file,
            expected,
            found: total,
        }),
        std::cmp::Ordering::Greater => Err(DataError::Oversized {
            file,
            expected,
            found: total,
        }),
    }
}

fn normalise(counts: &[i64]) -> Result<Vec<f64>, DataError> {
    let counts: Vec<f64> = counts.iter().map(|&count| count as f64).collect();
    let mut rows = Vec::with_capacity(counts.len());
    for (row, counts) in counts.chunks_exact(CLASSES).enumerate() {
        let sum = soft_labels::checked_sum(row, counts)?;
        if sum == 0.0 {
            return Err(DataError::SoftLabelSum {
                row,
                expected: "a sum of at least 1",
                found: sum,
            });
        }
        rows.extend(counts.iter().map(|count| count / sum));
    }
    Ok(rows)
}

fn damaged(file: &Path) -> impl Fn(io::Error) -> DataError + use<> {
    let file = file.to_path_buf();
    move |reason| DataError::Npy {
        file: file.clone(),
        reason,
    }
}
