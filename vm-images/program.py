#!/usr/bin/env python3
"""Koi, linked statically: it runs on any Linux, and as the only program of the image. By itself, this builds it and says
where it is."""

import os
import pathlib
import subprocess
import sys

from needs import ROOT, Failed, run

TARGET = "x86_64-unknown-linux-gnu"
#: Where everything is built that ships.
WORK = ROOT / "target/vm"


def build(work):
    """Builds it; where it is. CARGO names another cargo, KOI_PROGRAM a program that is built already."""
    given = os.environ.get("KOI_PROGRAM")
    if given:
        return check(pathlib.Path(given))
    cargo = os.environ.get("CARGO", "cargo")
    home = os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo"))
    # The same program wherever it is built. No better processor than any x86-64 is asked for: this runs under emulation, too.
    flags = ["-C", "target-feature=+crt-static", f"--remap-path-prefix={ROOT}=/koi", f"--remap-path-prefix={home}=/cargo"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(work), "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags)}
    environment.pop("RUSTFLAGS", None)
    # --target, since otherwise procedural macros were to be linked statically, which is impossible.
    command = [cargo, "build", "--release", "--locked", "--bin", "koi", "--target", TARGET]
    if subprocess.run(command, cwd=ROOT, env=environment).returncode != 0:
        raise Failed("cargo could not build koi")
    return check(work / TARGET / "release/koi")


def check(program):
    """The program, if nothing has to be loaded for it."""
    begin = program.read_bytes()[:4]
    if begin != b"\x7fELF":
        raise Failed(f"{program} is no program")
    if b"NEEDED" in run("readelf", "-d", program):
        raise Failed(f"{program} is not linked statically")
    return program


if __name__ == "__main__":
    try:
        print(build(WORK))
    except Failed as error:
        sys.exit(f"vm-images/program.py: {error}")
