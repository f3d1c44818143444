//! pfSense's config.xml as an ordered tree: everything that stood there, in its order, with its place.
//!
//! pfSense's own reader knows no attributes, folds the case of names, takes white space at the ends of a text away, and
//! decodes once what stands in CDATA, since its writer encodes everything once (with HTML's entities before format 24.5,
//! with XML's since). An element that was not changed goes out with the bytes that it came with.

mod entities;
mod reader;
mod reading;
mod words;
mod writer;

pub use entities::Entities;
pub use reader::{BYTES_LIMIT, DEPTH_LIMIT, ELEMENT_LIMIT, decode, parse};
pub use reading::Reading;
pub use words::repeats;

/// Whose file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// `<pfsense>`
    Pfsense,
    /// `<opnsense>`
    Opnsense,
}

/// A whole file.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Whose it is.
    pub product: Product,
    /// What `<version>` says, when it says something.
    pub version: Option<String>,
    /// The outermost element.
    pub root: Element,
    /// Where lines begin.
    lines: Vec<u32>,
}

/// One element: a text, or further elements.
#[derive(Clone, Debug, Default)]
pub struct Element {
    /// Its name, as written.
    pub name: String,
    /// Its attributes, as written; only OPNsense has some.
    pub attributes: Vec<(String, String)>,
    /// Its text, decoded; empty when it has children.
    pub text: String,
    /// The text as it stands in the file, where that differs.
    raw: Option<String>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// Where it begins in the file; none when it was not read from one.
    pub at: Option<u32>,
}

impl Tree {
    /// A tree that was not read from a file.
    pub fn new(product: Product, version: &str, root: Element) -> Tree {
        Tree { product, version: Some(version.into()), root, lines: Vec::new() }
    }

    /// The line of an element, from one.
    pub fn line(&self, element: &Element) -> Option<usize> {
        element.at.map(|at| self.lines.partition_point(|start| *start <= at))
    }

    /// How this file encodes its texts.
    pub fn entities(&self) -> Entities {
        entities_of(self.product, self.version.as_deref())
    }

    /// The file.
    pub fn to_xml(&self) -> String {
        writer::write(self)
    }

    /// What pfSense understands of it.
    pub fn reading(&self) -> Reading {
        Reading::of(&self.root)
    }
}

fn entities_of(product: Product, version: Option<&str>) -> Entities {
    match product {
        Product::Opnsense => Entities::None,
        Product::Pfsense if version_at_least(version.unwrap_or("0"), 24, 5) => Entities::Xml,
        Product::Pfsense => Entities::Html,
    }
}

/// Versions are numbers with one digit behind the point: 9.8 came before 10.1.
pub fn version_at_least(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.trim().splitn(2, '.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
}

impl Element {
    /// An element with others in it.
    pub fn new(name: &str, children: Vec<Element>) -> Element {
        Element { name: name.into(), children, ..Element::default() }
    }

    /// An element with a text, as pfSense would write it.
    pub fn leaf(name: &str, text: &str, entities: Entities) -> Element {
        let text: String = text.chars().filter(|c| reader::is_xml(*c)).collect();
        // White space alone is nothing to its reader.
        let text = if text.trim().is_empty() { String::new() } else { text };
        let encoded = entities::encode(&text);
        let raw = match entities {
            Entities::Html | Entities::Xml if words::in_cdata(name) && !text.is_empty() => {
                Some(format!("<![CDATA[{encoded}]]>"))
            }
            Entities::Html | Entities::Xml | Entities::None => (encoded != text).then_some(encoded),
        };
        Element { name: name.into(), text, raw, ..Element::default() }
    }

    /// A flag that is on: pfSense asks only whether the element is there.
    pub fn flag(name: &str) -> Element {
        Element { name: name.into(), ..Element::default() }
    }

    /// The same under another name.
    pub fn called(mut self, name: &str) -> Element {
        self.name = name.into();
        self
    }

    /// Has it this name? pfSense folds the case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(name))
    }

    /// The element at the end of a path of names.
    pub fn find(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// All elements of this name in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> + 'a {
        self.children.iter().filter(move |child| child.is(name))
    }

    /// The text of an element in it, when there is one that is not empty.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty())
    }

    /// A flag by presence: even `<disabled>0</disabled>` is on.
    pub fn has(&self, name: &str) -> bool {
        self.child(name).is_some()
    }

    /// Nothing in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.children.is_empty()
    }

    /// Elements in it, at any depth, itself included.
    pub fn size(&self) -> usize {
        1 + self.children.iter().map(Element::size).sum::<usize>()
    }

    /// The element of this name, made when there is none.
    pub fn ensure(&mut self, name: &str) -> &mut Element {
        let index = match self.children.iter().position(|child| child.is(name)) {
            Some(index) => index,
            None => {
                self.children.push(Element::flag(name));
                self.children.len() - 1
            }
        };
        &mut self.children[index]
    }

    /// Puts an element in the place of those of its name, or at the end.
    pub fn put(&mut self, element: Element) {
        match self.children.iter().position(|child| child.is(&element.name)) {
            Some(index) => {
                let name = element.name.clone();
                self.children[index] = element;
                let mut place = 0;
                self.children.retain(|child| {
                    place += 1;
                    place - 1 <= index || !child.is(&name)
                });
            }
            None => self.children.push(element),
        }
    }

    /// Takes all elements of a name away.
    pub fn remove(&mut self, name: &str) {
        self.children.retain(|child| !child.is(name));
    }
}

#[cfg(test)]
mod tests;
