//! The values in a pickle, of any protocol that Python has had.
//!
//! A pickle is a program for a small machine with a stack. Python's machine imports what the
//! program names and calls it; this one only notes that it was named. So a pickle of any classes
//! can be read, and nothing is run.

use std::collections::HashMap;
use std::io::BufRead;

use super::input::Input;

/// A node of a [`Pickle`].
pub(super) type Id = usize;

/// One value. Values refer to each other by their place among the nodes, so that what is shared, or
/// contains itself, is one node.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Integer(i128),
    Truth(bool),
    /// A list or a tuple.
    Sequence(Vec<Id>),
    /// A dictionary.
    Map(Vec<(Id, Id)>),
    /// The full name of a class or a function.
    Global(String),
    /// What a function would have returned: a call that is noted and not made.
    Object(Object),
    /// What stands outside the pickle, under this name.
    Persistent(Id),
    /// Whatever nobody asks for: numbers with a fraction, bytes, sets, `None`.
    Other,
}

/// A call that is noted and not made.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) function: Id,
    pub(super) arguments: Id,
    /// Entries that the object was given as if it were a dictionary.
    pub(super) items: Vec<(Id, Id)>,
    /// Attributes that the object was given, most often as a dictionary.
    pub(super) state: Option<Id>,
}

/// The values that one pickle describes.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
}

