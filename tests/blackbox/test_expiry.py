"""Keys and their memory are freed at their deadline."""

import time

import pytest

from harness import PATIENCE, info, wait_for

CONFIG = 'defaults: { max_entries = 0; max_memory = "0"; };'


@pytest.fixture
def client(atomdb):
    atomdb.start(CONFIG)
    with atomdb.client("s") as connection:
        yield connection


def fill_before_due(client, count, value, allowances_ms=(4000, 12000, 30000)):
    """Removes all keys, resets the counters, and sets keys with the same deadline. Returns the deadline in ms. At least
    a fourth of the allowance is left after the last SET."""
    for allowance_ms in allowances_ms:
        client.many([("FLUSHALL",), ("CONFIG", "RESETSTAT")])
        due = int(time.time() * 1000) + allowance_ms
        for start in range(0, count, 10000):
            client.many(("SET", f"k{number}", value, "PXAT", due) for number in range(start, min(start + 10000, count)))
        if time.time() * 1000 < due - allowance_ms / 4:
            return due
    raise AssertionError("the machine is too slow to set all keys before their deadline")


def test_due_keys_are_invisible_at_once(client):
    """After the deadline, no command finds the key, even if the daemon has not freed it yet."""
    due = int(time.time() * 1000) + 300
    client.many(("SET", f"k{number}", "x", "PXAT", due) for number in range(5000))
    client.cmd("SET", "stays", "x")
    while time.time() * 1000 <= due + 1:
        time.sleep(0.002)
    replies = client.many([("DBSIZE",), ("KEYS", "*"), ("RANDOMKEY",), ("SCAN", "0", "COUNT", "100000"),
                           ("EXISTS", "k1", "k2", "k4999"), ("INFO", "keyspace"), ("GET", "k7"), ("SET", "k8", "y", "XX")])
    assert replies[0] == 1
    assert replies[1] == [b"stays"]
    assert replies[2] == b"stays"
    assert replies[3][1] == [b"stays"]
    assert replies[4] == 0
    assert b"db0:keys=1,expires=0" in replies[5]
    assert replies[6] is None and replies[7] is None


def test_keys_expire_without_access(client, atomdb):
    """The daemon counts keys that no client accesses as expired soon after their deadline."""
    due = fill_before_due(client, 2000, "x" * 100, (200, 2000, 20000))
    wait_for(lambda: info(client)["expired_keys"] == "2000", 40, "the keys to expire", 0.02)
    assert time.time() * 1000 >= due
    wait_for(lambda: atomdb.metric("redis_expired_keys_total") >= 2000, what="the metric")
    assert atomdb.metric("redis_db_keys", db="db0") == 0
    assert atomdb.metric("redis_db_keys_expiring", db="db0") == 0


def test_each_key_expires_at_its_own_time(client):
    start = int(time.time() * 1000) + 100
    for number in range(20):
        client.cmd("SET", f"k{number}", "x", "PXAT", start + number * 20)
    while True:
        before = time.time() * 1000
        found = set(client.cmd("KEYS", "*"))
        after = time.time() * 1000
        for number in range(20):
            name, due = b"k%d" % number, start + number * 20
            if after < due - 1:
                assert name in found, f"{name} expires before its deadline"
            if before > due + 1:
                assert name not in found, f"{name} exists after its deadline"
        if before > start + 20 * 20:
            break


def test_deadlines_of_every_size_are_kept(client):
    now = int(time.time() * 1000)
    spans = [10 ** power for power in range(3, 16)]
    for span in spans:
        assert client.cmd("SET", f"k{span}", "x", "PXAT", now + span) == "OK"
    for span in spans[1:]:
        assert client.cmd("PEXPIRETIME", f"k{span}") == now + span
    wait_for(lambda: client.cmd("EXISTS", "k1000") == 0, 5, "the first key to expire")
    assert client.cmd("DBSIZE") == len(spans) - 1


def test_changes_of_the_deadline_hold(client):
    for ttl_ms in (200, 2000, 20000):
        begin = int(time.time() * 1000)
        client.cmd("SET", "persisted", "x", "PX", ttl_ms)
        client.cmd("SET", "longer", "x", "PX", ttl_ms)
        client.cmd("SET", "shorter", "x", "EX", 1000)
        client.cmd("SET", "rewritten", "x", "PX", ttl_ms)
        client.cmd("SET", "kept", "x", "PX", ttl_ms)
        client.cmd("PERSIST", "persisted")
        client.cmd("EXPIRE", "longer", 1000)
        client.cmd("PEXPIRE", "shorter", ttl_ms)
        client.cmd("SET", "rewritten", "y")
        client.cmd("SET", "kept", "y", "KEEPTTL")
        now = int(time.time() * 1000)
        if now < begin + ttl_ms:
            break
    wait_for(lambda: time.time() * 1000 > now + ttl_ms, 2 * ttl_ms / 1000 + 5, "the time to pass")
    assert set(client.cmd("KEYS", "*")) == {b"persisted", b"longer", b"rewritten"}
    assert client.cmd("TTL", "persisted") == -1 and client.cmd("TTL", "rewritten") == -1


def test_the_memory_of_expired_keys_is_freed(client, atomdb):
    client.cmd("PING")
    before = atomdb.status("VmRSS")
    fill_before_due(client, 10000, "x" * 4000)
    assert atomdb.status("VmRSS") - before > 30 << 20
    wait_for(lambda: client.cmd("DBSIZE") == 0, 30, "the keys to expire")
    wait_for(lambda: atomdb.status("VmRSS") - before < 15 << 20, 10, "the memory to be given back", 0.05)


def test_the_memory_of_flushed_keys_is_freed(client, atomdb):
    client.cmd("PING")
    before = atomdb.status("VmRSS")
    client.many(("SET", f"k{number}", "x" * 4000) for number in range(10000))
    assert atomdb.status("VmRSS") - before > 30 << 20
    assert client.cmd("FLUSHALL") == "OK"
    assert client.cmd("DBSIZE") == 0
    wait_for(lambda: atomdb.status("VmRSS") - before < 15 << 20, 10, "the memory to be given back", 0.05)


def test_an_expiry_storm_does_not_delay_other_tenants(client, atomdb):
    """200,000 keys of one tenant expire at once: the round trips of another tenant stay short."""
    due = fill_before_due(client, 200000, "x")
    longest = 0
    with atomdb.client("other") as other:
        while client.cmd("DBSIZE"):
            start = time.perf_counter()
            assert other.cmd("PING") == "PONG"
            longest = max(longest, time.perf_counter() - start)
            assert time.time() * 1000 < due + 10000 * PATIENCE
    assert longest < 5 * PATIENCE
