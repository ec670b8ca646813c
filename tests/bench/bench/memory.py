"""Memory cases: bytes per key and per connection, and memory returned to the system."""
from . import load
from .cases import case, settle, started
from .report import Row


def sizes(options):
    value = options.get("value_size", 32)
    return f"{options.get('key_size', 16)}-byte keys, " + (
        f"integers of {value} digits" if options.get("integers") else f"{value}-byte values")


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


def memory_case(name, keys, quick_keys, title, target=None, **options):
    def run(bench):
        count = bench.sized(keys, quick_keys)
        return memory(bench, f"resident bytes per key, {sizes(options)}, {title}{count / 1e6:g} M keys", count, target,
                      **options)
    case(name, f"resident bytes per key, {sizes(options)}, {title}{keys / 1e6:g} M keys", target is not None)(run)


DAY_MS = 86_400_000
TARGETS = {"mem": 75, "mem-ttl": 90}
for sized, pair in {"": {}, "-int": {"value_size": 8, "integers": True},
                    "-large": {"key_size": 40, "value_size": 200}}.items():
    for counted, number in {"": 2_000_000, "-10m": 10_000_000}.items():
        for timed, live in {"": {}, "-ttl": {"ttl": DAY_MS}}.items():
            named = f"mem{sized}{counted}{timed}"
            memory_case(named, number, number * 3 // 20, "every key with a TTL, " if live else "",
                        TARGETS.get(named), **pair, **live)


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


@case("idle", "resident bytes per idle connection, 9,000 of them", target=True)
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
