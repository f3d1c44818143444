//! Fields by which the firewall defends itself and what is behind it.

use std::net::Ipv6Addr;
use std::time::Duration;

use koi::wire::{Drop, Packet, Transport, checksum, mss, tcp_flags};

use crate::policy::with_rules;
use crate::rig::{Rig, STATION, Sent, syn, tcp, udp};
use crate::{CLIENT, FAR, LAN, WAN, document};

const PASS_TCP: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\nprotocol = \"tcp\"\n";
const PASS_LAN: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n";

/// A router that translates nothing, with lines for `[system]`.
fn plain(system: &str, rules: &str) -> Rig {
    Rig::new(&text(system, rules))
}

fn text(system: &str, rules: &str) -> String {
    let text = with_rules(&format!("{rules}\n[outbound]\nmode = \"disabled\"\n"));
    text.replace("[system.web]", &format!("{system}\n[system.web]"))
}

/// What leaves by a port, as segments: flags, sequence and acknowledgement number.
fn segments(sent: &[Sent], port: u8) -> Vec<(u8, u32, u32)> {
    packets(sent, port)
        .iter()
        .filter_map(|packet| match packet.layout.transport {
            Transport::Tcp { flags, seq, ack, .. } => Some((flags, seq, ack)),
            _ => None,
        })
        .collect()
}

fn packets(sent: &[Sent], port: u8) -> Vec<Packet> {
    sent.iter().filter(|sent| sent.port == port).filter_map(Sent::ip).collect()
}

/// Connects from this source port; true when the handshake went through.
fn connects(rig: &mut Rig, client: (&str, u16)) -> bool {
    let far = (FAR, 80);
    let goes = |sent: Vec<Sent>, port: u8| sent.iter().any(|sent| sent.port == port);
    let sent = rig.packet(LAN, syn(client, far, 1460));
    goes(sent, WAN) && {
        let answer = rig.packet(WAN, tcp(far, client, "SA", 7000, 1001));
        goes(answer, LAN) && goes(rig.packet(LAN, tcp(client, far, "A", 1001, 7001)), WAN)
    }
}

#[test]
fn a_source_has_no_more_connections_and_makes_them_no_faster_than_it_may() {
    let made = |limit: &str| {
        let mut rig = plain("", &format!("{PASS_TCP}{limit}\n"));
        let made = (0..10u16).filter(|port| connects(&mut rig, (CLIENT, 5000 + port))).count();
        let other = connects(&mut rig, ("192.168.1.77", 5000));
        (made, other, rig.shard.drops_of(Drop::ConnectionLimit))
    };
    assert_eq!(made(""), (10, true, 0));
    assert_eq!(made("max_src_conn = 4"), (4, true, 6));
    assert_eq!(made("max_src_conn_rate = \"6/10\""), (6, true, 4));
    // What was too fast fades with time.
    let mut rig = plain("", &format!("{PASS_TCP}max_src_conn_rate = \"2/10\"\n"));
    assert!(connects(&mut rig, (CLIENT, 1)) && connects(&mut rig, (CLIENT, 2)));
    assert!(!connects(&mut rig, (CLIENT, 3)));
    rig.wait(Duration::from_secs(12));
    assert!(connects(&mut rig, (CLIENT, 4)));
    // Half-open connections are none.
    let mut rig = plain("", &format!("{PASS_TCP}max_src_conn = 1\n"));
    for port in 0..20 {
        rig.packet(LAN, syn((CLIENT, 6000 + port), (FAR, 80), 1460));
    }
    assert!(connects(&mut rig, (CLIENT, 1)));
}

