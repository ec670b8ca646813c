"""Random commands of AtomDB's table, with good arguments and bad ones; the same for the same seed."""

import random

KEYS = [b"a", b"b", b"c", b"counter", b"key:1", b"key:2", b"key:3", b"", b"bin\0\xff\r\n", b"k" * 300, b"A", b"*"]
INTEGERS = [b"0", b"1", b"-1", b"7", b"100", b"-100", b"9223372036854775807", b"-9223372036854775808",
            b"9223372036854775806", b"4611686018427387904", b"-9223372036854775807"]
NOT_INTEGERS = [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.0", b"1e3", b"0x10", b"x", b"9223372036854775808",
                b"-9223372036854775809", b"99999999999999999999", b"1\0", b"--1", b"-", b"nan", b"inf"]
TEXTS = [b"", b"hello", b"x" * 20, b"y" * 44, b"z" * 45, b"v" * 500, bytes(range(256)), b"\r\n", b"10a"]
PATTERNS = [b"*", b"key:*", b"key:?", b"[a-c]", b"[^a]", b"k*", b"", b"\\*", b"*\xff*", b"[", b"[a", b"[a-", b"**", b"?",
            b"[c-a]", b"\\", b"a\\", b"*:[12]", b"[^", b"*[", b"key:[^1]", b"counter", b"??*", b"[\\]]", b"[]a]"]
WORDS = [b"EX", b"PX", b"EXAT", b"PXAT", b"NX", b"XX", b"KEEPTTL", b"GET", b"PERSIST", b"GT", b"LT", b"COUNT", b"MATCH",
         b"TYPE", b"ASYNC", b"SYNC", b"AUTH", b"SETNAME", b"ID", b"bogus", b"", b"ex", b"Nx", b"string", b"list"]
# Far enough ahead that no run reaches them; what is set absolutely is compared exactly.
FAR_SECONDS = 4102444800
OVERFLOWS = [b"9223372036854775807", b"9223372036854775", b"9223372036854776", b"9223370000000000", b"-9223372036854775808",
             b"-9223372036854776", b"9999999999999999", b"9223372036854775000"]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.spans = set()
        self.makers = [(weight, name, maker) for weight, name, maker in _makers(self)]
        self.weights = [weight for weight, _, _ in self.makers]

    def commands(self):
        """One or more commands that belong together (all lists of bytes)."""
        _, name, maker = self.random.choices(self.makers, self.weights)[0]
        made = maker()
        made = made if made and isinstance(made[0], list) else [made]
        if name not in (b"SCAN", b"INFO", b"COMMAND", b"MULTI") and self.chance(0.03):
            made = [self.spoil(made[0])]
        return [[self.case(name) if at == 0 else command[0], *command[1:]] for at, command in
                enumerate([[name, *made[0]]] + made[1:])]

    def spoil(self, arguments):
        """Too few, too many, or other arguments; never such that a key would expire during the run."""
        how = self.random.randrange(3)
        if how == 0 and arguments:
            return arguments[: self.random.randrange(len(arguments))]
        if how == 1:
            return arguments + [self.pick(WORDS + NOT_INTEGERS) for _ in range(self.random.randint(1, 3))]
        arguments = list(arguments)
        if len(arguments) > 1:
            arguments[self.random.randrange(1, len(arguments))] = self.pick(NOT_INTEGERS + WORDS)
        return arguments

    def case(self, name):
        how = self.random.randrange(8)
        return name.lower() if how == 0 else name.title() if how == 1 else name

    def pick(self, pool):
        return self.random.choice(pool)

    def chance(self, share):
        return self.random.random() < share

    def key(self):
        return self.pick(KEYS)

    def keys(self, most=5):
        return [self.key() for _ in range(self.random.randint(1, most))]

    def value(self):
        how = self.random.randrange(4)
        if how == 0:
            return b"%d" % self.random.randint(-1000, 1000)
        return self.pick((INTEGERS, NOT_INTEGERS, TEXTS)[how - 1])

    def span(self, unit):
        """Relative time to live: never twice the same, so that GT and LT do not hang on a millisecond."""
        if self.chance(0.15):
            return self.pick([b"0", b"-1", b"-100000"] + NOT_INTEGERS + OVERFLOWS)
        while True:
            seconds = self.random.randint(100_000, 10_000_000)
            if seconds not in self.spans:
                self.spans.add(seconds)
                return b"%d" % (seconds * unit)

    def moment(self, unit):
        """Absolute deadline: in 2100, or long past, or none at all."""
        if self.chance(0.15):
            return self.pick([b"0", b"-1", b"1", b"100000"] + NOT_INTEGERS + OVERFLOWS)
        return b"%d" % (FAR_SECONDS * unit + self.random.randint(0, 1000))

    def deadline_option(self, words=(b"EX", b"PX", b"EXAT", b"PXAT")):
        word = self.pick(words)
        unit = 1000 if word[:1] == b"P" else 1
        return [word, self.moment(unit) if word.endswith(b"AT") else self.span(unit)]


