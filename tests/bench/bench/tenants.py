"""Cases with many tenants and several workers: isolation, and the cost of scraping all tenants."""
import contextlib
import os
import re
import socket
import statistics
import threading
import time

from . import load
from .cases import All, case
from .report import Row
from .servers import SECRET, Connection, Failure


def flood(bench, server, tenant, cores):
    return load.background(bench, server, cores, auth=tenant, clients=8, pipeline=1000, keys=100000, stream=100000)


def quiet_p99(bench, server, tenant, duration):
    """Measures round trips of a client that sends one request per millisecond, and that the load never preempts."""
    with load.probe(bench, server, auth=tenant, duration=duration) as probe:
        return probe.result_at_end()["p99_ns"]


def home(server):
    """Returns the worker of the only tenant with keys. Each worker has one shard with its own number."""
    used = re.findall(r'^atomdb_arena_bytes\{shard="(\d+)",use="entries"\} (\d+)$', server.page(), re.M)
    worker, = (int(shard) for shard, count in used if int(count))
    return worker


def own_processors(bench, server, loud, workers):
    """Gives each worker's thread a CPU. The worker of the loud tenant has the CPU of the server. The other worker has
    a spare CPU, or that of the load. Both run with priority, so that the figures show the delays by AtomDB and not by
    other processes. Returns the CPUs for the flood: a separate one if the other worker uses that of the load."""
    spare = set(range(os.cpu_count())) - bench.load_cores - {0}
    for number in range(workers):
        cores = {0} if number == loud else spare or bench.load_cores
        thread = server.worker_thread(number)
        os.sched_setaffinity(thread, cores)
        try:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(50))
        except OSError:
            bench.say("no permission for SCHED_FIFO: the workers also wait for a processor")
    return bench.load_cores if spare or workers == 1 else {0}


@case("noisy", "p99 of a quiet tenant while another floods with deep pipelines: on the same worker, on another", True)
def noisy(bench):
    rows, duration = [], bench.sized(4000, 500)
    for workers, where, target in ((1, "the same worker", 2), (2, "another worker", 1.2)):
        alone = Row(f"p99 of a quiet tenant, alone, {workers} worker{'s' * (workers > 1)}", "µs", 1e-3, 0)
        beside = Row(f"the same, another tenant floods with pipelines of 1,000 on {where}", "µs", 1e-3, 0)
        ratio = Row("ratio of the two", "×", target=target)
        rows += [alone, beside, ratio]
        with bench.server("atomdb", workers=workers) as server:
            # AtomDB spreads tenants: the second one is on the other worker.
            loud, still = f"{SECRET}-loud", f"{SECRET}-quiet"
            load.fill(bench, server, auth=loud, keys=100000, value_size=64)
            cores = own_processors(bench, server, home(server), workers)
            load.fill(bench, server, auth=still, keys=100000, value_size=64)
            for _ in range(bench.rounds):
                before = quiet_p99(bench, server, still, duration)
                with flood(bench, server, loud, cores):
                    time.sleep(0.3)
                    after = quiet_p99(bench, server, still, duration)
                alone.add("atomdb", before)
                beside.add("atomdb", after)
                ratio.add("atomdb", after / before)
    return rows


# Clients that each send single GETs.
READERS = 400


def cpu_seconds(server):
    """Returns the CPU seconds of each tenant."""
    return {labels: float(value) for labels, value in
            re.findall(r"^atomdb_tenant_cpu_seconds_total(\S*) (\S+)$", server.page(), re.M)}


def command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Repeat:
    """Sends the same bytes on connections of one tenant until the end of the block, and drops the replies."""

    def __init__(self, server, secret, data, connections=4, subscribers=0):
        self.ended, self.data, self.threads = False, data, []
        self.all = [Connection(server.port, secret) for _ in range(connections + subscribers)]
        for connection in self.all[connections:]:
            connection.ask("SUBSCRIBE", "channel")
        for number, connection in enumerate(self.all):
            self.threads.append(threading.Thread(target=self.drop, args=(connection.socket,)))
            if number < connections:
                self.threads.append(threading.Thread(target=self.send, args=(connection.socket,)))

    def send(self, sock):
        with contextlib.suppress(OSError):
            while not self.ended:
                sock.sendall(self.data)

    def drop(self, sock):
        with contextlib.suppress(OSError):
            while not self.ended:
                sock.recv(1 << 18)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for connection in self.all:
            connection.socket.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for connection in self.all:
            connection.close()


def reads(bench, server, secret):
    return load.background(bench, server, auth=secret, clients=READERS, mix="get:1", keys=1000)


def wait_for_clients(server, count):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        clients = [int(value) for value in re.findall(r"^atomdb_tenant_clients\S* (\d+)$", server.page(), re.M)]
        if max(clients, default=0) >= count:
            return
        time.sleep(0.1)
    raise Failure(f"no tenant has {count} clients")


def measure_shares(bench, server, ratio):
    for _ in range(bench.rounds):
        before = cpu_seconds(server)
        time.sleep(bench.sized(3, 1))
        used = sorted(seconds - before.get(tenant, 0) for tenant, seconds in cpu_seconds(server).items())
        ratio.add("atomdb", used[-1] / used[-2])
        ratio.note("atomdb", cpu_seconds=used[-2:])


def prepare_long(server, secret):
    connection = Connection(server.port, secret)
    for first in range(0, 20000, 1000):
        connection.ask("MSET", *[word for i in range(first, first + 1000) for word in (f"key:{i}", "v")])
    connection.ask("SET", "x", "ab" * 1500)
    connection.ask("SET", "y", "ba" * 1500)
    connection.close()


