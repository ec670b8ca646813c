#!/usr/bin/python3
"""Sends the same commands to redis-server 7.0.15 and to AtomDB, and compares the replies byte by byte.

    run.py [--binary build/atomdb] [--commands 100000] [--seed N] [--differences]

Four parts: every command of the table with every wrong number of arguments; connections with random bytes; several
connections at once; random commands in RESP2 and RESP3. differences.py lists the intended differences with their
reasons. Prints the seed: equal seeds give equal commands. Prints `N passed, N failed`, and exits with 1 if a
comparison failed."""

import argparse
import os
import random
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
from protocol import end_of_reply

SECRET = "reference"
CONFIG = """
workers = 1;
enable_debug_command = true;
tenancy = "listed";
resp: { auth_rate = 0; };
tenants: ( { name = "reference"; secret = "%s"; max_entries = 0; max_memory = "1G"; } );
""" % SECRET
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

    def enough(self):
        return self.failed >= self.limit


def show(command):
    return " ".join(repr(bytes(word))[1:] if len(word) < 60 else f"{bytes(word[:40])!r}...({len(word)})" for word in command)


def short(raw):
    return repr(raw) if len(raw) < 400 else f"{raw[:200]!r} ... {raw[-150:]!r} ({len(raw)} bytes)"


def both(servers, **options):
    return [Raw(server.port, SECRET, **options) for server in servers]


def run_batch(pair, commands, report, history):
    """Sends a batch to both servers and compares the replies. Returns False if a reply differs: then the
    states of the servers may also differ."""
    data = b"".join(encode(*command) for command in commands)
    for client in pair:
        client.send(data)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("ATOMDB_BIN", "build/atomdb"))
    parser.add_argument("--commands", type=int, default=100_000, help="random commands (default: 100000)")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--stop-after", type=int, default=200, help="mismatches after which to stop")
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
        redis = Redis(directory)
        atomdb = Redis(directory) if options.reference_only else AtomDB(os.path.abspath(options.binary), directory)
        try:
            redis.start(*REFERENCE)
            atomdb.start(*(REFERENCE if options.reference_only else [CONFIG]))
            servers = (redis, atomdb)
            start = time.monotonic()
            whole_table(servers, report)
            random_bytes(servers, report, seed, 1500)
            scan_everything(servers, report)
            connections.several_connections(servers, report, Raw, SECRET, seed, max(options.commands // 20, 200))
            done = random_commands(servers, report, seed, options.commands)
            print(f"{done} random commands, {time.monotonic() - start:.0f} s")
            for server in servers:
                if not server.alive():
                    report.failed += 1
                    print(f"\nthe server ended before the test stopped it:\n{server.log()[-3000:]}")
            atomdb.stop()
        finally:
            redis.kill()
            atomdb.process and atomdb.kill()
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
