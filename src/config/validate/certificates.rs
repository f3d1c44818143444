//! `[[certificate]]`, and which of them the pages use.

use super::Report;
use super::names::Unique;
use crate::config::defaults::{CERTIFICATE_LIMIT, PEM_LIMIT};
use crate::config::model::{Certificate, Config};

pub(super) fn check(config: &Config, report: &mut Report) {
    report.bound("certificate", "certificates", config.certificates.len(), CERTIFICATE_LIMIT);
    let mut names = Unique::new("The name", "Give each certificate its own name.");
    for (index, entry) in config.certificates.iter().enumerate() {
        let Certificate { name, certificate, private_key, description: _ } = entry;
        let path = |field: &str| format!("certificate[{index}].{field}");
        if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
            report.add(path("name"), "This is not a usable name.", "Write at most 64 letters.");
        }
        names.claim(&path("name"), name.as_str(), &format!("\"{name}\""), report);
        if !is_pem(certificate, "CERTIFICATE") {
            let remedy = "Paste the text that begins with -----BEGIN CERTIFICATE-----.";
            report.add(path("certificate"), "This is not a certificate in PEM form.", remedy);
        }
        if !is_pem(private_key.reveal(), "PRIVATE KEY") {
            let remedy = "Paste the text that begins with -----BEGIN PRIVATE KEY-----.";
            report.add(path("private_key"), "This is not a key in PEM form.", remedy);
        }
    }
    if let Some(wanted) = &config.system.web.certificate
        && !config.certificates.iter().any(|entry| entry.name == *wanted)
    {
        let message = format!("There is no certificate \"{wanted}\".");
        report.add("system.web.certificate", message, "Name one of [[certificate]].");
    }
}

/// A text with a begin and an end; what is between them is for whoever uses it.
pub(super) fn is_pem(text: &str, kind: &str) -> bool {
    let begin = text.lines().find(|line| line.starts_with("-----BEGIN ")).unwrap_or_default();
    text.len() <= PEM_LIMIT
        && begin.trim_end().ends_with(&format!("{kind}-----"))
        && text.contains("-----END ")
}
