//! In: the trees of the layers, the first one the most general. Out: one tree in which every value
//! keeps the mark of the layer that it comes from. It refuses to know what the keys mean.

use std::collections::HashMap;

use super::node::{Entry, Map, Node, Value};

/// The word that un-sets a key of an earlier layer.
pub(crate) const UNMANAGED: &str = "unmanaged";

/// Merges `layers`; nothing when there is none. Mappings merge key by key, everything else is
/// replaced whole by the later layer, and `unmanaged` takes a key out. Takes linear time.
pub(crate) fn merge(layers: impl IntoIterator<Item = Node>) -> Option<Node> {
    layers.into_iter().reduce(over).map(without_unmanaged)
}

/// `later` laid over `earlier`.
fn over(earlier: Node, later: Node) -> Node {
    match (earlier.value, later.value) {
        (Value::Map(earlier), Value::Map(later_map)) => {
            Node { value: Value::Map(maps(earlier, later_map)), mark: later.mark }
        }
        (_, value) => Node { value, mark: later.mark },
    }
}

/// The keys of `earlier` in their order, each with what `later` makes of it, then the new ones.
fn maps(earlier: Map, later: Map) -> Map {
    let mut new: HashMap<String, Entry> = HashMap::new();
    let mut order = Vec::new();
    for entry in later.into_entries() {
        order.push(entry.key.clone());
        new.insert(entry.key.clone(), entry);
    }
    let mut merged: Vec<Entry> = earlier
        .into_entries()
        .into_iter()
        .map(|old| match new.remove(&old.key) {
            Some(entry) => Entry { node: over(old.node, entry.node), ..entry },
            None => old,
        })
        .collect();
    merged.extend(order.into_iter().filter_map(|key| new.remove(&key)));
    merged.into_iter().collect()
}

/// The tree without the keys that are `unmanaged`.
fn without_unmanaged(node: Node) -> Node {
    let value = match node.value {
        Value::Map(map) => Value::Map(
            map.into_entries()
                .into_iter()
                .filter(|entry| !is_unmanaged(&entry.node))
                .map(|entry| Entry { node: without_unmanaged(entry.node), ..entry })
                .collect(),
        ),
        value => value,
    };
    Node { value, mark: node.mark }
}

fn is_unmanaged(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == UNMANAGED)
}
