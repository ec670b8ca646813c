"""One client that does all it may to take what is the others': the worker's time, its memory, a tenant's place."""

import contextlib
import signal
import socket
import time

import pytest

from harness import PATIENCE, encode, wait_for

ROOMY = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'
PAIR = 'workers = 2;\nmax_tenants = 40;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'


def fill(client, count, prefix="key"):
    for start in range(0, count, 1000):
        assert set(client.many(("SET", f"{prefix}:{i}", "v") for i in range(start, min(start + 1000, count)))) == {"OK"}


def longest_ping(client, seconds):
    """The longest round trip of a quiet client, in seconds."""
    longest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        assert client.cmd("PING") == "PONG"
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.001)
    return longest


def test_pipelined_searches_let_others_in(atomdb):
    """The bytes of a turn are bounded, but some bytes ask for much work."""
    server = atomdb.start(ROOMY)
    with server.client("greedy") as greedy, server.client("quiet") as quiet:
        fill(greedy, 20000)
        greedy.send(encode("KEYS", "nothing*") * 1500)
        assert longest_ping(quiet, 0.5) < 0.25 * PATIENCE
        assert [greedy.read() for _ in range(1500)] == [[]] * 1500


def test_tenants_that_come_and_go(atomdb):
    """Each leaves sixteen databases to be freed: neither a new tenant nor a flush may have to look at all of them."""
    server = atomdb.start("workers = 1;\nresp: { auth_rate = 0; };\nnew_tenants_per_second = 0;\n")
    with server.client() as greedy, server.client("quiet") as quiet:
        databases = b"".join(encode("SELECT", number) + encode("SET", "k", "v") for number in range(16))
        stream = b"".join(encode("AUTH", f"s{number}") + databases + encode("FLUSHALL") for number in range(1500))
        replies = 1500 * 34
        begin = time.monotonic()
        for start in range(0, len(stream), 1 << 16):
            greedy.send(stream[start:start + (1 << 16)])
        assert longest_ping(quiet, 0.3) < 0.1 * PATIENCE
        assert {greedy.read() for _ in range(replies)} == {"OK"}
        assert time.monotonic() - begin < 3 * PATIENCE


def test_a_pattern_that_tries_everything(atomdb):
    """The time that matching takes grows with pattern times text; both are the client's."""
    server = atomdb.start(ROOMY)
    with server.client("greedy") as greedy, server.client("quiet") as quiet:
        assert greedy.cmd("SET", "a" * 200000, "v") == "OK"
        greedy.send(encode("KEYS", "*" + "?" * 100000 + "b"))
        assert longest_ping(quiet, 1) < 0.5 * PATIENCE
        greedy.read()
        assert greedy.cmd("PING") == "PONG"


def test_hello_with_two_secrets_ends(atomdb):
    """Tenants of different workers in one HELLO: the last one counts, and the connection comes to rest."""
    server = atomdb.start(PAIR)
    secrets = [f"s{number}" for number in range(6)]
    keep = [server.client(secret) for secret in secrets]
    for first in secrets:
        for last in secrets:
            with server.client(timeout=3) as client:
                client.send(encode("HELLO", 2, "AUTH", "default", first, "AUTH", "default", last)
                            + encode("SET", "who", last))
                assert client.read()[:2] == [b"server", b"redis"]
                assert client.read() == "OK"
    for client, secret in zip(keep, secrets):
        assert client.cmd("GET", "who") == secret.encode()
        client.close()


def test_tenants_of_clients_that_left_on_the_way(atomdb):
    """A client that goes while it waits at its new worker leaves no tenant behind that takes up a place."""
    server = atomdb.start(PAIR)
    with server.client("keeper") as keeper:
        keeper.cmd("SET", "k", "v")
        for number in range(40):
            client = server.client("reader")
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.cmd("SET", "big", "x" * 300000)
            # In some rounds the replies fill the socket, so that AUTH, sent on, waits for them.
            client.send(encode("GET", "big") * (2 + number % 20) + encode("AUTH", f"fresh-{number}"))
            time.sleep(0.02)
            client.close()
        wait_for(lambda: server.metric("redis_connected_clients") == 1, what="the clients' end")
        assert server.metric("atomdb_tenants") == 2


@pytest.mark.parametrize("stream", [
    b'AUTH "mySecret123\r\n',
    b"*2\r\n$4\r\nAuTh\r\n$11\r\nmySecret123\r\n*2\r\n$4\r\nauth\r\n:mySecret123\r\n",
    b"*3\r\n$4\r\nauth\r\n$11\r\nmySecret123\r\n$-3\r\n",
    b'HELLO 3 AUTH default "mySecret123\r\n',
], ids=["inline", "type", "length", "hello"])
def test_no_secret_in_the_log(atomdb, stream):
    """What a broken client sent is logged, but not behind the word that announces a secret."""
    server = atomdb.start("")
    with server.client() as client:
        client.send(stream)
        client.rest()
    wait_for(lambda: "rotocol" in server.log(), what="the log line")
    assert "mySecret" not in server.log()


def test_who_asks_for_little_is_served_before_long_pipelines(atomdb):
    """Twenty clients have sent long pipelines when one more sends a command. It is answered when at most one of them
    has had a turn, not all; and they all get what they asked for."""
    server = atomdb.start(ROOMY)
    with contextlib.ExitStack() as stack:
        floods = [stack.enter_context(server.client("t")) for _ in range(20)]
        quiet = stack.enter_context(server.client("t"))
        for one in floods:  # By this it is known what they are like.
            assert one.many([("INCR", "seen")] * 4000)[-1] > 0
        server.process.send_signal(signal.SIGSTOP)
        for one in floods:
            one.send(encode("INCR", "n") * 2000)
        quiet.send(encode("GET", "n"))
        server.process.send_signal(signal.SIGCONT)
        assert int(quiet.read() or 0) < 2 * 2000
        assert max(max(one.read() for _ in range(2000)) for one in floods) == 20 * 2000
