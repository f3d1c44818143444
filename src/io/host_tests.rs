//! The stack's thread, its streams, TLS and axum together: pages cross an in-memory link to a client in this thread.

use std::io::{Read, Write};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::routing::get;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::forward::Forward;
use super::host_link::{self, End};
use super::host_listener::HostListener;
use super::host_thread::HostHandle;
use super::links::Links;
use super::poller::Poller;
use super::port::Port;
use super::spec::Spec;
use super::testbed::Namespace;
use super::{clock, entropy, netns};
use crate::config;
use crate::config::model::Driver;
use crate::host::Stack;
use crate::host::testing::{Client, neighbours};
use crate::node::{Compiled, Offload, Shard};
use crate::types::PortId;
use crate::wire::{FrameBuf, Pool};

/// The far side of the link: what the forward thread would be.
struct Rig {
    end: End,
    poller: Poller,
    pool: Pool,
    certificate: CertificateDer<'static>,
}

impl Rig {
    /// Starts stack, runtime and server.
    fn start() -> Rig {
        let (poller, own) = (Poller::new().unwrap(), Poller::new().unwrap());
        let (end, far) = host_link::pair(own.waker(), poller.waker());
        let stack = Stack::new(vec![443], 1500, entropy::seed().unwrap(), clock::now());
        let host = HostHandle::start(stack, far, poller).unwrap();
        Rig { end, poller: own, pool: Pool::new(512), certificate: serve(host) }
    }

    /// Fetches `bytes` bytes over a connection of its own; gives the seconds that their way took.
    fn fetch(&mut self, v6: bool, whole: bool, bytes: usize) -> f64 {
        let (router, host) = neighbours(v6);
        let mut client = Client::connect(host, router, whole);
        let mut tls = client_of(&self.certificate);
        write!(tls.writer(), "GET /{bytes} HTTP/1.1\r\nHost: koi\r\nConnection: close\r\n\r\n").unwrap();
        let (mut frames, mut ready) = (Vec::<FrameBuf>::new(), Vec::new());
        let (mut buffer, mut head, mut body) = (vec![0; 1 << 16], Vec::new(), 0usize);
        let mut began = clock::now();
        let deadline = began + std::time::Duration::from_secs(60);
        while body < bytes {
            let now = clock::now();
            assert!(now < deadline, "{body} of {bytes} bytes, state {}", client.socket().state());
            self.end.receive(&mut frames, 256, &mut self.pool);
            let idle = frames.is_empty();
            frames.drain(..).for_each(|frame| client.take(frame));
            frames.extend(client.run(now));
            self.end.send(&mut frames, &mut self.pool);
            let socket = client.socket();
            while socket.can_recv() {
                socket.recv(|bytes| (tls.read_tls(&mut &bytes[..]).unwrap(), ())).unwrap();
                tls.process_new_packets().unwrap();
                while let Ok(count @ 1..) = tls.reader().read(&mut buffer) {
                    if body == 0 && head.is_empty() {
                        began = now;
                    }
                    body += take_body(&mut head, &buffer[..count]);
                }
            }
            if socket.can_send() {
                let mut out = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut out).unwrap();
                }
                assert_eq!(socket.send_slice(&out).unwrap(), out.len());
            }
            frames.extend(client.run(now));
            self.end.send(&mut frames, &mut self.pool);
            if idle {
                self.poller.arm();
                if !self.end.has_packets() {
                    self.poller.wait(Some(std::time::Duration::from_millis(1)), &mut ready).unwrap();
                }
            }
        }
        assert_eq!(body, bytes);
        client.socket().abort();
        frames.extend(client.run(clock::now()));
        self.end.send(&mut frames, &mut self.pool);
        clock::now().since(began).as_secs_f64()
    }
}

/// Serves as many bytes as the path says, over TLS; gives the certificate.
fn serve(host: HostHandle) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["koi".into()]).unwrap().self_signed(&key).unwrap();
    let certificate = made.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let local = neighbours(false).0;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = HostListener::start(host, TlsAcceptor::from(Arc::new(tls)), local);
            axum::serve(listener, axum::Router::new().route("/{bytes}", get(bulk))).await.unwrap();
        });
    });
    certificate
}

/// Counts the bytes behind the answer's head, which is collected.
fn take_body(head: &mut Vec<u8>, bytes: &[u8]) -> usize {
    if head.ends_with(b"\r\n\r\n") {
        assert!(bytes.iter().all(|byte| *byte == b'k'));
        return bytes.len();
    }
    for (index, byte) in bytes.iter().enumerate() {
        head.push(*byte);
        if head.ends_with(b"\r\n\r\n") {
            assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(head));
            return bytes.len() - index - 1;
        }
    }
    0
}

