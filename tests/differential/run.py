#!/usr/bin/python3
"""Sends the same commands to redis-server 7.0.15 and to AtomDB, and compares the replies byte by byte.

    run.py [--binary build/atomdb] [--commands 100000] [--seed N] [--interleave] [--differences]

Four parts: every command of the table with every wrong number of arguments; connections with random bytes; several
connections at once; random commands in RESP2 and RESP3. differences.py lists the intended differences with their
reasons. Prints the seed: equal seeds give equal commands. Prints `N passed, N failed`, and exits with 1 if a
comparison failed.

With --interleave, each command of AtomDB, which is built with ATOMDB_TEST_HOOKS, is suspended at every check point, while
other tenants work on the same worker (neighbours.py), and two connections send at once. At the end AtomDB is stopped
and started, and crashes; all data must still be there."""

import argparse
import os
import random
import re
import socket
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../blackbox")]

import connections
import differences
from generator import Generator
from harness import AtomDB, Client, Closed, Redis, commands_table, encode
from model import content, difference
from neighbours import TENANTS, Neighbours
from protocol import end_of_reply
from supervisor import Supervised

SECRET = "reference"
CONFIG = """
workers = 1;
enable_debug_command = true;
tenancy = "listed";
resp: { auth_rate = 0; };
tenants: ( { name = "reference"; secret = "%s"; max_entries = 0; max_memory = "1G"; }%s );
"""
REFERENCE = ["--maxmemory-policy", "allkeys-lru", "--enable-debug-command", "yes"]


class Raw(Client):
    """A client that returns the raw bytes of replies."""

    def reply(self):
        while True:
            end = end_of_reply(self.data, self.at)
            if end >= 0:
                raw = bytes(self.data[self.at : end])
                self.at = end
                return raw
            self._fill()


class Broken(Exception):
    """A server closed the connection or sent invalid RESP."""


class Report:
    """Counts comparisons. Prints each kind of mismatch a few times, with the preceding commands."""

    def __init__(self, limit):
        self.passed, self.failed, self.limit = 0, 0, limit
        self.shown = {}

    def compare(self, command, redis, atomdb, context):
        if differences.agree(command, redis, atomdb):
            self.passed += 1
            return True
        self.failed += 1
        kind = command[2 if command[0] == b"(several)" else 0].upper()
        self.shown[kind] = self.shown.get(kind, 0) + 1
        if self.shown[kind] <= 3:
            print(f"\n{show(command)}\n  redis:  {short(redis)}\n  atomdb: {short(atomdb)}")
            for line in context():
                print(f"    before: {line}")
            sys.stdout.flush()
        return False

    def check(self, what, fault):
        """Counts a check. `fault` is "" if it holds."""
        if not fault:
            self.passed += 1
            return
        self.failed += 1
        print(f"\n{what}: {fault}", flush=True)

    def enough(self):
        return self.failed >= self.limit


def show(command):
    return " ".join(repr(bytes(word))[1:] if len(word) < 60 else f"{bytes(word[:40])!r}...({len(word)})" for word in command)


def short(raw):
    return repr(raw) if len(raw) < 700 else f"{raw[:200]!r} ... {raw[-150:]!r} ({len(raw)} bytes)"


def both(servers, **options):
    return [Raw(server.port, SECRET, **options) for server in servers]


def send_batch(pair, commands):
    data = b"".join(encode(*command) for command in commands)
    for client in pair:
        client.send(data)


def run_batch(pair, commands, report, history):
    """Sends a batch to both servers and compares the replies. Returns False if a reply differs: then the
    states of the servers may also differ."""
    send_batch(pair, commands)
    return compare_batch(pair, commands, report, history)


def compare_batch(pair, commands, report, history):
    """Compares the replies to a batch. Returns as run_batch()."""
    equal = True
    for command in commands:
        try:
            replies = [client.reply() for client in pair]
        except (Closed, ValueError, OSError) as error:
            raise Broken(f"{error!r} instead of the reply to {show(command)}") from error

        def context(command=command):
            keys = set(command[1:])
            related = [old for old in history if keys & set(old[0][1:]) or old[0][0].upper().startswith((b"FLUSH", b"SELECT"))]
            return [f"{show(old)} -> {short(reply)}" for old, reply in related[-10:]]

        equal &= report.compare(command, *replies, context)
        history.append((command, replies[0]))
    del history[:-400]
    return equal