#[test]
fn an_overloading_source_is_in_the_table_until_its_time_is_over_or_the_table_is_emptied() {
    let rules = format!(
        "{PASS_TCP}max_src_conn = 1\noverload = \"virusprot\"\n\
         [[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"pass\"\n"
    );
    let mut rig = plain("overload_expire = 60", &rules);
    assert!(connects(&mut rig, (CLIENT, 1)) && rig.shard.overloaded().is_empty());
    assert!(!connects(&mut rig, (CLIENT, 2)));
    let inside = rig.shard.overloaded();
    assert_eq!(inside.iter().map(|entry| entry.source.to_string()).collect::<Vec<_>>(), [CLIENT]);
    let asks = |rig: &mut Rig, port| !rig.packet(LAN, udp((CLIENT, port), (FAR, 53), b"x")).is_empty();
    assert!(!asks(&mut rig, 10), "by any rule");
    assert_eq!(rig.shard.drops_of(Drop::Overload), 1);
    // The pages stay reachable.
    rig.packet(LAN, syn((CLIENT, 99), ("192.168.1.1", 443), 1460));
    assert_eq!(rig.shard.drops_of(Drop::Overload), 1, "anti-lockout");
    rig.wait(Duration::from_secs(62));
    assert!(rig.shard.overloaded().is_empty() && asks(&mut rig, 11));
    // By hand.
    assert!(!connects(&mut rig, (CLIENT, 3)), "the first connection is still there");
    assert!(!asks(&mut rig, 12));
    let (sender, receiver) = std::sync::mpsc::channel();
    let reply = Box::new(move |count| sender.send(count).unwrap());
    rig.command(koi::node::Command::EmptyTable { table: Some("virusprot".into()), reply });
    assert_eq!(receiver.recv().unwrap(), Some(1));
    assert!(asks(&mut rig, 13));
    // Shown under its name.
    let compiled = crate::rig::compile(&text("", &rules), 1);
    assert_eq!(koi::node::overload_rows(&compiled, rig.now, &inside)[0].name, "virusprot");
}

#[test]
fn a_flush_ends_the_flows_of_the_source() {
    let left = |flush: &str| {
        let rules = format!(
            "{PASS_TCP}max_src_conn = 1\noverload = \"virusprot\"\n{flush}\n\
             [[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"pass\"\n"
        );
        let mut rig = plain("", &rules);
        rig.packet(LAN, udp((CLIENT, 10), (FAR, 53), b"x"));
        rig.packet(LAN, udp(("192.168.1.77", 10), (FAR, 53), b"x"));
        connects(&mut rig, (CLIENT, 1));
        connects(&mut rig, (CLIENT, 2));
        rig.wait(Duration::from_millis(10));
        rig.shard.states()
    };
    assert_eq!(left(""), 3, "one connection and two others");
    assert_eq!(left("overload_flush = \"rule\""), 2);
    assert_eq!(left("overload_flush = \"all\""), 1, "the other host's");
}

#[test]
fn a_rule_s_timers_are_those_of_its_flows() {
    let (client, far) = ((CLIENT, 5000), (FAR, 80));
    let opening = || vec![(LAN, syn(client, far, 1460)), (WAN, tcp(far, client, "SA", 7000, 1001))];
    let open = || [opening(), vec![(LAN, tcp(client, far, "A", 1001, 7001))]].concat();
    let closing = || [open(), vec![(LAN, tcp(client, far, "FA", 1001, 7001))]].concat();
    let finwait = || [closing(), vec![(WAN, tcp(far, client, "FA", 7001, 1002))]].concat();
    let dns = ((CLIENT, 5000), (FAR, 53));
    let question = || (LAN, udp(dns.0, dns.1, b"x"));
    let answer = || (WAN, udp(dns.1, dns.0, b"x"));
    let ping = || (LAN, crate::rig::echo(CLIENT, FAR, 7));
    let pong = || (WAN, crate::rig::echo_answer(FAR, CLIENT, 7));
    let other = |from: &str, to: &str| crate::other(from, to);
    let (there, back) = (|| (LAN, other(CLIENT, FAR)), || (WAN, other(FAR, CLIENT)));
    type Frames = Vec<(u8, Vec<u8>)>;
    let table: Vec<(&str, Frames)> = vec![
        ("tcp_first", vec![(LAN, syn(client, far, 1460))]),
        ("tcp_opening", opening()),
        ("tcp_established", open()),
        ("tcp_closing", closing()),
        ("tcp_finwait", finwait()),
        ("tcp_closed", [finwait(), vec![(LAN, tcp(client, far, "A", 1002, 7002))]].concat()),
        ("udp_first", vec![question()]),
        ("udp_single", vec![question(), answer()]),
        ("udp_multiple", vec![question(), answer(), question(), answer()]),
        ("icmp_first", vec![ping()]),
        ("icmp_error", vec![ping(), pong()]),
        ("other_first", vec![there()]),
        ("other_single", vec![there(), back()]),
        ("other_multiple", vec![there(), back(), there(), back()]),
    ];
    for (field, packets) in table {
        for seconds in [25, 170] {
            let rules = format!("{PASS_LAN}[rule.timeouts]\n{field} = {seconds}\n");
            let mut rig = plain("", &rules);
            packets.iter().for_each(|(port, packet)| drop(rig.packet(*port, packet.clone())));
            assert_eq!(rig.shard.states(), 1, "{field}: {:?}", rig.shard.recent_drops());
            let begin = rig.now;
            while rig.shard.states() > 0 {
                rig.wait(Duration::from_secs(1));
                assert!(rig.now.since(begin).as_secs() < 10_000, "{field}");
            }
            let lived = rig.now.since(begin).as_secs();
            assert!((seconds..=seconds + 12).contains(&lived), "{field} = {seconds}: lived {lived} s");
        }
    }
}

