//! A receiver with a certificate of its own, and the crier, back to back.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use ring::hmac;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, crypto};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

use super::crier::post;
use crate::config::model::{Notification, Secret};
use crate::services::notices::{Event, Notice};

/// A receiver's certificate for this name, as PEM and as its server has it.
fn receiver(name: &str) -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// What the receiver heard, and what came of it.
fn told(
    notification: &Notification,
    acceptor: TlsAcceptor,
    answer: &'static str,
) -> (String, Result<(), String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (near, far) = duplex(64 << 10);
        let hearing = tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(far).await else { return String::new() };
            let mut heard = Vec::new();
            while !heard.ends_with(b"}") {
                if stream.read_buf(&mut heard).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            String::from_utf8(heard).unwrap()
        });
        let url = notification.url.clone().unwrap();
        let notice = Notice {
            id: 1,
            at_ms: 1_760_000_000_000,
            event: Event::RedundancyLost,
            firewall: "gate".into(),
            node: "alpha".into(),
            text: "Redundancy is lost: the peer is not heard.".into(),
        };
        let outcome = post(near, &url, notification, &notice).await.map_err(|why| format!("{why:#}"));
        (hearing.await.unwrap(), outcome)
    })
}

fn notification(authority: Option<&str>) -> Notification {
    Notification {
        url: Some("https://hook.example.org:8443/koi?x=1".parse().unwrap()),
        secret: Some(Secret::new("correct horse")),
        authority: authority.map(str::to_owned),
    }
}

#[test]
fn notices_go_out_over_tls_signed_and_only_to_who_is_vouched_for() {
    let (pem, acceptor) = receiver("hook.example.org");
    let known = notification(Some(&pem));
    let (heard, outcome) = told(&known, acceptor.clone(), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(outcome, Ok(()));
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /koi?x=1 HTTP/1.1\r\nHost: hook.example.org:8443\r\n"), "{head}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"correct horse");
    let signature = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
    assert!(head.contains(&format!("X-Koi-Signature: sha256={signature}")), "{head}");
    let said: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&said["event"], &said["node"]), (&"redundancy-lost".into(), &"alpha".into()));
    // Without a secret nothing is signed.
    let unsigned = Notification { secret: None, ..known.clone() };
    let (heard, _) = told(&unsigned, acceptor.clone(), "HTTP/1.1 200 OK\r\n\r\n");
    assert!(!heard.contains("X-Koi-Signature"), "{heard}");
    // Nobody vouches for this one.
    let (heard, outcome) = told(&notification(None), acceptor.clone(), "HTTP/1.1 200 OK\r\n\r\n");
    assert!(heard.is_empty() && outcome.unwrap_err().contains("TLS"));
    // It is vouched for, and is somebody else.
    let (pem, acceptor) = receiver("other.example.org");
    let (heard, outcome) = told(&notification(Some(&pem)), acceptor, "HTTP/1.1 200 OK\r\n\r\n");
    assert!(heard.is_empty() && outcome.unwrap_err().contains("TLS"));
}

#[test]
fn a_receiver_that_does_not_take_it_has_not_been_told() {
    let (pem, acceptor) = receiver("hook.example.org");
    for (answer, why) in [
        ("HTTP/1.1 500 Internal Server Error\r\n\r\n", "answers 500"),
        ("HTTP/1.1 301 Moved\r\nLocation: https://evil.example/\r\n\r\n", "answers 301"),
        ("SSH-2.0-x\r\n", "does not speak HTTP"),
        ("", "does not speak HTTP"),
    ] {
        let (_, outcome) = told(&notification(Some(&pem)), acceptor.clone(), answer);
        assert!(outcome.clone().unwrap_err().contains(why), "{answer}: {outcome:?}");
    }
}
