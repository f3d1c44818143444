//! Connections of the router's own stack as asynchronous streams, with TLS, for axum.
//!
//! Handshakes run in tasks of their own with a time limit: a slow client stalls nobody. Finished streams come by a
//! bounded channel.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::host_thread::HostHandle;
use crate::host::{Accepted, SocketHandle};

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time.
const HANDSHAKES: usize = 64;
/// Finished connections that wait to be served.
const WAITING: usize = 64;

/// A connection to one of the router's own addresses.
pub struct HostStream {
    host: HostHandle,
    handle: SocketHandle,
}

impl AsyncRead for HostStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut held = self.host.hold();
        match held.stack().poll_read(self.handle, context, into.initialize_unfilled()) {
            Poll::Ready(count) => {
                into.advance(count);
                // The window has opened; the peer should know.
                held.run();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for HostStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut held = self.host.hold();
        match held.stack().poll_write(self.handle, context, bytes) {
            Poll::Ready(Some(count)) => {
                held.run();
                Poll::Ready(Ok(count))
            }
            Poll::Ready(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.host.hold().run();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.host.hold();
        held.stack().shutdown(self.handle);
        held.run();
        Poll::Ready(Ok(()))
    }
}

impl Drop for HostStream {
    fn drop(&mut self) {
        let mut held = self.host.hold();
        held.stack().release(self.handle);
        held.run();
    }
}

/// axum's listener on the router's own addresses.
pub struct HostListener {
    finished: mpsc::Receiver<(TlsStream<HostStream>, SocketAddr)>,
    local: SocketAddr,
}

impl HostListener {
    /// Accepts the stack's connections from now on; each speaks TLS. `local` is told to whoever asks for the
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
        let Accepted { handle, local: _, peer } = accepted.await;
        let stream = HostStream { host: host.clone(), handle };
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