#[test]
fn timers_shrink_when_there_are_many_flows() {
    // Of 100 flows at most, 75 with a timer of 60 s: half of the way from 50 to 100 leaves a bit less than half.
    let life = |system: &str| {
        let system = format!("{system}\nstate_limit = 100").replace("\n\n", "\n");
        let text = text(&system, PASS_LAN).replace("state_limit = 10000\n", "");
        let mut rig = Rig::new(&text);
        for number in 0..75u16 {
            let client = format!("192.168.1.{}", 10 + number);
            rig.packet(LAN, udp((&client, 5000), (FAR, 53), b"x"));
        }
        let begin = rig.now;
        while rig.shard.states() == 75 {
            rig.wait(Duration::from_secs(1));
        }
        rig.now.since(begin).as_secs()
    };
    let never = life("adaptive_start = 0");
    assert!((60..65).contains(&never), "{never}");
    let half = life("adaptive_start = 50\nadaptive_end = 101");
    assert!((28..36).contains(&half), "{half}");
    let later = life("adaptive_start = 74\nadaptive_end = 1000");
    assert!((58..65).contains(&later), "{later}");
}

#[test]
fn the_firewall_completes_a_handshake_before_the_server_hears_of_it() {
    let (client, far) = ((CLIENT, 5000), (FAR, 80));
    let mut rig = plain("", &format!("{PASS_TCP}state_type = \"synproxy\"\n"));
    let sent = rig.packet(LAN, syn(client, far, 1400));
    assert!(packets(&sent, WAN).is_empty() && rig.shard.states() == 0, "no trace");
    let [(flags, cookie, ack)] = segments(&sent, LAN)[..] else { panic!("a SYN+ACK") };
    assert_eq!((flags, ack), (tcp_flags::SYN | tcp_flags::ACK, 1001));
    let answer = &packets(&sent, LAN)[0];
    assert_eq!(mss::announced(answer), Some(1460));
    assert!(matches!(answer.layout.transport, Transport::Tcp { window: 0, header_len: 24, .. }));
    // A wrong number is nobody's.
    let guess = rig.packet(LAN, tcp(client, far, "A", 1001, cookie.wrapping_add(17)));
    assert!(packets(&guess, WAN).is_empty() && rig.shard.states() == 0);
    let sent = rig.packet(LAN, tcp(client, far, "A", 1001, cookie.wrapping_add(1)));
    assert_eq!(segments(&sent, WAN), [(tcp_flags::SYN, 1000, 0)]);
    assert_eq!(mss::announced(&packets(&sent, WAN)[0]), Some(1400));
    assert!(packets(&sent, LAN).is_empty() && rig.shard.states() == 1);
    // The client says it again: so does the firewall.
    let sent = rig.packet(LAN, tcp(client, far, "A", 1001, cookie.wrapping_add(1)));
    assert_eq!(segments(&sent, WAN), [(tcp_flags::SYN, 1000, 0)]);
    let sent = rig.packet(WAN, tcp(far, client, "SA", 7000, 1001));
    assert_eq!(segments(&sent, WAN), [(tcp_flags::ACK, 1001, 7001)]);
    assert_eq!(segments(&sent, LAN), [(tcp_flags::ACK, cookie.wrapping_add(1), 1001)]);
    // Ever after both count as they are used to.
    let sent = rig.packet(WAN, tcp(far, client, "A", 7001, 1001));
    assert_eq!(segments(&sent, LAN), [(tcp_flags::ACK, cookie.wrapping_add(1), 1001)]);
    let sent = rig.packet(LAN, tcp(client, far, "FA", 1001, cookie.wrapping_add(1)));
    assert_eq!(segments(&sent, WAN), [(tcp_flags::FIN | tcp_flags::ACK, 1001, 7001)]);
    let sent = rig.packet(WAN, tcp(far, client, "R", 7001, 0));
    assert_eq!(segments(&sent, LAN), [(tcp_flags::RST, cookie.wrapping_add(1), 0)]);
    assert!(sent.iter().filter_map(Sent::ip).all(|packet| packet.transport_checksum_ok()));
    rig.wait(Duration::from_secs(95));
    assert_eq!(rig.shard.states(), 0, "closed");
}