def _set(g):
    options = [g.deadline_option() for share in (0.4, 0.02) if g.chance(share)]
    options += [[word] for word in (b"NX", b"XX", b"GET", b"KEEPTTL") if g.chance(0.15)]
    g.random.shuffle(options)
    key = g.key()
    # Redis counts a key that is set with a past deadline until something looks at it.
    return [[key, g.value(), *(word for option in options for word in option)], [b"EXISTS", key]]


def _getex(g):
    option = [b"PERSIST"] if g.chance(0.2) else g.deadline_option() if g.chance(0.6) else []
    return [[g.key(), *option], [b"DBSIZE"]]


def _expire(g, unit, absolute):
    def make():
        when = g.moment(unit) if absolute else g.span(unit)
        flags = [g.pick([b"NX", b"XX", b"GT", b"LT", b"nx"])] if g.chance(0.4) else []
        if g.chance(0.1):
            flags.append(g.pick([b"NX", b"XX", b"GT", b"LT", b"bogus"]))
        return [g.key(), when, *flags]

    return make


def _setex(g, unit):
    def make():
        key = g.key()
        return [[key, g.span(unit), g.value()], [b"EXISTS", key]]

    return make


def _mset(g):
    pairs = []
    for key in g.keys():
        pairs += [key, g.value()]
    return pairs[:-1] if g.chance(0.1) else pairs


def _scan(g):
    arguments = [b"0"]
    if g.chance(0.1):
        return [g.pick([b"x", b"", b"1.5", b"18446744073709551616", b" 0", b"0x"]), b"COUNT", b"100000"]
    count = g.pick([b"100000", b"100000", b"100000", b"0", b"-1", b"x"])
    for option in g.random.sample([[b"COUNT", count], [b"MATCH", g.pick(PATTERNS)],
                                   [b"TYPE", g.pick([b"string", b"list", b"STRING", b"nosuch"])]], g.random.randint(0, 3)):
        arguments += option
    if b"COUNT" not in arguments:
        arguments += [b"COUNT", b"100000"]
    if g.chance(0.1):
        arguments.append(g.pick([b"MATCH", b"COUNT", b"TYPE", b"bogus"]))
    return arguments


def _hello(g):
    if g.chance(0.3):
        return [g.pick([b"1", b"4", b"x", b"", b"2.0", b"-3", b"3"]),
                *g.pick([[], [b"AUTH"], [b"AUTH", b"x"], [b"SETNAME"], [b"SETNAME", b"has space"], [b"bogus"],
                         [b"AUTH", b"default", b"wrong"], [b"SETNAME", b"n", b"bogus"]])]
    return g.pick([[b"2"], [b"3"], [b"3", b"SETNAME", b"conn"], [b"2", b"AUTH", b"default", b"reference"], [],
                   [b"3", b"AUTH", b"default", b"reference", b"SETNAME", b"other"]])


def _client(g):
    return g.pick([
        [b"GETNAME"], [b"SETNAME", g.pick([b"name", b"", b"has space", b"new\nline", b"n" * 100, b"\x7f", b"ok~!"])],
        [b"ID"], [b"INFO"], [b"LIST"], [b"LIST", b"TYPE", b"normal"], [b"LIST", b"TYPE", b"bogus"], [b"LIST", b"TYPE"],
        [b"LIST", b"ID", b"x"], [b"LIST", b"ID", b"0"], [b"LIST", b"ID"], [b"LIST", b"bogus"], [b"LIST", b"TYPE", b"pubsub"],
        [b"LIST", b"TYPE", b"master"], [b"LIST", b"TYPE", b"replica"], [b"LIST", b"ID", b"999999", b"888888"],
        [b"NO-EVICT", g.pick([b"on", b"off", b"ON", b"maybe"])], [b"GETNAME", b"x"], [b"SETNAME"], [b"nosuch"],
        [b"nosuch", b"x"], [b""], [],
        [b"GETREDIR"], [b"TRACKINGINFO"], [b"CACHING", b"yes"], [b"CACHING", b"x"], [b"TRACKING", b"off"],
        [b"TRACKING", b"maybe"], [b"UNBLOCK", b"0"], [b"UNBLOCK", b"x"], [b"UNPAUSE"],
        [b"UNBLOCK", b"1", b"bogus"], [b"PAUSE", b"0"], [b"PAUSE", b"-1"], [b"PAUSE", b"x"], [b"PAUSE", b"1", b"bogus"],
        [b"REPLY", b"on"], [b"REPLY", b"bogus"], [b"KILL", b"nowhere:1"], [b"KILL", b"ID", b"99999999"],
        [b"KILL", b"ID", b"x"], [b"KILL", b"TYPE", b"pubsub"], [b"KILL", b"TYPE", b"bogus"], [b"KILL", b"USER", b"nobody"],
        [b"KILL", b"SKIPME", b"yes", b"TYPE", b"master"], [b"KILL", b"bogus", b"x"], [b"KILL", b"ADDR", b"1:1", b"ID"],
    ])


