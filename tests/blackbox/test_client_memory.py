"""What a tenant's clients make it hold has a limit of its own: beyond it the greediest client goes, and keys stay."""

import os
import re

import pytest

from harness import Error, encode, info, wait_for

KEYS = 40_000
QUOTA = 8 << 20
# A quarter of a tenant of 8 MiB is for its clients.
CONFIG = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "8M"; };\n'
OOM = Error("OOM command not allowed when used memory > 'maxmemory'.")
# What the process takes besides the tenant: its own, the worker's buffers, pages that are in part free.
CONSTANT = 40 << 20


def fill(client):
    """40,000 keys, which nearly fill 8 MiB: what takes a byte beyond client_memory costs some of them."""
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
    """Sends commands until one is refused; how many were not."""
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
        # Another client has room at once: the greedy one goes for it.
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
def test_who_does_not_read_is_closed_before_keys_go(atomdb, full, listen):
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


def test_no_evict_lets_others_go_first_but_gives_no_memory(atomdb, full):
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
def test_a_command_that_cannot_be_held_is_refused_and_the_connection_goes_on(atomdb, full, name):
    before = atomdb.status("VmHWM")
    command = encode(*TOO_LARGE[name])
    with atomdb.client("s") as client:
        client.send(encode("PING") + command + encode("SET", "after", 1))
        assert [client.read() for _ in range(3)] == ["PONG", OOM, "OK"]
        assert client.many([("MULTI",), ("SET", "in", 1), TOO_LARGE[name], ("SET", "in", 2), ("EXEC",)]) == [
            "OK", "QUEUED", OOM, "QUEUED", Error("EXECABORT Transaction discarded because of previous errors.")]
        assert client.cmd("EXISTS", "in") == 0
        client.send(encode("CLIENT", "REPLY", "SKIP") + command + encode("PING"))
        assert client.read() == "PONG"
        # In small pieces, as a slow network brings it.
        for at in range(0, len(command), 50_001):
            client.send(command[at : at + 50_001])
        assert client.read() == OOM and client.cmd("GET", "after") == b"1"
    assert keys_left(full) > KEYS * 0.7
    assert atomdb.status("VmHWM") - before < 16 << 20
    assert int(info(full, "errorstats")["errorstat_OOM"].partition("=")[2]) >= 3


def test_unfinished_commands_together_stay_within_the_limit(atomdb, full):
    clients = [atomdb.client("s") for _ in range(12)]
    for client in clients:
        client.send_anyway(b"*2\r\n$4\r\nECHO\r\n$1000000\r\n" + b"x" * 900_000)
    assert keys_left(full) > KEYS * 0.7
    assert int(info(full, "memory")["mem_clients_normal"]) < (2 << 20) + 12 * (16 << 10)
    for client in clients:
        client.close()


def test_a_full_tenant_that_evicts_nothing_refuses_and_goes_on(atomdb):
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
