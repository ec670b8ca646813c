"""The operator: a client with the admin secret sees and changes all tenants; other clients cannot."""

import re

import pytest

from harness import Error, wait_for

pytestmark = pytest.mark.threads

TWO = 'workers = 2;\ntenancy = "listed";\nadmin: { secret_file = "%s"; };\n' \
      'tenants: ( { name = "shop"; secret = "s1"; max_entries = 10; }, { name = "blog"; secret = "s2"; } );\n'
OPEN = 'workers = 2;\nadmin: { secret_file = "%s"; };\n'


@pytest.fixture
def admin(tmp_path):
    path = tmp_path / "admin-secret"
    path.write_text("root-secret\n")
    return path


@pytest.fixture
def server(atomdb, admin):
    atomdb.start(TWO % admin)
    return atomdb


@pytest.fixture
def operator(server):
    with server.client("root-secret") as connection:
        yield connection


def info(operator, name):
    flat = operator.cmd("TENANT", "INFO", name)
    assert isinstance(flat, list), flat
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


DENIED = [
    (("TENANT", "LIST"), "tenant|list"), (("TENANT", "INFO", "shop"), "tenant|info"),
    (("TENANT", "CREATE", "x", "secret", "y"), "tenant|create"), (("TENANT", "SET", "shop", "max_entries", "1"), "tenant|set"),
    (("TENANT", "DROP", "shop"), "tenant|drop"), (("TENANT", "KILL", "shop"), "tenant|kill"),
    (("SHUTDOWN",), "shutdown"), (("SHUTDOWN", "NOSAVE"), "shutdown"), (("SHUTDOWN", "ABORT"), "shutdown"),
]


def test_only_the_operator_may_run_tenant_commands(server):
    with server.client("s1") as shop:
        for command, name in DENIED:
            assert shop.cmd(*command) == Error(f"NOPERM this user has no permissions to run the '{name}' command")
        assert shop.cmd("CONFIG", "SET", "resp.max_clients", "5").code == "ERR"
        assert b"resp.max_clients" not in shop.cmd("CONFIG", "GET", "*")
        assert shop.cmd("GET", "x") is None
    assert server.alive()


def test_the_operator_lists_and_describes_tenants(server, operator):
    with server.client("s1") as shop:
        shop.many(("SET", f"k{number}", "v") for number in range(20))
        assert sorted(operator.cmd("TENANT", "LIST")) == [b"@operator", b"blog", b"shop"]
        told = info(operator, "shop")
        assert told["keys"] == 10 and told["clients"] == 1 and told["max_entries"] == b"10"
        assert told["eviction"] == b"lru" and told["configured"] == 1 and told["changed_live"] == []
        assert info(operator, "@operator")["max_memory"] == b"0"
        assert operator.cmd("TENANT", "INFO", "nobody") == Error("ERR No such tenant")
        operator.cmd("HELLO", "3")
        assert operator.cmd("TENANT", "INFO", "shop")[b"keys"] == 10
        assert operator.cmd("TENANT", "HELP")[0].startswith("TENANT <subcommand>")


def test_the_operator_has_its_own_keyspace(server, operator):
    with server.client("s1") as shop:
        shop.cmd("SET", "k", "shop")
        assert operator.cmd("GET", "k") is None
        assert operator.cmd("SET", "k", "mine") == "OK"
        assert operator.cmd("FLUSHALL") == "OK"
        assert shop.cmd("GET", "k") == b"shop"


