"""HOTKEYS and BIGKEYS: the most used and the largest keys of a tenant."""

import random

import pytest

from harness import Error, Redis

EVERY = 256  # commands per sample


def rows(reply):
    return {key: number for key, number in reply}


def names(reply):
    return [row[0] for row in reply]


def numbers(reply):
    return [row[1] for row in reply]


def use(client, hot, times, pipeline=100):
    """Every second command names the hot key. The other commands name one of many keys."""
    pick = random.Random(1)
    for start in range(0, times, pipeline):
        client.many([("GET", hot) if n % 2 else ("SET", "cold:%d" % pick.randrange(100_000), n)
                     for n in range(start, start + pipeline)])


@pytest.mark.parametrize("pipeline", [1, 20, 1000])
def test_the_hot_key_is_found(client, pipeline):
    use(client, "hot", 60_000, pipeline)
    reply = client.cmd("HOTKEYS")
    key, times = reply[0]
    assert key == b"hot"
    assert 60_000 / 2 * 0.7 < times < 60_000 / 2 * 1.3
    assert len(reply) <= 10 and numbers(reply) == sorted(numbers(reply), reverse=True)
    assert all(estimate % EVERY == 0 and estimate < times / 4 for estimate in numbers(reply)[1:])
    assert client.cmd("HOTKEYS", "COUNT", 1) == reply[:1]
    assert len(client.cmd("hotkeys", "count", 1000)) >= len(reply)


def test_object_freq_is_close_to_that_of_redis(client, tmp_path):
    """redis-cli --hotkeys sends OBJECT FREQ. Redis supports it only with an LFU policy, because the counter replaces the
    LRU time."""
    reference = Redis(tmp_path).start("--maxmemory-policy", "allkeys-lfu")
    try:
        with reference.client(reference.secret) as redis:
            redis.cmd("SET", "hot", "v")
            client.cmd("SET", "hot", "v")
            for times in (4000, 20_000, 60_000):
                for server in (redis, client):
                    use(server, "hot", times)
                theirs, mine = (server.cmd("OBJECT", "FREQ", "hot") for server in (redis, client))
                assert abs(theirs - mine) < 10 + 0.2 * theirs, (times, theirs, mine)
            client.cmd("SET", "idle", "v")
            assert client.cmd("OBJECT", "FREQ", "idle") == 0
            assert redis.cmd("OBJECT", "FREQ", "none") is client.cmd("OBJECT", "FREQ", "none") is None
            # The counter has a maximum.
            use(client, "hot", 1_000_000, pipeline=1000)
            assert client.cmd("OBJECT", "FREQ", "hot") > 230
    finally:
        reference.stop()
    # A query is not a use of the key.
    client.cmd("SET", "idle", "v")
    before = client.cmd("HOTKEYS"), client.cmd("OBJECT", "FREQ", "hot")
    for question in (("OBJECT", "FREQ"), ("MEMORY", "USAGE"), ("TYPE",), ("STRLEN",), ("EXISTS",)):
        client.many([(*question, "idle")] * 5000)
    assert (client.cmd("HOTKEYS"), client.cmd("OBJECT", "FREQ", "hot")) == before
    assert client.cmd("OBJECT", "FREQ", "idle") == 0
    client.cmd("CONFIG", "RESETSTAT")
    assert client.cmd("OBJECT", "FREQ", "hot") == 0


def test_all_keys_of_a_command_count(client):
    for _ in range(5000):
        client.cmd("MGET", "a", "b", "c")
    found = rows(client.cmd("HOTKEYS"))
    assert set(found) == {b"a", b"b", b"c"} and len(set(found.values())) == 1
    # A shard channel is not a key, although its position is that of one.
    for _ in range(1000):
        client.cmd("SPUBLISH", "channel", "x")
    assert rows(client.cmd("HOTKEYS")) == found


def test_each_database_has_its_own_hot_keys(client):
    use(client, "zero", 5000)
    client.cmd("SELECT", 1)
    assert client.cmd("HOTKEYS") == [] and client.cmd("BIGKEYS") == []
    use(client, "one", 5000)
    assert client.cmd("HOTKEYS")[0][0] == b"one"
    client.cmd("SELECT", 0)
    assert client.cmd("HOTKEYS")[0][0] == b"zero"
    client.cmd("SWAPDB", 0, 1)
    assert client.cmd("HOTKEYS")[0][0] == b"one"


def test_resetstat_forgets_hot_keys(client):
    use(client, "hot", 5000)
    client.cmd("SET", "large", "v" * 100_000)
    assert client.cmd("HOTKEYS")
    assert client.cmd("CONFIG", "RESETSTAT") == "OK"
    assert client.cmd("HOTKEYS") == []
    assert client.cmd("BIGKEYS", "COUNT", 1)[0][0] == b"large"


