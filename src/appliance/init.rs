//! The first process: it brings the machine up, looks after the router and the consoles, and takes the machine down.
//!
//! Order of work: mounts, the modules that a router needs, the configuration partition, the configuration, processes, and
//! once the router answers the rest of the modules. Then it waits: for processes that end, for signals, for devices that
//! come, for the power button, and for what its children say, which it writes to the log. It never looks at a packet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::buttons::Buttons;
use super::children::{Children, Job};
use super::first::{self, First};
use super::hardware::Hardware;
use super::health::{Health, Verdict};
use super::journal::Journal;
use super::kernel_log::KernelLog;
use super::options::Options;
use super::origin::Origin;
use super::situation::Situation;
use super::speaker::Speaker;
use super::turn::Turn;
use super::watchdog::Watchdog;
use super::{look, partition, trial};
use crate::io::machine::{self, Access, Power};
use crate::io::{clock, nic};
use crate::types::{Instant, MacAddr};

/// Modules that no device asks for and that are there before the router.
const FIRST: &[&str] = &[
    "tun",
    "macvtap",
    "bridge",
    "qemu_fw_cfg",
    // What ext4 needs without saying so.
    "crc32c_generic",
    "crc32c_intel",
    "ext4",
    // Nobody presses the power button a second time because it was too early.
    "evdev",
    "button",
];
/// What the file systems of the loader and of disks that bring something need.
const VOLUMES: &[&str] = &["vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "isofs"];
/// Until it answers, the router has the processor to itself, but no longer than this; then the rest of the machine is
/// looked after, and the consoles begin. A release on trial has the watchdog before its router,
/// and the consoles with it.
const REST: Duration = Duration::from_secs(3);
/// A bus has been looked through when nothing has come for so long.
const QUIET: Duration = Duration::from_millis(300);
/// Devices have this long to appear.
const DEVICES: Duration = Duration::from_secs(8);
/// How long the router may take to hand over and to end.
const END: Duration = Duration::from_secs(12);
/// The longest wait of the main loop.
const TICK: Duration = Duration::from_secs(1);
/// Signals that ask for something: SIGTERM and SIGINT to restart the machine, SIGUSR2 to switch it off, SIGUSR1 to start
/// the router anew.
const SIGNALS: [i32; 5] = [SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2];
const SIGINT: i32 = 2;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;

/// How the first process is asked by others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// The machine starts anew.
    Restart,
    /// The machine is switched off.
    Off,
    /// The router starts anew.
    Router,
}

/// Asks the first process of this machine.
///
/// # Errors
/// When that may not be asked, or is none of ours.
pub fn ask(wish: Wish) -> io::Result<()> {
    if !is_appliance() {
        return Err(io::Error::other("this machine is no Koi appliance"));
    }
    let signal = match wish {
        Wish::Restart => SIGTERM,
        Wish::Off => SIGUSR2,
        Wish::Router => SIGUSR1,
    };
    machine::signal(1, signal)
}

/// True where the first process is Koi.
pub fn is_appliance() -> bool {
    fs::read_link("/proc/1/exe").is_ok_and(|program| program == Path::new("/init"))
}

/// True when this process was started by the kernel, as the first one.
pub fn is_first() -> bool {
    let name = std::env::args_os().next();
    std::process::id() == 1 && name.is_some_and(|name| Path::new(&name).ends_with("init"))
}

/// Runs the machine. Ends with it; gives why it cannot.
pub fn run() -> io::Error {
    match Init::start() {
        Ok(mut init) => match init.serve() {
            Ok(power) => init.end(power),
            Err(error) => error,
        },
        Err(error) => error,
    }
}

struct Init {
    options: Options,
    speaker: Speaker,
    hardware: Hardware,
    buttons: Buttons,
    watchdog: Watchdog,
    /// When the devices get their modules that a router does not need.
    rest: Option<Instant>,
    kernel: KernelLog,
    journal: Journal,
    children: Children,
    first: First,
    situation: Situation,
    health: Health,
    signals: File,
    /// What the children say.
    words: (io::PipeReader, io::PipeWriter),
    /// The last line of them.
    last_word: String,
    /// What somebody sees who looks at the router.
    looks: look::Looks,
}

