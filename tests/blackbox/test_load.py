"""Many clients, slow clients, greedy clients, large values."""

import itertools
import os
import re
import resource
import socket
import threading
import time

import pytest

from harness import PATIENCE, Client, Closed, Error, encode, info, wait_for

UNLIMITED = 'defaults: { max_entries = 0; max_memory = "0"; };\n'


@pytest.mark.threads
def test_a_slow_writer_is_served(atomdb):
    """50 clients send single bytes in turn. Another client still gets its replies at once."""
    atomdb.start()
    stream = encode("AUTH", "s") + encode("INCR", "slow") + encode("QUIT")
    with atomdb.client("quick") as quick:
        clients = [atomdb.client() for _ in range(50)]
        for byte in stream:
            for client in clients:
                client.send(bytes([byte]))
            assert quick.cmd("PING") == "PONG"
        answers = sorted(client.rest() for client in clients)
        assert answers == sorted(b"+OK\r\n:%d\r\n+OK\r\n" % number for number in range(1, 51))


@pytest.mark.threads
def test_a_slow_reader_gets_everything(atomdb):
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as writer, atomdb.client("s") as slow:
        value = bytes(range(256)) * 4096  # 1 MiB
        writer.cmd("SET", "big", value)
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
        slow.send(encode("GET", "big") * 16)
        for _ in range(16):
            assert writer.cmd("PING") == "PONG"
            time.sleep(0.01)
            assert slow.read() == value


def test_a_reader_that_never_reads_is_closed(atomdb):
    """Its unread replies use at most output_buffer. It does not affect other clients."""
    atomdb.start(UNLIMITED + 'resp: { output_buffer = "8M"; };')
    with atomdb.client("s") as writer:
        writer.cmd("SET", "big", b"x" * (4 << 20))
        before = atomdb.status("VmRSS")
        greedy = atomdb.client("s")
        greedy.sock.settimeout(0.5)
        peak = 0
        sent = 0
        try:
            for _ in range(400):
                greedy.send(encode("MGET", *["big"] * 50))
                sent += 1
                peak = max(peak, atomdb.status("VmRSS"))
                assert writer.cmd("PING") == "PONG"
        except OSError:
            pass
        assert writer.cmd("PING") == "PONG"
        wait_for(lambda: atomdb.metric("redis_connected_clients") == 1, 10, "the greedy client to be closed")
        assert peak - before < 400 << 20
        greedy.close()


def test_a_client_that_stops_reading_stops_being_read(atomdb):
    """Small commands with unread replies: the server holds only a few of them."""
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as writer:
        writer.cmd("SET", "k", b"x" * 10000)
        before = atomdb.status("VmRSS")
        lazy = atomdb.client("s")
        lazy.sock.setblocking(False)
        command, total = encode("GET", "k") * 1000, 0
        end = time.monotonic() + 3
        while time.monotonic() < end and total < 64 << 20:
            try:
                total += lazy.sock.send(command)
            except BlockingIOError:
                time.sleep(0.01)
        assert writer.cmd("PING") == "PONG"
        assert atomdb.status("VmRSS") - before < 64 << 20
        lazy.close()


@pytest.mark.threads
def test_a_flood_does_not_block_others(atomdb):
    atomdb.start(UNLIMITED + "workers = 1;")
    stop = threading.Event()

    def flood():
        with atomdb.client("flood") as client:
            batch, count = encode("INCR", "n") * 2000, 0
            while not stop.is_set():
                client.send(batch)
                for _ in range(2000):
                    count += 1
                    assert client.read() == count

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        with atomdb.client("quiet") as quiet:
            times = []
            for number in range(200):
                start = time.perf_counter()
                assert quiet.cmd("SET", "k", number) == "OK"
                times.append(time.perf_counter() - start)
            assert sorted(times)[100] < 0.2 * PATIENCE and max(times) < 10 * PATIENCE
    finally:
        stop.set()
        thread.join()


