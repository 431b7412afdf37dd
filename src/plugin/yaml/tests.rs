//! Edited text reads as it was meant, and all other bytes stay.

use proptest::prelude::*;

use super::*;

fn root(tree: &Tree<'_>) -> Id {
    tree.documents()[0].root.expect("a document")
}

/// Returns the text after what `change` does to the map at its root.
fn edited(text: &str, change: impl FnOnce(&mut Editor<'_, '_>, &Tree<'_>, Id)) -> String {
    let tree = Tree::read(text).unwrap();
    let mut editor = Editor::new(&tree);
    change(&mut editor, &tree, root(&tree));
    editor.finish().unwrap()
}

fn data(text: &str) -> serde_json::Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn container() -> Data {
    Data::map([
        ("name", Data::text("health-proxy")),
        ("command", Data::List(vec![Data::text("a"), Data::text("b c")])),
        ("ports", Data::List(vec![Data::map([("containerPort", Data::number(9809))])])),
        ("note", Data::text("one\n  two\n")),
        ("none", Data::Map(Vec::new())),
    ])
}

const CONTAINER: &str = r#"{"name":"health-proxy","command":["a","b c"],"ports":[{"containerPort":9809}],"note":"one\n  two\n","none":{}}"#;

#[test]
fn a_tree_knows_values_lines_and_merges() {
    let text = "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: [q, \"1\"]\n";
    let tree = Tree::read(text).unwrap();
    let root = root(&tree);
    assert_eq!(tree.integer(tree.at(root, &["c", "b"]).unwrap()), Some(1));
    assert_eq!(tree.integer(tree.at(root, &["d", "b"]).unwrap()), Some(1));
    let list = tree.at(root, &["d", "e"]).unwrap();
    assert_eq!((tree.line(list), tree.items(list).len()), (5, 2));
    assert_eq!(tree.integer(tree.items(list)[1]), None, "a text of a digit");
    assert!(tree.at(root, &["d", "f"]).is_none());
}

#[test]
fn what_is_no_yaml_is_named_by_document_and_line() {
    for (text, document, line, message) in [
        ("a: 1\na: 2\n", 1, 2, "\"a\" stands twice in one map"),
        ("a: 1\n---\nb: [\n", 2, 3, "no YAML: unclosed bracket '['"),
        ("a: *x\n", 1, 1, "no YAML"),
        ("a: 1\n b: 2\n", 1, 2, "no YAML"),
        ("a: &x\n  b: *x\n", 1, 2, "an alias of what it stands in"),
    ] {
        let error = Tree::read(text).expect_err(text);
        assert_eq!((error.document, error.line), (document, line), "{text}: {error}");
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut laughs = "l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..9 {
        let inner = vec![format!("*l{}", level - 1); 10].join(", ");
        laughs.extend([format!("l{level}: &l{level} [{inner}]\n")]);
    }
    let error = Tree::read(&laughs).expect_err("a billion");
    assert_eq!(
        (error.line, error.to_string().as_str()),
        (7, "aliases that stand for more than anybody can mean")
    );
}

/// Texts with a list `items` and a map `map`, in every notation.
const NOTATIONS: [&str; 9] = [
    "items:\n  - name: a # first\n    x: 1\nmap:\n  k: v # last\nend: 1\n",
    "items:\n- name: a\n  # inner\nmap:\n    k: v\n\n# tail\nend: 1",
    "map: {k: v}\nitems: [{name: a}] # c\nend: 1\n",
    "{\"map\":{\"k\":\"v\"},\"items\":[{\"name\":\"a\"}],\"end\":1}",
    "{\n  \"map\": {\n    \"k\": \"v\"\n  },\n  \"items\": [\n    {\n      \"name\": \"a\"\n    }\n  ],\n  \"end\": 1\n}\n",
    "{\n\t\"map\": {\n\t\t\"k\": \"v\"\n\t},\n\t\"items\": [\n\t\t{\"name\": \"a\"}\n\t],\n\t\"end\": 1\n}\n",
    "# top\r\nitems:\r\n  -\r\n    name: a\r\nmap:\r\n  k: |\r\n    v\r\nend: 1\r\n",
    "items:\n  - # why\n    name: a\nmap:\n  k: 'v'\nend: 1\n",
    "map: &m\n  k: >-\n    v\n\n\nitems:\n- &i\n  name: a\nend: 1\n",
];

#[test]
fn what_is_put_in_is_read_there_and_taken_out_again() {
    for text in NOTATIONS {
        let before = data(text);
        let with = edited(text, |editor, tree, root| {
            let (items, map) = (tree.get(root, "items").unwrap(), tree.get(root, "map").unwrap());
            editor.insert_entry(map, None, "new", &container());
            editor.insert_first_entry(map, "zero", &Data::number(0));
            editor.prepend_item(items, &container());
            editor.append_item(items, &Data::map([("name", Data::text("z"))]));
            editor.insert_entry(root, Some("map"), "more", &Data::text("yes"));
        });
        let mut expected = before.clone();
        let new: serde_json::Value = serde_json::from_str(CONTAINER).unwrap();
        expected["map"]["new"] = new.clone();
        expected["map"]["zero"] = 0.into();
        expected["items"] = serde_json::json!([new, before["items"][0], {"name": "z"}]);
        expected["more"] = "yes".into();
        assert_eq!(data(&with), expected, "{with}");
        let without = edited(&with, |editor, tree, root| {
            let (items, map) = (tree.get(root, "items").unwrap(), tree.get(root, "map").unwrap());
            editor.remove_entry(map, "new");
            editor.remove_entry(map, "zero");
            editor.remove_item(items, 0);
            editor.remove_item(items, 2);
            editor.remove_entry(root, "more");
        });
        assert_eq!(without, text);
    }
}

#[test]
fn an_entry_is_replaced_and_restored_to_the_byte() {
    for text in [
        "a:\n  - name: x\n    probe: # why\n      # inner\n      path: /\n\n      port: 80 # last\n    # after\n    z: 1\n",
        "a:\n- probe: {path: /, port: 80} # c\n  name: x\n",
        "a: [{name: x, probe: {path: /, port: 80}}]\n",
        "a:\r\n  - name: x\r\n    probe:\r\n      path: |\r\n        /\r\n        y \r\n      port: 80\r\n",
        "{\n  \"a\": [\n    {\n      \"name\": \"x\",\n      \"probe\": {\n        \"path\": \"/\",\n        \"port\": 80\n      }\n    }\n  ]\n}\n",
    ] {
        let new = Data::map([("get", Data::map([("port", Data::number(9809))])), ("n", Data::number(3))]);
        let mut source = None;
        let replaced = edited(text, |editor, tree, root| {
            let item = tree.items(tree.get(root, "a").unwrap())[0];
            source = editor.source_of_entry(item, "probe");
            editor.replace_entry(item, "probe", &new);
        });
        let probe = &data(&replaced)["a"][0]["probe"];
        assert_eq!(*probe, serde_json::json!({"get": {"port": 9809}, "n": 3}), "{replaced}");
        let old = Data::map([("path", Data::text("/")), ("port", Data::number(80))]);
        let restored = edited(&replaced, |editor, tree, root| {
            let item = tree.items(tree.get(root, "a").unwrap())[0];
            let source = source.unwrap_or_else(|| "several\nlines".to_owned());
            editor.restore_entry(item, "probe", &source, &old);
        });
        assert_eq!(restored, text);
    }
}

#[test]
fn what_is_empty_is_filled_and_emptied() {
    for text in
        ["a:\nb: 1\n", "a: {} # none\nb: 1\n", "a: ~\n", "{a: {}, b: 1}", "{\"a\":null}", "a:   # none\n"]
    {
        let filled = edited(text, |editor, _, root| {
            editor.fill_entry(root, "a", &Data::map([("k", Data::text("v"))]));
        });
        assert_eq!(data(&filled)["a"], serde_json::json!({"k": "v"}), "{filled}");
        let tree = Tree::read(text).unwrap();
        let source = tree.source(tree.entry(root(&tree), "a").unwrap().value);
        let emptied = edited(&filled, |editor, _, root| editor.set_source(root, "a", source));
        assert_eq!(data(&emptied), data(text), "{emptied}");
    }
}

#[test]
fn an_alias_of_what_goes_is_written_out() {
    let text = "a:\n  x: &p\n    k: [1]\nb:\n  y: *p\n  z:\n    <<: *p\n    m: 2\n";
    let without = edited(text, |editor, tree, root| {
        editor.replace_entry(tree.get(root, "a").unwrap(), "x", &Data::number(0));
    });
    assert_eq!(without, "a:\n  x: 0\nb:\n  y: {\"k\": [1]}\n  z:\n    <<: {\"k\": [1]}\n    m: 2\n");
}

#[test]
fn changes_that_contradict_each_other_are_refused() {
    let tree = Tree::read("a: 1\nb: 2\n").unwrap();
    let mut editor = Editor::new(&tree);
    editor.replace_entry(root(&tree), "b", &Data::number(3));
    editor.replace_entry(root(&tree), "b", &Data::number(3));
    editor.replace_entry(root(&tree), "b", &Data::number(4));
    assert_eq!(editor.finish(), Err(2));
}

/// Returns a text that YAML might take for something else, or that has to be written in quotes.
fn text() -> impl Strategy<Value = String> {
    const AWKWARD: [&str; 12] =
        ["", "no", "0x1f", "1e3", "- a", "a: b", "a #b", "é\u{a0}", "\u{2028}", "{{ .x }}", "12:30", "~"];
    prop_oneof![
        prop::sample::select(&AWKWARD[..]).prop_map(str::to_owned),
        "\\PC{0,12}",
        "[a-z \\n\\t#:{}\"'\\\\-]{0,20}",
    ]
}

fn value() -> impl Strategy<Value = Data> {
    let leaf = prop_oneof![text().prop_map(Data::Text), any::<i64>().prop_map(Data::number)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let entries = prop::collection::btree_map("[a-z.]{1,6}", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Data::List),
            entries.prop_map(|entries| Data::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_read_back_from_any_notation(value in value(), dash in 0..=2_usize) {
        let lists = ["k:\n- 0\n", "k:\n - 0\n", "k:\n  - 0\n"][dash];
        for text in [lists, "{k: [0]}", "{\n  \"k\": 0\n}\n"] {
            let with = edited(text, |editor, _, root| editor.insert_entry(root, None, "new", &value));
            let tree = Tree::read(&with).unwrap();
            let found = Data::of(&tree, tree.get(root(&tree), "new").unwrap());
            prop_assert_eq!(&found, &value, "{}", with);
        }
    }
}

#[test]
fn what_was_kept_stands_in_brackets_only_as_it_reads_the_same_there() {
    let value = Data::map([("b", Data::number(1))]);
    let blank = Data::Plain(String::new());
    for (text, kept, value, expected) in [
        ("{x: 0, a: {}}", "a: {b: 1}", &value, "{x: 0, a: {b: 1}}"),
        ("{a: {}, x: 0}", "a: {b: 1} # why", &value, "{a: {\"b\": 1}, x: 0}"),
        ("{\"a\": {}, \"x\": 0}", "a: {b: 1}", &value, "{\"a\": {\"b\": 1}, \"x\": 0}"),
        ("{\"a\": {}}", "a: {\"b\":1  }", &value, "{\"a\": {\"b\":1  }}"),
        ("{\"a\": {}}", "a: ~", &Data::Plain("~".to_owned()), "{\"a\": null}"),
        ("{\"a\": {}}", "a:", &blank, "{\"a\": null}"),
        ("{a: {}}", "a:", &blank, "{a:}"),
    ] {
        let restored = edited(text, |editor, _, root| editor.restore_entry(root, "a", kept, value));
        assert_eq!(restored, expected);
    }
    for (text, kept, expected) in [
        ("{\"a\": {}}", "", "{\"a\": null}"),
        ("{\"a\": {}}", "[]", "{\"a\": []}"),
        ("{\"a\": {}}", "~", "{\"a\": null}"),
        ("{a: {}}", "~", "{a: ~}"),
    ] {
        assert_eq!(edited(text, |editor, _, root| editor.set_source(root, "a", kept)), expected);
    }
}