impl Init {
    fn start() -> io::Result<Init> {
        mount_all()?;
        let signals = machine::signals(&SIGNALS)?;
        // Only the machine's own first process may; in a container nobody presses these keys.
        let _ = machine::take_ctrl_alt_del();
        let options = Options::read(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
        let speaker = Speaker::find();
        let release = release();
        let slot = options.slot.map_or_else(|| "none".into(), |slot| slot.to_string());
        speaker.say(&format!("koi: init {release} slot {slot}"));
        let begun = clock::now();
        let mut hardware = Hardware::open()?;
        hardware.load(FIRST);
        wait_for_devices(&mut hardware, &options);
        let trouble = partition::settle()?;
        // The trial is noted on the loader's partition.
        if options.on_trial {
            hardware.load(VOLUMES);
        }
        speaker.say(&format!("koi: modules loaded in {} ms", clock::now().since(begun).as_millis()));
        let cards = cards();
        let mut first = first::find(&cards, || look_for_a_seed(&mut hardware));
        first.warnings.extend(trouble.map(|trouble| format!("config partition: {trouble}")));
        speaker.say(&format!("koi: config: {}", first.origin));
        first.warnings.iter().for_each(|warning| speaker.say(&format!("koi: WARNING: {warning}")));
        // A name that the kernel does not take is only a name.
        let _ = machine::set_host_name(&first.hostname);
        let situation = Situation {
            release,
            slot: options.slot.map(|slot| slot.to_string()),
            origin: first.origin.to_string(),
            document: first.document.display().to_string(),
            warnings: first.warnings.clone(),
            healthy: false,
        };
        situation.write();
        let rest = if options.on_trial { Duration::ZERO } else { REST };
        let mut init = Init {
            options,
            speaker,
            hardware,
            buttons: Buttons::default(),
            watchdog: Watchdog::default(),
            rest: Some(clock::now() + rest),
            kernel: KernelLog::open(),
            journal: Journal::new(Path::new(partition::LOG)),
            children: Children::default(),
            first,
            situation,
            health: Health::new(clock::now()),
            signals,
            words: machine::pipe()?,
            last_word: String::new(),
            looks: look::Looks::begin()?,
        };
        init.buttons.look();
        init.begin();
        Ok(init)
    }

    /// What was found is written down, and the router is wanted.
    fn begin(&mut self) {
        let now = clock::now();
        let Situation { release, origin, warnings, .. } = self.situation.clone();
        self.note(&format!("koi: {release} begins; configuration: {origin}"));
        warnings.iter().for_each(|warning| self.note(&format!("koi: WARNING: {warning}")));
        if self.options.on_trial {
            trial::reached(&self.speaker);
        }
        self.children.want(Job::Router, now);
    }

    fn note(&mut self, line: &str) {
        self.journal.write(clock::now(), &format!("{} {line}", clock::wall_seconds()));
    }

    /// Both: for who stands there now, and for who looks later.
    fn say(&mut self, line: &str) {
        self.speaker.say(line);
        self.note(line);
    }

    fn serve(&mut self) -> io::Result<Power> {
        loop {
            let now = clock::now();
            self.look_after_the_rest(now);
            self.start_due(now);
            self.watchdog.pet(now);
            self.journal.flush(now);
            let [signalled, plugged, spoken, looked] = self.wait(now)?;
            if spoken {
                self.listen();
            }
            if plugged {
                let heard = self.hardware.hear();
                if heard.iter().any(|event| event.subsystem == "input") {
                    self.buttons.look();
                }
            }
            for warning in self.kernel.take() {
                self.note(&warning);
            }
            if looked {
                self.judge();
            }
            if self.buttons.pressed() {
                self.say("koi: the power button was pressed");
                return Ok(Power::Off);
            }
            if signalled && let Some(power) = self.take_signals() {
                return Ok(power);
            }
        }
    }

    fn look_after_the_rest(&mut self, now: Instant) {
        if self.rest.take_if(|at| *at <= now).is_some() {
            self.hardware.load(VOLUMES);
            self.hardware.coldplug(Turn::Rest);
            self.watchdog = Watchdog::open(&mut self.hardware);
            self.buttons.look();
            for number in 0..self.speaker.consoles().len() {
                self.children.want(Job::Console(number), now);
            }
        }
    }

    fn wait(&self, now: Instant) -> io::Result<[bool; 4]> {
        let mut sources: Vec<BorrowedFd<'_>> =
            vec![self.signals.as_fd(), self.hardware.fd(), self.words.0.as_fd(), self.looks.fd()];
        sources.extend(self.kernel.fd());
        sources.extend(self.buttons.fds());
        let timers = [self.children.poll_timeout(), self.journal.poll_timeout(), self.rest, Some(now + TICK)];
        let at = timers.into_iter().flatten().min().unwrap_or(now);
        let ready = machine::wait(&sources, Some(at.since(now)))?;
        Ok([ready[0], ready[1], ready[2], ready[3]])
    }

    fn take_signals(&mut self) -> Option<Power> {
        let mut power = None;
        for signal in machine::arrived(&self.signals) {
            match signal {
                SIGTERM | SIGINT => power = Some(Power::Restart),
                SIGUSR2 => power = Some(Power::Off),
                SIGUSR1 => self.restart_router(),
                _ => {}
            }
        }
        while let Some((process, code)) = machine::reap() {
            if let Some(Job::Router) = self.children.ended(process, clock::now()) {
                self.listen();
                let why = std::mem::take(&mut self.last_word);
                self.say(&format!("koi: the router has ended ({code}) and is started again: {why}"));
            }
        }
        power
    }

    fn restart_router(&mut self) {
        self.note("koi: the router is started anew, because somebody asked for that");
        self.children.hurry(Job::Router);
        if let Some(process) = self.children.process(Job::Router) {
            let _ = machine::signal(process, SIGTERM);
        }
    }

    fn start_due(&mut self, now: Instant) {
        for job in self.children.due(now) {
            let started = match job {
                Job::Router => self.start_router(),
                Job::Console(number) => self.start_console(number),
            };
            match (&started, job) {
                (Ok(_), Job::Router) => self.say("koi: router started"),
                (Ok(_), Job::Console(_)) => {}
                (Err(error), _) => self.note(&format!("koi: WARNING: {job:?} cannot be started: {error}")),
            }
            self.children.started(job, started.ok(), clock::now());
        }
    }

    fn start_router(&mut self) -> io::Result<u32> {
        // The document may have been mended, or be another one by now.
        if !matches!(self.first.origin, Origin::Disk) && Path::new(partition::DOCUMENT) != self.first.document
        {
            // All disks are there by now.
            self.first = first::find(&cards(), || ());
        }
        let mut command = Command::new("/proc/self/exe");
        command.args(["run", "--state", partition::STATE, "--config"]).arg(&self.first.document);
        if let Some(node) = &self.first.node {
            command.args(["--node", node]);
        }
        let words = || self.words.1.try_clone().map(Stdio::from);
        command.stdin(Stdio::null()).stdout(words()?).stderr(words()?);
        machine::spawn(&mut command)
    }

    fn start_console(&self, number: usize) -> io::Result<u32> {
        let device = &self.speaker.consoles()[number];
        let open = || OpenOptions::new().read(true).write(true).open(device).map(Stdio::from);
        let mut command = Command::new("/proc/self/exe");
        command.arg("console").env("TERM", "linux").stdin(open()?).stdout(open()?).stderr(open()?);
        machine::spawn_on_terminal(&mut command)
    }

    fn listen(&mut self) {
        let mut bytes = [0; 16 << 10];
        while let Ok(len) = self.words.0.read(&mut bytes) {
            if len == 0 {
                return;
            }
            let lines = self.journal.take(clock::now(), &bytes[..len]);
            self.last_word =
                lines.into_iter().next_back().unwrap_or_else(|| std::mem::take(&mut self.last_word));
        }
    }

    fn judge(&mut self) {
        for seen in self.looks.take() {
            if seen.answers {
                self.rest = self.rest.map(|at| at.min(clock::now()));
            }
            match self.health.handle(clock::now(), seen) {
                Some(Verdict::Well) => {
                    if let (true, Some(slot)) = (self.options.on_trial, self.options.slot) {
                        trial::keep(slot, &self.speaker);
                    }
                    self.say("koi: healthy");
                    self.situation.healthy = true;
                    self.situation.write();
                }
                Some(Verdict::Sick) if self.options.on_trial => {
                    self.say("koi: WARNING: this release is not well; the one before comes back");
                    trial::give_up(&self.speaker);
                    // The signal is this process's own, and is taken like anybody's.
                    let _ = machine::signal(1, SIGTERM);
                }
                Some(Verdict::Sick) => self.say("koi: WARNING: the router does not get well"),
                None => {}
            }
        }
    }

    /// Takes the machine down: the peer gets the role, the router ends, the disks are flushed.
    fn end(&mut self, power: Power) -> io::Error {
        self.note("koi: the end begins");
        let deadline = clock::now() + END;
        self.hand_over(clock::now() + END / 2);
        self.children.end();
        for process in self.children.processes() {
            let _ = machine::signal(process, SIGTERM);
        }
        self.reap_until(deadline, |children| children.processes().is_empty());
        self.listen();
        self.say(match power {
            Power::Restart => "koi: rebooting",
            Power::Off => "koi: power off",
        });
        self.journal.close();
        self.watchdog.release();
        machine::flush_disks();
        // What cannot be unmounted is flushed, and its file system has a journal.
        let _ = machine::unmount(Path::new(partition::HOME));
        machine::flush_disks();
        machine::power(power)
    }

    /// Where there is a peer that can take the role, it gets it without the loss of a packet.
    fn hand_over(&mut self, deadline: Instant) {
        let mut command = Command::new("/proc/self/exe");
        command.args(["pair", "handover"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(process) = machine::spawn(&mut command) {
            let mut done = false;
            while !done && clock::now() < deadline {
                let left = deadline.since(clock::now());
                if machine::wait(&[self.signals.as_fd()], Some(left)).is_err() {
                    return;
                }
                machine::arrived(&self.signals);
                while let Some((ended, _)) = machine::reap() {
                    done |= ended == process;
                    self.children.ended(ended, clock::now());
                }
            }
        }
    }

    fn reap_until(&mut self, deadline: Instant, done: impl Fn(&Children) -> bool) {
        while !done(&self.children) && clock::now() < deadline {
            let left = deadline.since(clock::now());
            if machine::wait(&[self.signals.as_fd()], Some(left)).is_err() {
                return;
            }
            machine::arrived(&self.signals);
            while let Some((process, _)) = machine::reap() {
                self.children.ended(process, clock::now());
            }
            self.children.end();
            self.listen();
        }
    }
}

fn mount_all() -> io::Result<()> {
    for (kind, at, options) in [
        ("proc", "/proc", ""),
        ("sysfs", "/sys", ""),
        ("devtmpfs", "/dev", "mode=0755"),
        ("tmpfs", "/run", "mode=0755,size=32m"),
        ("tmpfs", "/tmp", "mode=1777,size=64m"),
    ] {
        fs::create_dir_all(at)?;
        match machine::mount(kind, Path::new(at), kind, Access::Write, options) {
            // The kernel may have mounted its devices already.
            Err(error) if kind != "devtmpfs" => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::create_dir_all("/run/koi")?;
    let console = OpenOptions::new().read(true).write(true).open("/dev/console");
    // A machine without any console is still a router.
    let _ = console.and_then(|console| machine::become_standard(&console));
    // The kernel's own stack has nothing to say on the cards.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    nic::set_up("lo")
}

/// Version and build, as the image says.
fn release() -> String {
    let text = fs::read_to_string("/etc/koi/release").unwrap_or_default();
    let word = |name: &str| {
        text.lines()
            .find_map(|line| line.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    };
    let version = word("version").unwrap_or(env!("CARGO_PKG_VERSION"));
    word("build").map_or_else(|| version.to_owned(), |build| format!("{version} ({build})"))
}

/// Cards and the disk with the configuration: on the kinds of disks that are usual first, and then wherever it may be.
/// Some of them the kernel looks for in the background.
fn wait_for_devices(hardware: &mut Hardware, options: &Options) {
    let deadline = clock::now() + DEVICES;
    let complete = || {
        let has_cards = nic::all().is_ok_and(|cards| !cards.is_empty());
        has_cards && (!options.disk || partition::find(partition::CONFIG).is_some())
    };
    for turn in [Turn::Cards, Turn::Disks, Turn::Rest] {
        hardware.coldplug(turn);
        if complete() {
            return;
        }
    }
    while !complete() && clock::now() < deadline {
        let left = deadline.since(clock::now());
        if machine::wait(&[hardware.fd()], Some(left)).is_err() {
            return;
        }
        hardware.hear();
    }
}

/// A machine that nobody has told anything looks for a seed on all disks, those on a bus that takes its time as well.
fn look_for_a_seed(hardware: &mut Hardware) {
    let deadline = clock::now() + DEVICES;
    hardware.coldplug(Turn::Disks);
    while clock::now() < deadline && machine::wait(&[hardware.fd()], Some(QUIET)).is_ok_and(|ready| ready[0])
    {
        hardware.hear();
    }
    if partition::find(partition::SEED).is_some() {
        hardware.load(VOLUMES);
    }
}

fn cards() -> Vec<MacAddr> {
    let cards = nic::all().unwrap_or_default();
    // Up, so that the console can tell which has a cable.
    cards.iter().for_each(|card| drop(nic::set_up(&card.name)));
    cards.into_iter().map(|card| card.mac).collect()
}