def test_the_operator_creates_changes_and_drops_a_tenant(server, operator):
    assert operator.cmd("TENANT", "CREATE", "new", "secret", "s3", "max_entries", "3", "max_memory", "1M") == "OK"
    with server.client("s3") as new, server.client(("new", "s3")) as second:
        new.many(("SET", f"k{number}", "v") for number in range(9))
        assert new.cmd("DBSIZE") == 3
        assert operator.cmd("TENANT", "SET", "new", "max_entries", "5", "eviction", "none") == "OK"
        new.many(("SET", f"k{number}", "v") for number in range(9))
        assert new.cmd("DBSIZE") == 5 and new.cmd("SET", "k99", "v").code == "OOM"
        told = info(operator, "new")
        assert told["changed_live"] == [b"created", b"max_entries", b"eviction"] and told["max_memory"] == b"1048576"
        assert operator.cmd("TENANT", "SET", "new", "secret", "s4") == "OK"
        with server.client() as late:
            assert late.cmd("AUTH", "s3").code == "WRONGPASS" and late.cmd("AUTH", "s4") == "OK"
        assert operator.cmd("TENANT", "DROP", "new") == "OK"
        assert new.closed() and second.closed()
    assert sorted(operator.cmd("TENANT", "LIST")) == [b"@operator", b"blog", b"shop"]
    with server.client() as late:
        assert late.cmd("AUTH", "s4").code == "WRONGPASS"
    assert server.metric("atomdb_live_changes") == 0, "a tenant that the file never had is no live change after its drop"
    assert not re.search("s3|s4|root-secret", server.log())


def test_changes_that_the_file_cannot_contain_are_refused(server, operator):
    for command, text in [
        (("CREATE", "shop", "secret", "x"), "ERR That tenant exists"),
        (("CREATE", "a b", "secret", "x"), "ERR A tenant's name has 1 to 64 letters, digits, '-', '_' and '.'"),
        (("CREATE", b"a\0", "secret", "x"), "ERR A tenant's name has 1 to 64 letters, digits, '-', '_' and '.'"),
        (("CREATE", "@operator", "secret", "x"), "ERR A tenant's name has 1 to 64 letters, digits, '-', '_' and '.'"),
        (("CREATE", "x", "max_entries", "1"), "ERR A tenant needs a secret"),
        (("CREATE", "x", "secret", "s1"), "ERR That secret is another's"),
        (("CREATE", "x", "secret", "root-secret"), "ERR That secret is another's"),
        (("CREATE", "x", "secret", ""), "ERR secret must have 1 to 16384 bytes"),
        (("CREATE", "x", "secret", b"a\0b"), "ERR a NUL byte is not text"),
        (("CREATE", "x", "secret", "a", "secret", "b", "secret", "c"), "ERR a tenant has at most 2 secrets"),
        (("CREATE", "x", "secret_sha256", "abc"), "ERR secret_sha256 must be 64 hexadecimal digits"),
        (("CREATE", "x", "secret", "y", "colour", "red"), "ERR A tenant has no option 'colour'"),
        (("CREATE", "x", "secret", "y", "name", "red"), "ERR A tenant has no option 'name'"),
        (("CREATE", "x", "secret", "y", "max_entries"), "ERR syntax error"),
        (("SET", "shop", "max_entries", "many"), "ERR max_entries must be a whole decimal number"),
        (("SET", "shop", "max_entries", "-1"), "ERR max_entries must be from 0 to 1125899906842624, not -1"),
        (("SET", "shop", "eviction", "random"), 'ERR eviction must be one of "lru", "none"'),
        (("SET", "shop", "secret", "s2"), "ERR That secret is another's"),
        (("SET", "nobody", "max_entries", "1"), "ERR No such tenant in the configuration"),
        (("DROP", "nobody"), "ERR No such tenant"),
        (("DROP", "@operator"),
         "ERR That tenant is the operator's or the anonymous one, which the configuration needs"),
        (("KILL", "nobody"), "ERR No such tenant"),
    ]:
        assert operator.cmd("TENANT", *command) == Error(text), command
    assert server.metric("atomdb_live_changes") == 0
    with server.client("s1") as shop:
        assert shop.cmd("PING") == "PONG"