def test_writes_of_large_values_are_recorded(client):
    """BIGKEYS records each write of a large value, by any command."""
    assert client.cmd("BIGKEYS") == []
    client.cmd("SET", "set", "v" * 5000)
    client.cmd("APPEND", "append", "v" * 6000)
    client.cmd("SETRANGE", "setrange", 7000, "v")
    client.cmd("SETBIT", "setbit", 8 * 8000, 1)
    client.cmd("RESTORE", "restore", 0, client.cmd("DUMP", "set"))
    client.cmd("COPY", "append", "copy")
    client.cmd("RENAME", "setrange", "renamed")
    client.cmd("MSET", "mset", "v" * 9000, "small", "v")
    client.cmd("SETEX", "setex", 100, "v" * 10_000)
    reply = client.cmd("BIGKEYS", "COUNT", 20)
    assert set(rows(reply)) == {b"set", b"append", b"renamed", b"setbit", b"restore", b"copy", b"mset", b"setex"}
    assert numbers(reply) == sorted(numbers(reply), reverse=True) and reply[0][0] == b"setex"
    for key, size in rows(reply).items():
        assert size == client.cmd("MEMORY", "USAGE", key)


def test_changed_keys_are_not_reported(client):
    for n in range(200):
        client.cmd("SET", "key:%d" % n, "v" * (1000 + 20 * n))
    for n in range(4):
        client.cmd("SET", "large:%d" % n, "v" * (10_000 << n))
    assert names(client.cmd("BIGKEYS", "COUNT", 4)) == [b"large:3", b"large:2", b"large:1", b"large:0"]
    client.cmd("DEL", "large:3")
    client.cmd("SET", "large:2", "short")
    client.cmd("PEXPIREAT", "large:1", 1)
    reply = client.cmd("BIGKEYS", "COUNT", 100)
    assert reply[0][0] == b"large:0" and not {b"large:1", b"large:3"} & set(rows(reply))
    client.cmd("FLUSHDB")
    assert client.cmd("BIGKEYS") == []
    client.cmd("SET", "again", "v" * 1000)
    assert client.cmd("BIGKEYS")[0][0] == b"again"


def test_keys_that_are_read_are_recorded(client):
    """BIGKEYS does not record writes of small values. It records their use."""
    client.many([("SET", "small:%d" % n, "v" * 20) for n in range(20)])
    for _ in range(6000):
        client.many([("GET", "small:%d" % n) for n in range(20)])
    assert set(rows(client.cmd("BIGKEYS", "COUNT", 100))) == {b"small:%d" % n for n in range(20)}


def test_keys_of_other_tenants_are_not_shown(shared):
    with shared.client("hot-a") as a, shared.client("hot-b") as b:
        use(a, "private", 5000)
        a.cmd("SET", "large", "v" * 100_000)
        use(b, "mine", 5000)
        assert a.cmd("HOTKEYS")[0][0] == b"private" and b.cmd("HOTKEYS")[0][0] == b"mine"
        assert b"private" not in names(b.cmd("HOTKEYS", "COUNT", 100))
        assert b"large" not in names(b.cmd("BIGKEYS", "COUNT", 100))
        assert "private" not in shared.http("/metrics").body


def test_the_recorded_keys_are_charged(client):
    before = int(client.cmd("INFO", "memory").split(b"used_memory:")[1].split()[0])
    client.cmd("SET", "k" * 256, "v" * 300)
    client.cmd("SET", "k" * 257, "v" * 300)
    assert names(client.cmd("BIGKEYS")) == [b"k" * 256]
    client.cmd("FLUSHALL")
    assert client.cmd("BIGKEYS") == []
    after = int(client.cmd("INFO", "memory").split(b"used_memory:")[1].split()[0])
    assert 0 < after - before < 20_000


@pytest.mark.parametrize("command", ["HOTKEYS", "BIGKEYS"])
def test_a_wrong_argument_is_an_error(client, command):
    for arguments, error in (
        (["COUNT"], "ERR syntax error"), (["10"], "ERR syntax error"), (["SIZE", "10"], "ERR syntax error"),
        (["COUNT", "1", "2"], "ERR syntax error"), (["COUNT", "x"], "ERR value is not an integer or out of range"),
        *((["COUNT", n], "ERR value is out of range, value must between 1 and 1000") for n in ("0", "-1", "1001")),
    ):
        reply = client.cmd(command, *arguments)
        assert isinstance(reply, Error) and str(reply) == error, arguments
