"""Commands on parts of values, bits and floating-point numbers, and commands that move values to other keys."""

import pytest

from harness import Error

pytestmark = pytest.mark.like_redis


def test_setrange_grows_with_zeros(client):
    assert client.cmd("SETRANGE", "k", 100_000, "end") == 100_003
    assert client.cmd("GETRANGE", "k", 99_998, -1) == b"\0\0end"
    assert client.cmd("STRLEN", "k") == 100_003
    assert client.cmd("SETRANGE", "k", 512 << 20, "x").startswith("ERR string exceeds maximum allowed size")


def test_incrbyfloat_keeps_the_time_to_live(client):
    client.cmd("SET", "f", "10.50", "EX", 100)
    assert client.cmd("INCRBYFLOAT", "f", "0.1") == b"10.6"
    assert 40 <= client.cmd("TTL", "f") <= 100
    assert client.cmd("INCRBYFLOAT", "f", "x") == Error("ERR value is not a valid float")


def test_lcs_is_a_map_in_resp3(client):
    client.cmd("MSET", "a", "ohmytext", "b", "mynewtext")
    assert client.cmd("LCS", "a", "b", "IDX") == [b"matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len", 6]
    client.cmd("HELLO", 3)
    assert client.cmd("LCS", "a", "b", "IDX", "MINMATCHLEN", 3) == {b"matches": [[[4, 7], [5, 8]]], b"len": 6}


def test_bit_commands_work_on_a_large_value(client):
    assert client.cmd("SETBIT", "k", 8_000_000, 1) == 0
    assert client.cmd("BITCOUNT", "k") == 1
    assert client.cmd("BITPOS", "k", 1) == 8_000_000
    assert client.cmd("BITPOS", "k", 0, 1_000_000) == 8_000_001
    assert client.cmd("BITOP", "NOT", "n", "k") == 1_000_001
    assert client.cmd("BITCOUNT", "n") == 8_000_007
    assert client.cmd("BITPOS", "n", 0) == 8_000_000


def test_bitfield_counters_obey_overflow(client):
    assert client.cmd("BITFIELD", "k", "INCRBY", "u8", "#2", 250, "OVERFLOW", "FAIL", "INCRBY", "u8", "#2", 10,
                      "OVERFLOW", "SAT", "INCRBY", "u8", "#2", 10, "GET", "i8", "#2") == [250, None, 255, -1]
    assert client.cmd("STRLEN", "k") == 3


def test_swapped_databases_are_seen_by_every_connection(client, shared, secret):
    with shared.client(secret) as other:
        client.cmd("SET", "where", "zero")
        other.cmd("SELECT", 1)
        other.cmd("SET", "where", "one", "EX", 100)
        assert client.cmd("SWAPDB", 0, 1) == "OK"
        assert client.cmd("GET", "where") == b"one"
        assert other.cmd("GET", "where") == b"zero"
        assert client.cmd("DBSIZE") == 1
        assert [client.many([("SWAPDB", 0, 1), ("GET", "where"), ("SWAPDB", 0, 1), ("GET", "where")])] == [
            ["OK", b"zero", "OK", b"one"]]
        assert b"db0:keys=1,expires=1" in client.cmd("INFO", "keyspace")


def test_rename_copy_and_move_keep_value_and_deadline(client):
    client.cmd("SET", "a", "x" * 100_000, "EX", 100)
    assert client.cmd("RENAME", "a", "b") == "OK"
    assert client.cmd("COPY", "b", "c") == 1
    assert client.cmd("MOVE", "b", 3) == 1
    assert client.cmd("STRLEN", "c") == 100_000
    assert 40 <= client.cmd("TTL", "c") <= 100
    client.cmd("SELECT", 3)
    assert 40 <= client.cmd("TTL", "b") <= 100
    assert client.cmd("OBJECT", "ENCODING", "b") == b"raw"


def test_bitfield_reads_a_sum_as_text(client):
    """BITFIELD converts the integer to bytes and reads it back."""
    client.cmd("SET", "sum", "1.5")
    assert client.cmd("INCRBYFLOAT", "sum", "0.5") == b"2"
    assert client.cmd("BITFIELD", "sum", "SET", "u8", 0, ord("2")) == [ord("2")]
    assert client.cmd("GET", "sum") == b"2"
