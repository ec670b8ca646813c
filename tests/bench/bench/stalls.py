"""Stalls: the longest round trip of a neighbour, another tenant on the same worker, while one command runs."""
import threading
import time

from . import load
from .cases import case
from .report import Row

TARGET_MS = 5
MB = 1 << 20


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts += [b"$%d\r\n" % len(data), data, b"\r\n"]
    return b"".join(parts)


class Stalls:
    """The commands, with the largest arguments that are usual to try. Each has a title, and its bytes."""

    def __init__(self, bench):
        self.count = bench.sized(200_000, 20_000)
        self.size = bench.sized(200, 20) * MB
        self.text = bench.sized(10_000, 3_000) // 2

    def prepare(self, connection):
        connection.ask("SET", "x", "ab" * self.text)
        connection.ask("SET", "y", "ba" * self.text)
        connection.ask("SETRANGE", "big", self.size, "x")
        for i in range(64):
            connection.ask("PFADD", f"h{i}", *range(i, 3000 + i))

    def names(self, prefix="k"):
        return [f"{prefix}:{i}" for i in range(self.count)]

    def cases(self):
        names, size, n = self.names(), self.size, self.count
        pairs = [word for name in names for word in (name, "v")]
        lcs = encode("LCS", "x", "y", "LEN")
        mib = f"{size // MB} MB"
        return [
            ("nothing", encode("PING")),
            (f"MSET of {n:,}", encode("MSET", *pairs)),
            (f"KEYS of {n:,}", encode("KEYS", "*")),
            (f"MGET of {n:,}", encode("MGET", *names)),
            (f"EXISTS of {n:,}", encode("EXISTS", *names)),
            ("SCAN of 65,536 with a pattern", encode("SCAN", 0, "MATCH", "*?*?*z", "COUNT", 65536)),
            (f"LCS of {2 * self.text:,} bytes", lcs),
            ("EXEC of 20 of them", encode("MULTI") + lcs * 20 + encode("EXEC")),
            (f"WATCH of {n:,}", encode("WATCH", *names)),
            ("UNWATCH", encode("UNWATCH")),
            (f"DEL of {n:,}", encode("DEL", *names)),
            (f"BITCOUNT of {mib}", encode("BITCOUNT", "big")),
            (f"BITOP NOT of {mib}", encode("BITOP", "NOT", "not", "big")),
            ("BITOP AND of 8 of them", encode("BITOP", "AND", "and", *["big"] * 8)),
            (f"COPY of {mib}", encode("COPY", "big", "copy")),
            (f"DUMP of {mib}", encode("DUMP", "big")),
            (f"SET of {mib}", encode("SET", "set", b"v" * size)),
            (f"APPEND of {mib}", encode("APPEND", "set", b"v" * (size // 2))),
            (f"SETRANGE at {2 * size // MB} MB", encode("SETRANGE", "range", 2 * size, "x")),
            ("DEL of all of these", encode("DEL", "not", "and", "copy", "set", "range")),
            (f"PFCOUNT of {n // 10:,}", encode("PFCOUNT", *[f"h{i % 64}" for i in range(n // 10)])),
            (f"PFADD of {n:,}", encode("PFADD", "new", *names)),
            (f"COMMAND DOCS of {n // 20:,}", encode("COMMAND", "DOCS", *["get"] * (n // 20))),
            ("COMMAND LIST with a pattern of 900 KB", encode("COMMAND", "LIST", "FILTERBY", "PATTERN", "*a" * 450_000)),
            (f"CLIENT LIST ID of {n:,}", encode("CLIENT", "LIST", "ID", *[1] * n)),
            (f"SUBSCRIBE of {n:,}", encode("SUBSCRIBE", *names)),
            ("UNSUBSCRIBE of all", encode("UNSUBSCRIBE")),
        ]


def exchange(connection, data):
    """Sends the bytes, and drops all replies until there is none for a while."""
    sender = threading.Thread(target=connection.socket.sendall, args=(data,))
    sender.start()
    connection.socket.settimeout(60)
    connection.socket.recv(1 << 20)
    sender.join()
    connection.socket.settimeout(0.3)
    try:
        while connection.socket.recv(1 << 20):
            pass
    except TimeoutError:
        connection.socket.settimeout(60)


@case("stalls", "the longest round trip of another tenant while one command runs, for each command that may take long")
def stalls(bench):
    rows = []
    if "atomdb" not in bench.kinds:
        return rows
    with bench.server("atomdb") as server:
        connection = server.connect()
        plan = Stalls(bench)
        plan.prepare(connection)
        for title, data in plan.cases():
            row = Row(f"longest round trip of a neighbour: {title}", "ms", 1e-6, target=TARGET_MS)
            for _ in range(1 if bench.quick else min(bench.rounds, 3)):
                with load.probe(bench, server, auth="neighbour") as probe:
                    time.sleep(0.05)
                    exchange(connection, data)
                    row.add(server.name, probe.result()["max_ns"])
            bench.say(f"  {title}: {row.cell(server.name)} ms")
            rows.append(row)
        connection.close()
    return rows
