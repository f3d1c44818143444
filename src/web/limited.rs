//! A listener whose connections are bounded in number, and whose clients may not dawdle.
//!
//! axum and hyper wait for a slow client for ever. Here a request must be complete and under way to its answer in
//! [`REQUEST`], an idle connection ends after [`IDLE`], a client that does not take its answer too, and a request with
//! its form has at most [`LARGEST`] bytes. Whoever has been let in with a long file is given more of both ([`Peer::allow_long`]),
//! as long as they go on. Nothing here knows HTTP: whatever is read before something is written is a request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::io::clock;
use crate::types::Instant;

/// From the first byte of a request to the first byte of its answer.
const REQUEST: Duration = Duration::from_secs(20);
/// Between an answer and the next request, and for a client to take some of its answer.
const IDLE: Duration = Duration::from_secs(30);
/// Bytes of a request, its body included: a file for the API. Nobody keeps so many of it who has not been let in.
const LARGEST: usize = 17 << 20;

/// The same with a long file.
const LARGEST_LONG: usize = 65 << 20;

/// A listener with limits.
pub(super) struct Limited<L> {
    inner: L,
    permits: Arc<Semaphore>,
}

impl<L: Listener> Limited<L> {
    /// At most `connections` at a time; more wait in the listener's own queue.
    pub fn new(inner: L, connections: usize) -> Self {
        Limited { inner, permits: Arc::new(Semaphore::new(connections)) }
    }
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Timely<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, L::Addr) {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (inner, address) = self.inner.accept().await;
        (Timely::new(inner, permit), address)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.inner.local_addr()
    }
}

/// The client of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// When the connection was made.
    pub since: Instant,
    /// See [`Timely::long`].
    long: Arc<AtomicBool>,
}

impl Peer {
    /// A long file may come over this connection until the value that this gives is dropped.
    pub fn allow_long(&self) -> Long {
        self.long.store(true, Ordering::Relaxed);
        Long(Arc::clone(&self.long))
    }
}

/// A long file may come.
pub(super) struct Long(Arc<AtomicBool>);

impl Drop for Long {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl<L: Listener<Addr = SocketAddr>> Connected<IncomingStream<'_, Limited<L>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited<L>>) -> Self {
        Peer { address: *stream.remote_addr(), since: clock::now(), long: Arc::clone(&stream.io().long) }
    }
}

/// A connection with deadlines.
pub(super) struct Timely<S> {
    inner: S,
    /// Bytes read since something was written.
    unanswered: usize,
    deadline: Pin<Box<Sleep>>,
    /// Whoever sends has been let in, and sends something long.
    long: Arc<AtomicBool>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Timely<S> {
    fn new(inner: S, permit: Option<OwnedSemaphorePermit>) -> Timely<S> {
        let deadline = Box::pin(sleep(IDLE));
        Timely { inner, unanswered: 0, deadline, long: Arc::default(), _permit: permit }
    }

    fn late<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn has_written(&mut self, count: usize) {
        if count > 0 {
            self.unanswered = 0;
            self.deadline.set(sleep(IDLE));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let Poll::Ready(result) = Pin::new(&mut self.inner).poll_read(context, into) else {
            return self.late(context);
        };
        let count = into.filled().len() - before;
        let long = self.long.load(Ordering::Relaxed);
        if count > 0 && long {
            self.deadline.set(sleep(IDLE));
        } else if count > 0 && self.unanswered == 0 {
            self.deadline.set(sleep(REQUEST));
        }
        self.unanswered += count;
        if self.unanswered > if long { LARGEST_LONG } else { LARGEST } {
            into.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(result) = Pin::new(&mut self.inner).poll_write(context, bytes) else {
            return self.late(context);
        };
        self.has_written(*result.as_ref().unwrap_or(&0));
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(result) = Pin::new(&mut self.inner).poll_write_vectored(context, slices) else {
            return self.late(context);
        };
        self.has_written(*result.as_ref().unwrap_or(&0));
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.late(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.late(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// Runs in simulated time.
    fn simulated<F: Future>(future: F) -> F::Output {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap().block_on(future)
    }

    fn timely(inner: DuplexStream) -> Timely<DuplexStream> {
        Timely::new(inner, None)
    }

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_is_given_up() {
        simulated(async {
            let (near, mut far) = duplex(1024);
            let mut near = timely(near);
            let client = tokio::spawn(async move {
                for _ in 0..100 {
                    sleep(Duration::from_secs(5)).await;
                    if far.write_all(b"G").await.is_err() {
                        break;
                    }
                }
            });
            let (mut read, mut error) = (0, None);
            while error.is_none() {
                match near.read(&mut [0; 16]).await {
                    Ok(count) => read += count,
                    Err(why) => error = Some(why.kind()),
                }
            }
            assert_eq!((read, error), (4, Some(io::ErrorKind::TimedOut)), "20 s after the first byte");
            client.abort();
        });
    }

    #[test]
    fn idle_connections_long_heads_and_clients_that_do_not_read_are_given_up() {
        simulated(async {
            let (near, far) = duplex(1024);
            assert_eq!(timely(near).read(&mut [0; 16]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            drop(far);
            let (near, mut far) = duplex(LARGEST + 1);
            far.write_all(&vec![b'a'; LARGEST + 1]).await.unwrap();
            let error = timely(near).read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let (near, far) = duplex(1024);
            let error = timely(near).write_all(&[0; 4096]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            drop(far);
        });
    }

    #[test]
    fn whoever_is_let_in_with_a_long_file_has_time_and_room_until_it_is_taken() {
        simulated(async {
            let (near, mut far) = duplex(LARGEST_LONG + 1);
            let mut near = timely(near);
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let peer = Peer { address, since: Instant::ZERO, long: Arc::clone(&near.long) };
            let long = peer.allow_long();
            let mut piece = vec![b'a'; LARGEST];
            for _ in 0..3 {
                far.write_all(&piece).await.unwrap();
                near.read_exact(&mut piece).await.unwrap();
                sleep(Duration::from_secs(15)).await;
            }
            drop(long);
            far.write_all(b"a").await.unwrap();
            let error = near.read(&mut [0; 16]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn answers_start_the_clock_again() {
        simulated(async {
            let (near, mut far) = duplex(1024);
            let mut near = timely(near);
            for _ in 0..10 {
                sleep(Duration::from_secs(15)).await;
                far.write_all(b"?").await.unwrap();
                assert_eq!(near.read(&mut [0; 16]).await.unwrap(), 1);
                sleep(Duration::from_secs(15)).await;
                near.write_all(b"!").await.unwrap();
                assert_eq!(far.read(&mut [0; 16]).await.unwrap(), 1);
            }
        });
    }
}
