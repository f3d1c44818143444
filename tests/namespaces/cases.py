"""What must hold of a router on real traffic. Each case gets a Network; the same cases run against the kernel."""

import concurrent.futures
import functools
import hashlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import struct
import subprocess

import carp
import facts
import imported
import joining
import keeping
import operations
import services
from topology import (CLI4, CLI6, ROUTER_LAN4, ROUTER_LAN6, ROUTER_WAN4, ROUTER_WAN6, SRV4, SRV6, WWW4, WWW6, PREFIX,
                      Failed, packets, run, until)


def expect(condition, why):
    if not condition:
        raise Failed(why)


def ping(net):
    """LAN and DMZ reach the outside, LAN reaches the router and the DMZ, both families."""
    for host, to in [("cli", SRV4), ("cli", SRV6), ("cli", WWW4), ("cli", WWW6), ("cli", ROUTER_LAN4),
                     ("www", SRV4), ("www", SRV6)]:
        expect(net.pings(host, to, "-W", "5"), f"{host} does not reach {to}")
    # Every address of the router's own answers the LAN, also those of other links, and the link-local one.
    for to in [ROUTER_LAN4, ROUTER_LAN6, ROUTER_WAN4, ROUTER_WAN6, "10.20.0.1", "2001:db8:20::1"]:
        expect(net.pings("cli", to, "-W", "5"), f"cli does not reach the router's {to}")
    expect(net.pings("cli", link_local_of_router(net) + "%eth0", "-W", "5"), "cli does not reach the link-local address")
    # Over a small MTU the first one is told so.
    for to in [SRV4, SRV6]:
        until(f"a fragmented ping of {to}", lambda: net.pings("cli", to, "-s", "4000"), 5)


def link_local_of_router(net):
    """The router's link-local address on LAN, made from the MAC address that answers there (RFC 4291, appendix A)."""
    mac = net.inside("cli", "ip", "neigh", "show", ROUTER_LAN4).split(" lladdr ")[1].split()[0]
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]))


#: Answers on TCP and UDP, both families.
ANSWER = """
import socket, threading
tcp = socket.create_server(("::", 8765), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", 8765))
def datagrams():
    while True:
        udp.sendto(*udp.recvfrom(2048))
threading.Thread(target=datagrams, daemon=True).start()
while True:
    tcp.accept()[0].close()
"""

#: Asks several at once; prints those that answer.
ASK = """
import socket, sys, threading
def ask(kind, to):
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        try:
            s.connect((to, 8765))
            if kind == "udp":
                s.send(b"?")
                s.recv(10)
            sys.stdout.write(f"{kind} {to}\\n")
        except OSError:
            pass
threads = [threading.Thread(target=ask, args=word.split("=")) for word in sys.argv[1:]]
[t.start() for t in threads]
[t.join() for t in threads]
"""


def answers(net, host, targets):
    """Which of the targets answer the host by TCP or UDP."""
    words = [f"{kind}={to}" for to in targets for kind in ("tcp", "udp")]
    return sorted(tuple(line.split()) for line in net.inside(host, "python3", "-c", ASK, *words).splitlines())


def nothing_comes_in(net):
    """WAN reaches neither LAN, DMZ nor router; DMZ does not reach LAN. Who may is the positive twin, at the same ports.

    That nothing answers is not enough: the hosts inside watch what arrives.
    """
    both = lambda targets: sorted((kind, to) for to in targets for kind in ("tcp", "udp"))
    for host in ["srv", "cli", "www"]:
        net.start(host, "python3", "-c", ANSWER)
        net.listens(host, 8765)
        net.listens(host, 8765, "-lnu")
    for prefix in ["192.168.1.0/24", "10.20.0.0/24"]:
        net.inside("srv", "ip", "route", "add", prefix, "via", ROUTER_WAN4)
    try:
        foreign = {"cli": [SRV4, SRV6, WWW4, WWW6], "www": [SRV4, SRV6]}
        watches = {host: watch(net, host, " or ".join(f"src {a}" for a in foreign[host])) for host in foreign}
        refused = {"srv": [CLI4, CLI6, WWW4, WWW6, ROUTER_WAN4, ROUTER_WAN6], "www": [CLI4, CLI6]}
        permitted = {"cli": [SRV4, SRV6, WWW4, WWW6], "www": [SRV4, SRV6]}
        for host, targets in refused.items():
            with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
                reached = [to for to, did in zip(targets, pool.map(lambda to: net.pings(host, to), targets)) if did]
            reached += answers(net, host, targets)
            expect(not reached, f"{host} reaches {reached}")
        for host, targets in permitted.items():
            for to in targets:
                expect(net.pings(host, to), f"{host} does not reach {to} (the positive twin)")
        # The answers to those pings show that the watches work, and are all that came.
        for host, (file, process) in watches.items():
            for address in foreign[host]:
                until(f"{host} sees {address}", lambda: packets(file, f"src {address}"))
            process.terminate()
            process.wait(10)
            strange = packets(file, "not icmp[0] = 0 and not (ip6 and ip6[6] = 58 and ip6[40] = 129)")
            expect(not strange, f"{host} was reached: {strange[:3]}")
        for host, targets in permitted.items():
            reached = answers(net, host, targets)
            expect(reached == both(targets), f"{host} reaches {reached} only (the positive twin)")
        # What is refused to others answers at home.
        expect(answers(net, "cli", [CLI4, CLI6]) == both([CLI4, CLI6]), "the client's own services")
    finally:
        for prefix in ["192.168.1.0/24", "10.20.0.0/24"]:
            net.inside("srv", "ip", "route", "del", prefix)


