"""A single router becomes one of a pair while it works, another machine joins, and the first one loses its power."""

import hashlib
import os
import re
import signal
import subprocess
import time

from topology import KOI, PREFIX, SRV4, Failed, die_with_parent, run, until

SYNC = f"{PREFIX}sw-sync"
WAITING = f"""
schema = 1
revision = 1

[pair]
sync = "sync"
preferred = "alpha"

[[node]]
name = "beta"

[[node.port]]
name = "sync"
tap = "koi-sync-b"
netns = "{SYNC}"
"""
ALPHA = ["wan=203.0.113.3/24", "wan=2001:db8:1::3/64", "lan=192.168.1.2/24", "lan=2001:db8:10::2/64",
         "dmz=10.20.0.2/24", "dmz=2001:db8:20::2/64"]
BETA = ["wan=203.0.113.4/24", "wan=2001:db8:1::4/64", "lan=192.168.1.3/24", "lan=2001:db8:10::3/64",
        "dmz=10.20.0.3/24", "dmz=2001:db8:20::3/64"]
ECHO = """
import socket, threading
server = socket.create_server(("", 8766), backlog=8)
def echo(s):
    while data := s.recv(4096):
        s.sendall(data)
while True:
    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
"""
#: Writes a line for each answer: how many there were, and the longest wait since the last look.
SESSION = f"""
import socket, sys, time
s = socket.create_connection(("{SRV4}", 8766), timeout=60)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
count = 0
while True:
    began = time.monotonic()
    s.sendall(b"x")
    if s.recv(1) != b"x":
        sys.exit("the session has ended")
    count += 1
    print(count, time.monotonic() - began, flush=True)
    time.sleep(0.01)
"""


def expect(condition, why):
    if not condition:
        raise Failed(why)


def addresses(all):
    return [word for address in all for word in ("--address", address)]


class Session:
    """A TCP session through NAT that asks and is answered, hundreds of times a second."""

    def __init__(self, net):
        net.start("srv", "python3", "-c", ECHO)
        net.listens("srv", 8766)
        self.log = net.directory / "session"
        self.process = subprocess.Popen(["ip", "netns", "exec", PREFIX + "cli", "python3", "-c", SESSION],
                                        stdout=open(self.log, "w"), stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_parent)
        net.processes.append(self.process)
        self.goes_on()

    def answers(self):
        rows = [line.split() for line in self.log.read_text().splitlines(True) if line.endswith("\n")]
        return [float(row[1]) for row in rows if len(row) == 2 and row[0].isdigit()]

    def goes_on(self, since=0):
        """It is answered from now on; the longest wait since answer `since`."""
        before = len(self.answers())
        until("the session is answered", lambda: len(self.answers()) > before + 20, 15)
        expect(self.process.poll() is None, f"the session has ended: {self.log.read_text()[-300:]}")
        return max(self.answers()[since:])


def wrong_code(number):
    """A code without a slip, which nobody has shown."""
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    bits = bytes([number] * 16)
    check = int.from_bytes(hashlib.sha256(bits).digest()[:2]) >> 4
    value = int.from_bytes(bits) << 12 | check
    return "".join(letters[value >> 5 * place & 31] for place in reversed(range(28)))


class Creating:
    """`koi pair create`, which waits."""

    def __init__(self, net, *words):
        self.output = net.directory / f"create-{time.monotonic_ns()}"
        self.process = subprocess.Popen([KOI, "pair", "create", "--sync", f"sync=koi-sync-a@{SYNC}", "--control",
                                         net.control, *words], stdin=subprocess.DEVNULL,
                                        stdout=open(self.output, "w"), stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_parent)
        net.processes.append(self.process)

    def said(self):
        return self.output.read_text()

    def code(self):
        until("a code", lambda: "koi pair join" in self.said() or self.process.poll() is not None, 20)
        found = re.search(r"koi pair join (\S+) --sync sync .*--address lan=IPV4/24", self.said())
        expect(found, f"no code: {self.said()}")
        return found[1]

    def ends(self, code):
        expect(self.process.wait(20) == code, f"exit {self.process.returncode}: {self.said()}")
        return self.said()


