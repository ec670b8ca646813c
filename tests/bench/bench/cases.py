"""What all cases share: their table, the servers of a case, when memory is at rest."""
import time

CASES = {}
MIB = 1 << 20
RESP = ("floor", "atomdb", "redis")


class Case:
    """`target`: it is among those that have a target, which run unless others are named; `quick`: among those of each
    kind that --quick runs."""

    def __init__(self, title, function, target, quick):
        self.title, self.run, self.target, self.quick = title, function, target, quick


def case(name, title, target=False, quick=False):
    def register(function):
        CASES[name] = Case(title, function, target, target or quick)
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
