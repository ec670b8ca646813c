"""The order of eviction is exactly the order of use."""

import random

import pytest

from harness import wait_for

LIMIT = 10
CONFIG = "defaults: { max_entries = %d; };" % LIMIT


@pytest.fixture
def client(atomdb):
    atomdb.start(CONFIG)
    with atomdb.client("s") as connection:
        yield connection


def fill(client):
    assert client.many(("SET", f"k{number}", "1") for number in range(LIMIT)) == ["OK"] * LIMIT


def survivors(client):
    return {name.decode() for name in client.cmd("KEYS", "k*")}


def push_out(client, count):
    """Writes `count` new keys, which evict the `count` least recently used ones. Returns the evicted keys in order."""
    gone, before = [], survivors(client)
    for number in range(count):
        client.cmd("SET", f"new{number}", "1")
        after = survivors(client)
        assert len(before - after) == 1
        gone += before - after
        before = after
    return gone


def test_keys_leave_in_the_order_of_writes(client):
    fill(client)
    assert push_out(client, 5) == ["k0", "k1", "k2", "k3", "k4"]


def test_keys_leave_in_the_order_of_reads_and_writes(client):
    fill(client)
    client.cmd("GET", "k0")
    client.cmd("GET", "k2")
    client.cmd("MGET", "k4", "k1")
    assert push_out(client, 10) == ["k3", "k5", "k6", "k7", "k8", "k9", "k0", "k2", "k4", "k1"]


@pytest.mark.parametrize("command", [
    ["GET", "k0"], ["MGET", "k0"], ["GETEX", "k0"], ["STRLEN", "k0"], ["TOUCH", "k0"], ["SET", "k0", "2"], ["INCR", "k0"],
    ["APPEND", "k0", "x"], ["GETSET", "k0", "x"], ["EXPIRE", "k0", "1000"], ["PERSIST", "k0"], ["SETNX", "k0", "x"],
], ids=lambda command: command[0])
def test_a_use_moves_a_key_to_the_end_of_the_order(client, command):
    fill(client)
    client.cmd(*command)
    assert push_out(client, 1) == ["k1"]


@pytest.mark.parametrize("command", [
    ["EXISTS", "k0"], ["TTL", "k0"], ["PTTL", "k0"], ["EXPIRETIME", "k0"], ["TYPE", "k0"], ["KEYS", "*"], ["SCAN", "0"],
    ["DBSIZE"], ["RANDOMKEY"],
], ids=lambda command: command[0])
def test_a_query_does_not_change_the_order(client, command):
    fill(client)
    client.cmd(*command)
    assert push_out(client, 1) == ["k0"]


def test_all_databases_have_one_order(client):
    for number in range(LIMIT):
        client.cmd("SELECT", number)
        client.cmd("SET", f"k{number}", "1")
    client.cmd("SELECT", 0)
    client.cmd("GET", "k0")
    client.cmd("SET", "new", "1")
    client.cmd("SELECT", 1)
    assert client.cmd("DBSIZE") == 0
    client.cmd("SELECT", 0)
    assert client.cmd("DBSIZE") == 2


def test_the_survivors_are_those_of_a_model(client):
    generator = random.Random(30)
    order = []  # least recently used first
    for step in range(3000):
        name = f"k{generator.randrange(20)}"
        kind = generator.randrange(10)
        if kind < 4:
            assert client.cmd("SET", name, step) == "OK"
            if name in order:
                order.remove(name)
            elif len(order) == LIMIT:
                order.pop(0)
            order.append(name)
        elif kind < 8:
            assert (client.cmd("GET", name) is not None) == (name in order), step
            if name in order:
                order.remove(name)
                order.append(name)
        elif kind == 8:
            assert client.cmd("EXISTS", name) == (name in order), step
        else:
            assert client.cmd("DEL", name) == (name in order), step
            if name in order:
                order.remove(name)
    assert survivors(client) == set(order)


def test_a_lowered_quota_evicts_the_oldest(atomdb):
    text = 'tenancy = "listed"; tenants: ( { name = "t"; secret = "s"; max_entries = %d; } );'
    atomdb.start(text % 1000)
    with atomdb.client("s") as client:
        client.many(("SET", f"k{number}", "1") for number in range(1000))
        client.cmd("GET", "k0")
        atomdb.reload(text % 3)
        wait_for(lambda: client.cmd("DBSIZE") == 3, 10, "the quota to be in force")
        assert survivors(client) == {"k0", "k998", "k999"}
