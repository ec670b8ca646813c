"""Generates large calls of every command: many arguments, long texts, costly patterns, large offsets, large values.

The command table comes from the server (COMMAND INFO and COMMAND DOCS), so new rows are included without a change here.
`VALUES` has valid values for arguments by their names, `sequences()` has calls that need other commands before them.
`queued()` makes transactions of calls. `Case.where` names the tenant of a call: a usual one, a full one, one with an
audience, or the operator's. `World` has these tenants and their clients.
tests/blackbox/test_stalls.py and tests/bench/run share this file."""
import collections
import contextlib
import select
import threading

LARGE, NUMBER, HLL, MISSING = b"large", b"number", b"hll", b"missing"
# Secrets of the tenants in which calls run, and of the neighbour that measures them.
ALONE, FULL, HEARD, OPERATOR, NEIGHBOUR = "alone", "full", "heard", "operator", "neighbour"

# A call: the row, the secret of the tenant, a title, the commands of one connection, and whether it has many arguments.
# `clients` is how many clients run it at once. Before that, another client runs the commands `before`.
Case = collections.namedtuple("Case", "row where title commands many clients before", defaults=(False, 1, ()))


class Sizes:
    """How large the calls are: arguments, bytes of a value, bytes of a text, keys of a database."""

    def __init__(self, count, value, text, keys):
        self.count, self.value, self.text, self.keys = count, value, text, keys


class Argument:
    """An argument as COMMAND DOCS describes it."""

    def __init__(self, reply):
        fields = as_map(reply)
        self.name, self.type = fields[b"name"].decode(), fields[b"type"].decode()
        self.token = fields.get(b"token")
        self.flags = {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in fields.get(b"flags", [])}
        self.inner = [Argument(one) for one in fields.get(b"arguments", [])]

    def walk(self, path=()):
        """Yields this argument and all inside it, each with the arguments that contain it."""
        yield (*path, self)
        for one in self.inner:
            yield from one.walk((*path, self))


class Command:
    """A row of the table: the words of its name, its flags and arguments."""

    def __init__(self, name, info, docs):
        self.name, self.words = name, [word.upper().encode() for word in name.split("|")]
        self.flags = {str(flag) if not isinstance(flag, bytes) else flag.decode() for flag in info[2]}
        self.writes, self.has_key = "write" in self.flags, info[3] > 0
        self.group = as_map(docs).get(b"group", b"").decode()
        self.arguments = [Argument(one) for one in as_map(docs).get(b"arguments", [])]


def as_map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def read_table(ask):
    """Reads the rows that run: commands without subcommands, and subcommands. `ask` sends a command and returns its
    reply."""
    docs = as_map(ask("COMMAND", "DOCS"))
    rows = []

    def add(info, doc):
        inner = as_map(as_map(doc).get(b"subcommands", []))
        for one in info[9]:
            add(one, inner[one[0]])
        if not info[9]:
            rows.append(Command(info[0].decode(), info, doc))

    for info in ask("COMMAND"):
        add(info, docs[info[0]])
    return rows


# Values of arguments by the name of the argument, or "command name". A list has alternatives.
VALUES = {
    "bitop operation": [b"AND", b"NOT", b"XOR"], "encoding": b"u8", "bit": [b"0", b"1"], "setbit value": b"1",
    "cursor": b"0", "scan type": b"string", "scan count": b"100", "protover": b"3",
    "index": b"1", "index1": b"0", "index2": b"1", "db": b"1", "destination-db": b"1",
    "ttl": b"0", "seconds": b"1000", "milliseconds": b"1000000", "timeout": b"1", "numreplicas": b"0",
    "client-id": b"1", "ip:port": b"127.0.0.1:1", "yes/no": b"yes", "username": b"default",
    "restore frequency": b"1", "start": b"0", "end": b"-1", "config|get parameter": b"max*",
    "pfdebug subcommand": [b"GETREG", b"ENCODING", b"DECODE"], "version": b"5", "bits": b"256",
    "categoryname": b"read", "event": b"command", "category": b"read", "module-name": b"none",
    "acl|dryrun command": b"get", "memory|usage count": b"5", "command-name": b"get", "message": b"m", "db-index": b"0",
    "library-name": b"none", "connection-name": b"n", "libname": b"n", "libver": b"1", "name": b"shop",
    "tenant|create option": b"secret", "tenant|create value": b"shop", "tenant|set option": b"max_entries",
    "tenant|set value": b"5", "config|set parameter": b"slowlog-max-len", "config|set value": b"128",
}
FAR = {"unix-time-seconds": b"4102444800", "unix-time-milliseconds": b"4102444800000"}
STARS = b"*a"


