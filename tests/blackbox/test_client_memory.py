"""The limit on the memory of a tenant's clients: beyond it, the daemon closes the client with the most memory
and keeps the keys."""

import os
import re
import socket
import time

import pytest

from harness import Error, encode, info, wait_for

KEYS = 40_000
QUOTA = 8 << 20
# The clients of a tenant may use a quarter of its 8 MiB.
CONFIG = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "8M"; };\n'
OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
# Memory of the process besides the tenant: static data, buffers of the worker, partly free pages.
CONSTANT = 40 << 20


# A sanitizer delays the release of freed memory: do not check it.
sanitized = False


@pytest.fixture(autouse=True)
def know_the_build(request):
    global sanitized
    sanitized = request.config.getoption("--hooks")


def high_water(atomdb):
    return 0 if sanitized else atomdb.status("VmHWM")


def fill(client):
    """Writes 40,000 keys, which almost fill 8 MiB: any use beyond client_memory would evict some of them."""
    client.many(("SET", f"key:{number}", "v" * 90) for number in range(KEYS))
    assert client.cmd("DBSIZE") == KEYS
    assert int(info(client, "memory")["used_memory"]) < QUOTA
    return client


@pytest.fixture
def full(atomdb):
    atomdb.start(CONFIG)
    with atomdb.client("s") as client:
        yield fill(client)


def keys_left(client):
    return client.cmd("DBSIZE")


def refused_until_full(client, commands):
    """Sends commands until one is refused. Returns the number of accepted ones."""
    count = 0
    for command in commands:
        reply = client.cmd(*command)
        if isinstance(reply, Error):
            assert reply == OOM
            return count
        count += 1
    raise AssertionError("nothing was refused")


def evictions(atomdb):
    return re.findall(r"A client holds too much of its tenant's memory; closed.*", atomdb.log())


def test_subscriptions_are_refused_and_keys_stay(atomdb, full):
    with atomdb.client("s") as greedy:
        greedy.cmd("HELLO", "3")
        count = refused_until_full(greedy, (("SUBSCRIBE", f"channel:{n:050}") for n in range(60_000)))
        assert count > 1000
        assert keys_left(full) > KEYS * 0.7
        assert greedy.cmd("PING") == "PONG" and greedy.cmd("GET", f"key:{KEYS - 1}") == b"v" * 90
        # Another client has room at once: the client with the most memory is closed for it.
        with atomdb.client("s") as other:
            assert other.cmd("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert greedy.closed() and len(evictions(atomdb)) == 1
    assert int(info(full, "stats")["evicted_clients"]) == 1


@pytest.mark.parametrize("command", ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "WATCH"])
def test_one_command_of_many_names_is_refused(atomdb, full, command):
    with atomdb.client("s") as greedy:
        reply = greedy.cmd(command, *[f"name:{n:050}" for n in range(60_000)])
        assert reply == OOM
        assert keys_left(full) > KEYS * 0.7
        assert greedy.cmd("PING") == "PONG"
    wait_for(lambda: int(info(full, "memory")["mem_clients_normal"]) < 100_000, 10, "the memory to be given back")


def test_queued_commands_are_refused_and_keys_stay(atomdb, full):
    with atomdb.client("s") as greedy:
        assert greedy.cmd("MULTI") == "OK"
        replies = [greedy.cmd("SET", f"big:{n}", "x" * 100_000) for n in range(200)]
        assert replies[0] == "QUEUED" and OOM in replies
        assert greedy.cmd("EXEC").code == "EXECABORT"
        assert keys_left(full) > KEYS * 0.7
        assert greedy.cmd("PING") == "PONG"


@pytest.mark.parametrize("listen", [("SUBSCRIBE", "news"), ("MONITOR",), ("PSUBSCRIBE", "n*")], ids=lambda c: c[0])
def test_a_client_that_does_not_read_is_closed_before_keys_are_evicted(atomdb, full, listen):
    deaf = atomdb.client("s")
    deaf.cmd(*listen)
    message = os.urandom(1000)
    wait_for(lambda: full.many([("PUBLISH", "news", message)] * 500) and evictions(atomdb), 30,
             "the deaf client to be closed")
    assert keys_left(full) > KEYS * 0.7
    line = evictions(atomdb)[0]
    assert "bytes" in line and "127.0.0.1" in line
    assert full.cmd("PING") == "PONG"
    assert deaf.closed()


