"""The story's network in network namespaces, with Koi or the kernel as the router.

Hosts: srv (upstream gateway and server on the outside), cli (LAN), www (DMZ). Everything made here is named
koi-ns-* and removed at the end, also what an earlier run that died has left.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/lib"))
import ground  # noqa: E402
from ground import LIBC, Failed, die_with_parent, packets, run, until, whole_packets  # noqa: E402

#: The program that is tested: KOI_BINARY, or what `cargo build --release` made.
KOI = pathlib.Path(os.environ.get("KOI_BINARY") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/koi")
KOI = KOI.absolute()
PREFIX = "koi-ns-"
SIDES = {"wan": "srv", "lan": "cli", "dmz": "www"}
SRV4, SRV6 = "203.0.113.1", "2001:db8:1::1"
CLI4, CLI6 = "192.168.1.10", "2001:db8:10::10"
WWW4, WWW6 = "10.20.0.10", "2001:db8:20::10"
ROUTER_WAN4, ROUTER_LAN4 = "203.0.113.2", "192.168.1.1"
ROUTER_WAN6, ROUTER_LAN6 = "2001:db8:1::2", "2001:db8:10::1"


def refuse_io_uring():
    """The kernel refuses io_uring to this process and those that it starts, as in most containers (seccomp)."""
    code = lambda op, jt, jf, k: struct.pack("<HBBI", op, jt, jf, k)
    # Load the number of the call; io_uring_setup is answered EPERM, the rest is allowed.
    words = [code(0x20, 0, 0, 0), code(0x15, 0, 1, 425), code(0x06, 0, 0, 0x00050000 | 1), code(0x06, 0, 0, 0x7FFF0000)]
    filters = ctypes.create_string_buffer(b"".join(words), 8 * len(words))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(words), ctypes.addressof(filters)), 16)
    if LIBC.prctl(38, 1, 0, 0, 0) or LIBC.prctl(22, 2, program):
        raise OSError("seccomp")


def take_turn():
    """Waits until no other run of these cases uses the names of this machine; the turn ends with the file."""
    return ground.take_turn("koi-ns", "other namespace tests")


def remove_leftovers(prefix=PREFIX):
    ground.remove_leftovers(prefix)


class Network:
    """One router between three hosts. `drivers` names the port driver by side; `mtu` the WAN's MTU; with `refused` the
    kernel refuses io_uring to the router."""

    #: What the names of its namespaces begin with.
    prefix = PREFIX

    def __init__(self, router, drivers=None, mtu=1500, refused=False):
        self.router, self.drivers, self.mtu, self.refused = router, drivers or {}, mtu, refused
        self.processes = []
        self.koi = None
        self.iperf_port = 5300
        self.revision = 10

    def __enter__(self):
        remove_leftovers(self.prefix)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=self.prefix))
        try:
            for name in [*SIDES.values(), *(f"sw-{side}" for side in SIDES)]:
                run("ip", "netns", "add", self.prefix + name)
                run("ip", "-n", self.prefix + name, "link", "set", "lo", "up")
            for side, host in SIDES.items():
                switch = f"{self.prefix}sw-{side}"
                run("ip", "-n", switch, "link", "add", "br0", "type", "bridge")
                run("ip", "-n", switch, "link", "set", "br0", "up")
                run("ip", "link", "add", "host", "netns", switch, "type", "veth", "peer", "name", "eth0", "netns",
                    self.prefix + host)
                run("ip", "-n", switch, "link", "set", "host", "master", "br0", "up")
                run("ip", "-n", self.prefix + host, "link", "set", "eth0", "up")
                if side == "wan":
                    run("ip", "-n", self.prefix + host, "link", "set", "eth0", "mtu", self.mtu)
            if self.router == "koi":
                self.start_koi()
            else:
                self.start_kernel()
            self.address_hosts()
            self.greet()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        remove_leftovers(self.prefix)
        shutil.rmtree(self.directory, ignore_errors=True)

    def greet(self):
        """Waits until the network works."""
        until("the client reaches the server", lambda: self.pings("cli", SRV4))
        until("the client reaches the server by IPv6", lambda: self.pings("cli", SRV6))

    def config_file(self):
        """Where the document lies."""
        return self.directory / "koi.toml"

    def single(self):
        """The document of one router."""
        text = (ROOT / "tests/lab/one.toml").read_text()
        text = text.replace("koi-lab-", f"{self.prefix}sw-")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("loopback"))
        for side, driver in self.drivers.items():
            text = text.replace(f'tap = "koi-{side}"', f'tap = "koi-{side}"\ndriver = "{driver}"')
        if self.mtu != 1500:
            text = text.replace('zone = "wan"', f'zone = "wan"\nmtu = {self.mtu}')
        return text

    def first_document(self):
        """What the router starts with."""
        self.config_file().write_text(self.single())

    def start_koi(self):
        self.first_document()
        self.run_koi()

    def run_koi(self):
        """Starts the router, the first time or again, and lays its cables."""
        self.control = self.directory / "control"
        log = open(self.directory / "log", "a")
        self.koi = subprocess.Popen(
            [KOI, "run", "--config", self.config_file(), "--state", self.directory / "state", "--control",
             self.control], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.before_koi)
        self.processes.append(self.koi)
        until("koi answers", lambda: self.koi_answers() or self.koi.poll() is not None)
        if self.koi.poll() is not None:
            raise Failed("koi ended: " + (self.directory / "log").read_text())
        for side in SIDES:
            run("ip", "-n", f"{self.prefix}sw-{side}", "link", "set", f"koi-{side}", "master", "br0")
            run("ip", "-n", f"{self.prefix}sw-{side}", "link", "set", f"koi-{side}", "up")
            if side == "wan" and self.mtu != 1500:
                run("ip", "-n", f"{self.prefix}sw-wan", "link", "set", "koi-wan", "mtu", self.mtu)

    def before_koi(self):
        die_with_parent()
        if self.refused:
            refuse_io_uring()

    def koi_answers(self):
        done = subprocess.run([KOI, "show", "status", "--control", self.control], capture_output=True)
        return done.returncode == 0

    def show(self, what):
        return json.loads(run(KOI, "show", what, "--json", "--control", self.control))

    def document(self):
        """The configuration file."""
        return self.config_file().read_text()

    def reload(self, text):
        """Puts another configuration in force; its revision must not go back."""
        self.revision += 1
        text = re.sub(r"^revision = \d+", f"revision = {self.revision}", text, flags=re.M)
        self.config_file().write_text(text)
        run(KOI, "reload", "--control", self.control)

    def flows(self):
        """All flows, as rows."""
        shown = self.show("flows")
        return shown if isinstance(shown, list) else shown["flows"]

    def alive(self):
        """Nothing that a case does may end the router."""
        if self.koi and self.koi.poll() is not None:
            raise Failed(f"koi ended with {self.koi.returncode}")

    def story(self):
        """What Koi has to say, for a case that failed: the end of its log, and its counters of drops."""
        if not self.koi:
            return ""
        lines = (self.directory / "log").read_text(errors="replace").splitlines()[-15:]
        if self.koi.poll() is None:
            lines += run(KOI, "show", "drops", "--control", self.control, check=False).splitlines()[-15:]
        return "".join(f"    {line}\n" for line in lines)

    def start_kernel(self):
        router = self.prefix + "router"
        run("ip", "netns", "add", router)
        for side in SIDES:
            switch = f"{self.prefix}sw-{side}"
            run("ip", "link", "add", "router", "netns", switch, "type", "veth", "peer", "name", side, "netns", router)
            run("ip", "-n", switch, "link", "set", "router", "master", "br0", "up")
            run("ip", "-n", router, "link", "set", side, "up")
        if self.mtu != 1500:
            run("ip", "-n", router, "link", "set", "wan", "mtu", self.mtu)
        for side, four, six in [("wan", "203.0.113.2/24", "2001:db8:1::2/64"),
                                ("lan", "192.168.1.1/24", "2001:db8:10::1/64"),
                                ("dmz", "10.20.0.1/24", "2001:db8:20::1/64")]:
            run("ip", "-n", router, "addr", "add", four, "dev", side)
            run("ip", "-n", router, "addr", "add", six, "dev", side, "nodad")
        inside = self.inside
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]:
            inside("router", "sysctl", "-qw", f"{key}=1")
        inside("router", "nft", "-f", "-", input="""
            table inet koi_control {
              chain c_in {
                type filter hook input priority 0; policy drop;
                ct state established,related accept
                iifname "lan" accept
                meta l4proto icmpv6 icmpv6 type 133-136 accept
              }
              chain c_through {
                type filter hook forward priority 0; policy drop;
                ct state established,related accept
                iifname "lan" accept
                iifname "dmz" oifname "wan" accept
              }
            }
            table ip translation {
              chain c_out {
                type nat hook postrouting priority 100; policy accept;
                ip saddr { 192.168.1.0/24, 10.20.0.0/24 } oifname "wan" masquerade fully-random
              }
            }
        """)

    def address_hosts(self):
        plan = [("srv", SRV4, SRV6, None, None), ("cli", CLI4, CLI6, "192.168.1.1", "2001:db8:10::1"),
                ("www", WWW4, WWW6, "10.20.0.1", "2001:db8:20::1")]
        for host, four, six, via4, via6 in plan:
            ns = self.prefix + host
            run("ip", "-n", ns, "addr", "add", f"{four}/24", "dev", "eth0")
            self.address_by_hand(host, six, via6)
            if via4:
                run("ip", "-n", ns, "route", "add", "default", "via", via4)
        for prefix in ["2001:db8:10::/64", "2001:db8:20::/64"]:
            run("ip", "-n", self.prefix + "srv", "route", "add", prefix, "via", "2001:db8:1::2")

    def address_by_hand(self, host, six, via):
        """An IPv6 address and a default route that come from no advertisement."""
        ns = self.prefix + host
        run("ip", "-n", ns, "-6", "addr", "flush", "dev", "eth0", "scope", "global")
        run("ip", "-n", ns, "addr", "add", f"{six}/64", "dev", "eth0", "nodad")
        if via:
            run("ip", "-n", ns, "-6", "route", "replace", "default", "via", via)

    def inside(self, host, *words, **options):
        """Runs a command inside a host."""
        return run("ip", "netns", "exec", self.prefix + host, *words, **options)

    def start(self, host, *words, output=subprocess.DEVNULL):
        """Starts a process inside a host; it ends with the network."""
        process = subprocess.Popen(["ip", "netns", "exec", self.prefix + host, *map(str, words)],
                                   stdout=output, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def iperf(self, *words, to=SRV4, timeout=60):
        """One iperf3 run from the client, against a server of its own; the report."""
        self.iperf_port += 1
        self.start("srv", "iperf3", "-s", "-1", "-p", self.iperf_port)
        self.listens("srv", self.iperf_port)
        said = self.inside("cli", "iperf3", "-J", "-p", self.iperf_port, "-c", to, *words, timeout=timeout)
        return json.loads(said)["end"]

    def listens(self, host, port, kind="-lnt"):
        """Waits until something listens on the port."""
        until(f"{host} listens on {port}", lambda: f":{port} " in self.inside(host, "ss", kind))

    def pings(self, host, to, *more):
        done = subprocess.run(["ip", "netns", "exec", self.prefix + host, "ping", "-c", "1", "-W", "1", *more, to],
                              capture_output=True)
        return done.returncode == 0