#[test]
fn a_server_that_refuses_is_heard_by_the_client() {
    let (client, far) = ((CLIENT, 5000), (FAR, 80));
    let mut rig = plain("", &format!("{PASS_TCP}state_type = \"synproxy\"\n"));
    let sent = rig.packet(LAN, syn(client, far, 1400));
    let (_, cookie, _) = segments(&sent, LAN)[0];
    rig.packet(LAN, tcp(client, far, "A", 1001, cookie.wrapping_add(1)));
    let sent = rig.packet(WAN, tcp(far, client, "RA", 0, 1001));
    assert_eq!(segments(&sent, LAN), [(tcp_flags::RST | tcp_flags::ACK, cookie.wrapping_add(1), 1001)]);
}

#[test]
fn cookies_are_sent_never_always_or_while_there_are_many_half_open_connections() {
    let states = |system: &str| {
        let text = text(&format!("{system}\nstate_limit = 100"), PASS_LAN);
        let mut rig = Rig::new(&text.replace("state_limit = 10000\n", ""));
        for number in 0..60u16 {
            let client = format!("192.168.1.{}", 10 + number);
            rig.packet(LAN, syn((&client, 5000), (FAR, 80), 1460));
        }
        let flood = rig.shard.states();
        // When the half-open ones are over, connections begin with a flow again.
        rig.wait(Duration::from_secs(130));
        rig.packet(LAN, syn((CLIENT, 5001), (FAR, 80), 1460));
        (flood, rig.shard.states())
    };
    assert_eq!(states("syncookies = \"never\"\nadaptive_start = 0"), (60, 1));
    assert_eq!(states("syncookies = \"always\"\nadaptive_start = 0"), (0, 0));
    assert_eq!(states("syncookies = \"adaptive\"\nadaptive_start = 0"), (25, 1));
    assert_eq!(states("syncookies = \"adaptive\"\nsyncookies_start = 40\nadaptive_start = 0"), (40, 1));
    // They end when there are few half-open ones, not sooner.
    let goes_on = |end: u8| {
        let system = format!(
            "syncookies = \"adaptive\"\nsyncookies_start = 10\nsyncookies_end = {end}\nadaptive_start = 0\n\
             state_limit = 100"
        );
        let mut rig = Rig::new(&text(&system, PASS_LAN).replace("state_limit = 10000\n", ""));
        let host = |number: u16| format!("192.168.1.{}", 10 + number);
        for number in 0..11u16 {
            rig.packet(LAN, syn((&host(number), 5000), (FAR, 80), 1460));
        }
        // Four of them get through.
        for number in 0..4u16 {
            rig.packet(WAN, tcp((FAR, 80), (&host(number), 5000), "SA", 7000, 1001));
            rig.packet(LAN, tcp((&host(number), 5000), (FAR, 80), "A", 1001, 7001));
        }
        let before = rig.shard.states();
        rig.packet(LAN, syn((&host(50), 6000), (FAR, 80), 1460));
        rig.shard.states() == before
    };
    assert!(goes_on(5) && !goes_on(9));
}

