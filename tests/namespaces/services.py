"""What the router asks of others and tells them: the time, names of hosts, the firewall log. Only Koi has these."""

import json
import re
import subprocess

from topology import CLI4, KOI, SRV4, WWW4, Failed, run, until

#: A name server, a time server that is an hour ahead, and a server of logs, in one program. Arguments: the file for the
#: log, then NAME=ADDRESS.
SERVERS = """
import socket, struct, sys, threading, time
names = dict(word.split("=") for word in sys.argv[2:])
def serve(port, answer):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", port))
    while True:
        data, peer = s.recvfrom(2048)
        said = answer(data)
        if said:
            s.sendto(said, peer)
def name(data):
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += data[at] + 1
    kind = struct.unpack(">H", data[at + 1:at + 3])[0]
    address = names.get(".".join(labels))
    answers = 1 if address and kind == 1 else 0
    head = data[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, answers, 0, 0) + data[12:at + 5]
    return head + (b"\\xc0\\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address) if answers else b"")
def clock(data):
    now = time.time() + 3600 + 2208988800
    stamp = struct.pack(">II", int(now) & 0xffffffff, int(now % 1 * 2 ** 32))
    return struct.pack(">BBBb", 0x24, 2, 6, -20) + struct.pack(">II", 64, 64) + b"\\x0a\\0\\0\\1" + stamp + data[40:48] + stamp * 2
def log(data):
    with open(sys.argv[1], "ab") as file:
        file.write(data + b"\\n")
for port, answer in [(53, name), (123, clock)]:
    threading.Thread(target=serve, args=(port, answer), daemon=True).start()
serve(514, log)
"""

#: A message of RFC 5424.
MESSAGE = re.compile(r'<134>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) koi-lab koi - filter '
                     r'\[filter@32473((?: [a-z]+="(?:[^"\\\]]|\\.)*")+)\] (.+)')


def expect(condition, why):
    if not condition:
        raise Failed(why)


def services(net):
    """The clock is set, names in aliases are looked up, and a logged drop reaches ring, file and server of logs."""
    told = net.directory / "syslog"
    told.write_text("")
    net.start("srv", "python3", "-c", SERVERS, told, f"time.example.org={SRV4}", f"log.example.org={SRV4}",
              f"www.example.org={WWW4}")
    net.listens("srv", 514, "-lnu")
    listed = net.directory / "far.txt"
    listed.write_text("# far\n192.0.2.0/24\nnonsense\n")
    text = net.document()
    rules = f"""
[[alias]]
name = "far"
type = "urltable"
file = "{listed}"
[[alias]]
name = "web"
type = "host"
entries = ["www.example.org"]
[[rule]]
id = 1000900
interface = "lan"
action = "block"
log = true
destination = "web"
description = "Not the web"
[[rule]]"""
    net.reload(text.replace("[system]", f"""[system]
dns_servers = ["{SRV4}"]
time_servers = ["time.example.org"]
logging.servers = ["log.example.org"]""", 1).replace("[[rule]]", rules, 1))
    try:
        until("the clock is set", lambda: net.show("time")["clock"]["source"] == "time.example.org", 15)
        clock = net.show("time")["clock"]
        expect(clock["sure"] and abs(clock["ahead_seconds"] - 3600) < 1, clock)
        expect("by time.example.org" in run(KOI, "show", "status", "--control", net.control), "the status has no time")
        tables = {table["name"]: table for table in net.show("tables")["tables"]}
        expect(tables["web"]["names"][0]["addresses"] == [WWW4], tables["web"])
        expect(tables["far"]["ranges"] == 1 and "line 3" in tables["far"]["trouble"], tables["far"])
        until("the name is in force", lambda: not net.pings("cli", WWW4), 15)
        until("the record", lambda: any(row["rule"] == 1000900 for row in net.show("log")))
        record = next(row for row in net.show("log") if row["rule"] == 1000900)
        expect((record["action"], record["src"], record["dst"]) == ("block", CLI4, WWW4), record)
        why = run(KOI, "explain", "--log", record["id"], "--control", net.control)
        expect(why.startswith("block") and "1000900" in why, why)
        until("a message", lambda: "1000900" in told.read_text())
        for line in told.read_text().splitlines():
            expect(MESSAGE.fullmatch(line), line)
        fields = dict(re.findall(r'([a-z]+)="((?:[^"\\\]]|\\.)*)"', told.read_text().splitlines()[0]))
        expect(fields["description"] == "Not the web" and fields["dst"] == WWW4, fields)
        lines = (net.directory / "state/filter.log").read_text().splitlines()
        expect(any(json.loads(line)["rule"] == 1000900 for line in lines), lines)
        listed.write_text("192.0.2.0/24\n198.51.100.1\n")
        run(KOI, "reload", "--control", net.control)
        tables = {table["name"]: table for table in net.show("tables")["tables"]}
        expect(tables["far"]["ranges"] == 2 and not tables["far"]["trouble"], tables["far"])
    finally:
        net.reload(text)
    until("the web is back", lambda: net.pings("cli", WWW4))


def schedules(net):
    """A rule is in force in the minutes of its schedule, and flows end with them."""
    text = net.document()
    minutes = subprocess.run(["date", "-u", "+%H %M %S"], capture_output=True, text=True, check=True).stdout.split()
    hour, minute, second = map(int, minutes)
    if hour == 23 and minute > 56:
        return
    first, end = hour * 60 + minute, hour * 60 + minute + (2 if second > 40 else 1)
    hours = f"{first // 60}:{first % 60:02}-{end // 60}:{end % 60:02}"
    rule = f"""
[[schedule]]
name = "now"
[[schedule.time_range]]
hours = "{hours}"
[[rule]]
id = 1000900
interface = "dmz"
action = "pass"
schedule = "now"
destination = "{CLI4}"
[[rule]]"""
    net.reload(text.replace("[[rule]]", rule, 1))
    try:
        expect(net.pings("www", CLI4), "not in its hours")
        shown = run(KOI, "show", "rules", "--control", net.control)
        expect("now (on)" in shown, shown)
        until("the end of the hours", lambda: not net.pings("www", CLI4), 110)
        expect("now (off)" in run(KOI, "show", "rules", "--control", net.control), "still shown as on")
        expect(not any(flow["rule"] == 1000900 for flow in net.flows()), "a flow lives on")
    finally:
        net.reload(text)


CASES = [services, schedules]
