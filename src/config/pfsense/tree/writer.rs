//! A tree as a file, in the form that its product writes.

use super::{Element, Product, Tree};

pub(super) fn write(tree: &Tree) -> String {
    let mut out = String::from("<?xml version=\"1.0\"?>\n");
    element(&tree.root, tree.product, 0, &mut out);
    out
}

fn element(element: &Element, product: Product, depth: usize, out: &mut String) {
    let indent = match product {
        Product::Pfsense => "\t",
        Product::Opnsense => "  ",
    };
    let indented = |depth: usize, out: &mut String| (0..depth).for_each(|_| out.push_str(indent));
    indented(depth, out);
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        out.extend([" ", name, "=\"", value, "\""]);
    }
    if element.children.is_empty() {
        let text = element.raw.as_ref().unwrap_or(&element.text);
        match product {
            Product::Opnsense if text.is_empty() => return out.push_str("/>\n"),
            Product::Opnsense | Product::Pfsense => out.extend([">", text]),
        }
    } else {
        out.push_str(">\n");
        element.children.iter().for_each(|child| self::element(child, product, depth + 1, out));
        indented(depth, out);
    }
    out.extend(["</", &element.name, ">\n"]);
}
