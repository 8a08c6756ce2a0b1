//! Which numbers of a storage a tensor is.

use burn::tensor::{BoolStore, DType};

/// The type of the numbers in a storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    /// As PyTorch calls it.
    pub(super) name: &'static str,
    pub(super) bytes: u64,
    /// `None` for what no network has: complex and quantised numbers.
    pub(super) dtype: Option<DType>,
}

/// The classes of storages, and the types of their numbers.
const ELEMENTS: [(&str, Element); 23] = {
    const fn element(name: &'static str, bytes: u64, dtype: Option<DType>) -> Element {
        Element { name, bytes, dtype }
    }
    [
        ("DoubleStorage", element("float64", 8, Some(DType::F64))),
        ("FloatStorage", element("float32", 4, Some(DType::F32))),
        ("HalfStorage", element("float16", 2, Some(DType::F16))),
        ("BFloat16Storage", element("bfloat16", 2, Some(DType::BF16))),
        ("LongStorage", element("int64", 8, Some(DType::I64))),
        ("IntStorage", element("int32", 4, Some(DType::I32))),
        ("ShortStorage", element("int16", 2, Some(DType::I16))),
        ("CharStorage", element("int8", 1, Some(DType::I8))),
        ("ByteStorage", element("uint8", 1, Some(DType::U8))),
        (
            "BoolStorage",
            element("bool", 1, Some(DType::Bool(BoolStore::Native))),
        ),
        ("ComplexFloatStorage", element("complex64", 8, None)),
        ("ComplexDoubleStorage", element("complex128", 16, None)),
        ("QInt8Storage", element("qint8", 1, None)),
        ("QUInt8Storage", element("quint8", 1, None)),
        ("QInt32Storage", element("qint32", 4, None)),
        ("QUInt4x2Storage", element("quint4x2", 1, None)),
        ("QUInt2x4Storage", element("quint2x4", 1, None)),
        ("UntypedStorage", element("bytes", 1, None)),
        // Types without a class of storage: their tensors say them.
        ("", element("uint16", 2, Some(DType::U16))),
        ("", element("uint32", 4, Some(DType::U32))),
        ("", element("uint64", 8, Some(DType::U64))),
        ("", element("float8_e4m3fn", 1, None)),
        ("", element("float8_e5m2", 1, None)),
    ]
};

impl Element {
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        let class = class.rsplit('.').next()?;
        let mut elements = ELEMENTS.iter();
        let found = elements.find(|(storage, _)| *storage == class)?;
        Some(found.1)
    }

    pub(super) fn of_dtype(name: &str) -> Option<Self> {
        let name = name.strip_prefix("torch.")?;
        let mut elements = ELEMENTS.iter().map(|(_, element)| *element);
        elements.find(|element| element.name == name)
    }
}

/// A tensor: numbers of a storage in some order.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) key: String,
    pub(super) element: Element,
    pub(super) shape: Vec<usize>,
    /// From one number to the next of each dimension.
    stride: Vec<u64>,
    /// Where the first number stands in the storage.
    offset: u64,
}

impl View {
    /// Checks that all numbers lie within the `count` of the storage.
    pub(super) fn new(
        key: String,
        element: Element,
        shape: Vec<usize>,
        stride: Vec<u64>,
        offset: u64,
        count: u64,
    ) -> Result<Self, String> {
        let view = Self {
            key,
            element,
            shape,
            stride,
            offset,
        };
        let fits = view.shape.len() == view.stride.len()
            && view.bytes().is_some()
            && view.end().is_some_and(|end| end <= count);
        match fits {
            true => Ok(view),
            false => Err(format!(
                "a tensor of shape {:?} reaches beyond its storage `{}`",
                view.shape, view.key
            )),
        }
    }

    fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// What the numbers take when they stand one after the other.
    pub(super) fn bytes(&self) -> Option<u64> {
        let mut sizes = self.shape.iter();
        sizes.try_fold(self.element.bytes, |bytes, &size| {
            bytes.checked_mul(size as u64)
        })
    }

    /// Behind the last number in the storage.
    fn end(&self) -> Option<u64> {
        if self.is_empty() {
            return Some(self.offset);
        }
        let mut steps = self.shape.iter().zip(&self.stride);
        let last = steps.try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add(stride.checked_mul(size as u64 - 1)?)
        })?;
        last.checked_add(1)
    }

    /// The first byte and the number of bytes in which all numbers lie.
    pub(super) fn span(&self) -> (u64, u64) {
        let end = self.end().unwrap_or(self.offset);
        let bytes = self.element.bytes;
        let length = (end - self.offset).saturating_mul(bytes);
        (self.offset.saturating_mul(bytes), length)
    }

    /// The numbers one after the other, from the bytes of the [`span`](Self::span).
    pub(super) fn gather(&self, span: Vec<u8>) -> Vec<u8> {
        if self.is_empty() || self.in_order() {
            return span;
        }
        let width = self.element.bytes as usize;
        let mut numbers = Vec::new();
        let mut index = vec![0; self.shape.len()];
        loop {
            let steps = index.iter().zip(&self.stride);
            let place: usize = steps.map(|(&i, &stride)| i * stride as usize).sum();
            numbers.extend_from_slice(&span[place * width..][..width]);
            let mut dimension = self.shape.len();
            loop {
                if dimension == 0 {
                    return numbers;
                }
                dimension -= 1;
                index[dimension] += 1;
                if index[dimension] < self.shape[dimension] {
                    break;
                }
                index[dimension] = 0;
            }
        }
    }

    fn in_order(&self) -> bool {
        let mut expected = 1;
        let dimensions = self.shape.iter().zip(&self.stride).rev();
        dimensions.into_iter().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size as u64;
            fits
        })
    }
}
