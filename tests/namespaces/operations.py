"""What an operator does to a running router, and what happens to it. Only Koi has these."""

import ctypes
import os
import pathlib
import re
import signal
import subprocess

from topology import CLI4, CLI6, KOI, PREFIX, ROUTER_LAN4, ROUTER_LAN6, SRV4, SRV6, Failed, run, until


def expect(condition, why):
    if not condition:
        raise Failed(why)


def capture(net):
    """`koi capture` writes what passes an interface, by the filter, as tcpdump reads it."""
    file = net.directory / "koi.pcap"
    capture = subprocess.Popen([KOI, "capture", "lan", "icmp and host", SRV4, "-w", file, "--count", "4", "--control",
                                net.control], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    net.processes.append(capture)
    until("a capture file", lambda: file.exists() and file.stat().st_size >= 24)
    until("an answer by IPv6, which the filter leaves out", lambda: net.pings("cli", SRV6))
    for _ in range(2):
        expect(net.pings("cli", SRV4), "no answer")
    said = capture.communicate(timeout=10)[1]
    expect(capture.returncode == 0 and "4 frames captured" in said, said)
    lines = run("tcpdump", "-n", "-r", file).splitlines()
    expect(len(lines) == 4, lines)
    for line, what in zip(lines, [f"{CLI4} > {SRV4}: ICMP echo request", f"{SRV4} > {CLI4}: ICMP echo reply"] * 2):
        expect(what in line, line)


def interface_row(net, name):
    return next(row for row in net.show("interfaces")["interfaces"] if row["name"] == name)


def link_down_and_up(net):
    """A port that goes down is said to be down; flows are there when it is up again."""
    until("a flow", lambda: net.pings("cli", SRV4) and net.flows())
    flows = {flow["id"] for flow in net.flows()}
    switch = f"{PREFIX}sw-lan"
    run("ip", "-n", switch, "link", "set", "koi-lan", "down")
    until("lan is shown as down", lambda: not interface_row(net, "lan")["up"])
    expect(not net.pings("cli", SRV4), "a port that is down forwards")
    run("ip", "-n", switch, "link", "set", "koi-lan", "up")
    until("lan is shown as up", lambda: interface_row(net, "lan")["up"])
    until("the client reaches the server", lambda: net.pings("cli", SRV4))
    expect(flows <= {flow["id"] for flow in net.flows()}, "flows were lost with the link")


def device_gone_and_back(net):
    """A TAP that is deleted is gone, not the router; Koi makes it again, and uses it when it is in its bridge."""
    switch = f"{PREFIX}sw-lan"
    device = lambda: next(iter(run("ip", "-n", switch, "-o", "link", "show", "koi-lan", check=False).split(":")))
    before = device()
    run("ip", "-n", switch, "link", "del", "koi-lan")
    until("another device of that name", lambda: device().isdigit() and device() != before)
    expect(net.pings("www", SRV4), "the DMZ suffers from LAN's lost device")
    run("ip", "-n", switch, "link", "set", "koi-lan", "master", "br0", "up")
    until("the client reaches the server", lambda: net.pings("cli", SRV4), 20)
    log = (net.directory / "log").read_text()
    expect(log.count("the device is open again") == 1, "opened once, said once")


def device_moves(net):
    """A TAP may be moved to another network namespace, and back, while Koi runs."""
    home, away = f"{PREFIX}sw-lan", f"{PREFIX}away"
    run("ip", "netns", "add", away)
    run("ip", "-n", away, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", away, "link", "set", "br0", "up")
    for here, there in [(home, away), (away, home)]:
        for device in ["koi-lan", "host"]:
            run("ip", "-n", here, "link", "set", device, "netns", there)
            run("ip", "-n", there, "link", "set", device, "master", "br0", "up")
        until(f"the client reaches the server by {there}", lambda: net.pings("cli", SRV4), 20)
    run("ip", "netns", "del", away)


def router_processes(net):
    """The router's processes: children of `koi run`."""
    return [int(pid) for pid in
            pathlib.Path(f"/proc/{net.koi.pid}/task/{net.koi.pid}/children").read_text().split()]


def crash(net):
    """A router process that dies is started again by its parent, and forwards again."""
    before = router_processes(net)
    expect(len(before) == 1, f"processes: {before}")
    os.kill(before[0], signal.SIGKILL)
    until("another router process", lambda: router_processes(net) not in ([], before), 20)
    until("the control socket answers", net.koi_answers, 20)
    until("the client reaches the server", lambda: net.pings("cli", SRV4), 20)
    until("the client reaches the server by IPv6", lambda: net.pings("cli", SRV6), 20)


def privileges(net):
    """The process that sees packets keeps no privilege; the kernel says so, and so does `koi show status`."""
    [router] = router_processes(net)
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{router}/status").read_text().splitlines())
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
        expect(int(status[field], 16) == 0, f"{field} {status[field]}")
    expect(status["NoNewPrivs"].strip() == "1", "new privileges are possible")
    # Another user, in each of its four forms; no groups; no files of others.
    users = set(status["Uid"].split()) | set(status["Gid"].split())
    expect(len(users) == 1 and users != {"0"} and not status["Groups"].split(), f"{status['Uid']} {status['Groups']}")
    limits = pathlib.Path(f"/proc/{router}/limits").read_text()
    expect("Max core file size        0 " in limits, limits)
    shown = net.show("status")["privileges"]
    expect(shown["capabilities"] == [] and shown["no_new_privs"], shown)
    expect({str(shown["uid"])} == users, shown)
    # Files in /proc belong to root when a process does not let others look into it.
    expect(shown["dumpable"] == (pathlib.Path(f"/proc/{router}/environ").stat().st_uid != 0), shown)
    expect((shown["landlock"] == "absent") == (landlock_generation() < 1), f"{shown}: the kernel has {landlock_generation()}")
    # The parent is who has what the router has not.
    parent = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{net.koi.pid}/status").read_text().splitlines())
    expect(int(parent["CapEff"], 16) != 0, "the parent opens devices")


def precedence(net):
    """A busy machine is not felt: the router's memory stays where it is, and the thread that forwards comes before others."""
    [router] = router_processes(net)
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{router}/status").read_text().splitlines())
    locked, program = (int(status[field].split()[0]) for field in ["VmLck", "VmExe"])
    expect(locked >= program > 5_000, f"{locked} kB are locked, and the program has {program}")
    nice = {}
    for task in pathlib.Path(f"/proc/{router}/task").iterdir():
        name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        nice[name] = int(rest.split()[16])
    favoured = {"forward", "replica"}
    expect({nice[name] for name in favoured} == {-10}, f"nice values: {nice}")
    expect({value for name, value in nice.items() if name not in favoured} <= {0}, f"nice values: {nice}")


def landlock_generation():
    """Of the kernel, as landlock_create_ruleset tells it; below 1 when there is none."""
    return ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1))


