//! Where in a checkpoint the weights stand.

use super::Checkpoint;
use super::pickle::{Id, Node, Object};
use super::view::View;

/// The entries that training scripts put weights under, best first: weights as they were trained
/// come before averages of them.
const ENTRIES: [&str; 23] = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "net_state_dict",
    "model_state",
    "student",
    "student_state_dict",
    "module",
    "weights",
    "params",
    "state",
    "state_dict_ema",
    "model_ema_state_dict",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
    "params_ema",
    "averaged_model",
    "swa_model",
    "swa_state_dict",
];

/// The attributes in which a PyTorch module keeps its parts. They are no part of their names.
const PARTS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Names and tensors of the weights.
pub(super) fn weights(checkpoint: &Checkpoint) -> Result<Vec<(String, View)>, String> {
    let mut walk = Walk {
        checkpoint,
        // A checkpoint of thousands of tensors takes thousands of steps; one that holds itself
        // would take them without end.
        steps: 1_000_000,
    };
    walk.entry(checkpoint.pickle.root, 0)
}

type Found = Vec<(String, View)>;

struct Walk<'a> {
    checkpoint: &'a Checkpoint,
    steps: usize,
}

impl Walk<'_> {
    /// The tensors under the best of the known entries, or else all.
    fn entry(&mut self, id: Id, depth: usize) -> Result<Found, String> {
        /// `{"state": {"model": …}}` has two.
        const DEEPEST: usize = 4;
        let items = self.items(id);
        if depth < DEEPEST {
            for entry in ENTRIES {
                // As in Python, the last of equal keys counts.
                let mut named = items.iter().rev();
                let Some(&(_, value)) = named.find(|(key, _)| key == entry) else {
                    continue;
                };
                let found = self.entry(value, depth + 1)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        }
        let mut found = Vec::new();
        self.flatten(id, "", 0, &mut found)?;
        Ok(found)
    }

    /// Every tensor below, the keys on the way to it joined by points.
    fn flatten(
        &mut self,
        id: Id,
        prefix: &str,
        depth: usize,
        found: &mut Found,
    ) -> Result<(), String> {
        const DEEPEST: usize = 100;
        let attributes = self.attributes(id).into_iter().map(|item| (item, true));
        let items = self.items(id).into_iter().map(|item| (item, false));
        let children: Vec<_> = items.chain(attributes).collect();
        self.steps = match self.steps.checked_sub(1 + children.len()) {
            Some(steps) if depth < DEEPEST => steps,
            _ => return Err("its values are nested without end".into()),
        };
        for ((key, value), attribute) in children {
            let name = match attribute && PARTS.contains(&key.as_str()) {
                true => prefix.to_string(),
                false if prefix.is_empty() => key,
                false => format!("{prefix}.{key}"),
            };
            match self.tensor(value) {
                Some(view) => {
                    let view = view.map_err(|reason| format!("{name}: {reason}"))?;
                    found.push((name, view));
                }
                None => self.flatten(value, &name, depth + 1, found)?,
            }
        }
        Ok(())
    }

    fn tensor(&self, id: Id) -> Option<Result<View, String>> {
        let pickle = &self.checkpoint.pickle;
        match pickle.nodes[id] {
            Node::Persistent(name) => {
                let view = self.checkpoint.outside.get(&pickle.key(name)?)?;
                Some(Ok(view.clone()))
            }
            _ => pickle.tensor(id),
        }
    }

    /// What a dictionary of any class holds under texts.
    fn items(&self, id: Id) -> Vec<(String, Id)> {
        let pickle = &self.checkpoint.pickle;
        match &pickle.nodes[id] {
            Node::Map(items) => self.named(items),
            Node::Object(Object {
                arguments, items, ..
            }) => {
                // Python 2 gives an `OrderedDict` its items as a list of pairs.
                let arguments = pickle.sequence(*arguments).unwrap_or_default();
                let list = arguments.first().and_then(|&list| pickle.sequence(list));
                let pairs = list.unwrap_or_default().iter();
                let pairs = pairs.map_while(|&pair| match pickle.sequence(pair)? {
                    &[key, value] => Some((key, value)),
                    _ => None,
                });
                let mut named = self.named(&pairs.collect::<Vec<_>>());
                named.extend(self.named(items));
                named
            }
            _ => Vec::new(),
        }
    }

    /// What an object has as attributes.
    fn attributes(&self, id: Id) -> Vec<(String, Id)> {
        let pickle = &self.checkpoint.pickle;
        let Node::Object(Object {
            state: Some(state), ..
        }) = pickle.nodes[id]
        else {
            return Vec::new();
        };
        // With slots it is a pair.
        let state = match pickle.sequence(state) {
            Some(&[state, _slots]) => state,
            _ => state,
        };
        self.named(pickle.map(state).unwrap_or_default())
    }

    fn named(&self, items: &[(Id, Id)]) -> Vec<(String, Id)> {
        let pickle = &self.checkpoint.pickle;
        let named = items.iter();
        named
            .filter_map(|&(key, value)| Some((pickle.text(key)?.to_string(), value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::pickle::Pickle;
    use super::{Checkpoint, weights};

    fn found(pickle: &[u8]) -> Result<Vec<String>, String> {
        let checkpoint = Checkpoint {
            pickle: Pickle::read(pickle)?,
            places: HashMap::new(),
            outside: HashMap::new(),
        };
        let found = weights(&checkpoint)?.into_iter();
        Ok(found.map(|(name, _)| name).collect())
    }

    /// `torch._utils._rebuild_tensor_v2` of one number, with this shape and these strides.
    fn tensor(shape: &str, stride: &str) -> String {
        let storage = "(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI1\ntQ";
        format!("ctorch._utils\n_rebuild_tensor_v2\n({storage}I0\n({shape}t({stride}ttR")
    }

    #[test]
    fn the_trained_weights_come_before_their_average() -> Result<(), String> {
        let one = tensor("I1\n", "I1\n");
        let entry = |key: &str, name: &str| format!("V{key}\n}}V{name}\n{one}ss");
        let both = format!("}}{}{}.", entry("model_ema", "a"), entry("model", "b"));
        assert_eq!(found(both.as_bytes())?, ["b"]);
        let average = format!("}}{}V{}\n{one}s.", entry("model_ema", "a"), "best_acc");
        assert_eq!(found(average.as_bytes())?, ["a"]);
        let unknown = format!("}}{}.", entry("mine", "a"));
        assert_eq!(found(unknown.as_bytes())?, ["mine.a"]);
        Ok(())
    }

    /// A dictionary that holds itself, once or twice, and one that doubles at every level.
    #[test]
    fn what_holds_itself_is_refused() {
        assert!(found(b"}q\x00Va\nh\x00s.").is_err());
        assert!(found(b"}q\x00Va\nh\x00sVb\nh\x00s.").is_err());
        assert!(found(b"}q\x00Vmodel\nh\x00sVnet\nh\x00s.").is_err());
        let doubled = "}q\x01Va\nh\x00sVb\nh\x00sh\x01q\x000".repeat(60);
        assert!(found(format!("}}q\x00{doubled}h\x00.").as_bytes()).is_err());
    }

    #[test]
    fn a_tensor_beyond_its_storage_is_refused() -> Result<(), String> {
        let of = |shape: &str, stride: &str| {
            found(format!("}}Va\n{}s.", tensor(shape, stride)).as_bytes())
        };
        assert_eq!(of("I1\n", "I1\n")?, ["a"]);
        assert_eq!(of("I0\nI5\n", "I5\nI1\n")?, ["a"]);
        assert!(of("I2\n", "I1\n").is_err());
        assert!(of("I9223372036854775807\nI8\n", "I0\nI0\n").is_err());
        assert!(of("I2\n", "I9223372036854775807\n").is_err());
        assert!(of("I1\nI1\n", "I1\n").is_err());
        Ok(())
    }
}
