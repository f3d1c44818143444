"""The story's network for machines: a bridge for each of WAN, LAN, DMZ and sync, hosts on the first three, and a TAP for
each card of a machine.

The bridges and the machines are in one network namespace, each host has its own: srv (upstream gateway and server), cli
(LAN), www (DMZ). Everything made here is named koi-vm-* and removed at the end, also what an earlier run has left.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "target/vm-images"
PREFIX = "koi-vm-"
SWITCH = f"{PREFIX}sw"
NETWORKS = ["wan", "lan", "dmz", "sync"]
#: Host by network, with its addresses and its gateway.
HOSTS = {"wan": ("srv", "203.0.113.1", None), "lan": ("cli", "192.168.1.10", "192.168.1.1"),
         "dmz": ("www", "10.20.0.10", "10.20.0.1")}
SERVER, CLIENT, ROUTER_LAN, ROUTER_WAN = "203.0.113.1", "192.168.1.10", "192.168.1.1", "203.0.113.2"
LIBC = ctypes.CDLL(None)
#: How much longer everything may take on a machine that is busy with other things. Gaps are not forgiven.
PATIENCE = float(os.environ.get("KOI_VM_PATIENCE", "1"))


class Failed(Exception):
    """A case does not hold."""


def expect(condition, why):
    if not condition:
        raise Failed(why)


def run(*words, check=True, timeout=120, input=None):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, input=input)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stdout[-900:]}{done.stderr[-900:]}")
    return done.stdout if check else done.stdout + done.stderr


def until(what, condition, seconds=30):
    """Waits until the condition holds; how long that took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() > begin + seconds * PATIENCE:
            raise Failed(f"not within {seconds * PATIENCE:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - begin


def die_with_parent():
    """A started process ends when this one does, however that comes about."""
    LIBC.prctl(1, signal.SIGKILL)


def take_turn():
    """Waits until no other run of these cases uses the names of this machine; the turn ends with the file."""
    lock = open("/run/koi-vm.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("other tests with machines run here; waiting for their end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def remove_leftovers():
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(PREFIX):
            for pid in run("ip", "netns", "pids", name, check=False).split():
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", name, check=False)
    for directory in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        shutil.rmtree(directory, ignore_errors=True)


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
