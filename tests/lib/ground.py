"""What tests share that make networks of namespaces: names of their own, turns, and an end that leaves nothing behind."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A case does not hold."""


def run(*words, check=True, timeout=120, input=None):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, input=input)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stdout[-900:]}{done.stderr[-900:]}")
    return done.stdout if check else done.stdout + done.stderr


def whole_packets(capture):
    """The bytes of a capture that is written still, without half a packet at its end."""
    pcap, at = capture.read_bytes(), 24
    while at + 16 <= len(pcap) and (end := at + 16 + int.from_bytes(pcap[at + 8:at + 12], "little")) <= len(pcap):
        at = end
    return pcap[:at]


def packets(capture, *words):
    """What tcpdump reads of a capture that may be written still, a packet a line."""
    copy = capture.with_suffix(".whole")
    copy.write_bytes(whole_packets(capture))
    return run("tcpdump", "-n", "-r", copy, *words).splitlines()


def until(what, condition, seconds=10, pause=0.02):
    """Waits until the condition holds; how long that took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() > begin + seconds:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return time.monotonic() - begin


def die_with_parent():
    """A started process ends when this one does, however that comes about."""
    LIBC.prctl(1, signal.SIGTERM)


def take_turn(name, others):
    """Waits until no other run of these tests uses their names on this machine; the turn ends with the file."""
    lock = open(f"/run/{name}.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{others} run on this machine; waiting for their end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def remove_leftovers(prefix):
    """Namespaces with their processes, and directories, also those that an earlier run has left."""
    for line in run("ip", "netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(prefix):
            for pid in run("ip", "netns", "pids", name, check=False).split():
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", name, check=False)
    for directory in pathlib.Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if (directory / "disk").is_mount():
            run("umount", directory / "disk", check=False)
        shutil.rmtree(directory, ignore_errors=True)
