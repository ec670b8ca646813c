#!/usr/bin/env python3
"""The state that an earlier release left with systemd at a restart: the memfds of its data, and its clients.

tests/blackbox/releases/ has one file for each such release, named after the commit of its daemon:

    git worktree add /tmp/earlier COMMIT && cd /tmp/earlier
    cmake -S . -B build && cmake --build build --target atomdb
    cd - && tests/blackbox/earlier.py /tmp/earlier/build/atomdb tests/blackbox/releases/COMMIT.xz

A file is compressed with xz. It has a line of JSON, then the pages of the memfds that are not all zeros. It cannot
contain the sockets of clients: a test makes new ones, in the order of the JSON line."""

import json
import lzma
import os
import random
import socket
import sys
import tempfile

from harness import Client, encode, wait_for
from supervisor import Supervised

CONFIG = """workers = 1;
defaults: { max_entries = 0; max_memory = "0"; };
tenants: ( { name = "shop"; secret = "secret of shop"; max_entries = 0; }, { name = "blog"; secret = "secret of blog"; } );
"""
SECRETS = ("one", "two", "secret of shop", "secret of blog")
PAGE = 4096
CENTURY = 4102444800000  # 2100-01-01, in milliseconds
UNREAD = b"unread " * 40000
UNREAD_COUNT = 40


# --- the data ----------------------------------------------------------------------------------------------------


def contents():
    """Returns {(secret, database): {key: (value, deadline in milliseconds or -1)}}, always the same."""
    draw = random.Random(4711)
    found = {}
    for secret in SECRETS:
        for database in (0, 3, 15):
            keys = {b"empty": b"", b"zero": b"0", b"small": b"7", b"negative": b"-12345678901",
                    b"largest": b"9223372036854775807", b"beyond": b"9223372036854775808", b"padded": b"007",
                    b"binary\r\n\0key": bytes(range(256)), b"k" * 127: b"at the limit", b"k" * 128: b"past it",
                    b"long" * 500: b"v" * 255, b"wide": b"w" * 256, b"slab": b"s" * 16000, b"run": b"r" * 16500,
                    b"large": b"l" * 70000, b"huge": b"h" * 300000, b"": b"no name", b"appended": b"head and tail",
                    b"bits": b"\0" * 9 + b"\x04", b"counted": b"42"}
            for number in range(60):
                keys[b"%s:%d" % (secret.encode(), number)] = b"value %d " % number * draw.randrange(40)
            found[secret, database] = {
                key: (value, CENTURY + draw.randrange(10**9) if draw.randrange(3) == 0 else -1)
                for key, value in keys.items()}
    return found


def fill(server):
    for (secret, database), keys in contents().items():
        with server.client(secret) as client:
            client.many([("SELECT", database)] + [("SET", f"gone:{i}", i) for i in range(100)])
            ways = {b"appended": [("SET", "appended", "head"), ("APPEND", "appended", " and tail")],
                    b"bits": [("SETBIT", "bits", 77, 1)], b"counted": [("SET", "counted", 40), ("INCRBY", "counted", 2)]}
            for key, (value, deadline) in keys.items():
                client.many(ways.get(key, [("SET", key, value)]))
                if deadline >= 0:
                    assert client.cmd("PEXPIREAT", key, deadline) == 1
            client.many([("DEL", f"gone:{i}") for i in range(100)])


def check(server):
    """Checks that keys, values and deadlines equal contents(), and that there are no other keys."""
    for (secret, database), keys in contents().items():
        with server.client(secret) as client:
            client.cmd("SELECT", database)
            assert sorted(client.cmd("KEYS", "*")) == sorted(keys)
            order = list(keys)
            assert client.many([("GET", key) for key in order]) == [keys[key][0] for key in order]
            assert client.many([("PEXPIRETIME", key) for key in order]) == [keys[key][1] for key in order]
            assert [client.cmd("OBJECT", "ENCODING", key) for key in (b"small", b"padded", b"appended")] == [
                b"int", b"embstr", b"raw"]


