"""Long commands on fibers: other tenants do not wait, and no client sees half a command, not even after a crash."""

import os
import socket
import struct
import threading
import time

import pytest

from harness import PATIENCE, encode, scaled, wait_for

ONE = 'workers = 1;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'
TWO = ONE.replace("1", "2", 1)


def prepare(client, size):
    """Makes two values whose LCS takes some tens of microseconds for each of `size` bytes."""
    half = scaled(size) // 2
    assert client.many([("SET", "x", "ab" * half), ("SET", "y", "ba" * half)]) == ["OK"] * 2


def send_transaction(client, *commands):
    """Sends a transaction in one piece, and lets it begin. The caller reads the replies."""
    client.send(encode("MULTI") + b"".join(encode(*command) for command in commands) + encode("EXEC"))
    time.sleep(0.05)


def read_transaction(client, count):
    assert [client.read() for _ in range(count + 1)] == ["OK"] + ["QUEUED"] * count
    return client.read()


LCS = ("LCS", "x", "y", "LEN")


def how_many(client, seconds):
    """Returns how many LCS take at least so long, by the quickest of three: the machine may be busy during others."""
    quickest = float("inf")
    for _ in range(3):
        begin = time.monotonic()
        assert client.cmd(*LCS) > 0
        quickest = min(quickest, time.monotonic() - begin)
    return max(2, int(seconds / quickest))


def long_transaction(size, repeat):
    """Returns commands: INCR, some LCS, and INCR again."""
    return [("INCR", "n"), ("SET", "first", "1")] + [LCS] * repeat + [("APPEND", "log", "x"), ("INCR", "n")]


# --- long names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("yields", ["", pytest.param("1", marks=pytest.mark.hooks)])
def test_names_of_hundreds_of_kilobytes_are_kept_apart(atomdb, yields):
    server = atomdb.start(ONE, environment={"ATOMDB_TEST_YIELD": yields} if yields else {})
    first, second, third = (b"n" * 300_000 + end for end in (b"1", b"2", b"3"))
    with server.client("names") as client, server.client("names") as other:
        assert client.many([("SET", first, "one"), ("MSET", second, "two", "short", "s"), ("GET", first), ("GET", second),
                            ("GET", third)]) == ["OK", "OK", b"one", b"two", None]
        assert client.many([("WATCH", first), ("APPEND", second, "+"), ("RENAME", first, third), ("GET", third)]) == [
            "OK", 4, "OK", b"one"]
        assert client.many([("MULTI",), ("INCR", first), ("COPY", second, first), ("EXEC",)]) == [
            "OK", "QUEUED", "QUEUED", None]
        assert client.many([("MULTI",), ("INCR", first), ("COPY", second, first, "REPLACE"), ("EXEC",)]) == [
            "OK", "QUEUED", "QUEUED", [1, 1]]
        assert client.many([("MGET", first, second, third), ("DEL", first, third), ("DBSIZE",), ("EXPIRE", second, 100),
                            ("GET", second)]) == [[b"two+", b"two+", b"one"], 2, 2, 1, b"two+"]
        assert client.cmd("SUBSCRIBE", first) == [b"subscribe", first, 1]
        assert other.many([("PUBLISH", second, "m"), ("PUBLISH", first, "m")]) == [0, 1]
        assert client.read() == [b"message", first, b"m"]
        assert other.cmd("PUBSUB", "NUMSUB", first) == [first, 1]


# --- neighbours --------------------------------------------------------------------------------------------------


def test_a_neighbour_is_served_while_a_transaction_runs(atomdb):
    server = atomdb.start(ONE)
    with server.client("busy") as busy, server.client("quiet") as quiet:
        prepare(busy, 6000)
        commands = long_transaction(6000, 20)
        send_transaction(busy, *commands)
        answered = 0
        done = threading.Event()

        def wait():
            assert read_transaction(busy, len(commands))[-1] == 2
            done.set()

        reader = threading.Thread(target=wait)
        reader.start()
        while not done.is_set():
            assert quiet.cmd("INCR", "n") == answered + 1
            answered += 1
        reader.join()
        # In one piece it would be one or two.
        assert answered > 20


