//! Network namespaces, devices and hosts for the tests of this module. They need root; without it they do nothing.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::netns;
use super::port::{Batches, Device, Port, Spec};
use crate::config::model::Driver;
use crate::types::PortId;
use crate::wire::{FrameBuf, Pool};

/// The three ways to read and write.
pub const WAYS: [(Driver, Batches); 3] = [
    (Driver::Plain, Batches::Never),
    (Driver::Offload, Batches::Never),
    (Driver::Offload, Batches::Permitted),
];

/// A namespace that disappears with the value.
pub struct Namespace(pub String);

impl Namespace {
    /// A new one; `None` when this machine does not let us.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("koi-test-ports-{}-{number}", std::process::id());
        run(&format!("netns add {name}")).then_some(Namespace(name))
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &str) {
        assert!(run(&format!("-n {} {arguments}", self.0)), "ip -n {} {arguments}", self.0);
    }

    /// What a port in here is attached to.
    pub fn spec(&self, device: &str, (driver, batches): (Driver, Batches)) -> Spec {
        let device = Device::Tap(device.into());
        Spec { id: PortId(0), device, netns: Some(self.0.clone()), driver, batches }
    }

    /// Makes `device` the link of a host 10.77.0.1 that knows 10.77.0.2 at 02:00:00:00:00:02.
    pub fn host(&self, device: &str) {
        self.ip(&format!("link set {device} address 02:00:00:00:00:01 up"));
        self.ip(&format!("addr replace 10.77.0.1/24 dev {device}"));
        self.ip(&format!("neigh replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev {device}"));
    }

    /// The UDP socket of that host.
    pub fn socket(&self) -> UdpSocket {
        let socket =
            netns::within(Some(&self.0), || UdpSocket::bind((Ipv4Addr::new(10, 77, 0, 1), 7777))).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        run(&format!("netns del {}", self.0));
    }
}

fn run(arguments: &str) -> bool {
    let status = Command::new("ip").args(arguments.split(' ')).stderr(std::process::Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// From now on the kernel refuses io_uring to this thread, as it does in most containers.
pub fn refuse_io_uring() {
    let code = |code: u32| code as u16;
    let (yes, no) = (libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, libc::SECCOMP_RET_ALLOW);
    let mut filter = [
        // The number of the system call.
        libc::sock_filter { code: code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), jt: 0, jf: 0, k: 0 },
        libc::sock_filter {
            code: code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
            jt: 0,
            jf: 1,
            k: libc::SYS_io_uring_setup as u32,
        },
        libc::sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: yes },
        libc::sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: no },
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: both calls change this thread alone; the kernel copies the program, which is alive, before it returns.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(refused, "seccomp: {}", std::io::Error::last_os_error());
}

/// A frame from 10.77.0.2 to the host's socket that carries `number`.
pub fn frame(number: u32) -> FrameBuf {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let mut ip = [0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1];
    let sum = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&folded.to_be_bytes());
    bytes.extend(ip);
    bytes.extend([0x1e, 0x61, 0x1e, 0x61, 0, 12, 0, 0]);
    bytes.extend(number.to_be_bytes());
    FrameBuf::copy_of(&bytes)
}

/// The number in a UDP frame of the host, or of [`frame`].
pub fn number(frame: &FrameBuf) -> Option<u32> {
    let bytes = frame.bytes();
    let is_ours = bytes.get(12..14) == Some(&[8, 0]) && bytes.get(23) == Some(&17) && bytes.len() >= 46;
    is_ours.then(|| u32::from_be_bytes([bytes[42], bytes[43], bytes[44], bytes[45]]))
}

/// Sends the numbers from the host through the port, and gives what the port reads, in order.
pub fn host_to_port(socket: &UdpSocket, port: &mut Port, numbers: std::ops::Range<u32>) -> Vec<u32> {
    for number in numbers {
        socket.send_to(&number.to_be_bytes(), "10.77.0.2:7777").unwrap();
    }
    numbers_at_port(port)
}

/// Gives what the port has to read now, in order.
pub fn numbers_at_port(port: &mut Port) -> Vec<u32> {
    let (mut pool, mut frames, mut read) = (Pool::new(128), Vec::new(), Vec::new());
    loop {
        port.recv_batch(&mut pool, &mut frames, 64).unwrap();
        if frames.is_empty() {
            return read;
        }
        read.extend(frames.drain(..).filter_map(|frame| number(&frame)));
    }
}

/// Sends the numbers through the port to the host, and gives what its socket receives, in order.
pub fn port_to_host(port: &mut Port, socket: &UdpSocket, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let mut frames: Vec<_> = numbers.clone().map(frame).collect();
    let report = port.send_batch(&mut frames, &mut Pool::new(128));
    assert_eq!((report.sent, report.dropped, report.error), (numbers.len(), 0, None));
    let receive = || {
        let mut bytes = [0; 4];
        socket.recv(&mut bytes).map(|_| u32::from_be_bytes(bytes))
    };
    numbers.map_while(|_| receive().ok()).collect()
}
