"""Generates random commands from AtomDB's table, with valid and invalid arguments. Equal seeds give equal commands."""

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
# A time that no run reaches. Absolute times must be equal.
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
        """Returns one or more related commands, as lists of bytes."""
        _, name, maker = self.random.choices(self.makers, self.weights)[0]
        made = maker()
        made = made if made and isinstance(made[0], list) else [made]
        # DEBUG SLEEP with another number would sleep for minutes. OBJECT FREQ of a key is an error only in Redis.
        spoils = name not in (b"SCAN", b"INFO", b"COMMAND", b"MULTI") and made[0][:1] not in ([b"SLEEP"], [b"FREQ"])
        if spoils and self.chance(0.03):
            spoiled = self.spoil(made[0])
            # Redis accepts "1 " as a save point, AtomDB does not: later CONFIG GET and errorstats would differ.
            if not {b"save", b"1 "} <= set(spoiled):
                made = [spoiled]
        return [[self.case(name) if at == 0 else command[0], *command[1:]] for at, command in
                enumerate([[name, *made[0]]] + made[1:])]

    def spoil(self, arguments):
        """Removes, adds or replaces arguments. No such change lets a key expire during the run."""
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
        """A relative time to live. It is never the same twice, so that GT and LT do not depend on a millisecond."""
        if self.chance(0.15):
            return self.pick([b"0", b"-1", b"-100000"] + NOT_INTEGERS + OVERFLOWS)
        while True:
            seconds = self.random.randint(100_000, 10_000_000)
            if seconds not in self.spans:
                self.spans.add(seconds)
                return b"%d" % (seconds * unit)

    def moment(self, unit):
        """An absolute deadline: in 2100, in the past, or invalid."""
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
    # Redis counts a key with a past deadline until a command accesses it.
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
    """A transaction, mostly valid."""
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
    words = g.pick([
        [b"INFO", name], [b"INFO", name, b"del", b"ttl"], [b"GETKEYS", b"get", g.key()], [b"GETKEYS", b"get"],
        [b"GETKEYS", b"mset", b"a", b"1", b"b", b"2"], [b"GETKEYS", b"mset", b"a", b"1", b"b"], [b"GETKEYS", b"ping"],
        [b"GETKEYS", b"nosuch"], [b"GETKEYS", b"sort", b"a", b"GET", b"x", b"STORE", b"d", b"STORE", b"e"], [b"GETKEYS", b"sort", b"a", b"BY", b"STORE"],
        [b"GETKEYS", b"sort_ro", b"a", b"STORE", b"b"], [b"GETKEYS", b"bitop", b"and", b"d", b"x", b"y"], [b"GETKEYS", b"object", b"encoding", b"k"],
        [b"GETKEYS", b"rename", b"x", b"y"], [b"GETKEYS", b"lcs", b"x", b"y", b"LEN"], [b"GETKEYS", b"nosuch", b"x"], [b"GETKEYS", b"del", b"x", b"y", b"z"], [b"GETKEYS"],
        [b"GETKEYS", b"set", b"k"], [b"GETKEYS", b"set", b"k", b"v", b"EX", b"10"], [b"GETKEYS", b"client", b"list"],
        [b"GETKEYS", b"client", b"nosuch"], [b"GETKEYS", b"dbsize", b"x"],
        [b"COUNT", b"x"], [b"DOCS", b"nosuch"], [b"DOCS", b"get"], [b"DOCS", b"client|list", b"set"], [b"nosuch"],
        [b"LIST", b"FILTERBY"], [b"LIST", b"FILTERBY", b"PATTERN"], [b"LIST", b"FILTERBY", b"PATTERN", b"getex*"],
        [b"LIST", b"bogus"], [b"LIST", b"FILTERBY", b"bogus", b"x"], [b"LIST", b"FILTERBY", b"PATTERN", b"ttl"],
        [b"LIST", b"FILTERBY", b"MODULE", b"nosuch"], [b"LIST", b"FILTERBY", b"ACLCAT", b"nosuch"],
        [b"GETKEYS", b"set", b"k", b"v", b"EX", b"1", b"get"], [b"GETKEYS", b"copy", b"a", b"b"],
        [b"GETKEYS", b"bitfield", b"k", b"GET", b"u8", b"0", b"OVERFLOW", b"SAT"], [b"GETKEYS", b"pfcount", b"a", b"b"],
        [b"GETKEYS", b"bitfield", b"k", b"GET", b"u8", b"0", b"SET", b"u8", b"0", b"1"], [b"GETKEYS", b"pfmerge", b"a", b"b"],
        [b"GETKEYS", b"sort", b"a", b"STORE", b"d"], [b"GETKEYS", b"restore", b"a", b"0", b"x"], [b"GETKEYS", b"getex", b"a"],
        [b"GETKEYS", b"memory", b"usage", b"k"], [b"GETKEYS", b"watch", b"a", b"b"], [b"GETKEYS", b"spublish", b"a", b"b"],
    ])
    if words[0] == b"GETKEYS" and g.chance(0.5):
        words[0] = b"GETKEYSANDFLAGS"
    return words


