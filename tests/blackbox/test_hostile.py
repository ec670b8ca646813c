"""Malformed and hostile input: AtomDB answers as Redis does, does not crash, and holds no memory for it."""

import socket
import time

import pytest

from harness import encode, ended, wait_for

like_redis = pytest.mark.like_redis

# The input, and the complete output before the server closes the connection.
PROTOCOL_ERRORS = [
    (b"*abc\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*99999999999999999999\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*9223372036854775807\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1.5\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"* 1\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*+1\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$-2147483648\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$536870913\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$18446744073709551616\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$9223372036854775807\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$x\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n:5\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
    (b"*1\r\n*1\r\n$4\r\nPING\r\n", b"-ERR Protocol error: expected '$', got '*'\r\n"),
    (b"*2\r\n$4\r\nPING\r\n%1\r\n", b"-ERR Protocol error: expected '$', got '%'\r\n"),
    (b"*1\r\n" + b"5" * 70000, b"-ERR Protocol error: too big bulk count string\r\n"),
    (b"*1\r\n$" + b"5" * 70000, b"-ERR Protocol error: too big bulk count string\r\n"),
    (b"*" + b"1" * 70000, b"-ERR Protocol error: too big mbulk count string\r\n"),
    (b"A" * 70000, b"-ERR Protocol error: too big inline request\r\n"),
    (b"SET \"a\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    (b"SET 'a'b\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
]


@like_redis
@pytest.mark.parametrize("sent, answer", PROTOCOL_ERRORS, ids=lambda value: repr(value[:24]))
def test_a_protocol_error_closes_the_connection(shared, secret, sent, answer):
    with shared.client(secret) as client:
        client.send_anyway(sent)
        assert client.rest() == answer


@like_redis
@pytest.mark.parametrize("sent, answer", [
    (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
    (b"*2147483647\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
    (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
], ids=["arguments", "many arguments", "argument"])
def test_a_large_command_before_auth_closes_the_connection(shared, sent, answer):
    with shared.client() as client:
        client.send(sent)
        assert client.rest() == answer


@like_redis
def test_a_small_command_before_auth_has_a_reply(shared, secret):
    with shared.client() as client:
        client.send(encode(*["x"] * 10))
        assert client.read().startswith("ERR unknown command 'x'")
        reply = client.cmd("AUTH", "y" * 16384)
        assert reply == "OK" or reply.code == "WRONGPASS"


@like_redis
def test_an_empty_command_has_no_reply(client):
    client.send(b"*0\r\n*-1\r\n\r\n\n \r\n*-5\r\n\r\n" + encode("PING"))
    assert client.read() == "PONG"


@like_redis
def test_a_line_feed_alone_ends_an_inline_command(client):
    client.send(b"PING\nPING\r\n\nPING\n")
    assert [client.read() for _ in range(3)] == ["PONG"] * 3


@like_redis
def test_nul_bytes_are_part_of_names_and_values(client):
    client.send(encode(b"PI\0NG"))
    assert client.read().startswith("ERR unknown command")
    assert client.cmd(b"SET", b"\0", b"\0\0") == "OK"
    assert client.cmd("GET", b"\0") == b"\0\0"
    assert client.cmd("GET", b"") is None


@like_redis
def test_long_names_are_truncated_in_errors(client):
    reply = client.cmd(b"z" * 5000, b"a" * 5000)
    assert reply.startswith("ERR unknown command 'zzzz") and len(reply) < 600


@like_redis
def test_line_ends_in_an_unknown_command_stay_one_line(client):
    client.send(encode(b"no\r\n+OK", b"a\r\nb") + encode("PING"))
    assert client.read().startswith("ERR unknown command")
    assert client.read() == "PONG"


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"HEAD / HTTP/1.0", b"PUT /a HTTP/1.1"])
def test_an_http_request_is_closed_and_logged(atomdb, request_line):
    atomdb.start()
    with atomdb.client() as client:
        client.send(request_line + b"\r\nHost: localhost\r\nContent-Length: 12\r\n\r\nSET a b\r\n\r\n")
        answer = client.rest()
        assert b"+OK" not in answer
    wait_for(lambda: "HTTP" in atomdb.log(), 5, "the warning in the log")


def has_key(server, secret="s"):
    with server.client(secret) as client:
        return client.cmd("EXISTS", "hacked") == 1


ATTACK = b"\r\nAUTH s\r\nSET hacked 1\r\n"


@pytest.mark.parametrize("length", [10, 8 << 10, 16 << 10, (16 << 10) + 1, 40000, 65500, 1 << 16, 100000, 3 << 20])
@pytest.mark.parametrize("method", [b"POST", b"GET", b"PUT", b"custom-method"])
def test_an_http_request_of_any_length_is_closed(atomdb, method, length):
    atomdb.start('anonymous = "everybody";')
    with atomdb.client() as client:
        client.send_anyway(method + b" /" + b"a" * length + b" HTTP/1.1\r\nHost: localhost" + ATTACK)
        assert client.rest() == b""
    assert not has_key(atomdb)
    wait_for(lambda: "spoke HTTP" in atomdb.log(), 5, "the warning in the log")


@pytest.mark.parametrize("request_line", [
    b"get http://127.0.0.1:8080/ HTTP/1.1", b"\r\n\n  POST /x HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET\t/\tHTTP/1.1",
    b"SET /x HTTP/1.0", b"HEAD / HTTP/2", b"PATCH /"])
def test_an_http_request_in_any_pieces_is_closed(atomdb, request_line):
    atomdb.start()
    head = request_line + b"\r\nContent-Type: text/plain"
    for cut in (1, 3, len(request_line) - 1, len(request_line) + 1):
        with atomdb.client() as client:
            client.send(head[:cut])
            time.sleep(0.02)
            client.send_anyway(head[cut:] + ATTACK)
            assert client.rest() == b""
    with atomdb.client() as client:
        for byte in range(len(head)):
            client.send_anyway(head[byte:byte + 1])
        client.send_anyway(ATTACK)
        assert client.rest() == b""
    assert not has_key(atomdb)
    wait_for(lambda: "spoke HTTP" in atomdb.log(), 5, "the warning in the log")


@pytest.mark.parametrize("line", [b"POST", b"post /x HTTP/1.1", b"  Host: localhost", b"hOsT:localhost", b"\"POST\" /",
                                  b"POST " + b"a" * 100000, b"POST \"", encode("post", "x")])
@pytest.mark.parametrize("before", [b"PING\r\n", b"\0\xff garbage\r\n", b"AUTH s\r\nMULTI\r\n",
                                    b"AUTH s\r\nSUBSCRIBE c\r\n"])
def test_a_line_of_http_is_closed_and_logged(atomdb, before, line):
    """Redis does the same for these two commands, after any input."""
    atomdb.start()
    with atomdb.client() as client:
        client.send_anyway(before + line + ATTACK + b"EXEC\r\n" * (b"MULTI" in before))
        client.rest()
    assert not has_key(atomdb)
    wait_for(lambda: "spoke HTTP" in atomdb.log(), 5, "the warning in the log")


@like_redis
def test_inline_commands_similar_to_http_run(client):
    client.send(b"GET /key\r\nSET /key HTTP/x\r\nGET /key\r\nGET http://x/\r\nSET Host: POST\r\nGET Host:\r\n")
    assert [client.read() for _ in range(6)] == [None, "OK", b"HTTP/x", None, "OK", b"POST"]


def test_a_tls_hello_is_closed(atomdb):
    """A TLS client may repeat bytes that another server chose: they must not run."""
    atomdb.start()
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + ATTACK
    for cut in (0, 1, 5):
        with atomdb.client() as client:
            client.send(hello[:cut])
            client.send_anyway(hello[cut:])
            assert client.rest() == b""
    assert not has_key(atomdb)
    wait_for(lambda: "spoke TLS" in atomdb.log(), 5, "the warning in the log")


def test_announced_sizes_use_no_memory(atomdb):
    """A hundred clients each announce an argument of 512 MB and a million arguments: memory use does not grow."""
    atomdb.start()
    with atomdb.client("s") as client:
        client.cmd("PING")
        before = atomdb.status("VmRSS")
        held = []
        for _ in range(100):
            held.append(atomdb.client("s"))
            held[-1].send(b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc")
            held.append(atomdb.client("s"))
            held[-1].send(b"*1000000\r\n$4\r\nMGET\r\n$1\r\n")
        assert client.cmd("PING") == "PONG"
        assert atomdb.status("VmRSS") - before < 32 << 20
        for other in held:
            other.close()
        assert client.cmd("PING") == "PONG"


def test_unauthenticated_clients_use_little_memory(atomdb):
    """200 unauthenticated clients send as much as possible: their memory has a limit."""
    atomdb.start()
    with atomdb.client("s") as client:
        client.cmd("PING")
        before = atomdb.status("VmRSS")
        held = []
        for _ in range(200):
            other = atomdb.client()
            other.send(b"*10\r\n" + (b"$16384\r\n" + b"a" * 16384 + b"\r\n") * 9 + b"$16384\r\nabc")
            held.append(other)
        assert client.cmd("PING") == "PONG"
        # AddressSanitizer quarantines 256 MiB of freed memory.
        quarantine = (256 << 20) * (atomdb.status("VmSize") > 1 << 42)
        assert atomdb.status("VmRSS") - before < (200 * 200 << 10) + (32 << 20) + quarantine
        for other in held:
            other.close()


@pytest.mark.parametrize("seed", range(6))
def test_random_bytes_do_not_stop_the_server(shared, seed):
    import random

    generator = random.Random(seed)
    words = [b"*", b"$", b"\r\n", b"\n", b"-1", b"0", b"1", b"3", b"GET", b"SET", b"\0", b"'", b'"', b"\\x", b" ", b"AUTH",
             b"HELLO", b"99999999999", b":", b"%", b"a" * 100, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", b"\xff"]
    for round_number in range(40):
        with shared.client("hostile" if round_number % 2 else None) as client:
            try:
                client.send(b"".join(generator.choice(words) for _ in range(generator.randint(1, 200))))
                client.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert client.closed(), "neither answered nor closed"
    with shared.client("after") as client:
        assert client.cmd("PING") == "PONG"


def test_a_refused_command_does_not_affect_the_next_client(atomdb):
    """The state of an unfinished command ends with its client: it does not affect the input of the next client."""
    atomdb.start('workers = 1;\nresp: { query_buffer = "1M"; };')
    with atomdb.client("a") as refused:
        refused.send_anyway(b"*100000\r\n" + b"$0\r\n\r\n" * 70000)
        assert b"query buffer limit exceeded" in refused.rest()
    with atomdb.client() as other:
        assert other.cmd("AUTH", "b") == "OK"
        assert other.cmd("SET", "k", "v") == "OK"


def test_a_client_that_disconnects_within_a_command_does_not_affect_the_next(atomdb):
    """The worker cannot send its replies, and passes the rest of its input to no other client."""
    atomdb.start('workers = 1;\ndefaults: { max_memory = "0"; };')
    with atomdb.client("a") as busy, atomdb.client("a") as leaving:
        busy.cmd("MSET", "a", "ab" * 2500, "b", "ba" * 2500, "large", "x" * 100000)
        busy.send(encode("LCS", "a", "b", "LEN"))
        # The first replies are sent early. A closed socket then gives an error for the later ones.
        leaving.send(encode("GET", "large") * 3 + encode("PING") + encode("SET", "k", "v" * 60)[:-32])
        leaving.close()
        assert busy.read() == 4999
        wait_for(lambda: len(busy.cmd("CLIENT", "LIST").splitlines()) == 1, 5, "the client to leave the list")
    for secret in ("b", "c"):
        with atomdb.client() as other:
            assert other.cmd("AUTH", secret) == "OK"
            assert other.cmd("SET", "k", "v") == "OK"


def test_idle_clients_are_closed_and_waiting_clients_are_not(atomdb):
    atomdb.start("resp: { idle_timeout = 3; };")
    commands = {"idle": (), "subscriber": ("SUBSCRIBE", "c"), "monitor": ("MONITOR",)}
    clients = {}
    for name, command in commands.items():
        clients[name] = atomdb.client("s")
        clients[name].cmd(*command or ("PING",))
    with atomdb.client("s") as busy, atomdb.client("s") as paused:
        assert busy.cmd("CLIENT", "PAUSE", 600000, "WRITE") == "OK"
        paused.send(encode("SET", "k", "v"))
        wait_for(lambda: busy.cmd("PING") and ended(clients["idle"]), 30, "the idle client to be closed", 0.1)
        assert busy.cmd("CLIENT", "UNPAUSE") == "OK"
        assert paused.read() == "OK"
        assert busy.cmd("PUBLISH", "c", "m") == 1
        assert clients["subscriber"].read() == [b"message", b"c", b"m"]
        assert clients["monitor"].read()
    for client in clients.values():
        client.close()
