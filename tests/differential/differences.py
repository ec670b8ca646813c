"""The intended differences between redis-server 7.0.15 and AtomDB, each with its reason.

All other replies must be equal byte by byte. A rule compares two replies as trees, and returns True if they agree in
everything that must agree."""

from harness import PATIENCE
from neighbours import VISITOR
from protocol import tree

RULES = {}


def rule(*names, why):
    """Declares the rule for commands ("client list" for a subcommand)."""
    def declare(function):
        for name in names:
            RULES[name] = (function, why)
        return function

    return declare


def agree(command, redis, atomdb):
    """Returns True if the raw replies to `command` agree."""
    if redis == atomdb:
        return True
    words = [word.lower().decode("latin-1") for word in command[:2]]
    found = RULES.get(" ".join(words)) or RULES.get(words[0])
    return bool(found) and found[0](tree(redis), tree(atomdb), command)


# Commands that Redis lacks.
OWN = ("bigkeys", "hotkeys", "tenant")


def _without_own(names):
    """Returns the commands that Redis 7.0 also has: without CLIENT SETINFO of Redis 7.2 and AtomDB's own."""
    return {name for name in names if name[1] != b"client|setinfo" and name[1].split(b"|")[0].decode() not in OWN}


def _is_error(value):
    return value[0] == "-"


@rule("debug object", why="The address and the reference count of the value differ. AtomDB measures the idle time in steps of "
      "some minutes.")
def _debug_object(redis, atomdb, _):
    if not redis[0] == atomdb[0] == "+":
        return False
    a, b = (value[1].split()[3:-2] for value in (redis, atomdb))
    return a == b


@rule("debug sdslen", why="The allocated sizes differ.")
def _debug_sdslen(redis, atomdb, _):
    if _is_error(redis) or _is_error(atomdb):
        return False
    lengths = [[field for field in value[1].split(b", ") if b"_len:" in field] for value in (redis, atomdb)]
    return redis[0] == atomdb[0] == "+" and lengths[0] == lengths[1] and b"avail:0" in atomdb[1]


@rule("object idletime", why="AtomDB returns a lower bound, in steps of some minutes.")
def _idle(redis, atomdb, _):
    return redis[0] == atomdb[0] == ":" and 0 <= int(atomdb[1]) <= int(redis[1])


@rule("keys", "randomkey", why="The order is that of the hash table, which differs and has a random seed.")
def _unordered(redis, atomdb, command):
    if command[0].lower() == b"randomkey":
        return redis[0] == atomdb[0] == "$" and b"-1" not in (redis[1], atomdb[1])
    return redis[0] == atomdb[0] == "*" and sorted(redis[1]) == sorted(atomdb[1])


@rule("scan", why="As for KEYS. The cursors are equal, because COUNT covers all keys.")
def _scan(redis, atomdb, _):
    if redis[0] != "*" or atomdb[0] != "*":
        return False
    return redis[1][0] == atomdb[1][0] and sorted(redis[1][1][1]) == sorted(atomdb[1][1][1])


@rule("ttl", "pttl", "expiretime", "pexpiretime",
      why="The two servers run a command at slightly different times. Absolute deadlines (here: in January of 2100) are exact.")
def _time_left(redis, atomdb, command):
    if redis[0] != ":" or atomdb[0] != ":":
        return False
    name, a, b = command[0].lower(), int(redis[1]), int(atomdb[1])
    milliseconds = name.startswith(b"p")
    if a < 0 or b < 0:
        return False
    if name.endswith(b"time") and 4_102_444_800 <= a // (1000 if milliseconds else 1) < 4_102_500_000:
        return False
    return abs(a - b) <= (20_000 if milliseconds else 20) * PATIENCE


@rule("object", why="Redis shares small integers, so their reference counts differ.")
def _object(redis, atomdb, command):
    about = command[1].lower() if len(command) > 1 else b""
    return about == b"refcount" and (redis[0], redis[1], atomdb[0], atomdb[1]) == (":", b"2147483647", ":", b"1")


@rule("time", why="The time advances between the calls.")
def _time(redis, atomdb, _):
    return redis[0] == atomdb[0] == "*" and abs(int(redis[1][0][1]) - int(atomdb[1][0][1])) <= 20 * PATIENCE