FLOODS = {
    "pipelines of 1,000 SETs of 1 kB": lambda bench, server, secret: load.background(
        bench, server, auth=secret, clients=8, pipeline=1000, mix="set:1", value_size=1000, keys=10000, stream=10000),
    "KEYS and LCS": lambda bench, server, secret: Repeat(
        server, secret, command(b"KEYS", b"*z") + command(b"LCS", b"x", b"y", b"LEN")),
    "PUBLISH to 100 subscribers": lambda bench, server, secret: Repeat(
        server, secret, command(b"PUBLISH", b"channel", b"m" * 100) * 50, subscribers=100),
}


@case("fair", "CPU time of two tenants that flood one worker, the larger by the smaller", True)
def fair(bench):
    rows = []
    for what, flood_with in FLOODS.items():
        ratio = Row(f"CPU time of two tenants on one worker, larger by smaller: {what}; single GETs of {READERS} clients", "×",
                    target=1.1)
        rows.append(ratio)
        with bench.server("atomdb", workers=1) as server:
            prepare_long(server, f"{SECRET}-a")
            # All readers connect before the flood begins: each AUTH beside it waits for some turns.
            with reads(bench, server, f"{SECRET}-b"):
                wait_for_clients(server, READERS)
                with flood_with(bench, server, f"{SECRET}-a"):
                    time.sleep(0.5)
                    measure_shares(bench, server, ratio)
        bench.say(f"  {what}: {ratio.cell('atomdb')}")
    return rows


class Scraper:
    """Fetches /metrics at a rate, and records the durations."""

    def __init__(self, server, rate):
        self.server, self.rate, self.stop, self.took = server, rate, threading.Event(), []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        due = time.monotonic()
        while not self.stop.wait(max(0, due - time.monotonic())):
            begin = time.monotonic()
            self.server.page()
            self.took.append(time.monotonic() - begin)
            due = max(due + 1 / self.rate, begin)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@case("scrape", "a scrape of /metrics with 1,000 tenants: its duration, and the p99 of the load during scrapes", True)
def scrape(bench):
    tenants = 1000
    duration = bench.sized(4000, 600)
    page = Row(f"scrape of /metrics with {tenants:,} tenants, at half of the highest load", "ms", 1e3, target=10)
    rates = {0: "no scrape", 1: "a scrape a second", 100: "100 scrapes a second"}
    waits = {rate: Row(f"p99 of the load, {what}", "µs", 1e-3, 0) for rate, what in rates.items()}
    moved = {rate: Row(f"ratio of {rates[rate]} to none", "×", target=1.1 if rate == 1 else None)
             for rate in rates if rate}
    spread = {"clients": 50, "tenants": 50, "keys": 100}
    # This process fetches the pages, on the CPU of the load.
    os.sched_setaffinity(0, bench.load_cores)
    with bench.server("atomdb") as server:
        load.fill(bench, server, tenants=tenants, clients=tenants, keys=100, pipeline=8)
        figures = load.run(bench, server, duration=bench.sized(1000, 500), **spread)
        half = int(figures["ops"] / figures["wall_ns"] * 1e9 / 2)
        if f"atomdb_tenants {tenants}\n" not in server.page():
            raise Failure("/metrics does not show all tenants")
        with load.background(bench, server, rate=half, **spread):
            for _ in range(bench.rounds):
                for rate, row in waits.items():
                    if not rate:
                        row.add("atomdb", quiet_p99(bench, server, f"{SECRET}-0", duration))
                        continue
                    with Scraper(server, rate) as scraper:
                        row.add("atomdb", quiet_p99(bench, server, f"{SECRET}-0", duration))
                    moved[rate].add("atomdb", row.samples["atomdb"][-1] / waits[0].samples["atomdb"][-1])
                    if rate == 1:
                        page.add("atomdb", statistics.median(scraper.took))
    return [page, *waits.values(), *moved.values()]


def workers(bench, title, pipeline):
    """Compares one worker with two on the same CPUs, under the same load of two generators."""
    counts = (1, 2)
    used = {n: Row(f"server CPU per op, {title}, {n} worker{'s' * (n > 1)}", "µs", 1e-3) for n in counts}
    speed = {n: Row("throughput of the same", "k op/s", 1e-3, 1) for n in counts}
    ratio = Row("CPU per op, two workers against one", "×", target=1.05)
    options = {"clients": 28, "tenants": 8, "keys": 10000, "pipeline": pipeline,
               "duration": bench.sized(3000, 500), "warmup": bench.sized(500, 100)}
    cores = {0, *bench.load_cores} if os.cpu_count() < 4 else {0, 1}
    with All([bench.server("atomdb", workers=n, cores=cores) for n in counts]) as servers:
        for server in servers:
            load.fill(bench, server, tenants=8, clients=8, keys=10000, value_size=64)
        for _ in range(bench.rounds):
            for n, server in zip(counts, servers):
                figures = load.together(bench, server, 2, **options)
                used[n].add("atomdb", figures["server_cpu_ns"] / figures["ops"])
                speed[n].add("atomdb", figures["ops"] / figures["wall_ns"] * 1e9)
            ratio.add("atomdb", used[2].samples["atomdb"][-1] / used[1].samples["atomdb"][-1])
    return [used[1], speed[1], used[2], speed[2], ratio]


@case("workers", "CPU per op of two workers against one, 8 tenants, no pipeline and pipelines of 50", quick=True)
def workers_case(bench):
    rows = workers(bench, "56 clients of 8 tenants, pipeline of 50", 50)
    return rows if bench.quick else rows + workers(bench, "56 clients of 8 tenants, no pipeline", 1)
