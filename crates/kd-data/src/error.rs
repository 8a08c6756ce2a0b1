use std::io;
use std::path::PathBuf;

/// What is wrong with data, with the place and the values.
///
/// For an entry of an archive, `file` is the archive's path with the entry's name behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system could not read a file.
    #[error("{file}: {reason}")]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// There is no data set at this place.
    #[error("{path}: expected {expected}, found none of them")]
    NotFound {
        /// The place that was searched.
        path: PathBuf,
        /// What would have been accepted.
        expected: String,
    },
    /// A file of the set is missing.
    #[error("{file}: missing")]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file ends too early.
    #[error("{file}: truncated: expected {expected} bytes, found the end at byte {found}")]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The size that the format prescribes.
        expected: u64,
        /// The size found, which is the offset of the first missing byte.
        found: u64,
    },
    /// A file goes on where it should end.
    #[error("{file}: oversized: expected the end at byte {expected}, found {found} bytes")]
    Oversized {
        /// The file.
        file: PathBuf,
        /// The size that the format prescribes, which is the offset of the first byte too many.
        expected: u64,
        /// The size found, or a lower bound of it.
        found: u64,
    },
    /// A label byte in a file names no class.
    #[error("{file}: byte {offset}: expected a label below {classes}, found {found}")]
    LabelByte {
        /// The file.
        file: PathBuf,
        /// The label's offset in the file.
        offset: u64,
        /// The label.
        found: u8,
        /// The number of classes.
        classes: usize,
    },
    /// A list of class names is unreadable or has the wrong length.
    #[error("{file}: expected {expected} class names in UTF-8, one a line, found {found}")]
    ClassNames {
        /// The file.
        file: PathBuf,
        /// The number of classes.
        expected: usize,
        /// What was found.
        found: String,
    },
    /// An archive is truncated, corrupt or followed by something else.
    #[error("{archive}: damaged archive: {reason}")]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// An archive unpacks to more than its format ever needs.
    #[error("{archive}: unpacks to more than {limit} bytes")]
    ArchiveTooLarge {
        /// The archive.
        archive: PathBuf,
        /// The most that is accepted.
        limit: u64,
    },
    /// An archive holds an entry that has no place in it.
    #[error("{archive}: entry {entry:?} {problem}")]
    ArchiveEntry {
        /// The archive.
        archive: PathBuf,
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A `.npy` file has an unreadable header or values.
    #[error("{file}: damaged .npy file: {reason}")]
    Npy {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: io::Error,
    },
    /// A `.npy` file holds an array of another form.
    #[error("{file}: expected {expected}, found {found}")]
    NpyArray {
        /// The file.
        file: PathBuf,
        /// The order, element types and shape that are accepted.
        expected: &'static str,
        /// Those found.
        found: String,
    },
    /// A row of label distributions from a file is none.
    #[error("{file}: {reason}")]
    SoftLabelFile {
        /// The file.
        file: PathBuf,
        /// The row and the value.
        reason: Box<DataError>,
    },
    /// The shape or the number of classes of a set is zero or too large.
    #[error(
        "expected a shape of at least 1x1x1 and 1 to 65536 classes, found {shape:?} and {classes}"
    )]
    Shape {
        /// Channels, height and width.
        shape: [usize; 3],
        /// The number of class names.
        classes: usize,
    },
    /// The number of pixel values is not labels times channels times height times width.
    #[error("expected {expected} pixel values for {labels} labels, found {found}")]
    PixelCount {
        /// The number that the labels and the shape give.
        expected: usize,
        /// The number of values found.
        found: usize,
        /// The number of labels.
        labels: usize,
    },
    /// A label names no class.
    #[error("label {index}: expected a value below {classes}, found {found}")]
    Label {
        /// The label's position.
        index: usize,
        /// The label.
        found: u16,
        /// The number of classes.
        classes: usize,
    },
    /// The number of soft-label values is not images times classes.
    #[error("expected {expected} soft-label values, found {found}")]
    SoftLabelCount {
        /// Images times classes.
        expected: usize,
        /// The number of values found.
        found: usize,
    },
    /// A soft label is negative or not finite.
    #[error(
        "soft-label row {row}, class {class}: expected a finite value of at least 0, found {found}"
    )]
    SoftLabelValue {
        /// The image.
        row: usize,
        /// The class.
        class: usize,
        /// The value.
        found: f64,
    },
    /// A row of soft labels does not sum to one.
    #[error("soft-label row {row}: expected {expected}, found {found}")]
    SoftLabelSum {
        /// The image.
        row: usize,
        /// The sum that is accepted.
        expected: &'static str,
        /// The sum found.
        found: f64,
    },
    /// A position outside the set was asked for.
    #[error("image {index} of a set of {len}")]
    Index {
        /// The position.
        index: usize,
        /// The number of images.
        len: usize,
    },
    /// A setting has a value that it cannot have.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The values that it can have.
        expected: &'static str,
        /// The value given.
        found: String,
    },
}