impl Pickle {
    /// Reads one pickle and leaves `reader` behind its end. Takes memory in proportion to what it
    /// reads, and no stack.
    pub(super) fn read(reader: impl BufRead) -> Result<Self, String> {
        let mut machine = Machine {
            input: Input::new(reader),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        loop {
            let place = machine.input.place();
            let code = machine.input.byte();
            let step = code.and_then(|code| machine.step(code));
            match step.map_err(|reason| format!("pickle, byte {place}: {reason}"))? {
                None => {}
                Some(root) => {
                    return Ok(Self {
                        nodes: machine.nodes,
                        root,
                    });
                }
            }
        }
    }
}

struct Machine<R> {
    input: Input<R>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<R: BufRead> Machine<R> {
    /// Carries out one instruction; the last one gives the root.
    fn step(&mut self, code: u8) -> Result<Option<Id>, String> {
        match code {
            b'.' => return self.pop().map(Some),
            // The stack.
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.since_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // The memo.
            b'p' | b'q' | b'r' | 0x94 => {
                let key = match code {
                    b'p' => self.input.decimal()?,
                    b'q' => self.input.number(1)?,
                    b'r' => self.input.number(4)?,
                    _ => self.memo.len() as u64,
                };
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            b'g' | b'h' | b'j' => {
                let key = match code {
                    b'g' => self.input.decimal()?,
                    b'h' => self.input.number(1)?,
                    _ => self.input.number(4)?,
                };
                let value = self.memo.get(&key);
                let value = *value.ok_or_else(|| format!("memo {key} was never written"))?;
                self.stack.push(value);
            }
            // Numbers, texts, bytes.
            b'I' => {
                let line = self.input.line()?;
                self.push(match line.as_str() {
                    "00" => Node::Truth(false),
                    "01" => Node::Truth(true),
                    line => Node::Integer(integer(line)?),
                });
            }
            b'L' => {
                let line = self.input.line()?;
                let value = integer(line.trim_end_matches('L'))?;
                self.push(Node::Integer(value));
            }
            b'J' => {
                let bits = self.input.number(4)? as u32;
                self.push(Node::Integer(i128::from(bits as i32)));
            }
            b'K' | b'M' => {
                let value = self.input.number(if code == b'K' { 1 } else { 2 })?;
                self.push(Node::Integer(i128::from(value)));
            }
            0x8a | 0x8b => {
                let length = self.input.number(if code == 0x8a { 1 } else { 4 })?;
                let value = self.input.integer(length)?;
                self.push(value.map_or(Node::Other, Node::Integer));
            }
            0x88 | 0x89 => self.push(Node::Truth(code == 0x88)),
            b'F' => {
                self.input.line()?;
                self.push(Node::Other);
            }
            b'G' => self.skip(8)?,
            b'N' | 0x8f => self.push(Node::Other),
            b'S' | b'V' => {
                let line = self.input.line()?;
                let quotes: &[char] = if code == b'S' { &['\'', '"'] } else { &[] };
                self.push(Node::Text(line.trim_matches(quotes).to_string()));
            }
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.skip_counted(1)?,
            b'B' => self.skip_counted(4)?,
            0x8e | 0x96 => self.skip_counted(8)?,
            // Collections.
            b']' | b')' => self.push(Node::Sequence(Vec::new())),
            b'}' => self.push(Node::Map(Vec::new())),
            b'l' | b't' => {
                let items = self.since_mark()?;
                self.push(Node::Sequence(items));
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Node::Sequence(items));
            }
            b'd' => {
                let items = pairs(&self.since_mark()?)?;
                self.push(Node::Map(items));
            }
            0x91 => {
                self.since_mark()?;
                self.push(Node::Other);
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.since_mark()?)?;
                self.insert(items)?;
            }
            // Classes, functions and calls.
            b'c' => {
                let global = self.global()?;
                self.push(global);
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = match (&self.nodes[module], &self.nodes[name]) {
                    (Node::Text(module), Node::Text(name)) => format!("{module}.{name}"),
                    _ => return Err("the name of a class is no text".into()),
                };
                self.push(Node::Global(global));
            }
            0x82..=0x84 => {
                self.input.number(1 << (code - 0x82))?;
                self.push(Node::Other);
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments);
            }
            0x92 => {
                let _named = self.pop()?;
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments);
            }
            b'i' => {
                let global = self.global()?;
                let arguments = self.since_mark()?;
                let function = self.new_node(global);
                let arguments = self.new_node(Node::Sequence(arguments));
                self.call(function, arguments);
            }
            b'o' => {
                let mut arguments = self.since_mark()?.into_iter();
                let function = arguments.next().ok_or("an object of no class")?;
                let arguments = self.new_node(Node::Sequence(arguments.collect()));
                self.call(function, arguments);
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                if let Node::Object(object) = &mut self.nodes[target] {
                    object.state = Some(state);
                }
            }
            // What stands outside.
            b'P' => {
                let name = self.input.line()?;
                let name = self.new_node(Node::Text(name));
                self.push(Node::Persistent(name));
            }
            b'Q' => {
                let name = self.pop()?;
                self.push(Node::Persistent(name));
            }
            0x97 => self.push(Node::Other),
            0x98 => {}
            // The frame of the pickle itself.
            0x80 => match self.input.number(1)? {
                0..=5 => {}
                other => return Err(format!("protocol {other}, known are 0 to 5")),
            },
            0x95 => {
                self.input.number(8)?;
            }
            other => return Err(format!("unknown instruction {other:#04x}")),
        }
        Ok(None)
    }

    fn new_node(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn push(&mut self, node: Node) {
        let id = self.new_node(node);
        self.stack.push(id);
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).and_then(|above| above.last());
        above.copied().ok_or_else(|| "the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn call(&mut self, function: Id, arguments: Id) {
        self.push(Node::Object(Object {
            function,
            arguments,
            items: Vec::new(),
            state: None,
        }));
    }

    fn global(&mut self) -> Result<Node, String> {
        let (module, name) = (self.input.line()?, self.input.line()?);
        Ok(Node::Global(format!("{module}.{name}")))
    }

    /// Appends to the value on top. What an object or a set is given this way is forgotten.
    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let target = self.top()?;
        if let Node::Sequence(sequence) = &mut self.nodes[target] {
            sequence.extend(items);
        }
        Ok(())
    }

    fn insert(&mut self, new: Vec<(Id, Id)>) -> Result<(), String> {
        let target = self.top()?;
        match &mut self.nodes[target] {
            Node::Map(items) | Node::Object(Object { items, .. }) => items.extend(new),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, width: u32) -> Result<(), String> {
        let length = self.input.number(width)?;
        let bytes = self.input.bytes(length)?;
        self.push(Node::Text(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(())
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        self.input.skip(length)?;
        self.push(Node::Other);
        Ok(())
    }

    fn skip_counted(&mut self, width: u32) -> Result<(), String> {
        let length = self.input.number(width)?;
        self.skip(length)
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, []) = items.as_chunks::<2>() else {
        return Err("a key without a value".into());
    };
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

fn integer(line: &str) -> Result<i128, String> {
    line.trim()
        .parse()
        .map_err(|_| format!("`{line}` is no integer"))
}

#[cfg(test)]
mod tests {
    use super::{Node, Pickle};
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Pickle, String> {
        Pickle::read(bytes)
    }

    #[test]
    fn numbers_of_every_protocol() -> Result<(), String> {
        for (bytes, expected) in [
            (&b"I-7\n."[..], -7),
            (b"L1001L\n.", 1001),
            (b"J\xff\xff\xff\xff.", -1),
            (b"K\xff.", 255),
            (b"M\x00\x01.", 256),
            (b"\x8a\x00.", 0),
            (b"\x8a\x02\xff\x00.", 255),
            (b"\x8a\x01\x80.", -128),
            (b"\x8b\x03\x00\x00\x00\x00\x00\x01.", 65536),
        ] {
            let pickle = read(bytes)?;
            match pickle.nodes[pickle.root] {
                Node::Integer(found) => assert_eq!(found, expected),
                ref other => panic!("{other:?}"),
            }
        }
        Ok(())
    }

    #[test]
    fn an_unknown_instruction_is_named_with_its_place() {
        let error = read(b"\x80\x02}\xffq.").map(|_| ());
        let expected = "pickle, byte 3: unknown instruction 0xff";
        assert_eq!(error, Err(expected.to_string()));
        assert!(read(b"\x80\x06.").is_err());
    }

    /// Neither what claims to be long nor what is deep takes memory or stack.
    #[test]
    fn claims_cost_nothing() {
        for bytes in [
            &b"X\xff\xff\xff\xff"[..],
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        ] {
            assert!(read(bytes).is_err());
        }
        let mut deep = vec![b')'];
        deep.extend([0x85; 1_000_000]);
        deep.push(b'.');
        assert!(read(&deep).is_ok());
    }

    const CODES: &[u8] = b"(.012lt]})aesudbRQNhqK\x00\x01\
        \x81\x85\x86\x87\x88\x90\x91\x92\x93\x94";

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        /// The same of instructions alone, which go further.
        #[test]
        fn any_instructions_are_read_or_refused(
            codes in prop::collection::vec(
                prop::sample::select(CODES),
                0..400,
            )
        ) {
            let _ = read(&codes);
        }
    }
}