def test_a_reload_applies_the_file_and_logs_it(server, operator, admin):
    operator.cmd("TENANT", "CREATE", "new", "secret", "s3")
    operator.cmd("TENANT", "SET", "shop", "max_entries", "4", "secret", "s1")
    operator.cmd("TENANT", "DROP", "blog")
    assert operator.cmd("CONFIG", "SET", "maxclients", "77", "max_memory", "1G") == "OK"
    assert operator.cmd("CONFIG", "GET", "resp.max_c*") == [b"resp.max_clients", b"77"]
    assert operator.cmd("CONFIG", "GET", "maxclients") == [b"maxclients", b"77"]
    assert server.metric("atomdb_live_changes") == 6
    assert server.log().count("The operator changed a setting or a tenant") == 6
    with server.client("s3") as new, server.client("s1") as shop, server.client() as blog:
        assert blog.cmd("AUTH", "s2").code == "WRONGPASS"
        shop.many(("SET", f"k{number}", "v") for number in range(20))
        assert shop.cmd("DBSIZE") == 4
        new.cmd("SET", "k", "v")
        server.reload(TWO % admin + 'max_memory = "1G";\n', refused=True)
        assert new.cmd("DEL", "k") == 1
        server.reload(TWO % admin + 'max_memory = "1G";\n')
        assert new.closed()
        assert blog.cmd("AUTH", "s2") == "OK"
        shop.many(("SET", f"k{number}", "v") for number in range(20))
        wait_for(lambda: shop.cmd("SET", "x", "y") and shop.cmd("DBSIZE") == 10, 5, "the file's quota")
    log = server.log()
    for verdict in ("tenant new, created live: removed, because the file does not have it",
                    "tenant shop, max_entries: changed from 4 to 10, as in the file",
                    "tenant shop, secret: replaced by the value in the file", "server-wide max_memory: stays 1073741824, as in the file",
                    "tenant blog, dropped live: created again without its data, because the file has it",
                    "server-wide resp.max_clients: changed from 77 to 10000, as in the file"):
        assert f"The reload ended a live change: {verdict}" in log, verdict
    assert server.metric("atomdb_live_changes") == 0
    assert info(operator, "shop")["changed_live"] == []
    assert operator.cmd("CONFIG", "GET", "resp.max_clients") == [b"resp.max_clients", b"10000"]


def test_costly_patterns_are_refused(server, operator):
    costly = "*[" + "!" * 1000000
    assert operator.cmd("CONFIG", "GET", costly, "resp.*") == Error("ERR the pattern takes too long to match")
    assert operator.cmd("CONFIG", "GET", "resp.max_c*") == [b"resp.max_clients", b"10000"]


def test_the_operator_changes_settings_of_the_server(server, operator):
    assert operator.cmd("CONFIG", "SET", "defaults.max_entries", "6", "log.level", "debug", "max_memory", "1G") == "OK"
    assert operator.cmd("CONFIG", "GET", "max_memory", "log.*") == [b"max_memory", b"1073741824", b"log.level", b"debug"]
    assert info(operator, "blog")["max_entries"] == b"6", "blog inherits the default"
    assert info(operator, "shop")["max_entries"] == b"10", "shop has its own limit"
    with server.client("s2") as blog:
        blog.many(("SET", f"k{number}", "v") for number in range(20))
        assert blog.cmd("DBSIZE") == 6
    assert operator.cmd("CONFIG", "SET", "slowlog-max-len", "5") == "OK"
    for command, text in [
        (("nonsense", "1"), "ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'"),
        (("workers", "4"), "ERR CONFIG SET failed (possibly related to argument 'workers') - it is read at the start only"),
        (("admin.secret_file", "/etc/passwd"), "ERR CONFIG SET failed (possibly related to argument "
         "'admin.secret_file') - only the configuration file sets it"),
        (("resp.max_clients", "x"), "ERR CONFIG SET failed (possibly related to argument 'resp.max_clients') - "
         "resp.max_clients must be a whole decimal number"),
        (("resp.max_clients", "5", "slowlog-max-len", "5"),
         "ERR CONFIG SET takes parameters of the server or of the tenant, not both at once"),
        (("anonymous", "nobody"), "ERR CONFIG SET failed - anonymous names 'nobody', which is not among the tenants"),
    ]:
        assert operator.cmd("CONFIG", "SET", *command) == Error(text)
    assert operator.cmd("CONFIG", "SET", "anonymous", "blog") == "OK"
    with server.client() as anybody:
        assert anybody.cmd("DBSIZE") == 6