def watch(net, host, what):
    """Captures what a host receives; the file and the process."""
    file = net.directory / f"{host}-watch.pcap"
    process = net.start(host, "tcpdump", "-i", "eth0", "-Q", "in", "-s", "0", "-U", "-w", file, what)
    until("tcpdump is ready", lambda: file.exists() and file.stat().st_size >= 24)
    return file, process


def curl(net):
    """A page from the outside; the server sees the router's address, not the client's."""
    # The page says who asked for it.
    server = net.start("srv", "python3", "-c", """
import http.server, socket
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].removeprefix("::ffff:").encode())
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 8000), Page).serve_forever()
""")
    net.listens("srv", 8000)
    for host, url, seen in [("cli", f"http://{SRV4}:8000/", ROUTER_WAN4), ("cli", f"http://[{SRV6}]:8000/", "2001:db8:10:"),
                            ("www", f"http://{SRV4}:8000/", ROUTER_WAN4), ("www", f"http://[{SRV6}]:8000/", "2001:db8:20:")]:
        said = net.inside(host, "curl", "-sS", "-m", "10", url)
        # In IPv6 a host may prefer the address that it has made from our router advertisement.
        expect(said.startswith(seen), f"{host}: {url} saw {said}, not {seen}")
    server.terminate()


def iperf(net):
    """Bulk TCP both ways, and UDP, as who receives it counts it; both families."""
    for to, *words in [[SRV4], [SRV4, "-R"], [SRV4, "-P", "4"], [SRV6], [SRV6, "-R"]]:
        report = net.iperf("-t", "1", *words, to=to)
        rate = report.get("sum_received", report.get("sum", {})).get("bits_per_second", 0)
        expect(rate > 20e6, f"iperf3 {to} {' '.join(words)}: {rate / 1e6:.1f} Mbit/s")
    for to, *words in [[SRV4], [SRV4, "-R"], [SRV6], [SRV6, "-R"]]:
        report = net.iperf("-t", "1", "-u", "-b", "10M", "-l", "1200", *words, to=to)
        # In both directions `sum` counts packets and what of them the receiver missed.
        total, lost = report["sum"]["packets"], report["sum"]["lost_packets"]
        expect(total > 750 and lost * 20 <= total, f"iperf3 -u {to} {' '.join(words)}: {lost} of {total} lost")


