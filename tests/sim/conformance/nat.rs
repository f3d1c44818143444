//! Translation.

use super::{Case, LAN_OUT, NAT, SetUp, nat, run};

const FORWARD: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
    [[port_forward]]\nid = 1000005\ninterface = \"wan\"\nprotocol = \"tcp/udp\"\nfamily = \"inet\"\ndestination = \"wan address\"\n\
    destination_port = \"7000\"\ntarget = \"192.168.1.10\"\nlocal_port = 80\nassociation = \"pass\"\n";

const NPT: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
    [[npt]]\nid = 1000005\ninterface = \"wan\"\nsource = \"2001:db8:10::/64\"\ndestination = \"2001:db8:77::/64\"\n";

static CASES: &[Case] = &[
    Case {
        rows: &["nat.sh : exhaust", "nat.sh : empty_pool"],
        set_up: nat(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n[outbound]\nmode = \"manual\"\n\
             [[outbound.rule]]\nid = 1000005\ninterface = \"wan\"\nport = \"2000-2001\"\n",
        ),
        script: "
            lan udp C:5001 > F:53 -> wan src=W:$a
            lan udp C:5002 > F:53 -> wan src=W:$b
            lan udp C:5003 > F:53 -> drop ports-exhausted
            lan udp C:5003 > G:53 -> wan                                   # to another end a port is free again
            lan udp C:5001 > F:53 -> wan src=W:$a
        ",
    },
    Case {
        rows: &["nat.sh : endpoint_independent_compat / _pass"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            lan udp C:5000 > G:53 -> wan src=W:$b                          # pf's default: each its own
            wan udp F:53 > W:$a -> lan dst=C:5000
            wan udp G:53 > W:$b -> lan dst=C:5000
        ",
    },
    Case {
        rows: &["nat.sh : nat_pass_in, nat_pass_out, nat_match"],
        set_up: nat(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000002\nfloating = true\nquick = true\ndirection = \"out\"\ninterface = \"wan\"\n\
             action = \"block\"\nsource = \"192.168.1.11\"\n\
             [[rule]]\nid = 1000003\nfloating = true\nquick = true\ndirection = \"out\"\ninterface = \"wan\"\n\
             action = \"block\"\nsource = \"198.51.100.2\"\nprotocol = \"udp\"\ndestination_port = \"99\"\n",
        ),
        script: "
            lan udp D:5000 > F:53 -> wan src=W                             # rules on the way out see it translated
            lan udp D:5000 > F:99 -> drop blocked-out
        ",
    },
    Case {
        rows: &["nat.sh : binat_compat, binat_match"],
        set_up: nat(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[rule]]\nid = 1000002\ninterface = \"wan\"\naction = \"pass\"\ndestination = \"192.168.1.10\"\n\
             [[one_to_one]]\nid = 1000005\ninterface = \"wan\"\nexternal = \"198.51.100.9\"\ninternal = \"192.168.1.10/32\"\n",
        ),
        script: "
            lan udp C:5000 > F:53 -> wan src=198.51.100.9:5000
            wan udp F:53 > 198.51.100.9:5000 -> lan dst=C:5000
            wan udp G:99 > 198.51.100.9:80 -> lan dst=C:80
            lan udp C:80 > G:99 -> wan src=198.51.100.9:80
            lan udp D:5000 > F:53 -> wan src=W
            states 3
        ",
    },
    Case {
        rows: &["rdr.sh : srcport", "nf_nat_edemux.sh", "conntrack_reverse_clash.sh"],
        set_up: SetUp { nat: true, system: "", rules: FORWARD },
        script: "
            wan tcp F:5000 > W:7000 S -> lan src=F:5000 dst=C:80
            lan tcp C:80 > F:5000 SA seq=7000 ack=1001 -> wan src=W:7000
            wan tcp G:5000 > W:7000 S -> lan src=G:5000 dst=C:80
            lan tcp D:5000 > F:80 S -> wan src=W
            wan tcp F:80 > W:5000 A -> drop blocked-in
        ",
    },
    Case {
        rows: &["nat44.py : test_nat_igmp"],
        set_up: NAT,
        script: "
            lan raw C > F proto=2 len=8 -> wan src=W
            lan raw C > F proto=2 len=8 -> wan src=W
            wan raw F > W proto=2 len=8 -> lan dst=C
            lan raw D > F proto=2 len=8 -> nothing                         # nothing tells them apart
        ",
    },
    Case {
        rows: &["nat66.py : test_npt_icmp, test_npt_route_to_icmp", "RFC 6296 ICMPv6 errors", "RFC 6296 text"],
        set_up: nat(NPT),
        script: "
            lan udp C6:5000 > F6:53 -> wan src=$outside:5000
            wan udp F6:53 > [$outside]:5000 -> lan dst=C6:5000
            lan ping C6 > F6 len=1400 -> wan
            wan icmp G6 > $outside 2/0 quote=1 mtu=1300 -> lan dst=C6 icmp=2/0 mtu=1300
        ",
    },
    Case {
        rows: &["RFC 6296 all-zero interface id", "RFC 6296 unmapped or 0xFFFF subnet"],
        set_up: nat(NPT),
        script: "
            lan udp [2001:db8:10::]:5000 > F6:53 -> lan icmp=4/0 mtu=8, drop prefix-unmapped      # the pointer: to its source
            lan udp [2001:db8:10:0:ffff:ffff:ffff:ffff]:5000 > F6:53 -> lan icmp=1/0, drop prefix-unmapped
            wan udp F6:53 > [2001:db8:77:0:ffff:ffff:ffff:ffff]:5000 -> drop prefix-unmapped
            wan udp F6:53 > [2001:db8:77::]:5000 -> drop prefix-unmapped
            states 0
            lan udp [2001:db8:10:0:ffff:ffff:ffff:fffe]:5000 > F6:53 -> wan src=$a:5000
            wan udp F6:53 > [$a]:5000 -> lan dst=$inside:5000
        ",
    },
    Case {
        rows: &["RFC 6296 unmapped or 0xFFFF subnet"],
        set_up: nat(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n\
             [[npt]]\nid = 1000005\ninterface = \"wan\"\nsource = \"2001:db8:10::/48\"\ndestination = \"2001:db8:77::/48\"\n",
        ),
        script: "
            lan udp [2001:db8:10:ffff::5]:5000 > F6:53 -> drop prefix-unmapped
            lan udp [2001:db8:10:fffe::5]:5000 > F6:53 -> wan src=$a:5000
            lan udp [2001:db8:10:1::]:5000 > F6:53 -> wan src=$b:5000      # of a short prefix the host does not matter
        ",
    },
    Case {
        rows: &["RFC 6296 §4.3"],
        set_up: nat(NPT),
        script: "
            lan udp C6:5000 > F6:53 -> wan src=$c:5000
            lan udp D6:6000 > F6:53 -> wan src=$d:6000
            lan udp C6:5001 > [$d]:6000 -> lan src=$c:5001 dst=D6:6000     # inside, by the address outside
            lan udp D6:6000 > [$c]:5001 -> lan src=$d:6000 dst=C6:5001
            states 3
        ",
    },
    Case {
        rows: &["RFC 7857 §4"],
        set_up: nat(
            "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n[outbound]\nmode = \"manual\"\n\
             [[outbound.rule]]\nid = 1000005\ninterface = \"wan\"\nport = \"2000\"\npool = \"source-hash\"\n\
             target = \"198.51.100.20-198.51.100.21\"\n",
        ),
        script: "
            lan udp C:5001 > F:53 -> wan src=$a:2000
            lan udp C:5001 > G:53 -> wan src=$a:2000                       # the source keeps its address
            lan udp C:5002 > F:53 -> wan src=$b:2000                       # until that has no port left
            lan udp C:5003 > F:53 -> drop ports-exhausted
            wan udp F:53 > $b:2000 -> lan dst=C:5002
            wan udp F:53 > $a:2000 -> lan dst=C:5001
        ",
    },
    Case {
        rows: &["icmp.py : TestICMP_NAT.test_id_conflict", "RFC 5508 REQ-1"],
        set_up: NAT,
        script: "
            lan ping C > F echo=7 -> wan src=W echo=$a
            lan ping D > F echo=7 -> wan src=W echo=$b
            wan pong F > W echo=$b -> lan dst=D echo=7
            wan pong F > W echo=$a -> lan dst=C echo=7
            states 2
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-3", "RFC 5382 REQ-7", "RFC 7857 §3", "nft_nat.sh : masquerade, masquerade6 (plain, random, fully-random)"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            lan udp D:5000 > F:53 -> wan src=W:$b
            wan udp F:53 > W:$a -> lan dst=C:5000
            wan udp F:53 > W:$b -> lan dst=D:5000
            wan udp G:53 > W:$a -> drop blocked-in
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-8", "RFC 5382 REQ-3"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            wan udp F:53 > W:$a -> lan
            wan udp F:54 > W:$a -> drop blocked-in                         # address- and port-dependent, as in pf
            wan udp G:53 > W:$a -> drop blocked-in
            wan udp F:53 > W:$a -> lan
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-5", "RFC 7857 §2.1", "RFC 6146 timers", "RFC 6092 REC-14"],
        set_up: SetUp { system: "optimization = \"rfc\"\n", ..NAT },
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            wait 119
            wan udp F:53 > W:$a -> lan dst=C:5000
            lan udp C:5000 > F:53 -> wan
            wait 295
            wan udp F:53 > W:$a -> lan dst=C:5000
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-5"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            wait 70                                                        # pf's own timers are shorter
            wan udp F:53 > W:$a -> drop blocked-in
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-6", "RFC 6092 REC-16"],
        set_up: NAT,
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            wan udp F:53 > W:$a -> lan
            wait 20
            lan udp C:5000 > F:53 -> wan src=W:$a
            wait 20
            wan udp F:53 > W:$a -> lan
        ",
    },
    Case {
        rows: &["RFC 5382 REQ-5", "RFC 7857 §2"],
        set_up: SetUp { system: "optimization = \"rfc\"\n", ..NAT },
        script: "
            lan tcp C:5000 > F:80 S seq=1000 -> wan src=W:$a
            wait 235
            wan tcp F:80 > W:$a SA seq=7000 ack=1001 -> lan
            wait 235
            lan tcp C:5000 > F:80 A seq=1001 ack=7001 -> wan
            wait 7440
            wan tcp F:80 > W:$a A seq=7001 ack=1001 len=10 -> lan
            wan tcp F:80 > W:$a R seq=7011 -> lan
            wait 235
            states 1
            wait 10
            states 0
        ",
    },
    Case {
        rows: &["RFC 5508 REQ-2"],
        set_up: SetUp { system: "optimization = \"rfc\"\n", ..NAT },
        script: "
            lan ping C > F -> wan echo=$a
            wait 59
            wan pong F > W echo=$a -> lan dst=C echo=7
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-9", "RFC 5382 REQ-8"],
        set_up: SetUp { nat: true, system: "nat_reflection = \"purenat\"\n", rules: FORWARD },
        script: "
            lan udp D:5000 > W:7000 -> lan src=L dst=C:80
            states 1
        ",
    },
    Case {
        rows: &["RFC 7857 §5–6"],
        set_up: NAT,
        script: "
            lan tcp C:5000 > F:80 S -> wan src=W:$a
            wan udp F:80 > W:$a -> drop blocked-in                         # a mapping of TCP is none of UDP
            wan tcp F:80 > W:$a SA seq=7000 ack=1001 -> lan
        ",
    },
    Case {
        rows: &["RFC 7857 §7, 7.1"],
        set_up: NAT,
        script: "
            lan ping C > F -> wan src=W echo=$a
            wait 15
            wan icmp G > W 11/0 quote=1 -> lan                             # refreshes nothing
            wait 7
            states 0
        ",
    },
    Case {
        rows: &["nft_nat.sh : port_shadow, _filter, _notrack, _pat", "attack : port shadow"],
        set_up: SetUp { nat: true, system: "", rules: FORWARD },
        script: "
            lan tcp D:7000 > F:5000 S -> wan src=W:$p                      # from the port of the forward
            wan tcp F:5000 > W:7000 S seq=9 -> lan dst=C:80                # which is still reached
        ",
    },
    Case {
        rows: &["nft_nat.sh : basic_conn and cleanup checks", "conntrack_clash.sh"],
        set_up: SetUp { nat: true, system: "", rules: LAN_OUT },
        script: "
            lan udp C:5000 > F:53 -> wan src=W:$a
            lan udp C:5000 > F:53 -> wan src=W:$a
            wan udp F:53 > W:$a -> lan
            states 1
        ",
    },
    Case {
        rows: &["RFC 4787 REQ-10", "attack : NAT slipstreaming"],
        set_up: NAT,
        script: "
            lan udp C:5060 > F:5060 len=200 -> wan src=W:$a len=200
            wan udp F:5061 > W:$a -> drop blocked-in                       # no way in was opened
            lan tcp C:5000 > F:21 S -> wan src=W:$b
            wan tcp F:20 > W:5001 S -> drop blocked-in
            wan udp F:5060 > W:$a -> lan
        ",
    },
];

#[test]
fn translation() {
    run(CASES);
}

pub fn cases() -> &'static [Case] {
    CASES
}
