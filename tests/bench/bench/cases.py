"""The cases: what is done to the servers, and which figures come of it."""
import time

from . import load
from .report import Row
from .servers import Failure

CASES = {}
MIB = 1 << 20
RESP = ("floor", "atomdb", "redis")


class Case:
    def __init__(self, title, function, default):
        self.title, self.run, self.default = title, function, default


def case(name, title, default=False):
    def register(function):
        CASES[name] = Case(title, function, default)
        return function
    return register


def started(bench, kinds, **options):
    """The wanted servers, one after the other in the order of the columns; those not asked for are left out."""
    return [bench.server(kind, **options) for kind in kinds if kind in bench.kinds]


class All:
    """All servers of a case at once: those that are not loaded just wait."""

    def __init__(self, servers):
        self.servers, self.running = servers, []

    def __enter__(self):
        try:
            for server in self.servers:
                self.running.append(server.start())
        except BaseException:
            self.__exit__()
            raise
        return self.servers

    def __exit__(self, *_):
        for server in self.running:
            server.stop()


# CPU per operation


def cpu_rows(title, target):
    return (Row(f"server CPU per op, {title}", "µs", 1e-3, relative=True, target=target),
            Row(f"throughput, {title}", "k op/s", 1e-3, 1))


def cpu(bench, title, target=None, keys=100000, clients=50, pipeline=1, value_size=64, kinds=RESP, workers=1,
        tenants=1, **options):
    used, speed = cpu_rows(title, target)
    cores = {0} if workers == 1 else {0, 1}
    duration = bench.sized(3000, 700) if pipeline < 50 else bench.sized(2000, 500)
    with All(started(bench, kinds, value_size=value_size, workers=workers, cores=cores)) as servers:
        for server in servers:
            if server.name == "floor":
                continue
            fill = {"keys": keys, "value_size": value_size, "pipeline": max(1, min(64, 4 * MIB // value_size))}
            if tenants > 1:
                fill.update(tenants=tenants, clients=tenants, pipeline=8)
            load.fill(bench, server, **fill)
        for _ in range(bench.rounds):
            for server in servers:
                figures = load.run(bench, server, keys=keys, clients=clients, pipeline=pipeline, tenants=tenants,
                                   value_size=value_size, duration=duration, warmup=bench.sized(500, 200), **options)
                used.add(server.name, figures["server_cpu_ns"] / figures["ops"])
                speed.add(server.name, figures["ops"] / figures["wall_ns"] * 1e9)
                used.note(server.name, core_share=figures["server_cpu_ns"] / figures["wall_ns"], **figures)
    return [used, speed]


def cpu_case(name, title, default=False, **options):
    case("cpu" + name, "server CPU per op: " + title, default)(lambda bench: cpu(bench, title, **options))


WITH_MEMCACHED = RESP + ("memcached",)
BASE = "50 clients, no pipeline, 64-byte values, 1 SET : 10 GET"
cpu_case("", BASE, True, target=1.06, kinds=WITH_MEMCACHED)
cpu_case("-p50", "50 clients, pipeline of 50, 64-byte values, 1 SET : 10 GET", True, target=1.6, pipeline=50,
         kinds=WITH_MEMCACHED)
cpu_case("-p10", "pipeline of 10", pipeline=10)
cpu_case("-p200", "pipeline of 200", pipeline=200)
cpu_case("-v16", "16-byte values", value_size=16)
cpu_case("-v1k", "1,024-byte values", value_size=1024)
cpu_case("-v64k", "65,536-byte values", value_size=65536, keys=5000, stream=5000)
cpu_case("-read", "only GET", mix="get:1")
cpu_case("-write", "only SET", mix="set:1")
cpu_case("-setex", "only SET with PX", mix="setex:1")
cpu_case("-incr", "only INCR", mix="incr:1")
cpu_case("-p50-read", "only GET, pipeline of 50", mix="get:1", pipeline=50)
cpu_case("-p50-write", "only SET, pipeline of 50", mix="set:1", pipeline=50)
cpu_case("-p50-setex", "only SET with PX, pipeline of 50", mix="setex:1", pipeline=50)
cpu_case("-p50-incr", "only INCR, pipeline of 50", mix="incr:1", pipeline=50)
cpu_case("-10m", "10 M keys", keys=10_000_000, stream=0)
cpu_case("-10m-zipf", "10 M keys, Zipf 0.99", keys=10_000_000, zipf=0.99, stream=0)
cpu_case("-p50-10m", "10 M keys, pipeline of 50", keys=10_000_000, pipeline=50, stream=0)
cpu_case("-c1", "1 client", clients=1)
cpu_case("-c1000", "1,000 clients", clients=1000)
cpu_case("-t1000", "1,000 tenants, a client each", clients=1000, tenants=1000, keys=100, kinds=("floor", "atomdb"))
cpu_case("-w2", "two workers, 8 tenants, load on the same cores", workers=2, tenants=8, clients=56, keys=10000,
         kinds=("floor", "atomdb"))


# Memory


def settle(server, limit=2.0):
    """Memory once it stays as it is."""
    last, end = server.resident(), time.monotonic() + limit
    while time.monotonic() < end:
        time.sleep(0.25)
        now = server.resident()
        if abs(now - last) < 64 << 10:
            return now
        last = now
    return last


def sizes(options):
    return f"{options.get('key_size', 16)}-byte keys, {options.get('value_size', 32)}-byte values"


def memory(bench, title, keys, target=None, **options):
    row = Row(title, "B", 1, 1, target=target)
    options = {"value_size": 32, **options}
    if "floor" in bench.kinds:
        row.add("floor", options.get("key_size", 16) + options["value_size"])
    for server in started(bench, ("atomdb", "redis", "memcached")):
        with server:
            empty = settle(server)
            load.fill(bench, server, keys=keys, **options)
            row.add(server.name, (settle(server) - empty) / keys)
    return [row]


def memory_case(name, keys, quick_keys, title, default=False, **options):
    def run(bench):
        count = bench.sized(keys, quick_keys)
        return memory(bench, f"resident bytes per key, {sizes(options)}, {title}{count / 1e6:g} M keys", count, **options)
    case(name, f"resident bytes per key, {sizes(options)}, {title}{keys / 1e6:g} M keys", default)(run)


DAY_MS = 86_400_000
memory_case("mem", 2_000_000, 300_000, "", True, target=75)
memory_case("mem-ttl", 2_000_000, 300_000, "every key with a TTL, ", True, target=90, ttl=DAY_MS)
memory_case("mem-10m", 10_000_000, 1_000_000, "")
memory_case("mem-10m-ttl", 10_000_000, 1_000_000, "every key with a TTL, ", ttl=DAY_MS)
memory_case("mem-int", 2_000_000, 300_000, "integers, ", value_size=8, integers=True)
memory_case("mem-large", 2_000_000, 300_000, "", key_size=40, value_size=200)


@case("mem-refill", "resident bytes per key after deleting every second key and filling with another size")
def refill(bench):
    keys = bench.sized(2_000_000, 300_000)
    half = Row("resident bytes per key left, every second deleted, 32-byte values", "B", 1, 1)
    again = Row("the same, filled up again with 48-byte values", "B", 1, 1)
    for server in started(bench, ("atomdb", "redis")):
        with server:
            empty = settle(server)
            load.fill(bench, server, keys=keys, value_size=32)
            load.fill(bench, server, keys=keys, mix="del:1", key_step=2)
            half.add(server.name, (settle(server) - empty) / (keys / 2))
            load.fill(bench, server, keys=keys, value_size=48, key_step=2)
            again.add(server.name, (settle(server) - empty) / keys)
    return [half, again]


@case("idle", "resident bytes per idle connection, 9,000 of them", default=True)
def idle(bench):
    clients = bench.sized(9000, 2000)
    row = Row(f"resident bytes per idle connection, {clients:,} of them", "B", 1, 0, target=400)
    for server in started(bench, ("atomdb", "redis", "memcached"), redis={"maxclients": 10000}):
        with server:
            before = settle(server)
            with load.idle(bench, server, clients) as held:
                held.first_line()
                row.add(server.name, (settle(server) - before) / clients)
                held.result()
    return [row]


# How long others wait


def wait_probe(bench, what, target=None):
    return Row(f"longest round trip of another client {what}", "ms", 1e-6, target=target)


def storm_watch(server, connection, deadline, empty, full, limit):
    """Seconds after `deadline` (Unix time) until no key is counted, and until their memory is free as well, but for a
    twentieth of it, or 2 MiB of little: a server keeps some at hand."""
    kept = max((full - empty) / 20, 2 << 20)
    gone = free = None
    while free is None and time.time() < deadline + limit:
        time.sleep(0.005)
        if gone is None and server.key_count(connection) == 0:
            gone = max(0.0, time.time() - deadline)
        if gone is not None and server.resident() < empty + kept:
            free = max(0.0, time.time() - deadline)
    return limit if gone is None else gone, limit if free is None else free


class TooSlow(Failure):
    """The first keys were due before the last was written."""


def storm_round(bench, kind, keys, spread, lead):
    """The storm on a fresh server; where filling takes longer than the keys live, again with more time."""
    for patience in (1, 3, 9):
        with bench.server(kind) as server:
            try:
                return storm_one(bench, server, keys, spread, lead * patience)
            except TooSlow as failure:
                slow = failure
                bench.say(f"{failure}; again with more time")
    raise slow


def storm_one(bench, server, keys, spread, lead):
    empty = settle(server)
    deadline = int((time.time() + lead) * 1000)
    filled = load.fill(bench, server, keys=keys, value_size=32, deadline=deadline, spread=spread)
    full = server.resident()
    left = deadline / 1000 - time.time() - 0.3
    if left < 0:
        raise TooSlow(f"{server.name}: {keys:,} keys took {filled['wall_ns'] / 1e9:.1f} s, longer than their TTL")
    time.sleep(left)
    connection = server.connect()
    with load.probe(bench, server) as probe:
        gone, free = storm_watch(server, connection, (deadline + spread) / 1000, empty, full, 20.0)
        time.sleep(0.2)
        longest = probe.result()["max_ns"]
    connection.close()
    return gone, free, longest


def storm(bench, keys, spread, lead, target):
    text = f"{keys / 1e6:g} M keys due within {spread / 1000:g} s"
    gone = Row(f"{text}: last one gone, after its time", "s", 1, 3, target=target)
    free = Row(f"{text}: their memory free", "s", 1, 3, target=target)
    longest = wait_probe(bench, "meanwhile", 2 if target else None)
    for _ in range(1 if bench.quick else min(bench.rounds, 3)):
        for kind in [kind for kind in RESP if kind in bench.kinds]:
            if kind == "floor":
                with bench.server(kind) as server, load.probe(bench, server, duration=2000) as probe:
                    longest.add(kind, probe.result_at_end()["max_ns"])
                continue
            figures = storm_round(bench, kind, keys, spread, lead)
            for row, figure in zip((gone, free, longest), figures):
                row.add(kind, figure)
    return [gone, free, longest]


@case("storm", "1 M keys due within one second: when they are gone, and how long another client waits", default=True)
def storm_case(bench):
    return storm(bench, bench.sized(1_000_000, 200_000), 1000, bench.sized(8.0, 3.0), 0.1)


@case("storm-5m", "5 M keys due within ten seconds")
def storm_large(bench):
    return storm(bench, bench.sized(5_000_000, 500_000), 10_000, bench.sized(40.0, 5.0), None)


@case("resize", "the longest round trip of another client while a table grows from 1 M to 10 M keys")
def resize(bench):
    keys = bench.sized(10_000_000, 1_000_000)
    row = wait_probe(bench, f"while {keys / 10e6:g} M keys become {keys / 1e6:g} M")
    for server in started(bench, RESP):
        with server:
            load.fill(bench, server, keys=keys // 10, value_size=32)
            with load.probe(bench, server) as probe:
                load.fill(bench, server, keys=keys, value_size=32, clients=1, pipeline=8)
                row.add(server.name, probe.result()["max_ns"])
    return [row]


@case("flush", "FLUSHALL of 10 M keys, SYNC and ASYNC: the longest round trip of another client, memory afterwards")
def flush(bench):
    keys, rows = bench.sized(10_000_000, 1_000_000), []
    for how in ("SYNC", "ASYNC"):
        longest = wait_probe(bench, f"at FLUSHALL {how} of {keys / 1e6:g} M keys")
        left = Row(f"memory kept five seconds after FLUSHALL {how}, of what the keys took", "%", 100, 1)
        rows += [longest, left]
        for server in started(bench, ("atomdb", "redis")):
            with server:
                empty = settle(server)
                load.fill(bench, server, keys=keys, value_size=32)
                full = settle(server)
                connection = server.connect()
                with load.probe(bench, server) as probe:
                    time.sleep(0.2)
                    connection.ask("FLUSHALL", how)
                    time.sleep(5)
                    longest.add(server.name, probe.result()["max_ns"])
                left.add(server.name, max(0, server.resident() - empty) / (full - empty))
                connection.close()
    return rows


@case("latency", "p50, p99, p99.9 at half of the highest load that all reach")
def latency(bench):
    marks = {"p50_ns": "p50", "p99_ns": "p99", "p999_ns": "p99.9"}
    duration = bench.sized(5000, 1500)
    with All(started(bench, RESP)) as servers:
        highest = []
        for server in servers:
            if server.name != "floor":
                load.fill(bench, server, keys=100000, value_size=64)
            figures = load.run(bench, server, duration=duration // 2)
            highest.append(figures["ops"] / figures["wall_ns"] * 1e9)
        rate = int(min(highest) / 2)
        rows = {mark: Row(f"latency {name} at {rate / 1000:.0f} k op/s, 50 clients", "µs", 1e-3, 0)
                for mark, name in marks.items()}
        for _ in range(bench.rounds):
            for server in servers:
                figures = load.run(bench, server, rate=rate, duration=duration)
                for mark, row in rows.items():
                    row.add(server.name, figures[mark])
    return list(rows.values())


# Eviction


def redis_for_entries(bench, entries, samples):
    """Redis limits bytes: as many as it takes for so many entries."""
    with bench.server("redis") as server:
        load.fill(bench, server, keys=entries, value_size=64)
        connection = server.connect()
        info = dict(line.split(":", 1) for line in connection.ask("INFO", "memory").splitlines() if ":" in line)
        connection.close()
    return {"maxmemory": info["used_memory"], "maxmemory-policy": "allkeys-lru", "maxmemory-samples": samples}


@case("evict", "hit ratio and CPU per op, Zipf 0.99 over 10 M keys with room for 1 M entries")
def evict(bench):
    keys = bench.sized(10_000_000, 1_000_000)
    entries, operations = keys // 10, bench.sized(30_000_000, 3_000_000)
    hits = {n: Row(f"hit ratio, Zipf 0.99, {keys / 1e6:g} M keys, room for {entries / 1e6:g} M, Redis with {n} samples",
                   "%", 100, 2) for n in (5, 10)}
    cost = Row("CPU per op of the same (SET with GET, pipeline of 16), Redis with 5 samples", "µs", 1e-3)
    options = {"mix": "setget:1", "zipf": 0.99, "keys": keys, "pipeline": 16, "clients": 8, "stream": 0}

    def trace(server):
        load.run(bench, server, ops=operations, seed=1, **options)
        figures = load.run(bench, server, ops=operations // 3, seed=2, **options)
        return 1 - figures["misses"] / figures["ops"], figures["server_cpu_ns"] / figures["ops"]

    if "atomdb" in bench.kinds:
        with bench.server("atomdb", max_entries=entries) as server:
            share, used = trace(server)
            hits[5].add("atomdb", share)
            hits[10].add("atomdb", share)
            cost.add("atomdb", used)
    for samples in hits if "redis" in bench.kinds else ():
        with bench.server("redis", redis=redis_for_entries(bench, entries, samples)) as server:
            share, used = trace(server)
            hits[samples].add("redis", share)
            if samples == 5:
                cost.add("redis", used)
    return [*hits.values(), cost]