def test_client_no_evict_closes_others_first_but_raises_no_limit(atomdb, full):
    with atomdb.client("s") as kept, atomdb.client("s") as other:
        assert kept.cmd("CLIENT", "NO-EVICT", "ON") == "OK"
        kept.cmd("HELLO", "3")
        for n in range(3000):
            kept.cmd("SUBSCRIBE", f"channel:{n:050}")
        assert other.cmd("MULTI") == "OK" and other.cmd("SET", "k", "x" * 200_000) == "QUEUED"
        refused_until_full(kept, (("SUBSCRIBE", f"more:{n:050}") for n in range(60_000)))
        assert other.closed() and kept.cmd("PING") == "PONG"
        assert keys_left(full) > KEYS * 0.7


LARGE = "x" * (20 << 20)
TOO_LARGE = {
    "SET": ("SET", "k", LARGE), "APPEND": ("APPEND", "k", LARGE), "GET": ("GET", LARGE), "ECHO": ("ECHO", LARGE),
    "MSET": ("MSET", "a", LARGE[: 5 << 20], "b", LARGE[: 5 << 20], "c", LARGE[: 5 << 20]),
    "many": ("MSET", *["x" * 100] * 100_000), "unknown": ("FOO", LARGE), "twice": ("PUBLISH", LARGE, LARGE)}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_command_that_does_not_fit_is_refused_and_the_connection_stays_open(atomdb, full, name):
    before = high_water(atomdb)
    command = encode(*TOO_LARGE[name])
    with atomdb.client("s") as client:
        client.send(encode("PING") + command + encode("SET", "after", 1))
        assert [client.read() for _ in range(3)] == ["PONG", OOM, "OK"]
        assert client.many([("MULTI",), ("SET", "in", 1), TOO_LARGE[name], ("SET", "in", 2), ("EXEC",)]) == [
            "OK", "QUEUED", OOM, "QUEUED", Error("EXECABORT Transaction discarded because of previous errors.")]
        assert client.cmd("EXISTS", "in") == 0
        client.send(encode("CLIENT", "REPLY", "SKIP") + command + encode("PING"))
        assert client.read() == "PONG"
        # In small pieces, as on a slow network.
        for at in range(0, len(command), 50_001):
            client.send(command[at : at + 50_001])
        assert client.read() == OOM and client.cmd("GET", "after") == b"1"
    assert keys_left(full) > KEYS * 0.7
    assert high_water(atomdb) - before < 16 << 20
    assert int(info(full, "errorstats")["errorstat_OOM"].partition("=")[2]) >= 3


def test_unfinished_commands_together_stay_within_the_limit(atomdb, full):
    clients = [atomdb.client("s") for _ in range(12)]
    for client in clients:
        client.send_anyway(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 900_000)
    assert keys_left(full) > KEYS * 0.7
    # The last refused command may still hold its buffer for a moment.
    wait_for(lambda: int(info(full, "memory")["mem_clients_normal"]) < (2 << 20) + 12 * (16 << 10), 10,
             "the buffers beyond the limit to be freed")
    for client in clients:
        client.close()


def test_a_full_tenant_without_eviction_refuses_and_stays_usable(atomdb):
    atomdb.start('workers = 1;\ndefaults: { max_entries = 0; max_memory = "8M"; eviction = "none"; };\n')
    with atomdb.client("s") as client:
        refused_until_full(client, (("SET", f"key:{n}", "v" * 10_000) for n in range(2000)))
        for size in (70_000, 1_000_000, 20_000_000):
            assert client.cmd("SET", "k", "v" * size) == OOM
            assert client.cmd("ECHO", "x") == b"x"
        assert client.cmd("DEL", "key:1") == 1


def test_client_memory_is_an_option_of_a_tenant(atomdb):
    atomdb.start('workers = 1;\ntenants: ( { name = "a"; secret = "a"; max_memory = "64M"; client_memory = "1M"; } );\n')
    with atomdb.client("a") as client:
        assert client.cmd("MULTI") == "OK"
        count = refused_until_full(client, (("ECHO", "x" * 100_000) for _ in range(100)))
        assert 8 <= count <= 10
        assert client.cmd("DISCARD") == "OK"
        assert client.cmd("CONFIG", "GET", "maxmemory-clients") == [b"maxmemory-clients", str(1 << 20).encode()]


# 200 MiB; clients may use 50 MiB of them.
ROOMY = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "200M"; };\n'


