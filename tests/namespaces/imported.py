"""The first node of a pair of pfSense comes over: its file becomes the document, and its forwards and rules act as written.

`File` imports it in front of the first start, `Candidate` on a router that runs with another document.
"""

import json
import subprocess

from topology import CLI4, KOI, ROOT, SRV4, WWW4, Failed, Network, run, until

FILE = ROOT / "tests/pfsense/story.xml"
VIP, NODE = "203.0.113.2", "203.0.113.3"
#: Says who asked, and on which port.
PAGE = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.client_address[0]} {sys.argv[1]}".encode())
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Page).serve_forever()
"""


def expect(condition, why):
    if not condition:
        raise Failed(why)


class File(Network):
    """A router whose first document is an imported one."""

    prefix = "koi-ns-f-"

    def maps(self):
        """What takes the place of which device. The cable to the peer that is not there yet is a TAP of its own."""
        pairs = [("em0", "wan"), ("em1", "lan"), ("em2", "dmz"), ("em3", f"{self.prefix}s")]
        return [word for device, port in pairs for word in ["--map", f"{device}={port}"]]

    def first_document(self):
        base = self.directory / "base.toml"
        base.write_text(self.single())
        said = run(KOI, "import", FILE, *self.maps(), "--onto", base, "--out", self.config_file())
        expect("rules on lan: 2 in force, 0 disabled" in said and "1@wan: 203.0.113.2/24" in said, said)

    def greet(self):
        until("the client reaches the server", lambda: self.pings("cli", SRV4), 20)


class Candidate(File):
    """A router that runs, and gets another document."""

    prefix = "koi-ns-c-"

    def first_document(self):
        self.config_file().write_text(self.single())

    def greet(self):
        super().greet()
        report = json.loads(self.ask("import", FILE, *self.maps(), "--dry-run", "--json"))
        expect(report["effect"]["port_forwards"] == 1 and not report["problems"], report)
        expect("Nothing is different." in self.ask("config", "diff"), "a dry run changes nothing")
        said = self.ask("import", FILE, *self.maps())
        expect("virtual IP 203.0.113.2/24 (VHID 1 on wan) added" in said, said)
        expect("# --- Machines" in self.ask("config", "show", "candidate"), "comments are gone")
        said = self.ask("config", "apply", "-m", "from pfSense")
        expect("It goes back by itself" in said, said)
        self.ask("config", "confirm")
        expect("from pfSense" in self.ask("config", "history"), "the history does not know")
        until("the client reaches the server", lambda: self.pings("cli", SRV4), 20)

    def ask(self, *words):
        return run(KOI, *words, "--control", self.control)


def story(net):
    """What was forwarded there is forwarded, what was blocked is blocked, and the LAN leaves with the pair's address."""
    for host, port in [("www", 8080), ("srv", 80), ("srv", 8081), ("cli", 8090)]:
        net.start(host, "python3", "-c", PAGE, port)
        net.listens(host, port)

    def asks(host, url):
        done = subprocess.run(["ip", "netns", "exec", net.prefix + host, "curl", "-sS", "-m", "2", url],
                              capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else None

    for host, url, answer, why in [
            ("srv", f"http://{VIP}/", f"{SRV4} 8080", "the port forward to the DMZ"),
            ("srv", f"http://{NODE}/", None, "it is for the virtual IP only"),
            ("srv", f"http://{VIP}:8080/", None, "the inner port is not open outside"),
            ("cli", f"http://{SRV4}/", f"{VIP} 80", "LAN leaves with the virtual IP"),
            ("cli", f"http://{SRV4}:8081/", None, "the blocked port"),
            ("cli", f"http://{WWW4}:8080/", f"{CLI4} 8080", "LAN reaches the DMZ"),
            ("www", f"http://{SRV4}/", f"{VIP} 80", "the DMZ leaves with the virtual IP"),
            ("www", f"http://{CLI4}:8090/", None, "the DMZ stays out of LAN")]:
        said = asks(host, url)
        expect(said == answer, f"{why}: {host} {url}: {said}")
    neighbours = net.inside("srv", "ip", "neigh", "show", VIP)
    expect("00:00:5e:00:01:01" in neighbours, f"the virtual IP has its virtual MAC: {neighbours}")


def login(net):
    """The password of there opens the pages here, and is kept in Koi's own way from then on."""
    password = "Hello world!"
    kept = lambda: "$argon2id$" in net.config_file().read_text()
    expect(not kept(), "hashed anew before anybody has logged in")
    code = lambda given: net.inside("cli", "curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-u",
                                    f"admin:{given}", "https://192.168.1.1/status.json")
    expect(code("Hello world") == "401", "a wrong password")
    expect(code(password) == "200", "the password of there")
    until("the password is hashed anew", kept)
    expect(code(password) == "200" and "$6$" not in net.config_file().read_text(), "the same password")


def given_back(net):
    """What came in goes out: pfSense gets its file again, but for what was changed here."""
    out = net.directory / "out.xml"
    run(KOI, "export", "--pfsense", "--control", net.control, "--out", out)
    text = out.read_text()
    for words in ["<synchronizetoip>172.31.0.2</synchronizetoip>", "<local-port>8080</local-port>", "<tracker>1700000003</tracker>"]:
        expect(words in text, f"{words} is gone")
    support = run(KOI, "config", "export", "--for-support", "--control", net.control)
    expect("carp-secret" not in support and "$6$" not in support and "1700000003" in support, support)


CASES = [story, login, given_back]
