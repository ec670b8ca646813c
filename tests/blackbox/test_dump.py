"""DUMP and RESTORE between redis-server and AtomDB, and damaged payloads."""

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
def test_values_move_to_atomdb_and_back(redis, atomdb_client, value):
    redis.cmd("SET", "k", value)
    payload = redis.cmd("DUMP", "k")
    assert atomdb_client.cmd("RESTORE", "k", 0, payload) == "OK"
    assert atomdb_client.cmd("GET", "k") == value
    own = atomdb_client.cmd("DUMP", "k")
    assert own == payload
    assert redis.cmd("RESTORE", "back", 100_000, own) == "OK"
    assert redis.cmd("GET", "back") == value


# Commands that create or change "k". Commands that read another key use "other", which has a short text.
WRITES = [f"{write} {value}" for value in ("7", "-12345678", "123456789012", "text", "9" * 20, "x" * 50)
          for write in ("SET k", "GETSET k", "SETEX k 100", "SETNX k", "APPEND k", "SETRANGE k 0", "MSET k", "MSETNX k")]
WRITES += ["INCRBYFLOAT k 1", "INCRBYFLOAT k 0.25", "INCRBYFLOAT k 1e18", "INCRBYFLOAT k 1e40", "INCR k", "DECRBY k 3", "APPEND k",
           "SETBIT k 3 1", "SETBIT k 0 0", "BITFIELD k INCRBY u8 0 1", "BITFIELD k GET u8 0", "BITOP NOT k k", "EXPIRE k 100",
           "PERSIST k", "COPY k other REPLACE", "COPY other k REPLACE", "RENAME other k", "MOVE k 1", "GETRANGE k 0 3", "SETRANGE k 2",
           "PFADD k a", "SET other 5", "INCRBYFLOAT other 5", "GETEX k EX 50", "DEL k"]


def test_encodings_are_those_of_redis(redis, atomdb_client):
    draw = random.Random(9)
    for _ in range(300):
        history = []
        for _ in range(draw.randint(2, 12)):
            words = draw.choice(WRITES).split(" ")
            words += [""] if words[0] in ("APPEND", "SETRANGE") and len(words) == (2 if words[0] == "APPEND" else 3) else []
            history.append(words)
            answers = [client.many([words, ("OBJECT", "ENCODING", "k"), ("OBJECT", "ENCODING", "other"), ("GET", "k")])
                       for client in (redis, atomdb_client)]
            assert answers[0] == answers[1], history
        payloads = [client.cmd("DUMP", "k") for client in (redis, atomdb_client)]
        assert payloads[0] == payloads[1], history
        for client in (redis, atomdb_client):
            client.cmd("FLUSHALL")
        if payloads[0] is not None:
            answers = [client.many([("RESTORE", "k", 0, payloads[0]), ("OBJECT", "ENCODING", "k")])
                       for client in (redis, atomdb_client)]
            assert answers[0] == answers[1], history


CHANGES = WRITES + ["SET k v EX 100", "SET k v NX", "SET k v XX GET", "GETDEL k", "GETEX k PERSIST", "DEL k other", "UNLINK other nothing",
                    "MSET k 1 other 2", "MSETNX k 1 z 2", "RENAME k other", "RENAMENX k other", "MOVE k 1", "SWAPDB 0 1", "FLUSHDB",
                    "FLUSHALL", "EXPIRE k -1", "PERSIST k", "EXPIREAT k 1", "SETBIT k 100 0", "SETBIT k 100 1", "GETBIT k 1",
                    "BITFIELD k SET u8 0 1 SET u8 8 2 GET u8 0", "BITFIELD k SET u8 0 1 INCRBY u8 0 0", "BITOP AND z none none2",
                    "PFADD h a b c d", "PFADD h a", "PFMERGE h2 h", "PFDEBUG TODENSE h2", "PFADD h2 x y z", "GET k", "TOUCH k", "INCR k",
                    "DECRBY k 2", "PSETEX k 5000 v", "COPY k z REPLACE", "EVALNO", "PING"]


def test_changes_since_the_last_save_are_those_of_redis(redis, atomdb_client):
    draw = random.Random(11)
    clients = (redis, atomdb_client)

    def changes():
        return [int(client.cmd("INFO", "persistence").split(b"rdb_changes_since_last_save:")[1].split()[0]) for client in clients]

    redis.cmd("CONFIG", "SET", "save", "")
    start = changes()
    for number in range(1200):
        words = draw.choice(CHANGES).split(" ")
        answers = [client.cmd(*words) for client in clients]
        assert answers[0] == answers[1] or words[0] in ("EVALNO", "BITOP"), words
        now = changes()
        assert now[0] - start[0] == now[1] - start[1], (number, words, answers)


def test_a_payload_with_a_changed_byte_is_refused(redis, atomdb_client):
    redis.cmd("SET", "k", b"abcabcabcabcabcabcabcabcabcabc and more")
    payload = redis.cmd("DUMP", "k")
    changed = [payload[:at] + bytes([payload[at] ^ bit]) + payload[at + 1 :] for at in range(len(payload))
               for bit in (1, 0x40, 0x80)]
    changed += [payload[:length] for length in range(len(payload))] + [payload + b"\0"]
    for reply in atomdb_client.many(("RESTORE", "k", 0, one) for one in changed):
        assert reply == "ERR DUMP payload version or checksum are wrong"
    assert atomdb_client.cmd("EXISTS", "k") == 0


def test_payloads_of_other_types_are_refused(redis, atomdb_client):
    redis.cmd("RPUSH", "list", 1, 2, 3)
    redis.cmd("HSET", "hash", "a", 1)
    for key in ("list", "hash"):
        assert atomdb_client.cmd("RESTORE", key, 0, redis.cmd("DUMP", key)) == "ERR Bad data format"


def test_hyperloglogs_continue_on_the_other_server(redis, atomdb_client):
    """The same elements give the same bytes on both servers, in sparse and dense encoding."""
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
