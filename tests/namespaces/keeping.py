"""A router whose configuration lies on a small disk: the disk is full, and the power fails while it writes."""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import time

from topology import KOI, SRV4, Failed, Network, run, until


def expect(condition, why):
    if not condition:
        raise Failed(why)


class Kept(Network):
    """Its configuration file has a disk of its own."""

    prefix = "koi-ns-k-"

    def config_file(self):
        return self.directory / "disk/koi.toml"

    def first_document(self):
        disk = self.directory / "disk"
        disk.mkdir(mode=0o700)
        run("mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "koi-ns-disk", disk)
        super().first_document()

    def __exit__(self, *details):
        disk = getattr(self, "directory", pathlib.Path("/nonexistent")) / "disk"
        for process in self.processes:
            process.kill()
            process.wait()
        run("umount", disk, check=False)
        super().__exit__(*details)

    def ask(self, *words):
        """What is answered, and whether it was done."""
        done = subprocess.run([KOI, *words, "--control", self.control], capture_output=True, text=True)
        return done.returncode == 0, done.stdout + done.stderr

    def in_force(self):
        return self.show("status")["revision"]


@contextlib.contextmanager
def filled(net, room=0):
    """The disk is full but for so many bytes."""
    filler = net.directory / "disk/filler"
    try:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        if room:
            os.truncate(filler, filler.stat().st_size - room)
        yield
    finally:
        filler.unlink()


def full_disk(net):
    """On a full disk a change is refused with the reason, and everything is as it was; with room it is made."""
    before, revision = net.config_file().read_text(), net.in_force()
    with filled(net):
        done, said = net.ask("config", "set", "system.hostname", "full")
        expect(not done and "No space left on device" in said and "nothing has changed" in said, said)
        expect(net.config_file().read_text() == before and net.in_force() == revision, "something has changed")
        expect("Nothing is different." in net.ask("config", "diff")[1], "half a candidate")
    # Room for the candidate, but not for the change.
    done, said = net.ask("config", "set", "system.hostname", "full")
    expect(done, said)
    with filled(net, room=8192):
        done, said = net.ask("config", "apply", "--confirm", "60")
        expect(not done and "No space left on device" in said, said)
        expect(net.config_file().read_text() == before and net.in_force() == revision, "something has changed")
    done, said = net.ask("config", "apply", "--no-confirm")
    expect(done and 'hostname = "full"' in net.config_file().read_text(), said)
    expect(net.pings("cli", SRV4), "the client does not reach the server")


def going_back_on_a_full_disk(net):
    """What nobody confirms goes back, also on a disk that has become full."""
    before = net.in_force()
    done, said = net.ask("config", "set", "system.hostname", "on-trial")
    expect(done, said)
    done, said = net.ask("config", "apply", "--confirm", "3")
    expect(done and 'hostname = "on-trial"' in net.config_file().read_text(), said)
    with filled(net):
        until("it goes back", lambda: "on-trial" not in net.config_file().read_text(), 10)
        until("it is in force", lambda: net.in_force() == before + 2, 10)


def killed(net):
    """Killed at any moment, it starts with one whole document: the one before, or the one after; and a change on trial
    goes back in the end."""
    seed = int(os.environ.get("KOI_SEED", time.time()))
    chance = random.Random(seed)
    for number in range(12):
        hostname = lambda: net.show("status")["hostname"]
        before, after, trial = hostname(), f"name-{number}", number % 3 == 0
        net.ask("config", "discard")
        net.ask("config", "set", "system.hostname", after)
        words = ["--confirm", "2"] if trial else ["--no-confirm"]
        apply = subprocess.Popen([KOI, "config", "apply", *words, "--control", net.control], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.12)
        children = pathlib.Path(f"/proc/{net.koi.pid}/task/{net.koi.pid}/children").read_text().split()
        for pid in [net.koi.pid, *map(int, children)]:
            os.kill(pid, signal.SIGKILL)
        net.koi.wait()
        apply.wait()
        said = subprocess.run([KOI, "check", net.config_file()], capture_output=True, text=True)
        expect(said.returncode == 0, f"seed {seed}: {said.stdout}{said.stderr}")
        net.run_koi()
        expect(hostname() in (before, after), f"seed {seed}: {hostname()} is neither {before} nor {after}")
        if trial:
            until("nobody has confirmed", lambda: hostname() == before, 10)
        else:
            expect("It goes back" not in net.ask("config", "status")[1], f"seed {seed}: nobody has asked for a trial")
        done, said = net.ask("config", "history")
        expect(done, said)
    until("the client reaches the server", lambda: net.pings("cli", SRV4), 20)


CASES = [full_disk, going_back_on_a_full_disk, killed]
