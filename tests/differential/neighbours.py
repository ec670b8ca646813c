"""Other tenants on the worker of the differential test.

Each neighbour is a process that sends commands of its own and checks their replies by a model. Together they write,
delete, let keys expire, are evicted, leave holes for the compaction, run transactions, publish, kill their own
connections, and enter the tenant under test."""

import multiprocessing
import random
import time
import traceback

from harness import Client, Error, encode, info
from model import Model, content, difference

TENANTS = """
  { name = "keeper"; secret = "keeper"; max_entries = 0; max_memory = "0"; },
  { name = "evicted"; secret = "evicted"; max_entries = 100; max_memory = "400K"; },
  { name = "bank"; secret = "bank"; max_entries = 0; max_memory = "0"; },
  { name = "visitors"; secret = "visitors"; max_entries = 0; max_memory = "0"; }"""
# The connections of visitors have this user in CLIENT LIST, others have "default".
VISITOR = "reference"


def expect(found, expected, about):
    if found != expected:
        raise AssertionError(f"{about!r:.500}: {found!r:.500} instead of {expected!r:.500}")


class Neighbour(multiprocessing.Process):
    """Repeats step() until the test ends."""

    def __init__(self, port, seed):
        super().__init__(daemon=True)
        self.port, self.seed = port, seed
        self.random = random.Random(seed)
        self.ends = multiprocessing.Event()
        self.results = multiprocessing.Queue()
        self.commands = 0

    @property
    def name_of(self):
        return type(self).__name__.lower()

    def run(self):
        error = None
        try:
            self.begin()
            while not self.ends.is_set():
                self.step()
            self.end()
        except BaseException:
            error = traceback.format_exc()
        self.results.put((self.commands, error, self.kept()))

    def finish(self):
        """Ends the process. Returns the number of its commands, an error or None, and kept()."""
        self.ends.set()
        result = self.results.get(timeout=300)
        self.join()
        return result

    def connect(self, secret=None):
        return Client(self.port, secret or self.name_of, timeout=120)

    def many(self, client, commands):
        self.commands += len(commands)
        return client.many(commands)

    def begin(self):
        self.client = self.connect()

    def step(self):
        raise NotImplementedError

    def end(self):
        pass

    def kept(self):
        """Returns what a check after the test needs."""
        return None


class Keeper(Neighbour):
    """Random commands, half of them in transactions. All replies and all data must be those of the model."""

    def begin(self):
        super().begin()
        self.model = Model(self.seed)
        self.model.fetch_payloads(self.client)
        self.expiring = self.connect()
        assert self.expiring.cmd("SELECT", 5) == "OK"

    def step(self):
        made = [self.model.command() for _ in range(self.random.choice([1, 1, 3, 10, 30]))]
        commands, expected = [words for words, _ in made], [reply for _, reply in made]
        if self.random.random() < 0.5:
            replies = self.many(self.client, [("MULTI",), *commands, ("EXEC",)])
            expect(replies[:-1], ["OK"] + ["QUEUED"] * len(commands), commands)
            replies = replies[-1]
        else:
            replies = self.many(self.client, commands)
        for command, found, right in zip(commands, replies, expected):
            expect(found, right, command)
        self.expire()
        if self.random.random() < 0.1:
            names = self.many(self.client, [("KEYS", "*")])[0]
            expect(sorted(names), sorted(self.model.keys), "KEYS")
        if self.random.random() < 0.02:
            self.compare()

    def expire(self):
        """Writes keys that expire soon. Each has its value or is gone."""
        keys = [b"t:%d" % self.random.randrange(500) for _ in range(10)]
        made = [("SET", key, key, "PX", self.random.choice([1, 5, 50])) for key in keys]
        expect(self.many(self.expiring, made), ["OK"] * len(made), made)
        for key, value in zip(keys, self.many(self.expiring, [("MGET", *keys)])[0]):
            assert value in (None, key), (key, value)
        # The time stands still for a transaction.
        commands = [("MULTI",), ("SET", "short", "v", "PX", 1), *[("STRLEN", key) for key in keys], ("GET", "short"), ("EXEC",)]
        expect(self.many(self.expiring, commands)[-1][-1], b"v", "a key that expires during a transaction")

    def compare(self):
        selected = self.model.selected
        found = content(self.client)
        if found != self.model.databases:
            raise AssertionError(f"the keeper's keys differ:\n{difference(found, self.model.databases)}")
        expect(self.client.cmd("SELECT", selected), "OK", "SELECT")

    def end(self):
        self.compare()
        time.sleep(0.1)
        expect(self.expiring.cmd("DBSIZE"), 0, "keys that have expired")

    def kept(self):
        return self.model.databases


