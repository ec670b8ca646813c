"""The process ends while commands of every kind are suspended in their middle: by SIGKILL, or for a restart.

After a crash each command is there completely or not at all. After a restart the next process runs it again, exactly
once: replies, keys and events are as if it had run in one piece."""

import random
import select

import pytest

from harness import Error, encode

ONE = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'
BIG = 1 << 20
FEW = 100


def text(seed, size):
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def keys(prefix, count=FEW):
    return [f"{prefix}:{i}" for i in range(count)]


def pairs(prefix, value, count=FEW):
    return [word for key in keys(prefix, count) for word in (key, value)]


def sets(prefix, value="v", count=FEW):
    return [("SET", key, value) for key in keys(prefix, count)]


def big(name, seed, size=BIG):
    return [("SET", name, text(seed, size))]


def transaction(*commands, pad=17):
    """A transaction that runs on a fiber, with commands before and behind."""
    around = [("INCR", f"pad:{i}") for i in range(pad)]
    return [("MULTI",), *around, *commands, *around, ("EXEC",)]


HLL_SOURCES = [f"hll:{i}" for i in range(20)]
HLLS = [("PFADD", name, *(f"{name}:{j}" for j in range(50))) for name in HLL_SOURCES]

# Stands for what DUMP says of the key `dumped`.
DUMPED = None

# Name, commands that make the data, and the commands of which the last one is suspended.
WRITERS = {
    "exec": (sets("k") + big("b", 1) + [("SET", "n", 1)], transaction(
        ("SET", "new", "v"), ("DEL", "k:1", "k:2"), ("RENAME", "k:3", "k:4"), ("GETSET", "k:5", "x"),
        ("EXPIRE", "b", 100000), ("APPEND", "b", "more"), ("COPY", "b", "c"), ("MOVE", "k:6", 3), ("GETDEL", "k:7"),
        ("SETRANGE", "b", 500000, "within"), ("PFADD", "h", "1", "2"), ("BITOP", "NOT", "d", "c"), ("INCRBY", "n", 5),
        ("SELECT", 3), ("SET", "other", "v"), ("FLUSHDB",), ("SET", "last", "v"), ("SELECT", 0), ("UNLINK", "c"))),
    "mset": (sets("k"), [("MSET", *pairs("k", "new", 2 * FEW))]),
    "mset of big values": (big("k:1", 1), [("MSET", *pairs("k", text(2, 5000)))]),
    "msetnx": (sets("other"), [("MSETNX", *pairs("k", "new"))]),
    "del": (sets("k", "v", 70), [("DEL", *keys("k"))]),
    "unlink": (sets("k", "v", 70), [("UNLINK", *keys("k"))]),
    "del of big values": (big("k:3", 1) + big("k:4", 2) + sets("other"), [("DEL", *keys("k"))]),
    "rename": (big("a", 1) + big("b", 2), [("RENAME", "a", "b")]),
    "renamenx": (big("a", 1), [("RENAMENX", "a", "b")]),
    "copy": (big("a", 1) + big("b", 2, 700000), [("COPY", "a", "b", "REPLACE")]),
    "copy to another database": (big("a", 1), [("COPY", "a", "a", "DB", 5)]),
    "bitop": (big("a", 1) + big("b", 2) + big("d", 3), [("BITOP", "XOR", "d", "a", "b")]),
    "bitop onto its source": (big("a", 1), [("BITOP", "NOT", "a", "a")]),
    "setrange within": (big("a", 1), [("SETRANGE", "a", 300000, text(9, 100000))]),
    "setrange behind": (big("a", 1), [("SETRANGE", "a", 2 * BIG, "end")]),
    "setrange of a new key": ([], [("SETRANGE", "a", BIG, "end")]),
    "append": (big("a", 1), [("APPEND", "a", text(9, 100000))]),
    "append of a byte": (big("a", 1), [("APPEND", "a", "x")]),
    "setbit": (big("a", 1), [("SETBIT", "a", 5000000, 1)]),
    "setbit behind": (big("a", 1), [("SETBIT", "a", 20000000, 1)]),
    "bitfield": (big("a", 1), [("BITFIELD", "a", "SET", "u8", 100, 7, "INCRBY", "u8", 4000000, 9, "GET", "u8", 100,
                                "SET", "u16", 20000000, 5)]),
    "bitfield of many": (sets("k"), [("BITFIELD", "a", *(word for i in range(FEW)
                                                         for word in ("INCRBY", "u8", 8 * i, i)))]),
    "restore": (big("a", 1) + big("dumped", 2), [("RESTORE", "a", 100000000, DUMPED, "REPLACE")]),
    "pfadd": ([("PFADD", "h", "x")], [("PFADD", "h", *(f"e:{i}" for i in range(2000)))]),
    "pfmerge": (HLLS + [("PFADD", "h", "x")], [("PFMERGE", "h", *HLL_SOURCES)]),
    "flushdb": (sets("k"), transaction(("FLUSHDB",), ("SET", "k:1", "new"))),
    "flushall": (sets("k") + [("SELECT", 2)] + sets("l") + [("SELECT", 0)], transaction(("FLUSHALL",))),
    "swapdb": (sets("k") + [("SELECT", 2)] + sets("l") + [("SELECT", 0)], transaction(("SWAPDB", 0, 2), ("GET", "l:1"))),
    "move": (big("a", 1), transaction(("MOVE", "a", 4))),
    "getset": (big("a", 1), transaction(("GETSET", "a", text(2, 1000)))),
    "set": (big("a", 1), transaction(("SET", "a", text(2, BIG)), ("SET", "c", text(3, BIG), "EX", 100000))),
    "expire": (big("a", 1), transaction(("EXPIRE", "a", 100000), ("PERSIST", "a"), ("EXPIRE", "a", 200000))),
    "getdel": (big("a", 1), transaction(("GETDEL", "a"))),
    "incr": ([("SET", "n", 12), ("SET", "f", "1.5")], transaction(("INCRBYFLOAT", "f", "2.25"), ("DECR", "n"))),
}

