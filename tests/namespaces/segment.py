"""One LAN with a shared address: Koi, Debian's ucarp, and a client; what passes between them is captured.

Who is master is read from the wire alone: who advertises, and whose MAC answers for the address.
"""

import contextlib
import ipaddress
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time

from topology import KOI, Failed, Network, die_with_parent, remove_leftovers, run, until

VIP, VHID, PASSWORD = "192.168.1.1", 1, "sekrit"
VIRTUAL_MAC = f"00:00:5e:00:01:{VHID:02x}"
#: Addresses of their own. `other` is a second ucarp, or whoever else has something to say.
HOSTS = {"cli": "192.168.1.10", "peer": "192.168.1.3", "other": "192.168.1.4"}
KOI_ADDRESS = "192.168.1.2"
#: The client and Koi have these as well; ucarp knows no IPv6.
VIP6, CLI6, KOI_ADDRESS6 = "2001:db8:10::1", "2001:db8:10::10", "2001:db8:10::2"
CARP = 112

DOCUMENT = """
schema = 1
revision = {revision}

[[node]]
name = "alpha"

[[node.port]]
name = "lan"
tap = "koi-lan"
netns = "{netns}"

[[node.interface]]
name = "lan"
addresses = ["{address}/24", "{address6}/64"]

[[interface]]
name = "lan"
zone = "lan"
port = "lan"

[[virtual_ip]]
interface = "lan"
vhid = {vhid}
addresses = {vips}
password = "{password}"
advbase = 1
advskew = {advskew}
foreign = true
preempt = {preempt}

[outbound]
mode = "disabled"

[[rule]]
id = 1000000
interface = "lan"
action = "pass"
source = "lan net"
"""

#: A second link of Koi's, with an address that it would share there.
SECOND = """
[[interface]]
name = "dmz"
zone = "dmz"
port = "dmz"

[[virtual_ip]]
interface = "dmz"
vhid = 2
addresses = ["10.20.0.1/24"]
password = "other"
foreign = true
"""
SECOND_PORT = """[[node.port]]
name = "dmz"
tap = "koi-dmz"
netns = "{netns}"

[[node.interface]]
name = "dmz"
addresses = ["10.20.0.2/24"]

[[node.interface]]
name = "lan\""""

#: ucarp calls it with the interface and the address.
SCRIPT = """#!/bin/sh
ip addr {verb} "$2/24" dev "$1" 2>/dev/null
echo {word} >>{file}
"""

#: Says frames as they were captured, with whatever sender they name.
SPEAK = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for frame in sys.argv[1:]:
    s.send(bytes.fromhex(frame))
"""


class Advert:
    """One CARP advertisement, and when the client's cable carried it."""

    def __init__(self, at, frame):
        self.at, self.frame = at, frame
        self.mac = frame[6:12].hex(":")
        four = frame[12:14] == b"\x08\x00"
        self.source = str(ipaddress.ip_address(frame[26:30] if four else frame[22:38]))
        carp = frame[14 + (frame[14] & 15) * 4:] if four else frame[54:]
        self.first, self.vhid, self.advskew, _, _, self.advbase = carp[:6]
        self.counter = struct.unpack(">Q", carp[8:16])[0]

    def __repr__(self):
        return f"{self.source} vhid {self.vhid} advbase {self.advbase} advskew {self.advskew} at {self.at:.3f}"


