//! The router process: it takes its descriptors, gives up its privileges, and then carries out orders.
//!
//! The main thread only listens to the parent; packets, the router's own stack, the GUI and the control socket have
//! threads of their own. When the parent is gone, so is the router: the kernel kills it, and the end of the channel
//! says the same.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};

use super::channel::Channel;
use super::engine::{Engine, StartPages};
use super::favoured::{Favour, Favourites};
use super::log_ring::Line;
use super::orders::{Order, Report, Start};
use super::reloads::Reloads;
use super::request::Response;
use super::{clock, control, log, log_ring, privilege, sys_process};

/// Says things to the parent, from any thread.
#[derive(Clone)]
pub struct Reporter(Arc<Mutex<Channel>>);

impl Reporter {
    /// Says it. When the parent is gone, nobody needs to hear it.
    pub fn say(&self, report: &Report) {
        let mut channel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = channel.send(report, &[]) {
            tracing::error!(%error, "the parent does not listen");
        }
    }

    /// Says it unless this very thread may be saying something.
    fn say_now(&self, report: &Report) {
        if let Ok(mut channel) = self.0.try_lock() {
            // Nothing more can be done.
            let _ = channel.send(report, &[]);
        }
    }
}

/// The main function of the router process. The parent is at the other end of standard input.
pub fn run(format: log::Format, pages: StartPages) -> ExitCode {
    log::start(format);
    match channel().and_then(|channel| serve(channel, pages)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn channel() -> anyhow::Result<Channel> {
    let inherited = io::stdin().as_fd().try_clone_to_owned().and_then(Channel::adopt);
    inherited.context("this command is started by \"koi run\", not by hand")
}

fn serve(mut channel: Channel, pages: StartPages) -> anyhow::Result<()> {
    let reporter = Reporter(Arc::new(Mutex::new(channel.try_clone()?)));
    let (mut start, descriptors) = match channel.receive()? {
        Some((Order::Start(start), descriptors)) => (*start, descriptors),
        Some(_) | None => bail!("the parent did not say how to start"),
    };
    let reloads = Arc::new(Reloads::default());
    tell_of_panics(reporter.clone());
    log_ring::adopt(std::mem::take(&mut start.said));
    let mut engine = match begin(start, descriptors, &reporter, &reloads, pages) {
        Ok(engine) => engine,
        Err(error) => {
            reporter.say(&Report::Failed(format!("{error:#}")));
            return Err(error);
        }
    };
    reporter.say(&Report::Ready);
    // The end of the channel is the end of the parent.
    while let Some((order, descriptors)) = channel.receive()? {
        match order {
            Order::Apply(apply) => {
                let (ticket, reloaded) = (apply.ticket, apply.reloaded.clone());
                match engine.apply(*apply, descriptors) {
                    Ok(()) => {
                        reporter.say(&Report::Applied { ticket });
                        reloads.settle(ticket, Response::Reloaded(reloaded));
                    }
                    Err(problems) => {
                        reporter.say(&Report::NotApplied { ticket, problems: problems.clone() });
                        reloads.settle(ticket, Response::Refused(problems));
                    }
                }
            }
            Order::Refuse { ticket, problems } => reloads.settle(ticket, Response::Refused(problems)),
            Order::Answer { ticket, response } => reloads.settle(ticket, *response),
            Order::Tell { message } => engine.tell_peer(&message),
            Order::Attached { port } => engine.attached(&port, descriptors),
            Order::NotAttached { name } => engine.not_attached(&name),
            Order::Released { ticket, problem } => {
                let outcome = problem.map_or(Response::Done, Response::Failed);
                reloads.settle(ticket, outcome);
            }
            Order::End => break,
            Order::Start(_) => bail!("the parent wants a second start"),
        }
    }
    engine.end();
    Ok(())
}

/// A panic may end this process before anybody has read its log; the parent hears of it at once.
fn tell_of_panics(reporter: Reporter) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let mut words = panic.to_string();
        log_ring::shorten(&mut words);
        let at_ms = clock::calendar_ms();
        log_ring::adopt(vec![Line { at_ms, level: "ERROR".into(), text: words.clone() }]);
        reporter.say_now(&Report::Failed(words));
    }));
}

/// Gives up the privileges and starts everything.
fn begin(
    start: Start,
    descriptors: Vec<OwnedFd>,
    reporter: &Reporter,
    reloads: &Arc<Reloads>,
    pages: StartPages,
) -> anyhow::Result<Engine> {
    // The parent decides when it is over. A terminal sends its interrupt to both.
    sys_process::ignore_signals(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])?;
    // From inside the directory, its parents need not be readable for the router's account.
    std::env::set_current_dir(&start.state).with_context(|| start.state.display().to_string())?;
    let favour = Favour::begin();
    let kept = privilege::drop_all(".".as_ref(), start.account).context("privileges")?;
    let threads = Favourites::start().context("the forward thread")?;
    match favour {
        Ok(favour) => drop(favour),
        Err(error) => {
            tracing::info!(%error, "no thread is favoured: a busy machine is felt");
        }
    }
    sys_process::die_with_parent()?;
    if std::os::unix::process::parent_id() != start.parent {
        bail!("the parent has ended");
    }
    tracing::info!(%kept, "privileges");
    let mut descriptors = descriptors.into_iter();
    let listener = descriptors.next().ok_or_else(|| anyhow!("the parent passed no control socket"))?;
    let owner = start.owner;
    let engine =
        Engine::start(start, descriptors, kept, threads, reporter.clone(), Arc::clone(reloads), pages)?;
    control::serve(listener.into(), owner, engine.answering()).context("control socket")?;
    Ok(engine)
}
