"""Several connections to both servers: transactions, pub/sub, keyspace notifications and tracking.

Connections a and b write, watch and track; c subscribes. After each step, every connection sends a question whose
reply differs from any message: the step caused everything before this reply. a and b do not subscribe,
so that no message interrupts the array of EXEC."""

import random

from generator import sealed
from harness import encode

KEYS = [b"k", b"j", b"key:1", b"p:1", b"p:2", b""]
CHANNELS = [b"c", b"news", b"n2", b"", b"__redis__:invalidate"]
PATTERNS = [b"*", b"n*", b"__key*", b"?", b"c"]
MESSAGES = (b"message", b"pmessage", b"smessage")
CLASSES = [b"", b"KEA", b"KEg$xemn", b"Kx", b"E$g", b"bogus"]
DENSE = b"HYLL" + bytes(12) + bytes(12288)  # a HyperLogLog without elements
PAYLOAD = sealed(b"\x00\x01p")  # of DUMP


def _is_message(raw):
    if raw[:1] == b">":
        return True
    return raw[:1] == b"*" and any(raw.split(b"\r\n")[2:3] == [name] for name in MESSAGES)


def _pick(r, pool):
    return r.choice(pool)


def _write(r):
    key = _pick(r, KEYS)
    return _pick(r, [
        [b"SET", key, b"1"], [b"SET", key, b"v", b"EX", b"1000"], [b"INCR", key], [b"DEL", key, _pick(r, KEYS)],
        [b"APPEND", key, b"x"], [b"MSET", key, b"1", _pick(r, KEYS), b"2"], [b"EXPIRE", key, b"1000"], [b"PERSIST", key],
        [b"SETNX", key, b"1"], [b"GETSET", key, b"2"], [b"GETDEL", key], [b"GETEX", key, b"PERSIST"], [b"FLUSHDB"],
        [b"EXPIRE", key, b"-1"], [b"SET", key, b"2", b"XX", b"GET"], [b"DECRBY", key, b"x"], [b"FLUSHALL"],
        *_rarer_writes(r, key, _pick(r, KEYS))])


def _rarer_writes(r, key, other):
    element, number = _pick(r, [b"a", b"b", b"c"]), b"%d" % r.randrange(3)
    return [
        [b"SETRANGE", key, number, _pick(r, [b"", b"x"])], [b"MSETNX", key, b"1", other, b"2"], [b"INCRBYFLOAT", key, b"0.5"],
        [b"SETBIT", key, number, _pick(r, [b"0", b"1"])], [b"BITOP", _pick(r, [b"OR", b"NOT"]), key, other],
        [b"BITFIELD", key, b"OVERFLOW", b"FAIL", b"INCRBY", b"u2", b"0", number], [b"BITFIELD", key, b"GET", b"u8", b"0"],
        [b"BITFIELD", key, b"SET", b"u2", b"0", number], [b"PFADD", key, element], [b"PFADD", key], [b"PFCOUNT", key],
        [b"PFCOUNT", key, other], [b"PFMERGE", key, other], [b"SET", key, DENSE], [b"PFADD", key, element, b"d"],
        [b"RENAME", key, other], [b"RENAMENX", key, other], [b"COPY", key, other], [b"COPY", key, other, b"REPLACE"],
        [b"COPY", key, other, b"DB", b"1"], [b"MOVE", key, _pick(r, [b"0", b"1"])], [b"SWAPDB", b"0", b"1"],
        [b"RESTORE", key, b"0", PAYLOAD, *_pick(r, [[], [b"REPLACE"], [b"REPLACE", b"ABSTTL"]])],
        [b"RESTORE", key, b"1", PAYLOAD, b"REPLACE", b"ABSTTL"], [b"SORT", b"nosuch", b"STORE", key], [b"UNLINK", key, other],
        [b"GETEX", key, b"EX", b"1000"], [b"GETEX", key, b"PXAT", b"1"], [b"SETEX", key, b"1000", b"v"], [b"TOUCH", key, other],
        [b"PEXPIRE", key, b"100000", _pick(r, [b"NX", b"XX", b"GT", b"LT"])]]


def _actor(r):
    how = r.random()
    if how < 0.35:
        return _write(r)
    if how < 0.55:
        return _pick(r, [[b"GET", _pick(r, KEYS)], [b"MGET", _pick(r, KEYS), _pick(r, KEYS)], [b"EXISTS", _pick(r, KEYS)],
                         [b"STRLEN", _pick(r, KEYS)], [b"TYPE", _pick(r, KEYS)], [b"DBSIZE"]])
    if how < 0.8:
        return _pick(r, [[b"MULTI"], [b"EXEC"], [b"EXEC"], [b"DISCARD"], [b"WATCH", _pick(r, KEYS), _pick(r, KEYS)],
                         [b"UNWATCH"], [b"NOSUCH"], [b"GET"], [b"EXEC", b"x"], [b"SELECT", _pick(r, [b"0", b"1"])]])
    if how < 0.9:
        return _pick(r, [[b"PUBLISH", _pick(r, CHANNELS), b"m"], [b"SPUBLISH", _pick(r, CHANNELS), b"m"],
                         [b"PUBSUB", b"NUMSUB", *CHANNELS], [b"PUBSUB", b"NUMPAT"], [b"PUBSUB", b"SHARDNUMSUB", *CHANNELS],
                         [b"CONFIG", b"SET", b"notify-keyspace-events", _pick(r, CLASSES)],
                         [b"CONFIG", b"GET", b"notify-keyspace-events"]])
    options = [word for word in (b"BCAST", b"NOLOOP", b"OPTIN", b"OPTOUT") if r.random() < 0.2]
    if b"BCAST" in options and r.random() < 0.6:
        options += [b"PREFIX", _pick(r, [b"p:", b"k", b"p:1"])]
    if r.random() < 0.2:
        options += [b"REDIRECT", None]  # the id of connection c
    return _pick(r, [[b"CLIENT", b"TRACKING", b"ON", *options], [b"CLIENT", b"TRACKING", b"ON", *options],
                     [b"CLIENT", b"TRACKING", b"OFF"], [b"CLIENT", b"CACHING", _pick(r, [b"yes", b"no"])],
                     [b"CLIENT", b"GETREDIR"], [b"CLIENT", b"UNBLOCK", b"0"], [b"CLIENT", b"PAUSE", b"0"]])


