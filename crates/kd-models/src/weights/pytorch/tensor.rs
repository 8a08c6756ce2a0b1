//! The tensors in a pickle: which numbers of which storage they are.

use burn::tensor::{BoolStore, DType};

use super::pickle::{Id, Node, Object, Pickle};

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
    fn of_storage(class: &str) -> Option<Self> {
        let class = class.rsplit('.').next()?;
        let mut elements = ELEMENTS.iter();
        let found = elements.find(|(storage, _)| *storage == class)?;
        Some(found.1)
    }

    fn of_dtype(name: &str) -> Option<Self> {
        let name = name.strip_prefix("torch.")?;
        let mut elements = ELEMENTS.iter().map(|(_, element)| *element);
        elements.find(|element| element.name == name)
    }
}

/// A storage outside the pickle, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) element: Element,
    /// The first number of the part.
    first: u64,
    count: u64,
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

impl Pickle {
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, id: Id) -> Option<u64> {
        match self.nodes[id] {
            Node::Integer(value) => value.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match &self.nodes[id] {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn map(&self, id: Id) -> Option<&[(Id, Id)]> {
        match &self.nodes[id] {
            Node::Map(items) => Some(items),
            _ => None,
        }
    }

    fn numbers(&self, id: Id) -> Option<Vec<u64>> {
        let items = self.sequence(id)?.iter();
        items.map(|&item| self.number(item)).collect()
    }

    pub(super) fn global(&self, id: Id) -> Option<&str> {
        match &self.nodes[id] {
            Node::Global(name) => Some(name),
            _ => None,
        }
    }

    /// Text or number: early files key their storages by address.
    pub(super) fn key(&self, id: Id) -> Option<String> {
        let text = self.text(id).map(str::to_string);
        text.or_else(|| self.number(id).map(|number| number.to_string()))
    }

    pub(super) fn element(&self, class: Id) -> Option<Element> {
        Element::of_storage(self.global(class)?)
    }

    /// The storage that stands outside under this name: `("storage", class, key, device, count)`, and since a long time ago perhaps
    /// `(key, first, count)` of a part.
    pub(super) fn storage(&self, id: Id) -> Option<Storage> {
        let Node::Persistent(name) = self.nodes[id] else {
            return None;
        };
        let [kind, class, key, _device, count, part @ ..] = self.sequence(name)? else {
            return None;
        };
        if self.text(*kind) != Some("storage") {
            return None;
        }
        let count = self.number(*count)?;
        let part = part.first().and_then(|&part| self.sequence(part));
        let (first, count) = match part {
            Some(&[_key, first, part]) => {
                let (first, part) = (self.number(first)?, self.number(part)?);
                first.checked_add(part).filter(|end| *end <= count)?;
                (first, part)
            }
            _ => (0, count),
        };
        Some(Storage {
            key: self.key(*key)?,
            element: self.element(*class)?,
            first,
            count,
        })
    }

    /// The tensor that a call would have made. `None` for all other calls, `Some(Err)` for one that reaches beyond its storage.
    pub(super) fn tensor(&self, id: Id) -> Option<Result<View, String>> {
        let Node::Object(object) = &self.nodes[id] else {
            return None;
        };
        let mut function = self.global(object.function)?;
        let mut arguments = self.sequence(object.arguments)?;
        if function == "torch._tensor._rebuild_from_type_v2" {
            // A tensor with attributes: function, class, arguments, attributes.
            function = self.global(*arguments.first()?)?;
            arguments = self.sequence(*arguments.get(2)?)?;
        }
        match function.strip_prefix("torch._utils.")? {
            "_rebuild_parameter"
            | "_rebuild_parameter_with_state"
            | "_rebuild_device_tensor_from_cpu_tensor" => {
                // One step, so that a parameter of itself is not followed for ever.
                let inner = *arguments.first()?;
                let Node::Object(Object { function, .. }) = &self.nodes[inner] else {
                    return None;
                };
                match self
                    .global(*function)?
                    .starts_with("torch._utils._rebuild_tensor")
                {
                    true => self.tensor(inner),
                    false => None,
                }
            }
            "_rebuild_tensor" | "_rebuild_tensor_v2" => {
                let storage = self.storage(*arguments.first()?)?;
                let marks = arguments.get(6).and_then(|&marks| self.map(marks));
                let marked = |&(_, mark): &(Id, Id)| matches!(self.nodes[mark], Node::Truth(true));
                if marks.is_some_and(|marks| marks.iter().any(marked)) {
                    return Some(Err("a tensor is marked as negated or conjugated".into()));
                }
                self.view(&storage, storage.element, arguments)
            }
            "_rebuild_tensor_v3" => {
                let storage = self.storage(*arguments.first()?)?;
                let element = Element::of_dtype(self.global(*arguments.get(6)?)?)?;
                self.view(&storage, element, arguments)
            }
            _ => None,
        }
    }

    /// Offset, shape and strides follow the storage.
    fn view(
        &self,
        storage: &Storage,
        element: Element,
        arguments: &[Id],
    ) -> Option<Result<View, String>> {
        let &[_storage, offset, shape, stride, ..] = arguments else {
            return None;
        };
        let shape = self.numbers(shape)?.into_iter();
        let shape = shape.map(usize::try_from).collect::<Result<_, _>>().ok()?;
        // Storages without a type count bytes.
        let numbers = |count: u64| count.saturating_mul(storage.element.bytes) / element.bytes;
        let (first, count) = (numbers(storage.first), numbers(storage.count));
        let offset = self.number(offset)?.checked_add(first)?;
        let (key, stride) = (storage.key.clone(), self.numbers(stride)?);
        let end = first.checked_add(count)?;
        Some(View::new(key, element, shape, stride, offset, end))
    }
}
