//! System: Certificates.

use serde_json::Value;

use crate::config::Problem;
use crate::web::certificate::Certificate;
use crate::web::collection::{Collection, PLAIN, Show, column};
use crate::web::form::{DESCRIPTION, Kind, TEXT, required, text_of, tree};
use crate::web::pem::good_until;
use crate::web::references::Noun;
use crate::web::visitor::Right;

pub(in crate::web) const BESIDE: &[(&str, &str)] = &[
    ("Certificates", "/system/certificates"),
    ("New Self-signed", "/system/self-signed"),
    ("Which One", "/system/advanced"),
];

pub(super) static CERTIFICATES: Collection = Collection {
    title: "Certificates",
    one: "certificate",
    about: "What these pages prove their name with: imported here, or made on the page beside. Which one is used stands under Advanced; a change needs no restart.",
    slug: "/system/certificates",
    list: "certificate",
    key: "name",
    look: Right::Administer,
    change: Right::Administer,
    columns: &[
        column("Name", &["name"], Show::Text, ""),
        column("Good until", &["good_until"], Show::Code, "not readable"),
        column("Description", &["description"], Show::Text, ""),
    ],
    fields: &[
        required("name", "Name", TEXT, "What it is called under Advanced."),
        required(
            "certificate",
            "Certificate",
            Kind::Block,
            "PEM, as it begins with -----BEGIN CERTIFICATE-----; behind it those that vouch for it.",
        ),
        required(
            "private_key",
            "Private key",
            Kind::SecretBlock,
            "PEM, without a password. It is never shown.",
        ),
        DESCRIPTION,
    ],
    beside: BESIDE,
    noun: Some(Noun::Certificate),
    told: |entry| {
        let until = good_until(&text_of(entry.get("certificate")));
        let until = until.map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"));
        tree::set(entry, "good_until", until.map(Value::from));
    },
    wrong: unusable,
    ..PLAIN
};

/// Certificate and key must belong together.
fn unusable(tree: &Value, index: usize) -> Vec<Problem> {
    let text = |field: &str| text_of(tree::get(tree, &format!("certificate[{index}].{field}")));
    let pair =
        Certificate { certificate: text("certificate"), key: text("private_key"), note: String::new() };
    match pair.certified_key() {
        Ok(_) => Vec::new(),
        Err(error) => vec![Problem::new(
            format!("certificate[{index}].certificate"),
            format!("It cannot be used: {error:#}."),
            "Paste a certificate and the key that belongs to it.",
        )],
    }
}
