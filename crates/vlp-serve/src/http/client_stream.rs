//! The bytes of a connection: a client that does not read its answer is disconnected, and one that is still sending when its
//! answer ends the connection has time to read it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// Bytes that a client must take of an answer in [`StreamLimits::stall`].
const PROGRESS: usize = 64 << 10;
/// Time in which what a client still sends after the last answer is read and dropped.
const LINGER: Duration = Duration::from_secs(10);

/// Limits of what a client may leave undone.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLimits {
    /// Time in which a client must take a part of its answer.
    pub(super) stall: Duration,
    /// Bytes of a client that are read and dropped after the last answer.
    pub(super) linger: usize,
}

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: TcpStream,
    limits: StreamLimits,
    activity: Arc<Activity>,
    /// While the client takes nothing: when it must have taken a part.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes taken since the last part.
    taken: usize,
    ending: Option<Ending>,
}

/// After the last answer.
#[derive(Debug)]
struct Ending {
    deadline: Pin<Box<Sleep>>,
    /// Bytes that are still read and dropped.
    left: usize,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, limits: StreamLimits, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            limits,
            activity,
            deadline: None,
            taken: 0,
            ending: None,
        }
    }

    /// Ends in an error if the client has taken too little for too long.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => {
                let stall = self.limits.stall;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(stall)));
                ready!(deadline.as_mut().poll(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Ready(Ok(count)) => {
                self.taken += count;
                if self.taken >= PROGRESS {
                    self.rest();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    /// The client owes nothing.
    fn rest(&mut self) {
        self.deadline = None;
        self.taken = 0;
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when all of an answer is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.rest();
        self.activity.sent();
        Poll::Ready(Ok(()))
    }

    /// Says that no more comes, and reads what the client still sends: the system would answer it with a reset, at which the
    /// client may lose an answer that it has not read.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let ending = this.ending.get_or_insert_with(|| Ending {
            deadline: Box::pin(sleep(LINGER)),
            left: this.limits.linger,
        });
        let mut bytes = [0; 8192];
        loop {
            if ending.deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer));
            let count = read.map_or(0, |()| buffer.filled().len());
            match ending.left.checked_sub(count) {
                Some(left) if count > 0 => ending.left = left,
                // The client has closed, or sends too much.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