READERS = {
    "keys": (sets("k", "v", 1500), [("KEYS", "*1*")]),
    "mget": (sets("k"), [("MGET", *keys("k"))]),
    "exists": (sets("k"), [("EXISTS", *keys("k", 200))]),
    "touch": (sets("k"), [("TOUCH", *keys("k", 200))]),
    "lcs": ([("SET", "a", "ab" * 2000), ("SET", "b", "ba" * 2000)], [("LCS", "a", "b", "LEN")]),
    "dump": (big("a", 1), [("DUMP", "a")]),
    "bitcount": (big("a", 1), [("BITCOUNT", "a")]),
    "bitpos": ([("SETBIT", "a", 8 * BIG, 1)], [("BITPOS", "a", 1)]),
    "getrange": (big("a", 1), [("GETRANGE", "a", 10, 900000)]),
    "pfcount": (HLLS, [("PFCOUNT", *HLL_SOURCES)]),
    "scan": (sets("k", "v", 1500), [("SCAN", 0, "COUNT", 1000, "MATCH", "x*x*x*x")]),
    "command info": ([], [("COMMAND", "INFO", *["get"] * 200)]),
    "watch": ([("SET", "n", 1)], [("WATCH", *keys("k"))]),
    "unwatch": ([("WATCH", *keys("k", 60))], [("UNWATCH",)]),
    "discard": ([("WATCH", *keys("k", 60)), ("MULTI",), ("SET", "a", "b")], [("DISCARD",)]),
    "publish": ([], [("PUBLISH", "channel:1", "message")]),
    "subscribe": ([], [("SUBSCRIBE", *keys("channel", 150))]),
    "psubscribe": ([], [("PSUBSCRIBE", *keys("channel", 150))]),
    "unsubscribe": ([("SUBSCRIBE", *keys("channel", 150))], [("UNSUBSCRIBE",)]),
    "unsubscribe some": ([("SUBSCRIBE", *keys("channel", 150))], [("UNSUBSCRIBE", *keys("channel", 90))]),
}


def count_replies(command):
    """Returns how many replies a command has."""
    if command[0].lower().endswith("subscribe"):
        return len(command) - 1 or 150
    return 1