#[test]
fn connections_of_a_rule_are_clamped_to_its_mss_both_ways() {
    for (field, expected) in [("", 1460), ("max_mss = 1300\n", 1300)] {
        let mut rig = plain("", &format!("{PASS_TCP}{field}"));
        let sent = rig.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460));
        assert_eq!(mss::announced(&packets(&sent, WAN)[0]), Some(expected));
        let mut answer = syn((FAR, 80), (CLIENT, 5000), 1460);
        answer[20 + 13] = tcp_flags::SYN | tcp_flags::ACK;
        answer[20 + 8..20 + 12].copy_from_slice(&1001u32.to_be_bytes());
        reseal(&mut answer);
        let sent = rig.packet(WAN, answer);
        assert_eq!(mss::announced(&packets(&sent, LAN)[0]), Some(expected));
    }
}

/// Puts the TCP checksum of an IPv4 packet right.
fn reseal(packet: &mut [u8]) {
    use koi::wire::checksum;
    packet[36..38].fill(0);
    let length = packet.len() as u16 - 20;
    let pseudo = checksum::add(checksum::sum(&packet[12..20]), checksum::add(6, length));
    let sum = !checksum::add(pseudo, checksum::sum(&packet[20..]));
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
}

/// An IPv4 packet with other header fields.
fn with_header(mut packet: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut packet[..20]);
    packet[10..12].fill(0);
    let sum = !koi::wire::checksum::sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

#[test]
fn an_interface_puts_headers_right() {
    let leaving = |scrub: &str, ttl: u8| {
        let lan = "name = \"lan\"\nzone = \"lan\"\nport = \"lan\"\n";
        let text = text("", PASS_LAN).replacen(lan, &format!("{lan}scrub = {{ {scrub} }}\n"), 1);
        let mut rig = Rig::new(&text);
        let ids: Vec<(u16, bool, u8)> = (0..4)
            .map(|_| {
                let packet = with_header(udp((CLIENT, 5000), (FAR, 53), b"x"), |header| {
                    header[4..6].copy_from_slice(&[0, 9]);
                    header[6] = 0x40;
                    header[8] = ttl;
                });
                let sent = rig.packet(LAN, packet);
                let [out] = &packets(&sent, WAN)[..] else { panic!("{scrub}: goes out") };
                let ip = out.ip();
                (u16::from_be_bytes([ip[4], ip[5]]), out.layout.dont_fragment, out.layout.hop_limit)
            })
            .collect();
        ids
    };
    assert_eq!(leaving("", 40), [(9, true, 39); 4]);
    assert_eq!(leaving("no_df = true", 40), [(9, false, 39); 4]);
    assert_eq!(leaving("min_ttl = 50", 40), [(9, true, 49); 4]);
    assert_eq!(leaving("min_ttl = 50", 60), [(9, true, 59); 4]);
    let random = leaving("random_id = true", 40);
    assert!(random.iter().any(|(id, ..)| *id != random[0].0), "{random:?}");
}

#[test]
fn fragments_are_put_together_or_refused() {
    let arrives = |scrub: &str| {
        let lan = "name = \"lan\"\nzone = \"lan\"\nport = \"lan\"\n";
        let text = text("", PASS_LAN).replacen(lan, &format!("{lan}scrub = {{ {scrub} }}\n"), 1);
        let mut rig = Rig::new(&text);
        let whole = udp((CLIENT, 5000), (FAR, 53), &[7; 24]);
        let (head, data) = (whole[..20].to_vec(), &whole[20..]);
        let piece = |offset: usize, more: u8, bytes: &[u8]| {
            let packet = [&head[..], bytes].concat();
            let length = packet.len() as u16;
            with_header(packet, |header| {
                header[2..4].copy_from_slice(&length.to_be_bytes());
                header[6..8].copy_from_slice(&[more, (offset / 8) as u8]);
            })
        };
        rig.packet(LAN, piece(0, 0x20, &data[..16]));
        let sent = rig.packet(LAN, piece(16, 0, &data[16..]));
        (packets(&sent, WAN).len(), rig.shard.drops_of(Drop::FragmentRefused))
    };
    assert_eq!(arrives(""), (1, 0));
    assert_eq!(arrives("fragments = \"drop\""), (0, 2));
}

#[test]
fn there_are_no_more_half_received_datagrams_than_may_be() {
    let lost = |limit: &str| {
        let mut rig = plain(limit, PASS_LAN);
        for number in 0..40u8 {
            let packet = with_header(udp((CLIENT, 5000), (FAR, 53), &[7; 24]), |header| {
                header[4..6].copy_from_slice(&[1, number]);
                header[6] = 0x20;
            });
            rig.packet(LAN, packet);
        }
        rig.shard.drops_of(Drop::FragmentLimit)
    };
    assert_eq!((lost(""), lost("fragment_limit = 15")), (0, 25));
}