def test_the_operator_sees_and_closes_clients_of_all_tenants(server, operator):
    with server.client("s1") as one, server.client("s1") as two, server.client("s2") as blog, server.client() as new:
        for name, client in (("one", one), ("two", two), ("three", blog)):
            client.cmd("CLIENT", "SETNAME", name)
        lines = operator.cmd("CLIENT", "LIST").decode().splitlines()
        users = sorted(re.search(r"user=(\S*)", line)[1] for line in lines)
        assert users == ["", "@operator", "blog", "shop", "shop"]
        own = one.cmd("CLIENT", "LIST").decode()
        assert "name=three" not in own and "user=default" in own and len(own.splitlines()) == 2
        # The operator sees unique numbers of all clients; tenants see their own numbers.
        numbers = {re.search(r" name=(\S*)", line)[1]: int(re.match(r"id=(\d+) ", line)[1]) for line in lines}
        assert len(set(numbers.values())) == len(numbers) and numbers[""] > 0
        number = numbers["three"]
        assert number > 2 and blog.cmd("CLIENT", "ID") == 1
        assert f"id={number} " in operator.cmd("CLIENT", "LIST", "ID", number, 999999).decode()
        assert one.cmd("CLIENT", "KILL", "ID", number) == 0
        assert operator.cmd("CLIENT", "KILL", "ID", number) == 1
        assert blog.closed()
        assert operator.cmd("CLIENT", "KILL", "USER", "shop", "TYPE", "normal") == 2
        assert one.closed() and two.closed()
        assert new.cmd("AUTH", "s1") == "OK"
        assert operator.cmd("TENANT", "KILL", "shop") == 1 and new.closed()
        assert operator.cmd("TENANT", "KILL", "shop") == 0
        assert operator.cmd("CLIENT", "KILL", "1.2.3.4:5") == Error("ERR No such client")
        assert operator.cmd("CLIENT", "LIST", "TYPE", "x") == Error("ERR Unknown client type 'x'")
    with server.client("root-secret") as other:
        assert operator.cmd("TENANT", "KILL", "@operator") == 2
        assert other.closed() and operator.closed()


def test_the_operator_sees_the_slow_log_of_all_tenants(server, operator):
    with server.client("s1") as shop, server.client("s2") as blog:
        for client, key in ((shop, "a"), (blog, "b")):
            client.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
            client.many([("SET", key, "v")] * 5)
        # On a slow machine the operator's own commands are slow.
        operator.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        entries = operator.cmd("SLOWLOG", "GET", "-1")
        assert {entry[6] for entry in entries if entry[3][0] == b"SET"} == {b"shop", b"blog"}
        times = [entry[1] for entry in entries]
        assert times == sorted(times, reverse=True)
        assert len(operator.cmd("SLOWLOG", "GET", "3")) == 3 and operator.cmd("SLOWLOG", "LEN") == len(entries) >= 10
        assert all(len(entry) == 6 for entry in shop.cmd("SLOWLOG", "GET"))
        assert operator.cmd("SLOWLOG", "RESET") == "OK"
        assert shop.cmd("SLOWLOG", "LEN") <= 1


def monitored(client, text):
    """Reads lines until one contains the text."""
    lines = []
    while True:
        lines.append(client.read())
        if text in lines[-1]:
            return lines


