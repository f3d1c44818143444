//! Ports on real devices in namespaces of their own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::sys::PollEntry;
use super::super::testbed::{
    Namespace, WAYS, frame, host_to_port, numbers_at_port, port_to_host, refuse_io_uring,
};
use super::super::{netns, sys_precedence};
use super::*;
use crate::config::model::Driver;

#[test]
fn order_is_kept_both_ways_whichever_way_frames_are_read_and_written() {
    for way in WAYS {
        let Some(space) = Namespace::new() else { return };
        let mut port = Port::attach(space.spec("t0", way)).unwrap();
        space.host("t0");
        let socket = space.socket();
        for burst in [1, 3, 4, 100, 2, 130, 64] {
            let numbers: Vec<_> = (0..burst).collect();
            assert_eq!(host_to_port(&socket, &mut port, 0..burst), numbers, "{way:?}");
            assert_eq!(port_to_host(&mut port, &socket, 0..burst), numbers, "{way:?}");
        }
        let counters = port.counters();
        assert_eq!(counters.batches > 0, way.1 == Batches::Permitted, "{way:?} {counters:?}");
        assert!(counters.rx_frames >= 304 && counters.tx_frames == 304, "{way:?} {counters:?}");
        assert_eq!(counters.drops(), 0, "{way:?}");
    }
}

/// The first test shows that batches are made where they are permitted.
#[test]
fn where_io_uring_is_refused_single_calls_carry_the_frames() {
    let refused = std::thread::spawn(|| {
        let Some(space) = Namespace::new() else { return };
        refuse_io_uring();
        let mut port = Port::attach(space.spec("t0", (Driver::Offload, Batches::Permitted))).unwrap();
        space.host("t0");
        let socket = space.socket();
        for burst in [100, 3, 130] {
            let numbers: Vec<_> = (0..burst).collect();
            assert_eq!(host_to_port(&socket, &mut port, 0..burst), numbers);
            assert_eq!(port_to_host(&mut port, &socket, 0..burst), numbers);
        }
        assert_eq!((port.counters().batches, port.counters().drops()), (0, 0));
    });
    refused.join().unwrap();
}

#[test]
fn a_refused_frame_is_counted_and_the_others_keep_their_order() {
    for way in WAYS {
        let Some(space) = Namespace::new() else { return };
        let mut port = Port::attach(space.spec("t0", way)).unwrap();
        space.host("t0");
        let socket = space.socket();
        let mut frames: Vec<_> = (0..9).map(frame).collect();
        frames[4] = FrameBuf::copy_of(&[1, 2, 3]);
        let report = port.send_batch(&mut frames, &mut Pool::new(8));
        assert_eq!((report.sent, report.dropped, report.error), (8, 1, None), "{way:?}");
        assert_eq!(port.counters().tx_refused, 1);
        for expected in [0, 1, 2, 3, 5, 6, 7, 8u32] {
            let mut bytes = [0; 4];
            socket.recv(&mut bytes).unwrap();
            assert_eq!(u32::from_be_bytes(bytes), expected, "{way:?}");
        }
    }
}

#[test]
fn a_device_that_is_down_loses_frames_and_works_again_when_it_is_up() {
    for way in WAYS {
        let Some(space) = Namespace::new() else { return };
        let mut port = Port::attach(space.spec("t0", way)).unwrap();
        space.host("t0");
        space.ip("link set t0 down");
        let report = port.send_batch(&mut (0..5).map(frame).collect(), &mut Pool::new(8));
        assert_eq!((report.sent, report.dropped, report.error), (0, 5, Some(PortError::Down)), "{way:?}");
        assert_eq!(port.counters().tx_down, 5);
        space.host("t0");
        assert_eq!(port_to_host(&mut port, &space.socket(), 0..5), [0, 1, 2, 3, 4], "{way:?}");
    }
}