def _multi(g):
    """A transaction, by and large."""
    kept = [g.pick([[b"SET", g.key(), g.value()], [b"GET", g.key()], [b"INCR", g.key()], [b"DEL", *g.keys()], [b"DBSIZE"],
                    [b"APPEND", g.key(), g.value()], [b"EXISTS", *g.keys()], [b"GETDEL", g.key()], [b"STRLEN", g.key()]])
            for _ in range(g.random.randint(0, 5))]
    if g.chance(0.2):
        kept.append(g.pick([[b"MULTI"], [b"WATCH", g.key()], [b"NOSUCH"], [b"GET"], [b"UNWATCH"], [b"SELECT", b"x"]]))
    before = [[b"WATCH", *g.keys()], [b"SET", g.key(), b"1"]] if g.chance(0.3) else []
    end = g.pick([[b"EXEC"], [b"EXEC"], [b"EXEC"], [b"DISCARD"], [b"EXEC", b"x"]])
    start = [[], [b"DISCARD"], *before, [b"MULTI"]] if before else [[]]
    return [*start, *kept, end, [b"EXEC"]]


def _command(g):
    name = g.pick([b"get", b"set", b"MGET", b"nosuch", b"client|list", b"client", b"config|get", b"scan", b"expire", b"auth",
                   b"command|docs", b"client|nosuch", b""])
    return g.pick([
        [b"INFO", name], [b"INFO", name, b"del", b"ttl"], [b"GETKEYS", b"get", g.key()], [b"GETKEYS", b"get"],
        [b"GETKEYS", b"mset", b"a", b"1", b"b", b"2"], [b"GETKEYS", b"mset", b"a", b"1", b"b"], [b"GETKEYS", b"ping"],
        [b"GETKEYS", b"nosuch"], [b"GETKEYS", b"nosuch", b"x"], [b"GETKEYS", b"del", b"x", b"y", b"z"], [b"GETKEYS"],
        [b"GETKEYS", b"set", b"k"], [b"GETKEYS", b"set", b"k", b"v", b"EX", b"10"], [b"GETKEYS", b"client", b"list"],
        [b"GETKEYS", b"client", b"nosuch"], [b"GETKEYS", b"dbsize", b"x"],
        [b"COUNT", b"x"], [b"DOCS", b"nosuch"], [b"DOCS", b"get"], [b"DOCS", b"client|list", b"set"], [b"nosuch"],
        [b"LIST", b"FILTERBY"], [b"LIST", b"FILTERBY", b"PATTERN"], [b"LIST", b"FILTERBY", b"PATTERN", b"getex*"],
        [b"LIST", b"bogus"], [b"LIST", b"FILTERBY", b"bogus", b"x"], [b"LIST", b"FILTERBY", b"PATTERN", b"ttl"],
        [b"LIST", b"FILTERBY", b"MODULE", b"nosuch"], [b"LIST", b"FILTERBY", b"ACLCAT", b"nosuch"],
    ])


