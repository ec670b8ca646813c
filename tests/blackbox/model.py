"""A model of a tenant: random commands with the replies that they must get."""

import random

KEYS = [b"k:%d" % number for number in range(30)]
NUMBERS = [b"n:%d" % number for number in range(5)]
# Many small keys, written and deleted together: tables grow and shrink, and holes are left behind.
CROWD = [b"crowd:%d" % number for number in range(2000)]
SIZES = [0, 1, 8, 40, 300, 300, 2000, 5000, 70_000]
DATABASES = 2


class Model:
    """The databases 0 and 1 of a tenant that no limit evicts, as one connection uses them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.payloads = []  # of RESTORE: see fetch_payloads()
        self.databases = [{} for _ in range(DATABASES)]
        self.selected = 0
        self.makers = [maker for maker, weight in WEIGHTS.items() for _ in range(weight)]

    def fetch_payloads(self, client):
        """Has the server dump some values, which later commands restore."""
        for value in (b"12345", b"text", b"ab" * 50_000, self.random.randbytes(100_000)):
            assert client.cmd("SET", "dumped", value) == "OK"
            self.payloads.append((value, client.cmd("DUMP", "dumped")))
        assert client.cmd("DEL", "dumped") == 1

    @property
    def keys(self):
        return self.databases[self.selected]

    def command(self):
        """Returns the next command and its reply, and changes the model."""
        return self.random.choice(self.makers)(self)

    def copy(self):
        """Returns the databases as they are now."""
        return [dict(keys) for keys in self.databases]

    def key(self):
        return self.random.choice(KEYS)

    def two_keys(self):
        return self.random.sample(KEYS, 2)

    def value(self):
        size = self.random.choice(SIZES)
        return self.random.randbytes(min(size, 64)) * (size // 64 + 1) if size else b""

    def put(self, key, value):
        """Stores a value; an empty one removes the key, as BITOP and SETRANGE do."""
        if value:
            self.keys[key] = value
        else:
            self.keys.pop(key, None)

    def remove(self, keys):
        return sum(self.keys.pop(key, None) is not None for key in keys)

    def crowd(self):
        begin = self.random.randrange(len(CROWD))
        return CROWD[begin : begin + 400]


def _set(m):
    key, value = m.key(), m.value()
    m.keys[key] = value
    return ("SET", key, value), "OK"


def _mset(m):
    pairs = {key: m.value() for key in m.random.sample(KEYS, m.random.randint(1, 6))}
    m.keys.update(pairs)
    return ("MSET", *(word for pair in pairs.items() for word in pair)), "OK"


def _msetnx(m):
    pairs = {key: m.value() for key in m.random.sample(KEYS, 2)}
    free = not any(key in m.keys for key in pairs)
    if free:
        m.keys.update(pairs)
    return ("MSETNX", *(word for pair in pairs.items() for word in pair)), int(free)


def _append(m):
    key, value = m.key(), m.random.randbytes(m.random.choice([1, 10, 500]))
    m.keys[key] = m.keys.get(key, b"") + value
    return ("APPEND", key, value), len(m.keys[key])


def _setrange(m):
    key, value = m.key(), m.random.randbytes(m.random.choice([1, 10, 500]))
    at = m.random.choice([0, 3, 100, 6000, 100_000])
    old = m.keys.get(key, b"").ljust(at, b"\0")
    m.keys[key] = old[:at] + value + old[at + len(value) :]
    return ("SETRANGE", key, at, value), len(m.keys[key])


def _getrange(m):
    key = m.key()
    return ("GETRANGE", key, 2, 99), m.keys.get(key, b"")[2:100]


def _get(m):
    key = m.key()
    return ("GET", key), m.keys.get(key)


def _mget(m):
    keys = m.random.sample(KEYS, 5)
    return ("MGET", *keys), [m.keys.get(key) for key in keys]


def _getdel(m):
    key = m.key()
    return ("GETDEL", key), m.keys.pop(key, None)


def _del(m):
    keys = m.random.sample(KEYS, m.random.randint(1, 8))
    return (m.random.choice(["DEL", "UNLINK"]), *keys), m.remove(keys)


def _rename(m):
    first, second = m.two_keys()
    if first not in m.keys:
        return ("RENAME", first, second), "ERR no such key"
    m.keys[second] = m.keys.pop(first)
    return ("RENAME", first, second), "OK"


def _copy(m):
    first, second = m.two_keys()
    if first in m.keys:
        m.keys[second] = m.keys[first]
    return ("COPY", first, second, "REPLACE"), int(first in m.keys)


def _move(m):
    key, other = m.key(), 1 - m.selected
    moves = key in m.keys and key not in m.databases[other]
    if moves:
        m.databases[other][key] = m.keys.pop(key)
    return ("MOVE", key, other), int(moves)


def _bitop(m):
    to, keys = m.key(), m.two_keys()
    values = [m.keys.get(key, b"") for key in keys]
    size = max(map(len, values))
    first, second = (int.from_bytes(value.ljust(size, b"\0"), "little") for value in values)
    m.put(to, (first | second).to_bytes(size, "little"))
    return ("BITOP", "OR", to, *keys), size


def _setbit(m):
    key, bit, at = m.key(), m.random.randrange(2), m.random.choice([0, 9, 4000, 700_000])
    value = bytearray(m.keys.get(key, b"").ljust(at // 8 + 1, b"\0"))
    mask = 128 >> at % 8
    old = value[at // 8] & mask != 0
    value[at // 8] = value[at // 8] & ~mask | mask * bit
    m.keys[key] = bytes(value)
    return ("SETBIT", key, at, bit), int(old)


def _restore(m):
    if not m.payloads:
        return _get(m)
    key, (value, payload) = m.key(), m.random.choice(m.payloads)
    m.keys[key] = value
    return ("RESTORE", key, 0, payload, "REPLACE"), "OK"


def _expire(m):
    key = m.key()
    return ("EXPIRE", key, 100_000), int(key in m.keys)


def _incr(m):
    key = m.random.choice(NUMBERS)
    m.keys[key] = b"%d" % (int(m.keys.get(key, b"0")) + 1)
    return ("INCR", key), int(m.keys[key])


def _dbsize(m):
    return ("DBSIZE",), len(m.keys)


def _select(m):
    m.selected = m.random.randrange(DATABASES)
    return ("SELECT", m.selected), "OK"


def _swapdb(m):
    m.databases.reverse()
    return ("SWAPDB", 0, 1), "OK"


def _flushdb(m):
    m.keys.clear()
    return ("FLUSHDB",), "OK"


def _crowd_set(m):
    keys = m.crowd()
    m.keys.update((key, key * 3) for key in keys)
    return ("MSET", *(word for key in keys for word in (key, key * 3))), "OK"


def _crowd_del(m):
    keys = m.crowd()
    return ("DEL", *keys), m.remove(keys)


WEIGHTS = {_set: 12, _mset: 8, _msetnx: 4, _append: 6, _setrange: 8, _getrange: 3, _get: 8, _mget: 4, _getdel: 4, _del: 4, _rename: 6,
           _copy: 6, _move: 4, _bitop: 6, _setbit: 3, _restore: 4, _expire: 4,
           _incr: 6, _dbsize: 3, _select: 3, _swapdb: 1, _flushdb: 1, _crowd_set: 2, _crowd_del: 2}


def content(client):
    """Returns the databases of the model as the server has them. Selects a database."""
    found = []
    for database in range(DATABASES):
        assert client.cmd("SELECT", database) == "OK"
        names = client.cmd("KEYS", "*")
        found.append(dict(zip(names, client.cmd("MGET", *names))) if names else {})
    return found


def difference(found, expected):
    """Returns the first keys that differ, for a message."""
    lines = []
    for database, (one, other) in enumerate(zip(found, expected)):
        lines += [f"{database} {key!r}: {_short(one.get(key))} instead of {_short(other.get(key))}"
                  for key in sorted(set(one) | set(other)) if one.get(key) != other.get(key)]
    return "\n".join(lines[:10])


def _short(value):
    return repr(value) if value is None or len(value) < 40 else f"{value[:30]!r}... ({len(value)} bytes)"