def test_the_operator_monitors_all_tenants(server, operator):
    with server.client("s1") as shop, server.client("s2") as blog:
        assert operator.cmd("MONITOR") == "OK"
        shop.cmd("SET", "k", "v")
        assert re.fullmatch(r'\d+\.\d{6} \[0 shop 127\.0\.0\.1:\d+\] "SET" "k" "v"', monitored(operator, '"SET"')[-1])
        blog.cmd("GET", "other")
        assert " [0 blog 127." in monitored(operator, '"GET" "other"')[-1]
        with server.client("s1") as late:
            late.cmd("ECHO", "late")
            monitored(operator, '"late"')
        assert operator.cmd("GET", "x") == Error("ERR Replica can't interact with the keyspace")
        operator.send(b"*1\r\n$4\r\nPING\r\n")
        assert "PONG" in monitored(operator, '"PING"')
        operator.close()
        shop.cmd("SET", "k", "v")
        assert shop.cmd("PING") == "PONG"


def test_the_operator_monitors_two_workers_under_load(server, operator):
    with server.client("s1") as shop, server.client("s2") as blog:
        assert operator.cmd("MONITOR") == "OK"
        for client in (shop, blog):
            client.send(b"".join(b"*2\r\n$4\r\nECHO\r\n$6\r\n%06d\r\n" % number for number in range(2000)))
        for client in (shop, blog):
            for _ in range(2000):
                client.read()
        seen = {"shop": [], "blog": []}
        for _ in range(4000):
            line = operator.read()
            name, number = re.search(r'\[0 (\w+) .*"ECHO" "(\d+)"', line).groups()
            seen[name].append(int(number))
        assert seen["shop"] == seen["blog"] == list(range(2000))


def test_several_operators_may_work_at_once(server):
    with server.client("root-secret") as one, server.client("root-secret") as two:
        one.send(b"*2\r\n$6\r\nTENANT\r\n$4\r\nLIST\r\n" * 50)
        two.send(b"*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n" * 50)
        for _ in range(50):
            assert len(one.read()) == 3 and b"user=@operator" in two.read()
        one.send(b"*2\r\n$6\r\nTENANT\r\n$4\r\nLIST\r\n*1\r\n$4\r\nPING\r\n")
        one.close()
        assert two.cmd("PING") == "PONG"
        for _ in range(20):
            with server.client("root-secret") as third:
                third.send(b"*1\r\n$7\r\nMONITOR\r\n")
        assert two.cmd("PING") == "PONG"