def _makers(g):
    """(weight, name, what makes the arguments)"""
    def none():
        return []

    def one():
        return [g.key()]

    def many():
        return g.keys()

    yield 14, b"SET", lambda: _set(g)
    yield 10, b"GET", one
    yield 4, b"GETEX", lambda: _getex(g)
    yield 2, b"GETDEL", one
    yield 3, b"MGET", many
    yield 3, b"MSET", lambda: _mset(g)
    yield 2, b"SETNX", lambda: [g.key(), g.value()]
    yield 2, b"SETEX", _setex(g, 1)
    yield 2, b"PSETEX", _setex(g, 1000)
    yield 2, b"GETSET", lambda: [g.key(), g.value()]
    yield 4, b"INCR", one
    yield 3, b"DECR", one
    yield 4, b"INCRBY", lambda: [g.key(), g.pick(INTEGERS + NOT_INTEGERS)]
    yield 4, b"DECRBY", lambda: [g.key(), g.pick(INTEGERS + NOT_INTEGERS)]
    yield 4, b"APPEND", lambda: [g.key(), g.value()]
    yield 3, b"STRLEN", one
    yield 3, b"DEL", many
    yield 2, b"UNLINK", many
    yield 3, b"EXISTS", many
    yield 2, b"TOUCH", many
    yield 4, b"EXPIRE", _expire(g, 1, False)
    yield 4, b"PEXPIRE", _expire(g, 1000, False)
    yield 4, b"EXPIREAT", _expire(g, 1, True)
    yield 4, b"PEXPIREAT", _expire(g, 1000, True)
    yield 3, b"TTL", one
    yield 3, b"PTTL", one
    yield 3, b"EXPIRETIME", one
    yield 3, b"PEXPIRETIME", one
    yield 3, b"PERSIST", one
    yield 2, b"TYPE", one
    yield 2, b"KEYS", lambda: [g.pick(PATTERNS)]
    yield 3, b"SCAN", lambda: _scan(g)
    yield 1, b"RANDOMKEY", none
    yield 3, b"DBSIZE", none
    yield 0.5, b"FLUSHDB", lambda: g.pick([[], [b"ASYNC"], [b"SYNC"], [b"sync"], [b"bogus"], [b"ASYNC", b"SYNC"]])
    yield 0.2, b"FLUSHALL", lambda: g.pick([[], [b"ASYNC"], [b"SYNC"], [b"bogus"]])
    yield 2, b"SELECT", lambda: [g.pick([b"0", b"0", b"0", b"1", b"1", b"15", b"16", b"-1", b"x", b"", b"1.0", b"99999999999"])]
    yield 1, b"PING", lambda: g.pick([[], [b"hello"], [b""], [b"a", b"b"]])
    yield 1, b"ECHO", lambda: [g.value()]
    yield 0.3, b"TIME", none
    yield 0.5, b"INFO", lambda: g.pick([[b"keyspace"], [b"KEYSPACE"], [b"nosuch"]])
    yield 0.6, b"HELLO", lambda: _hello(g)
    yield 0.3, b"AUTH", lambda: g.pick([[b"reference"], [b"default", b"reference"], [b"wrong"], [b"default", b"wrong"],
                                        [b"nobody", b"reference"], [b"a", b"b", b"c"], [b""], [b"default", b""]])
    yield 1.5, b"CLIENT", lambda: _client(g)
    yield 3, b"MULTI", lambda: _multi(g)
    yield 0.3, b"EXEC", lambda: []
    yield 0.3, b"DISCARD", lambda: []
    yield 0.3, b"UNWATCH", lambda: []
    yield 1, b"PUBLISH", lambda: [g.pick([b"c", b"", b"news"]), g.value()]
    yield 0.3, b"SPUBLISH", lambda: [g.pick([b"c", b"", b"news"]), g.value()]
    yield 0.7, b"PUBSUB", lambda: g.pick([[b"CHANNELS"], [b"CHANNELS", b"*"], [b"CHANNELS", b"a", b"b"], [b"NUMSUB", b"c"],
                                          [b"NUMSUB"], [b"NUMPAT"], [b"NUMPAT", b"x"], [b"SHARDCHANNELS"], [b"nosuch"], [],
                                          [b"SHARDNUMSUB", b"c", b"d"]])
    yield 1.5, b"COMMAND", lambda: _command(g)
    yield 0.7, b"CONFIG", lambda: g.pick([[b"GET", b"databases"], [b"GET", b"nosuch"], [b"GET", b"save"], [b"GET"], [],
                                          [b"GET", b"databases", b"appendonly"], [b"nosuch"], [b"GET", b"DATABASES"],
                                          [b"SET", b"notify-keyspace-events", b"KEA"], [b"SET", b"nosuch", b"x"],
                                          [b"SET", b"notify-keyspace-events", b"q"], [b"SET", b"databases"],
                                          [b"GET", b"notify-keyspace-events"],
                                          [b"GET", b"data[b]ases", b"nosuch"], [b"GET", b"maxmemory-policy", b"x*y"]])
    yield 0.7, g.pick([b"NOSUCH", b"GETT", b"nosuch\r\n", b"'quote'"]), lambda: g.keys()