@pytest.mark.parametrize("listen", [("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*")], ids=["channel", "pattern"])
def test_a_message_to_many_subscribers_is_stored_once(atomdb, listen):
    size = 25 << 20
    atomdb.start(ROOMY)
    with atomdb.client("s") as publisher:
        subscribers = [atomdb.client("s") for _ in range(20)]
        for subscriber in subscribers:
            subscriber.cmd(*listen)
        before = high_water(atomdb)
        message = os.urandom(size)
        assert publisher.cmd("PUBLISH", "news", message) == 20
        # The command itself, and one copy of the message.
        assert high_water(atomdb) - before < 3 * size
        used = int(info(publisher, "memory")["mem_clients_normal"])
        assert size <= used < size + (2 << 20)
        for subscriber in subscribers:
            assert subscriber.read()[-1] == message
        wait_for(lambda: int(info(publisher, "memory")["mem_clients_normal"]) < 1 << 20, 10, "the message to be freed")
        for subscriber in subscribers:
            subscriber.close()


def test_unread_messages_stay_within_the_limit(atomdb):
    atomdb.start(ROOMY)
    with atomdb.client("s") as publisher:
        deaf = [atomdb.client("s") for _ in range(20)]
        for subscriber in deaf:
            subscriber.cmd("SUBSCRIBE", "news")
        before = high_water(atomdb)
        message = os.urandom(10 << 20)
        wait_for(lambda: publisher.cmd("PUBLISH", "news", message) == 0, 30, "the deaf to be closed")
        assert high_water(atomdb) - before < 80 << 20
        assert len(evictions(atomdb)) == 20
        for subscriber in deaf:
            subscriber.close()


def test_a_line_for_many_monitors_is_stored_once_and_bounded(atomdb):
    atomdb.start(ROOMY)
    with atomdb.client("s") as client:
        monitors = [atomdb.client("s") for _ in range(8)]
        for monitor in monitors:
            monitor.cmd("MONITOR")
        before = high_water(atomdb)
        value = os.urandom(15 << 20)
        assert client.cmd("ECHO", value) == value
        assert client.cmd("ECHO", "x" * 100_000)
        assert client.cmd("MGET", *["key"] * 400_000)
        assert high_water(atomdb) - before < 80 << 20
        for monitor in monitors:
            line = monitor._line()
            assert b'"ECHO" "' in line and line.endswith(b'"... (14680071 more bytes)'), line[-40:]
            assert (1 << 20) < len(line) < (4 << 20) + 200
            assert monitor._line().endswith(b'"ECHO" "%b"' % (b"x" * 100_000))
            assert re.search(rb'"key"... \(\d+ more arguments\)$', monitor._line())
            monitor.close()


def test_monitors_that_do_not_read_are_closed_within_the_limit(atomdb, full):
    deaf = [atomdb.client("s") for _ in range(8)]
    for monitor in deaf:
        monitor.cmd("MONITOR")
    before = high_water(atomdb)
    value = os.urandom(500_000)
    wait_for(lambda: full.many([("ECHO", value)] * 8) and len(evictions(atomdb)) == 8, 30, "the deaf to be closed")
    assert keys_left(full) > KEYS * 0.7
    assert high_water(atomdb) - before < 16 << 20
    for monitor in deaf:
        monitor.close()


def test_events_about_long_names_are_stored_once(atomdb):
    atomdb.start(ROOMY)
    with atomdb.client("s") as client:
        client.cmd("CONFIG", "SET", "notify-keyspace-events", "KEA")
        subscribers = [atomdb.client("s") for _ in range(20)]
        for subscriber in subscribers:
            subscriber.cmd("PSUBSCRIBE", "__key*")
        before = high_water(atomdb)
        name = b"n" * (8 << 20)
        assert client.cmd("SET", name, "v") == "OK"
        assert high_water(atomdb) - before < 100 << 20
        for subscriber in subscribers:
            assert subscriber.read()[2:] == [b"__keyspace@0__:" + name, b"set"]
            assert subscriber.read()[2:] == [b"__keyevent@0__:set", name]
            subscriber.close()


