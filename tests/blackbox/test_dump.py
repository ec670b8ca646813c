"""Values that go from redis-server to AtomDB and back by DUMP and RESTORE, and payloads that are not what they were."""

import random

import pytest

from harness import Redis

VALUES = [b"", b"1", b"-128", b"40000", b"-2147483648", b"2147483648", b"9223372036854775807", b"hello", b"a" * 20, b"a" * 21,
          b"a" * 1000, bytes(range(256)) * 3, b"abcabcabd" * 5000, random.Random(1).randbytes(100_000), b"x" * 1_000_000]


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path).start()
    try:
        with server.client(server.secret) as connection:
            yield connection
    finally:
        server.kill()


@pytest.fixture
def atomdb_client(atomdb):
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; };\n')
    with atomdb.client("secret") as connection:
        yield connection


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value[:6]!r}*{len(value)}")
def test_there_and_back(redis, atomdb_client, value):
    redis.cmd("SET", "k", value)
    payload = redis.cmd("DUMP", "k")
    assert atomdb_client.cmd("RESTORE", "k", 0, payload) == "OK"
    assert atomdb_client.cmd("GET", "k") == value
    own = atomdb_client.cmd("DUMP", "k")
    assert own == payload
    assert redis.cmd("RESTORE", "back", 100_000, own) == "OK"
    assert redis.cmd("GET", "back") == value


def test_each_byte_changed_is_refused(redis, atomdb_client):
    redis.cmd("SET", "k", b"abcabcabcabcabcabcabcabcabcabc and more")
    payload = redis.cmd("DUMP", "k")
    changed = [payload[:at] + bytes([payload[at] ^ bit]) + payload[at + 1 :] for at in range(len(payload))
               for bit in (1, 0x40, 0x80)]
    changed += [payload[:length] for length in range(len(payload))] + [payload + b"\0"]
    for reply in atomdb_client.many(("RESTORE", "k", 0, one) for one in changed):
        assert reply == "ERR DUMP payload version or checksum are wrong"
    assert atomdb_client.cmd("EXISTS", "k") == 0


def test_other_types_are_refused(redis, atomdb_client):
    redis.cmd("RPUSH", "list", 1, 2, 3)
    redis.cmd("HSET", "hash", "a", 1)
    for key in ("list", "hash"):
        assert atomdb_client.cmd("RESTORE", key, 0, redis.cmd("DUMP", key)) == "ERR Bad data format"


def test_hyperloglogs_go_on_elsewhere(redis, atomdb_client):
    """The same elements make the same bytes, whichever server adds them, sparse and dense."""
    for start, end in ((0, 10), (10, 500), (500, 3000), (3000, 20_000)):
        elements = [b"element %d" % number for number in range(start, end)]
        middle = len(elements) // 2
        redis.cmd("PFADD", "h", *elements[:middle])
        atomdb_client.cmd("RESTORE", "h", 0, redis.cmd("DUMP", "h"), "REPLACE")
        for client in (redis, atomdb_client):
            client.cmd("PFADD", "h", *elements[middle:])
        assert atomdb_client.cmd("PFCOUNT", "h") == redis.cmd("PFCOUNT", "h")
        assert atomdb_client.cmd("GET", "h") == redis.cmd("GET", "h")
        assert abs(atomdb_client.cmd("PFCOUNT", "h") - end) <= 1 + end * 0.03
