//! Arrangements of channels that are read by one other arrangement alone are computed with it.

use kd_nn::Arrangement;

use super::{Node, Op, Value};

/// Lets every arrangement read what the arrangements before it read, where no other node reads those. They stay in the list, unread.
pub(super) fn merge(nodes: &mut [Node], seen: &[bool]) {
    for number in 1..nodes.len() {
        while let Some(merged) = merged(nodes, seen, number) {
            nodes[number].input = merged.0[0];
            nodes[number].op = Op::Arrange(merged.0.get(1).copied(), merged.1);
        }
    }
}

/// What an arrangement reads and how, one of its inputs passed over.
fn merged(nodes: &[Node], seen: &[bool], number: Value) -> Option<(Vec<Value>, Arrangement)> {
    let Op::Arrange(_, arrangement) = &nodes[number].op else {
        return None;
    };
    let inputs: Vec<Value> = nodes[number].inputs().collect();
    let (place, &passed) = inputs.iter().enumerate().find(|&(_, &input)| {
        let readers = nodes.iter().skip(1).flat_map(Node::inputs);
        let once = readers.filter(|&read| read == input).count() == 1;
        once && !seen[input] && matches!(nodes[input].op, Op::Arrange(..))
    })?;
    let Op::Arrange(_, inner) = &nodes[passed].op else {
        return None;
    };
    let mut values: Vec<Value> = inputs
        .iter()
        .copied()
        .filter(|&input| input != passed)
        .collect();
    let mut place_of = |value: Value| match values.iter().position(|&v| v == value) {
        Some(place) => place,
        None => {
            values.push(value);
            values.len() - 1
        }
    };
    let sources: Vec<Value> = nodes[passed].inputs().collect();
    let order = arrangement
        .order()
        .iter()
        .map(|&(map, channel)| match map == place {
            true => {
                let (map, channel) = inner.order()[channel];
                (place_of(sources[map]), channel)
            }
            false => (place_of(inputs[map]), channel),
        });
    let order = order.collect();
    (values.len() <= 2).then(|| (values, Arrangement::new(order)))
}
