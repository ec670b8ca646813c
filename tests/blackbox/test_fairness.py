"""Tenants that flood one worker get CPU time by their weights, whatever they send. The figures are the server's own."""

import contextlib
import os
import selectors
import subprocess
import threading
import time

import pytest

from harness import Client, encode, wait_for

CONFIG = """workers = 1;
tenants: ( { name = "a"; secret = "a"; max_memory = "0"; %s },
           { name = "b"; secret = "b"; max_memory = "0"; },
           { name = "quiet"; secret = "q"; max_memory = "0"; } );"""
# A window may be disturbed by other processes: a client that waits for a processor sends nothing meanwhile.
WINDOWS, WINDOW_SECONDS = 20, 0.6
TOLERANCE = 0.25


def come_first():
    """Lets the generator run before other processes, if that is allowed."""
    with contextlib.suppress(OSError):
        os.nice(-10)


@pytest.fixture(name="load")
def load_fixture(binary, atomdb):
    """Runs load generators until the end of the test."""
    tool = os.path.join(os.path.dirname(binary), "tests", "bench", "atomdb_bench_load")
    with contextlib.ExitStack() as stack:
        def start(secret, **options):
            words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), str(value))]
            process = subprocess.Popen([tool, "--port", str(atomdb.port), "--auth", secret, "--duration", "600000", *words],
                                       stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=come_first)
            stack.callback(process.stdin.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield start


class Flood:
    """Sends the same bytes again and again on connections of one tenant, and drops all that comes in."""

    def __init__(self, server, secret, data, connections=4, before=(), subscribers=0):
        self.clients = [Client(server.port, secret) for _ in range(connections + subscribers)]
        for command in before:
            self.clients[0].cmd(*command)
        for client in self.clients[connections:]:
            client.cmd("SUBSCRIBE", "channel")
        self.senders, self.data, self.ended = self.clients[:connections], data, False
        self.threads = [threading.Thread(target=self.send, args=(client,)) for client in self.senders]
        self.threads.append(threading.Thread(target=self.drop))

    def send(self, client):
        with contextlib.suppress(OSError):
            while not self.ended:
                client.sock.sendall(self.data)

    def drop(self):
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                selector.register(client.sock, selectors.EVENT_READ)
            while not self.ended:
                for key, _ in selector.select(0.1):
                    with contextlib.suppress(OSError):
                        key.fileobj.recv(1 << 18)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for client in self.clients:
            client.sock.shutdown(2)
        for thread in self.threads:
            thread.join()
        for client in self.clients:
            client.close()


def seconds(server, tenant):
    return server.metric("atomdb_tenant_cpu_seconds_total", tenant=tenant)


def assert_shared(server, ratio):
    """Asserts that in one of some windows, `a` got `ratio` times the CPU time of `b`."""
    seen = []
    for _ in range(WINDOWS):
        before = [seconds(server, tenant) for tenant in "ab"]
        time.sleep(WINDOW_SECONDS)
        a, b = (seconds(server, tenant) - start for tenant, start in zip("ab", before))
        seen.append((round(a, 3), round(b, 3)))
        if a > 0.05 and b > 0.05 and 1 - TOLERANCE < a / b / ratio < 1 + TOLERANCE:
            return
    raise AssertionError(f"CPU seconds of the two tenants: {seen}")


def get_from_many_clients(server, load):
    """Short batches of GETs of 400 clients, which have connected before the flood begins. On a busy machine single GETs
    would leave the tenant without work while the generator waits for a processor."""
    load("b", clients=400, pipeline=32, mix="get:1", keys=1000, stream=20000)
    wait_for(lambda: server.metric("atomdb_tenant_clients", tenant="b") == 400, 60, "all clients")


def test_pipelines_of_large_values_and_single_reads(atomdb, load):
    atomdb.start(CONFIG % "")
    get_from_many_clients(atomdb, load)
    load("a", clients=16, pipeline=1000, mix="set:1", value_size=1000, keys=10000, stream=10000)
    assert_shared(atomdb, 1)


def test_long_commands_and_single_reads(atomdb, load):
    atomdb.start(CONFIG % "")
    text = "ab" * 1500
    before = [("MSET", *[word for i in range(20000) for word in (f"key:{i}", "v")]), ("SET", "x", text),
              ("SET", "y", text[::-1])]
    get_from_many_clients(atomdb, load)
    with Flood(atomdb, "a", encode("KEYS", "*z") + encode("LCS", "x", "y", "LEN"), before=before):
        assert_shared(atomdb, 1)


def test_messages_to_subscribers_and_single_reads(atomdb, load):
    atomdb.start(CONFIG % "")
    get_from_many_clients(atomdb, load)
    with Flood(atomdb, "a", encode("PUBLISH", "channel", "m" * 100) * 50, subscribers=100):
        assert_shared(atomdb, 1)


def test_a_tenant_of_three_times_the_weight_gets_three_times_the_time(atomdb, load):
    atomdb.start(CONFIG % "cpu_weight = 300;")
    for secret in "ab":
        load(secret, clients=32, pipeline=1000, mix="set:1", value_size=200, keys=10000, stream=10000)
    assert_shared(atomdb, 3)


def process_seconds(server):
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        return sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")


def test_an_idle_worker_gives_all_its_time_to_one_tenant(atomdb, load):
    """Half of the weights' sum is no limit: the tenant uses most of the CPU time of the process."""
    atomdb.start(CONFIG % "")
    load("a", clients=32, pipeline=1000, mix="set:1", value_size=200, keys=1000, stream=10000)
    seen = []
    for _ in range(WINDOWS):
        before = seconds(atomdb, "a"), process_seconds(atomdb)
        time.sleep(WINDOW_SECONDS)
        used, everything = seconds(atomdb, "a") - before[0], process_seconds(atomdb) - before[1]
        seen.append((round(used, 3), round(everything, 3)))
        if used > 0.05 and used > 0.75 * everything:
            return
    raise AssertionError(f"CPU seconds of the tenant and of the process: {seen}")