def test_9000_idle_connections_use_little_memory(atomdb):
    count = 9000
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert files >= count + 200, f"the limit on open files ({files}) is too low for this test"
    # A single tenant may use half of the places, unless its own limit is higher.
    atomdb.start("resp: { auth_timeout = 0; }; defaults: { max_clients = 9500; };")
    with atomdb.client("s") as client:
        client.cmd("SET", "k", "v")
        clients = [atomdb.client("s") for _ in range(200)]  # includes memory that is allocated once
        before = atomdb.status("VmRSS")
        clients += [atomdb.client("s", source=f"127.0.0.{2 + number % 8}") for number in range(count - 200)]
        assert atomdb.metric("redis_connected_clients") == count + 1
        each = (atomdb.status("VmRSS") - before) / (count - 200)
        sanitized = atomdb.status("VmSize") > 1 << 42  # shadow memory
        assert sanitized or each < 1500, f"{each:.0f} bytes a connection"
        assert client.cmd("GET", "k") == b"v"
        for other in clients[:: count // 50]:
            assert other.cmd("GET", "k") == b"v"
        assert len(client.cmd("CLIENT", "LIST").splitlines()) == count + 1
        for other in clients:
            other.close()
        wait_for(lambda: atomdb.metric("redis_connected_clients") == 1, 10, "the connections to close")
        assert client.cmd("GET", "k") == b"v"


def connect_many(server, count):
    """Tries to open `count` connections. Returns the accepted ones, and the number of refused ones."""
    clients, refused = [], 0
    for _ in range(count):
        try:
            clients.append(Client(server.port, "s", timeout=2))
        except (OSError, Closed, AssertionError):
            refused += 1
    return clients, refused


def cpu_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        return sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def test_the_daemon_recovers_from_the_limit_on_open_files(atomdb):
    """At the limit, the daemon does not spin, and serves existing clients. When files are free again, it accepts new
    clients."""
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        files = len(os.listdir(f"/proc/{atomdb.pid}/fd"))
        resource.prlimit(atomdb.pid, resource.RLIMIT_NOFILE, (files + 30, files + 30))
        clients, refused = connect_many(atomdb, 60)
        assert refused >= 25 and len(clients) >= 20
        for number in range(50):
            assert client.cmd("SET", "k", number) == "OK"
        waiting = [socket.create_connection(("127.0.0.1", atomdb.port)) for _ in range(5)]
        before = cpu_seconds(atomdb)
        time.sleep(0.5)
        assert cpu_seconds(atomdb) - before < 0.25, "the daemon spins"
        for other in clients + waiting:
            other.close()
        wait_for(lambda: connect_many(atomdb, 1)[0], 10, "a new connection")
        assert atomdb.metric("atomdb_rejected_connections_total", reason="open_files") >= refused


def test_a_low_limit_on_open_files_lowers_max_clients(atomdb):
    """The log has a message about it."""
    atomdb.start(UNLIMITED, nofile=150)
    wait_for(lambda: "open files" in atomdb.log(), 5, "the warning")
    with atomdb.client("s") as client:
        clients, refused = connect_many(atomdb, 160)
        assert refused > 0 and clients
        assert client.cmd("SET", "k", "v") == "OK"
        assert atomdb.http("/health").status == 200
        assert atomdb.metric("redis_rejected_connections_total") >= refused
        for other in clients:
            other.close()
        wait_for(lambda: connect_many(atomdb, 1)[0], 10, "a new connection")


@pytest.mark.parametrize("size", [64 << 20, pytest.param(512 << 20, marks=pytest.mark.long)], ids=["64M", "512M"])
def test_large_values_can_be_written_read_and_deleted(atomdb, size):
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; };\nresp: { output_buffer = "1G"; };')
    with atomdb.client("s", timeout=120) as client, atomdb.client("t") as other:
        chunk = bytes(range(256)) * 4096
        client.send(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % size)
        for _ in range(size // len(chunk)):
            client.send(chunk)
        client.send(b"\r\n")
        assert client.read() == "OK"
        assert client.cmd("STRLEN", "big") == size
        value = client.cmd("GET", "big")
        assert len(value) == size and value[: len(chunk)] == chunk and value[-len(chunk) :] == chunk
        del value
        assert other.cmd("PING") == "PONG"
        reply = client.cmd("APPEND", "big", "x" * 10)
        assert reply == size + 10 if size < 512 << 20 else \
            reply == "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        assert client.cmd("DEL", "big") == 1
        client.close()
        wait_for(lambda: atomdb.status("VmRSS") < 40 << 20 or atomdb.status("VmSize") > 1 << 42, 20,
                 "the memory to be given back")


def test_the_query_buffer_bounds_an_unfinished_command(atomdb):
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; };\nresp: { query_buffer = "2M"; };')
    with atomdb.client("s") as client, atomdb.client("s") as other:
        assert client.cmd("SET", "k", b"x" * (1 << 20)) == "OK"
        try:
            client.send(encode("SET", "k2", b"x" * (8 << 20)))
            data = client.rest()
        except OSError:
            data = b""
        assert b"+OK" not in data
        assert other.cmd("EXISTS", "k2") == 0


