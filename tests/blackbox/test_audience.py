"""A command with very many receivers of messages does not hold its worker for long.

The tenant has an audience of one kind: subscribers of keyspace events, clients that track keys or prefixes, monitors.
The tests count the work between two check points (tests/hooks/count_work.c). The count does not depend on the speed and
the load of the machine."""

import contextlib

import pytest

from harness import encode, wait_for

# Units between two points, each about a nanosecond.
MOST = 500_000
CONFIG = """
workers = 1;
enable_debug_command = true;
defaults: { max_entries = 0; max_memory = "0"; };
"""
WRITES = [("SET", "k", 1), ("INCR", "k"), ("APPEND", "k", "x"), ("EXPIRE", "k", 100), ("GETDEL", "k"), ("MSET", "k", 1, "l", 2),
          ("RENAME", "k", "l"), ("DEL", "l"), ("GET", "none"), ("MULTI",), ("SET", "k", 1), ("DEL", "k"), ("EXEC",),
          ("SET", "k", 1), ("FLUSHALL",)]


class Meter:
    """Reads the longest piece of work, on a connection of another tenant to the same worker. A daemon that is built without
    ATOMDB_COUNT_WORK counts nothing."""

    def __init__(self, server):
        self.client = server.client("neighbour")

    def read(self):
        """Returns the units since the last call and the two code addresses if the units are too many; else nothing."""
        longest = self.client.cmd("DEBUG", "LONGEST-WORK")
        return longest if longest[0] > MOST else []


def subscribe(server, stack):
    """Returns 20 clients with 500 patterns each. The patterns match all events."""
    patterns = [b"[_%d]*" % i for i in range(500)]
    clients = [stack.enter_context(server.client("tenant")) for _ in range(20)]
    assert clients[0].cmd("CONFIG", "SET", "notify-keyspace-events", "EAmn") == "OK"
    for client in clients:
        client.send(encode("PSUBSCRIBE", *patterns))
        assert [client.read()[2] for _ in patterns] == list(range(1, 501))
    return clients


def crowd(server, stack, *commands, count=2000):
    """Returns many clients that have sent the same commands."""
    clients = [stack.enter_context(server.client("tenant")) for _ in range(count)]
    for client in clients:
        client.send(b"".join(encode(*command) for command in commands))
    for client in clients:
        for _ in commands:
            client.read()
    return clients


def costs(meter, client, commands):
    """Returns the commands that made a longer piece of work than allowed, with its units."""
    meter.read()
    late = []
    for command in commands:
        client.cmd(*command)
        client.cmd("PING")
        longest = meter.read()
        if longest:
            late.append((command, longest))
    return late


@pytest.mark.hooks
def test_a_write_with_many_subscribers_of_events_is_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        clients = subscribe(server, stack)
        client = stack.enter_context(server.client("tenant"))
        assert costs(meter, client, WRITES) == []
        assert clients[0].read()[1:] == [b"[_0]*", b"__keyevent@0__:new", b"k"]
        for pattern in range(1, 500):
            assert clients[0].read()[1] == b"[_%d]*" % pattern
        assert clients[0].read()[1:] == [b"[_0]*", b"__keyevent@0__:set", b"k"]


@pytest.mark.hooks
def test_events_of_expired_keys_are_sent_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(server.client("tenant"))
        client.many([("SET", f"k{i}", 1, "PX", 1000) for i in range(20)])
        clients = subscribe(server, stack)
        meter.read()
        wait_for(lambda: client.cmd("DBSIZE") == 0, 20)
        expired = {clients[-1].read()[3] for _ in range(20 * 500)}
        assert expired == {b"k%d" % i for i in range(20)}
        assert client.cmd("PING") == "PONG"
        assert meter.read() == []


@pytest.mark.hooks
def test_invalidations_of_a_key_for_many_clients_are_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        clients = crowd(server, stack, ("HELLO", 3), ("CLIENT", "TRACKING", "ON"), ("GET", "k"))
        client = stack.enter_context(server.client("tenant"))
        assert costs(meter, client, WRITES) == []
        for each in clients:
            assert each.read() == [b"invalidate", [b"k"]]


@pytest.mark.hooks
def test_broadcast_invalidations_for_many_clients_are_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        clients = crowd(server, stack, ("HELLO", 3), ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k", "PREFIX", "l", "NOLOOP"))
        client = stack.enter_context(server.client("tenant"))
        assert costs(meter, client, WRITES) == []
        for each in clients:
            assert each.read() == [b"invalidate", [b"k"]]


@pytest.mark.hooks
def test_collected_invalidations_of_many_prefixes_are_sent_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client("tenant")) for _ in range(100)]
        for i, client in enumerate(clients):
            assert client.cmd("HELLO", 3)
            assert client.cmd("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", b"k" * (i + 1)) == "OK"
        client = stack.enter_context(server.client("tenant"))
        meter.read()
        client.many([("SET", b"k" * 100 + b"%d" % i, 1) for i in range(500)])
        assert client.cmd("PING") == "PONG"
        assert meter.read() == []
        names = set()
        while len(names) < 500:
            names.update(clients[-1].read()[1])


@pytest.mark.hooks
def test_lines_for_many_monitors_are_in_pieces(atomdb):
    server = atomdb.start(CONFIG)
    meter = Meter(server)
    with contextlib.ExitStack() as stack:
        clients = crowd(server, stack, ("MONITOR",))
        client = stack.enter_context(server.client("tenant"))
        assert costs(meter, client, WRITES) == []
        for each in clients:
            assert each.read().endswith('"SET" "k" "1"')