class Evicted(Neighbour):
    """Writes more keys than its limit allows. Each key has its last value or is gone."""

    def begin(self):
        super().begin()
        self.other = self.connect()
        # Entries of the slow log take memory, for which keys are evicted.
        expect(self.client.cmd("CONFIG", "SET", "slowlog-log-slower-than", -1), "OK", "CONFIG SET")
        self.values = {}

    def step(self):
        writes = []
        for _ in range(self.random.choice([1, 5, 40])):
            key = b"%d" % self.random.randrange(300)
            self.values[key] = b"%s=%d;" % (key, self.random.getrandbits(60)) * self.random.choice([1, 10, 50, 200])
            writes.append(("SET", key, self.values[key], *self.random.choice([(), (), ("PX", 20), ("EX", 100)])))
        expect(self.many(self.client, writes), ["OK"] * len(writes), writes)
        keys = self.random.sample(sorted(self.values), min(20, len(self.values)))
        for key, value in zip(keys, self.many(self.client, [("MGET", *keys)])[0]):
            assert value in (None, self.values[key]), (key, value)
        self.look_while_another_writes(keys)
        if self.random.random() < 0.1:
            others = [("MEMORY", "PURGE"), ("MEMORY", "USAGE", keys[0]), ("INFO",), ("MEMORY", "STATS"), ("DEBUG", "DIGEST"), ("KEYS", "1*"),
                      ("SCAN", 0), ("RANDOMKEY",), ("OBJECT", "ENCODING", keys[0]), ("BIGKEYS",), ("TOUCH", *keys)]
            for command, reply in zip(others, self.many(self.client, others)):
                assert not isinstance(reply, Error), (command, reply)
        if self.random.random() < 0.03:
            expect(self.many(self.client, [(self.random.choice(["FLUSHDB", "FLUSHALL"]),), ("DBSIZE",)]), ["OK", 0], "FLUSHDB")

    def look_while_another_writes(self, keys):
        """The input of another connection does not evict in the middle of a transaction."""
        look = [("MULTI",), ("DBSIZE",), *[("STRLEN", key) for key in keys], ("DBSIZE",), ("EXEC",)]
        self.client.send(b"".join(encode(*command) for command in look))
        writes = []
        for _ in range(10):
            key = b"%d" % self.random.randrange(300)
            self.values[key] = b"%s=%d;" % (key, self.random.getrandbits(60)) * 200
            writes.append(("SET", key, self.values[key]))
        expect(self.many(self.other, writes), ["OK"] * len(writes), "writes")
        replies = [self.client.read() for _ in look][-1]
        self.commands += len(look)
        expect(replies[-1], replies[0], "DBSIZE at the end of a transaction that only reads")

    def end(self):
        assert 0 < int(info(self.client, "stats")["evicted_keys"])
        assert self.client.cmd("DBSIZE") <= 100