#[test]
fn an_rfc_s_behaviour_can_be_had_by_name() {
    // IPv6 options are the hosts' own (RFC 8200); in pf they need a rule that allows options.
    let passes = |system: &str, rule: &str| {
        let text =
            text(system, &format!("{PASS_LAN}{rule}")).replace("[system.web]\n[system.rfc]", "[system.rfc]");
        let mut rig = Rig::new(&text);
        let (client, far) = ("2001:db8:10::9", "2001:db8:99::9");
        let mut packet = udp((client, 5000), (far, 53), b"x");
        packet.splice(40..40, [17, 0, 1, 4, 0, 0, 0, 0]);
        packet[6] = 60;
        packet[5] += 8;
        let sent = rig.packet(LAN, packet);
        packets(&sent, WAN).len() == 1
    };
    assert!(!passes("", "") && passes("", "allow_options = true\n"));
    assert!(passes("[system.rfc]\nipv6_options = true", ""));
    // Whoever gets no state is told so (RFC 5508 REQ-8).
    let told = |system: &str| {
        let text = text(&format!("state_limit = 10\nadaptive_start = 0\n{system}"), PASS_LAN);
        let mut rig = Rig::new(&text.replace("state_limit = 10000\n", ""));
        for port in 0..10u16 {
            rig.packet(LAN, udp((CLIENT, 5000 + port), (FAR, 53), b"x"));
            rig.packet(WAN, udp((FAR, 53), (CLIENT, 5000 + port), b"x"));
        }
        let sent = rig.packet(LAN, udp((CLIENT, 6000), (FAR, 53), b"x"));
        packets(&sent, LAN)
            .iter()
            .any(|packet| matches!(packet.layout.transport, Transport::IcmpError { kind: 3, code: 13 }))
    };
    assert!(!told("") && told("[system.rfc]\nrefusals = true"));
    // And so are its timers: see the profile among the states.
    let timers = |profile: &str| {
        let text = document(&[("[system.web]", &format!("optimization = \"{profile}\"\n[system.web]"))]);
        koi::config::parse(&text).unwrap().system.timers()
    };
    let (pf, rfc) = (timers("normal"), timers("rfc"));
    assert!(pf.icmp_first < 60 && rfc.icmp_first >= 60);
    assert!(pf.tcp_opening < 240 && rfc.tcp_opening >= 240 && rfc.udp_multiple >= 120);
}

/// A table full of connections refuses new ones, and neither stops those nor locks anybody out.
#[test]
fn a_full_table_keeps_what_it_has_and_the_pages_reachable() {
    let text = text("adaptive_start = 0\nstate_limit = 20", PASS_LAN).replace("state_limit = 10000\n", "");
    let mut rig = Rig::new(&text);
    for port in 0..20u16 {
        assert!(connects(&mut rig, (CLIENT, 5000 + port)), "{port}");
    }
    assert!(!connects(&mut rig, (CLIENT, 6000)));
    assert_eq!(rig.shard.drops_of(Drop::StateLimit), 1);
    let data = rig.packet(LAN, tcp((CLIENT, 5007), (FAR, 80), "A", 1001, 7001));
    assert_eq!(segments(&data, WAN).len(), 1);
    rig.packet(LAN, syn((CLIENT, 7000), ("192.168.1.1", 443), 1460));
    assert_eq!(rig.shard.states(), 21, "the firewall's own pages");
    rig.packet(LAN, udp(("192.168.1.99", 7000), (FAR, 53), b"x"));
    assert_eq!(rig.shard.drops_of(Drop::StateLimit), 2);
}

/// RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f. All together have 200 a second, one source a quarter of them.
#[test]
fn errors_have_a_rate_and_who_floods_leaves_most_of_it_to_others() {
    let mut rig = plain("", "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"reject\"\n");
    let is_error = |packet: &Packet| match packet.layout.transport {
        Transport::Tcp { flags, .. } => flags & tcp_flags::RST != 0,
        Transport::IcmpError { .. } => true,
        _ => false,
    };
    let told = |rig: &mut Rig, ask: &dyn Fn(u16) -> Vec<u8>| {
        (1000..1100u16).filter(|port| packets(&rig.packet(LAN, ask(*port)), LAN).iter().any(is_error)).count()
    };
    // Who is not in a hurry is always told.
    for port in 0..100 {
        let sent = rig.packet(LAN, udp((CLIENT, 2000 + port), (FAR, 53), b"?"));
        assert!(packets(&sent, LAN).iter().any(is_error), "{port}");
        rig.wait(Duration::from_millis(25));
    }
    assert_eq!(rig.shard.drops_of(Drop::IcmpRateLimit), 0);
    rig.wait(Duration::from_secs(1));
    let flood = |port| udp((CLIENT, port), (FAR, 53), b"?");
    assert_eq!((told(&mut rig, &flood), rig.shard.drops_of(Drop::IcmpRateLimit)), (50, 50));
    assert_eq!(told(&mut rig, &flood), 0, "none are left for this one");
    // A RST is one, too; in IPv6 a network counts as one source.
    assert_eq!(
        told(&mut rig, &|port| syn(("192.168.1.77", port), (FAR, 80), 1460)),
        50,
        "another is still told"
    );
    let six = |port: u16| udp((&format!("2001:db8:10::{port:x}"), port), ("2001:db8:99::9", 53), b"?");
    assert_eq!(told(&mut rig, &six), 50);
    // With time all may again.
    rig.wait(Duration::from_millis(500));
    assert_eq!(told(&mut rig, &flood), 25);
    // Everybody at once gets what there is for all.
    rig.wait(Duration::from_secs(5));
    let everybody = |port: u16| udp((&format!("192.168.1.{}", port % 250 + 3), port), (FAR, 53), b"?");
    assert_eq!((0..4).map(|_| told(&mut rig, &everybody)).sum::<usize>(), 200);
    assert_eq!(rig.shard.drops_of(Drop::BlockedIn), 100 + 500 + 400, "all were dropped, whoever was told");
}

/// RFC 6980: neither in pieces nor with a header that says that there are none.
#[test]
fn neighbour_discovery_in_fragments_is_believed_in_nothing() {
    let solicitation = || {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        let [source, target, group] = ["2001:db8:10::10", "2001:db8:10::1", "ff02::1:ff00:1"]
            .map(|text| text.parse::<Ipv6Addr>().unwrap());
        message.extend(target.octets());
        message.extend([1, 1]);
        message.extend(STATION.0);
        let pseudo = checksum::pseudo_header(source.into(), group.into(), 58, message.len() as u32);
        let sum = !checksum::add(pseudo, checksum::sum(&message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        (message, source, group)
    };
    let frame = |header: &[u8], part: &[u8]| {
        let (_, source, group) = solicitation();
        let mut frame = vec![0x33, 0x33, 0xff, 0, 0, 1];
        frame.extend(STATION.0);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, (header.len() + part.len()) as u8]);
        frame.extend([if header.is_empty() { 58 } else { 44 }, 255]);
        frame.extend(source.octets());
        frame.extend(group.octets());
        frame.extend(header);
        frame.extend(part);
        frame
    };
    let (message, ..) = solicitation();
    let answers = |frames: &[Vec<u8>]| {
        let mut rig = plain("", PASS_LAN);
        let sent: Vec<Sent> = frames.iter().flat_map(|frame| rig.frame(LAN, frame)).collect();
        let told = sent.iter().any(|sent| sent.port == LAN && sent.bytes.get(54) == Some(&136));
        let known = rig
            .shard
            .snapshot(rig.now)
            .neighbours
            .iter()
            .any(|row| row.address.to_string() == "2001:db8:10::10");
        (told, known, rig.shard.drops_of(Drop::NdInvalid))
    };
    assert_eq!(answers(&[frame(&[], &message)]), (true, true, 0));
    assert_eq!(
        answers(&[frame(&[58, 0, 0, 0, 0, 0, 0, 7], &message)]),
        (false, false, 1),
        "an atomic fragment"
    );
    let (first, last) = message.split_at(16);
    let pieces = [frame(&[58, 0, 0, 1, 0, 0, 0, 7], first), frame(&[58, 0, 0, 16, 0, 0, 0, 7], last)];
    assert_eq!(answers(&pieces), (false, false, 1), "two pieces");
}
