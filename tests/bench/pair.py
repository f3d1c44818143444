"""The tuned kernel pair: keepalived, conntrackd and nftables in two network namespaces, and what can happen to it.

    srv -- [wan] -- alpha, beta -- [lan] -- cli            alpha -- [sync] -- beta

Switches are bridges in namespaces of their own, as in Koi's lab. The outside is one host: the upstream gateway, and a
server behind it. Everything is named koi-fo-* and goes away at the end, also what a run that was killed has left.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from rig import Failed, run, until

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = "koi-fo-"
GATEWAY, SERVER, CLIENT = "203.0.113.1", "198.51.100.1", "192.168.1.10"
VIP = {"wan": "203.0.113.2", "lan": "192.168.1.1"}
NODES = {
    "alpha": {"wan": "203.0.113.3", "lan": "192.168.1.2", "sync": "10.255.0.1", "priority": 200},
    "beta": {"wan": "203.0.113.4", "lan": "192.168.1.3", "sync": "10.255.0.2", "priority": 100},
}
SWITCHES = ["wan", "lan", "sync"]
LIBC = ctypes.CDLL(None)

#: Adverts as often as the protocol can say; both addresses move together; a node that is back waits as Koi's does.
KEEPALIVED = """
global_defs {{
    router_id {node}
    vrrp_version 3
    script_user root
    enable_script_security
    vrrp_garp_master_repeat 3
    vrrp_garp_master_delay 1
    max_auto_priority -1
}}
vrrp_sync_group koi {{
    group {{
        wan
        lan
    }}
    notify_master "{directory}/notify primary" root
    notify_backup "{directory}/notify backup" root
    notify_fault "{directory}/notify fault" root
}}
"""

INSTANCE = """
vrrp_instance {side} {{
    state BACKUP
    interface {side}
    virtual_router_id {vrid}
    priority {priority}
    advert_int 0.01
    preempt_delay 30
    virtual_ipaddress {{
        {vip}/24 dev {side}
    }}
}}
"""

CONNTRACKD = """
Sync {{
    Mode FTFW {{
        ResendQueueSize 131072
        PurgeTimeout 60
        ACKWindowSize 300
        DisableExternalCache no
    }}
    UDP {{
        IPv4_address {own}
        IPv4_Destination_Address {peer}
        Port 3780
        Interface sync
        SndSocketBuffer 67108864
        RcvSocketBuffer 67108864
        Checksum on
    }}
    Options {{
        TCPWindowTracking Off
    }}
}}
General {{
    Systemd off
    HashSize 65536
    HashLimit 2097152
    LogFile {directory}/conntrackd.log
    Syslog off
    LockFile {directory}/conntrackd.lock
    UNIX {{
        Path {directory}/conntrackd.ctl
    }}
    NetlinkBufferSize 4194304
    NetlinkBufferSizeMaxGrowth 67108864
    Filter From Userspace {{
        Protocol Accept {{
            TCP
            UDP
            ICMP
        }}
        Address Ignore {{
            IPv4_address 127.0.0.1
            IPv4_address {own}
            IPv4_address {peer}
        }}
    }}
}}
"""

#: As the examples of conntrack-tools have it: the connections of the other node become the kernel's own.
NOTIFY = """#!/bin/sh
d() {{ /usr/sbin/conntrackd -C {directory}/conntrackd.conf "$@" >>{directory}/notify.log 2>&1; }}
case "$1" in
primary) d -c; d -f; d -R; d -B ;;
backup) d -t; d -n ;;
fault) d -t ;;
esac
echo "$1" >>{directory}/states
"""

NFTABLES = f"""
table inet filter {{
    chain input {{
        type filter hook input priority 0; policy drop;
        iifname lo accept
        ip protocol vrrp accept
        iifname sync udp dport 3780 accept
        ct state established,related accept
        ct state invalid drop
        iifname lan accept
    }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state invalid drop
        iifname lan oifname wan accept
    }}
}}
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority 100;
        oifname wan ip saddr 192.168.1.0/24 snat to {VIP["wan"]}
    }}
}}
"""

SYSCTL = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
          # A packet that comes before its connection is committed must not begin one of its own.
          "net.netfilter.nf_conntrack_tcp_loose=0", "net.netfilter.nf_conntrack_tcp_be_liberal=1"]


def die_with_parent():
    """A started process ends when this one does, however that comes about."""
    LIBC.prctl(1, signal.SIGTERM)


def children(pid):
    with contextlib.suppress(OSError):
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def remove_leftovers():
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(PREFIX):
            for pid in run("ip", "netns", "pids", name).split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", name)
    for directory in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        shutil.rmtree(directory, ignore_errors=True)


class Pair:
    """Two nodes between a client and a server; alpha is master."""

    def __enter__(self):
        remove_leftovers()
        self.processes, self.daemons = [], {}
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            self.build()
            for node in NODES:
                self.start_node(node)
                if node == "alpha":
                    until("alpha is master", lambda: self.master("alpha"))
            until("beta is backup", lambda: "backup" in self.states("beta"))
            until("the client reaches the server", self.reaches)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            for pid in [*children(process.pid), process.pid]:
                # One that is stopped goes on, so that it can end.
                for number in [signal.SIGTERM, signal.SIGCONT]:
                    with contextlib.suppress(ProcessLookupError):
                        if pid != process.pid or process.poll() is None:
                            os.kill(pid, number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        remove_leftovers()

    def build(self):
        for host in [*SWITCHES, *NODES, "srv", "cli"]:
            run("ip", "netns", "add", PREFIX + host)
            run("ip", "-n", PREFIX + host, "link", "set", "lo", "up")
        for switch in SWITCHES:
            run("ip", "-n", PREFIX + switch, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", PREFIX + switch, "link", "set", "br0", "up")
        self.plug("wan", "srv", "eth0", f"{GATEWAY}/24")
        self.plug("lan", "cli", "eth0", f"{CLIENT}/24")
        run("ip", "-n", PREFIX + "srv", "addr", "add", f"{SERVER}/32", "dev", "lo")
        run("ip", "-n", PREFIX + "cli", "route", "add", "default", "via", VIP["lan"])
        for node, of in NODES.items():
            for switch in SWITCHES:
                self.plug(switch, node, switch, f"{of[switch]}/24")
            run("ip", "-n", PREFIX + node, "route", "add", "default", "via", GATEWAY)
            self.inside(node, "nft", "-f", "-", input=NFTABLES)
            self.inside(node, "sysctl", "-qw", *SYSCTL)

    def plug(self, switch, host, device, address):
        """A cable from a host to a switch; the switch's end has the host's name."""
        run("ip", "link", "add", host, "netns", PREFIX + switch, "type", "veth", "peer", "name", device, "netns",
            PREFIX + host)
        run("ip", "-n", PREFIX + switch, "link", "set", host, "master", "br0", "up")
        run("ip", "-n", PREFIX + host, "link", "set", device, "up")
        run("ip", "-n", PREFIX + host, "addr", "add", address, "dev", device)

    def start_node(self, node):
        of, directory = NODES[node], self.directory / node
        directory.mkdir(mode=0o700)
        [peer] = [other["sync"] for name, other in NODES.items() if name != node]
        words = KEEPALIVED.format(node=node, directory=directory)
        for vrid, side in enumerate(VIP, 10):
            words += INSTANCE.format(side=side, vrid=vrid, vip=VIP[side], **of)
        (directory / "keepalived.conf").write_text(words)
        (directory / "conntrackd.conf").write_text(CONNTRACKD.format(directory=directory, own=of["sync"], peer=peer))
        (directory / "notify").write_text(NOTIFY.format(directory=directory))
        (directory / "notify").chmod(0o700)
        with open(directory / "log", "w") as log:
            said = {"stdout": log, "stderr": log}
            replication = self.start(node, "/usr/sbin/conntrackd", "-C", directory / "conntrackd.conf", **said)
            until(f"{node}: conntrackd answers", lambda: self.conntrackd(node, "-s") is not None)
            election = self.start(node, "/usr/sbin/keepalived", "--dont-fork", "--log-console", "--vrrp", "-f",
                                  directory / "keepalived.conf", "-p", directory / "keepalived.pid", "-r",
                                  directory / "vrrp.pid", **said)
        self.daemons[node] = [election, replication]

    def words(self, host, *words):
        return ["ip", "netns", "exec", PREFIX + host, *map(str, words)]

    def inside(self, host, *words, **options):
        return run(*self.words(host, *words), **options)

    def start(self, host, *words, **options):
        """Starts a process inside a host; it ends with the pair."""
        process = subprocess.Popen(self.words(host, *words), preexec_fn=die_with_parent,
                                   **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
                                      "stderr": subprocess.DEVNULL, **options})
        self.processes.append(process)
        return process

    def stream(self, host, *words):
        """Starts a part of streams.py, and waits until it is ready."""
        process = self.start(host, sys.executable, HERE / "streams.py", *words, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            raise Failed(f"{words[0]} does not start: {process.stderr.read()[-500:]}")
        return process

    def conntrackd(self, node, option):
        done = subprocess.run(self.words(node, "conntrackd", "-C", self.directory / node / "conntrackd.conf", option),
                              capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    def replicated(self, node):
        """How many connections a node keeps for the other one."""
        said = re.search(r"cache external:\s*current active connections:\s*(\d+)", self.conntrackd(node, "-s") or "")
        return int(said.group(1)) if said else 0

    def states(self, node):
        """What keepalived has told its script; for a master, after the connections are committed."""
        file = self.directory / node / "states"
        return file.read_text().split() if file.exists() else []

    def master(self, node):
        held = run("ip", "-n", PREFIX + node, "-4", "-o", "addr", "show")
        return all(f" {vip}/" in held for vip in VIP.values()) and "primary" in self.states(node)

    def reaches(self):
        ping = self.words("cli", "ping", "-c", "1", "-W", "1", SERVER)
        return subprocess.run(ping, capture_output=True).returncode == 0

    def story(self):
        """What the daemons had to say, for a trial that failed."""
        return "".join(f"    {node}: {line}\n" for node in NODES if (self.directory / node / "log").exists()
                       for line in (self.directory / node / "log").read_text(errors="replace").splitlines()[-12:])

    # What happens to the master, alpha. Each returns as soon as it has happened.

    def everything(self, node):
        """The processes of a node, parents first."""
        return [pid for process in self.daemons[node] for pid in [process.pid, *children(process.pid)]]

    def power_off(self):
        """Everything on it is dead at once, and its ports are down."""
        for pid in self.everything("alpha"):
            os.kill(pid, signal.SIGKILL)
        downs = "".join(f"link set {port} down\n" for port in SWITCHES)
        run("ip", "-n", PREFIX + "alpha", "-batch", "-", input=downs)

    def unplug(self, switch):
        run("ip", "-n", PREFIX + switch, "link", "set", "alpha", "down")

    def crash(self):
        """The process that elects dies; its parent starts another one. The kernel forwards on."""
        for pid in children(self.daemons["alpha"][0].pid):
            os.kill(pid, signal.SIGKILL)

    def freeze(self):
        """The processes stand still; the kernel forwards on, and answers for its addresses."""
        for pid in self.everything("alpha"):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.everything("alpha"):
            os.kill(pid, signal.SIGCONT)


#: Name, what happens, what happens a second later.
DRILLS = {
    "power-off": (Pair.power_off, None),
    "unplug-wan": (lambda pair: pair.unplug("wan"), None),
    "unplug-lan": (lambda pair: pair.unplug("lan"), None),
    "crash": (Pair.crash, None),
    "freeze": (Pair.freeze, Pair.thaw),
}
