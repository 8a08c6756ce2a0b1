//! The tensors in a pickle.

use super::pickle::{Id, Node, Object, Pickle};
use super::view::{Element, View};

/// A storage outside the pickle, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) element: Element,
    /// The first number of the part.
    first: u64,
    count: u64,
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

    /// The storage that stands outside under this name: `("storage", class, key, device, count)`,
    /// and since a long time ago perhaps `(key, first, count)` of a part.
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

    /// The tensor that a call would have made. `None` for all other calls, `Some(Err)` for one that
    /// reaches beyond its storage.
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