# --- the clients -------------------------------------------------------------------------------------------------


def make_clients(server):
    """Returns clients in many states, by name."""
    names = ("plain", "multi", "clean", "dirty", "resp3", "listener", "redirected", "tracker", "half", "unread", "skip")
    c = {name: server.client("clients") for name in names}
    c["stranger"] = server.client()
    c["listed"] = server.client("secret of shop")
    c["plain"].many([("CLIENT", "SETNAME", "Bob"), ("CLIENT", "SETINFO", "LIB-NAME", "lib"), ("SET", "a", 1),
                     ("SET", "b", 1), ("SELECT", 7), ("CLIENT", "NO-EVICT", "ON"), ("SET", "unread", UNREAD),
                     ("CONFIG", "SET", "notify-keyspace-events", "K$", "slowlog-log-slower-than", "77")])
    c["multi"].many([("MULTI",), ("SET", "in multi", "x"), ("INCR", "a"), ("GET", "in multi")])
    c["clean"].many([("WATCH", "b"), ("MULTI",), ("INCR", "b")])
    c["dirty"].many([("WATCH", "a"), ("MULTI",), ("INCR", "a")])
    c["resp3"].many([("HELLO", 3), ("CLIENT", "TRACKING", "ON"), ("GET", "a")])
    c["plain"].many([("SELECT", 0), ("SET", "a", 10), ("SELECT", 7)])
    assert c["resp3"].read()[0] == b"invalidate"
    c["resp3"].cmd("GET", "a")
    c["listener"].many([("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "shard")])
    c["listener"].cmd("SUBSCRIBE", "__keyspace@0__:noted")
    number = c["redirected"].cmd("CLIENT", "ID")
    c["redirected"].cmd("SUBSCRIBE", "__redis__:invalidate")
    c["tracker"].many([("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", "PREFIX", "t:")])
    c["half"].send(encode("SET", "half", "whole")[:-9])
    c["unread"].send(encode("SELECT", 7) + encode("GET", "unread") * UNREAD_COUNT + encode("PING"))
    c["skip"].send(encode("CLIENT", "REPLY", "SKIP"))
    wait_for(lambda: server.metric("redis_connected_clients") == len(c))
    c["plain"].cmd("PING")
    return c


def check_clients(c):
    """Checks that the clients continue in their states. `c`: connections by name."""
    line = c["plain"].cmd("CLIENT", "INFO").decode()
    assert " name=Bob " in line and " db=7 " in line and " lib-name=lib " in line and " flags=e " in line
    assert c["plain"].cmd("CONFIG", "GET", "slowlog-log-slower-than")[1] == b"77"
    assert c["multi"].cmd("EXEC") == ["OK", 11, b"x"]
    assert c["resp3"].read() == [b"invalidate", [b"a"]]
    assert c["clean"].cmd("EXEC") == [2]
    assert c["dirty"].cmd("EXEC") is None
    assert c["resp3"].cmd("HELLO")[b"proto"] == 3
    assert c["plain"].cmd("PUBLISH", "news", "today") == 2
    assert c["listener"].read() == [b"message", b"news", b"today"]
    assert c["listener"].read() == [b"pmessage", b"n*", b"news", b"today"]
    assert c["plain"].cmd("SPUBLISH", "shard", "x") == 1
    assert c["listener"].read() == [b"smessage", b"shard", b"x"]
    c["plain"].many([("SELECT", 0), ("SET", "noted", 1), ("SET", "t:1", 1)])
    assert c["listener"].read() == [b"message", b"__keyspace@0__:noted", b"set"]
    assert c["redirected"].read() == [b"message", b"__redis__:invalidate", [b"t:1"]]
    c["half"].send(encode("SET", "half", "whole")[-9:])
    assert c["half"].read() == "OK" and c["half"].cmd("GET", "half") == b"whole"
    c["skip"].send(encode("GET", "a") + encode("ECHO", "heard"))
    assert c["skip"].read() == b"heard"
    assert c["stranger"].cmd("GET", "a").code == "NOAUTH"
    assert c["stranger"].cmd("AUTH", "clients") == "OK" and c["stranger"].cmd("GET", "a") == b"11"
    assert c["listed"].cmd("GET", "small") == b"7"
    numbers = [c[name].cmd("CLIENT", "ID") for name in ("plain", "multi", "clean", "dirty", "half")]
    assert len(set(numbers)) == len(numbers)


def check_unread(connection):
    """Checks that the output that the old socket did not accept arrives completely."""
    whole = (b"$%d\r\n%b\r\n" % (len(UNREAD), UNREAD)) * UNREAD_COUNT + b"+PONG\r\n"
    got = b""
    while not got.endswith(b"+PONG\r\n"):
        piece = connection.sock.recv(1 << 20)
        assert piece, "the connection ends before the output"
        got += piece
    assert len(got) > len(UNREAD) and whole.endswith(got)


# --- files -------------------------------------------------------------------------------------------------------


def _pages(fd):
    """Yields (number, bytes) of the pages that are not all zeros."""
    size, at = os.fstat(fd).st_size, 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        for page in range(at // PAGE, -(-os.lseek(fd, at, os.SEEK_HOLE) // PAGE)):
            data = os.pread(fd, PAGE, page * PAGE)
            if data.strip(b"\0"):
                yield page, data.ljust(PAGE, b"\0")
        at = os.lseek(fd, at, os.SEEK_HOLE)


def keep(path, store, clients):
    head, body = {"clients": clients, "files": []}, b""
    for name, fd in store:
        pages = dict(_pages(fd))
        stat = os.fstat(fd)
        head["files"].append({"name": name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "pages": list(pages)})
        body += b"".join(pages.values())
    with lzma.open(path, "wb", preset=9 | lzma.PRESET_EXTREME) as out:
        out.write(json.dumps(head).encode() + b"\n" + body)


def bring_back(path, saved=True):
    """Returns the memfds by name, and the names of the clients. Without `saved`, they are in the state that a killed
    daemon leaves."""
    with lzma.open(path) as source:
        head, files = json.loads(source.readline()), {}
        for file in head["files"]:
            fd = os.memfd_create(file["name"], os.MFD_CLOEXEC)
            os.ftruncate(fd, file["size"])
            for page in file["pages"]:
                os.pwrite(fd, source.read(PAGE)[: file["size"] - page * PAGE], page * PAGE)
            if saved:
                os.utime(fd, ns=(file["mtime_ns"], file["mtime_ns"]))
            files[file["name"]] = fd
        return files, head["clients"]


def _take_sockets(carrier):
    """Returns the sockets of the clients in order."""
    with socket.socket(fileno=os.dup(carrier)) as end:
        end.setblocking(False)
        while True:
            data, fds, _, _ = socket.recv_fds(end, 1, 253)
            for fd in fds:
                yield socket.socket(fileno=fd)
            if not data:
                return


def make_sockets(names):
    """Returns a file that carries new sockets, and connections with their other ends by name."""
    here, there = socket.socketpair()
    clients, passed = {}, []
    for name in names:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        passed.append(theirs)
        clients[name] = client = Client.__new__(Client)
        client.sock, client.data, client.at = ours, bytearray(), 0
        ours.settimeout(20)
    with here:
        socket.send_fds(here, [b"f"], [sock.fileno() for sock in passed])
    for sock in passed:
        sock.close()
    return there.detach(), clients


def main(binary, path):
    with tempfile.TemporaryDirectory() as directory:
        service = Supervised(os.path.abspath(binary), directory)
        try:
            service.start(CONFIG)
            fill(service)
            clients = make_clients(service)
            ports = {client.sock.getsockname()[1]: name for name, client in clients.items()}
            service.end()
            order = [ports[sock.getpeername()[1]] for sock in _take_sockets(*service.kept("atomdb-clients"))]
            keep(path, [entry for entry in service.store if entry[0] != "atomdb-clients"], order)
        finally:
            service.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