class Ucarp:
    """Debian's ucarp on a host."""

    def __init__(self, net, host, advskew, preempt, password):
        self.net, self.host = net, host
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ucarp-{host}-", dir=net.directory))
        self.file, self.log = directory / "states", directory / "log"
        for verb, word in [("add", "up"), ("del", "down")]:
            (directory / word).write_text(SCRIPT.format(verb=verb, word=word, file=self.file))
            (directory / word).chmod(0o700)
        words = ["ucarp", "-i", "eth0", "-s", HOSTS[host], "-v", VHID, "-p", password, "-a", VIP, "-b", 1, "-k",
                 advskew, "-u", directory / "up", "-d", directory / "down", "-z"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", net.prefix + host, *map(str, words + ["-P"] * preempt)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=die_with_parent)
        net.processes.append(self.process)
        net.ucarps.append(self)
        until(f"ucarp on {host} begins", lambda: self.states() or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failed(f"ucarp on {host} ended: {self.log.read_text()}")

    def states(self):
        """Up and down, as its scripts were called; it begins with down."""
        return self.file.read_text().split() if self.file.exists() else []

    def is_up(self):
        return self.states()[-1:] == ["up"]

    def kill(self):
        """It is gone, and with it the machine's address."""
        moment = time.time()
        self.process.kill()
        self.process.wait()
        run("ip", "-n", self.net.prefix + self.host, "addr", "del", f"{VIP}/24", "dev", "eth0", check=False)
        return moment

    def pause(self):
        moment = time.time()
        os.kill(self.process.pid, signal.SIGSTOP)
        return moment

    def resume(self):
        moment = time.time()
        os.kill(self.process.pid, signal.SIGCONT)
        return moment


class Segment(Network):
    """The LAN. What runs on it is each case's own affair."""

    def __enter__(self):
        remove_leftovers(self.prefix)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=self.prefix))
        self.ucarps = []
        self.control = self.directory / "control"
        try:
            switch = f"{self.prefix}sw-lan"
            for name in [switch, *(self.prefix + host for host in HOSTS)]:
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", switch, "link", "set", "br0", "up")
            for host, address in HOSTS.items():
                run("ip", "link", "add", host, "netns", switch, "type", "veth", "peer", "name", "eth0", "netns",
                    self.prefix + host)
                run("ip", "-n", switch, "link", "set", host, "master", "br0", "up")
                run("ip", "-n", self.prefix + host, "link", "set", "eth0", "up")
                run("ip", "-n", self.prefix + host, "addr", "add", f"{address}/24", "dev", "eth0")
            self.address_by_hand("cli", CLI6, None)
            self.capture = self.directory / "segment.pcap"
            self.start("cli", "tcpdump", "-i", "eth0", "-s", "0", "-U", "--immediate-mode", "-w", self.capture,
                       f"ip proto {CARP} or ip6 proto {CARP} or arp or icmp6")
            until("tcpdump is ready", lambda: self.capture.exists() and self.capture.stat().st_size >= 24)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *details):
        # One that is stopped goes on, so that it can end.
        if self.koi and self.koi.poll() is None:
            self.signal_koi(signal.SIGCONT)
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
        super().__exit__(*details)

    # Koi.

    def start_koi(self, advskew=0, preempt=True, password=PASSWORD, vips=(f"{VIP}/24",), second=False):
        """Starts Koi, the first time or again; with a second link, or without."""
        self.revision += 1
        document = DOCUMENT.format(
            revision=self.revision, netns=f"{self.prefix}sw-lan", address=KOI_ADDRESS, address6=KOI_ADDRESS6,
            vhid=VHID, vips=json.dumps(vips), password=password, advskew=advskew, preempt=json.dumps(preempt))
        if second:
            port = SECOND_PORT.format(netns=f"{self.prefix}sw-lan")
            document = document.replace('[[node.interface]]\nname = "lan"', port, 1) + SECOND
        (self.directory / "koi.toml").write_text(document)
        with open(self.directory / "log", "a") as log:
            self.koi = subprocess.Popen(
                [KOI, "run", "--config", self.directory / "koi.toml", "--state", self.directory / "state", "--control",
                 self.control], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.processes.append(self.koi)
        until("koi answers", lambda: self.koi_answers() or self.koi.poll() is not None)
        if self.koi.poll() is not None:
            raise Failed("koi ended: " + (self.directory / "log").read_text())
        run("ip", "-n", f"{self.prefix}sw-lan", "link", "set", "koi-lan", "master", "br0", "up")
        if second:
            self.second_link(True)

    def second_link(self, up):
        """The cable of Koi's second link is put in, or pulled out."""
        moment = time.time()
        run("ip", "-n", f"{self.prefix}sw-lan", "link", "set", "koi-dmz", "up" if up else "down")
        return moment

    def koi_processes(self):
        """The parent and the router."""
        children = pathlib.Path(f"/proc/{self.koi.pid}/task/{self.koi.pid}/children").read_text()
        return [self.koi.pid, *map(int, children.split())]

    def signal_koi(self, number):
        moment = time.time()
        for pid in self.koi_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return moment

    def kill_koi(self):
        # Both at one moment: a router whose parent dies takes leave.
        moment = self.signal_koi(signal.SIGSTOP)
        self.signal_koi(signal.SIGKILL)
        self.koi.wait(10)
        self.koi = None
        return moment

    def end_koi(self):
        """As an operator ends it."""
        moment = time.time()
        self.koi.terminate()
        self.koi.wait(10)
        self.koi = None
        return moment

    def koi_log(self):
        return (self.directory / "log").read_text(errors="replace")

    def koi_says(self):
        """What it tells an operator: its log, and the pair's page."""
        return self.koi_log() + run(KOI, "show", "pair", "--json", "--control", self.control, check=False)

    def story(self):
        """What everybody has to say, for a case that failed."""
        lines = [f"ucarp on {u.host}: {line}" for u in self.ucarps for line in u.log.read_text().splitlines()[-8:]]
        if (self.directory / "log").exists():
            lines += self.koi_log().splitlines()[-15:]
        return "".join(f"    {line}\n" for line in [*lines, *map(str, self.adverts()[-10:])])

    # ucarp and the wire.

    def start_ucarp(self, host="peer", advskew=0, preempt=False, password=PASSWORD):
        return Ucarp(self, host, advskew, preempt, password)

    def frames(self, since=0.0):
        """What the client's cable carried, and when."""
        pcap, at = self.capture.read_bytes(), 24
        while at + 16 <= len(pcap):
            seconds, micros, length, _ = struct.unpack("<IIII", pcap[at:at + 16])
            frame = pcap[at + 16:at + 16 + length]
            at += 16 + length
            if len(frame) == length and seconds + micros / 1e6 >= since:
                yield seconds + micros / 1e6, frame

    def adverts(self, source=None, since=0.0):
        """What was advertised, in order."""
        def is_advert(frame):
            protocol = {b"\x08\x00": frame[23:24], b"\x86\xdd": frame[20:21]}.get(frame[12:14])
            return len(frame) >= 70 and protocol == bytes([CARP])
        found = [Advert(at, frame) for at, frame in self.frames(since) if is_advert(frame)]
        return [advert for advert in found if source in (None, advert.source)]

    def claimants(self, since):
        """The MACs that said by ARP that they have the address."""
        address = ipaddress.ip_address(VIP).packed
        return {frame[22:28].hex(":") for _, frame in self.frames(since)
                if frame[12:14] == b"\x08\x06" and frame[28:32] == address}

    def takes_over(self, who, since, seconds=10):
        """When one begins to advertise."""
        until(f"{who} takes over", lambda: self.adverts(who, since), seconds)
        return self.adverts(who, since)[0].at

    def settles(self, who, seconds=12):
        """Waits until one alone advertises."""
        until(f"{who} alone advertises", lambda: [a.source for a in self.adverts()[-3:]] == [who] * 3, seconds)

    def stays(self, who, count=3):
        """One alone goes on advertising."""
        since = time.time()
        until(f"{who} goes on", lambda: len(self.adverts(who, since)) >= count, count * 2 + 3)
        others = [advert for advert in self.adverts(since=since) if advert.source != who]
        if others:
            raise Failed(f"beside {who}: {others}")

    def answered_by(self, mac, address=VIP):
        """The client reaches the address, and it is this MAC that answers for it."""
        neighbours = ["ip", "-n", self.prefix + "cli", "neigh"]
        def asked():
            run(*neighbours, "flush", "dev", "eth0")
            return self.pings("cli", address) and f" {mac} " in run(*neighbours, "show", address)
        until(f"{mac} answers for {address}", asked, 5)

    def mac(self, host):
        return self.inside(host, "cat", "/sys/class/net/eth0/address").strip()

    def speak(self, *adverts):
        """Somebody else says what was captured."""
        self.inside("other", "python3", "-c", SPEAK, *(advert.frame.hex() for advert in adverts))
