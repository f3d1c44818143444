//! From bytes to the tree, with every refusal at its line and column. Time and memory are in proportion to the file.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::{Element, Product, Tree, entities, entities_of};
use crate::config::Problem;

/// The largest file.
pub const BYTES_LIMIT: usize = 64 << 20;
/// The most elements around one another.
pub const DEPTH_LIMIT: usize = 64;
/// The most elements.
pub const ELEMENT_LIMIT: usize = 2_000_000;

/// The text of a file. Files without a declared encoding are UTF-8; some that people edited are ISO 8859-1, which is
/// told by the second value.
///
/// # Errors
/// When the file is too large or is UTF-16.
pub fn decode(bytes: &[u8]) -> Result<(String, bool), Problem> {
    if bytes.len() > BYTES_LIMIT {
        let message = format!("The file has {} bytes.", bytes.len());
        return Err(Problem::new("", message, format!("At most {BYTES_LIMIT} are read.")));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem::new("", "The file is UTF-16.", "Save it as UTF-8."));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((text.into(), false)),
        Err(_) => Ok((bytes.iter().map(|byte| char::from(*byte)).collect(), true)),
    }
}

/// Reads a file of pfSense or OPNsense.
///
/// # Errors
/// The first thing that is wrong with it, at its line and column.
pub fn parse(text: &str) -> Result<Tree, Problem> {
    if text.len() > BYTES_LIMIT {
        return Err(Problem::new(
            "",
            "The file is too large.",
            format!("At most {BYTES_LIMIT} bytes are read."),
        ));
    }
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !is_xml(*c)) {
        let message = format!("The character {:?} cannot stand in XML.", c);
        return Err(problem(text, at, "", &message, "Remove it."));
    }
    let mut parser = Parser::new(text);
    while parser.step()? {}
    let mut root = parser.finish()?;
    let product = product_of(text, &root)?;
    let version = root.text_of_plain("version");
    let entities = entities_of(product, version.as_deref());
    root.settle(entities);
    let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at as u32 + 1)).collect();
    Ok(Tree { product, version, root: root.element, lines })
}

/// The characters of XML 1.0 section 2.2.
pub(super) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn problem(text: &str, at: usize, path: &str, message: &str, remedy: &str) -> Problem {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let mut problem = Problem::new(path, message, remedy);
    problem.line = Some(before.matches('\n').count() + 1);
    problem.column = Some(before[start..].chars().count() + 1);
    problem
}

fn product_of(text: &str, root: &Draft) -> Result<Product, Problem> {
    let at = root.element.at.unwrap_or_default() as usize;
    match root.element.name.to_ascii_lowercase().as_str() {
        "pfsense" => Ok(Product::Pfsense),
        "opnsense" => Ok(Product::Opnsense),
        "aliases" | "filter" | "nat" | "interfaces" | "system" | "dhcpd" | "unbound" | "ipsec"
        | "openvpn" | "staticroutes" | "installedpackages" | "syslog" | "captiveportal" | "schedules" => {
            let message = format!("This is a backup of the section <{}> alone.", root.element.name);
            Err(problem(
                text,
                at,
                "",
                &message,
                "Take a backup of everything (Diagnostics, Backup & Restore).",
            ))
        }
        other => {
            let message = format!("This is XML, but <{other}> is neither pfSense's nor OPNsense's.");
            Err(problem(text, at, "", &message, "Name a config.xml; its outermost element is <pfsense>."))
        }
    }
}

/// An element whose texts wait for the version of the file, which says how they are decoded.
#[derive(Default)]
struct Draft {
    element: Element,
    /// The pieces of its text: decoded by XML, and whether it came as CDATA.
    pieces: Vec<(String, bool)>,
    raw: String,
    children: Vec<Draft>,
}

