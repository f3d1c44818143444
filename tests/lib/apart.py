"""Work in several places at once: each has a network, /run and a directory of its own, so that the same names do not meet."""

import concurrent.futures
import ctypes
import multiprocessing
import os
import shutil
import tempfile

from ground import LIBC, Failed, die_with_parent, run

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def call(name, *arguments):
    """A call of the C library that must not fail."""
    if getattr(LIBC, name)(*arguments):
        raise Failed(f"{name}: {os.strerror(ctypes.get_errno())}")


def enter(directory):
    """This process, and those that it starts, are in a place of their own from now on; it goes with the last of them."""
    die_with_parent()
    call("unshare", CLONE_NEWNS | CLONE_NEWNET)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", b"/run", b"tmpfs", 0, None)
    tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(dir=directory)
    # Others than root look into what is theirs below.
    os.chmod(tempfile.tempdir, 0o755)
    run("ip", "link", "set", "lo", "up")


def each(prefix, work, tasks, at_once):
    """Yields what `work` makes of each task, as they end; so many run at the same time, in the order of `tasks`.

    `work` and the tasks must be such that a process can be told of them. What they write begins with `prefix`.
    """
    directory = tempfile.mkdtemp(prefix=f"{prefix}apart-")
    os.chmod(directory, 0o755)
    try:
        with concurrent.futures.ProcessPoolExecutor(at_once, initializer=enter, initargs=(directory,)) as pool:
            try:
                for done in concurrent.futures.as_completed([pool.submit(work, *task) for task in tasks]):
                    yield done.result()
            except BaseException:
                # They clean up after themselves, too.
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)
