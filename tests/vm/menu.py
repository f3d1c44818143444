"""The console's menu, driven through the serial line from the first start to a factory reset."""

import documents
from console import Console
from machine import Machine, disk
from network import ROUTER_LAN, expect, until

CASES = []