@pytest.mark.parametrize("options", [(), ("BCAST",), ("BCAST", "NOLOOP")], ids=lambda o: "-".join(o) or "default")
def test_invalidations_of_long_names_are_stored_once(atomdb, options):
    atomdb.start(ROOMY)
    with atomdb.client("s") as client:
        name = b"n" * ((8 << 20) if options else (1 << 20))
        trackers = [atomdb.client("s") for _ in range(20)]
        for tracker in trackers:
            tracker.cmd("HELLO", "3")
            tracker.cmd("CLIENT", "TRACKING", "ON", *options)
        assert client.cmd("SET", name, "v") == "OK"
        for tracker in trackers:
            if options:
                assert tracker.read() == [b"invalidate", [name]]
            else:
                assert tracker.cmd("GET", name) == b"v"
        before = high_water(atomdb)
        assert client.cmd("SET", name, "w") == "OK"
        for tracker in trackers:
            assert tracker.read() == [b"invalidate", [name]]
            tracker.close()
        assert high_water(atomdb) - before < 64 << 20


def test_the_table_of_tracked_names_is_a_small_part_of_the_quota(atomdb, full):
    with atomdb.client("s") as tracker:
        tracker.cmd("HELLO", "3")
        tracker.cmd("CLIENT", "TRACKING", "ON")
        before = int(info(full, "memory")["used_memory_overhead"])
        absent = [f"absent:{n:030}" for n in range(60_000)]
        told = 0
        for at in range(0, len(absent), 1000):
            tracker.send(b"".join(encode("GET", name) for name in absent[at : at + 1000]))
            answers = 0
            while answers < 1000:
                reply = tracker.read()
                answers += reply is None
                told += reply is not None and reply[0] == b"invalidate"
        tracker.send(encode("PING"))
        while tracker.read() != "PONG":
            told += 1
        # The server sends invalidations for the names that it drops from the table.
        assert 50_000 < told < 60_000
        assert keys_left(full) > KEYS * 0.9
        assert int(info(full, "memory")["used_memory_overhead"]) - before < QUOTA // 16 + 65536
        # It keeps the latest names.
        assert full.cmd("SET", absent[-1], 1) == "OK"
        assert tracker.read() == [b"invalidate", [absent[-1].encode()]]


TOO_LARGE_REPLY = Error("OOM the reply is larger than client_memory allows, though the command has run")


@pytest.mark.parametrize("command", [
    ("MGET", *["big"] * 40), ("MGET", *["big"] * 40_000), ("COMMAND", "DOCS", *["get"] * 100_000),
    ("CLIENT", "LIST", "ID", *["1"] * 40_000), ("COMMAND", "INFO", *["set"] * 100_000)],
    ids=lambda c: "-".join(c[:2]) + f"-{len(c)}")
def test_a_reply_that_does_not_fit_is_an_error_and_evicts_no_keys(atomdb, command):
    atomdb.start('workers = 1;\ndefaults: { max_entries = 0; max_memory = "64M"; client_memory = "8M"; };\n')
    with atomdb.client("s") as client, atomdb.client("s") as other:
        client.cmd("SET", "big", "x" * 1_000_000)
        for at in range(20):
            client.cmd("SETRANGE", "big2", at * 1_000_000, "x" * 1_000_000)
        client.many(("SET", f"key:{n}", "v" * 100) for n in range(10_000))
        before, keys = high_water(atomdb), client.cmd("DBSIZE")
        assert client.many([("PING",), command, ("ECHO", "x")]) == ["PONG", TOO_LARGE_REPLY, b"x"]
        assert client.cmd("GETSET", "big2", "x") == TOO_LARGE_REPLY and client.cmd("GET", "big2") == b"x"
        assert client.many([("MULTI",), command, ("INCR", "n"), ("EXEC",), ("GET", "n")])[3:] == [TOO_LARGE_REPLY, b"1"]
        assert other.cmd("PING") == "PONG"
        assert client.cmd("DBSIZE") == keys + 1
        assert high_water(atomdb) - before < 24 << 20
        assert int(info(client, "memory")["mem_clients_normal"]) < 1 << 20


def test_a_large_range_is_sent_without_a_copy(atomdb):
    atomdb.start('workers = 1;\ndefaults: { max_entries = 0; max_memory = "64M"; client_memory = "8M"; };\n')
    with atomdb.client("s") as client:
        value = os.urandom(5 << 20)
        for at in range(4):
            client.cmd("SETRANGE", "big", at * len(value), value)
        before = high_water(atomdb)
        assert client.cmd("GETRANGE", "big", 1, -2) == (value * 4)[1:-1]
        assert high_water(atomdb) - before < 4 << 20


