"""MONITOR shows the commands of its own tenant only, in the format of Redis."""

import re

import pytest

from harness import Client, Error, free_port

LINE = re.compile(r'(\d+\.\d{6}) \[(\d+) (\S+)\] (".*")')


def lines(monitor, count):
    """Returns database and arguments of the next `count` lines."""
    found = []
    for _ in range(count):
        match = LINE.fullmatch(monitor.read())
        assert match and re.fullmatch(r"127\.0\.0\.1:\d+", match[3]), match
        found.append((int(match[2]), match[4]))
    return found


@pytest.fixture
def monitor(shared, secret, client):
    with shared.client(secret) as connection:
        assert connection.cmd("MONITOR") == "OK"
        yield connection


@pytest.mark.like_redis
def test_monitor_shows_commands(monitor, client):
    client.cmd("SET", "k", "v")
    client.cmd("SELECT", 3)
    client.cmd("GET", b"q\x01\n\r\t\a\b\"\\\xff'", "wrong arity")
    client.cmd("GET", b"q\x01\n\r\t\a\b\"\\\xff'")
    client.cmd("nosuchcommand")
    client.cmd("ECHO", "")
    client.cmd("SELECT", 99)
    client.cmd("CONFIG", "GET", "port")
    client.cmd("Client", "setname", "me")
    client.cmd("HELLO", "3")
    assert lines(monitor, 7) == [
        (0, '"SET" "k" "v"'), (3, '"SELECT" "3"'), (3, r'"GET" "q\x01\n\r\t\a\b\"\\\xff' + "'" + '"'),
        (3, '"ECHO" ""'), (3, '"SELECT" "99"'), (3, '"Client" "setname" "me"'), (3, '"HELLO" "3"'),
    ]


@pytest.mark.like_redis
def test_monitor_shows_transactions_as_they_run(monitor, client):
    client.cmd("WATCH", "a")
    client.cmd("MULTI")
    client.cmd("SET", "a", "1")
    client.cmd("INCR", "a")
    client.cmd("EXEC")
    client.cmd("PUBLISH", "channel", "message")
    client.cmd("RESET")
    assert lines(monitor, 7) == [
        (0, '"WATCH" "a"'), (0, '"MULTI"'), (0, '"SET" "a" "1"'), (0, '"INCR" "a"'), (0, '"EXEC"'),
        (0, '"PUBLISH" "channel" "message"'), (0, '"RESET"'),
    ]


@pytest.mark.like_redis
def test_a_monitor_may_not_access_keys(monitor, client):
    refused = Error("ERR Replica can't interact with the keyspace")
    for command in (("GET", "a"), ("SET", "a", "b"), ("DBSIZE",), ("KEYS", "*"), ("PUBLISH", "a", "b"), ("EXISTS", "a")):
        assert monitor.cmd(*command) == refused
    assert monitor.cmd("PING") == "PONG"
    assert lines(monitor, 1) == [(0, '"PING"')]
    monitor.send(b"*1\r\n$7\r\nMONITOR\r\n")
    assert monitor.cmd("ECHO", "there is no answer to a second one") == b"there is no answer to a second one"
    assert lines(monitor, 1) == [(0, '"ECHO" "there is no answer to a second one"')]
    assert b" flags=O " in client.cmd("CLIENT", "LIST")
    assert monitor.cmd("RESET") == "RESET"
    client.cmd("SET", "a", "b")
    assert client.cmd("GET", "a") == b"b"
    client.cmd("MULTI")
    client.cmd("MONITOR")
    assert client.cmd("EXEC") == [Error("ERR MONITOR isn't allowed for DENY BLOCKING client")]


def test_monitor_shows_no_secret(monitor, client, secret):
    client.cmd("AUTH", secret)
    client.cmd("AUTH", "default", secret)
    client.cmd("HELLO", "2", "AUTH", "default", secret, "SETNAME", "me")
    assert lines(monitor, 3) == [
        (0, '"AUTH" "(redacted)"'), (0, '"AUTH" "(redacted)" "(redacted)"'),
        (0, '"HELLO" "2" "AUTH" "(redacted)" "(redacted)" "SETNAME" "me"'),
    ]


def test_monitor_shows_nothing_of_other_tenants(shared, monitor, client):
    with shared.client("another-tenant-of-monitor") as other:
        other.cmd("SET", "k", "other")
        other.cmd("MULTI")
        other.cmd("GET", "k")
        other.cmd("EXEC")
    client.cmd("SET", "k", "own")
    assert lines(monitor, 1) == [(0, '"SET" "k" "own"')]


def test_a_monitor_that_does_not_read_is_closed(atomdb):
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; };\nresp: { output_buffer = "65536"; };\n')
    with atomdb.client("a") as monitor, atomdb.client("a") as client:
        assert monitor.cmd("MONITOR") == "OK"
        for _ in range(400):
            client.many([("SET", "k", "v" * 4096)] * 10)
        assert client.cmd("CLIENT", "LIST").count(b"\n") == 1


def test_monitor_shows_the_path_of_a_unix_socket(atomdb, short_directory):
    path, port = short_directory + "/resp.sock", free_port()
    atomdb.start('resp: { listen = [ "127.0.0.1:%d", "unix:%s" ]; };\nhttp: { listen = [ "127.0.0.1:%d" ]; };'
                 % (port, path, atomdb.http_port), flags=[])
    with Client(port, "a") as monitor, Client(path=path, secret="a") as client:
        assert monitor.cmd("MONITOR") == "OK"
        client.cmd("PING")
        assert re.fullmatch(r'\d+\.\d{6} \[0 unix:%s\] "PING"' % re.escape(path), monitor.read())
