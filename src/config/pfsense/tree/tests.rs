use proptest::prelude::*;

use super::*;

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_file_comes_back_as_it_was() {
    let text = "<?xml version=\"1.0\"?>\n<pfsense>\n\t<version>22.9</version>\n\t<empty></empty>\n\t<filter>\n\t\t<rule>\n\
                \t\t\t<descr><![CDATA[R&amp;D &eacute;]]></descr>\n\t\t\t<note>a &lt; b</note>\n\t\t</rule>\n\t</filter>\n\
                </pfsense>\n";
    let tree = parse(text).unwrap();
    assert_eq!(tree.to_xml(), text);
    let rule = tree.root.find(&["filter", "rule"]).unwrap();
    assert_eq!(rule.text_of("descr"), Some("R&D é"));
    assert_eq!(rule.text_of("note"), Some("a < b"));
    assert_eq!((tree.line(rule), tree.line(rule.child("note").unwrap())), (Some(6), Some(8)));
    assert_eq!((tree.product, tree.version.as_deref()), (Product::Pfsense, Some("22.9")));
}

#[test]
fn the_version_says_how_texts_are_decoded() {
    let file = |version: &str| {
        format!(
            "<pfsense><a><descr><![CDATA[&eacute;&amp;]]></descr></a><version>{version}</version></pfsense>"
        )
    };
    let text =
        |version: &str| parse(&file(version)).unwrap().root.find(&["a", "descr"]).unwrap().text.clone();
    assert_eq!((text("24.4"), text("9.8"), text("24.5")), ("é&".into(), "é&".into(), "&eacute;&".into()));
    let opnsense = "<opnsense><descr><![CDATA[&amp;]]></descr><b v=\"1\" w='\"'/></opnsense>";
    let tree = parse(opnsense).unwrap();
    assert_eq!(tree.root.text_of("descr"), Some("&amp;"));
    assert!(tree.to_xml().contains("  <b v=\"1\" w=\"&quot;\"/>\n"), "{}", tree.to_xml());
}

#[test]
fn white_space_is_for_the_eye_and_names_fold() {
    let tree = parse("<pfSense>\r\n  <A>\n\t x y \n</A><b> \n </b><C/></pfSense>").unwrap();
    assert_eq!(tree.root.child("a").unwrap().text, " x y ");
    assert!(tree.root.child("B").unwrap().is_empty() && tree.root.has("c"));
    let same = parse("<pfsense><a> x y </a><b></b><c></c></pfsense>").unwrap();
    assert_eq!(tree.reading(), same.reading());
    assert_ne!(tree.reading(), parse("<pfsense><a>x</a><b></b><c></c></pfsense>").unwrap().reading());
}

#[test]
fn hostile_files_are_refused_at_their_place() {
    for (text, says) in [
        ("", "There is no element"),
        ("<pfsense>", "line 1, column 1: pfsense: <pfsense> has no end"),
        ("<pfsense><a></b></pfsense>", "line 1, column 13"),
        ("<!DOCTYPE x [<!ENTITY a \"b\">]><pfsense/>", "document type"),
        ("<pfsense>\n <a>&lol;</a></pfsense>", "line 2, column 5: pfsense/a: \"&lol;\" is not known"),
        ("<pfsense>&#0;</pfsense>", "is not known"),
        ("<pfsense>\u{1}</pfsense>", "line 1, column 10"),
        ("<pfsense/><more/>", "line 1, column 11: Another element"),
        ("<pfsense/>text", "outside"),
        ("<1/>", "not the name of an element"),
        ("<aliases/>", "section <aliases> alone"),
        ("<m0n0wall/>", "neither pfSense's nor OPNsense's"),
        ("schema = 1", "outside"),
        ("<pfsense a=1/>", "not XML"),
    ] {
        assert!(refusal(text).contains(says), "{text}: {}", refusal(text));
    }
    let deep = |depth: usize| format!("<pfsense>{}{}</pfsense>", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(parse(&deep(DEPTH_LIMIT - 1)).is_ok());
    assert!(refusal(&deep(DEPTH_LIMIT)).contains("64 elements stand in one another"));
    assert!(decode(&vec![b' '; BYTES_LIMIT + 1]).is_err() && decode(b"\xff\xfe<\0").is_err());
    assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa9").unwrap(), ("é".into(), false));
    assert_eq!(decode(b"\xe9").unwrap(), ("é".into(), true));
}

#[test]
fn elements_are_put_in_the_place_of_their_name() {
    let mut root = parse("<pfsense><a>1</a><b>2</b><a>3</a></pfsense>").unwrap().root;
    root.put(Element::leaf("A", "4", Entities::Html));
    root.ensure("c").put(Element::flag("d"));
    root.remove("b");
    let names: Vec<(&str, &str)> = root.children.iter().map(|c| (c.name.as_str(), c.text.as_str())).collect();
    assert_eq!(names, [("A", "4"), ("c", "")]);
    assert_eq!(root.size(), 4);
}

proptest! {
    /// Whatever a text says, pfSense reads it back.
    #[test]
    fn texts_survive(text in "[ -~äλ&;<>\\]\"']{0,24}", cdata: bool, version in prop_oneof![Just("22.9"), Just("24.5")]) {
        let name = if cdata { "descr" } else { "value" };
        let entities = entities_of(Product::Pfsense, Some(version));
        let mut root = Element::new("pfsense", vec![Element::leaf("version", version, entities)]);
        root.children.push(Element::leaf(name, &text, entities));
        let tree = Tree::new(Product::Pfsense, version, root);
        let back = parse(&tree.to_xml()).unwrap();
        prop_assert_eq!(back.root.child(name).unwrap().text.trim_matches(' '), text.trim_matches(' '));
        prop_assert_eq!(back.to_xml(), tree.to_xml());
    }

    /// No text makes the reader do anything but answer.
    #[test]
    fn the_reader_is_total(text in "(<[a-c/!?]{0,3}>?|[&;a-z<>\\[\\]\"= ]|<!\\[CDATA\\[|\\]\\]>|&amp;){0,40}") {
        if let Ok(tree) = parse(&format!("<pfsense>{text}</pfsense>")) {
            let again = parse(&tree.to_xml()).unwrap();
            prop_assert_eq!(again.reading(), tree.reading());
        }
    }
}
