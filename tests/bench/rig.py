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
        self.policy = None

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

    def use(self, policy):
        """Puts a policy in force, unless it is; returns the seconds that it took."""
        if policy == self.policy:
            return 0.0
        begin = time.monotonic()
        self.load(policy)
        self.policy = policy
        return time.monotonic() - begin

    def load(self, policy):
        raise NotImplementedError

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
        for _ in range(5):
            self.send(port=10, flows=BACKGROUND, count=BACKGROUND, rate=100_000, destinations=256, sources=100,
                      first="192.168.200.0", to=ELSEWHERE)
            known = self.states()
            if known >= BACKGROUND:
                return
        raise Failed(f"{self.name}: {known} states in the background instead of {BACKGROUND}")

    def send(self, first=LAN, to=WAN, **options):
        more = [word for key, value in options.items() for word in (f"--{key}", value)]
        return json.loads(self.inside("lan", self.generator, "send", "--from", first, "--to", to, *more))

    @contextlib.contextmanager
    def delivering(self, tag, **options):
        """Sends while something else is done; the dictionary is filled when that has ended."""
        got = {}
        receiver = subprocess.Popen(self.words("wan", self.generator, "receive", "--port", 9, "--tag", tag),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        sender = None
        try:
            if receiver.stdout.readline() != "ready\n":
                raise Failed("the receiver does not start")
            sender = subprocess.Popen(self.words("lan", self.generator, "send", "--from", LAN, "--to", WAN, "--port", 9,
                                                 "--tag", tag, *words), stdout=subprocess.PIPE, text=True)
            yield got
            sent, _ = sender.communicate(timeout=120)
            told, _ = receiver.communicate("", timeout=60)
            got.update(json.loads(told), sent=json.loads(sent)["sent"])
        finally:
            for process in [receiver, sender]:
                if process is not None:
                    process.kill()
                    process.wait()

    def flood(self, sources, milliseconds):
        """SYNs from outside to the server on LAN, each source as often as the others."""
        return json.loads(self.inside("wan", self.generator, "send", "--from", "20.0.0.0", "--to", "203.0.113.2", "--port", 80,
                                      "--syn", 1, "--sources", sources, "--milliseconds", milliseconds))

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


class Policy:
    """What is asked before the rule that lets LAN out: rules that match nothing of the bench's traffic, or one rule with an
    alias of so many networks, of which the bench's destinations are in the last ones. `forward`: a server on LAN is reached
    from outside."""

    def __init__(self, rules=0, alias=0, forward=False, salt=0):
        self.key = (rules, alias, forward, salt)
        self.rules, self.alias, self.forward, self.salt = self.key

    def __eq__(self, other):
        return other is not None and self.key == other.key

    def __hash__(self):
        return hash(self.key)

    def networks(self):
        """Of the alias: /32 and /24 outside of what the bench uses, then what it does."""
        for index in range(self.alias - 1):
            yield f"20.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"
        yield f"{ELSEWHERE}/15"

    def document(self, base):
        head, _, last = base.partition("[[rule]]")
        parts = [head]
        # One more is the document's own.
        for index in range(self.rules - 1):
            parts.append(
                f'[[rule]]\nid = {1_100_000 + index}\ninterface = "lan"\naction = "pass"\nprotocol = "udp"\n'
                f'source = "192.168.{index >> 8 & 127}.{index & 255}"\n'
                f'destination = "21.{index >> 8 & 255}.{index & 255}.{self.salt}"\ndestination_port = "{1 + index}"\n')
        if self.alias:
            members = ", ".join(f'"{network}"' for network in self.networks())
            parts.append(f'[[alias]]\nname = "many"\ntype = "network"\nentries = [{members}]\n')
            last = last.replace('action = "pass"', 'action = "pass"\ndestination = "many"', 1)
        if self.forward:
            parts.append(
                '[[port_forward]]\nid = 1000005\ninterface = "wan"\nprotocol = "tcp"\ndestination = "wan address"\n'
                f'destination_port = "80"\ntarget = "{LAN}"\nassociation = "pass"\n')
        text = "".join(parts) + "[[rule]]" + last
        if self.forward:
            text = text.replace("[system]", '[system]\nsyncookies = "adaptive"', 1)
        return text

    def tables(self, base):
        """The same for nftables, rule by rule."""
        rules = "".join(
            f"\t\tiifname lan ip saddr 192.168.{index >> 8 & 127}.{index & 255} ip daddr 21.{index >> 8 & 255}."
            f"{index & 255}.{self.salt} udp dport {1 + index} accept\n" for index in range(self.rules - 1))
        text = base
        let_out = '\t\tiifname "lan" ip saddr 192.168.0.0/16 accept\n'
        at = text.rindex(let_out)
        line = let_out
        if self.alias:
            line = let_out.replace(" accept", " ip daddr @many accept")
            members = ", ".join(self.networks())
            table = "table inet koi_bench {\n"
            declared = f"{table}\tset many {{ type ipv4_addr; flags interval; elements = {{ {members} }} }}\n"
            text, at = text.replace(table, declared, 1), at + len(declared) - len(table)
        if self.forward:
            line += f'\t\tiifname "wan" ip daddr {LAN} tcp dport 80 accept\n'
        text = text[:at] + rules + line + text[at + len(let_out):]
        if self.forward:
            chain = ("\tchain inward {\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
                     f'\t\tiifname "wan" ip daddr 203.0.113.2 tcp dport 80 dnat to {LAN}\n\t}}\n')
            text = text.replace("table ip koi_bench_nat {\n", "table ip koi_bench_nat {\n" + chain, 1)
        return "flush ruleset\n" + text


class Direct(Network):
    """No router at all: what the hosts themselves cost."""

    def load(self, policy):
        pass

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

    def load(self, policy):
        tables = self.directory / "nft"
        tables.write_text(policy.tables((HERE / "bench.nft").read_text()))
        run("ip", "netns", "exec", self.ns("router"), "nft", "-f", tables, timeout=600)

    def forget(self):
        self.inside("router", sys.executable, __file__, "forget")

    def states(self):
        return int(self.inside("router", "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


class Wire(Network):
    """Two of Koi's ports without a router. Each host takes the other's MAC address for the router's."""

    def __init__(self, generator):
        super().__init__("wire", generator)

    def connect(self):
        self.processes.append(subprocess.Popen(
            [self.generator, "wire", "--lan", self.ns("lan"), "--wan", self.ns("wan")], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True))
        if self.processes[-1].stdout.readline() != "ready\n":
            raise Failed("the wire does not start")

    def route(self):
        super().route()
        run("ip", "-n", self.ns("wan"), "route", "add", "192.168.0.0/16", "via", "203.0.113.2")
        for host, other, router in [("lan", "wan", "192.168.0.1"), ("wan", "lan", "203.0.113.2")]:
            [link] = json.loads(run("ip", "-n", self.ns(other), "-j", "link", "show", "eth0"))
            run("ip", "-n", self.ns(host), "neigh", "replace", router, "lladdr", link["address"], "dev", "eth0",
                "nud", "permanent")

    def load(self, policy):
        """It has none."""

    def background(self):
        """It knows no flows."""


class Koi(Network):
    """Koi as the router."""

    def __init__(self, koi, generator):
        super().__init__("koi", generator)
        self.koi = koi

    def connect(self):
        self.control, log = self.directory / "control", self.directory / "log"
        self.document = self.directory / "koi.toml"
        shutil.copy(HERE / "bench.toml", self.document)
        self.document.chmod(0o600)
        self.prepare()
        with open(log, "w") as file:
            self.processes.append(subprocess.Popen(
                [self.koi, "run", "--config", self.document, "--state", self.directory / "state", "--control",
                 self.control], stdin=subprocess.DEVNULL, stdout=file, stderr=file))
        process = self.processes[-1]
        until("Koi answers", lambda: process.poll() is not None or self.answers())
        if process.poll() is not None:
            raise Failed(f"Koi ended: {log.read_text()}")

    def prepare(self):
        """Changes the document before the start."""

    def answers(self):
        words = [self.koi, "show", "status", "--control", self.control]
        return subprocess.run(words, capture_output=True).returncode == 0

    def load(self, policy):
        self.revision = getattr(self, "revision", 1) + 1
        text = policy.document((HERE / "bench.toml").read_text())
        self.document.write_text(text.replace("revision = 1", f"revision = {self.revision}", 1))
        run(self.koi, "reload", "--control", self.control, timeout=600)

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