class Maker:
    """Makes the calls of one command."""

    def __init__(self, command, sizes, payload, secret):
        self.command, self.sizes, self.payload, self.secret = command, sizes, payload, secret

    def named(self, argument, turn):
        """A valid small value."""
        for name in (f"{self.command.name} {argument.name}", argument.name):
            if name in VALUES:
                value = VALUES[name]
                return value[turn % len(value)] if isinstance(value, list) else value
        if argument.name in FAR:
            return FAR[argument.name]
        if argument.name == "serialized-value":
            return self.payload
        if argument.name == "password":
            return self.secret
        if argument.type == "pattern":
            return b"*"
        return {"integer": b"1", "double": b"1.5", "unix-time": FAR["unix-time-seconds"]}.get(argument.type, b"v")

    def is_free(self, argument):
        """Returns whether any name is valid."""
        name = argument.name
        return argument.type in ("key", "string", "pattern") and not {name, f"{self.command.name} {name}"} & set(VALUES)

    def value(self, argument, call, at):
        if argument is call.large:
            return call.value
        if call.repeats and self.is_free(argument):
            return call.keys(at)
        if argument.type != "key":
            return self.named(argument, call.turn)
        call.used += 1
        # A second key is the destination or a source of the first.
        return call.key if call.used == 1 or call.both else b"other"

    def once(self, argument, call, at):
        if argument.type == "pure-token":
            return [argument.token]
        if argument.type == "oneof":
            chosen = next((one for one in argument.inner if one in call.path), argument.inner[0])
            return self.words(chosen, call, at)
        if argument.type == "block":
            return [word for one in argument.inner for word in self.words(one, call, at)]
        return [self.value(argument, call, at)]

    def words(self, argument, call, at=0):
        if "optional" in argument.flags and argument not in call.path:
            return []
        every = argument.token is not None and argument.type != "pure-token"
        times = call.count if argument is call.many else 1
        call.repeats |= argument is call.many
        words = [argument.token] if every and "multiple_token" not in argument.flags else []
        for i in range(times):
            if every and "multiple_token" in argument.flags:
                words.append(argument.token)
            words += self.once(argument, call, i if times > 1 else at)
        call.repeats &= argument is not call.many
        return words

    def make(self, title, **options):
        call = Call(**options)
        words = [word for argument in self.command.arguments for word in self.words(argument, call)]
        return Case(self.command.name, ALONE, title, [[*self.command.words, *words]], call.many is not None)

    def calls(self):
        """Yields the calls of the command alone."""
        paths = [path for argument in self.command.arguments for path in argument.walk()]
        yield self.make(f"on {LARGE.decode()}")
        if self.command.has_key:
            for turn, key in ((1, LARGE), (2, LARGE), (0, NUMBER), (0, HLL), (1, HLL), (2, HLL)):
                yield self.make(f"on {key.decode()}, form {turn}", key=key, turn=turn, both=turn == 1)
        for path in paths:
            last = path[-1]
            if "optional" in last.flags or (len(path) > 1 and path[-2].type == "oneof"):
                yield self.make(f"{last.name} on a large value", path=path)
            if "multiple" in last.flags:
                yield from self.many(path)
            if not last.inner and last.type != "pure-token":
                yield from self.large(path)

    def many(self, path):
        count, last = self.sizes.count, path[-1]
        forms = [("names", count, lambda at: b"k:%d" % at)]
        # As many as fit into LARGE of src/net/batch.c: a command of more bytes runs on a fiber anyway.
        forms.append(("short names", 2 * count, lambda at: b"%c" % (at % 256)))
        if self.command.has_key:
            forms += [("large values", 20, lambda at: LARGE), ("equal names", count // 4, lambda at: HLL)]
        if self.command.writes:
            forms += [("new names", count, lambda at: b"new:%d" % at)]
        for what, times, keys in forms:
            for inner in last.inner or [last]:
                yield self.make(f"{times} {what} of {last.name} {inner.name}", path=(*path, inner), many=last,
                                count=times, keys=keys)

    def large(self, path):
        last, sizes = path[-1], self.sizes
        values = {"pattern": [STARS * (sizes.text // 2), b"*" * sizes.text, b"[" + b"a-z" * (sizes.text // 3)],
                  "string": [b"x" * sizes.value, STARS * (sizes.text // 2)],
                  "key": [b"x" * sizes.text, b"x" * sizes.value],
                  "integer": [b"%d" % (sizes.value * 8), b"%d" % sizes.value, b"9223372036854775807", b"-1"],
                  }.get(last.type, [])
        for value in values:
            size = f"{len(value)} bytes" if len(value) > 20 else value.decode()
            for key in (LARGE, MISSING) if self.command.writes and self.command.has_key else (LARGE,):
                case = self.make(f"{last.name} of {size}", path=path, large=last, value=value, key=key)
                # A table that is resized hashes the names of its keys again.
                stays = last.type == "key" and self.command.writes
                yield case._replace(commands=[*case.commands, [b"DEL", value]]) if stays else case


class Call:
    """The properties of one call."""

    def __init__(self, path=(), many=None, large=None, value=b"", count=1, keys=None, key=LARGE, turn=0, both=False):
        self.path, self.many, self.large, self.value, self.count = path, many, large, value, count
        self.keys, self.key, self.turn, self.both = keys, key, turn, both
        self.used, self.repeats = 0, False


def transaction(*commands):
    return [[b"MULTI"], *commands, [b"EXEC"]]


def sequences(sizes, payload):
    """Yields the name of a row, a title, and the commands of one connection, for calls that need other commands before
    them, and for rows without described arguments."""
    names = [b"k:%d" % i for i in range(sizes.count)]
    pairs = [word for name in names for word in (name, b"v")]
    patterns = [b"p%d*" % i + STARS * 20 for i in range(sizes.count // 40)]
    three, track = [b"HELLO", b"3"], [b"CLIENT", b"TRACKING", b"ON"]
    watch, gets = [b"WATCH", *names], [[b"GET", name] for name in names[: sizes.count // 4]]
    yield "exec", "of many short commands", transaction(*gets)
    yield "exec", "of many long commands", transaction(*[[b"BITCOUNT", LARGE], [b"MGET", *names], [b"GET", LARGE]] * 4)
    yield "exec", "of a few long commands", transaction([b"MSET", *pairs], [b"COPY", LARGE, b"other", b"REPLACE"])
    yield "exec", "of watched keys", [watch, *transaction([b"MSET", *pairs])]
    yield "exec", "of a large value in several replies", transaction(*[[b"GET", LARGE]] * 3)
    yield "discard", "of many", [[b"MULTI"], *gets, [b"MSET", *pairs], [b"DISCARD"]]
    yield "discard", "of watched keys", [watch, [b"MULTI"], [b"DISCARD"]]
    yield "unwatch", "of many", [watch, [b"UNWATCH"]]
    for kind in (b"", b"P", b"S"):
        some = patterns if kind == b"P" else names
        for end in ([kind + b"UNSUBSCRIBE"], [b"RESET"], [b"QUIT"], [b"PING"]):
            yield end[0].decode().lower(), f"after {(kind + b'SUBSCRIBE').decode()}", [[kind + b"SUBSCRIBE", *some], end]
    for end in ([b"RESET"], [b"QUIT"], [b"UNWATCH"], [b"PING"], [b"AUTH", b"another"], [b"CLIENT", b"TRACKING", b"OFF"]):
        name = b"|".join(end[:2]).decode().lower() if end[0] == b"CLIENT" else end[0].decode().lower()
        yield name, "after WATCH of many", [watch, end]
        yield name, "after tracking of many", [three, track, [b"MGET", *names], end]
        yield name, "after MULTI of many", [[b"MULTI"], *gets, [b"MSET", *pairs], end]
    prefixes = [word for i in range(sizes.count // 20) for word in (b"PREFIX", b"k:%d:" % i)]
    yield "client|tracking", "with many prefixes", [three, [*track, b"BCAST", *prefixes]]
    for name, command in (("get", [b"GET", LARGE]), ("getrange", [b"GETRANGE", LARGE, b"0", b"-1"]), ("dump", [b"DUMP", LARGE]),
                          ("getdel", [b"GETDEL", LARGE]), ("mget", [b"MGET", LARGE, LARGE]), ("getex", [b"GETEX", LARGE])):
        yield name, "of a tracked client", [three, track, command]
        yield name, "of a subscriber", [three, [b"SUBSCRIBE", b"c"], command]
        yield name, "in a transaction", transaction(command, command)
    for command in ([b"POPULATE", b"%d" % sizes.keys], [b"DIGEST"], [b"DIGEST-VALUE", *names], [b"DIGEST-VALUE", LARGE],
                    [b"OBJECT", LARGE], [b"SDSLEN", LARGE], [b"HTSTATS", b"0"], [b"POPULATE", b"10", b"p", b"%d" % sizes.value],
                    [b"LOG", b"x" * sizes.value], [b"ERROR", b"x" * sizes.value], [b"RELOAD"]):
        yield "debug", command[0].decode(), [[b"DEBUG", *command]]
    for which in (b"GETKEYS", b"GETKEYSANDFLAGS"):
        yield "command|" + which.decode().lower(), "of many", [[b"COMMAND", which, b"MSET", *pairs]]
    yield "restore", "of a large value", [[b"RESTORE", b"new", b"0", payload, b"REPLACE"]]
    yield "client|reply", "ON", [[b"CLIENT", b"REPLY", b"ON"]]
    yield "client|caching", "YES", [three, [*track, b"OPTIN"], [b"CLIENT", b"CACHING", b"YES"]]
    yield "config|set", "a long pattern", [[b"CONFIG", b"SET", STARS * (sizes.text // 2), b"1"]]
    yield "swapdb", "of many keys", [watch, [b"SWAPDB", b"0", b"1"], [b"SWAPDB", b"0", b"1"]]
    for name in ("expire", "pexpire"):
        yield name, "into the past", [[name.upper().encode(), LARGE, b"-1"]]


# Commands that end a transaction.
END_MULTI = (b"EXEC", b"DISCARD", b"RESET", b"QUIT")

# Calls that must not run, with the reason.
EXCLUDED = {
    "shutdown": "it ends the server",
    "client|reply": "OFF and SKIP suppress the reply by which a test sees the end of the call",
    "client|pause": "it makes the tenant's later calls wait",
    "monitor": "the connection gets no replies from then on; the audience of the test has a monitor",
}
# These rows begin and end transactions.
NOT_QUEUED = {"multi", "exec", "discard", "reset", "quit"}
# Most commands and bytes of a transaction.
QUEUED, QUEUED_BYTES = 8, 64 << 20


def made(row, sizes, payload):
    """Yields the calls of a row alone."""
    if row.name not in EXCLUDED:
        yield from Maker(row, sizes, payload, ALONE.encode()).calls()


def after_others(row, sizes, payload):
    """Yields the calls of a row that need other commands before them."""
    for name, title, commands in sequences(sizes, payload):
        if name == row.name:
            yield Case(name, ALONE, title, commands)


def queued(row, cases):
    """Yields transactions of the calls of a row."""
    some, size = [], 0
    long_keys = {case.commands[1][1] for case in cases if len(case.commands) > 1}
    for command in [*(case.commands[0] for case in cases), None]:
        if some and (command is None or len(some) == QUEUED or size > QUEUED_BYTES):
            yield Case(row.name, ALONE, f"{len(some)} large calls in a transaction",
                       [*transaction(*some), *([b"DEL", key] for key in long_keys)])
            some, size = [], 0
        if command is not None:
            some.append(command)
            size += sum(map(len, command))


def kills_all(command):
    """Returns whether the command closes clients of all tenants if the operator sends it."""
    return command[:2] == [b"CLIENT", b"KILL"] and (command[2:3] in ([b"TYPE"], [b"SKIPME"]) or b"default" in command)


def row_calls(row, sizes, payload):
    """Yields all calls of a row."""
    cases = list(made(row, sizes, payload))
    yield from cases
    yield from after_others(row, sizes, payload)
    if row.name not in NOT_QUEUED | set(EXCLUDED) and "no_multi" not in row.flags:
        yield from queued(row, cases)
    for case in cases:
        if row.writes and row.has_key and "new names of" in case.title:
            yield case._replace(where=FULL)
        # A monitor receives all commands, the other clients receive changes only.
        if case.many and (row.writes or case.title.startswith(f"{sizes.count} names of")):
            yield case._replace(where=HEARD)
        if not row.has_key and len(case.commands) == 1 and not kills_all(case.commands[0]):
            yield case._replace(where=OPERATOR)


def complete(commands):
    """Returns the commands, with the end of the transaction that they leave open."""
    begun = max((i for i, command in enumerate(commands) if command == [b"MULTI"]), default=len(commands))
    if begun < len(commands) and not any(command[0] in END_MULTI for command in commands[begun:]):
        return [*commands, [b"DISCARD"]]
    return commands


# The argument of a last PING. RESET leaves the tenant, so that PING is refused.
END = b"end-of-the-call"
ENDS = (b"\r\n" + END + b"\r\n", b"-NOAUTH Authentication required.\r\n")


def run(clients, case, encode):
    """Runs the commands of a call on each of the clients, and drops the replies."""
    commands = [*complete(case.commands), [b"PING", END]]
    data = b"".join(encode(*one) for one in commands)
    senders = [threading.Thread(target=send, args=(client.sock, data)) for client in clients]
    for sender in senders:
        sender.start()
    for client, sender in zip(clients, senders):
        tail, piece = b"", b" "
        with contextlib.suppress(ConnectionError):
            while piece and not tail.endswith(ENDS):
                piece = client.sock.recv(4 << 20)
                tail = (tail + piece if len(piece) < 64 else piece)[-64:]
        sender.join()


def send(socket, data):
    with contextlib.suppress(ConnectionError):
        socket.sendall(data)


def config(sizes, admin):
    """Returns the configuration of a server for the calls. `admin` is a file with the secret of the operator."""
    return f"""
workers = 1;
enable_debug_command = true;
new_tenants_per_second = 0;
admin: {{ secret_file = "{admin}"; }};
defaults: {{ max_entries = 0; max_memory = "0"; }};
tenants: ( {{ name = "{FULL}"; secret = "{FULL}"; max_entries = {sizes.keys}; max_memory = "{3 * sizes.value}";
              client_memory = "{3 * sizes.value}"; }} );
"""


class Audience:
    """Clients of a tenant that receive messages about others: keyspace events by patterns, lines of MONITOR, and
    invalidations of prefixes. A thread reads and drops these messages."""

    def __init__(self, connect):
        with connect(HEARD) as client:
            client.cmd("CONFIG", "SET", "notify-keyspace-events", "KEA")
        some = [b"p%d*" % i + STARS * 20 for i in range(20)]
        prefixes = [word for i in range(50) for word in (b"PREFIX", b"k:%d" % i if i > 9 else b"%d" % i)]
        self.clients = []
        for commands in ([[b"PSUBSCRIBE", b"__key*__:*", b"__keyspace@0__:*", b"*[ew]*", *some]], [[b"MONITOR"]],
                         [[b"HELLO", b"3"], [b"CLIENT", b"TRACKING", b"ON", b"BCAST", *prefixes, b"PREFIX", b"new:"]]):
            self.clients.append(connect(HEARD))
            for command in commands:
                self.clients[-1].cmd(*command)
        self.ended = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        sockets = [client.sock for client in self.clients]
        with contextlib.suppress(OSError):
            while sockets and not self.ended:
                for one in select.select(sockets, [], [], 0.2)[0]:
                    if not one.recv(1 << 20):
                        sockets.remove(one)

    def close(self):
        self.ended = True
        self.thread.join()
        for client in self.clients:
            client.close()


class World:
    """The tenants of a server in which the calls run, and the clients there. `connect` returns a client that has sent
    AUTH with a secret."""

    def __init__(self, connect, sizes, crowd):
        self.connect, self.sizes = connect, sizes
        for secret in (ALONE, FULL, HEARD):
            self.restore(secret)
        self.restore(OPERATOR)
        with connect(ALONE) as client:
            self.payload = client.cmd("DUMP", LARGE)
            self.table = read_table(client.cmd)
        self.audience = Audience(connect)
        # Tenants with a client each, for the operator.
        self.crowd = [connect(f"crowd-{i}") for i in range(crowd)]

    def close(self):
        self.audience.close()
        for client in self.crowd:
            client.close()

    def restore(self, secret, last=None):
        """Restores the data that calls have changed. `last`: the row of the next call, or None at the start."""
        with self.connect(secret) as client:
            if secret == OPERATOR:
                client.cmd("TENANT", *(("DROP", "shop") if last == "tenant|create" else ("CREATE", "shop", "secret", "shop")))
                return
            client.cmd("DEL", MISSING, "other")
            if client.many([("STRLEN", LARGE), ("TTL", LARGE)]) != [self.sizes.value, -1]:
                assert client.cmd("SET", LARGE, b"ab" * (self.sizes.value // 2)) == "OK"
            if client.cmd("PFCOUNT", HLL) not in range(900, 1100):
                client.cmd("DEL", HLL)
                assert client.cmd("PFADD", HLL, *range(1000)) == 1
            assert client.cmd("SET", NUMBER, 5) == "OK"
            # A full tenant has evicted some keys. GETRANGE makes these the most recently used.
            if client.cmd("DBSIZE") < self.sizes.keys or (secret == FULL and last is not None):
                pairs = [word for i in range(self.sizes.keys) for word in (b"k:%d" % i, b"v")]
                assert client.cmd("MSET", *pairs) == "OK"
                client.many([("GETRANGE", key, 0, 0) for key in (LARGE, HLL, NUMBER)])