class Bank(Neighbour):
    """Transactions move amounts between accounts. Another connection sees the same sum at all times, and a third one
    receives a message for each transaction. Connections kill each other."""

    ACCOUNTS = [b"account:%d" % number for number in range(8)]

    def begin(self):
        super().begin()
        self.reader = self.connect()
        expect(self.client.cmd("MSET", *(word for key in self.ACCOUNTS for word in (key, 100))), "OK", "MSET")
        self.listen()

    def listen(self):
        self.listener = self.connect()
        self.listener_id = self.listener.cmd("CLIENT", "ID")
        expect(self.listener.cmd("SUBSCRIBE", "moves"), [b"subscribe", b"moves", 1], "SUBSCRIBE")
        self.messages = 0

    def step(self):
        source, target = self.random.sample(self.ACCOUNTS, 2)
        amount = self.random.randrange(50)
        watched = self.random.random() < 0.3
        lost = watched and self.random.random() < 0.5
        if watched:
            expect(self.many(self.client, [("WATCH", source)]), ["OK"], "WATCH")
        if lost:
            self.move(self.reader, source, target, 1)
        sum_before = self.read_sum_while_moving(source, target, amount, lost)
        expect(sum_before, 100 * len(self.ACCOUNTS), "the sum of all accounts")
        self.receive()
        if self.random.random() < 0.02:
            expect(self.many(self.client, [("CLIENT", "KILL", "ID", self.listener_id)]), [1], "CLIENT KILL")
            assert self.listener.closed()
            self.listen()

    def transaction(self, source, target, amount):
        return [("MULTI",), ("DECRBY", source, amount), ("PUBLISH", "moves", amount), ("INCRBY", target, amount), ("EXEC",)]

    def move(self, client, source, target, amount):
        replies = self.many(client, self.transaction(source, target, amount))
        assert replies[-1][1] == 1, replies
        self.messages += 1

    def read_sum_while_moving(self, source, target, amount, lost):
        commands = self.transaction(source, target, amount)
        self.commands += len(commands)
        self.client.send(b"".join(encode(*command) for command in commands))
        total = sum(map(int, self.many(self.reader, [("MGET", *self.ACCOUNTS)])[0]))
        replies = [self.client.read() for _ in commands]
        if lost:
            expect(replies[-1], None, "EXEC after another client's write")
        else:
            expect(replies[-1][1], 1, "the number of receivers")
            self.messages += 1
        return total

    def receive(self):
        for _ in range(self.messages):
            expect(self.listener.read()[:2], [b"message", b"moves"], "a message")
        self.messages = 0

    def end(self):
        expect(sum(map(int, self.client.cmd("MGET", *self.ACCOUNTS))), 100 * len(self.ACCOUNTS), "the sum at the end")


class Visitor(Neighbour):
    """New connections enter the tenant under test, ask harmless questions, and leave."""

    def __init__(self, port, seed, secret):
        super().__init__(port, seed)
        self.secret = secret

    def begin(self):
        pass

    def step(self):
        with self.connect("visitors") as client:
            commands = [("AUTH", VISITOR, self.secret), ("PING",), ("ECHO", "x"), ("TIME",), ("PING", "y")]
            replies = self.many(client, commands)
            expect(replies[:3] + replies[4:], ["OK", "PONG", b"x", b"y"], commands)
            if self.random.random() < 0.5:
                expect(self.many(client, [("AUTH", "visitors"), ("INCR", "visits")])[0], "OK", "AUTH")
            elif self.random.random() < 0.5:
                client.send_anyway(b"*1\r\n$4\r\nPING\r\n" * 5)
        time.sleep(self.random.random() / 50)


class Neighbours:
    """All neighbours of a run."""

    def __init__(self, port, seed, secret):
        self.all = [Keeper(port, seed + 1), Evicted(port, seed + 2), Bank(port, seed + 3), Visitor(port, seed + 4, secret)]
        for neighbour in self.all:
            neighbour.start()

    def finish(self):
        """Ends all. Returns the number of their commands, their errors, and the keeper's databases."""
        results = [neighbour.finish() for neighbour in self.all]
        return sum(result[0] for result in results), [result[1] for result in results if result[1]], results[0][2]