def lay_cables(net):
    run("ip", "netns", "add", SYNC)
    run("ip", "-n", SYNC, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", SYNC, "link", "set", "br0", "up")
    for side, tap in [("sync", "koi-sync-a"), ("sync", "koi-sync-b"), ("wan", "koi-wan-b"), ("lan", "koi-lan-b"),
                      ("dmz", "koi-dmz-b")]:
        switch = f"{PREFIX}sw-{side}"
        run("ip", "-n", switch, "tuntap", "add", tap, "mode", "tap")
        run("ip", "-n", switch, "link", "set", tap, "master", "br0", "up")


def start_beta(net, name="beta", document=WAITING):
    directory = net.directory / name
    directory.mkdir()
    (directory / "koi.toml").write_text(document)
    return *run_beta(net, directory), directory


def run_beta(net, directory):
    """Starts it, the first time or again: then the document has two nodes."""
    control = directory / "control"
    path = directory / f"log-{time.monotonic_ns()}"
    log = open(path, "w")
    beta = subprocess.Popen([KOI, "run", "--config", directory / "koi.toml", "--state", directory / "state",
                             "--node", directory.name, "--control", control], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            preexec_fn=die_with_parent)
    net.processes.append(beta)
    answers = [KOI, "show", "status", "--control", control]
    up = lambda: subprocess.run(answers, capture_output=True).returncode == 0
    until("it answers, or has ended", lambda: up() or beta.poll() is not None, 20)
    expect(beta.poll() is None, f"a node ended with {beta.poll()}: {path.read_text()[-800:]}")
    return beta, control


def end(process):
    process.terminate()
    process.wait(20)


def koi(control, *words):
    return run(KOI, *words, "--control", control)


def log(control, *words):
    """What a router has said, or its peer's."""
    return koi(control, "show", "system-log", *words)


def is_redundant(*controls):
    return all(show(one, "pair")["redundant"] for one in controls)


def change(net, control, edit, why="a test"):
    """Makes a change on a node, as an operator with an editor would; what `koi config apply` said."""
    text = run(KOI, "config", "show", "running", "--secrets", "--control", control)
    edited = edit(text)
    expect(edited != text, "nothing is changed")
    path = net.directory / "edited.toml"
    path.write_text(edited)
    koi(control, "config", "edit", "--file", path)
    return koi(control, "config", "apply", "--no-confirm", "-m", why)


def hashes(*controls):
    return [show(one, "status")["config_hash"] for one in controls]


def rule(number):
    return f'\n[[rule]]\nid = {number}\ninterface = "dmz"\naction = "block"\nsource = "198.18.0.{number % 250}"\n'


def one_configuration(net, controls, beta, directory):
    """One node is away, or the two do not hear each other, while somebody edits: in the end both have one document."""
    end(beta)
    said = change(net, controls[0], lambda text: text + rule(5_000_001), "while beta was away")
    beta, _ = run_beta(net, directory)
    until("it is told what it has missed", lambda: len(set(hashes(*controls))) == 1, 20)
    expect("5000001" in (directory / "koi.toml").read_text(), f"the change is not on beta: {said}")
    until("redundant", lambda: is_redundant(*controls), 30)

    cable = lambda state: run("ip", "-n", SYNC, "link", "set", "koi-sync-b", state)
    cable("down")
    until("they do not speak", lambda: not show(controls[0], "pair")["session"] or
          not show(controls[0], "pair")["paths"][0]["carries"], 10)
    change(net, controls[0], lambda text: text + rule(5_000_002), "on alpha")
    change(net, controls[1], lambda text: text + rule(5_000_003), "on beta")
    expect(len(set(hashes(*controls))) == 2, "both have changed")
    cable("up")
    until("they have one document again", lambda: len(set(hashes(*controls))) == 1, 30)
    texts = [(net.directory / "koi.toml").read_text(), (directory / "koi.toml").read_text()]
    kept = [number for number in ("5000002", "5000003") if all(number in text for text in texts)]
    expect(len(kept) == 1, f"kept on both: {kept}")
    lost = {"5000002": "5000003", "5000003": "5000002"}[kept[0]]
    shown = [koi(one, "config", "conflicts").splitlines()[1:] for one in controls]
    expect(sum(map(len, shown)) == 1, f"one version has lost, and is shown: {shown}")
    holder = controls[0 if shown[0] else 1]
    number = (shown[0] or shown[1])[0].split()[0]
    expect(lost in koi(holder, "config", "show", f"conflict:{number}"), "the text of the other version is not kept")
    until("redundant", lambda: is_redundant(*controls), 30)
    return beta


def virtual_ips_change(net, controls, session):
    """A virtual IP is added, gets another number, and goes again, under traffic: nobody notices."""
    epoch = [show(one, "pair")["epoch"] for one in controls]
    heard = net.directory / "pings-of-virtual-ips"
    with open(heard, "w") as out:
        ping = net.start("cli", "ping", "-i", "0.01", SRV4, output=out)
    count, flaps = len(session.answers()), []
    vip = '\n[[virtual_ip]]\ninterface = "lan"\nvhid = {}\naddresses = ["192.168.1.77/24"]\npassword = "more"\n'
    def without(text):
        return re.sub(r'\n\[\[virtual_ip\]\](?:(?!\n\[).)*192\.168\.1\.77(?:(?!\n\[).)*', "\n", text, flags=re.S)
    for edit in [lambda text: text + vip.format(77), lambda text: without(text) + vip.format(78), without]:
        change(net, controls[0], edit)
        until("both have it", lambda: len(set(hashes(*controls))) == 1, 10)
        time.sleep(0.5)
        if edit is not without:
            expect(net.pings("cli", "192.168.1.77"), "the new address does not answer")
        flaps.append([show(one, "pair")["epoch"] for one in controls])
    expect(all(one == epoch for one in flaps), f"the role has moved: {epoch}, then {flaps}")
    until("enough pings", lambda: heard.read_text().count("icmp_seq=") > 100)
    ping.send_signal(signal.SIGINT)
    ping.wait(10)
    sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", heard.read_text()).groups())
    waited = session.goes_on(count)
    print(f"    virtual IPs: {sent - got} of {sent} pings lost, the session waited at most {waited * 1000:.0f} ms", flush=True)
    # The last one may be under way.
    expect(sent - got <= 1, f"{sent - got} of {sent} pings were lost")
    expect(waited < 0.2, f"the session waited for {waited:.3f} s")


def join(control, code, *more, letter="b", addresses_of=BETA):
    ports = [f"{side}=koi-{side}-{letter}@{PREFIX}sw-{side}" for side in ["wan", "lan", "dmz"]]
    words = [word for port in ports for word in ("--port", port)]
    return subprocess.run([KOI, "pair", "join", code, "--sync", "sync", "--control", control, *words,
                           *addresses(addresses_of), *more], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60)


def show(control, what):
    import json
    return json.loads(run(KOI, "show", what, "--json", "--control", control))


def becomes_a_pair(net):
    """The whole life: create, wrong codes, join, power off."""
    lay_cables(net)
    session = Session(net)
    net.start("cli", "ping", "-i", "0.05", SRV4)
    until("a ping flow", lambda: any(row["protocol"] == "icmp" for row in net.flows()))
    before = {row["id"] for row in net.flows() if row["protocol"] in ("icmp", "tcp")}
    document = net.document()

    # What is missing is named, and nothing changes.
    said = Creating(net, *addresses(ALPHA[1:])).ends(1)
    expect("--address wan=ADDRESS/24" in said and net.document() == document, said)

    creating = Creating(net, *addresses(ALPHA))
    code = creating.code()
    expect((net.directory / "koi.toml.before-pair").read_text() == document, "no copy of the document")
    expect(before <= {row["id"] for row in net.flows()}, "flows are gone")
    print(f"    create: the session waited at most {session.goes_on() * 1000:.0f} ms", flush=True)
    expect(net.pings("cli", SRV4), "the client has lost its gateway")

    beta, control, directory = start_beta(net)
    for number in range(1, 6):
        said = join(control, wrong_code(number))
        expect(said.returncode == 1 and "refuses: the code is wrong" in said.stderr, f"{said}")
    said = creating.ends(1)
    expect("4 tries are left" in said and "too many wrong codes" in said, said)
    said = join(control, code)
    expect(said.returncode == 1 and "refuses" in said.stderr, f"the sixth try: {said}")
    pairing = show(net.control, "pair")["pairing"]
    expect((pairing["wrong"], pairing["refused"]) == (5, 1), pairing)

    creating = Creating(net)
    said = join(control, creating.code())
    expect(said.returncode == 0 and "stands by" in said.stdout, f"{said}")
    said = creating.ends(0)
    expect("beta has joined" in said, said)
    until("redundant", lambda: all(show(one, "pair")["redundant"] for one in [net.control, control]), 20)
    roles = [show(one, "pair")["role"] for one in [net.control, control]]
    expect(roles == ["active", "standby"], roles)
    expect(net.document() == (directory / "koi.toml").read_text(), "the documents differ")
    documents = set(hashes(net.control, control))
    expect(len(documents) == 1, documents)
    print(f"    join: the session waited at most {session.goes_on() * 1000:.0f} ms", flush=True)

    # What an operator has wanted holds after a restart of all its processes.
    koi(control, "pair", "maintenance", "on")
    end(beta)
    beta, _ = run_beta(net, directory)
    until("they hear each other", lambda: show(control, "pair")["session"], 20)
    expect(show(control, "pair")["maintenance"], "maintenance is forgotten")
    koi(control, "pair", "maintenance", "off")
    until("redundant", lambda: is_redundant(net.control, control), 30)
    beta = one_configuration(net, [net.control, control], beta, directory)
    virtual_ips_change(net, [net.control, control], session)

    # What it said last outlives it.
    last = log(net.control).splitlines()[-1]
    until("the peer has its log", lambda: last in log(control, "--peer"), 10)
    status = show(net.control, "status")
    count = len(session.answers())
    for pid in [status["parent"], status["router"]]:
        os.kill(pid, signal.SIGKILL)
    for side in ["wan", "lan", "dmz"]:
        run("ip", "-n", f"{PREFIX}sw-{side}", "link", "set", f"koi-{side}", "down", check=False)
    net.koi.wait()
    net.koi, net.control, net.directory_of_koi = beta, control, directory
    until("beta is active", lambda: show(control, "pair")["role"] == "active", 10)
    expect(last in log(control, "--peer"), "the log of the one that is no more is lost")
    print(f"    power off: the session waited at most {session.goes_on(count) * 1000:.0f} ms", flush=True)

    # The dead one is forgotten, and new hardware takes its place.
    output = net.directory / "replace"
    replacing = subprocess.Popen([KOI, "pair", "replace", "--control", control], stdin=subprocess.DEVNULL,
                                 stdout=open(output, "w"), stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
    net.processes.append(replacing)
    until("a new code", lambda: "koi pair join" in output.read_text(), 20)
    code = re.search(r"koi pair join (\S+)", output.read_text())[1]
    for side in ["wan", "lan", "dmz", "sync"]:
        switch = SYNC if side == "sync" else f"{PREFIX}sw-{side}"
        run("ip", "-n", switch, "tuntap", "add", f"koi-{side}-c", "mode", "tap")
        run("ip", "-n", switch, "link", "set", f"koi-{side}-c", "master", "br0", "up")
    waiting = WAITING.replace("koi-sync-b", "koi-sync-c").replace('name = "beta"', 'name = "gamma"')
    gamma, third, _ = start_beta(net, "gamma", waiting)
    count = len(session.answers())
    said = join(third, code, letter="c", addresses_of=ALPHA)
    expect(said.returncode == 0 and "stands by" in said.stdout, f"{said}")
    expect(replacing.wait(20) == 0 and "gamma has joined" in output.read_text(), output.read_text())
    until("redundant with the new one", lambda: is_redundant(control, third), 30)
    expect([show(one, "pair")["role"] for one in (control, third)] == ["active", "standby"], "beta serves on")
    expect(len(set(hashes(control, third))) == 1, hashes(control, third))
    print(f"    replace: the session waited at most {session.goes_on(count) * 1000:.0f} ms", flush=True)
    koi(third, "pair", "takeover")
    until("the new one serves", lambda: show(third, "pair")["role"] == "active", 10)
    session.goes_on()
    until("redundant again", lambda: is_redundant(control, third), 30)
    koi(third, "pair", "handover")
    until("and gives it back", lambda: show(control, "pair")["role"] == "active", 10)

    # A router dies; what its parent saw is known at the peer as soon as the next one runs.
    os.kill(show(third, "status")["router"], signal.SIGKILL)
    until("the peer knows how it died", lambda: "signal: 9" in log(control, "--peer"), 30)
    until("redundant after that", lambda: is_redundant(control, third), 30)

    # Then the last one is single again, with the addresses that everybody knows.
    end(gamma)
    until("gamma is silent", lambda: not show(control, "pair")["peer"]["alive"], 10)
    said = run(KOI, "pair", "leave", "--control", control)
    expect("the virtual addresses are its own" in said, said)
    expect("203.0.113.2/24" in (directory / "koi.toml").read_text(), "the address is lost")
    session.goes_on()


CASES = [becomes_a_pair]
