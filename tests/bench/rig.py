"""Two networks side by side, LAN host - router - WAN host: one has Koi as its router, the other the kernel.

Koi's ports are TAPs inside the hosts' namespaces; the kernel's are veth pairs into a namespace of its own. Both
routers have the same addresses and the same policy. Everything is named koi-bench-* and goes away at the end, also
what a run that was killed has left.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PREFIX = "koi-bench-"
LAN, WAN = "192.168.1.10", "203.0.113.1"
#: The WAN host answers for all of them.
ELSEWHERE = "198.18.0.0"
BACKGROUND = 10_000


class Failed(Exception):
    """It cannot be measured."""


def run(*words, timeout=120, input=None):
    """Runs a command to its end and returns what it printed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, input=input)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: exit {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def until(what, condition, seconds=15):
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def build():
    """Builds Koi and the generator; returns both paths."""
    print("building", file=sys.stderr, flush=True)
    say = subprocess.run(
        ["cargo", "build", "--release", "--locked", "--bin", "koi", "--message-format=json-render-diagnostics"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    say += subprocess.run(
        ["cargo", "bench", "--locked", "--no-run", "--bench", "generator", "--message-format=json-render-diagnostics"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    made = {}
    for line in say.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            made[message["target"]["name"]] = message["executable"]
    return made["koi"], made["generator"]


def take_turn():
    """Waits until no other bench runs on this machine; the turn ends with the process."""
    lock = open("/run/koi-bench.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another bench runs on this machine; waiting for its end", file=sys.stderr, flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def names():
    listed = run("ip", "netns", "list").split()
    return [name for name in listed if name.startswith(PREFIX)]


def remove_leftovers():
    for name in names():
        for pid in run("ip", "netns", "pids", name).split():
            with contextlib.suppress(OSError):
                os.kill(int(pid), 9)
        run("ip", "netns", "del", name)


class Network:
    """A router between a LAN host and a WAN host."""

    def __init__(self, name, generator):
        self.name, self.generator = name, generator
        self.processes = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="koi-bench-"))

    def ns(self, host):
        return f"{PREFIX}{self.name}-{host}"

    def words(self, host, *words):
        return ["ip", "netns", "exec", self.ns(host), *map(str, words)]

    def inside(self, host, *words, **options):
        return run(*self.words(host, *words), **options)

    def start(self, host, *words, **options):
        """Starts a process inside a host; it ends with the network."""
        process = subprocess.Popen(self.words(host, *words), stdin=subprocess.DEVNULL,
                                   **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def open(self):
        for host in ["lan", "wan"]:
            run("ip", "netns", "add", self.ns(host))
            run("ip", "-n", self.ns(host), "link", "set", "lo", "up")
        self.connect()
        for host, address in [("lan", f"{LAN}/16"), ("wan", f"{WAN}/24")]:
            run("ip", "-n", self.ns(host), "link", "set", "eth0", "up")
            run("ip", "-n", self.ns(host), "addr", "add", address, "dev", "eth0")
        self.route()
        run("ip", "-n", self.ns("wan"), "route", "add", "local", f"{ELSEWHERE}/16", "dev", "lo")
        self.start("wan", "iperf3", "-s")
        for service, port in [("sink", 10), ("echo", 7)]:
            process = self.start("wan", self.generator, service, "--port", port, stdout=subprocess.PIPE, text=True)
            if process.stdout.readline() != "ready\n":
                raise Failed(f"{service} does not start")
        until("iperf3 listens", lambda: ":5201 " in self.inside("wan", "ss", "-lnt"))
        ping = self.words("lan", "ping", "-c", "1", "-W", "1", WAN)
        until(f"{self.name}: the LAN host reaches the WAN host",
              lambda: subprocess.run(ping, capture_output=True).returncode == 0)

    def route(self):
        run("ip", "-n", self.ns("lan"), "route", "add", "default", "via", "192.168.0.1")

    def close(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def background(self):
        """Fills the table with flows that live on while something else is measured."""
        self.send(port=10, flows=BACKGROUND, count=BACKGROUND, rate=200_000, destinations=256, sources=100,
                  first="192.168.200.0", to=ELSEWHERE)

    def send(self, first=LAN, to=WAN, **options):
        more = [word for key, value in options.items() for word in (f"--{key}", value)]
        return json.loads(self.inside("lan", self.generator, "send", "--from", first, "--to", to, *more))

    def deliver(self, tag, **options):
        """Sends, and returns what was offered and what arrived."""
        receiver = subprocess.Popen(self.words("wan", self.generator, "receive", "--port", 9, "--tag", tag),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if receiver.stdout.readline() != "ready\n":
                raise Failed("the receiver does not start")
            sent = self.send(port=9, tag=tag, **options)
            got, _ = receiver.communicate("", timeout=60)
        finally:
            receiver.kill()
            receiver.wait()
        return {**json.loads(got), "sent": sent["sent"]}


class Direct(Network):
    """No router at all: what the hosts themselves cost."""

    def __init__(self, generator):
        super().__init__("direct", generator)

    def connect(self):
        run("ip", "-n", self.ns("lan"), "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns",
            self.ns("wan"))

    def route(self):
        run("ip", "-n", self.ns("lan"), "route", "add", "203.0.113.0/24", "dev", "eth0")
        run("ip", "-n", self.ns("wan"), "route", "add", "192.168.0.0/16", "dev", "eth0")


class Kernel(Network):
    """Linux with nftables as the router."""

    def __init__(self, generator):
        super().__init__("kernel", generator)

    def connect(self):
        router = self.ns("router")
        run("ip", "netns", "add", router)
        for host, address in [("lan", "192.168.0.1/16"), ("wan", "203.0.113.2/24")]:
            run("ip", "-n", router, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns",
                self.ns(host))
            run("ip", "-n", router, "link", "set", host, "up")
            run("ip", "-n", router, "addr", "add", address, "dev", host)
        run("ip", "-n", router, "route", "add", "default", "via", WAN)
        run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        run("ip", "netns", "exec", router, "nft", "-f", HERE / "bench.nft")

    def forget(self):
        self.inside("router", sys.executable, __file__, "forget")

    def states(self):
        return int(self.inside("router", "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


class Koi(Network):
    """Koi as the router."""

    def __init__(self, koi, generator):
        super().__init__("koi", generator)
        self.koi = koi

    def connect(self):
        self.control, log = self.directory / "control", self.directory / "log"
        with open(log, "w") as file:
            self.processes.append(subprocess.Popen(
                [self.koi, "run", "--config", HERE / "bench.toml", "--state", self.directory / "state", "--control",
                 self.control], stdin=subprocess.DEVNULL, stdout=file, stderr=file))
        process = self.processes[-1]
        until("Koi answers", lambda: process.poll() is not None or self.answers())
        if process.poll() is not None:
            raise Failed(f"Koi ended: {log.read_text()}")

    def answers(self):
        words = [self.koi, "show", "status", "--control", self.control]
        return subprocess.run(words, capture_output=True).returncode == 0

    def forget(self):
        run(self.koi, "flows", "kill", "--all", "--control", self.control)

    def states(self):
        return json.loads(run(self.koi, "show", "status", "--json", "--control", self.control))["states"]["current"]


def forget_connections():
    """Empties the connection table of this network namespace: IPCTNL_MSG_CT_DELETE without a tuple."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    request, acknowledge, ctnetlink, delete = 1, 4, 1, 2
    header = struct.pack("=IHHII", 20, ctnetlink << 8 | delete, request | acknowledge, 1, 0)
    netlink.send(header + struct.pack("=BBH", 0, 0, 0))
    error = struct.unpack("=i", netlink.recv(4096)[16:20])[0]
    if error:
        raise OSError(-error, os.strerror(-error))


if __name__ == "__main__" and sys.argv[1:] == ["forget"]:
    forget_connections()
