"""What `koi show` says of the running router, held against what can be seen from outside. Only Koi has these."""

import json
import os
import pathlib
import re

from topology import CLI4, KOI, ROUTER_LAN4, ROUTER_WAN4, SIDES, SRV4, WWW4, Failed, packets, run, until


def expect(condition, why):
    if not condition:
        raise Failed(why)


def text(net, what):
    """The same as a table for people."""
    return run(KOI, "show", what, "--control", net.control)


def link(net, namespace, device):
    """A device as the kernel describes it."""
    return json.loads(run("ip", "-j", "-s", "-n", f"{net.prefix}{namespace}", "link", "show", device))[0]


def status(net):
    """Who runs, since when, by which document."""
    [child] = pathlib.Path(f"/proc/{net.koi.pid}/task/{net.koi.pid}/children").read_text().split()
    shown = net.show("status")
    expect((shown["parent"], shown["router"]) == (net.koi.pid, int(child)), f"processes: {shown}")
    revision = int(re.search(r"^revision = (\d+)", net.document(), re.M)[1])
    expect(shown["revision"] == revision and shown["ports_up"] == [3, 3], shown)
    # Since the process began, which the kernel knows in hundredths of a second.
    begun = int(pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    age = float(pathlib.Path("/proc/uptime").read_text().split()[0]) - begun
    expect(abs(net.show("status")["uptime_seconds"] - age) < 3, f"{shown['uptime_seconds']} s, and the kernel says {age}")
    expect(shown["states"]["current"] == net.show("flows")["total"], shown["states"])
    said = text(net, "status")
    expect(all(str(word) in said for word in [shown["hostname"], child, shown["config_hash"][:8]]), said)


def interfaces(net):
    """MAC address, MTU and link as the neighbours see them; frames as the kernel counts them."""
    shown = net.show("interfaces")
    rows = {row["name"]: row for row in shown["interfaces"]}
    for side, (host, gateway) in {"lan": ("cli", ROUTER_LAN4), "dmz": ("www", "10.20.0.1"), "wan": ("srv", ROUTER_WAN4)}.items():
        # Whether or not it answers a ping, it answers ARP.
        net.pings(host, gateway)
        known = json.loads(net.inside(host, "ip", "-j", "neigh", "show", gateway))[0]
        expect(rows[side]["mac"] == known["lladdr"], f"{side}: {rows[side]['mac']}, and {host} knows {known}")
        expect(rows[side]["up"] and rows[side]["mtu"] == link(net, host, "eth0")["mtu"], rows[side])
        expect(any(address.split("/")[0] == gateway for address in rows[side]["addresses"]), rows[side])
        expect(known["lladdr"] in text(net, "interfaces"), text(net, "interfaces"))

    def counted():
        port = next(port for port in net.show("interfaces")["ports"] if port["name"] == "lan")
        kernel = link(net, "sw-lan", "koi-lan")["stats64"]
        # What the kernel sends to the device, Koi reads.
        return ([port["rx_packets"], port["rx_bytes"], port["tx_packets"], port["tx_bytes"]],
                [kernel["tx"]["packets"], kernel["tx"]["bytes"], kernel["rx"]["packets"], kernel["rx"]["bytes"]])

    before = counted()[0]
    net.inside("cli", "ping", "-q", "-c", "40", "-i", "0.01", SRV4)
    # Both count while time passes; in a quiet moment they agree.
    until("Koi and the kernel count the same frames", lambda: (both := counted())[0] == both[1])
    after = counted()[0]
    expect(after[0] >= before[0] + 40 and after[2] >= before[2] + 40, f"{before} {after}")


def routes(net):
    """The networks that hosts have on their links, and the way out."""
    shown = {(row["destination"], row["gateway"], row["interface"]) for row in net.show("routes")}
    for side, host in SIDES.items():
        for row in json.loads(net.inside(host, "ip", "-j", "route", "show", "dev", "eth0", "proto", "kernel")):
            expect((row["dst"], None, side) in shown, f"{host} has {row['dst']}: {shown}")
    # By the default route, a packet to an address that is nowhere is given to the gateway's MAC address.
    expect(("0.0.0.0/0", SRV4, "wan") in shown, shown)
    file = net.directory / "routes.pcap"
    capture = net.start("srv", "tcpdump", "-i", "eth0", "-Q", "in", "-U", "-w", file, "dst host 192.0.2.77")
    until("tcpdump is ready", lambda: file.exists() and file.stat().st_size >= 24)
    net.pings("cli", "192.0.2.77")
    mac = link(net, "srv", "eth0")["address"]
    until("the packet for nowhere", lambda: any(f"> {mac}" in packet for packet in packets(file, "-e")))
    capture.terminate()
    expect("0.0.0.0/0" in text(net, "routes") and SRV4 in text(net, "routes"), text(net, "routes"))


def neighbours(net):
    """The MAC addresses that the hosts have."""
    for host in SIDES.values():
        net.pings(host, {"srv": ROUTER_WAN4, "cli": ROUTER_LAN4, "www": "10.20.0.1"}[host])
    expect(net.pings("cli", SRV4) and net.pings("www", SRV4), "no answer")
    shown = {row["address"]: row for row in net.show("neighbours")}
    for side, address in {"wan": SRV4, "lan": CLI4, "dmz": WWW4}.items():
        mac = link(net, SIDES[side], "eth0")["address"]
        row = shown.get(address)
        expect(row and (row["mac"], row["interface"]) == (mac, side), f"{address} is at {mac}: {row}")
        expect(row["state"] in ("reachable", "stale", "delay", "probe"), row)
        expect(mac in text(net, "neighbours"), text(net, "neighbours"))
    net.pings("cli", "10.20.0.99")
    until("a host that is not there has no address",
          lambda: any(row["address"] == "10.20.0.99" and not row["mac"] for row in net.show("neighbours")))


def flows(net):
    """The packets and bytes of a ping, as ping counts them, and its translation as the server saw it."""
    run(KOI, "flows", "kill", "--all", "--control", net.control)
    said = net.inside("cli", "ping", "-c", "7", "-i", "0.05", "-s", "100", SRV4)
    expect("7 packets transmitted, 7 received" in said, said)
    [row] = [row for row in net.flows() if row["protocol"] == "icmp" and f"icmp {CLI4}:" in row["original"]]
    # A header of 20 bytes, one of 8, and the payload.
    expect((row["packets"], row["bytes"]) == ([7, 7], [7 * 128, 7 * 128]), row)
    expect(SRV4 in row["original"] and (row["ingress"], row["egress"]) == ("lan", "wan"), row)
    expect(ROUTER_WAN4 in row["translated"], row)
    # And a connection: the port that the server sees is the one that is shown.
    server = net.start("srv", "python3", "-c", TELL_PORT)
    net.listens("srv", 8768)
    port = net.inside("cli", "nc.openbsd", "-d", SRV4, "8768").strip()
    [row] = [row for row in net.flows() if row["protocol"] == "tcp" and f"{SRV4}:8768" in row["original"]]
    expect(re.search(rf"\b{re.escape(ROUTER_WAN4)}:{port}\b", row["translated"]), f"the server saw {port}: {row}")
    server.terminate()
    said = text(net, "flows")
    expect(CLI4 in said and f"{SRV4}:8768" in said, said)


#: Tells each who connects his own port.
TELL_PORT = """
import socket
s = socket.create_server(("0.0.0.0", 8768))
while True:
    c, peer = s.accept()
    c.sendall(b"%d" % peer[1])
    c.close()
"""


def counters(net):
    """As many as were lost on purpose."""
    value = lambda name: next((row["value"] for row in net.show("counters") if row["name"] == name), 0)
    before = value("drop-ttl-exceeded")
    said = net.inside("cli", "ping", "-c", "4", "-i", "0.05", "-W", "1", "-t", "1", SRV4, check=False)
    expect(said.count("Time to live exceeded") == 4, said)
    expect(value("drop-ttl-exceeded") == before + 4, f"{before} and 4, not {value('drop-ttl-exceeded')}")
    before = value("drop-blocked-in")
    net.inside("www", "ping", "-c", "3", "-i", "0.05", "-W", "1", CLI4, check=False)
    expect(value("drop-blocked-in") >= before + 3, f"{before} and 3, not {value('drop-blocked-in')}")
    expect(re.search(rf"drop-ttl-exceeded\s+{value('drop-ttl-exceeded')}\b", text(net, "counters")), text(net, "counters"))


def drops(net):
    """Who was refused, by which rule, and when."""
    net.inside("www", "ping", "-c", "1", "-W", "1", CLI4, check=False)
    now = net.show("status")["uptime_seconds"]
    row = next((row for row in net.show("drops") if row["flow"] and WWW4 in row["flow"] and CLI4 in row["flow"]), None)
    expect(row and (row["reason"], row["interface"], row["rule"]) == ("blocked-in", "dmz", 1000010), net.show("drops")[:3])
    expect(abs(now - row["at"]) < 5, f"at {row['at']}, and now is {now}")
    expect(WWW4 in text(net, "drops") and "blocked-in" in text(net, "drops"), text(net, "drops"))


CASES = [status, interfaces, routes, neighbours, flows, counters, drops]
