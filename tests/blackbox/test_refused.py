"""A refused write changes nothing. No command or transaction uses much more memory than the quota of its tenant."""

import os

import pytest

from harness import Error, encode, info

KEYS = 40_000
MIB = 1 << 20
OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
SMALL = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "8M"; };\n'
LARGE = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "64M"; client_memory = "64M"; };\n'
FULL = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "8M"; eviction = "none"; };\n'
# Memory of the process besides the tenant: static data, input and replies of one command, free pages.
CONSTANT = 100 * MIB


@pytest.fixture
def full(atomdb):
    atomdb.start(SMALL)
    with atomdb.client("s") as client:
        client.many(("SET", f"key:{number}", "v" * 40) for number in range(KEYS))
        assert client.cmd("DBSIZE") == KEYS
        yield client


def fill(client):
    """Sets keys until the tenant is full. Returns their number."""
    number = 0
    for value in (os.urandom(1000).hex(), ""):
        while client.cmd("SET", f"key:{number}", value) == "OK":
            number += 1
    return number


REFUSED = {
    "SETRANGE": ("SETRANGE", "new", 100_000_000, "x"),
    "SETRANGE of a key": ("SETRANGE", "key:0", 100_000_000, "x"),
    "SETBIT": ("SETBIT", "new", 800_000_000, 1),
    "BITFIELD": ("BITFIELD", "new", "SET", "u8", 800_000_000, 1),
    "SET": ("SET", "new", b"x" * (20 * MIB)),
    "APPEND": ("APPEND", "key:0", b"x" * (20 * MIB)),
    "SETEX": ("SETEX", "new", 100, b"x" * (20 * MIB)),
    "GETSET": ("GETSET", "key:0", b"x" * (20 * MIB)),
    "MSET": ("MSET", "a", b"x" * (5 * MIB), "b", b"x" * (5 * MIB), "c", b"x" * (5 * MIB)),
    "MSETNX": ("MSETNX", "a", b"x" * (5 * MIB), "b", b"x" * (5 * MIB), "c", b"x" * (5 * MIB)),
    "GET": ("GET", b"x" * (20 * MIB)),
    "ECHO": ("ECHO", b"x" * (20 * MIB)),
    "WATCH": ("WATCH", *[f"name:{number}" for number in range(60_000)]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_command_evicts_nothing(full, name):
    assert full.cmd(*REFUSED[name]) == OOM
    assert full.cmd("DBSIZE") == KEYS
    assert full.cmd("GET", "key:0") == b"v" * 40
    assert info(full, "stats")["evicted_keys"] == "0"


def test_a_value_that_can_fit_evicts_no_more_than_it_takes(full):
    assert full.cmd("SETRANGE", "new", 4 * MIB, "x") == 4 * MIB + 1
    assert full.cmd("EXISTS", "new", f"key:{KEYS - 1}") == 2


# --- several keys --------------------------------------------------------------------------------------------------


def test_mset_sets_all_keys_or_none(atomdb):
    atomdb.start(FULL)
    with atomdb.client("s") as client:
        assert client.cmd("SETRANGE", "ballast", 7_300_000, "x") == 7_300_001
        assert client.cmd("SET", "a", "old") == "OK"
        large = b"x" * 400_000
        for command in ("MSET", "MSETNX"):
            names = ("a", "b", "c") if command == "MSET" else ("d", "b", "c")
            pairs = [part for name in names for part in (name, large)]
            assert client.cmd(command, *pairs) == OOM
            assert sorted(client.cmd("KEYS", "*")) == [b"a", b"ballast"] and client.cmd("GET", "a") == b"old"
        # A repeated key needs room for one value only. The replaced value counts as room.
        some = b"x" * 100_000
        assert client.cmd("MSET", *["a", some] * 8) == "OK"
        assert client.cmd("MSET", "b", some, "a", some) == "OK"
        assert client.cmd("MSET", "a", "1", "b", "2", "a", "3") == "OK"
        assert client.cmd("MGET", "a", "b") == [b"3", b"2"]


def test_mset_is_refused_if_max_entries_has_no_room_for_all(atomdb):
    atomdb.start('workers = 1;\ndefaults: { max_entries = 30; };\n')
    with atomdb.client("s") as client:
        assert client.cmd("SET", "old", "1") == "OK"
        assert client.cmd("MSET", *[str(part) for part in range(62)]) == OOM
        assert client.cmd("DBSIZE") == 1
        assert client.cmd("MSET", *[str(part) for part in range(60)]) == "OK"
        assert client.cmd("DBSIZE") == 30 and client.cmd("EXISTS", "old") == 0


# --- queued commands -----------------------------------------------------------------------------------------------


def transaction(client, commands):
    """Returns the replies of EXEC."""
    client.send(b"".join(encode(*command) for command in [("MULTI",), *commands, ("EXEC",)]))
    replies = [client.read() for _ in range(len(commands) + 2)]
    return replies[-1]


def peak(atomdb):
    return atomdb.status("VmHWM")


TRANSACTIONS = {
    "flushed": [part for _ in range(40) for part in (("SETRANGE", "k", 50_000_000, "x"), ("FLUSHALL",))],
    "saved": [("BITFIELD", "big", "SET", "u8", 0, n, "SET", "u8", "#29000000", n) for n in range(60)],
    "copied": [("COPY", "big", f"copy:{n}", "REPLACE") for n in range(60)],
    "copied over one": [("COPY", "big", "big:2", "REPLACE") for n in range(60)],
    "replaced": [("SETRANGE", f"k{n % 3}", 20_000_000 + n, "x") for n in range(60)],
    "removed": [part for n in range(40) for part in (("SETRANGE", "k", 20_000_000 + n * MIB // 4, "x"), ("DEL", "k"))],
    "renamed": [("RENAME", f"k{n}", f"k{n + 1}") for n in range(40)],
    "moved": [("MOVE", "big", 1), ("SELECT", 1), *[("SETRANGE", "big", 29_000_000 + n, "x") for n in range(40)]],
}


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_a_transaction_stays_within_the_quota(atomdb, name):
    atomdb.start(LARGE)
    with atomdb.client("s", timeout=120) as client:
        assert client.cmd("SETRANGE", "big", 29_000_000, "x") == 29_000_001
        assert client.cmd("RENAME" if name == "renamed" else "EXISTS", "big", "k0") in ("OK", 1)
        before = peak(atomdb)
        replies = transaction(client, TRANSACTIONS[name])
        assert not isinstance(replies, Error)
        assert peak(atomdb) - before < 64 * MIB + CONSTANT
        assert int(info(client, "memory")["used_memory"]) <= 64 * MIB
        # The tenant is usable again, and the queued commands are freed.
        assert client.cmd("FLUSHALL") == "OK"
        assert client.cmd("SETRANGE", "k", 50_000_000, "x") == 50_000_001


def test_flushed_values_are_freed_outside_of_a_transaction(atomdb):
    atomdb.start(LARGE)
    with atomdb.client("s", timeout=120) as client:
        commands = [part for _ in range(40) for part in (("SETRANGE", "k", 50_000_000, "x"), ("FLUSHALL",))]
        client.send(b"".join(encode(*command) for command in commands))
        assert [client.read() for _ in commands] == [50_000_001, "OK"] * 40
        assert peak(atomdb) < 2 * 64 * MIB + CONSTANT


# --- reads -----------------------------------------------------------------------------------------------------------


def test_pfcount_of_a_full_tenant_counts(atomdb):
    atomdb.start(FULL)
    with atomdb.client("s") as client:
        for number in range(20):
            client.cmd("PFADD", f"h{number}", *range(1 + number * 300))
        counts = [client.cmd("PFCOUNT", f"h{number}", "absent") for number in range(20)]
        fill(client)
        assert transaction(client, [("PFCOUNT", f"h{number}") for number in range(20)]) == counts


def test_a_short_transaction_of_a_full_tenant_is_not_refused(atomdb):
    atomdb.start(FULL)
    with atomdb.client("s") as client:
        old, new = os.urandom(500).hex(), os.urandom(500).hex()
        for name in ("a", "b", "c"):
            assert client.cmd("SET", name, old) == "OK"
        assert client.cmd("SET", "n", 10) == "OK"
        number = fill(client) - 1
        assert client.cmd("DEL", "key:0") == 1  # for the table
        commands = [("SET", "a", new), ("MSET", "a", old, "b", new), ("SETRANGE", "c", 0, new), ("INCR", "n"),
                    ("RENAME", "c", "d"), ("COPY", "a", "b", "REPLACE"), ("GETSET", "d", old), ("APPEND", "a", "")]
        assert transaction(client, commands) == ["OK", "OK", 1000, 11, "OK", 1, new.encode(), 1000]
        assert client.cmd("DBSIZE") == number + 4
        # The rest of the transaction may use the reserve for one command.
        assert transaction(client, [("FLUSHALL",), ("SET", "a", new), ("GET", "a")]) == ["OK", "OK", new.encode()]


# --- room to free memory -------------------------------------------------------------------------------------------


def test_a_full_tenant_without_eviction_can_make_room(atomdb):
    atomdb.start(FULL)
    with atomdb.client("s") as client, atomdb.client("s") as other:
        number = fill(client)
        assert other.cmd("WATCH", "key:0") == "OK"
        assert other.cmd("MULTI") == "OK"
        assert other.cmd("DEL", "key:0", "key:1", "key:2") == "QUEUED"
        assert other.cmd("EXEC") == [3]
        while client.cmd("SET", f"key:{number}", "") == "OK":
            number += 1
        assert other.cmd("HELLO", 3)[b"proto"] == 3
        assert other.cmd("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert other.cmd("CLIENT", "TRACKING", "ON") == "OK"
        assert other.cmd("GET", "key:5") is not None
        assert client.cmd("SET", "key:new", b"x" * 200_000) == OOM
        assert client.cmd("PING") == "PONG"
        assert client.cmd("DEL", "key:5") == 1