@rule("hello", why="The ids of connections differ.")
def _hello(redis, atomdb, _):
    def without_id(value):
        if value[0] not in "%*":
            return value
        parts = list(value[1])
        at = parts.index(("$", b"id"))
        return value[0], parts[: at + 1] + parts[at + 2 :]

    return not _is_error(redis) and without_id(redis) == without_id(atomdb)


@rule("client id", why="The ids of connections differ.")
def _client_id(redis, atomdb, _):
    return redis[0] == atomdb[0] == ":" and int(redis[1]) > 0 and int(atomdb[1]) > 0


SAME_FIELDS = ("name", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp", "db", "flags")


@rule("client info", "client list",
      why="Ids, addresses, file descriptors, ages, memory sizes and unsent replies depend on the process. "
          "AtomDB has lib-name and lib-ver of Redis 7.2. With --interleave, it has visitors.")
def _client_line(redis, atomdb, _):
    if redis[0] != atomdb[0] or redis[0] not in "$=":
        return False

    def rows(value):
        lines = [line for line in value[1].removeprefix(b"txt:").decode("latin-1").split("\n")
                 if line and f" user={VISITOR} " not in line]
        return [dict(field.split("=", 1) for field in line.split(" ")) for line in lines]

    def same(row, other):
        # Redis may have unsent replies, AtomDB has none.
        return (all(row.get(name) == other.get(name) for name in SAME_FIELDS) and
                row.get("events") in ("r", "rw") and other.get("events") == "r" and
                set(row) <= set(other) <= set(row) | {"lib-name", "lib-ver"})

    first, second = rows(redis), rows(atomdb)
    return len(first) == len(second) and all(map(same, first, second))


# Maximum number of expired keys that Redis may still count.
LATE = 2


@rule("dbsize", why="Redis counts expired keys until it removes them. AtomDB does not count them.")
def _dbsize(redis, atomdb, _):
    return redis[0] == atomdb[0] == ":" and 0 <= int(redis[1]) - int(atomdb[1]) <= LATE


@rule("info", why="Most figures depend on the process. The rule compares the keys of each database, as DBSIZE, and the errors by "
      "code. AtomDB answers NOPERM for a parameter that only the operator may set.")
def _info(redis, atomdb, _):
    if redis[0] != atomdb[0]:
        return False

    def lines(value):
        found = {}
        for line in value[1].split(b"\r\n"):
            if line.startswith(b"errorstat_"):
                code, _, count = line.replace(b"_NOPERM", b"_ERR").partition(b":count=")
                found[code] = [found.get(code, [0])[0] + int(count)]
                continue
            name, _, figures = line.partition(b":keys=")
            found[name] = [int(figure.rpartition(b"=")[2]) for figure in figures.split(b",")[:2] if figure]
        return found

    first, second = lines(redis), lines(atomdb)
    if any(first[name] != second.get(name) for name in first if name.startswith(b"errorstat_")):
        return False
    late = [a - b for name in first for a, b in zip(first[name], second.get(name) or [0, 0])]
    return set(second) <= set(first) and all(0 <= number <= LATE for number in late)


@rule("command info", why="Flags and categories are sets. AtomDB has fewer subcommands, and CLIENT SETINFO of Redis 7.2.")
def _command_info(redis, atomdb, _):
    def row(value):
        if value[0] != "*" or not isinstance(value[1], list):
            return value
        parts = list(value[1])
        for at in (2, 6):
            parts[at] = (parts[at][0], sorted(parts[at][1]))
        subcommands = {part[1][0][1]: row(part) for part in parts[9][1]}
        return parts[:9], subcommands

    if redis[0] != "*" or atomdb[0] != "*" or len(redis[1]) != len(atomdb[1]):
        return False
    for one, other in zip(redis[1], atomdb[1]):
        a, b = row(one), row(other)
        if isinstance(a, tuple) and isinstance(a[1], dict) and isinstance(b[1], dict):
            if a[0] != b[0] or not set(b[1]) - {b"client|setinfo"} <= set(a[1]):
                return False
            if any(b[1][name] != a[1][name] for name in set(a[1]) & set(b[1])):
                return False
        elif a != b:
            return False
    return True


@rule("command docs", why="AtomDB has texts of its own and fewer subcommands of FUNCTION.")
def _command_docs(redis, atomdb, _):
    def known(value):
        docs = {}
        for name, doc in zip(value[1][::2], value[1][1::2]):
            fields = dict(zip((field[1] for field in doc[1][::2]), doc[1][1::2]))
            for own in (b"summary", b"complexity"):
                if own in fields:
                    fields[own] = True
            if b"history" in fields:
                fields[b"history"] = [change[1][0] for change in fields[b"history"][1]]
            if b"subcommands" in fields:
                fields[b"subcommands"] = known(fields[b"subcommands"])
            docs[name[1]] = fields
        return docs

    def agree(theirs, mine):
        for name in set(theirs) & set(mine):
            subs = theirs[name].pop(b"subcommands", {}), mine[name].pop(b"subcommands", {})
            if theirs[name] != mine[name] or not agree(*subs):
                return False
        return set(mine) - {b"client|setinfo"} <= set(theirs)

    return redis[0] == atomdb[0] and not _is_error(redis) and agree(known(redis), known(atomdb))


@rule("command list", why="The order differs, and AtomDB has fewer commands.")
def _command_list(redis, atomdb, _):
    if redis[0] != atomdb[0] or _is_error(redis):
        return False
    return _without_own(atomdb[1]) <= set(redis[1])


@rule("config get", why="The order of parameters differs.")
def _config_get(redis, atomdb, _):
    def pairs(value):
        return sorted(zip(value[1][::2], value[1][1::2]))

    return redis[0] == atomdb[0] and redis[0] in "*%" and pairs(redis) == pairs(atomdb)


def _same_kind(redis, atomdb, _):
    return redis[0] == atomdb[0]


RULES["acl log"] = (_same_kind, "AtomDB reports failed authentications to the operator: a tenant must not see those of other clients.")
RULES["memory usage"] = (_same_kind, "The sizes differ. The rule compares the type of the reply, so the existence of the key.")
RULES["memory doctor"] = RULES["memory malloc-stats"] = (_same_kind, "AtomDB has texts of its own.")
RULES["memory stats"] = (_same_kind, "The figures are those of the tenant, and some are missing.")


@rule("acl genpass", why="The password is random. The rule compares its length.")
def _genpass(redis, atomdb, _):
    return redis[0] == atomdb[0] == "$" and len(redis[1]) == len(atomdb[1])


@rule("acl cat", why="AtomDB has fewer commands, and CLIENT SETINFO of Redis 7.2. The lists of categories must be equal.")
def _acl_cat(redis, atomdb, command):
    if redis[0] != "*" or atomdb[0] != "*" or len(command) == 2:
        return False
    return _without_own(atomdb[1]) <= set(redis[1])


@rule("acl list", why="AtomDB shows no digest of a secret.")
def _acl_list(redis, atomdb, _):
    return redis[0] == atomdb[0] == "*" and atomdb[1] == [("$", b"user default on ~* &* +@all")]


@rule("acl getuser", why="AtomDB shows no digest of a secret.")
def _acl_getuser(redis, atomdb, _):
    return redis[0] == atomdb[0] and redis[0] in "*%" and atomdb[1][3][1] == [] and redis[1][:3] + redis[1][4:] == atomdb[1][:3] + atomdb[1][4:]


@rule("acl setuser", "acl deluser", "acl dryrun", "acl load", "acl save",
      why="AtomDB has no ACL users besides tenants, and refuses these commands.")
def _acl_refused(redis, atomdb, _):
    return _is_error(atomdb)


@rule("lolwut", why="AtomDB does not reproduce the drawings of Redis.")
def _lolwut(redis, atomdb, command):
    return redis[0] == atomdb[0] and atomdb[0] in "$="


RULES["slowlog get"] = (_same_kind, "Times and slow commands differ.")
RULES["slowlog len"] = (_same_kind, "Slow commands differ.")
RULES["latency latest"] = RULES["latency history"] = RULES["latency reset"] = RULES["slowlog get"]
RULES["latency histogram"] = RULES["slowlog get"]
RULES["latency doctor"] = (_same_kind, "AtomDB has texts of its own.")


@rule("latency graph", why="Slow commands differ: only one of the servers may have an event.")
def _graph(redis, atomdb, command):
    return command[2:] == [b"command"] or command[2:] == [b"fast-command"]


@rule("config rewrite", why="Both refuse it for different reasons.")
def _rewrite(redis, atomdb, _):
    return _is_error(redis) and _is_error(atomdb)


@rule("config set", why="A tenant may change only its own parameters; it may set others only to their current values (here: save).")
def _config_set(redis, atomdb, command):
    return b"save" in command and _is_error(atomdb)
