//! Connections of the router's own stack as asynchronous streams, with TLS, for axum.
//!
//! Handshakes run in tasks of their own with a time limit: a slow client stalls nobody. Finished streams come by a
//! bounded channel.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::host_thread::HostHandle;
use super::{clock, entropy, plain_http};
use crate::host::{Accepted, ConnectionId};

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time.
const HANDSHAKES: usize = 192;
/// Finished connections that wait to be served.
const WAITING: usize = 64;

/// Ports of connections of our own.
const PORTS: RangeInclusive<u16> = 49_152..=65_535;

/// So many bytes are worth a turn of the stack: they fill a superpacket.
const PORTION: usize = 64 << 10;

/// A connection to one of the router's own addresses.
///
/// What is written goes out when it fills a superpacket, when the buffer is full, or when the writer flushes.
pub struct HostStream {
    host: HostHandle,
    id: ConnectionId,
}

impl HostStream {
    /// Connects from an address of ours, from a port that nobody can guess.
    ///
    /// # Errors
    /// When nobody answers, or there are too many connections of our own.
    pub async fn connect(host: &HostHandle, own: IpAddr, remote: SocketAddr) -> io::Result<HostStream> {
        let mut random = [0; 2];
        entropy::fill(&mut random)?;
        let port = PORTS.start() + u16::from_le_bytes(random) % (PORTS.end() - PORTS.start() + 1);
        let begun = {
            let mut held = host.hold();
            let begun = held.stack().connect(clock::now(), SocketAddr::new(own, port), remote);
            held.run();
            begun
        };
        let id = begun.ok_or(io::ErrorKind::AddrInUse)?;
        let stream = HostStream { host: host.clone(), id };
        let connected = std::future::poll_fn(|context| stream.host.hold().stack().poll_connect(id, context));
        connected.await.or_else(reset)?;
        Ok(stream)
    }
}

fn reset<T>(_: crate::host::Reset) -> io::Result<T> {
    Err(io::ErrorKind::ConnectionReset.into())
}

impl AsyncRead for HostStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = self.host.hold();
        match held.stack().poll_read(self.id, context, into.initialize_unfilled()) {
            Poll::Ready(Ok(count)) => {
                into.advance(count);
                if count > 0 {
                    held.run();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(gone)) => Poll::Ready(reset(gone)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for HostStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = self.host.hold();
        let mut written = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            match held.stack().poll_write(self.id, context, slice) {
                Poll::Ready(Ok(count)) => {
                    written += count;
                    if count < slice.len() {
                        break;
                    }
                }
                Poll::Ready(Err(gone)) => return Poll::Ready(reset(gone)),
                Poll::Pending if written == 0 => {
                    held.run();
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        if held.stack().fresh(self.id) >= PORTION {
            held.run();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.host.hold();
        if held.stack().fresh(self.id) > 0 {
            held.run();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.host.hold();
        held.stack().shutdown(self.id);
        held.run();
        Poll::Ready(Ok(()))
    }
}

impl Drop for HostStream {
    fn drop(&mut self) {
        let mut held = self.host.hold();
        held.stack().release(clock::now(), self.id);
        held.run();
    }
}

/// axum's listener on the router's own addresses.
pub struct HostListener {
    finished: mpsc::Receiver<(TlsStream<HostStream>, SocketAddr)>,
    local: SocketAddr,
}

impl HostListener {
    /// Accepts the stack's connections from now on; each speaks TLS, or is sent on to where TLS is spoken. `local` is told to whoever asks for the
    /// listener's own address. Must be called inside a tokio runtime.
    pub fn start(host: HostHandle, tls: TlsAcceptor, local: SocketAddr) -> Self {
        let (sender, finished) = mpsc::channel(WAITING);
        tokio::spawn(accept(host, tls, sender));
        HostListener { finished, local }
    }
}

async fn accept(
    host: HostHandle,
    tls: TlsAcceptor,
    finished: mpsc::Sender<(TlsStream<HostStream>, SocketAddr)>,
) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        let accepted = std::future::poll_fn(|context| host.hold().stack().poll_accept(context));
        let Accepted { id, local, peer } = accepted.await;
        let stream = HostStream { host: host.clone(), id };
        let pages = host.hold().stack().port();
        if plain_http::is_plain(local.port(), pages) {
            tokio::spawn(async move {
                let _permit = permit;
                plain_http::send_on(stream, pages).await;
            });
            continue;
        }
        let (tls, finished) = (tls.clone(), finished.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                // Nobody serves any more when this fails; the stream is dropped either way.
                Ok(Ok(stream)) => drop(finished.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
        });
    }
}

impl axum::serve::Listener for HostListener {
    type Io = TlsStream<HostStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.finished.recv().await {
            Some(connection) => connection,
            // The accepting task lives as long as the runtime.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
