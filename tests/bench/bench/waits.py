"""Waiting cases: the delay of a client while others cause much work."""
import time

from . import load
from .cases import RESP, case, settle, started
from .report import Row
from .servers import Failure


def wait_probe(bench, what, target=None):
    return Row(f"longest round trip of another client {what}", "ms", 1e-6, target=target)


def storm_watch(server, connection, deadline, empty, full, limit):
    """Returns the seconds after `deadline` (Unix time) until the server counts no key, and until it has freed
    their memory. It may keep a twentieth or 2 MiB for later use."""
    kept = max((full - empty) / 20, 2 << 20)
    gone = free = None
    while free is None and time.time() < deadline + limit:
        time.sleep(0.005)
        if gone is None and server.key_count(connection) == 0:
            gone = max(0.0, time.time() - deadline)
        if gone is not None and server.resident() < empty + kept:
            free = max(0.0, time.time() - deadline)
    return limit if gone is None else gone, limit if free is None else free


class TooSlow(Failure):
    """The first keys expired before the last one was written."""


def storm_round(bench, kind, keys, spread, lead):
    """Runs the storm on a new server. If writing takes longer than the keys live, tries again with more time."""
    for patience in (1, 3, 9):
        with bench.server(kind) as server:
            try:
                return storm_one(bench, server, keys, spread, lead * patience)
            except TooSlow as failure:
                slow = failure
                bench.say(f"{failure}; again with more time")
    raise slow


def storm_one(bench, server, keys, spread, lead):
    empty = settle(server)
    deadline = int((time.time() + lead) * 1000)
    filled = load.fill(bench, server, keys=keys, value_size=32, deadline=deadline, spread=spread)
    full = server.resident()
    left = deadline / 1000 - time.time() - 0.3
    if left < 0:
        raise TooSlow(f"{server.name}: {keys:,} keys took {filled['wall_ns'] / 1e9:.1f} s, longer than their TTL")
    time.sleep(left)
    connection = server.connect()
    with load.probe(bench, server) as probe:
        gone, free = storm_watch(server, connection, (deadline + spread) / 1000, empty, full, bench.sized(20.0, 2.0))
        time.sleep(0.2)
        longest = probe.result()["max_ns"]
    connection.close()
    return gone, free, longest


def storm(bench, keys, spread, lead, target):
    text = f"{keys / 1e6:g} M keys due within {spread / 1000:g} s"
    gone = Row(f"{text}: delay of the last removal", "s", 1, 3, target=target)
    free = Row(f"{text}: delay until their memory is free", "s", 1, 3, target=target)
    longest = wait_probe(bench, "during the expiry", 2 if target else None)
    for _ in range(1 if bench.quick else min(bench.rounds, 3)):
        for kind in [kind for kind in RESP if kind in bench.kinds]:
            if kind == "floor":
                with bench.server(kind) as server, load.probe(bench, server, duration=bench.sized(2000, 1000)) as probe:
                    longest.add(kind, probe.result_at_end()["max_ns"])
                continue
            figures = storm_round(bench, kind, keys, spread, lead)
            for row, figure in zip((gone, free, longest), figures):
                row.add(kind, figure)
    return [gone, free, longest]


@case("storm", "1 M keys due within one second: the delay of their removal, and the longest wait of another client", target=True)
def storm_case(bench):
    return storm(bench, bench.sized(1_000_000, 200_000), 1000, bench.sized(8.0, 2.0), 0.1)


@case("storm-5m", "5 M keys due within ten seconds")
def storm_large(bench):
    return storm(bench, bench.sized(5_000_000, 500_000), 10_000, bench.sized(20.0, 5.0), None)


@case("resize", "the longest round trip of another client while a table grows from 1 M to 10 M keys", quick=True)
def resize(bench):
    keys = bench.sized(10_000_000, 300_000)
    row = wait_probe(bench, f"while {keys / 10e6:g} M keys become {keys / 1e6:g} M")
    for server in started(bench, RESP):
        with server:
            load.fill(bench, server, keys=keys // 10, value_size=32)
            with load.probe(bench, server) as probe:
                load.fill(bench, server, keys=keys, value_size=32, clients=1)
                row.add(server.name, probe.result()["max_ns"])
    return [row]


@case("flush", "FLUSHALL of 10 M keys, SYNC and ASYNC: the longest round trip of another client, memory afterwards",
      quick=True)
def flush(bench):
    keys, seconds, rows = bench.sized(10_000_000, 300_000), bench.sized(5, 1), []
    for how in ("SYNC", "ASYNC"):
        longest = wait_probe(bench, f"at FLUSHALL {how} of {keys / 1e6:g} M keys")
        left = Row(f"memory kept {seconds} s after FLUSHALL {how}, of what the keys took", "%", 100, 1)
        rows += [longest, left]
        for server in started(bench, ("atomdb", "redis")):
            with server:
                empty = settle(server)
                load.fill(bench, server, keys=keys, value_size=32)
                full = settle(server)
                connection = server.connect()
                with load.probe(bench, server) as probe:
                    time.sleep(0.2)
                    connection.ask("FLUSHALL", how)
                    time.sleep(seconds)
                    longest.add(server.name, probe.result()["max_ns"])
                left.add(server.name, max(0, server.resident() - empty) / (full - empty))
                connection.close()
    return rows


class SlowReaders:
    """Clients that request a large value and read it slowly."""

    def __init__(self, server, key, count):
        self.sockets = [server.connect().socket for _ in range(count)]
        for one in self.sockets:
            one.sendall(f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n".encode())

    def read(self, each):
        """Reads some bytes from each socket. Returns their total number."""
        return sum(len(one.recv(each)) for one in self.sockets)

    def close(self):
        for one in self.sockets:
            one.close()


@case("slow", "a value of 100 MB read by 20 slow clients: memory, and the longest round trip of another client",
      quick=True)
def slow(bench):
    size, readers = bench.sized(100, 20) * 1_000_000, 20
    text = f"a value of {size / 1e6:g} MB read by {readers} slow clients"
    longest = wait_probe(bench, f"while {readers} slow clients read a value of {size / 1e6:g} MB")
    held = Row(f"{text}: memory for each of them, of the value's", "%", 100, 1)
    for server in started(bench, ("atomdb", "redis")):
        with server:
            connection = server.connect()
            connection.ask("SET", "large", "x" * size)
            before, most, taken = settle(server), 0, 0
            with load.probe(bench, server) as probe:
                clients = SlowReaders(server, "large", readers)
                end = time.monotonic() + bench.sized(5, 2)
                while time.monotonic() < end:
                    taken += clients.read(16 << 10)
                    most = max(most, server.resident())
                    time.sleep(0.02)
                clients.close()
                longest.add(server.name, probe.result()["max_ns"])
            connection.close()
            if not 0 < taken < size * readers:
                raise Failure(f"{server.name}: the readers are not slow: {taken:,} bytes")
            held.add(server.name, (most - before) / readers / size)
    return [longest, held]