def _listener(r):
    name = _pick(r, [b"SUBSCRIBE", b"UNSUBSCRIBE", b"SSUBSCRIBE", b"SUNSUBSCRIBE", b"PSUBSCRIBE", b"PUNSUBSCRIBE"])
    return [name, _pick(r, PATTERNS if name[:1] == b"P" else CHANNELS)]


class Trio:
    """Three connections to one server."""

    def __init__(self, make, protocols):
        self.clients = [make() for _ in range(3)]
        for client, protocol in zip(self.clients, protocols):
            client.send(encode("HELLO", protocol))
            client.reply()
        self.clients[2].send(encode("CLIENT", "ID"))
        self.listener_id = self.clients[2].reply()[1:-2]

    def step(self, sender, commands):
        """Sends commands on one connection at once. Returns the input of all three as a list."""
        self.clients[sender].send(b"".join(
            encode(*(self.listener_id if word is None else word for word in command)) for command in commands))
        seen = [[], [], []]
        for command in commands:
            self._until_reply(sender, seen, command[0].endswith(b"SUBSCRIBE"))
        for other in range(3):
            self.clients[other].send(encode("PING", "-"))
            self._until_reply(other, seen, False)
        return seen

    def _until_reply(self, sender, seen, subscribing):
        while True:
            raw = self.clients[sender].reply()
            seen[sender].append(raw.replace(b":%b\r\n" % self.listener_id, b":(c)\r\n"))
            if not _is_message(raw) or (subscribing and b"subscribe\r\n" in raw):
                return

    def close(self):
        for client in self.clients:
            client.close()


# Commands of one step at most, in every second round.
BURST = 8


def _burst(r, sender):
    """Returns commands that are sent at once. Broadcasts are sent once a turn of the server's loop, and servers differ in
    their turns: no burst begins them."""
    made = [_listener(r) if sender == 2 else _actor(r) for _ in range(r.randint(1, BURST))]
    return [command for command in made if b"BCAST" not in command] or [[b"DBSIZE"]]


def several_connections(servers, report, raw, secret, seed, steps, bursts=False):
    """Runs random steps. Every 200 steps a new round begins with other protocols. With `bursts`, a step of every second
    round has several commands."""
    r = random.Random(seed)
    for first in range(0, steps, 200):
        protocols = [3, r.choice([2, 3]), r.choice([2, 3])]
        trios = [Trio(lambda server=server: raw(server.port, secret), protocols) for server in servers]
        start = [[b"FLUSHALL"], [b"CONFIG", b"SET", b"notify-keyspace-events", b""]]
        history = []
        for number in range(min(200, steps - first)):
            sender = 2 if number >= len(start) and r.random() < 0.15 else r.randrange(2)
            if number < len(start):
                commands = [start[number]]
            elif bursts and first // 200 % 2:
                commands = _burst(r, sender)
            else:
                commands = [_listener(r) if sender == 2 else _actor(r)]
            seen = [trio.step(sender, commands) for trio in trios]
            shown = [b"-" if word is None else word for command in commands for word in command]
            for client in range(3):
                a, b = (_in_order(_without_swaps(commands, one[client])) for one in seen)
                report.compare([b"(several)", b"abc"[sender : sender + 1], *shown, b"seen by", b"abc"[client : client + 1]], a, b,
                               lambda: list(history[-25:]))
            history.append(f"{'abc'[sender]} {b' '.join(shown)!r} -> {seen[0]!r}")
            if report.enough():
                break
        for trio in trios:
            trio.close()
        if report.enough():
            return


def _without_swaps(commands, replies):
    """AtomDB sends invalidations for SWAPDB, which changes cached keys; Redis 7.0 does not."""
    if not any(command[0] in (b"SWAPDB", b"EXEC") for command in commands):
        return replies
    return [raw for raw in replies
            if not (raw[4:].startswith((b"$10\r\ninvalidate", b"$7\r\nmessage\r\n$20\r\n__redis__:invalidate")) and
                    raw.endswith((b"_\r\n", b"$-1\r\n")))]


def _in_order(replies):
    """Returns all bytes. Sorts the messages of one publication through several patterns, and the invalidations of one
    command: their order depends on a hash table of Redis."""
    result, run = b"", []
    for raw in [*replies, b""]:
        if raw[4:].startswith((b"$8\r\npmessage", b"$10\r\ninvalidate", b"$7\r\nmessage\r\n$20\r\n__redis__:invalidate")):
            run.append(raw)
            continue
        result += b"".join(sorted(run)) + raw
        run = []
    return result
