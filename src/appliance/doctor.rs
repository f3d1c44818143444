//! What a machine lacks to be a good Koi, and whether the network around it lets virtual MAC addresses through: pure, from
//! what was seen.

use std::fmt::Write;

use crate::node::{self, Finding};
use crate::types::MacAddr;

/// Under what the machine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Host {
    /// A machine of its own, or one that does not say.
    #[default]
    Unknown,
    /// VMware.
    Vmware,
    /// QEMU, libvirt, Proxmox.
    Qemu,
    /// Hyper-V.
    HyperV,
    /// VirtualBox.
    VirtualBox,
}

impl Host {
    /// As the firmware calls its maker and itself.
    pub fn of(maker: &str, product: &str) -> Host {
        match (maker.trim(), product.trim()) {
            (maker, _) if maker.starts_with("VMware") => Host::Vmware,
            (maker, _) if maker.starts_with("QEMU") || maker.starts_with("Red Hat") => Host::Qemu,
            ("Microsoft Corporation", product) if product.starts_with("Virtual") => Host::HyperV,
            ("innotek GmbH", _) => Host::VirtualBox,
            _ => Host::Unknown,
        }
    }

    /// What lets virtual MAC addresses through there.
    pub const fn remedy(self) -> &'static str {
        match self {
            Host::Vmware => {
                "In the port group set Promiscuous mode, MAC address changes and Forged transmits to Accept (or MAC learning \
                 on a distributed switch); with two uplinks set Net.ReversePathFwdCheckPromisc to 1 on the host."
            }
            Host::Qemu => {
                "On the host take away the MAC filter: no clean-traffic in libvirt, no MAC filter in Proxmox's firewall, \
                 trustGuestRxFilters='yes' with macvtap."
            }
            Host::HyperV => "Enable MAC address spoofing for the card.",
            Host::VirtualBox => "Set Promiscuous Mode of the card to Allow All.",
            Host::Unknown => {
                "Switch port security off on the switch's ports, or allow the virtual addresses there."
            }
        }
    }
}

/// A network card and what uses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CardSeen {
    /// Its address.
    pub mac: MacAddr,
    /// What the kernel calls it.
    pub name: String,
    /// Its cable is in.
    pub carries: bool,
    /// The port that it is.
    pub port: Option<String>,
}

/// A virtual IP, as this node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualSeen {
    /// Where.
    pub interface: String,
    /// Its number.
    pub vhid: u8,
    /// Its address.
    pub mac: String,
    /// This node has it.
    pub is_master: bool,
    /// Advertisements that the other node sent from that address and that arrived here.
    pub heard: u64,
    /// The other node serves, and none has arrived for long.
    pub silent: bool,
    /// Frames to that address that arrived here while somebody listened; `None` when nobody did.
    pub arrived: Option<u64>,
}

/// All that was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Under what it runs.
    pub host: Host,
    /// The cards.
    pub cards: Vec<CardSeen>,
    /// Ports of the document whose card is not there.
    pub missing: Vec<String>,
    /// The virtual IPs.
    pub virtuals: Vec<VirtualSeen>,
    /// What the pair itself has found.
    pub findings: Vec<Finding>,
    /// There is `/dev/net/tun`.
    pub tun: bool,
    /// There is a watchdog.
    pub watchdog: bool,
    /// The configuration does not survive the next start.
    pub in_memory: bool,
    /// The router answers.
    pub router: bool,
}

/// The report, and whether all is well.
pub fn report(seen: &Seen) -> (String, bool) {
    let mut out = String::new();
    let mut problems = Vec::new();
    for card in &seen.cards {
        let CardSeen { mac, name, carries, port } = card;
        let light = if *carries { "link up" } else { "no link" };
        let use_ = port.as_deref().unwrap_or("not used");
        let _ = writeln!(out, "card  {mac}  {name:<8} {light:<8} {use_}");
    }
    for port in &seen.missing {
        problems.push((
            format!("The card of port {port} is not there."),
            "Assign another one (option 1 of the console).".into(),
        ));
    }
    if !seen.router {
        problems
            .push(("The router does not answer.".into(), "See the log (option 10 of the console).".into()));
    }
    if !seen.tun {
        problems.push(("There is no /dev/net/tun.".into(), "Load the kernel's module tun.".into()));
    }
    if seen.in_memory {
        let remedy = "Put the disk right; until then every change is lost at the next start.";
        problems.push(("The configuration is in memory only.".into(), remedy.into()));
    }
    if !seen.watchdog {
        out.push_str("note  There is no watchdog: a machine that hangs is not started anew by itself.\n");
    }
    for seen_here in &seen.virtuals {
        virtual_mac(seen_here, seen.host, &mut out, &mut problems);
    }
    for Finding { what, remedy } in &seen.findings {
        // What was found here has the remedy of this host.
        if !problems.iter().any(|(known, _)| known == what) {
            problems.push((what.clone(), remedy.clone()));
        }
    }
    for (what, remedy) in &problems {
        let _ = writeln!(out, "FAULT {what}\n      {remedy}");
    }
    if problems.is_empty() {
        out.push_str("All is well.\n");
    }
    (out, problems.is_empty())
}

