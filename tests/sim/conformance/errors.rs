//! ICMP errors: those that the router makes, and those that it passes on.

use super::{Case, NAT, ROUTED, routed, run};

static CASES: &[Case] = &[
    Case {
        rows: &["icmp.sh : cve_2019_5598", "icmp.py : test_inner_match", "attack : ICMP spoof"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 -> wan
            wan icmp F > D 3/3 quote=1 -> drop icmp-unmatched              # to somebody else
            lan ping C > F -> wan
            wan icmp G > C 3/1 quote=1 qdst=G -> drop icmp-unmatched       # about somebody else
            wan icmp F > C 3/1 quote=1 -> lan icmp=3/1 src=F
        ",
    },
    Case {
        rows: &["icmp.py : test_truncated_opts"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 -> wan
            wan icmp F > C 3/3 quote=1 qlen=20 -> drop transport-header
            wan icmp F > C 3/3 quote=1 qlen=28 -> lan icmp=3/3
        ",
    },
    Case {
        rows: &["icmp.py : test_fragmentation_needed", "pf_forward : ping, ping6, ping-mtu, ping6-mtu, udp, udp6, tcp, tcp6", "RFC 4787 REQ-13"],
        set_up: ROUTED,
        script: "
            lan ping C > S len=1372 df=1 -> dmz
            lan ping C > S echo=8 len=1376 df=1 -> lan icmp=3/4 mtu=1400 src=L, drop fragment-needed
            lan ping C6 > S6 len=1352 -> dmz
            lan ping C6 > S6 echo=8 len=1353 -> lan icmp=2/0 mtu=1400, drop fragment-needed
        ",
    },
    Case {
        rows: &["attack : ICMP spoof", "RFC 5382 REQ-10", "RFC 5508 REQ-6"],
        set_up: ROUTED,
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan
            wan tcp F:80 > C:5000 SA seq=7000 ack=1001 -> lan
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 len=100 -> wan
            wan icmp G > C 3/2 quote=1 qseq=999999 -> drop icmp-unmatched
            wan icmp G > C 3/4 quote=1 qseq=5 mtu=68 -> drop icmp-unmatched
            wan icmp G > C 11/1 quote=1 qseq=77777777 -> drop icmp-unmatched
            wan icmp G > C 11/0 quote=1 -> lan icmp=11/0                   # the right number
            wan tcp F:80 > C:5000 A seq=7001 ack=1101 len=10 -> lan        # no error ends anything
            states 1
        ",
    },
    Case {
        rows: &["conntrack_icmp_related.sh", "RFC 5508 REQ-4", "RFC 5382 REQ-9", "RFC 4787 REQ-12", "icmp6.sh : ttl_exceeded", "route_to.sh : icmp_nat"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 df=1 -> wan src=W:$p
            wan icmp G > W 3/4 quote=1 mtu=1300 -> lan src=G dst=C icmp=3/4 mtu=1300 quotes=C:5000>F:53
            wan udp F:53 > W:$p -> lan dst=C:5000
            lan udp C:5000 > F:53 -> wan
            wan icmp G > W 11/0 quote=1 -> lan dst=C icmp=11/0 quotes=C:5000>F:53
            wan icmp F > W 3/3 quote=1 -> lan dst=C icmp=3/3
            lan ping C > F -> wan
            wan icmp G > W 11/0 quote=1 -> lan dst=C icmp=11/0
            lan ping C6 > F6 -> wan
            wan icmp G6 > C6 3/0 quote=1 -> lan dst=C6 icmp=3/0
            lan udp C6:5000 > F6:53 -> wan
            wan icmp G6 > C6 3/0 quote=1 -> lan dst=C6 icmp=3/0 quotes=C6:5000>F6:53
        ",
    },
    Case {
        rows: &["RFC 5508 REQ-4"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan
            wait 100                                                       # no mapping any more
            wan icmp G > W 3/3 quote=1 -> drop icmp-unmatched
        ",
    },
    Case {
        rows: &["RFC 5508 REQ-5", "RFC 5508 REQ-9"],
        set_up: super::nat(
            "[[port_forward]]\nid = 1000005\ninterface = \"wan\"\nprotocol = \"udp\"\nfamily = \"inet\"\ndestination = \"wan address\"\n\
             destination_port = \"7000\"\ntarget = \"192.168.1.10\"\nassociation = \"pass\"\n",
        ),
        script: "
            wan udp F:53 > W:7000 -> lan dst=C:7000
            lan icmp C > F 3/3 quote=1 -> wan src=W dst=F icmp=3/3 quotes=F:53>W:7000
            wan udp F:53 > W:7000 -> lan
            lan icmp D > F 3/3 quote=1 -> wan src=W dst=F icmp=3/3
        ",
    },
    Case {
        rows: &["RFC 5508 REQ-3"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$p
            wan icmp G > W 3/3 quote=1 badsum=1 -> drop transport-checksum
            wan icmp G > W 3/3 quote=1 -> lan
        ",
    },
    Case {
        rows: &["RFC 5508 REQ-10", "RFC 5508 REQ-11"],
        set_up: NAT,
        script: "
            lan ping C > F echo=3 -> wan echo=$e
            wan pong F > W echo=$e -> lan dst=C echo=3
            lan icmp C > L 10/0 -> drop no-flow
        ",
    },
    Case {
        rows: &["RFC 1812 5.3.1", "RFC 1812 4.3.3.1", "RFC 1812 4.3.2.4", "route_to.sh : ttl"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 ttl=3 -> wan ttl=2
            lan udp C:5000 > F:53 ttl=2 -> wan ttl=1
            lan udp C:5000 > F:53 ttl=1 -> lan icmp=11/0 src=L quotes=C:5000>F:53, drop ttl-exceeded
            lan udp C:5000 > F:53 ttl=0 -> lan icmp=11/0, drop ttl-exceeded
            lan ping C > L ttl=1 -> lan src=L icmp=0                       # never asked of what is for the router
            lan udp C6:5000 > F6:53 ttl=1 -> lan icmp=3/0, drop ttl-exceeded
        ",
    },
    Case {
        rows: &["RFC 1812 4.3.2.2–5"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 ttl=1 len=1000 -> lan icmp=11/0 ttl=64 size=576, drop ttl-exceeded
            lan udp C6:5000 > F6:53 ttl=1 len=1300 -> lan icmp=3/0 size=1280, drop ttl-exceeded
        ",
    },
    Case {
        rows: &["RFC 1812 4.3.2.7", "RFC 4443 2.4"],
        set_up: routed(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"reject\"\nprotocol = \"icmp\"\n\
             [[rule]]\nid = 1000002\ninterface = \"lan\"\naction = \"pass\"\n",
        ),
        script: "
            lan ping C > F -> lan icmp=3/3, drop blocked-in                # a question is told
            lan icmp C > F 3/3 -> nothing                                  # an error is not
            lan udp C:5000 > 224.0.1.1:53 ttl=1 -> drop multicast
            lan udp C:5000 > 192.168.1.255:53 ttl=1 -> drop multicast
            lan udp C:5000 > F:53 ttl=1 off=800 id=5 -> nothing
            lan udp C6:5000 > [ff05::1]:53 ttl=1 -> drop multicast
        ",
    },
    Case {
        rows: &["attack : redirect spoof", "RFC 1812 5.2.7.2"],
        set_up: ROUTED,
        script: "
            lan udp C:5000 > F:53 -> wan
            lan icmp C > L 5/1 quote=1 -> nothing
            lan udp C:5000 > F:53 -> wan                                   # the way is as it was
            lan udp C:5000 > D:53 -> lan dst=D:53                          # nor do we send any
        ",
    },
];

#[test]
fn icmp_errors() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