def test_commands_of_the_same_tenant_see_all_of_a_transaction_or_nothing(atomdb):
    server = atomdb.start(ONE)
    with server.client("busy") as busy, server.client("busy") as same:
        prepare(busy, 3000)
        commands = long_transaction(3000, 10)
        send_transaction(busy, *commands)
        seen = set()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            seen.add(tuple(same.many([("GET", "n"), ("GET", "log")])))
        assert seen <= {(None, None), (b"2", b"x")}
        assert read_transaction(busy, len(commands))[-1] == 2


@pytest.mark.threads
def test_secrets_that_open_a_busy_tenant_wait(atomdb):
    server = atomdb.start(TWO)
    with server.client("busy") as busy, server.client() as late:
        prepare(busy, 5000)
        commands = long_transaction(5000, 10)
        send_transaction(busy, *commands)
        late.send(encode("AUTH", "busy") + encode("SET", "n", "100"))
        assert read_transaction(busy, len(commands))[0] == 1
        assert [late.read(), late.read()] == ["OK", "OK"]
        assert late.cmd("GET", "n") == b"100"


def test_an_idle_worker_uses_no_time_after_long_commands(atomdb):
    server = atomdb.start(ONE)

    def used():
        with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with server.client("busy") as busy, server.client("gone") as gone:
        prepare(busy, 2000)
        prepare(gone, 5000)
        send_transaction(busy, *long_transaction(2000, 20))
        read_transaction(busy, 24)
        send_transaction(gone, *[LCS] * 20)
        gone.close()
        wait_for(lambda: server.metric("atomdb_clients") == 1, what="the client to be gone")
        time.sleep(0.2)
        before = used()
        time.sleep(0.5)
        assert used() - before < 0.1 * PATIENCE


# --- ends ---------------------------------------------------------------------------------------------------------


def test_a_transaction_whose_client_is_gone_comes_to_its_end(atomdb):
    server = atomdb.start(ONE)
    with server.client("busy") as busy, server.client("busy") as other:
        prepare(busy, 4000)
        send_transaction(busy, *long_transaction(4000, 20))
        time.sleep(0.05)
        busy.close()
        wait_for(lambda: other.cmd("GET", "n") == b"2", what="the transaction to end")
        assert other.cmd("GET", "log") == b"x"


def test_a_reader_whose_client_is_gone_ends_long_before_its_time(atomdb, admin):
    """Searches that would take minutes end at their next check point if the connection is reset. (A client that calls
    close() looks like one that waits for its reply after shutdown().)"""
    server = atomdb.start(ONE + f'admin: {{ secret_file = "{admin}"; }};\n')
    with server.client("root-secret") as operator, server.client("busy") as other, server.client("busy") as busy:
        prepare(busy, 8000)
        send_transaction(busy, *[LCS] * 4000)
        wait_for(lambda: b"cmd=exec" in operator.cmd("CLIENT", "LIST"), what="the searches to begin")
        other.send(encode("STRLEN", "x"))
        busy.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        busy.close()
        assert other.read() == scaled(8000)


@pytest.fixture(name="admin")
def admin_fixture(tmp_path):
    path = tmp_path / "admin-secret"
    path.write_text("root-secret\n")
    return path


@pytest.mark.threads
def test_the_operator_is_answered_and_may_drop_or_kill(atomdb, admin):
    server = atomdb.start(TWO + f'admin: {{ secret_file = "{admin}"; }};\n')
    with server.client("root-secret") as operator, server.client("busy") as busy, server.client("other") as other:
        assert operator.cmd("TENANT", "CREATE", "shop", "SECRET", "shop") == "OK"
        with server.client("shop") as shop:
            prepare(shop, 8000)
            send_transaction(shop, *long_transaction(8000, 200))
            prepare(busy, 8000)
            send_transaction(busy, *long_transaction(8000, 20))
            assert b"name=shop" in operator.cmd("CLIENT", "LIST") or b"user=shop" in operator.cmd("CLIENT", "LIST")
            assert other.cmd("PING") == "PONG"
            identity = [line for line in operator.cmd("CLIENT", "LIST").decode().splitlines() if "cmd=exec" in line]
            assert len(identity) == 2
            assert operator.cmd("TENANT", "DROP", "shop") == "OK"
            assert other.cmd("PING") == "PONG"
            assert shop.closed(30)
        assert read_transaction(busy, 24)[-1] == 2