fn virtual_mac(seen: &VirtualSeen, host: Host, out: &mut String, problems: &mut Vec<(String, String)>) {
    let VirtualSeen { interface, vhid, mac, is_master, heard, silent, arrived } = seen;
    let name = format!("VHID {vhid} on {interface} ({mac})");
    match (is_master, arrived, heard) {
        (true, Some(0), _) => {
            let _ = writeln!(
                out,
                "note  {name}: nobody has sent to it while this looked; send a ping to it and look again."
            );
        }
        (true, Some(count), _) => {
            let _ = writeln!(out, "good  {name}: frames to it arrive ({count}).");
        }
        (true, None, _) => {
            let _ = writeln!(out, "note  {name}: this node has it; nobody could look for frames to it.");
        }
        (false, _, _) if *silent => {
            problems.push((node::nothing_arrives(interface, *vhid, mac), host.remedy().into()));
        }
        (false, _, 0) => {
            let _ = writeln!(out, "note  {name}: nothing was sent from it yet; look again in a moment.");
        }
        (false, _, count) => {
            let _ = writeln!(out, "good  {name}: the other node's frames from it arrive ({count}).");
        }
    }
}

/// Frames to `mac` in a pcap file; ends where the file makes no sense.
pub fn frames_to(mac: MacAddr, pcap: &[u8]) -> u64 {
    let mut count = 0;
    let mut rest = pcap.get(24..).unwrap_or_default();
    while let Some((head, body)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let Some((frame, after)) = body.split_at_checked(len) else { break };
        count += u64::from(frame.get(..6) == Some(&mac.0));
        rest = after;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn virtual_ip(is_master: bool, heard: u64, arrived: Option<u64>) -> VirtualSeen {
        let (interface, mac) = ("lan".into(), "00:00:5e:00:01:07".into());
        VirtualSeen { interface, vhid: 7, mac, is_master, heard, silent: false, arrived }
    }

    fn silent(heard: u64) -> VirtualSeen {
        VirtualSeen { silent: true, ..virtual_ip(false, heard, None) }
    }

    fn well() -> Seen {
        Seen { tun: true, watchdog: true, router: true, ..Seen::default() }
    }

    #[test]
    fn a_virtual_address_that_does_not_get_through_is_a_fault_with_the_remedy_of_its_host() {
        for (host, word) in [
            (Host::Vmware, "Forged transmits"),
            (Host::Qemu, "clean-traffic"),
            (Host::HyperV, "spoofing"),
            (Host::VirtualBox, "Allow All"),
            (Host::Unknown, "port security"),
        ] {
            for heard in [0, 9] {
                let (text, is_well) = report(&Seen { host, virtuals: vec![silent(heard)], ..well() });
                assert!(!is_well && text.contains("FAULT") && text.contains(word), "{text}");
            }
        }
        // The pair has found the same, and knows nothing of the host.
        let what = node::nothing_arrives("lan", 7, "00:00:5e:00:01:07");
        let findings = vec![Finding { what, remedy: "In general.".into() }];
        let (text, _) = report(&Seen { findings, virtuals: vec![silent(9)], ..well() });
        assert!(text.matches("FAULT").count() == 1 && !text.contains("In general"), "{text}");
        for (seen, word) in [
            (virtual_ip(false, 9, None), "good"),
            (virtual_ip(false, 0, None), "look again"),
            (virtual_ip(true, 0, Some(3)), "arrive (3)"),
            (virtual_ip(true, 0, Some(0)), "nobody has sent"),
            (virtual_ip(true, 0, None), "could look"),
        ] {
            let (text, is_well) = report(&Seen { virtuals: vec![seen], ..well() });
            assert!(is_well && text.contains(word), "{text}");
        }
    }

    #[test]
    fn what_a_machine_lacks_is_named_with_what_to_do() {
        assert!(report(&well()).1);
        let card = CardSeen { mac: MacAddr([2; 6]), name: "eth0".into(), carries: true, port: None };
        let seen = Seen {
            cards: vec![card],
            missing: vec!["dmz".into()],
            in_memory: true,
            findings: vec![Finding { what: "The peer is silent.".into(), remedy: "See the cable.".into() }],
            ..Seen::default()
        };
        let (text, _) = report(&seen);
        for word in [
            "not used",
            "card of port dmz",
            "in memory only",
            "does not answer",
            "tun",
            "watchdog",
            "See the cable",
        ] {
            assert!(text.contains(word), "{word}\n{text}");
        }
    }

    #[test]
    fn hosts_are_known_by_their_firmware() {
        assert_eq!(Host::of("VMware, Inc.\n", "VMware7,1"), Host::Vmware);
        assert_eq!(Host::of("QEMU\n", "Standard PC (Q35 + ICH9, 2009)"), Host::Qemu);
        assert_eq!(Host::of("Microsoft Corporation", "Virtual Machine"), Host::HyperV);
        assert_eq!(Host::of("Microsoft Corporation", "Surface"), Host::Unknown);
    }

    #[test]
    fn frames_are_counted_in_a_capture() {
        let mac = MacAddr([0, 0, 0x5e, 0, 1, 7]);
        let mut pcap = vec![0; 24];
        for to in [mac.0, [1; 6], mac.0] {
            pcap.extend([0; 8]);
            pcap.extend(14u32.to_le_bytes());
            pcap.extend(14u32.to_le_bytes());
            pcap.extend(to);
            pcap.extend([0; 8]);
        }
        assert_eq!(frames_to(mac, &pcap), 2);
        assert_eq!(frames_to(mac, &pcap[..pcap.len() - 1]), 1);
        assert_eq!(frames_to(mac, b""), 0);
    }
}
