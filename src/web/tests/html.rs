//! Enough of HTML to see that a page is well-formed and what its form would send.

/// Elements without an end.
const VOID: &[&str] = &["meta", "link", "input", "br", "img", "path", "circle"];

/// An element's beginning.
pub(super) struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    /// What stands between its beginning and its end.
    pub text: String,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All elements of a page, whose tags must fit together.
pub(super) fn elements(page: &str) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        for index in &open {
            elements[*index].text.push_str(&unescape(text));
        }
        let end = tag.find('>').unwrap_or_else(|| panic!("a tag without end: {}", &tag[..tag.len().min(80)]));
        rest = &tag[end + 1..];
        let tag = &tag[1..end];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop().unwrap_or_else(|| panic!("</{name}> ends nothing"));
            assert_eq!(elements[last].name, name, "ends another element");
            continue;
        }
        let element = element(tag.trim_end_matches('/'));
        if !VOID.contains(&element.name.as_str()) {
            open.push(elements.len());
        }
        elements.push(element);
    }
    assert!(open.is_empty(), "<{}> has no end", elements[*open.last().unwrap()].name);
    elements
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let key_end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(key_end);
        let (value, after) = match after.strip_prefix("=\"") {
            Some(value) => value.split_once('"').expect("an attribute ends"),
            None => ("", after),
        };
        assert!(!attributes.iter().any(|(known, _)| known == key), "{key} twice in <{tag}>");
        attributes.push((key.into(), unescape(value)));
        rest = after;
    }
    Element { name: name.into(), attributes, text: String::new() }
}

fn unescape(text: &str) -> String {
    let replaced = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"");
    replaced.replace("&#39;", "'").replace("&amp;", "&").replace("&#38;", "&")
}

/// What the form of this action would send as it stands.
pub(super) fn filled_in(page: &str, action: &str) -> Vec<(String, String)> {
    let start = page.find(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("no form {action}"));
    let form = &page[page[..start].rfind("<form").unwrap()..];
    let form = &form[..form.find("</form>").unwrap() + "</form>".len()];
    let elements = elements(form);
    let mut fields = Vec::new();
    let mut select: Option<(String, Vec<(String, bool)>)> = None;
    let flush = |select: &mut Option<(String, Vec<(String, bool)>)>, fields: &mut Vec<(String, String)>| {
        if let Some((name, options)) = select.take() {
            let chosen = options.iter().find(|(_, selected)| *selected).or(options.first());
            fields.extend(chosen.map(|(value, _)| (name, value.clone())));
        }
    };
    for element in &elements {
        let attribute = |name| element.attribute(name).map(str::to_owned);
        match element.name.as_str() {
            "option" => {
                if let Some((_, options)) = &mut select {
                    options.push((attribute("value").unwrap(), attribute("selected").is_some()));
                }
                continue;
            }
            "select" => {
                flush(&mut select, &mut fields);
                select = Some((attribute("name").unwrap(), Vec::new()));
                continue;
            }
            _ => flush(&mut select, &mut fields),
        }
        match (element.name.as_str(), attribute("name"), attribute("type").as_deref()) {
            ("input", Some(_), Some("checkbox")) if attribute("checked").is_none() => {}
            ("input", Some(name), _) => fields.push((name, attribute("value").unwrap_or_default())),
            ("textarea", Some(name), _) => fields.push((name, element.text.trim().into())),
            _ => {}
        }
    }
    flush(&mut select, &mut fields);
    fields
}