def ssh(net):
    """ssh and scp through NAT, with real keys."""
    d = net.directory
    for key in ["host", "user"]:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d / key)
    os.makedirs("/run/sshd", exist_ok=True)
    (d / "sshd").write_text(
        f"Port 2222\nHostKey {d}/host\nAuthorizedKeysFile {d}/user.pub\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n")
    net.start("srv", "/usr/sbin/sshd", "-D", "-f", d / "sshd")
    net.listens("srv", 2222)
    options = ["-i", d / "user", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={d}/known",
               "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    said = net.inside("cli", "ssh", "-p", "2222", *options, f"root@{SRV4}", "echo $SSH_CLIENT")
    expect(said.startswith(ROUTER_WAN4), f"ssh came from {said}")
    blob = os.urandom(5_000_000)
    (d / "blob").write_bytes(blob)
    net.inside("cli", "scp", "-q", "-P", "2222", *options, d / "blob", f"root@{SRV4}:{d}/copy")
    expect((d / "copy").read_bytes() == blob, "scp changed the file")
    # And down, to a file that was not there.
    net.inside("cli", "scp", "-q", "-P", "2222", *options, f"root@{SRV4}:{d}/copy", d / "back")
    expect(hashlib.sha256((d / "back").read_bytes()).digest() == hashlib.sha256(blob).digest(), "scp changed the file down")


def traceroute(net):
    """The router is the first hop, by its LAN address."""
    hops = net.inside("cli", "traceroute", "-n", "-w", "2", "-q", "1", "-m", "4", SRV4).splitlines()[1:]
    expect(ROUTER_LAN4 in hops[0] and SRV4 in hops[1], f"traceroute: {hops}")
    hops = net.inside("cli", "traceroute", "-6", "-n", "-w", "2", "-q", "1", "-m", "4", SRV6).splitlines()[1:]
    expect("2001:db8:10::1" in hops[0] and SRV6 in hops[1], f"traceroute: {hops}")


def scan(net):
    """A scan of the router from the outside finds nothing open; the twin from the LAN finds its one open port."""
    listener = None
    if net.router == "kernel":
        listener = net.start("router", "nc.openbsd", "-k", "-l", "::", "443")
        net.listens("router", 443)
    nmap = ["nmap", "-n", "-Pn", "-T5", "--max-retries", "0", "--min-rate", "20000", "--open"]
    #: What is said of a port on the way: no answer is "open|filtered" for UDP, which is not open.
    is_open = lambda found, kind: re.search(rf"\d+/{kind}\s+open\s", found)
    for family, outside, inside, server in [([], ROUTER_WAN4, ROUTER_LAN4, SRV4), (["-6"], ROUTER_WAN6, ROUTER_LAN6, SRV6)]:
        found = net.inside("srv", *nmap, *family, "-sS", "-p-", outside, timeout=120)
        expect("Nmap done" in found and not is_open(found, "tcp"), found)
        found = net.inside("cli", *nmap, *family, "-sS", "-p", "443", inside, timeout=60)
        expect("443/tcp open" in " ".join(found.split()), f"the twin from the LAN: {found}")
        # The names of services where somebody might listen, and a range.
        found = net.inside("srv", *nmap, *family, "-sU", "-p", "53,67,69,123,161,443,500,514,1900,4500,5353,8765,9000-9300",
                           outside, timeout=120)
        expect("Nmap done" in found and not is_open(found, "udp"), found)
        answer = net.start("srv", "python3", "-c", ANSWER)
        net.listens("srv", 8765, "-lnu")
        found = net.inside("cli", *nmap, *family, "-sU", "-p", "8765", server, timeout=60)
        answer.terminate()
        answer.wait(10)
        expect("8765/udp open" in " ".join(found.split()), f"the twin, an open port behind the router: {found}")
    if listener:
        listener.terminate()


def page(net):
    """The pages on the LAN address, with a password only: people without one are sent to log in."""
    password = (net.directory / "state/web-password").read_text().strip()
    said = net.inside("cli", "curl", "-sk", "-m", "10", "-u", f"admin:{password}", f"https://{ROUTER_LAN4}/status.json")
    expect(json.loads(said)["node"] == "alpha", said)
    for name, path, wanted in [([], "/", "303"), ([], "/status.json", "401"), (["-u", "admin:wrong"], "/", "401")]:
        code = net.inside("cli", "curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *name,
                          f"https://{ROUTER_LAN4}{path}")
        expect(code == wanted, f"{path} without the password: {code}")


def reload(net):
    """A reload keeps flows, under traffic; a broken file changes nothing; SIGHUP reloads as well; flows can be killed."""
    from topology import KOI
    file = net.directory / "koi.toml"
    good = file.read_text()
    heard = net.directory / "pings"
    # Each ping and each byte of a connection that stays.
    with open(heard, "w") as out:
        flood = net.start("cli", "ping", "-i", "0.02", SRV4, output=out)
    echo = net.start("srv", "python3", "-c", ECHO)
    net.listens("srv", 8766)
    steady = net.start("cli", "python3", "-c", STEADY, SRV4, net.directory / "steady")
    told = lambda: int((net.directory / "steady").read_text() or 0) if (net.directory / "steady").exists() else 0
    until("traffic", lambda: told() > 20)
    mine = lambda: {f["id"]: f for f in net.flows() if f["protocol"] in ("icmp", "tcp") and CLI4 in f["original"]}
    # Flows of other cases may be there still; these two move.
    earlier, said = mine(), told()
    until("more traffic", lambda: told() > said + 20)
    carried = lambda flow: earlier[flow["id"]]["packets"][0] if flow["id"] in earlier else flow["packets"][0]
    before = {number: flow for number, flow in mine().items() if flow["packets"][0] > carried(flow)}
    expect({f["protocol"] for f in before.values()} == {"icmp", "tcp"}, f"flows: {before}")

    def keeps_flows(what):
        """The same flows are there and carry more than before; nothing of the connection is lost."""
        counted, said = mine(), told()
        until(f"{what}: the connection goes on", lambda: told() > said + 20)
        after = mine()
        expect(before.keys() <= after.keys(), f"{what}: flows {before.keys() - after.keys()} are gone")
        for number in before:
            expect(after[number]["packets"][0] > counted[number]["packets"][0], f"{what}: flow {number} stands still")
        expect(steady.poll() is None, f"{what}: the connection broke")

    file.write_text(good.replace("revision = 1", "revision = 2"))
    run(KOI, "reload", "--control", net.control)
    expect(net.show("status")["revision"] == 2, "the new revision is not in force")
    keeps_flows("a reload")
    file.write_text("nonsense")
    done = subprocess.run([KOI, "reload", "--control", net.control], capture_output=True, text=True)
    expect(done.returncode == 1 and net.show("status")["revision"] == 2, f"a broken file: {done.stderr}")
    hangup = lambda: os.kill(net.koi.pid, signal.SIGHUP)
    log = net.directory / "log"
    lines = len(log.read_text(errors="replace").splitlines())
    hangup()
    until("the log says what is wrong with the file",
          lambda: any("problem=line 1" in line for line in log.read_text(errors="replace").splitlines()[lines:]))
    expect(net.show("status")["revision"] == 2, "a broken file by SIGHUP")
    file.write_text(good.replace("revision = 1", "revision = 3").replace('hostname = "koi-lab"', 'hostname = "hung-up"'))
    hangup()
    until("SIGHUP puts the file in force",
          lambda: (net.show("status")["revision"], net.show("status")["hostname"]) == (3, "hung-up"))
    keeps_flows("SIGHUP")
    # No ping was lost on the way: the numbers of those that were answered have no gap. It may all have been over sooner
    # than ping writes down what it heard.
    answered = lambda: [int(n) for n in re.findall(r"icmp_seq=(\d+)", heard.read_text())]
    until("pings after the reloads", lambda: len(answered()) > 50)
    flood.send_signal(signal.SIGINT)
    flood.wait(10)
    missing = set(range(1, answered()[-1] + 1)) - set(answered())
    expect(not missing, f"pings without an answer: {sorted(missing)[:5]}")
    file.write_text(good.replace("revision = 1", "revision = 4"))
    run(KOI, "reload", "--control", net.control)
    said = run(KOI, "flows", "kill", "--all", "--control", net.control)
    expect(re.search(r"[1-9]", said), said)
    expect(not before.keys() & mine().keys(), "killed flows are still there")
    steady.terminate()
    echo.terminate()


#: Answers each byte with the same.
ECHO = """
import socket
s = socket.create_server(("::", 8766), family=socket.AF_INET6, dualstack_ipv6=True).accept()[0]
while data := s.recv(4096):
    s.sendall(data)
"""

#: Says a number and waits for its echo, for ever; writes down how often.
STEADY = """
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 8766), timeout=10)
count = 0
while True:
    word = b"%8d" % count
    s.sendall(word)
    heard = b""
    while len(heard) < 8:
        heard += s.recv(8 - len(heard)) or sys.exit("closed")
    assert heard == word
    count += 1
    with open(sys.argv[2] + ".new", "w") as file:
        file.write(str(count))
    os.replace(sys.argv[2] + ".new", sys.argv[2])
    time.sleep(0.01)
"""


@functools.cache
def gigabyte():
    """A file of random bytes, which goes with this process, and its checksum."""
    descriptor = os.memfd_create("gigabyte")
    source = f"/proc/{os.getpid()}/fd/{descriptor}"
    run("sh", "-c", f"head -c 1000000000 /dev/urandom > {source}")
    return source, run("sha256sum", source).split()[0]


def transfer(net):
    """A gigabyte arrives with the right checksum, down and up."""
    source, want = gigabyte()
    for host, port, reader in [("srv", 9001, "cli"), ("cli", 9002, "srv")]:
        got = net.directory / "got"
        address = SRV4 if host == "srv" else None
        if address:
            server = net.start("srv", "sh", "-c", f"nc.openbsd -N -l {port} < {source}")
            net.listens("srv", port)
            net.inside("cli", "sh", "-c", f"nc.openbsd -d {SRV4} {port} > {got}", timeout=120)
        else:
            server = net.start("srv", "sh", "-c", f"nc.openbsd -d -l {port} > {got}")
            net.listens("srv", port)
            net.inside("cli", "sh", "-c", f"nc.openbsd -N {SRV4} {port} < {source}", timeout=120)
            server.wait(30)
        expect(run("sha256sum", got).split()[0] == want, f"{reader} received something else")


def captures(net):
    """What the receivers get carries right checksums only."""
    # The switch's side of the host's cable has no offloads, so that packets on the cable are finished.
    off = ["tx", "off", "gso", "off", "tso", "off", "gro", "off"]
    for host, side in [("cli", "lan"), ("srv", "wan")]:
        net.inside(host, "ethtool", "-K", "eth0", *off, check=False)
        net.inside(f"sw-{side}", "ethtool", "-K", "host", *off, check=False)
    captured = {host: watch(net, host, "ip or ip6") for host in ["cli", "srv"]}
    for to, *words in [[SRV4], [SRV4, "-R"], [SRV6], [SRV6, "-R"]]:
        net.iperf("-n", "2M", *words, to=to)
    for to, *words in [[SRV4], [SRV4, "-R"], [SRV6], [SRV6, "-R"]]:
        net.iperf("-u", "-b", "20M", "-n", "1M", "-l", "1201", *words, to=to)
    net.inside("cli", "ping", "-c", "3", "-i", "0.2", "-s", "3000", SRV4)
    net.inside("cli", "traceroute", "-n", "-w", "2", "-q", "1", "-m", "2", SRV4)
    for host, (file, process) in captured.items():
        for protocol in ["ip proto 1", "ip proto 6", "ip proto 17", "ip6 proto 6", "ip6 proto 17"]:
            until(f"{host} captured {protocol}", lambda: packets(file, protocol))
        process.terminate()
        process.wait(10)
        good, bad = verify(file.read_bytes())
        expect(good > 1000 and not bad, f"{host}: {good} right, {len(bad)} wrong: {bad[:5]}")


def ones(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def verify(pcap):
    """Counts packets with right checksums and lists those with wrong ones."""
    at, good, bad = 24, 0, []
    while at + 16 <= len(pcap):
        length = struct.unpack("<I", pcap[at + 8:at + 12])[0]
        frame = pcap[at + 16:at + 16 + length]
        at += 16 + length
        if len(frame) < length or len(frame) < 34:
            continue
        kind, ip = frame[12:14], frame[14:]
        if kind == b"\x08\x00":
            head = (ip[0] & 15) * 4
            total = struct.unpack(">H", ip[2:4])[0]
            if ones(ip[:head]) != 0xFFFF:
                bad.append("IPv4 header")
            if struct.unpack(">H", ip[6:8])[0] & 0x3FFF:
                continue
            number, pseudo, body = ip[9], ip[12:20], ip[head:total]
        elif kind == b"\x86\xdd":
            total = struct.unpack(">H", ip[4:6])[0]
            number, pseudo, body = ip[6], ip[8:40], ip[40:40 + total]
        else:
            continue
        if number == 1:
            right = ones(body) == 0xFFFF
        elif number in (6, 17, 58):
            right = ones(pseudo + struct.pack(">IHH", len(body), 0, number) + body) == 0xFFFF
        else:
            continue
        if right:
            good += 1
        else:
            bad.append(f"protocol {number} length {len(body)}")
    return good, bad


def small_mtu(net):
    """Path-MTU discovery over a WAN of 1400 bytes, both families: the client learns it, and bulk TCP goes on."""
    said = net.inside("cli", "ping", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1450", SRV4, check=False)
    expect("mtu = 1400" in said or "mtu=1400" in said, said)
    said = net.inside("cli", "ping", "-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1450", SRV6, check=False)
    expect("mtu = 1400" in said or "mtu=1400" in said or "too big" in said.lower(), said)
    for to in [SRV4, SRV6]:
        learned = net.inside("cli", "ip", "route", "get", to)
        expect("mtu 1400" in learned, f"the client's route: {learned}")
        # The size that just fits goes through.
        size = 1400 - (28 if to == SRV4 else 48)
        expect(net.pings("cli", to, "-M", "do", "-s", str(size)), f"{to}: 1400 bytes do not fit")
        for words in [[], ["-R"]]:
            report = net.iperf("-t", "1", *words, to=to)
            expect(report["sum_received"]["bits_per_second"] > 20e6, "bulk TCP over the small MTU")


def pieces(net):
    """A datagram that does not forbid it and is larger than the next link takes is cut there, and arrives whole."""
    file, capture = watch(net, "srv", "udp or ip[6:2] & 0x3fff != 0")
    server = net.start("srv", "python3", "-c", WHOLE)
    net.listens("srv", 8767, "-lnu")
    for size in [1373, 1400, 1472]:
        said = net.inside("cli", "python3", "-c", ASK_WHOLE, SRV4, str(size))
        expect(said.strip() == f"{size} arrived as it was", f"{size} bytes: {said}")
    # What just fits is not touched.
    said = net.inside("cli", "python3", "-c", ASK_WHOLE, SRV4, "1372")
    expect(said.strip() == "1372 arrived as it was", said)
    for number in range(3):
        expect(net.pings("cli", SRV4, "-M", "dont", "-s", str(1440 + number)), "a ping without DF, larger than the path")
    server.terminate()
    until("the pieces were captured", lambda: len(packets(file, "ip[6:2] & 0x3fff != 0 and dst host " + SRV4)) >= 12)
    capture.terminate()
    capture.wait(10)
    # First pieces and last ones: none is larger than the link takes, and the first are as large as they can be.
    first, last = (packets(file, f"dst host {SRV4} and {which}") for which in
                   ["ip[6:2] & 0x2000 != 0", "ip[6:2] & 0x2000 = 0 and ip[6:2] & 0x1fff != 0"])
    expect(len(first) == len(last) == 6, f"{len(first)} first pieces, {len(last)} last ones")
    expect(not packets(file, "greater 1415"), "a piece larger than the link takes")
    expect(len(packets(file, f"dst host {SRV4} and ip[6:2] & 0x2000 != 0 and ip[2:2] = 1396")) == 6, "first pieces: 1376 bytes each")
    expect(len(packets(file, f"dst host {SRV4} and udp and ip[6:2] & 0x3fff = 0")) == 1, "what fits was cut")
    # With DF the sender is told instead; that is `small_mtu`.


#: Answers with the digest of what arrived.
WHOLE = """
import hashlib, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 8767))
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(hashlib.sha256(data).digest(), peer)
"""

#: Sends so many random bytes, without the wish not to be cut.
ASK_WHOLE = """
import hashlib, os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 10, 0)
s.settimeout(3)
data = os.urandom(int(sys.argv[2]))
s.sendto(data, (sys.argv[1], 8767))
heard = s.recv(100)
print(len(data), "arrived as it was" if heard == hashlib.sha256(data).digest() else "arrived changed")
"""


#: Cases about what only Koi has.
KOI_ONLY = {page, reload, *operations.CASES, *facts.CASES, *services.CASES, *carp.CASES, *joining.CASES, *imported.CASES, *keeping.CASES}
#: Cases about what others do with each other.
KERNEL_ONLY = {carp.control}

#: Cases of the usual network, then (name, options of the network, cases) of others. The quiet ones mostly wait, so that
#: several run at once; the longest first.
USUAL = [ping, nothing_comes_in, curl, ssh, traceroute, scan, page, reload, iperf, transfer, captures]
OTHERS = [
    ("refused", {"refused": True}, [operations.without_io_uring, ping, captures]),
    ("plain", {"drivers": {"wan": "plain", "lan": "plain", "dmz": "plain"}}, [ping, transfer, captures]),
    ("mixed", {"drivers": {"wan": "plain"}}, [ping, transfer, captures]),
    ("services", {"quiet": True}, services.CASES),
    ("joining", {"quiet": True}, joining.CASES),
    # A segment of its own for each.
    ("carp", {"quiet": True}, [*carp.CASES, carp.control]),
    ("operate", {"quiet": True}, operations.CASES),
    ("keeping", {"kind": keeping.Kept, "quiet": True}, keeping.CASES),
    ("imported", {"kind": imported.File, "quiet": True}, imported.CASES),
    ("candidate", {"kind": imported.Candidate, "quiet": True}, imported.CASES),
    ("facts", {"quiet": True}, facts.CASES),
    ("mtu-1400", {"mtu": 1400, "quiet": True}, [small_mtu, pieces, ping]),
]
#: The networks that the kernel has, too.
BOTH = {"mtu-1400", "carp"}