def without_order(kind, replies):
    """Leaves out cursors and the order of keys: they depend on the size of the table, which grows in steps."""
    if kind == "keys":
        return [sorted(reply) for reply in replies]
    if kind == "scan":
        return [sorted(names) for _, names in replies]
    return replies


def ask(client, commands):
    client.send(b"".join(encode(*command) for command in commands))
    return read(client, commands)


def read(client, commands):
    return [client.read() for command in commands for _ in range(count_replies(command))]


def contents(client):
    """Returns all that a tenant has."""
    found = {}
    for database in range(16):
        assert client.cmd("SELECT", database) == "OK"
        names = sorted(set(client.cmd("KEYS", "*")) - {b"of the same tenant"})
        values = client.many([("GET", name) for name in names])
        lifetimes = [left // 1000000 for left in client.many([("PTTL", name) for name in names])]
        if names:
            found[database] = dict(zip(names, zip(values, lifetimes)))
    assert client.cmd("SELECT", 0) == "OK"
    return found


class Case:
    """A command of a tenant of its own, and what it does if nothing disturbs it."""

    def __init__(self, kind, setup, commands):
        self.kind, self.setup, self.commands = kind, setup, commands
        self.secret = f"tenant of {kind}"

    def reference(self, server):
        with server.client(self.secret + " in one piece") as client, server.client(self.secret + " in one piece") as ear:
            ask(client, self.setup)
            changes = self.kind in WRITERS
            self.before = contents(client) if changes else None
            payload = client.cmd("DUMP", "dumped") if changes else None
            self.commands = [tuple(payload if word is DUMPED else word for word in command) for command in self.commands]
            listen(ear)
            self.replies = ask(client, self.commands)
            assert not any(isinstance(reply, Error) for reply in self.replies), self.replies
            self.events = heard(ear)
            self.after = contents(client) if changes else None

    def prepare(self, server):
        self.client = server.client(self.secret)
        ask(self.client, self.setup)

    def begin(self, server):
        """Sends the command, and then another one in the same bytes."""
        self.same = server.client(self.secret)
        self.listener = server.client(self.secret)
        listen(self.listener)
        self.client.send(b"".join(encode(*command) for command in self.commands) + encode("PING", "behind"))
        self.same.send(encode("PING", "same") + encode("APPEND", "of the same tenant", "x"))

    def close(self):
        for client in (self.client, self.same, self.listener):
            client.close()

    def has_ended(self):
        """Returns whether the reply has arrived. A large command that a transaction queues may be suspended itself."""
        for _ in self.commands[:-1]:
            if not self.is_answered():
                return False
            self.client.read()
        return self.is_answered()

    def is_answered(self):
        return self.client.at < len(self.client.data) or bool(select.select([self.client.sock], [], [], 0)[0])


def listen(client):
    """Subscribes a client to all changes, and fills a tenant with subscriptions."""
    assert client.cmd("CONFIG", "SET", "notify-keyspace-events", "AKE") == "OK"
    names = ["__keyevent@*", "channel:*"] + [f"pattern:{i}:{'x' * 20}*" for i in range(70)]
    client.send(b"".join(encode("PSUBSCRIBE", name) for name in names))
    for name in names:
        assert client.read()[1] == name.encode()


def heard(client):
    """Returns the messages so far."""
    client.send(encode("PING"))
    found = []
    while True:
        message = client.read()
        if message[0] == b"pong":
            return found
        found.append(message[2:])


def run_turns(server, count):
    """Lets the worker go through turns: each takes suspended commands further. Returns how many writes a neighbour has
    done meanwhile."""
    with server.client("neighbour") as neighbour:
        for i in range(count):
            assert neighbour.cmd("SET", f"n:{i}", i) == "OK"
    return count


def check_neighbour(server, count):
    with server.client("neighbour") as neighbour:
        assert neighbour.many([("GET", f"n:{i}") for i in range(count)]) == [str(i).encode() for i in range(count)]
        assert neighbour.cmd("DBSIZE") == count


def suspended(service, kinds, slices):
    """Starts a service in which a command of each kind is suspended after some check points. Returns the cases."""
    cases = [Case(kind, *parts) for kind, parts in kinds.items()]
    service.start(ONE)
    for case in cases:
        case.reference(service)
        case.prepare(service)
    service.restart(environment={"ATOMDB_TEST_HOLD": str(slices)})
    for case in cases:
        case.begin(service)
    return cases


@pytest.mark.hooks
@pytest.mark.parametrize("slices", (1, 41))
def test_a_crash_leaves_nothing_or_all_of_each_suspended_writer(service, slices):
    cases = suspended(service, WRITERS, slices)
    writes = run_turns(service, 100 + 2 * len(cases) * slices)
    ended = [case.kind for case in cases if case.has_ended()]
    service.crash()
    check_neighbour(service, writes)
    for case in cases:
        case.close()
        with service.client(case.secret) as client:
            # The others may have ended since.
            states = [case.after] if case.kind in ended else [case.after, case.before]
            assert contents(client) in states, case.kind
    assert len(ended) <= 2 * slices


@pytest.mark.hooks
@pytest.mark.parametrize("slices", (1, 6))
def test_the_next_process_runs_each_suspended_writer_once(service, slices):
    cases = suspended(service, WRITERS, slices)
    writes = run_turns(service, 100 + 2 * len(cases) * slices)
    service.restart()
    check_neighbour(service, writes)
    for case in cases:
        assert read(case.client, case.commands) == case.replies, case.kind
        assert case.client.read() == b"behind"
        assert [case.same.read(), case.same.read()] == [b"same", 1]
        events = [event for event in heard(case.listener) if event[1] != b"of the same tenant"]
        assert events == case.events, case.kind
        case.close()
        with service.client(case.secret) as client:
            assert contents(client) == case.after, case.kind


@pytest.mark.hooks
def test_the_next_process_answers_each_suspended_reader(service):
    cases = suspended(service, READERS, 2)
    writes = run_turns(service, 200)
    service.restart()
    check_neighbour(service, writes)
    for case in cases:
        replies = read(case.client, case.commands)
        assert without_order(case.kind, replies) == without_order(case.kind, case.replies), case.kind
        assert case.client.cmd("PING", "again") in (b"behind", [b"pong", b"behind"])
        assert [case.same.read(), case.same.read()] == [b"same", 1]
        assert [event for event in heard(case.listener) if event[1] != b"of the same tenant"] == case.events, case.kind
        case.close()


@pytest.mark.hooks
@pytest.mark.parametrize("first", ("busy", "other"))
def test_the_next_process_still_sees_changes_of_keys_that_a_suspended_transaction_watched(service, first):
    """The next process may run the other client's command before the transaction, which fails then."""
    service.start(ONE)
    clients = {}
    for name in (first, *({"busy", "other"} - {first})):
        clients[name] = service.client("busy")
    busy, other = clients["busy"], clients["other"]
    assert busy.many([("SET", "k", "old"), ("WATCH", "k", "n"), ("GET", "k")]) == ["OK", "OK", b"old"]
    service.restart(environment={"ATOMDB_TEST_HOLD": "7"})
    commands = transaction(("INCR", "n"), ("SET", "k", "mine"))
    busy.send(b"".join(encode(*command) for command in commands))
    run_turns(service, 50)
    other.send(encode("SET", "k", "theirs"))
    run_turns(service, 50)
    service.restart()
    assert other.read() == "OK"
    replies = read(busy, commands)
    assert replies[-1] is None or replies[-1][17:19] == [1, "OK"]
    assert other.cmd("GET", "k") == b"theirs"
    busy.close()
    other.close()


@pytest.mark.hooks
def test_a_suspended_transaction_with_invalidations_delays_no_restart(service):
    """The next process runs the transaction again, and sends its invalidations."""
    service.start(ONE)
    busy, tracker = service.client("busy"), service.client("busy")
    assert isinstance(tracker.cmd("HELLO", 3), dict)
    assert tracker.cmd("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k") == "OK"
    service.restart(environment={"ATOMDB_TEST_HOLD": "25"})
    commands = transaction(("SET", "k", "mine"))
    busy.send(b"".join(encode(*command) for command in commands))
    run_turns(service, 100)
    service.restart()
    assert read(busy, commands)[-1][17] == "OK"
    assert tracker.read() == [b"invalidate", [b"k"]]
    assert tracker.cmd("PING") == "PONG"
    busy.close()
    tracker.close()