def test_replies_that_are_read_need_little_memory(atomdb, full):
    """A pipeline whose replies are a hundred times larger than client_memory."""
    full.cmd("SET", "big", "x" * 100_000)
    with atomdb.client("s") as client:
        for _ in range(100):
            assert len(b"".join(client.many([("MGET", *["big"] * 10)] * 2)[1])) == 1_000_000
    assert keys_left(full) > KEYS * 0.7 and not evictions(atomdb)


def test_clients_of_all_tenants_together_stay_within_max_memory(atomdb):
    """The limits of twenty tenants, 16 MiB each, exceed max_memory: 320 MiB of 64 MiB."""
    atomdb.start('workers = 2;\nmax_memory = "64M";\ndefaults: { max_entries = 0; max_memory = "0"; };\n')
    clients = [atomdb.client(f"s{number}") for number in range(20)]
    for client in clients:
        client.cmd("MULTI")
        for _ in range(100):
            reply = client.cmd("ECHO", "x" * 200_000)
            assert reply in ("QUEUED", OOM)
            if reply == OOM:
                break
    assert high_water(atomdb) < (64 << 20) + CONSTANT
    # A tenant below its share can still write, after memory has been freed.
    for client in clients:
        assert client.cmd("DISCARD") == "OK"
    with atomdb.client("late") as late:
        assert late.cmd("SET", "k", "v" * 1_000_000) == "OK"
    for client in clients:
        client.close()


