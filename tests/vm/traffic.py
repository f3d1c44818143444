"""What goes through the machines while something is done to them: an SSH session and a ping, with their longest gaps."""

import os
import re
import subprocess
import threading
import time

from network import SERVER, SWITCH, Failed, die_with_parent, expect, run

#: The nodes' own addresses, as the document has them.
OWN = ["203.0.113.3", "203.0.113.4", "192.168.1.2", "192.168.1.3"]
#: Seconds between two lines of the session, and between two pings.
PACE = 0.05


def serve_ssh(net):
    """A server on the outside that takes one key."""
    d = net.directory
    if (d / "sshd").exists():
        return
    for key in ["host", "user"]:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d / key)
    os.makedirs("/run/sshd", exist_ok=True)
    (d / "sshd").write_text(f"Port 2222\nHostKey {d}/host\nAuthorizedKeysFile {d}/user.pub\nStrictModes no\nUsePAM no\n"
                            "PidFile none\nPermitRootLogin yes\n")
    net.start("srv", "/usr/sbin/sshd", "-D", "-f", d / "sshd")
    net.listens("srv", 2222)


class Session:
    """Somebody who types a line every PACE seconds and sees it come back."""

    def __init__(self, net):
        serve_ssh(net)
        d = net.directory
        words = ["ssh", "-T", "-p", "2222", "-i", d / "user", "-o", "StrictHostKeyChecking=no", "-o",
                 f"UserKnownHostsFile={d}/known", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "IPQoS=none",
                 f"root@{SERVER}", "cat"]
        self.process = net.start("cli", *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # By line: when it was typed, when it came back.
        self.typed, self.returned = {}, {}
        self.over = threading.Event()
        for target in (self.read, self.write):
            threading.Thread(target=target, daemon=True).start()
        begin = time.monotonic()
        while not self.returned:
            if self.process.poll() is not None or time.monotonic() > begin + 30:
                self.process.kill()
                raise Failed(f"no session: {self.process.stderr.read().decode()[-500:]}")
            time.sleep(0.02)

    def write(self):
        number = 0
        while not self.over.is_set():
            self.typed[number] = time.monotonic()
            try:
                self.process.stdin.write(b"%d\n" % number)
                self.process.stdin.flush()
            except OSError:
                return
            number += 1
            time.sleep(PACE)

    def read(self):
        for line in self.process.stdout:
            self.returned[int(line)] = time.monotonic()

    def lives(self, seconds=15):
        """A line that is typed now comes back; otherwise the session is lost."""
        first = max(self.typed) + 1
        begin = time.monotonic()
        while not any(number >= first for number in list(self.returned)):
            if self.process.poll() is not None:
                raise Failed(f"the session ended: {self.process.stderr.read().decode()[-500:]}")
            expect(time.monotonic() < begin + seconds, f"the session does not answer for {seconds} s")
            time.sleep(0.05)

    def gap(self, since):
        """The longest time without a returned line that began or ended after `since`, in seconds."""
        moments = sorted(moment for moment in self.returned.values() if moment >= since - 1)
        return max((later - earlier for earlier, later in zip(moments, moments[1:])), default=0.0)

    def end(self):
        self.over.set()
        self.process.terminate()
        self.process.wait()


class Ping:
    """A ping every PACE seconds to the server."""

    def __init__(self, net):
        words = ["ping", "-n", "-D", "-i", str(PACE), SERVER]
        self.process = net.start("cli", *words, stdout=subprocess.PIPE, text=True)
        self.moments = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if re.search(r"icmp_seq=\d+ ttl=", line):
                self.moments.append(time.monotonic())

    def gap(self, since):
        moments = [moment for moment in self.moments if moment >= since - 1]
        return max((later - earlier for earlier, later in zip(moments, moments[1:])), default=0.0)

    def end(self):
        self.process.terminate()
        self.process.wait()


class Traffic:
    """Both at once."""

    def __init__(self, net):
        self.session, self.ping = Session(net), Ping(net)

    def after(self, what, since, limit=1.0, seconds=15):
        """The session lives, and nobody waited longer than the limit; prints how long they did."""
        self.session.lives(seconds)
        time.sleep(0.3)
        gaps = {"SSH": self.session.gap(since), "ping": self.ping.gap(since)}
        print(f"    {what}: longest gap " + ", ".join(f"{name} {gap * 1000:.0f} ms" for name, gap in gaps.items()))
        expect(max(gaps.values()) <= limit, f"{what}: a gap of {max(gaps.values()):.2f} s, more than {limit} s")

    def end(self):
        self.session.end()
        self.ping.end()


class Escapes:
    """Frames that a machine sends as if it led: forwarded ones, and those from a virtual MAC address. From its own addresses
    it asks whether its gateways are there, as a standby does, too."""

    FILTER = "(ip and (icmp or tcp) and not (" + " or ".join(f"src host {own}" for own in OWN) + ")) or ether[6:4] = 0x00005e00"

    def __init__(self, net, letter):
        self.net, self.letter = net, letter
        self.captures = []
        for network in ("wan", "lan"):
            # "in" is into the switch: what the machine sends.
            words = ["ip", "netns", "exec", SWITCH, "tcpdump", "-i", f"tap-{network}-{letter}", "-n", "-tt", "-l", "-Q", "in",
                     self.FILTER]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       preexec_fn=die_with_parent)
            net.processes.append(process)
            while "listening" not in process.stderr.readline():
                expect(process.poll() is None, "tcpdump ended")
            self.captures.append(process)

    def end(self):
        """Wall times of all frames so far."""
        time.sleep(0.3)
        moments = []
        for process in self.captures:
            process.terminate()
            lines = process.communicate(timeout=10)[0].splitlines()
            moments += [float(line.split()[0]) for line in lines if re.match(r"\d+\.\d+ ", line)]
        return sorted(moments)
