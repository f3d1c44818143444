//! Forms with files (RFC 7578), whole in memory.
//!
//! Invariant: total, and bounded by the body that is given, which the route bounds.

use axum::body::Bytes;

/// Fields and files of a form.
const PARTS: usize = 64;

/// The type of such a form.
pub(super) const MULTIPART: &str = "multipart/form-data";

/// The names and contents of a form's parts; `None` when it is no such form. What is not UTF-8 is read as ISO 8859-1.
pub(super) fn texts(content_type: &str, body: &Bytes) -> Option<Vec<(String, String)>> {
    let parts = parts(content_type, body)?;
    Some(parts.into_iter().map(|Part { name, bytes, .. }| (name, text(&bytes))).collect())
}

/// A field or a file, as it came.
pub(super) struct Part {
    pub name: String,
    /// It is a file.
    pub is_file: bool,
    pub bytes: Bytes,
}

impl Part {
    /// As the text of a field.
    pub fn text(&self) -> String {
        text(&self.bytes)
    }
}

/// The parts of a form as they came, none of them copied; `None` when it is no such form.
pub(super) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, delimiter.as_bytes())?;
        if parts.len() == PARTS {
            return None;
        }
        parts.push(field(&body.slice_ref(&part[..end]))?);
        rest = &part[end + delimiter.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

fn field(part: &Bytes) -> Option<Part> {
    let end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, disposition) = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))?;
    let name = disposition.split(';').find_map(|word| word.trim().strip_prefix("name="))?;
    let is_file = disposition.split(';').any(|word| word.trim().starts_with("filename"));
    Some(Part { name: name.trim_matches('"').to_owned(), is_file, bytes: part.slice(end + 4..) })
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    // What cannot be the needle's first byte is passed over quickly.
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|byte| *byte == first) {
        let at = from + at;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    #[test]
    fn a_form_has_its_fields_and_files() {
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nt\r\n--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.xml\"\r\nContent-Type: text/xml\r\n\r\n<a>\r\n--xy\r\n</a>\xe4\r\n--xyz--\r\n";
        let parts = texts(TYPE, &Bytes::from_static(body)).unwrap();
        assert_eq!(parts[0], ("token".into(), "t".into()));
        assert_eq!(parts[1], ("file".into(), "<a>\r\n--xy\r\n</a>\u{e4}".into()));
    }

    #[test]
    fn what_is_cut_off_is_no_form() {
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--xyz--\r\n";
        for end in 0..body.len() - 2 {
            assert!(parts(TYPE, &Bytes::from_static(&body[..end])).is_none(), "{end}");
        }
        let body = Bytes::from_static(body);
        assert!(parts("multipart/form-data", &body).is_none());
        assert!(parts("multipart/form-data; boundary=", &body).is_none());
    }

    #[test]
    fn a_file_comes_as_it_was() {
        let file: Vec<u8> = (0..=255).chain(*b"\r\n--xy\r\n").collect();
        let head = b"--xyz\r\nContent-Disposition: form-data; name=\"release\"; filename=\"koi\"\r\n\r\n";
        let body = Bytes::from([&head[..], &file, b"\r\n--xyz--\r\n"].concat());
        let parts = parts(TYPE, &body).unwrap();
        assert!(parts[0].is_file && parts[0].name == "release");
        assert_eq!(parts[0].bytes, file);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(body in prop::collection::vec(prop::sample::select(b"--xyz\r\n:;=ab\"".to_vec()), 0..200)) {
            let _ = parts(TYPE, &Bytes::from(body));
        }
    }
}