def test_a_pipeline_may_be_larger_than_every_buffer(atomdb):
    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        commands = [encode("SET", f"k{number}", "v" * (number % 3000)) for number in range(3000)]
        expected = b"+OK\r\n" * 3000
        sender = threading.Thread(target=client.send, args=(b"".join(commands) + encode("QUIT"),))
        sender.start()
        assert client.rest() == expected + b"+OK\r\n"
        sender.join()
        with atomdb.client("s") as other:
            assert other.many(("STRLEN", f"k{number}") for number in range(3000)) == [n % 3000 for n in range(3000)]


@pytest.mark.threads
def test_connections_that_come_and_go_leave_no_client(atomdb):
    atomdb.start()
    for number in itertools.islice(itertools.count(), 300):
        client = atomdb.client("s" if number % 3 else None)
        if number % 2:
            client.send(b"*3\r\n$3\r\nSET\r\n$1\r\n")
        client.close()
    wait_for(lambda: atomdb.metric("redis_connected_clients") == 0, 10, "all clients to leave")
    with atomdb.client("s") as client:
        assert client.cmd("PING") == "PONG"


def has_huge_pages():
    """Returns True if this kernel supports huge pages for shared memory."""
    release = tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
    return release >= (6, 1) and os.path.exists("/sys/kernel/mm/transparent_hugepage/shmem_enabled")


@pytest.mark.skipif(not has_huge_pages(), reason="the kernel has no MADV_COLLAPSE for shared memory")
def test_full_memory_uses_huge_pages(atomdb):
    value = b"v" * 1000

    def fill(client):
        for start in range(0, 20000, 1000):
            client.send(b"".join(encode("SET", f"key:{n}", value) for n in range(start, start + 1000)))
            assert [client.read() for _ in range(1000)] == ["OK"] * 1000

    atomdb.start(UNLIMITED)
    with atomdb.client("s") as client:
        fill(client)
        wait_for(lambda: atomdb.metric("atomdb_arena_huge_page_bytes") > 10 << 20, what="huge pages")
        assert client.cmd("GET", "key:19999") == value
        client.cmd("FLUSHALL")
        wait_for(lambda: atomdb.metric("atomdb_arena_resident_bytes") < 4 << 20, what="the memory to be freed")


CHANGES = {
    "overwrite": [("SET", "big", "small")],
    "delete": [("DEL", "big")],
    "take": [("GETDEL", "big")],
    "part": [("SETRANGE", "big", 1, b"changed"), ("SETBIT", "big", 8_000_000, 1)],
    "append": [("APPEND", "big", b"more")],
    "expire": [("EXPIRE", "big", 100), ("PEXPIREAT", "big", 1)],
    "rename": [("RENAME", "big", "other"), ("SET", "other", "small")],
    "transaction": [("MULTI",), ("DEL", "big"), ("SET", "big", "small"), ("GET", "big"), ("EXEC",)],
    "flush": [("FLUSHALL",)],
    "swap": [("SWAPDB", 0, 1), ("FLUSHALL",)],
    "copy": [("COPY", "big", "other"), ("SET", "other", "small"), ("DEL", "big")],
}


