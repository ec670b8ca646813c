"""CPU cases: cost and latency of an operation, cost and accuracy of eviction."""
from . import load
from .cases import All, MIB, RESP, case, started
from .report import Row

# Number of rounds of a CPU case per round of other cases. Many short rounds, so that a disturbance of the machine
# affects the floor and its neighbours equally.
SHORT_ROUNDS = 5


def cpu_rows(title, target):
    return (Row(f"server CPU per op, {title}", "µs", 1e-3, relative=True, target=target),
            Row(f"throughput, {title}", "k op/s", 1e-3, 1))


def cpu(bench, title, target=None, keys=100000, clients=50, pipeline=1, value_size=64, kinds=RESP, tenants=1,
        **options):
    used, speed = cpu_rows(title, target)
    duration, rounds = bench.sized(500, 400), bench.rounds * bench.sized(SHORT_ROUNDS, 1)
    with All(started(bench, kinds, value_size=value_size)) as servers:
        for server in servers:
            if server.name == "floor":
                continue
            fill = {"keys": keys, "value_size": value_size, "pipeline": max(1, min(64, 4 * MIB // value_size))}
            if tenants > 1:
                fill.update(tenants=tenants, clients=tenants, pipeline=8)
            load.fill(bench, server, **fill)
        for _ in range(rounds):
            for server in servers:
                figures = load.run(bench, server, keys=keys, clients=clients, pipeline=pipeline, tenants=tenants,
                                   value_size=value_size, duration=duration, warmup=100, **options)
                used.add(server.name, figures["server_cpu_ns"] / figures["ops"])
                speed.add(server.name, figures["ops"] / figures["wall_ns"] * 1e9)
                used.note(server.name, core_share=figures["server_cpu_ns"] / figures["wall_ns"], **figures)
    return [used, speed]


def cpu_case(name, title, target=None, **options):
    case("cpu" + name, "server CPU per op: " + title, target is not None)(
        lambda bench: cpu(bench, title, target, **options))


WITH_MEMCACHED = RESP + ("memcached",)
BASE = "50 clients, no pipeline, 64-byte values, 1 SET : 10 GET"
cpu_case("", BASE, 1.06, kinds=WITH_MEMCACHED)
cpu_case("-p50", "50 clients, pipeline of 50, 64-byte values, 1 SET : 10 GET", 1.6, pipeline=50,
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
cpu_case("-zipf", "Zipf 0.99 over 100 k keys", zipf=0.99)
cpu_case("-10m", "10 M keys", keys=10_000_000, stream=0)
cpu_case("-10m-zipf", "10 M keys, Zipf 0.99", keys=10_000_000, zipf=0.99, stream=0)
cpu_case("-p50-10m", "10 M keys, pipeline of 50", keys=10_000_000, pipeline=50, stream=0)
cpu_case("-c1", "1 client", clients=1)
cpu_case("-c1000", "1,000 clients", clients=1000)
cpu_case("-t1000", "1,000 tenants, a client each", clients=1000, tenants=1000, keys=100, kinds=("floor", "atomdb"))



@case("latency", "p50, p99, p99.9 at half of the highest load that all reach", quick=True)
def latency(bench):
    marks = {"p50_ns": "p50", "p99_ns": "p99", "p999_ns": "p99.9"}
    duration = bench.sized(5000, 600)
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
    """Redis limits memory: returns the limit that holds this number of entries."""
    with bench.server("redis") as server:
        load.fill(bench, server, keys=entries, value_size=64)
        connection = server.connect()
        info = dict(line.split(":", 1) for line in connection.ask("INFO", "memory").splitlines() if ":" in line)
        connection.close()
    return {"maxmemory": info["used_memory"], "maxmemory-policy": "allkeys-lru", "maxmemory-samples": samples}


@case("evict", "hit ratio, Zipf 0.99 over 10 M keys with room for 1 M entries, and CPU per SET that evicts",
      quick=True)
def evict(bench):
    keys = bench.sized(10_000_000, 100_000)
    entries, operations = keys // 10, 3 * keys
    hits, costs = {}, {}
    for n in (5, 10):
        hits[n] = Row(f"hit ratio, Zipf 0.99, {keys / 1e6:g} M keys, room for {entries / 1e6:g} M; Redis: {n} samples",
                      "%", 100, 2)
        costs[n] = Row(f"server CPU per SET of a new key that evicts one, pipeline of 16; Redis: {n} samples", "µs", 1e-3)
    options = {"pipeline": 16, "clients": 8, "stream": 0}
    trace = {"mix": "setget:1", "zipf": 0.99, "keys": keys, **options}

    def measure(server, rows):
        load.run(bench, server, ops=operations, seed=1, **trace)
        figures = load.run(bench, server, ops=operations // 3, seed=2, **trace)
        # With so many keys, almost every key is new.
        evicting = load.run(bench, server, ops=operations // 10, mix="set:1", keys=1_000_000_000, **options)
        for n in rows:
            hits[n].add(server.name, 1 - figures["misses"] / figures["ops"])
            costs[n].add(server.name, evicting["server_cpu_ns"] / evicting["ops"])

    if "atomdb" in bench.kinds:
        with bench.server("atomdb", max_entries=entries) as server:
            measure(server, hits)
    for samples in hits if "redis" in bench.kinds else ():
        with bench.server("redis", redis=redis_for_entries(bench, entries, samples)) as server:
            measure(server, [samples])
    return [*hits.values(), *costs.values()]
