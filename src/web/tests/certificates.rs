//! Certificates on their page, and in use.

use super::Browser;
use super::editing::with;
use super::html::filled_in;
use crate::web::certificate::{DAY, chosen, sign};

fn made(name: &str) -> (String, String) {
    let (certificate, key, _) = sign(&[name.to_owned()], &[], 20_000 * DAY, 10 * DAY).unwrap();
    (certificate, key)
}

#[test]
fn certificates_are_made_and_imported_on_their_page() {
    let browser = Browser::of("ada");
    let filled = filled_in(&browser.get("/system/self-signed").body, "/system/self-signed");
    for (field, value, wrong) in [
        ("wanted.days", "0", "no lifetime"),
        ("wanted.days", "many", "no lifetime"),
        ("wanted.name", "", "needs a name"),
        ("wanted.names", "\u{e4}\u{e4}", "certificate"),
    ] {
        let mut form = with(&filled, "wanted.name", "own");
        form.retain(|(name, _)| *name != field);
        form.push((field, value));
        let answer = browser.post_bare("/system/self-signed", &form);
        assert_eq!(answer.status, 422, "{field}");
        assert!(answer.body.contains(wrong), "{field}: {}", answer.body);
    }
    assert_eq!(browser.post_bare("/system/self-signed", &with(&filled, "wanted.name", "own")).status, 303);
    assert_eq!(browser.paper.document().certificates[0].name, "own");
    let path = "/system/certificates/new?tab=";
    let filled = filled_in(&browser.get("/system/certificates/new").body, path);
    let ((certificate, key), (_, other)) = (made("a.example"), made("b.example"));
    let form = |key: &str| {
        let mut form: Vec<(String, String)> = filled.clone();
        form.retain(|(name, _)| name == "token" || name == "edition");
        let texts = [
            ("name", "bought"),
            ("certificate", &certificate.replace('\n', "\r\n")),
            ("private_key", key),
            ("description", "For the office"),
        ];
        form.extend(texts.map(|(name, text)| (format!("certificate[1].{name}"), text.to_owned())));
        form
    };
    let post = |form: &[(String, String)]| {
        let fields: Vec<_> = form.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        browser.post_bare(path, &fields)
    };
    for wrong in [other.as_str(), "nothing"] {
        let answer = post(&form(wrong));
        assert_eq!(answer.status, 422);
        assert!(answer.body.contains("It cannot be used"), "{}", answer.body);
        assert!(!answer.body.contains(wrong.lines().nth(1).unwrap_or("nothing at all")));
    }
    assert_eq!(post(&form(&key)).status, 303);
    let page = browser.get("/system/certificates").body;
    assert!(page.contains("For the office") && page.contains("2024-10-12"), "{page}");
    let page = browser.get("/system/certificates/edit/bought").body;
    assert!(page.contains("BEGIN CERTIFICATE") && !page.contains("PRIVATE KEY-----\n"), "{page}");
    assert!(Browser::of("otto").get("/system/certificates").status == 403);
}

#[test]
fn the_pages_use_the_certificate_that_is_chosen() {
    let (first, second) = (made("a.example"), made("b.example"));
    let entry = |name: &str, (certificate, key): &(String, String)| {
        format!(
            "[[certificate]]\nname = \"{name}\"\ncertificate = \"\"\"\n{certificate}\"\"\"\nprivate_key = \"\"\"\n{key}\"\"\"\n"
        )
    };
    let text = format!("{}{}{}", super::DOCUMENT, entry("a", &first), entry("b", &second));
    let read = |text: &str| crate::config::load(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(chosen(&read(&text)).is_none(), "a node makes its own");
    let mut document = read(&text).into_inner();
    let shown = |document: &crate::config::Config| {
        let certified = chosen(document).unwrap().unwrap();
        certified.cert[0].as_ref().to_vec()
    };
    document.system.web.certificate = Some("a".into());
    let a = shown(&document);
    document.system.web.certificate = Some("b".into());
    assert_ne!(shown(&document), a);
    document.certificates[1].private_key = document.certificates[0].private_key.clone();
    assert!(chosen(&document).unwrap().is_err(), "the key of another one");
    document.system.web.certificate = Some("c".into());
    assert!(crate::config::validate(document).is_err());
}