def without_io_uring(net):
    """Where the kernel refuses io_uring, the router runs and forwards all the same, by single calls."""
    for pid in [net.koi.pid, *router_processes(net)]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        expect(re.search(r"^Seccomp:\s+2$", status, re.M), f"{pid}: io_uring is not refused")
    # Small frames in quick succession are what batches are for.
    report = net.iperf("-u", "-b", "4M", "-l", "64", "-t", "2", to=SRV4)["sum"]
    expect(report["packets"] > 10_000 and report["lost_packets"] * 20 <= report["packets"], report)
    for pid in router_processes(net):
        opened = [os.readlink(file) for file in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        expect(opened and not any("io_uring" in file for file in opened), opened)


def foreign_user(net):
    """The control socket is root's: others cannot open it, and whoever could is refused by his credentials."""
    ask = """
import os, socket, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[2])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
except PermissionError:
    sys.exit("not permitted")
try:
    s.sendall(b'"status"\\n')
except BrokenPipeError:
    # It has been told before it has asked.
    pass
print(s.makefile().readline())
"""
    asks = lambda user: run("python3", "-c", ask, net.control, user, check=False)
    expect(net.control.stat().st_mode & 0o777 == 0o600, f"{net.control.stat().st_mode:o}")
    mode = net.directory.stat().st_mode & 0o777
    net.directory.chmod(0o755)
    try:
        expect("not permitted" in asks(65_534), "the mode of the socket")
        net.control.chmod(0o666)
        said = asks(65_534)
        expect("only root" in said and "hostname" not in said, said)
        until("it is in the log", lambda: "refused on the control socket" in (net.directory / "log").read_text())
        said = asks(0)
        expect("hostname" in said, f"the twin, root: {said}")
    finally:
        net.control.chmod(0o600)
        net.directory.chmod(mode)


def router_advertisement(net):
    """A host that knows nothing makes itself an address and finds the router from what Koi advertises."""
    inside = net.inside
    inside("cli", "ip", "-6", "route", "del", "default", "via", ROUTER_LAN6)
    inside("cli", "ip", "-6", "addr", "flush", "dev", "eth0", "scope", "global")
    for key, value in [("accept_ra", 2), ("autoconf", 1)]:
        inside("cli", "sysctl", "-qw", f"net.ipv6.conf.eth0.{key}={value}")
    # Whoever begins with IPv6 asks for routers.
    for value in [1, 0]:
        inside("cli", "sysctl", "-qw", f"net.ipv6.conf.eth0.disable_ipv6={value}")
    try:
        until("a default route from an advertisement",
              lambda: "proto ra" in inside("cli", "ip", "-6", "route", "show", "default"), 20)
        until("an address from an advertisement",
              lambda: "mngtmpaddr" in (said := inside("cli", "ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"))
              and "tentative" not in said, 20)
        until("the server answers", lambda: net.pings("cli", SRV6), 10)
    finally:
        inside("cli", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_ra=0")
        net.address_by_hand("cli", CLI6, ROUTER_LAN6)


def log_of_rules(net):
    """A rule with `log` is a record for each flow that it passes; a block that logs stands among the recent drops, too."""
    text = net.document()
    net.reload(text.replace('description = "LAN may go anywhere"', 'log = true\ndescription = "LAN may go anywhere"'))
    try:
        run(KOI, "flows", "kill", "--all", "--control", net.control)
        expect(net.pings("cli", SRV4), "no answer")
        passed = lambda row: row["action"] == "pass" and row["src"] == CLI4 and row["protocol"] == 1
        until("a record of the flow", lambda: any(map(passed, net.show("log"))))
        expect(not net.pings("www", CLI4), "DMZ reaches LAN")
        until("the drop", lambda: any(drop["rule"] == 1000010 for drop in net.show("drops")))
    finally:
        net.reload(text)


#: One address tagged, by hand: the kernel here has no 802.1Q.
TAGGED = """
import socket, struct, sys
tag, mac = int(sys.argv[1]), bytes.fromhex("020000000099")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.bind(("eth0", 0))
# Tags come beside the frame.
s.setsockopt(263, 8, 1)
s.settimeout(0.3)
def address(text):
    return socket.inet_aton(text)
def send(to, kind, payload):
    s.send(to + mac + struct.pack(">HHH", 0x8100, tag, kind) + payload)
def received():
    data, control, _, _ = s.recvmsg(2048, 256)
    for level, number, value in control:
        if (level, number) == (263, 8):
            status, _, _, _, _, found, _ = struct.unpack("IIIHHHH", value[:20])
            return (found & 0xfff) if status & 0x10 else None, data
    return None, data
def ones(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff
me, router = address("10.77.0.10"), address("10.77.0.1")
for _ in range(20):
    send(b"\\xff" * 6, 0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + mac + me + bytes(6) + router)
    try:
        while True:
            found, data = received()
            if found == tag and data[12:14] == b"\\x08\\x06" and data[28:32] == router:
                raise StopIteration
    except (TimeoutError, StopIteration) as end:
        if isinstance(end, StopIteration):
            break
else:
    sys.exit("no tagged ARP answer")
theirs = data[6:12]
icmp = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + b"tagged!!"
icmp = icmp[:2] + struct.pack(">H", ones(icmp)) + icmp[4:]
ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + me + router
ip = ip[:10] + struct.pack(">H", ones(ip)) + ip[12:]
send(theirs, 0x800, ip + icmp)
while True:
    found, data = received()
    if found == tag and data[12:14] == b"\\x08\\x00" and data[23] == 1 and data[34] == 0:
        break
print("answered")
"""


def tagged(net):
    """An 802.1Q sub-interface answers on its tag, and does not hear another."""
    text = net.document()
    net.reload(text + """
[[node.interface]]
name = "guests"
addresses = ["10.77.0.1/24"]

[[interface]]
name = "guests"
zone = "dmz"
port = "lan"
vlan = 77

[[rule]]
id = 1000500
interface = "guests"
action = "pass"
""")
    expect("answered" in net.inside("cli", "python3", "-c", TAGGED, "77"), "no answer")
    said = net.inside("cli", "python3", "-c", TAGGED, "78", check=False)
    expect("no tagged ARP answer" in said, said)
    expect(net.pings("cli", ROUTER_LAN4), "the untagged interface on the same port")


CASES = [capture, log_of_rules, privileges, precedence, foreign_user, link_down_and_up, device_gone_and_back, device_moves, router_advertisement,
         tagged, crash]
