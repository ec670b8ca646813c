"""Shared parts of the cases: their table, the servers of a case, the wait for stable memory."""
import time

CASES = {}
MIB = 1 << 20
RESP = ("floor", "atomdb", "redis")


class Case:
    """`target`: the case has a target. Without arguments, these cases run. `quick`: --quick runs the case."""

    def __init__(self, title, function, target, quick):
        self.title, self.run, self.target, self.quick = title, function, target, quick


def case(name, title, target=False, quick=False):
    def register(function):
        CASES[name] = Case(title, function, target, target or quick)
        return function
    return register


def started(bench, kinds, **options):
    """Returns the selected servers one after another, in the order of the columns."""
    return [bench.server(kind, **options) for kind in kinds if kind in bench.kinds]


class All:
    """All servers of a case at once. Servers without load are idle."""

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
    """Waits until the memory of the server is stable, and returns it."""
    last, end = server.resident(), time.monotonic() + limit
    while time.monotonic() < end:
        time.sleep(0.25)
        now = server.resident()
        if abs(now - last) < 64 << 10:
            return now
        last = now
    return last
