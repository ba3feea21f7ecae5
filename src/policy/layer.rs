//! The merging of policy layers, the first one the most general. Every value keeps the span of the layer
//! that it comes from.

use std::collections::HashMap;

use crate::yaml::node::{Entry, Map, Node, Value, key_path};

/// The word that un-sets a key of an earlier layer.
pub(crate) const UNMANAGED: &str = "unmanaged";

/// The lists that grow with every layer: what one layer says of single tokens is not a word against what
/// another one says of others.
const APPENDED: [&str; 2] = ["waivers", "tokens.rules"];

/// Merges `layers`; `None` when there is none. Mappings merge key by key, the appended lists grow,
/// everything else is replaced whole by the later layer, and `unmanaged` takes a key out. Takes linear
/// time.
pub(crate) fn merge(layers: impl IntoIterator<Item = Node>) -> Option<Node> {
    layers.into_iter().reduce(|earlier, later| over("", earlier, later)).map(without_unmanaged)
}

/// `later` laid over `earlier`, both at `path`.
fn over(path: &str, earlier: Node, later: Node) -> Node {
    let (span, written) = (later.span, later.written);
    let value = match (earlier.value, later.value) {
        (Value::Map(earlier), Value::Map(later)) => Value::Map(maps(path, earlier, later)),
        (Value::List(mut items), Value::List(more)) if APPENDED.contains(&path) => {
            items.extend(more);
            Value::List(items)
        }
        (_, value) => value,
    };
    Node { value, span, written }
}

/// The keys of `earlier` in their order, each with what `later` makes of it, then the new ones.
fn maps(path: &str, earlier: Map, later: Map) -> Map {
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
            Some(entry) => Entry { node: over(&key_path(path, &old.key), old.node, entry.node), ..entry },
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
    Node { value, span: node.span, written: node.written }
}

/// Whether a key of the tree is `unmanaged`, so that a policy of this tree alone is without it.
pub(super) fn un_sets(root: &Node) -> bool {
    match &root.value {
        Value::Map(map) => map.iter().any(|entry| is_unmanaged(&entry.node) || un_sets(&entry.node)),
        _ => false,
    }
}

fn is_unmanaged(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text == UNMANAGED)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::yaml::source::parse;

    fn tree(yaml: &str) -> Node {
        parse(&Arc::from("layer.yaml"), yaml.as_bytes()).root.unwrap()
    }

    fn lay_over(earlier: Node, later: Node) -> Node {
        over("", earlier, later)
    }

    fn merged(layers: &[&Node]) -> String {
        layers.iter().map(|layer| (*layer).clone()).reduce(lay_over).unwrap().canonical()
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
            let left = lay_over(lay_over(a.clone(), b.clone()), c.clone()).canonical();
            let right = lay_over(a, lay_over(b, c)).canonical();
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
        let at = crate::yaml::node::At::root(&merged);
        let line = |key: &str| at.find(&["a", key]).unwrap().span().place.line;
        assert_eq!((line("b"), line("c")), (2, 4));
    }
}
