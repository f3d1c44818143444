#!/usr/bin/env python3
"""How fast this machine is at the moment. By itself, this prints how many times as long as usual a sum takes, in percent."""

import time

#: Seconds that the sum takes on a processor that is as fast as usual.
USUAL = 0.22


def slowness(most):
    """How many times as long as usual this processor takes at the moment, from 1 to `most`. A machine that shares its
    processors with others may be half as fast in one minute as in the next."""
    def once():
        begin, number = time.monotonic(), 0
        for step in range(4_000_000):
            number = number * 31 + step & 0xffffffff
        return time.monotonic() - begin
    return min(most, max(1, min(once() for _ in range(3)) / USUAL))


if __name__ == "__main__":
    print(round(100 * slowness(2)))
