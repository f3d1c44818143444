"""The story's network for machines: a bridge for each of WAN, LAN, DMZ and sync, hosts on the first three, and a TAP for
each card of a machine.

The bridges and the machines are in one network namespace, each host has its own: srv (upstream gateway and server), cli
(LAN), www (DMZ). Everything made here is named koi-vm-* and removed at the end, also what an earlier run has left.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/lib"))
import ground  # noqa: E402
from ground import Failed, die_with_parent, run  # noqa: E402

IMAGES = ROOT / "target/vm-images"
PREFIX = "koi-vm-"
SWITCH = f"{PREFIX}sw"
NETWORKS = ["wan", "lan", "dmz", "sync"]
#: Host by network, with its addresses and its gateway.
HOSTS = {"wan": ("srv", "203.0.113.1", None), "lan": ("cli", "192.168.1.10", "192.168.1.1"),
         "dmz": ("www", "10.20.0.10", "10.20.0.1")}
SERVER, CLIENT, ROUTER_LAN, ROUTER_WAN = "203.0.113.1", "192.168.1.10", "192.168.1.1", "203.0.113.2"
#: How much longer everything may take on a machine that is busy with other things. Gaps are not forgiven.
PATIENCE = float(os.environ.get("KOI_VM_PATIENCE", "1"))


def expect(condition, why):
    if not condition:
        raise Failed(why)


def until(what, condition, seconds=30):
    """Waits until the condition holds; how long that took."""
    return ground.until(what, condition, seconds * PATIENCE, pause=0.05)


def take_turn():
    """Waits until no other run of these cases uses the names of this machine; the turn ends with the file."""
    return ground.take_turn("koi-vm", "other tests with machines")


def remove_leftovers():
    ground.remove_leftovers(PREFIX)


class Network:
    """Bridges and hosts; machines are plugged in by `cards`."""

    def __enter__(self):
        remove_leftovers()
        self.processes, self.machines = [], []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            for name in [SWITCH, *(f"{PREFIX}{host}" for host, _, _ in HOSTS.values())]:
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            # Where the kernel has this built in, frames on a bridge pass its packet filter.
            run("ip", "netns", "exec", SWITCH, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", check=False)
            for network in NETWORKS:
                run("ip", "-n", SWITCH, "link", "add", f"br-{network}", "type", "bridge", "mcast_snooping", "0")
                run("ip", "-n", SWITCH, "link", "set", f"br-{network}", "up")
            for network, (host, address, gateway) in HOSTS.items():
                self.plug_host(network, PREFIX + host, address, gateway)
            # Both gateways of the documents answer.
            run("ip", "-n", f"{PREFIX}srv", "addr", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def plug_host(self, network, name, address, gateway):
        run("ip", "link", "add", f"host-{network}", "netns", SWITCH, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "-n", SWITCH, "link", "set", f"host-{network}", "master", f"br-{network}", "up")
        run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        if gateway:
            run("ip", "-n", name, "route", "add", "default", "via", gateway)

    def __exit__(self, *_):
        for machine in self.machines:
            machine.pull_the_plug()
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        remove_leftovers()
        shutil.rmtree(self.directory, ignore_errors=True)

    def cards(self, letter):
        """Makes the TAPs of a machine, on their bridges; their names."""
        names = []
        for network in NETWORKS:
            name = f"tap-{network}-{letter}"
            run("ip", "-n", SWITCH, "link", "del", name, check=False)
            run("ip", "-n", SWITCH, "tuntap", "add", name, "mode", "tap")
            run("ip", "-n", SWITCH, "link", "set", name, "master", f"br-{network}", "up")
            names.append(name)
        return names

    def filter_virtual_macs(self, letter):
        """The switch takes no frames from virtual MAC addresses of this machine, like a port group that forbids forged ones."""
        cards = ", ".join(f"tap-{network}-{letter}" for network in NETWORKS)
        rules = "table bridge koi { chain filter { type filter hook forward priority 0; " \
                f"iifname {{ {cards} }} ether saddr & ff:ff:ff:ff:00:00 == 00:00:5e:00:00:00 counter drop; }}; }}"
        run("ip", "netns", "exec", SWITCH, "nft", rules)

    def filter_nothing(self):
        """As it was; how many frames it has not taken."""
        rules = run("ip", "netns", "exec", SWITCH, "nft", "list", "table", "bridge", "koi")
        run("ip", "netns", "exec", SWITCH, "nft", "delete", "table", "bridge", "koi")
        return int(re.search(r"packets (\d+)", rules)[1])

    def inside(self, host, *words, **options):
        """Runs a command inside a host."""
        return run("ip", "netns", "exec", PREFIX + host, *words, **options)

    def start(self, host, *words, **options):
        """Starts a process inside a host; it ends with the network."""
        usual = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(["ip", "netns", "exec", PREFIX + host, *map(str, words)],
                                   preexec_fn=die_with_parent, **{**usual, **options})
        self.processes.append(process)
        return process

    def pings(self, host, to, seconds="1"):
        done = subprocess.run(["ip", "netns", "exec", PREFIX + host, "ping", "-c", "1", "-W", seconds, to], capture_output=True)
        return done.returncode == 0

    def answers(self, machine, to=ROUTER_LAN, seconds=60):
        """Waits until the machine answers a host on LAN; seconds since its power was switched on."""
        def answered():
            expect(machine.runs(), f"{machine.name} has ended: {machine.story()}")
            return self.pings("cli", to, "0.3")
        until(f"{machine.name} answers at {to}: {machine.story()}", answered, seconds)
        return time.monotonic() - machine.begin

    def listens(self, host, port):
        """Waits until something listens on the port."""
        until(f"{host} listens on {port}", lambda: re.search(rf":{port}\s", self.inside(host, "ss", "-lnt")))
