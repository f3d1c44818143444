//! A thread of the apparatus that goes on until nobody needs it any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::io::netns;
use crate::lab::network::namespace;

/// Says whether to go on.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<AtomicBool>);

impl Running {
    /// False when the thread should end.
    pub fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// The thread; it ends with this value.
#[derive(Debug)]
pub struct Worker {
    running: Running,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `work` on a host of the lab; on the machine itself when there is none. It returns soon after it is told
    /// to.
    ///
    /// # Errors
    /// When there is no thread left.
    pub fn start(
        name: &str,
        host: Option<&str>,
        work: impl FnOnce(&Running) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Worker> {
        let running = Running::default();
        let (told, name_of_host) = (running.clone(), host.map(namespace));
        let title = name.to_owned();
        let whole = move || {
            let result = netns::within(name_of_host.as_deref(), || work(&told));
            if let Err(error) = result.map_err(|error| format!("{title}: {error}")) {
                eprintln!("koi: {error}");
            }
        };
        let thread = thread::Builder::new().name(name.into()).spawn(whole)?;
        Ok(Worker { running, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.0.store(true, Ordering::Relaxed);
        // A panic in there has been reported by itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