@pytest.mark.threads
def test_a_client_that_is_killed_while_its_command_is_suspended(atomdb, admin):
    server = atomdb.start(TWO + f'admin: {{ secret_file = "{admin}"; }};\n')
    with server.client("root-secret") as operator, server.client("busy") as busy, server.client("busy") as same:
        prepare(busy, 5000)
        send_transaction(busy, *long_transaction(5000, 20))
        same.send(encode("GET", "n"))
        time.sleep(0.05)
        ids = [line.split()[0][3:] for line in operator.cmd("CLIENT", "LIST").decode().splitlines() if "cmd=exec" in line]
        assert len(ids) == 1
        assert operator.cmd("CLIENT", "KILL", "ID", ids[0]) == 1
        assert busy.closed()
        assert same.read() == b"2"


def test_a_reader_ends_after_busy_limit_if_its_tenant_has_to_give_memory_back(atomdb, admin):
    server = atomdb.start(ONE + f'busy_limit = 1;\nadmin: {{ secret_file = "{admin}"; }};\n')
    with server.client("root-secret") as operator, server.client("quiet") as quiet:
        assert operator.cmd("TENANT", "CREATE", "shop", "secret", "shop") == "OK"
        assert operator.cmd("CONFIG", "GET", "busy_limit") == [b"busy_limit", b"1"]
        with server.client("shop") as shop, server.client("shop") as same:
            prepare(shop, 8000)
            assert shop.many(("SET", f"k:{i}", "v") for i in range(1000)) == ["OK"] * 1000
            count = how_many(shop, 2.5)
            # The transaction ends long before the last of them.
            reads = [LCS] * 8 * count
            send_transaction(shop, *reads)
            assert operator.cmd("TENANT", "SET", "shop", "max_entries", "5") == "OK"
            same.send(encode("DBSIZE"))
            assert quiet.cmd("PING") == "PONG"
            assert read_transaction(shop, len(reads)).code == "BUSYKILLED"
            assert same.read() in (5, 1002)
            wait_for(lambda: same.cmd("DBSIZE") == 5, what="the keys to be evicted")
            assert b"errorstat_BUSYKILLED:count=1" in shop.cmd("INFO", "errorstats")
            # A writer runs to its end.
            prepare(shop, 8000)
            reads = [LCS] * count
            send_transaction(shop, ("INCR", "n"), *reads)
            assert operator.cmd("TENANT", "SET", "shop", "max_entries", "1") == "OK"
            assert read_transaction(shop, 1 + len(reads)) == [1] + [scaled(8000) - 1] * len(reads)
    assert server.log().count("A command was ended because its tenant has to give memory back: tenant shop, ") == 1


# --- the watch over check points ------------------------------------------------------------------------------------


def stalls(server):
    """Returns the counter of stalls, and the lines in the log about them."""
    return (server.metric("atomdb_worker_stalls_total", worker="0"),
            [line for line in server.log().splitlines() if "kept its worker too long" in line])