@pytest.mark.like_redis
@pytest.mark.parametrize("change", CHANGES)
def test_a_value_does_not_change_while_it_is_sent(shared, secret, client, change):
    value = os.urandom(1 << 20) * 8
    client.cmd("SET", "big", value)
    readers = [shared.client(secret) for _ in range(3)]
    for reader in readers:
        reader.send(encode("GET", "big") + encode("PING"))
        assert reader.sock.recv(1) == b"$"
    for command in CHANGES[change]:
        assert not isinstance(client.cmd(*command), Error)
    # Freed memory is reused.
    for number in range(8):
        client.cmd("SET", f"k{number}", b"x" * (1 << 20))
    for reader in readers:
        reader.data += b"$"
        assert reader.read() == value
        assert reader.read() == "PONG"
        assert reader.cmd("GET", "k0") == b"x" * (1 << 20)
        reader.close()


def test_a_large_value_is_not_copied_for_each_client(atomdb):
    """The value counts once while the key has it, and once more while the server still sends an old version."""
    size = 24 << 20
    atomdb.start('defaults: { max_memory = "64M"; client_memory = "32M"; eviction = "none"; };')
    with atomdb.client("s") as client:
        used = lambda: int(info(client, "memory")["used_memory"])
        value = os.urandom(1 << 20) * 24
        client.cmd("SET", "big", value)
        one, resident = used(), atomdb.status("VmRSS")
        readers = [atomdb.client("s") for _ in range(20)]
        for reader in readers:
            reader.send(encode("GET", "big"))
            assert reader.sock.recv(1) == b"$"
        unsent = [int(n) for n in re.findall(rb"omem=(\d+)", client.cmd("CLIENT", "LIST"))]
        assert len([n for n in unsent if n > size // 2]) == 20
        assert used() < one + (1 << 20) and atomdb.status("VmRSS") < resident + (8 << 20)
        assert client.cmd("SETRANGE", "big", 0, b"new") == size
        assert one + size <= used() < one + size + (4 << 20)
        # The tenant has no room for a third copy.
        assert client.cmd("SETRANGE", "other", size, b"x").code == "OOM"
        assert client.cmd("DEL", "big") == 1
        assert size <= used() < size + (4 << 20)
        readers.pop().close()
        for reader in readers:
            reader.data += b"$"
            assert reader.read() == value
        wait_for(lambda: used() < 1 << 20, 10, "the end of the tenant's charge")
        client.cmd("SET", "big", value)
        assert client.cmd("GET", "big") == value
        for reader in readers:
            reader.close()


def test_a_value_larger_than_the_output_limit_is_read(atomdb):
    """A value that is sent in place uses no output buffer, even if a MONITOR is active."""
    atomdb.start(UNLIMITED + 'resp: { output_buffer = "8M"; };')
    value = b"x" * (9 << 20)
    with atomdb.client("s") as client, atomdb.client("s") as monitor:
        client.cmd("SET", "big", value)
        assert client.cmd("GET", "big") == value
        assert monitor.cmd("MONITOR") == "OK"
        assert client.cmd("GET", "big") == value
        assert client.cmd("STRLEN", "big") == 9 << 20


def test_a_client_may_disconnect_while_a_value_is_sent(atomdb):
    """The tenant ends with its reader, or the reader ends after the last key of the tenant."""
    atomdb.start(UNLIMITED)
    value = b"x" * (16 << 20)
    for how in ("kill", "close", "half"):
        with atomdb.client("s") as client:
            client.cmd("SET", "big", value)
            reader = atomdb.client("s")
            reader.send(encode("CLIENT", "ID") + encode("GET", "big"))
            number = reader.read()
            client.cmd("DEL", "big")
            if how == "kill":
                assert client.cmd("CLIENT", "KILL", "ID", number) == 1
            elif how == "half":
                reader.sock.shutdown(socket.SHUT_WR)
                assert reader.read() == value
        reader.close()
        wait_for(lambda: atomdb.metric("atomdb_tenants") == 0, 10, "the end of the tenant")