def test_tenant_commands_are_refused_inside_a_transaction(server, operator):
    operator.cmd("MULTI")
    assert operator.cmd("TENANT", "LIST") == Error("ERR Command not allowed inside a transaction")
    assert operator.cmd("EXEC").code == "EXECABORT"
    operator.cmd("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    operator.cmd("SLOWLOG", "RESET")
    operator.cmd("MULTI")
    for command in (("CLIENT", "LIST"), ("SLOWLOG", "LEN"), ("CONFIG", "GET", "maxmemory"), ("MONITOR",)):
        assert operator.cmd(*command) == "QUEUED"
    clients, length, config, monitor = operator.cmd("EXEC")
    assert b"user=default" in clients and length == 0 and config == [b"maxmemory", b"0"]
    assert monitor == Error("ERR MONITOR isn't allowed for DENY BLOCKING client")


def test_shutdown_stops_the_daemon(atomdb, admin):
    atomdb.start(TWO % admin)
    with atomdb.client("root-secret") as operator, atomdb.client("s1") as shop:
        assert operator.cmd("SHUTDOWN", "ABORT") == Error("ERR No shutdown in progress.")
        assert operator.cmd("SHUTDOWN", "NOSAVE", "SAVE") == Error("ERR syntax error")
        assert operator.cmd("SHUTDOWN", "FOO") == Error("ERR syntax error")
        assert "nothing can be saved" in operator.cmd("SHUTDOWN", "SAVE")
        shop.cmd("SET", "k", "v")
        operator.send(b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n")
        assert operator.closed() and shop.closed()
    assert atomdb.process.wait(20) == 0
    atomdb.process = None


def test_the_operator_names_and_drops_open_tenants(atomdb, admin):
    atomdb.start(OPEN % admin)
    with atomdb.client("a-secret") as client, atomdb.client("root-secret") as operator:
        client.cmd("SET", "k", "v")
        names = operator.cmd("TENANT", "LIST")
        name = next(name for name in names if name != b"@operator")
        assert info(operator, name)["keys"] == 1 and info(operator, name)["configured"] == 0
        assert operator.cmd("TENANT", "SET", name, "max_entries", "1") == \
            Error("ERR No such tenant in the configuration")
        assert operator.cmd("TENANT", "DROP", name) == "OK" and client.closed()
        with atomdb.client("a-secret") as again:
            assert again.cmd("DBSIZE") == 0
            assert operator.cmd("TENANT", "CREATE", "named", "secret", "a-secret") == "OK"
            assert again.cmd("PING") == "PONG", "the open tenant gets a name and keeps its clients"
        assert b"named" in operator.cmd("TENANT", "LIST")


def test_without_the_secret_there_is_no_operator(atomdb, admin, tmp_path):
    atomdb.start(OPEN % admin)
    with atomdb.client("root-secret") as operator:
        operator.cmd("SET", "k", "operator's")
        atomdb.reload("workers = 2;\n", refused=True)
        atomdb.reload('workers = 2;\nremoved = ( "@operator" );\n')
        assert operator.closed()
    with atomdb.client("root-secret") as anybody:
        assert anybody.cmd("TENANT", "LIST").code == "NOPERM" and anybody.cmd("GET", "k") is None
        anybody.cmd("SET", "k", "v")
        atomdb.reload(OPEN % admin, refused=True)
        name = [line for line in atomdb.log().splitlines() if "would delete" in line][-1].split(" (1 keys")[0].split()[-1]
        atomdb.reload(OPEN % admin + f'removed = ( "{name}" );\n')
        assert anybody.closed(), "a client of the tenant with this secret must not become the operator"
    with atomdb.client("root-secret") as operator:
        assert operator.cmd("GET", "k") is None and b"@operator" in operator.cmd("TENANT", "LIST")


def test_secrets_are_in_no_log(atomdb, admin):
    atomdb.start(TWO % admin)
    with atomdb.client("root-secret") as operator:
        operator.cmd("CONFIG", "SET", "slowlog-log-slower-than", "0")
        operator.cmd("TENANT", "CREATE", "new", "max_entries", "7", "SECRET", "hush-1")
        operator.cmd("TENANT", "SET", "new", "secret_sha256", "hush-2")
        kept = [entry[3] for entry in operator.cmd("SLOWLOG", "GET") if entry[3][0] == b"TENANT"]
        assert kept == [[b"TENANT", b"SET", b"new", b"secret_sha256", b"(redacted)"],
                        [b"TENANT", b"CREATE", b"new", b"max_entries", b"7", b"SECRET", b"(redacted)"]]
        operator.send(b"*5\r\n$6\r\nTENANT\r\n$6\r\nCREATE\r\n$1\r\nx\r\n$6\r\nsecret\r\n:hush-3\r\n")
        assert operator.read().startswith("ERR Protocol error") and operator.closed()
    assert "hush" not in atomdb.log()


def test_shutdown_save_with_force_stops_without_saving(atomdb, admin):
    atomdb.start(TWO % admin)
    with atomdb.client("root-secret") as operator:
        operator.send(b"*4\r\n$8\r\nshutdown\r\n$4\r\nsave\r\n$3\r\nnow\r\n$5\r\nforce\r\n")
        assert operator.closed()
    assert atomdb.process.wait(20) == 0
    atomdb.process = None
