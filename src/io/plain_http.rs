//! Plain HTTP on the router's own addresses: whoever asks is sent on to HTTPS, and told nothing else.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The port that browsers try first.
const PORT: u16 = 80;
/// Bytes of a request that are looked at.
const HEAD: usize = 4 << 10;
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ports to listen on when the pages are on this one.
pub fn ports(pages: u16) -> Vec<u16> {
    if pages == PORT { vec![pages] } else { vec![pages, PORT] }
}

/// True when a connection to `port` speaks plain HTTP while the pages are on `pages`.
pub fn is_plain(port: u16, pages: u16) -> bool {
    port == PORT && pages != PORT
}

/// Answers one request: the same is at `https`, on the port of the pages.
pub async fn send_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, pages: u16) {
    // Whoever hangs up gets no answer.
    let _ = tokio::time::timeout(PATIENCE, answer(&mut stream, pages)).await;
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), pages: u16) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = match location(&String::from_utf8_lossy(&head), pages) {
        Some(location) => format!("HTTP/1.1 308 Permanent Redirect\r\nLocation: {location}\r\n"),
        None => "HTTP/1.1 400 Bad Request\r\n".to_owned(),
    };
    stream.write_all(format!("{text}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    stream.shutdown().await
}

/// Where the same page is; `None` for what is no request, or names no host.
fn location(head: &str, pages: u16) -> Option<String> {
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?;
    let is_host = |(key, _): &(&str, &str)| key.eq_ignore_ascii_case("host");
    let (_, host) = lines.filter_map(|line| line.split_once(':')).find(is_host)?;
    let host = host.trim();
    // A port stands behind the last colon, unless that is inside an IPv6 address.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(fits) {
        return None;
    }
    let path =
        if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) { path } else { "/" };
    let port = if pages == 443 { String::new() } else { format!(":{pages}") };
    Some(format!("https://{host}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_on_to_the_same_page() {
        for (head, pages, expected) in [
            ("GET / HTTP/1.1\r\nHost: fw.example\r\n\r\n", 443, Some("https://fw.example/")),
            ("GET /a?b=c HTTP/1.1\r\nhost: 192.0.2.1:80\r\n\r\n", 8443, Some("https://192.0.2.1:8443/a?b=c")),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", 443, Some("https://[2001:db8::1]/")),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", 443, Some("https://[2001:db8::1]/")),
            ("GET http://evil/ HTTP/1.1\r\nHost: fw\r\n\r\n", 443, Some("https://fw/")),
            ("GET / HTTP/1.0\r\n\r\n", 443, None),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 443, None),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n", 443, None),
            ("\u{16}\u{3}\u{1}", 443, None),
            ("", 443, None),
        ] {
            assert_eq!(location(head, pages).as_deref(), expected, "{head:?}");
        }
    }

    #[test]
    fn port_80_is_plain_unless_the_pages_are_there() {
        assert_eq!((ports(443), ports(80)), (vec![443, 80], vec![80]));
        assert!(is_plain(80, 443) && !is_plain(443, 443) && !is_plain(80, 80));
    }

    #[test]
    fn a_client_that_dawdles_or_babbles_is_given_up() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(64 << 10);
            far.write_all(b"GET / HTTP/1.1\r\nHost: fw\r\n").await.unwrap();
            send_on(near, 443).await;
            let mut text = String::new();
            far.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "");
            let (near, mut far) = tokio::io::duplex(64 << 10);
            far.write_all(&[b'a'; HEAD]).await.unwrap();
            send_on(near, 443).await;
            far.read_to_string(&mut text).await.unwrap();
            assert!(text.starts_with("HTTP/1.1 400"), "{text}");
        });
    }
}
