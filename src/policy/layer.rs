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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::source::parse;

    fn tree(yaml: &str) -> Node {
        parse(&Arc::from("layer.yaml"), yaml.as_bytes()).root.unwrap()
    }

    fn merged(layers: &[&Node]) -> String {
        layers.iter().map(|layer| (*layer).clone()).reduce(over).unwrap().canonical()
    }

    prop_compose! {
        /// A layer in which every key has the same shape as in every other layer.
        fn layers()(
            words in proptest::collection::btree_map("[a-c]", "[x-z]|unmanaged", 0..3),
            inner in proptest::collection::btree_map("[d-f]", "\\[[x-z], [x-z]\\]", 0..3),
        ) -> Node {
            let lines = |keys: std::collections::BTreeMap<String, String>| {
                keys.into_iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
            };
            tree(&format!("{{words: {{{}}}, inner: {{{}}}}}", lines(words), lines(inner)))
        }
    }

    proptest! {
        #[test]
        fn merging_is_associative(a in layers(), b in layers(), c in layers()) {
            let left = over(over(a.clone(), b.clone()), c.clone()).canonical();
            let right = over(a, over(b, c)).canonical();
            prop_assert_eq!(left, right);
        }

        #[test]
        fn merging_is_idempotent_and_an_empty_layer_changes_nothing(layer in layers()) {
            let empty = tree("{}");
            prop_assert_eq!(merged(&[&layer, &layer]), layer.canonical());
            prop_assert_eq!(merged(&[&empty, &layer]), layer.canonical());
            prop_assert_eq!(merged(&[&layer, &empty]), layer.canonical());
        }
    }

    #[test]
    fn every_value_keeps_the_mark_of_its_layer() {
        let first = tree("a:\n  b: 1\n  c: 2\n");
        let second = tree("\n\na:\n  c: 3\n");
        let merged = merge([first, second]).unwrap();
        let at = crate::policy::node::At::root(&merged);
        let line = |key: &str| at.find(&["a", key]).unwrap().mark().place.line;
        assert_eq!((line("b"), line("c")), (2, 4));
    }
}
