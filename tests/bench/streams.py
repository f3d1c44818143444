"""Traffic that is counted where it arrives: numbered datagrams at 1 kHz, and TCP sessions that go on exchanging.

Each part is a process of its own, so that none waits for another one's turn. It says "ready", does its work until its
standard input ends, and then prints what it has seen. Times of arrival are the kernel's, on the clock of real time; a
sender tells when it sent, so that its own pauses are not taken for the network's.
"""

import contextlib
import json
import resource
import selectors
import socket
import statistics
import struct
import sys
import time

INTERVAL = 0.001
NUMBER = struct.Struct("!Q")
TIMESTAMPNS = 35  # SO_TIMESTAMPNS, and the control message that carries it
#: A session asks this often; the one after the end has to be answered within the patience.
PERIOD, PATIENCE = 0.5, 15
REQUEST = 32


def ready():
    print("ready", flush=True)


def send(to):
    """Numbered datagrams to an address, at 1 kHz; those that are late are sent at once, so that none is left out."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.connect(to)
    # The first one is answered, so that the way is known in both directions before anything is counted.
    link.settimeout(0.2)
    for _ in range(50):
        link.send(NUMBER.pack(0))
        try:
            link.recv(64)
            break
        except (TimeoutError, ConnectionError):
            continue
    else:
        sys.exit("no answer from the receiver")
    ready()
    stream(link, link.send)


def serve(at):
    """The same, to the first one who asks."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(at)
    ready()
    _, whom = link.recvfrom(64)
    link.sendto(NUMBER.pack(0), whom)
    stream(link, lambda datagram: link.sendto(datagram, whom))


def stream(link, give):
    """A number every millisecond; what the network does not take is lost, and must not hold up the sender."""
    link.setblocking(False)
    ended = selectors.DefaultSelector()
    ended.register(sys.stdin, selectors.EVENT_READ)
    begin, sent = time.monotonic(), []
    while True:
        due = begin + len(sent) * INTERVAL
        if ended.select(max(0.0, due - time.monotonic())):
            break
        while begin + len(sent) * INTERVAL <= time.monotonic():
            sent.append(time.time_ns())
            with contextlib.suppress(OSError):
                give(NUMBER.pack(len(sent)))
    print(json.dumps(list(enumerate(sent, 1))))


def receive(link, answer):
    """Takes numbered datagrams, with the kernel's time of each one's arrival."""
    link.setsockopt(socket.SOL_SOCKET, TIMESTAMPNS, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    link.setblocking(False)
    watched = selectors.DefaultSelector()
    watched.register(sys.stdin, selectors.EVENT_READ)
    watched.register(link, selectors.EVENT_READ)
    arrivals = []
    while True:
        files = [key.fileobj for key, _ in watched.select()]
        if link in files:
            try:
                datagram, control, _, whom = link.recvmsg(64, 64)
            except OSError:
                continue
            number = NUMBER.unpack(datagram)[0]
            if number:
                seconds, nanoseconds = struct.unpack("qq", control[0][2])
                arrivals.append((number, seconds * 1_000_000_000 + nanoseconds))
            elif answer:
                link.sendto(datagram, whom)
        elif sys.stdin in files:
            break
    print(json.dumps(arrivals))


def sink(at):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(at)
    ready()
    receive(link, answer=True)


def listen(to):
    """Asks for the stream, and receives it."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.connect(to)
    link.settimeout(0.2)
    for _ in range(50):
        link.send(NUMBER.pack(0))
        try:
            link.recv(64)
            break
        except (TimeoutError, ConnectionError):
            continue
    else:
        sys.exit("no stream from the server")
    ready()
    receive(link, answer=False)


def echo(at):
    """Answers every session with what it has sent."""
    server = socket.create_server(at, backlog=4096)
    server.setblocking(False)
    watched = selectors.DefaultSelector()
    watched.register(server, selectors.EVENT_READ)
    watched.register(sys.stdin, selectors.EVENT_READ)
    ready()
    while True:
        for key, _ in watched.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is server:
                session, _ = server.accept()
                session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                watched.register(session, selectors.EVENT_READ)
                continue
            try:
                said = key.fileobj.recv(4096)
                key.fileobj.sendall(said)
            except OSError:
                said = b""
            if not said:
                watched.unregister(key.fileobj)
                key.fileobj.close()


class Session:
    """One TCP session: a numbered request, its answer, a pause, and so on."""

    def __init__(self, to, due):
        self.link = socket.create_connection(to, timeout=10)
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link.settimeout(5)
        self.due, self.asked, self.number = due, None, 0
        self.heard, self.worst, self.broken = b"", 0.0, None

    def wants(self):
        return NUMBER.pack(self.number).ljust(REQUEST, b".")

    def ask(self, now):
        self.number += 1
        self.asked, self.heard = now, b""
        try:
            self.link.send(self.wants())
        except OSError as error:
            self.broken = str(error)

    def hear(self, now):
        try:
            said = self.link.recv(4096)
        except OSError as error:
            self.broken = str(error)
            return
        self.heard += said
        if not said:
            self.broken = "closed by the other end"
        elif self.heard == self.wants() and self.asked is not None:
            self.worst = max(self.worst, now - self.asked)
            self.due, self.asked = self.asked + PERIOD, None
        elif not self.wants().startswith(self.heard):
            self.broken = "another answer than what was asked"


def sessions(to, count):
    """Holds sessions; the ones that survive answer a question that is asked after the end."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 256,) * 2)
    begin = time.monotonic()
    held = [Session(to, begin + PERIOD * index / count) for index in range(count)]
    watched = selectors.DefaultSelector()
    watched.register(sys.stdin, selectors.EVENT_READ)
    for session in held:
        watched.register(session.link, selectors.EVENT_READ, session)
    deadline, last, told = None, {}, False
    while True:
        now = time.monotonic()
        for key, _ in watched.select(0.005):
            if key.fileobj is sys.stdin:
                watched.unregister(sys.stdin)
                deadline = time.monotonic() + PATIENCE
            else:
                key.data.hear(time.monotonic())
                if key.data.broken:
                    watched.unregister(key.fileobj)
        alive = [session for session in held if not session.broken]
        for session in alive:
            if session.asked is None and session not in last and (deadline or session.due <= now):
                session.ask(time.monotonic())
                if deadline:
                    last[session] = session.number
        # All of them have been answered once before anything is said of them.
        if not told and all(session.number and session.asked is None or session.number > 1 for session in held):
            told = True
            ready()
        answered = [session for session in last if session.asked is None and not session.broken]
        if deadline and (len(answered) == len(alive) or now > deadline):
            break
    waiting = {session.broken for session in held if session.broken}
    print(json.dumps({
        "sessions": count, "survived": len(answered), "broken": sorted(waiting),
        "stall_ms": [round(session.worst * 1000, 1) for session in held],
        "median_ms": round(statistics.median(session.worst for session in held) * 1000, 1),
    }))


PARTS = {"send": send, "sink": sink, "serve": serve, "listen": listen, "echo": echo, "sessions": sessions}

if __name__ == "__main__":
    part, address, port, *more = sys.argv[1:]
    PARTS[part]((address, int(port)), *map(int, more))
