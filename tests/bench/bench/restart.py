"""Restart cases: AtomDB under the supervisor of the black-box tests, which simulates systemd."""
import os
import signal
import sys
import threading
import time

from . import load
from .cases import case
from .report import Row
from .servers import SECRET, Connection, Failure

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "blackbox"))
from supervisor import Supervised  # noqa: E402

CONFIG = 'workers = %d;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'


class Service(Supervised):
    """The part of servers.Server that the load generator needs."""

    name, secret, memcached = "atomdb", SECRET, False

    def __init__(self, bench, workers):
        os.environ["ATOMDB_TEST_PORTS"] = f"{bench.port()}-{bench.port() + 200}"
        super().__init__(bench.atomdb, bench.directory)
        self.workers = workers

    def log_tail(self):
        return self.log()[-600:]

    def __enter__(self):
        return self.start(CONFIG % self.workers)

    def __exit__(self, *_):
        self.stop()


def overwrite(service, keys, stop):
    """Writes random keys until the connection ends."""
    try:
        connection = Connection(service.port, SECRET)
        turn = 0
        while not stop.is_set():
            turn += 1
            connection.ask("SET", f"load {turn % keys}", "x" * 32)
    except (OSError, Failure):
        pass


@case("restart", "restart with 10 M keys under load: the longest wait of a connected client", True)
def restart(bench):
    keys = bench.sized(10_000_000, 1_000_000)
    row = Row(f"clean restart with {keys / 1e6:g} M keys under load: longest round trip of a client", "s", 1e-9, 3,
              target=0.3)
    with Service(bench, 1) as service:
        load.fill(bench, service, keys=keys, value_size=32)
        stop = threading.Event()
        thread = threading.Thread(target=overwrite, args=(service, 1000, stop))
        thread.start()
        for _ in range(bench.rounds):
            with load.probe(bench, service) as probe:
                time.sleep(0.2)
                service.restart()
                time.sleep(0.2)
                row.add("atomdb", probe.result()["max_ns"])
        stop.set()
        thread.join()
    return [row]


@case("crash", "SIGKILL with 10 M keys under load: time until a new connection has a reply, with one and with two workers",
      True)
def crash(bench):
    keys, rows = bench.sized(10_000_000, 1_000_000), []
    for workers in (1, 2):
        row = Row(f"SIGKILL with {keys / 1e6:g} M keys under load, {workers} worker{'s' * (workers > 1)}: "
                  "time until all keys are served", "s", target=2)
        rows.append(row)
        with Service(bench, workers) as service:
            for part in range(workers):
                service.secret = SECRET if part == 0 else f"{SECRET} {part}"
                load.fill(bench, service, keys=keys // workers, value_size=32)
            for _ in range(bench.rounds):
                stop = threading.Event()
                threads = [threading.Thread(target=overwrite, args=(service, 1000, stop)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                time.sleep(0.2)
                begin = time.monotonic()
                service.crash(signal.SIGKILL)
                connection = Connection(service.port, SECRET)
                if connection.ask("DBSIZE") < keys // workers:
                    raise Failure("keys are missing")
                row.add("atomdb", time.monotonic() - begin)
                connection.close()
                stop.set()
                for thread in threads:
                    thread.join()
    return rows