def _lcs(g):
    options = [[b"LEN"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", g.pick([b"0", b"1", b"3", b"-1", b"x"])], [b"bogus"]]
    chosen = [option for option, share in zip(options, (0.2, 0.5, 0.4, 0.4, 0.02)) if g.chance(share)]
    g.random.shuffle(chosen)
    first, second = g.pick([b"lcs:1", b"a", b"b"]), g.pick([b"lcs:2", b"c", b"key:1"])
    lcs = [first, second, *(word for option in chosen for word in option)]
    return [lcs, [b"SET", first, _letters(g)], [b"SET", second, _letters(g)], [b"LCS", *lcs]]


def _letters(g):
    return bytes(g.pick(b"abc") for _ in range(g.random.randint(0, 30)))


def _place(g):
    """An index into a value, from either end, or out of range."""
    return b"%d" % g.random.randint(-30, 60) if g.chance(0.85) else g.pick(INTEGERS + NOT_INTEGERS)


def _offset(g):
    if g.chance(0.1):
        return g.pick(NOT_INTEGERS + [b"-1", b"4294967296", b"4294967297", b"9223372036854775807"])
    return b"%d" % g.random.randint(0, 4000)


def _unit(g):
    return g.pick([b"BIT", b"BYTE", b"bit", b"bogus"]) if g.chance(0.3) else g.pick([b"BIT", b"BYTE"])


def _bitcount(g):
    return [g.key(), *g.pick([[], [_place(g), _place(g)], [_place(g), _place(g), _unit(g)], [_place(g)]])]


def _bitpos(g):
    bit = g.pick([b"0", b"1"]) if g.chance(0.95) else g.pick([b"2", b"-1", b"x"])
    return [g.key(), bit, *g.pick([[], [_place(g)], [_place(g), _place(g)], [_place(g), _place(g), _unit(g)]])]


def _bitop(g):
    operation = g.pick([b"AND", b"OR", b"XOR", b"and", b"NOT"]) if g.chance(0.97) else b"bogus"
    keys = [g.key()] if operation == b"NOT" and g.chance(0.9) else g.keys()
    destination = g.key()
    return [[operation, destination, *keys], [b"GET", destination], [b"PTTL", destination]]


def _bitfield(g, reading=False):
    words = [g.key()]
    for _ in range(g.random.randint(0, 4)):
        kind = b"GET" if reading and g.chance(0.95) else g.pick([b"GET", b"SET", b"INCRBY", b"get", b"OVERFLOW"])
        if kind == b"OVERFLOW":
            words += [kind, g.pick([b"WRAP", b"SAT", b"FAIL", b"sat"]) if g.chance(0.97) else b"bogus"]
            continue
        if g.chance(0.97):
            sign = g.pick([b"u", b"i"])
            width = b"%s%d" % (sign, g.pick([1, 2, 5, 7, 8, 9, 16, 31, 32, 33, 62, 63] + [64] * (sign == b"i")))
        else:
            width = g.pick([b"u64", b"i65", b"u0", b"i0", b"x8", b"i", b"", b"I8", b"i08", b"u8\0", b"i-1"])
        words += [kind, width, g.pick([b"#%d" % g.random.randint(0, 20), _offset(g), b"#", b"#-1", b"#9223372036854775807"][:2])]
        if kind.upper() != b"GET":
            words.append(g.pick(INTEGERS) if g.chance(0.5) else g.value() if g.chance(0.05) else
                         b"%d" % g.random.randint(-300, 300))
    return words


def _incrbyfloat(g):
    key = g.key()
    amount = g.pick([b"0.1", b"-0.1", b"1.5", b"3", b"1e3", b"-2.5e-3", b"0x10", b"1e400", b"inf", b"-inf", b"nan", b" 1", b"1 ",
                     b"3.0e3", b"5000000000000000000000", b"1e-20", b"-0", b"+2", b"1e4931", b"1e-5000", b".5", b"5.", b""])
    return [[key, amount], [b"GET", key]]


def _copy(g):
    """COPY, then a comparison of both keys."""
    first, second = g.key(), g.key()
    options = [[b"REPLACE"], [b"DB", g.pick([b"0", b"1", b"15", b"16", b"-1", b"x", b"3000000000"])], [b"bogus"]]
    chosen = [word for option, share in zip(options, (0.4, 0.4, 0.02)) if g.chance(share) for word in option]
    return [[first, second, *chosen], [b"PEXPIRETIME", second], [b"GET", second]]


def _rename(g):
    first, second = g.key(), g.key()
    return [[first, second], [b"MGET", first, second], [b"PEXPIRETIME", second], [b"OBJECT", b"ENCODING", second]]


def _sort(g, reading=False):
    options = [[b"ASC"], [b"DESC"], [b"ALPHA"], [b"LIMIT", b"0", g.value()], [b"BY", b"x*"], [b"GET", b"#"], [b"bogus"],
               [b"LIMIT", b"1"], [b"GET"]]
    chosen = [word for option in options if g.chance(0.15) for word in option]
    if g.chance(0.3):
        chosen += [b"STORE", g.key()]
    return [g.pick([g.key(), b"never"]), *chosen]


def _object(g):
    return g.pick([[b"ENCODING", g.key()], [b"ENCODING", g.key()], [b"FREQ", b"never"], [b"REFCOUNT", g.key()], [b"IDLETIME", g.key()], [b"nosuch"],
                   [b"ENCODING"], [b"FREQ"], [b"ENCODING", g.key(), b"x"], []])


def _swap(g):
    pool = [b"0", b"1", b"15", b"15", b"2"]
    if g.chance(0.3):
        pool = [b"0", b"16", b"-1", b"x", b"3000000000", b""]
    return [[g.pick(pool), g.pick(pool)], [b"DBSIZE"], [b"INFO", b"keyspace"]]


def _dump(g):
    """DUMP of an existing value, or of a compressible one."""
    key = g.key()
    if g.chance(0.5):
        return [key]
    pool = g.pick([b"a", b"ab", b"abcdefgh", bytes(range(256))])
    parts = [bytes(g.pick(pool) for _ in range(g.random.randint(1, 40))) for _ in range(4)]
    text = b"".join(g.pick(parts) * g.pick([1, 1, 2, 10]) for _ in range(g.random.randint(1, g.pick([5, 60]))))
    return [[key], [b"SET", key, text], [b"DUMP", key]]


CRC = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = _value >> 1 ^ (0x95AC9329AC4BC9B5 if _value & 1 else 0)
    CRC[_byte] = _value


def sealed(body, version=10):
    """Completes a payload for RESTORE with version and checksum."""
    body += bytes([version & 255, version >> 8])
    crc = 0
    for byte in body:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return body + crc.to_bytes(8, "little")


# Strings in each encoding, canonical and not, and invalid ones. No string may extend into the version and the checksum:
# Redis reads into them, and ignores the rest; AtomDB rejects both.
BODIES = [b"\0\x05hello", b"\0\0", b"\0\x40\x05hello", b"\0\x80\0\0\0\x05hello", b"\0\x81\0\0\0\0\0\0\0\x05hello", b"\0\xc0\x80",
          b"\0\xc1\x00\x80", b"\0\xc2\xff\xff\xff\x7f", b"\0\xc3\x06\x05\x04hello", b"\0\xc3\x04\x14\x00a\xe0\x0a", b"\0\xc3\x05\x14\x00a\xe0\x0a\x00",
          b"\0\xc3\x05\x15\x00a\xe0\x0a\x00", b"\0\xc3\x05\x14\x00a\xe0\x0a\x01", b"\0\xc4", b"\0\x85", b"\0\x81\xff\xff\xff\xff\xff\xff\xff\xff",
          b"\0\xc3\x06\x04\x04hello", b"\0\xc3\x06\x06\x04hello", b"\0\xc3\x01\x01\x00", b"\xfa", b"\x7f\0"]


def _restore(g):
    key = g.key()
    body = g.pick(BODIES)
    payload = sealed(body, g.pick([10, 10, 10, 10, 9, 1, 0, 11, 256]))
    if g.chance(0.1):
        # Only payloads with a wrong checksum. Any part of a payload of zeros has a valid checksum, and Redis would read
        # into the footer.
        broken = g.pick([payload[:-1], payload[:9], b"", bytes([payload[0] ^ 1]) + payload[1:]])
        payload = broken if sealed(broken[:-10], int.from_bytes(broken[-10:-8], "little")) != broken else payload
    options = [[b"REPLACE"], [b"ABSTTL"], [b"IDLETIME", g.pick([b"0", b"100", b"-1", b"x"])],
               [b"FREQ", g.pick([b"0", b"255", b"256", b"-1", b"x"])], [b"bogus"]]
    chosen = [option for option, share in zip(options, (0.7, 0.1, 0.1, 0.1, 0.02)) if g.chance(share)]
    ttl = g.pick([b"0"] * 5 + [b"-1", b"x", b"9223372036854775807"])
    if [b"ABSTTL"] in chosen or g.chance(0.2):
        ttl = g.moment(1000) if [b"ABSTTL"] in chosen else g.span(1000)
    return [[key, ttl, payload, *(word for option in chosen for word in option)], [b"EXISTS", key],
            [b"GET", key], [b"OBJECT", b"ENCODING", key], [b"PEXPIRETIME", key]]


HLL_KEYS = [b"hll:1", b"hll:2", b"hll:3", b"hll:4"]


def _hll_key(g):
    return g.pick(HLL_KEYS) if g.chance(0.97) else g.key()


def _pfadd(g):
    """Adds few or many elements, and reads the resulting bytes."""
    key = _hll_key(g)
    most = g.pick([0, 1, 3, 30, 30, 1000])
    elements = [b"e%d" % g.random.randint(0, g.pick([50, 5000, 1_000_000])) for _ in range(g.random.randint(0, most))]
    return [[key, *elements], [b"GET", key], [b"PFCOUNT", key], [b"GET", key]]


def _pfmerge(g):
    keys = [_hll_key(g) for _ in range(g.random.randint(1, 4))]
    return [keys, [b"GET", keys[0]], [b"PFCOUNT", *keys]]


def _pfdebug(g):
    about = g.pick([b"ENCODING", b"DECODE", b"ENCODING", b"DECODE", b"TODENSE", b"GETREG", b"bogus"][: 4 if g.chance(0.8) else 7])
    return [about, _hll_key(g)]


def _hll_damage(g):
    """Writes an invalid HyperLogLog, reads it with several commands, and deletes it."""
    header = g.pick([b"HYLL\1\0\0\0", b"HYLL\1\0\0\0", b"HYLL\0\0\0\0", b"HYLL\2\0\0\0", b"HYLX\1\0\0\0"])
    body = g.pick([b"\x7f\xff", b"\x7f\xfe", b"", b"\x7f", b"\x7f\xff\x7f\xff", b"\x84" * 20, b"\x7f\xfe\x84", b"\0" * 12288])
    key = b"hll:x"
    return [[key, header + b"\0" * 7 + g.pick([b"\x80", b"\0"]) + body], [b"PFCOUNT", key, b"none"], [b"PFMERGE", b"hll:y", key],
            [b"PFCOUNT", key], [b"DEL", key, b"hll:y"]]


def _server(g):
    """Arguments of the commands that describe the server and its users."""
    return {
        b"MEMORY": [[b"USAGE", g.key()], [b"USAGE", g.key(), b"SAMPLES", g.pick([b"0", b"5", b"-1", b"x", b""])],
                    [b"USAGE", g.key(), b"bogus", b"1"], [b"USAGE", g.key(), b"SAMPLES"], [b"PURGE"], [b"nosuch"], [b"USAGE"]],
        b"DEBUG": [[b"SLEEP", b"0"], [b"SLEEP", b"x"], [b"SLEEP", b"-1"], [b"SLEEP"], [b"SET-ACTIVE-EXPIRE", b"1"], [b"nosuch"],
                   [b"RELOAD", b"x"], [b"CHANGE-REPL-ID"], [b"ERROR", b"CODE text"], [b"OBJECT", g.key()], [b"OBJECT"],
                   [b"POPULATE", b"x"], [b"POPULATE", b"3", b"pop"], [b"POPULATE", b"2", b"pop:", b"9"], [b"POPULATE", b"-1"],
                   [b"SLEEP", b"0.001"],
                   [b"PROTOCOL", g.pick([b"string", b"integer", b"double", b"null", b"array", b"set", b"map", b"verbatim",
                                         b"true", b"false", b"bignum", b"nosuch"])],
                   [b"DIGEST"], [b"DIGEST"], [b"DIGEST", b"x"], [b"DIGEST-VALUE"], [b"DIGEST-VALUE", g.key(), g.key()],
                   [b"HTSTATS", g.pick([b"16", b"-1", b"x"])], [b"HTSTATS"], [b"HTSTATS-KEY", g.key()], [b"SDSLEN", g.key()],
                   [b"LISTPACK", g.key()], [b"QUICKLIST", g.key()], [b"QUICKLIST", g.key(), b"1"], [b"LOG", b"x"], [b"LOG"],
                   [b"REPLICATE", b"x"], [b"CLIENT-EVICTION"], [b"CLUSTERLINK", b"kill", b"all", b"x"], [b"PAUSE-CRON", b"0"],
                   [b"SET-DISABLE-DENY-SCRIPTS", b"0"], [b"AOF-FLUSH-SLEEP", b"0"]],
        b"ACL": [[b"WHOAMI"], [b"USERS"], [b"CAT"], [b"CAT", b"nosuch"], [b"CAT", b"string"], [b"CAT", b"a", b"b"],
                 [b"LOG"], [b"LOG", b"RESET"], [b"LOG", b"5"], [b"LOG", b"x"], [b"LOG", b"1", b"2"], [b"nosuch"],
                 [b"GENPASS"], [b"GENPASS", g.pick([b"5", b"0", b"-1", b"x", b"4096", b"4097", b"13"])], [b"GENPASS", b"1", b"2"]],
        b"FUNCTION": [[b"LIST"], [b"LIST", b"WITHCODE"], [b"LIST", b"LIBRARYNAME"], [b"LIST", b"LIBRARYNAME", b"*"],
                      [b"LIST", b"WITHCODE", b"WITHCODE"], [b"LIST", b"bogus"], [b"STATS"], [b"FLUSH"], [b"FLUSH", b"ASYNC"],
                      [b"FLUSH", b"bogus"], [b"FLUSH", b"SYNC", b"x"], [b"DELETE", b"x"], [b"KILL"], [b"nosuch"]],
        b"SLOWLOG": [[b"LEN"], [b"GET"], [b"GET", g.pick([b"1", b"-1", b"-2", b"x", b"99999999999", b""])], [b"GET", b"1", b"2"],
                     [b"RESET"], [b"nosuch"], []],
        b"LATENCY": [[b"LATEST"], [b"HISTORY", b"command"], [b"HISTORY", b"x"], [b"GRAPH", b"x"], [b"RESET"],
                     [b"RESET", b"x", b"y"], [b"DOCTOR"], [b"HISTOGRAM", b"nosuch"], [b"nosuch"], [b"GRAPH"]],
        b"LOLWUT": [[], [b"VERSION", g.pick([b"1", b"7", b"x", b"-3"])], [b"VERSION"], [b"bogus"]],
        b"ROLE": [[], [b"x"]],
    }


def _makers(g):
    """Returns (weight, name, generator of the arguments) for each command."""
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
    yield 3, b"SETRANGE", lambda: [g.key(), g.pick([b"0", b"1", b"5", b"100", b"3000", b"5000", b"-1", b"536870912", b"x"]), g.value()]
    yield 3, b"GETRANGE", lambda: [g.key(), _place(g), _place(g)]
    yield 1, b"SUBSTR", lambda: [g.key(), _place(g), _place(g)]
    yield 2, b"MSETNX", lambda: _mset(g)
    yield 4, b"INCRBYFLOAT", lambda: _incrbyfloat(g)
    yield 3, b"LCS", lambda: _lcs(g)
    yield 4, b"SETBIT", lambda: [g.key(), _offset(g), g.pick([b"0", b"1"]) if g.chance(0.95) else g.value()]
    yield 3, b"GETBIT", lambda: [g.key(), _offset(g)]
    yield 4, b"BITCOUNT", lambda: _bitcount(g)
    yield 4, b"BITPOS", lambda: _bitpos(g)
    yield 3, b"BITOP", lambda: _bitop(g)
    yield 5, b"BITFIELD", lambda: _bitfield(g)
    yield 2, b"BITFIELD_RO", lambda: _bitfield(g, True)
    yield 3, b"RENAME", lambda: _rename(g)
    yield 2, b"RENAMENX", lambda: _rename(g)
    yield 3, b"COPY", lambda: _copy(g)
    yield 3, b"MOVE", lambda: [g.key(), g.pick([b"0", b"1", b"1", b"15", b"16", b"-1", b"x", b"3000000000"])]
    yield 1, b"SWAPDB", lambda: _swap(g)
    yield 3, b"OBJECT", lambda: _object(g)
    yield 1, b"SORT", lambda: _sort(g)
    yield 1, b"SORT_RO", lambda: _sort(g, True)
    yield 1, b"WAIT", lambda: [g.pick([b"0", b"-1", b"x", b""]), g.pick(INTEGERS + NOT_INTEGERS)]
    yield 4, b"DUMP", lambda: _dump(g)
    yield 4, b"RESTORE", lambda: _restore(g)
    yield 4, b"PFADD", lambda: _pfadd(g)
    yield 2, b"PFCOUNT", lambda: [_hll_key(g) for _ in range(g.random.randint(1, 4))]
    yield 2, b"PFMERGE", lambda: _pfmerge(g)
    yield 2, b"PFDEBUG", lambda: _pfdebug(g)
    yield 1, b"SET", lambda: _hll_damage(g)
    yield 1, b"DEL", lambda: [g.pick(HLL_KEYS)]
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
    yield 0.5, b"INFO", lambda: g.pick([[b"keyspace"], [b"KEYSPACE"], [b"nosuch"], [b"errorstats"], [b"errorstats", b"nosuch"]])
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
    yield 0.7, b"CONFIG", lambda: [b"SET", *(word for _ in range(g.random.randint(1, 2)) for word in (
        g.pick([b"slowlog-log-slower-than", b"SLOWLOG-MAX-LEN", b"latency-monitor-threshold", b"nosuch", b"databases",
                b"latency-tracking", b"save"]),
        g.pick([b"1000000", b"-1", b"-2", b"128", b"x", b"1.5", b"yes", b"no", b"NO", b"", b"9223372036854775807"])))]
    yield 0.7, b"CONFIG", lambda: g.pick([[b"GET", b"databases"], [b"GET", b"nosuch"], [b"GET", b"save"], [b"GET"], [],
                                          [b"GET", b"databases", b"appendonly"], [b"nosuch"], [b"GET", b"DATABASES"],
                                          [b"GET", b"data[b]ases", b"nosuch"], [b"GET", b"maxmemory-policy", b"x*y"],
                                          [b"GET", b"slowlog-max-len"], [b"GET", b"slowlog-log-slower-than"],
                                          [b"RESETSTAT"], [b"SET", b"save"], [b"SET", b"save", b"", b"x"], [b"SET"],
                                          [b"GET", b"latency-monitor-threshold"],
                                          [b"SET", b"notify-keyspace-events", b"KEA"], [b"SET", b"nosuch", b"x"],
                                          [b"SET", b"notify-keyspace-events", b"q"], [b"SET", b"databases"],
                                          [b"GET", b"notify-keyspace-events"]])
    for name in _server(g):
        yield 0.5, name, lambda name=name: g.pick(_server(g)[name])
    yield 0.7, g.pick([b"NOSUCH", b"GETT", b"nosuch\r\n", b"'quote'"]), lambda: g.keys()