def whole_table(servers, report):
    """Compares COMMAND INFO of each command of the table, and its errors for no, too few and too many arguments."""
    pair = both(servers)
    commands = []
    for row in commands_table():
        if row.name == "client|setinfo" or row.name.split("|")[0] in differences.OWN:
            continue  # a subcommand of Redis 7.2, or AtomDB's own
        words = [word.encode() for word in row.words]
        least = abs(row.arity)
        for count in range(len(words), 9):
            arguments = words + [b"x"] * (count - len(words))
            if count == least or (row.arity < 0 and count > least):
                continue
            commands += [arguments, [arguments[0].title(), *arguments[1:]]]
        if row.name not in ("quit", "command", "info"):
            commands.append([words[0].upper() + b"X", *words[1:]])
        commands.append([b"COMMAND", b"INFO", row.name.encode()])
        commands.append([b"COMMAND", b"DOCS", row.name.encode()])
    for command in commands:
        run_batch(pair, [command], report, [])
    for client in pair:
        client.close()


# No NUL: Redis treats an inline command as a C string and waits forever after a NUL. AtomDB treats NUL as any other
# byte.
PIECES = [b"*", b"$", b"\r\n", b"\n", b"\r", b"-1", b"0", b"1", b"2", b"3", b"'", b'"', b"\\x41", b" ", b"GET", b"SET",
          b"PING", b"a", b"b", b"*1\r\n", b"*2\r\n", b"$3\r\n", b"$1\r\nk\r\n", b"*1\r\n$4\r\nPING\r\n", b"echo ", b":", b"%", b"~",
          b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n", b"\xff", b"99999999999", b"2147483648", b"536870913", b"*11\r\n",
          b"$16385\r\n", b"*-5\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"get a\r\n", b"set a 'b c'\r\n", b"\x80", b"\t", b"\x0b"]


def random_bytes(servers, report, seed, rounds):
    """Sends random bytes on new connections, until the server closes them."""
    generator = random.Random(seed)
    for number in range(rounds):
        data = b"".join(generator.choice(PIECES) for _ in range(generator.randint(1, 40)))
        if number % 50 == 0:
            data = generator.choice([b"*", b"$", b"x", b"*1\r\n$", b"*2\r\n$4\r\nPING\r\n"]) * 30000
        answers = []
        for server in servers:
            with Raw(server.port, SECRET if number % 2 else None) as client:
                client.send_anyway(data)
                try:
                    client.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                answers.append(client.rest())
        report.compare([b"(bytes)", data], *answers, lambda: ["authenticated" if number % 2 else "not authenticated"])
        if report.enough():
            return


def scan_everything(servers, report):
    """Checks on both servers that SCAN in small steps finds the same keys as KEYS."""
    pair = both(servers)
    for client in pair:
        client.cmd("FLUSHALL")
        client.many(("SET", f"key:{number}", "x") for number in range(1000))
    for arguments in (["COUNT", 1], ["COUNT", 7], [], ["MATCH", "key:*9"], ["COUNT", 33, "TYPE", "string"], ["TYPE", "list"]):
        found = []
        for client in pair:
            cursor, names = b"0", set()
            for _ in range(100_000):
                cursor, batch = client.cmd("SCAN", cursor, *arguments)
                names |= set(batch)
                if cursor == b"0":
                    break
            found.append(b"\n".join(sorted(names)) + b" cursor " + cursor)
        report.compare([b"(whole scan)", repr(arguments).encode()], *found, list)
    for client in pair:
        client.close()


# The number of random commands between two resets of both servers.
ROUND = 5000


def random_commands(servers, report, seed, count):
    generator = Generator(seed)
    pair, history, done = both(servers), [], 0
    since = ROUND  # start the first round with equal states
    while done < count and not report.enough():
        if since >= ROUND:
            # A separate batch: Redis closes an unauthenticated client with more than 1 KB of unread replies.
            run_batch(pair, [[b"RESET"], [b"GET", b"a"], [b"AUTH", SECRET.encode()]], report, history)
            start = [[b"HELLO", b"3" if (done * 4 // count) % 2 else b"2"], [b"FLUSHALL"], [b"CONFIG", b"RESETSTAT"], [b"SELECT", b"0"]]
            run_batch(pair, start, report, history)
            since = 0
        batch = []
        size = generator.random.choice([1, 2, 10, 50, 200])
        while len(batch) < size:
            batch += generator.commands()
        try:
            equal = run_batch(pair, batch, report, history)
        except Broken as error:
            report.failed += 1
            print(f"\n{error}")
            for command, reply in history[-10:]:
                print(f"    before: {show(command)} -> {short(reply)}")
            return done
        done += len(batch)
        since = since + len(batch) if equal else ROUND
    for client in pair:
        client.close()
    return done


# Commands that concern more than the database of their connection, or the connections.
SHARED = {b"SELECT", b"SWAPDB", b"FLUSHALL", b"MOVE", b"CLIENT", b"INFO", b"CONFIG", b"DEBUG", b"HELLO", b"AUTH", b"SLOWLOG", b"LATENCY",
          b"ACL", b"MEMORY"}


def stays_in_database(commands):
    return not any(command[0].upper() in SHARED or (command[0].upper() == b"COPY" and b"DB" in command) for command in commands)


def two_at_once(servers, report, seed, count):
    """Two connections send batches at the same time, each to a database of its own: one reply does not depend on the
    order of the other's."""
    generator, done = Generator(seed + 1), 0
    pairs, histories = [both(servers), both(servers)], [[], []]
    for pair in pairs:
        run_batch(pair, [[b"FLUSHALL"]], report, [])
    for number, pair in enumerate(pairs):
        run_batch(pair, [[b"SELECT", b"%d" % number]], report, histories[number])
    while done < count and not report.enough():
        batches = [[], []]
        for batch in batches:
            size = generator.random.choice([1, 3, 10, 50])
            while len(batch) < size:
                made = generator.commands()
                batch += made if stays_in_database(made) else []
        for pair, batch in zip(pairs, batches):
            send_batch(pair, batch)
        for pair, batch, history in zip(pairs, batches, histories):
            compare_batch(pair, batch, report, history)
            done += len(batch)
    for pair in pairs:
        for client in pair:
            client.close()
    return done


def data_survives(servers, report, kept):
    """Compares the data of both servers now, after a restart and after a crash of AtomDB; and the keeper's with its model."""
    redis, atomdb = servers
    for end in (lambda: None, atomdb.restart, atomdb.crash):
        end()
        pair = both(servers)
        run_batch(pair, [[b"DEBUG", b"DIGEST"], [b"DBSIZE"]], report, [])
        for client in pair:
            client.close()
        with atomdb.client("keeper") as keeper:
            lost = difference(content(keeper), kept)
        report.check("the keeper's keys", lost)
    report.check("the recovery", "" if ", 0 damaged blocks dropped" in atomdb.recovered() else atomdb.recovered())


def make_server(options, directory):
    if options.reference_only:
        return Redis(directory)
    if options.interleave:
        os.environ["ATOMDB_TEST_YIELD"] = "1"
        return Supervised(os.path.abspath(options.binary), directory)
    return AtomDB(os.path.abspath(options.binary), directory)


def compare_all(servers, report, seed, options):
    """Runs all parts, and stops AtomDB."""
    _, atomdb = servers
    start = time.monotonic()
    neighbours = Neighbours(atomdb.port, seed, SECRET) if options.interleave else None
    done, kept = 0, None
    try:
        whole_table(servers, report)
        random_bytes(servers, report, seed, 150 if neighbours else 1500)
        scan_everything(servers, report)
        connections.several_connections(servers, report, Raw, SECRET, seed, max(options.commands // 20, 200), bool(neighbours))
        done = random_commands(servers, report, seed, options.commands)
        if neighbours:
            done += two_at_once(servers, report, seed, options.commands)
    except Broken as error:
        report.check("a connection", str(error))
    if neighbours:
        sent, errors, kept = neighbours.finish()
        print(f"{sent} commands of other tenants")
        for error in errors:
            report.check("a neighbour", error)
    print(f"{done} random commands, {time.monotonic() - start:.0f} s")
    for server in servers:
        if not server.alive():
            report.check("the server ended before the test stopped it", server.log()[-3000:])
            return
    if neighbours:
        # A slow machine has little time for it.
        print(f"{atomdb.metric('atomdb_compaction_moved_keys_total'):.0f} keys moved by the compaction")
        data_survives(servers, report, kept)
    atomdb.stop()
    if neighbours:
        suspensions = sum(map(int, re.findall(r"^(\d+) suspensions of commands$", atomdb.log(), re.MULTILINE)))
        print(f"{suspensions} suspensions of commands")
        report.check("suspensions", "" if suspensions > done else "the daemon is not built with ATOMDB_TEST_HOOKS")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ATOMDB_BIN", "build/atomdb"))
    parser.add_argument("--commands", type=int, default=100_000, help="random commands (default: 100000)")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--stop-after", type=int, default=200, help="mismatches after which to stop")
    parser.add_argument("--interleave", action="store_true", help="suspend each command of AtomDB, beside other tenants")
    parser.add_argument("--differences", action="store_true", help="list the intended differences and exit")
    parser.add_argument("--reference-only", action="store_true", help="compare redis-server with itself: tests the test")
    options = parser.parse_args()
    if options.differences:
        for name, (_, why) in sorted(differences.RULES.items()):
            print(f"{name}: {why}")
        return 0
    seed = options.seed if options.seed is not None else int(time.time() * 1000) % (1 << 32)
    print(f"seed {seed}", flush=True)
    report = Report(options.stop_after)
    with tempfile.TemporaryDirectory(prefix="atomdb-differential-") as directory:
        # A supervised server holds its ports from now on.
        atomdb = make_server(options, directory)
        redis = Redis(directory)
        try:
            redis.start(*REFERENCE)
            atomdb.start(*(REFERENCE if options.reference_only else [CONFIG % (SECRET, "," + TENANTS if options.interleave else "")]))
            compare_all((redis, atomdb), report, seed, options)
        finally:
            redis.kill()
            atomdb.process and atomdb.kill()
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