@pytest.mark.hooks
def test_a_command_without_check_points_is_counted_and_logged(atomdb):
    """Needs ATOMDB_TEST_HOOKS: DEBUG BURN uses CPU time without a check point."""
    server = atomdb.start(ONE + "enable_debug_command = true;\n")
    with server.client("busy") as busy:
        assert busy.cmd("DEBUG", "BURN", 1) == "OK"
        assert busy.cmd("DEBUG", "SLEEP", "0.2") == "OK"
        assert stalls(server) == (0, [])
        assert busy.cmd("DEBUG", "BURN", 250) == "OK"
        count, lines = stalls(server)
        assert count == 1 and len(lines) == 1 and "command debug, " in lines[0] and lines[0].endswith(" ms")
        # A transaction on a fiber is logged once.
        commands = [("PING",)] * 20 + [("DEBUG", "BURN", 250), ("PING",)] * 3
        send_transaction(busy, *commands)
        assert read_transaction(busy, len(commands))[-1] == "PONG"
        count, lines = stalls(server)
        assert count == 4 and len(lines) == 2 and "command exec, " in lines[1]


# --- restarts and crashes -----------------------------------------------------------------------------------------


@pytest.mark.threads
def test_a_neighbours_acknowledged_writes_survive_a_crash_in_a_transaction(service):
    service.start(ONE)
    with service.client("busy") as busy, service.client("quiet") as quiet:
        prepare(busy, 8000)
        assert busy.cmd("SET", "n", "10") == "OK"
        assert busy.many([("SELECT", 1)] + [("SET", f"k:{i}", "v") for i in range(3000)]) == ["OK"] * 3001
        assert busy.cmd("SELECT", 0) == "OK"
        send_transaction(busy, ("SET", "n", "11"), ("SELECT", 1), ("FLUSHDB",), ("SET", "new", "v"), ("SELECT", 0),
                         ("SET", "n", "12"), *[LCS] * 200, ("SET", "n", "13"))
        time.sleep(0.1)
        for i in range(300):
            assert quiet.cmd("SET", f"q:{i}", i) == "OK"
        service.crash()
    with service.client("busy") as busy, service.client("quiet") as quiet:
        assert quiet.many([("GET", f"q:{i}") for i in range(300)]) == [str(i).encode() for i in range(300)]
        assert busy.cmd("GET", "n") == b"10"
        assert busy.many([("DBSIZE",), ("SELECT", 1), ("DBSIZE",)]) == [3, "OK", 3000]


@pytest.mark.threads
def test_a_restart_waits_for_a_command_that_ends_soon(service):
    service.start(TWO)
    with service.client("busy") as busy, service.client("quiet") as quiet:
        prepare(busy, 5000)
        commands = long_transaction(5000, 10)
        send_transaction(busy, *commands)
        time.sleep(0.05)
        service.restart()
        assert quiet.cmd("PING") == "PONG"
        assert read_transaction(busy, len(commands))[-1] == 2
        assert busy.many([("GET", "n"), ("GET", "log")]) == [b"2", b"x"]


def test_a_command_that_takes_too_long_for_a_restart_runs_once_in_the_next_process(service):
    service.start(ONE)
    with service.client("busy") as busy, service.client("quiet") as quiet, \
            service.client("busy") as listener:
        assert listener.cmd("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
        prepare(busy, 10000)
        assert busy.cmd("SELECT", 3) == "OK"
        prepare(busy, 10000)
        commands = [("INCR", "n"), ("PUBLISH", "c", "m"), ("SELECT", 5), ("INCR", "n"), ("SELECT", 3)]
        commands += [LCS] * how_many(busy, 5) + [("INCR", "n")]
        send_transaction(busy, *commands)
        time.sleep(0.2)
        assert quiet.cmd("SET", "k", "v") == "OK"
        service.restart()
        assert quiet.cmd("GET", "k") == b"v"
        assert read_transaction(busy, len(commands))[-1] == 2
        assert busy.cmd("GET", "n") == b"2"
        assert listener.read() == [b"message", b"c", b"m"]
        listener.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            listener.read()


@pytest.mark.threads
def test_a_search_that_takes_too_long_for_a_restart_begins_again(service):
    service.start(ONE)
    with service.client("busy") as busy:
        prepare(busy, 11000)
        commands = [LCS] * how_many(busy, 4)
        busy.send(b"".join(encode(*command) for command in commands))
        time.sleep(0.1)
        service.restart()
        assert [busy.read() for _ in commands] == [scaled(11000) - 1] * len(commands)
