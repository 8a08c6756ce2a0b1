//! Which operations are computed as one: the longest chains that [`kd_nn::Fused`] takes.

use super::{Kind, Op, Plan, Value};

/// What is computed at a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A node by itself.
    Node(Value),
    /// A chain from one value to another.
    Fused {
        input: Value,
        links: Vec<Link>,
        output: Value,
    },
}

/// A layer, by its number, or an operation of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Conv(usize),
    Norm(usize),
    Relu,
    /// What has been computed so far is the shortcut.
    Branch,
    AddShortcut,
    AddProjection {
        conv: usize,
        norm: usize,
    },
    AddValue(Value),
}

impl Step {
    /// The values that it needs.
    pub(crate) fn inputs(&self, plan: &Plan) -> Vec<Value> {
        match self {
            Self::Node(node) => plan.nodes[*node].inputs().collect(),
            Self::Fused { input, links, .. } => {
                let added = links.iter().filter_map(|link| match link {
                    Link::AddValue(value) => Some(*value),
                    _ => None,
                });
                std::iter::once(*input).chain(added).collect()
            }
        }
    }

    pub(crate) fn output(&self) -> Value {
        match self {
            Self::Node(node) => *node,
            Self::Fused { output, .. } => *output,
        }
    }
}

/// The steps of a plan, in order.
pub(super) fn steps(plan: &Plan, seen: Vec<bool>) -> Vec<Step> {
    let mut topology = Topology::of(plan, seen);
    let mut steps = Vec::new();
    for node in 1..plan.nodes.len() {
        if topology.done[node] {
            continue;
        }
        let chain = topology
            .chain(node, true)
            .or_else(|| topology.chain(node, false));
        match chain {
            Some(chain) => {
                let input = plan.nodes[node].input;
                let output = chain.end;
                chain.nodes.iter().for_each(|&n| topology.done[n] = true);
                steps.push(Step::Fused {
                    input,
                    links: chain.links,
                    output,
                });
            }
            None => {
                topology.done[node] = true;
                steps.push(Step::Node(node));
            }
        }
    }
    steps
}

struct Topology<'a> {
    plan: &'a Plan,
    /// Nodes that read each value.
    readers: Vec<Vec<Value>>,
    /// Whether something outside of the network reads it.
    seen: Vec<bool>,
    done: Vec<bool>,
}

#[derive(Clone)]
struct Chain {
    links: Vec<Link>,
    nodes: Vec<Value>,
    end: Value,
}

/// A shortcut that is still to be added.
struct Open {
    add: Value,
    /// Its convolution and norm.
    projection: Option<[Value; 2]>,
    /// The chain up to where it leaves.
    before: Chain,
}

impl<'a> Topology<'a> {
    fn of(plan: &'a Plan, seen: Vec<bool>) -> Self {
        let count = plan.nodes.len();
        let mut readers = vec![Vec::new(); count];
        let mut done = vec![false; count];
        // From the end, so that what only unread nodes read is unread.
        for (number, node) in plan.nodes.iter().enumerate().skip(1).rev() {
            done[number] = readers[number].is_empty() && !seen[number];
            if !done[number] {
                node.inputs()
                    .for_each(|input| readers[input].insert(0, number));
            }
        }
        Self {
            plan,
            readers,
            seen,
            done,
        }
    }

    /// The longest chain that begins with a node, if it can begin one. `branches`: whether its input may be a shortcut.
    fn chain(&self, first: Value, branches: bool) -> Option<Chain> {
        let input = self.plan.nodes[first].input;
        let empty = Chain {
            links: Vec::new(),
            nodes: Vec::new(),
            end: input,
        };
        let mut open = branches.then(|| self.open(input, first, &empty)).flatten();
        let mut chain = empty;
        let mut node = first;
        loop {
            let link = self.link(node, first, open.as_ref());
            let Some(link) = link else { break };
            if matches!(link, Link::AddShortcut | Link::AddProjection { .. }) {
                let closed = open.take();
                chain
                    .nodes
                    .extend(closed.and_then(|o| o.projection).into_iter().flatten());
            }
            chain.links.push(link);
            chain.nodes.push(node);
            chain.end = node;
            if self.seen[node] {
                break;
            }
            let next = match self.readers[node][..] {
                [next] => Some(next),
                _ if open.is_some() => None,
                ref readers => readers.iter().copied().find(|&main| {
                    open = self.open(node, main, &chain);
                    open.is_some()
                }),
            };
            let Some(next) = next else { break };
            if self.plan.nodes[next].input != node {
                break;
            }
            if open.as_ref().is_some_and(|o| o.before.end == node) {
                chain.links.push(Link::Branch);
            }
            node = next;
        }
        // A branch that was not closed is not begun either.
        let chain = match open {
            Some(open) => open.before,
            None => chain,
        };
        (!chain.links.is_empty()).then_some(chain)
    }

    fn link(&self, node: Value, first: Value, open: Option<&Open>) -> Option<Link> {
        match self.plan.nodes[node].op {
            Op::Layer(layer) => match self.plan.layers[layer].kind {
                Kind::Conv { .. } => Some(Link::Conv(layer)),
                Kind::Norm { .. } => Some(Link::Norm(layer)),
                Kind::Linear { .. } => None,
            },
            // After a flattening there is no map.
            Op::Relu => {
                matches!(self.plan.nodes[node].shape, super::Shape::Map(_)).then_some(Link::Relu)
            }
            Op::Add(other) => match open {
                Some(open) if open.add == node => Some(match open.projection {
                    None => Link::AddShortcut,
                    Some([conv, norm]) => Link::AddProjection {
                        conv: self.layer(conv)?,
                        norm: self.layer(norm)?,
                    },
                }),
                _ => (other < first).then_some(Link::AddValue(other)),
            },
            _ => None,
        }
    }

    fn layer(&self, node: Value) -> Option<usize> {
        match self.plan.nodes[node].op {
            Op::Layer(layer) => Some(layer),
            _ => None,
        }
    }

    /// The shortcut from `value`, if besides `main` there is one reader and it leads to an addition.
    fn open(&self, value: Value, main: Value, chain: &Chain) -> Option<Open> {
        let others: Vec<Value> = self.readers[value]
            .iter()
            .copied()
            .filter(|&reader| reader != main && !self.done[reader])
            .collect();
        let &[other] = &others[..] else { return None };
        let adds = |node: Value, addend: Value| {
            self.plan.nodes[node].op == Op::Add(addend) && self.plan.nodes[node].input != addend
        };
        let only = |value: Value| match (&self.readers[value][..], self.seen[value]) {
            (&[reader], false) => Some(reader),
            _ => None,
        };
        let open = |add, projection| {
            Some(Open {
                add,
                projection,
                before: chain.clone(),
            })
        };
        if adds(other, value) {
            return open(other, None);
        }
        let is = |node: Value, conv: bool| {
            self.layer(node).is_some_and(|layer| {
                let kind = &self.plan.layers[layer].kind;
                matches!(kind, Kind::Conv { .. }) == conv && !matches!(kind, Kind::Linear { .. })
            })
        };
        let norm = only(other)?;
        let add = only(norm)?;
        (is(other, true) && is(norm, false) && adds(add, norm))
            .then(|| open(add, Some([other, norm])))
            .flatten()
    }
}