# Directories for control groups, and the file with the limit: version 2, then 1.
CGROUPS = [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")]


def make_cgroup(limit):
    """Returns a control group with this limit in bytes, or None if the machine does not allow it."""
    for parent, name in CGROUPS:
        if not os.path.exists(f"{parent}/cgroup.procs"):
            continue
        group = f"{parent}/atomdb-test-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(f"{group}/{name}", "r+") as file:
                file.write(str(limit))
            return group
        except OSError:
            os.rmdir(group)
    return None


@pytest.fixture
def limited(atomdb):
    """AtomDB in a control group of 120 MB. The kernel kills it if it uses more."""
    group = None if sanitized else make_cgroup(120 << 20)
    if group is None:
        pytest.skip("cannot make a control group here")
    atomdb.start('workers = 2;\nmax_memory = "64M";\ndefaults: { max_entries = 0; max_memory = "0"; };\n')
    with open(f"{group}/cgroup.procs", "w") as file:
        file.write(str(atomdb.pid))
    yield atomdb
    atomdb.stop()
    os.rmdir(group)


def test_attacks_stay_within_the_memory_limit_of_a_control_group(limited):
    with limited.client("a") as a, limited.client("b") as b:
        deaf = [limited.client("a") for _ in range(20)]
        for client in deaf[:10]:
            client.cmd("SUBSCRIBE", "news")
        for client in deaf[10:]:
            client.cmd("MONITOR")
        for size in (1 << 20, 4 << 20, 15 << 20, 25 << 20):
            for _ in range(10):
                assert a.cmd("PUBLISH", "news", "x" * size) in (*range(11), OOM)
                assert a.cmd("ECHO", "x" * size) in (b"x" * size, OOM, TOO_LARGE_REPLY)
        b.cmd("SET", "big", "x" * (1 << 20))
        assert b.cmd("MGET", *["big"] * 1000) == TOO_LARGE_REPLY
        assert b.cmd("GET", "big") == b"x" * (1 << 20)
        for client in deaf:
            client.close()


def test_events_of_keys_that_a_client_evicts_may_exceed_its_limit(atomdb):
    """The client's own command evicts keys, and the invalidations exceed its limit while the command is charged."""
    atomdb.start(CONFIG)
    with atomdb.client("s") as client:
        client.cmd("CONFIG", "SET", "notify-keyspace-events", "KEA")
        for size in (2_000_000, 2_080_000, 2_096_000, 1_500_000):
            for begin in range(0, 6000, 200):
                client.many(("SET", f"{n}" + "x" * 1500, "v" * 90) for n in range(begin, begin + 200))
            with atomdb.client("s") as greedy:
                greedy.cmd("HELLO", "3")
                greedy.cmd("PSUBSCRIBE", "*")
                greedy.send_anyway(encode("SET", "z", "v" * size))
                greedy.send_anyway(encode("PING"))
                wait_for(lambda: int(info(client, "stats")["evicted_keys"]) > 0)
                assert client.cmd("PING") == "PONG"


def test_an_error_that_does_not_fit_into_the_output_closes_the_client(atomdb):
    limit = 512 << 10
    atomdb.start(CONFIG + 'resp: { output_buffer = "512K"; };\n')
    with atomdb.client("s") as client, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", atomdb.port))
        deaf.sendall(encode("AUTH", "s") + encode("CLIENT", "SETNAME", "deaf") + encode("SUBSCRIBE", "c"))

        def unread():
            found = re.search(rb"name=deaf .* omem=(\d+)", client.cmd("CLIENT", "LIST"))
            return int(found[1]) if found else 0

        wait_for(lambda: client.cmd("PUBSUB", "NUMSUB", "c") == [b"c", 1])
        # Leave only a few bytes: the framing of a message takes about 40.
        wait_for(lambda: client.cmd("PUBLISH", "c", "x" * 9000) == 1 and unread() > limit - 30_000, pause=0)
        while (left := limit - unread()) > 45:
            client.cmd("PUBLISH", "c", "x" * min(9000, left - 45))
        deaf.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$9000000\r\nxxx")
        wait_for(lambda: b"name=deaf " not in client.cmd("CLIENT", "LIST"))
        assert client.cmd("PING") == "PONG"


SHOP = '{ name = "shop"; secret = "s"; max_memory = "32M"; }'
BLOG = '{ name = "blog"; secret = "b"; max_memory = "32M"; }'


def listed(*tenants):
    return 'workers = 1;\ntenancy = "listed";\ntenants: ( %s );\n' % ", ".join(tenants)


def clients_of_all_kinds(atomdb, last):
    """Returns clients of the tenant. Each of them holds memory in another way. `last` pauses the tenant at the end."""
    def client(*commands):
        new = atomdb.client("s")
        for command in commands:
            new.cmd(*command)
        return new

    last.cmd("SET", "big", b"x" * 1_000_000)
    kinds = [
        client(("MULTI",), ("SET", "queued", b"x" * 1000), ("AUTH", "secret"), ("NOCOMMAND",)),
        client(("WATCH", "a", "b"), ("MULTI",), ("GET", "a")),
        client(("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "shard")),
        client(("HELLO", "3"), ("CLIENT", "TRACKING", "ON"), ("MGET", "a", "b", "big")),
        client(("HELLO", "3"), ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")),
        client(("MONITOR",)),
        client(("PING",)),
        client(("PING",)),
        client(("PING",)),
    ]
    # Unread replies, an unfinished command, and a command that CLIENT PAUSE delays.
    kinds[-3].send(encode("GET", "big") * 6)
    kinds[-2].send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000000\r\n" + b"x" * 200_000)
    last.cmd("SET", "a", "1")
    last.cmd("PUBLISH", "news", b"x" * 1000)
    last.cmd("CLIENT", "PAUSE", "60000", "WRITE")
    kinds[-1].send(encode("SET", "delayed", b"x" * 100_000))
    wait_for(lambda: int(info(last, "clients")["blocked_clients"]) >= 1, 10, "the command to be delayed")
    wait_for(lambda: held_by_clients(last) > 200_000, 10, "the buffers to be charged")
    return kinds


def held_by_clients(client):
    return int(info(client, "memory")["mem_clients_normal"])


def test_clients_that_leave_in_any_state_leave_no_charge(atomdb):
    atomdb.start(listed(SHOP))
    with atomdb.client("s") as last:
        before = held_by_clients(last)
        for client in clients_of_all_kinds(atomdb, last):
            client.close()
        # If CLIENT PAUSE delays the command of a client, the client leaves at the end of the pause.
        last.cmd("CLIENT", "UNPAUSE")
        # The rest is statistics.
        wait_for(lambda: held_by_clients(last) < before + 32_768, 10, "the memory to be given back")
        assert last.cmd("FLUSHALL") == "OK"


def test_a_removed_tenant_closes_its_clients_in_any_state(atomdb):
    """The daemon asserts that the tenant has no charge at its end."""
    atomdb.start(listed(SHOP, BLOG))
    with atomdb.client("s") as last, atomdb.client("b") as other:
        kinds = clients_of_all_kinds(atomdb, last)
        atomdb.reload(listed(BLOG) + 'removed = ( "shop" );')
        wait_for(lambda: atomdb.metric("atomdb_tenant_memory_bytes", tenant="shop") is None, 10, "the tenant to end")
        assert other.cmd("PING") == "PONG" and atomdb.alive(), atomdb.log()
        for client in kinds:
            client.close()
    assert "ssert" not in atomdb.log()