async fn bulk(Path(bytes): Path<usize>) -> Bytes {
    Bytes::from(vec![b'k'; bytes])
}

fn client_of(certificate: &CertificateDer<'static>) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    rustls::ClientConnection::new(Arc::new(config), "koi".try_into().unwrap()).unwrap()
}

#[test]
fn pages_cross_tls_in_both_families_with_offloads_and_without() {
    let mut rig = Rig::start();
    for (v6, whole) in [(false, true), (false, false), (true, true), (true, false)] {
        rig.fetch(v6, whole, 3_000_001);
    }
}

/// `cargo test --release --lib -- --ignored --nocapture bulk_https`
#[test]
#[ignore = "a measurement, for a release build and a quiet machine"]
fn bulk_https_is_fast_enough() {
    let mut rig = Rig::start();
    for (what, whole, wanted) in [("offload", true, 300.0), ("plain", false, 100.0)] {
        let size = 200_000_000;
        let mut rates: Vec<_> = (0..5).map(|_| size as f64 / 1e6 / rig.fetch(false, whole, size)).collect();
        rates.sort_by(f64::total_cmp);
        println!("{what}: {:.0} MB/s (median of {rates:.0?})", rates[2]);
        assert!(rates[2] >= wanted, "{what}: at least {wanted} MB/s");
    }
}

/// A router at 10.77.0.2 with one port, `t0`, in `space`.
fn router(space: &Namespace, driver: Driver) -> HostHandle {
    let driver_name = if driver == Driver::Plain { "plain" } else { "offload" };
    let text = format!(
        "schema = 1\nrevision = 1\n[outbound]\nmode = \"disabled\"\n[[node]]\nname = \"koi\"\n[[node.port]]\nname = \"lan\"\ntap = \"t0\"\n\
         netns = \"{}\"\ndriver = \"{driver_name}\"\n[[node.interface]]\nname = \"lan\"\n\
         addresses = [\"10.77.0.2/24\"]\n[[interface]]\nname = \"lan\"\nzone = \"lan\"\nport = \"lan\"\n",
        space.0
    );
    let valid = config::load(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let node = valid.node(None).unwrap();
    let spec = Spec::new(PortId(0), &valid.node_part(node).ports[0]).unwrap();
    let port = Port::attach(spec).unwrap();
    let offload = Offload { tcp: port.offloads().tcp, udp: port.offloads().udp };
    let compiled = Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![offload]));
    let links = Links::watch(std::slice::from_ref(&port));
    let shard = Shard::new(compiled, entropy::seed().unwrap(), clock::now());
    let mut forward = Forward::new(shard, vec![port], links, Box::new(|_| {})).unwrap();
    let poller = Poller::new().unwrap();
    let (near, far) = host_link::pair(forward.handle().waker(), poller.waker());
    forward.connect_host(near);
    let stack = Stack::new(vec![443], 1500, entropy::seed().unwrap(), clock::now());
    let host = HostHandle::start(stack, far, poller).unwrap();
    std::thread::spawn(move || forward.run());
    host
}

/// `cargo test --release --lib -- --ignored --nocapture over_a_tap`
#[test]
#[ignore = "a measurement, for a release build, a quiet machine, and root"]
fn bulk_https_over_a_tap_to_the_kernel_is_fast_enough() {
    for (driver, wanted) in [(Driver::Offload, 300.0), (Driver::Plain, 100.0)] {
        let Some(space) = Namespace::new() else { return };
        space.ip("tuntap add t0 mode tap");
        let certificate = serve(router(&space, driver));
        space.ip("link set t0 up");
        space.ip("addr replace 10.77.0.1/24 dev t0");
        let size = 200_000_000;
        let mut rates: Vec<_> = (0..5)
            .map(|_| {
                let connect = || std::net::TcpStream::connect("10.77.0.2:443");
                let stream = netns::within(Some(&space.0), connect).unwrap();
                let mut tls = rustls::StreamOwned::new(client_of(&certificate), stream);
                write!(tls, "GET /{size} HTTP/1.1\r\nHost: koi\r\nConnection: close\r\n\r\n").unwrap();
                let (mut buffer, mut head, mut body) = (vec![0; 1 << 18], Vec::new(), 0);
                body += take_body(&mut head, &{
                    let count = tls.read(&mut buffer).unwrap();
                    buffer[..count].to_vec()
                });
                let began = clock::now();
                while body < size {
                    let count = tls.read(&mut buffer).unwrap();
                    body += take_body(&mut head, &buffer[..count]);
                }
                size as f64 / 1e6 / clock::now().since(began).as_secs_f64()
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!("{driver:?}: {:.0} MB/s (median of {rates:.0?})", rates[2]);
        assert!(rates[2] >= wanted, "{driver:?}: at least {wanted} MB/s");
    }
}