#[test]
fn a_deleted_device_is_gone_and_the_port_is_attached_again_when_it_is_back() {
    for way in WAYS {
        let Some(space) = Namespace::new() else { return };
        space.ip("tuntap add t0 mode tap");
        let mut port = Port::attach(space.spec("t0", way)).unwrap();
        space.host("t0");
        host_to_port(&space.socket(), &mut port, 0..20);
        assert!(port.is_attached());
        space.ip("link del t0");
        assert!(!port.is_attached());
        let (mut pool, mut frames) = (Pool::new(8), Vec::new());
        assert_eq!(port.recv_batch(&mut pool, &mut frames, 64), Err(PortError::Gone), "{way:?}");
        let report = port.send_batch(&mut (0..5).map(frame).collect(), &mut pool);
        assert_eq!((report.dropped, report.error), (5, Some(PortError::Gone)), "{way:?}");
        port.detach();
        space.ip("tuntap add t0 mode tap");
        port.attach_again().unwrap();
        space.host("t0");
        let socket = space.socket();
        assert_eq!(host_to_port(&socket, &mut port, 0..20).len(), 20, "{way:?}");
        assert_eq!(port_to_host(&mut port, &socket, 0..20).len(), 20, "{way:?}");
        assert_eq!(port.counters().attached_again, 1);
    }
}

#[test]
fn a_device_that_moves_to_another_namespace_keeps_working() {
    for way in WAYS {
        let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else { return };
        two.ip("link add taken type bridge");
        let mut port = Port::attach(one.spec("t0", way)).unwrap();
        one.host("t0");
        assert_eq!(host_to_port(&one.socket(), &mut port, 0..20).len(), 20);
        one.ip(&format!("link set t0 netns {}", two.0));
        two.host("t0");
        port.renumber();
        assert!(port.is_attached());
        let index =
            netns::within(Some(&two.0), || sys::interface_index(sys::interface_socket()?.as_fd(), "t0"));
        assert_eq!(port.index(), Some(index.unwrap()));
        let socket = two.socket();
        assert_eq!(host_to_port(&socket, &mut port, 0..20).len(), 20, "{way:?}");
        assert_eq!(port_to_host(&mut port, &socket, 0..20).len(), 20, "{way:?}");
    }
}

#[test]
fn descriptors_are_adopted_by_the_driver_that_they_were_opened_for() {
    let Some(space) = Namespace::new() else { return };
    for (opened, adopting, fits) in [
        (Driver::Offload, Driver::Offload, true),
        (Driver::Plain, Driver::Plain, true),
        (Driver::Offload, Driver::Plain, false),
        (Driver::Plain, Driver::Offload, false),
    ] {
        let opener = Port::attach(space.spec("t0", (opened, Batches::Never))).unwrap();
        let fd = opener.fd().unwrap().try_clone_to_owned().unwrap();
        let index = opener.index();
        drop(opener);
        let adopted = Port::adopt(space.spec("t0", (adopting, Batches::Never)), fd, None);
        assert_eq!(adopted.is_ok(), fits, "{opened:?} by {adopting:?}");
        let Ok(mut port) = adopted else { continue };
        assert_eq!((port.last_name(), port.index()), (Some("t0"), index));
        space.host("t0");
        assert_eq!(port_to_host(&mut port, &space.socket(), 0..5).len(), 5);
    }
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(Port::adopt(space.spec("t0", WAYS[1]), file.into(), None).is_err());
}

/// Waits a while for something to read.
fn readable(port: &Port) -> bool {
    let entry = PollEntry::readable(port.fd().unwrap());
    sys::poll(&mut [entry], Some(std::time::Duration::from_secs(2))).unwrap() > 0
}

