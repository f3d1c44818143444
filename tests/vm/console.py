"""The menu on a machine's serial line, and a test that goes through it."""

import re

import documents
from machine import PROMPT, Machine, disk
from network import Failed, expect


class Console:
    """Somebody at the serial line."""

    def __init__(self, machine):
        self.machine = machine

    def wake(self, seconds=60):
        """The menu, from wherever it was."""
        if self.machine.amid:
            self.machine.amid = False
            self.machine.type("\r")
        if PROMPT not in self.machine.text[-400:]:
            self.machine.says(PROMPT, seconds)

    def option(self, number, answer=PROMPT, seconds=60):
        """Chooses from the menu."""
        self.wake()
        return self.machine.enter(str(number), answer, seconds)

    def koi(self, line, seconds=60):
        """A command of koi; what it says."""
        self.option(self.number("Koi command"), r"koi> ")
        said = self.machine.enter(line, PROMPT, seconds)
        return said.replace("\r", "")

    def koi_reboots(self, line):
        """A command that ends with a new start; its prompt need not come back."""
        self.option(self.number("Koi command"), r"koi> ")
        self.machine.type(line + "\r")

    def number(self, name):
        """Of an option, by its name."""
        self.wake()
        found = re.findall(rf"(\d+)\) +{name}", self.machine.text)
        if not found:
            raise Failed(f"the menu has no {name}: {self.machine.story()}")
        return found[-1]