impl Draft {
    fn text_of_plain(&self, name: &str) -> Option<String> {
        let child = self.children.iter().find(|child| child.element.is(name))?;
        let text: String = child.pieces.iter().map(|(text, _)| text.as_str()).collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn settle(&mut self, how: entities::Entities) {
        let mut text = String::new();
        for (piece, cdata) in std::mem::take(&mut self.pieces) {
            match cdata {
                true => text.push_str(&entities::decode(&piece, how)),
                false => text.push_str(&piece),
            }
        }
        let mut children = std::mem::take(&mut self.children);
        children.iter_mut().for_each(|child| child.settle(how));
        self.element.children = children.into_iter().map(|child| child.element).collect();
        let raw = std::mem::take(&mut self.raw);
        if !self.element.children.is_empty() {
            return;
        }
        let trimmed = text.trim_matches(['\t', '\r', '\n']);
        if trimmed.trim().is_empty() {
            return;
        }
        self.element.text = if trimmed.len() == text.len() { text } else { trimmed.to_owned() };
        // Only what must be told from its decoded form is kept apart.
        let raw = raw.trim_matches(['\t', '\r', '\n']);
        self.element.raw = (raw != self.element.text).then(|| raw.to_owned());
    }
}

struct Parser<'t> {
    text: &'t str,
    reader: Reader<&'t [u8]>,
    /// The elements that are open.
    open: Vec<Draft>,
    root: Option<Draft>,
    elements: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Parser { text, reader: Reader::from_str(text), open: Vec::new(), root: None, elements: 0 }
    }

    fn refuse<T>(&self, at: u64, message: &str, remedy: &str) -> Result<T, Problem> {
        let path: Vec<&str> = self.open.iter().map(|draft| draft.element.name.as_str()).collect();
        Err(problem(self.text, at as usize, &path.join("/"), message, remedy))
    }

    /// One event; false at the end.
    fn step(&mut self) -> Result<bool, Problem> {
        let at = self.reader.buffer_position();
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let at = self.reader.error_position();
                return self.refuse(at, &format!("This is not XML: {error}."), "Correct it there.");
            }
        };
        match event {
            Event::Start(start) => self.open(at, &start)?,
            Event::Empty(start) => {
                self.open(at, &start)?;
                self.close();
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(at, &text, &text, false)?,
            Event::CData(text) => self.text(at, &text, &format!("<![CDATA[{}]]>", &*text), true)?,
            Event::GeneralRef(name) => self.reference(at, &name)?,
            Event::DocType(_) => {
                let message = "A document type is declared; pfSense writes none.";
                return self.refuse(at, message, "Remove <!DOCTYPE ...>.");
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return Ok(false),
        }
        Ok(true)
    }

    fn open(&mut self, at: u64, start: &BytesStart<'_>) -> Result<(), Problem> {
        let name = start.name();
        let name: &str = name.as_ref();
        if self.root.is_some() && self.open.is_empty() {
            return self.refuse(at, "Another element begins behind the outermost one.", "Remove it.");
        }
        if self.open.len() >= DEPTH_LIMIT {
            return self.refuse(
                at,
                "More than 64 elements stand in one another.",
                "pfSense writes about ten.",
            );
        }
        self.elements += 1;
        if self.elements > ELEMENT_LIMIT {
            let message = format!("The file has more than {ELEMENT_LIMIT} elements.");
            return self.refuse(at, &message, "No firewall needs as many.");
        }
        let first = name.chars().next().unwrap_or('0');
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if !(first.is_alphabetic() || first == '_') || !name.chars().all(fits) {
            return self.refuse(
                at,
                &format!("\"{name}\" is not the name of an element."),
                "Correct it there.",
            );
        }
        let mut element = Element { name: name.into(), at: Some(at as u32), ..Element::default() };
        for attribute in start.attributes() {
            match attribute {
                Ok(attribute) => {
                    let key: &str = attribute.key.as_ref();
                    element.attributes.push((key.into(), attribute.value.replace('"', "&quot;")));
                }
                Err(error) => {
                    return self.refuse(at, &format!("This is not XML: {error}."), "Correct it there.");
                }
            }
        }
        self.open.push(Draft { element, ..Draft::default() });
        Ok(())
    }

    fn close(&mut self) {
        // The reader has seen to it that ends belong to beginnings.
        let Some(draft) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(around) => around.children.push(draft),
            None => self.root = Some(draft),
        }
    }

    fn text(&mut self, at: u64, plain: &str, raw: &str, cdata: bool) -> Result<(), Problem> {
        let blank = plain.chars().all(|c| c.is_ascii_whitespace());
        let Some(draft) = self.open.last_mut() else {
            return match blank && !cdata {
                true => Ok(()),
                false => self.refuse(at, "Text stands outside of the outermost element.", "Remove it."),
            };
        };
        // pfSense writes no text between elements; white space there is for the eye.
        if !draft.children.is_empty() && blank {
            return Ok(());
        }
        draft.pieces.push((plain.replace("\r\n", "\n"), cdata));
        draft.raw.push_str(raw);
        Ok(())
    }

    /// `&amp;` and its four brothers, and characters by number.
    fn reference(&mut self, at: u64, name: &str) -> Result<(), Problem> {
        let text = match name.strip_prefix('#') {
            Some(number) => entities::by_number(number).filter(|c| is_xml(*c)).map(String::from),
            None => resolve_predefined_entity(name).map(String::from),
        };
        let Some(text) = text else {
            let remedy = "XML itself knows &amp; &lt; &gt; &quot; &apos; and characters by number.";
            return self.refuse(at, &format!("\"&{name};\" is not known here."), remedy);
        };
        let Some(draft) = self.open.last_mut() else {
            return self.refuse(at, "Text stands outside of the outermost element.", "Remove it.");
        };
        draft.pieces.push((text, false));
        draft.raw.extend(["&", name, ";"]);
        Ok(())
    }

    fn finish(mut self) -> Result<Draft, Problem> {
        if let Some(draft) = self.open.last() {
            let message = format!("<{}> has no end.", draft.element.name);
            return self.refuse(
                draft.element.at.unwrap_or_default().into(),
                &message,
                "The file may have been cut off.",
            );
        }
        match self.root.take() {
            Some(root) => Ok(root),
            None => self.refuse(
                0,
                "There is no element.",
                "Name a config.xml; its outermost element is <pfsense>.",
            ),
        }
    }
}