#[test]
fn a_macvtap_carries_frames_both_ways() {
    for driver in [Driver::Offload, Driver::Plain] {
        let Some(space) = Namespace::new() else { return };
        space.ip("link add h0 type veth peer name v0");
        space.ip("link set v0 up");
        let arguments = ["-n", &space.0, "link", "add", "link", "v0", "name", "m0", "type", "macvtap"];
        let made = std::process::Command::new("ip").args(arguments).args(["mode", "passthru"]).status();
        if !made.is_ok_and(|status| status.success()) {
            return; // This kernel has no macvtap.
        }
        let look = || sys::interface_index(sys::interface_socket()?.as_fd(), "m0");
        let index = netns::within(Some(&space.0), look).unwrap();
        let device = Device::Macvtap(format!("/dev/tap{index}"));
        let mut port = Port::attach(Spec { device, ..space.spec("", (driver, Batches::Permitted)) }).unwrap();
        assert_eq!((port.last_name(), port.index()), (Some("m0"), Some(index)));
        space.host("h0");
        let socket = space.socket();
        // A veth has a queue for each processor, and keeps the order of frames that come from one of them.
        let _ = sys_precedence::bind(0);
        for burst in [3, 50, 50] {
            assert_eq!(host_to_port(&socket, &mut port, 0..burst), (0..burst).collect::<Vec<_>>());
            assert_eq!(port_to_host(&mut port, &socket, 0..burst), (0..burst).collect::<Vec<_>>());
        }
        // What the kernel keeps for later comes as well.
        let mut read = Vec::new();
        for group in 1..50 {
            socket.send_to(&u32::from(group).to_be_bytes(), (Ipv4Addr::new(224, 0, 0, group), 7777)).unwrap();
        }
        while read.len() < 49 && readable(&port) {
            read.extend(numbers_at_port(&mut port));
        }
        assert_eq!(read, (1..50).collect::<Vec<_>>(), "groups that nobody has joined");
        space.ip("link del m0");
        let (mut pool, mut frames) = (Pool::new(8), Vec::new());
        // Unlike a TAP it goes on taking frames; that it is gone is to be asked, or heard from netlink.
        port.send_batch(&mut vec![frame(1)], &mut pool);
        assert!(!port.is_attached());
        // What the kernel itself had said before is still there; then nothing more comes.
        while port.recv_batch(&mut pool, &mut frames, 64).is_ok() && !frames.is_empty() {
            frames.clear();
        }
    }
}

/// Two hosts with a TCP connection between them, and nothing but two ports in between.
#[test]
fn tcp_runs_through_two_ports_in_superpackets_where_the_driver_has_them() {
    for way in WAYS {
        let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else { return };
        one.ip("tuntap add t0 mode tap");
        // Somebody has left his offloads on the device; the plain driver must take them back.
        drop(Port::attach(one.spec("t0", (Driver::Offload, Batches::Never))).unwrap());
        let mut ports = [&one, &two].map(|space| Port::attach(space.spec("t0", way)).unwrap());
        one.ip("addr add 10.78.0.1/24 dev t0");
        two.ip("addr add 10.78.0.2/24 dev t0");
        let listener = netns::within(Some(&two.0), || TcpListener::bind("10.78.0.2:5001")).unwrap();
        let stop = AtomicBool::new(false);
        let data: Vec<u8> =
            (0..8_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    bridge(&mut ports)
                }
            });
            let sender = scope.spawn(|| {
                let mut stream =
                    netns::within(Some(&one.0), || TcpStream::connect("10.78.0.2:5001")).unwrap();
                stream.write_all(&data).unwrap();
            });
            let mut received = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
            sender.join().unwrap();
            stop.store(true, Ordering::Relaxed);
            assert!(received == data, "{way:?}: what arrives is what was sent");
        });
        let counters = ports[0].counters();
        let mean = counters.rx_bytes / counters.rx_frames;
        assert_eq!(mean > 3000, way.0 == Driver::Offload, "{way:?}: frames of {mean} bytes");
        assert_eq!(ports[0].offloads().tcp, way.0 == Driver::Offload, "{way:?}");
    }
}

/// Frames of each port to the other.
fn bridge(ports: &mut [Port; 2]) {
    let (mut pool, mut frames) = (Pool::new(128), Vec::new());
    for (from, to) in [(0, 1), (1, 0)] {
        ports[from].recv_batch(&mut pool, &mut frames, 64).unwrap();
        ports[to].send_batch(&mut frames, &mut pool);
    }
}
