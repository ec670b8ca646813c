"""Restarts, crashes and changes of settings lose nothing. A supervisor simulates systemd."""

import os
import random
import re
import signal
import threading
import time

import pytest

from harness import Closed, Error, Push, encode, info, wait_for
from supervisor import Supervised

UNLIMITED = 'defaults: { max_entries = 0; max_memory = "0"; };\n'
TWO = "workers = 2;\n" + UNLIMITED


# --- data --------------------------------------------------------------------------------------------------------


def fill(service):
    """Writes keys of several tenants. Returns the expected contents."""
    for secret in ("one", "two", "three", "four"):
        with service.client(secret) as client:
            client.many([("SET", f"{secret}:{i}", f"value {i}" * (i % 50)) for i in range(1000)])
            client.many([("SELECT", 5), ("SET", "number", 41), ("SET", "big", b"x" * 300000), ("SETBIT", "bits", 77, 1)])
            client.cmd("SET", "fleeting", "x", "EX", 1000)


def check(service):
    for secret in ("one", "two", "three", "four"):
        with service.client(secret) as client:
            assert client.many([("GET", f"{secret}:{i}") for i in range(1000)]) == [
                (f"value {i}" * (i % 50)).encode() for i in range(1000)]
            assert client.cmd("DBSIZE") == 1000
            client.cmd("SELECT", 5)
            assert client.cmd("DBSIZE") == 4
            assert client.cmd("GET", "number") == b"41"
            assert client.cmd("GET", "big") == b"x" * 300000
            assert client.cmd("GETBIT", "bits", 77) == 1
            assert 500 < client.cmd("TTL", "fleeting") <= 1000


def test_a_shutdown_is_not_repeated_after_a_restart(service, tmp_path):
    """The input still holds the operator's command when the daemon hands over the clients."""
    (tmp_path / "admin").write_text("root-secret\n")
    config = TWO + f'admin: {{ secret_file = "{tmp_path}/admin"; }};\n'
    service.start(config)
    with service.client("root-secret") as operator, service.client("one") as client:
        client.cmd("SET", "k", "v")
        operator.send(encode("SHUTDOWN", "NOSAVE"))
        assert service.process.wait(20) == 0
        service.process = None
        service.start(config)
        assert operator.closed()
        for _ in range(20):
            assert client.cmd("GET", "k") == b"v"
            time.sleep(0.01)
        assert service.alive()


@pytest.mark.threads
def test_data_survives_restarts_and_crashes(service):
    service.start(TWO)
    assert "AtomDB starts empty" in service.log()
    fill(service)
    for end in (service.restart, service.crash, service.restart, service.crash):
        end()
        check(service)
    assert service.metric("atomdb_restarts_total") == 2
    assert service.metric("atomdb_crashes_total") == 2
    assert service.metric("atomdb_recovered_keys") == 4 * 1004
    assert service.metric("atomdb_recovery_dropped_blocks_total") == 0
    assert re.search(r"after a crash: 4016 keys, \S+, 0 clients, 0 damaged blocks dropped, \d+ ms", service.recovered())
    assert service.metric("redis_db_keys") == 4 * 1004


def test_a_stop_drops_the_data(service):
    service.start(TWO)
    fill(service)
    client = service.client("one")
    service.stop_unit()
    assert client.closed()
    service.start(TWO)
    assert service.log().count("AtomDB starts empty") == 2
    with service.client("one") as client:
        assert client.cmd("DBSIZE") == 0


def test_without_a_store_the_daemon_warns_of_the_loss(binary, tmp_path):
    service = Supervised(binary, tmp_path, keeps=False)
    service.start(UNLIMITED)
    assert "The data will be lost when the process ends" in service.log()
    assert not service.names()
    with service.client("one") as client:
        client.cmd("SET", "a", 1)
        service.restart()
        assert client.closed()
    with service.client("one") as client:
        assert client.cmd("DBSIZE") == 0
    service.stop()


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_the_lru_order_survives_a_restart_and_a_crash(service, end):
    """A crash during a command may affect the keys of this command. In this test, none runs."""
    service.start('defaults: { max_entries = 100; max_memory = "0"; };\n')
    order = list(range(100))
    with service.client("one") as client:
        client.many([("SET", i, i) for i in order])
        random.Random(7).shuffle(order)
        client.many([("GET", i) for i in order])
        getattr(service, end)()
    with service.client("one") as client:
        for i, oldest in enumerate(order):
            client.cmd("SET", f"new{i}", 1)
            assert client.cmd("EXISTS", oldest) == 0
            assert client.cmd("DBSIZE") == 100


def test_keys_expire_while_the_service_is_down(service):
    service.start(UNLIMITED)
    with service.client("one") as client:
        client.many([("SET", i, i, "PX", 300) for i in range(100)] + [("SET", "stays", 1, "EX", 100)])
    service.end()
    time.sleep(0.4)
    service.start(UNLIMITED)
    with service.client("one") as client:
        assert client.cmd("DBSIZE") == 1
        assert client.cmd("KEYS", "*") == [b"stays"]


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_the_number_of_workers_may_change(service, end):
    service.start(TWO)
    fill(service)
    client = service.client("one")
    client.cmd("SELECT", 5)
    for workers in (1, 3, 2):
        getattr(service, end)(config=f"workers = {workers};\n" + UNLIMITED)
        check(service)
        assert sum("shard" in name for name in service.names()) == max(workers, 2 if workers == 1 else 3)
        if end == "restart":
            assert client.cmd("GET", "number") == b"41"
    assert "The number of workers has changed; tenants stay in their shards: 1 workers now, 2 before" in service.log()


def listed(*names):
    return 'tenancy = "listed"; tenants: (' + ",".join(
        f'{{ name = "{name}"; secret = "secret of {name}"; max_entries = 0; }}' for name in names) + ");\n"


def test_listed_tenants_survive_and_removed_ones_do_not(service):
    config = listed

    service.start(config("shop", "blog"))
    clients = {name: service.client(f"secret of {name}") for name in ("shop", "blog")}
    for name, client in clients.items():
        client.cmd("SET", "name", name)
    service.restart(config("shop") + 'removed = ( "blog" );')
    assert clients["shop"].cmd("GET", "name") == b"shop"
    assert clients["blog"].closed()
    assert "Tenant removed with its data: tenant blog, 1 keys, " in service.log()
    assert "1 of them" in service.log()
    service.restart(config("shop", "blog"))
    with service.client("secret of blog") as client:
        assert client.cmd("DBSIZE") == 0
    assert clients["shop"].cmd("GET", "name") == b"shop"


def test_tenants_that_the_file_lacks_are_kept(service, tmp_path):
    """The keys survive restarts and crashes, and their TTLs continue, until the tenant is listed again or dropped."""
    (tmp_path / "admin").write_text("root")
    admin = f'admin: {{ secret_file = "{tmp_path}/admin"; }};\n'
    service.start(listed("shop", "blog") + admin)
    with service.client("secret of blog") as blog:
        blog.many([("SET", f"k{i}", "x" * 100) for i in range(500)] + [("SET", "fleeting", "v", "PX", 3000)])
    for end, config in (("restart", "shop"), ("crash", "shop"), ("restart", None)):
        text = admin + (listed(config) if config else "")
        getattr(service, end)(config=text)
        assert re.search("is not in the configuration; its keys are kept: .*50[01] keys", service.log())
        with service.client("root") as operator, service.client() as other:
            assert other.cmd("AUTH", "secret of blog").code == "WRONGPASS"
            assert other.cmd("AUTH", "blog", "secret of blog").code == "WRONGPASS"
            told = operator.cmd("TENANT", "INFO", "blog")
            told = dict(zip(told[::2], told[1::2]))
            assert told[b"orphaned"] == 1 and told[b"keys"] in (500, 501) and told[b"max_entries"] == b"0"
            assert b"blog" in operator.cmd("TENANT", "LIST")
        assert service.metric("atomdb_orphaned_tenants") >= 1
        assert service.metric("atomdb_orphaned_keys") in (500, 501)
        assert service.metric("atomdb_tenant_orphaned", tenant="blog") == 1
    wait_for(lambda: service.metric("atomdb_orphaned_keys") == 500, 10, "the TTL to end")
    # The secret also identifies the tenant under another name.
    service.restart(admin + 'tenants: ( { name = "news"; secret = "secret of blog"; } );')
    with service.client() as news:
        assert news.cmd("AUTH", "news", "secret of blog") == "OK"
        assert news.cmd("DBSIZE") == 500
    assert service.metric("atomdb_orphaned_tenants") == 0
    service.restart(admin + 'removed = ( "news" );')
    assert "Tenant removed with its data: tenant news, 500 keys" in service.log()
    service.restart(listed("shop", "blog") + admin)
    with service.client("secret of blog") as blog:
        assert blog.cmd("DBSIZE") == 0


def tenant_with(operator, keys):
    """Returns the name of the tenant with this number of keys."""
    for name in operator.cmd("TENANT", "LIST"):
        told = operator.cmd("TENANT", "INFO", name)
        if dict(zip(told[::2], told[1::2]))[b"keys"] == keys:
            return name
    raise AssertionError(keys)


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_a_limit_that_the_file_lost_evicts_no_keys(service, end, tmp_path):
    """Tenants that exceed the default keep the former limit, over reloads and starts, until the file sets one."""
    (tmp_path / "admin").write_text("root")
    admin = f'admin: {{ secret_file = "{tmp_path}/admin"; }};\n'
    service.start(admin + UNLIMITED)
    with service.client("one") as one, service.client("two") as two, service.client("few") as few:
        one.many(("SET", f"k{number}", "v") for number in range(509))
        two.many(("SET", f"k{number}", "v" * 1000000) for number in range(80))
        few.many(("SET", f"k{number}", "v") for number in range(30))
    end = getattr(service, end)
    for attempt in range(3):
        if attempt != 2:
            end(config=admin)
        else:
            service.reload(admin)
        said = [line for line in service.log().splitlines() if "exceed the default that replaces a limit" in line]
        assert f"({509 + attempt} keys, " in said[-1] and ": max_entries 30)" in said[-1]
        assert "(80 keys, " in said[-1] and ": max_memory 67108864)" in said[-1]
        with service.client("one") as one, service.client("two") as two, service.client("few") as few:
            assert one.cmd("SET", f"new{attempt}", "v") == "OK" and one.cmd("DBSIZE") == 510 + attempt
            assert two.cmd("DBSIZE") == 80
            few.cmd("SET", f"new{attempt}", "v")
            assert few.cmd("DBSIZE") == 30
        with service.client("root") as operator:
            told = operator.cmd("TENANT", "INFO", tenant_with(operator, 509 + 1 + attempt))
            told = dict(zip(told[::2], told[1::2]))
            assert told[b"max_entries"] == b"0" and told[b"max_memory"] == b"67108864"
    service.reload(admin + "defaults: { max_entries = 100; max_memory = \"0\"; };")
    with service.client("one") as one, service.client("two") as two:
        wait_for(lambda: one.cmd("DBSIZE") == 100, 10, "the limit that is written")
        service.reload(admin, refused=True)
        one.many(("DEL", f"k{number}") for number in range(412, 509))
        assert one.cmd("DBSIZE") == 3
        two.many(("DEL", f"k{number}") for number in range(60))
        service.reload(admin)
        one.many(("SET", f"k{number}", "v") for number in range(100))
        assert one.cmd("DBSIZE") == 30


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_an_orphan_that_is_listed_again_keeps_its_keys(service, end):
    service.start('tenants: ( { name = "a"; secret = "sa"; max_memory = "0"; } ); defaults: { max_entries = 0; };')
    for secret, size in (("sa", 1000000), ("opened", 1)):
        with service.client(secret) as client:
            client.many(("SET", f"k{number}", "v" * size) for number in range(80))
    getattr(service, end)(config='tenancy = "listed";')
    service.reload('tenants: ( { name = "a"; secret = "sa"; } );')
    for secret in ("sa", "opened"):
        with service.client(secret) as client:
            assert client.cmd("DBSIZE") == 80
            client.cmd("SET", "new", "v")
            assert client.cmd("DBSIZE") == 81
    assert re.search(r"replaces a limit; they keep the former limit: .*\(80 keys, .*\(80 keys, ", service.log())
    defaults = 'defaults: { max_entries = 0; max_memory = "1M"; };'
    service.reload(defaults + 'tenants: ( { name = "a"; secret = "sa"; } );')
    with service.client("sa") as client:
        assert client.cmd("DBSIZE") == 81, "the tenant has lost its own line"
        service.reload(defaults + 'tenants: ( { name = "a"; secret = "sa"; max_memory = "1M"; } );')
        wait_for(lambda: client.cmd("DBSIZE") <= 1, 10, "the limit that is written")


LOST_AT_A_START = {
    "entries of the tenant": ("max_entries = 1000;", "max_entries = 30;", b"max_entries", b"1000"),
    "no limit of the tenant": ("max_entries = 0;", "max_entries = 30;", b"max_entries", b"0"),
    "memory of the tenant": ('max_memory = "16M";', 'max_memory = "1M";', b"max_memory", b"16777216"),
    "eviction of the tenant": ('eviction = "none"; max_entries = 90;', 'max_entries = 90;', b"eviction", b"none"),
}


@pytest.mark.parametrize("own, defaults, key, kept", LOST_AT_A_START.values(), ids=LOST_AT_A_START.keys())
@pytest.mark.parametrize("end", ["restart", "crash"])
@pytest.mark.parametrize("orphaned", [False, True], ids=["known", "orphaned"])
def test_defaults_evict_no_keys_in_place_of_a_lost_line(service, end, own, defaults, key, kept, orphaned, tmp_path):
    """The tenant lost its own line. A smaller limit in defaults is for other tenants."""
    (tmp_path / "admin").write_text("root")
    admin = f'admin: {{ secret_file = "{tmp_path}/admin"; }};\ndefaults: {{ {defaults} }};\n'
    listed_a, value = 'tenants: ( { name = "a"; secret = "sa"; %s } );', "v" * 50000

    def told():
        with service.client("root") as operator:
            info = operator.cmd("TENANT", "INFO", "a")
            return dict(zip(info[::2], info[1::2]))

    service.start(admin + listed_a % own)
    with service.client("sa") as client:
        client.many(("SET", f"k{number}", value) for number in range(90))
        assert client.cmd("DBSIZE") == 90
    if orphaned:
        getattr(service, end)(config=admin)
        assert told()[b"orphaned"] == 1
        service.reload(admin + listed_a % "")
    for _ in range(2):
        if not orphaned:
            getattr(service, end)(config=admin + listed_a % "")
        assert told()[key] == kept
        said = [line for line in service.log().splitlines() if "they keep the former limit" in line]
        assert re.search(r": a \(90 keys, \d+ bytes: " + key.decode(), said[-1])
        assert "exceed a limit of the configuration" not in service.log()
        with service.client("sa") as client:
            if key == b"eviction":
                assert "OOM" in str(client.cmd("SET", "more", "v"))
            else:
                assert client.cmd("SET", "k0", value) == "OK"
            assert client.cmd("DBSIZE") == 90
        service.reload(admin + listed_a % "")
    # A line of the tenant expresses the intention of the operator.
    service.reload(admin + listed_a % 'max_entries = 7; eviction = "lru";')
    with service.client("sa") as client:
        wait_for(lambda: client.cmd("DBSIZE") == 7, 10, "the limit that is written")


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_a_changed_default_is_in_force_at_a_start(service, end):
    service.start("defaults: { max_entries = 1000; };")
    with service.client("one") as client:
        client.many(("SET", f"k{number}", "v") for number in range(90))
    getattr(service, end)(config="defaults: { max_entries = 40; };")
    with service.client("one") as client:
        wait_for(lambda: client.cmd("DBSIZE") == 40, 10, "the limit that is written")
    assert re.search(r"exceed a limit of the configuration; .*\(90 keys, ", service.log())
    assert "they keep the former limit" not in service.log()


def test_clients_of_a_renamed_tenant_stay_its_clients(service):
    """Two tenants exchange their names in a restart, and a third one gets a new name. No client reaches the keys of
    another tenant."""
    service.start(listed("shop", "blog", "wiki"))
    clients = {name: service.client(f"secret of {name}") for name in ("shop", "blog", "wiki")}
    for name, client in clients.items():
        client.cmd("SET", "whose", name)
    rows = listed("shop", "blog", "wiki")
    assert clients["shop"].cmd("AUTH", "shop", "secret of shop") == "OK"
    service.restart(rows.replace('"wiki"', '"notes"').replace('"shop"', '"X"').replace('"blog"', '"shop"').replace('"X"', '"blog"'))
    for name, client in clients.items():
        assert client.cmd("GET", "whose") == name.encode()
    assert [clients[name].cmd("ACL", "WHOAMI") for name in ("shop", "blog")] == [b"shop", b"default"]
    with service.client() as late:
        assert late.cmd("AUTH", "notes", "secret of wiki") == "OK"
        assert late.cmd("GET", "whose") == b"wiki"


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.hooks
def test_a_long_recovery_asks_for_more_time(service):
    """With the test hooks, one millisecond counts as long."""
    service.start(TWO)
    fill(service)
    with service.client("one") as client:
        client.many([("SET", f"more:{i}", i) for i in range(30000)])
    service.crash()
    told = service.extensions(r"Rebuilding after a crash, (\d+) entries checked")
    assert len(told) > 1
    assert told == sorted(set(told)), "the daemon must ask again only after progress"


def test_a_stop_asks_for_more_time(service):
    service.start(TWO)
    with service.client("one"), service.client("two"):
        service.restart()
        # The last message of the previous process.
        service.end()
        wait_for(lambda: service.extensions(r"Stopping, handing over, (\d+) clients") == [2], 10, "the clients")
        service.start(TWO)


def test_a_long_stop_asks_for_more_time(binary, tmp_path):
    """Without a store, clients get their replies before the end. Here the client does not read them at once."""
    service = Supervised(binary, tmp_path, keeps=False)
    service.start(UNLIMITED)
    with service.client("one") as client:
        client.cmd("SET", "big", b"x" * (8 << 20))
        client.send(encode("GET", "big"))
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: service.extensions(r"Stopping, still serving, (\d+) clients") == [1], 10, "the message")
        client.read()
        service._ended(0)
    service.stop()


# --- incompatible and damaged data -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
@pytest.mark.parametrize("end", ["end", "die"])
def test_data_of_another_format_is_kept_for_its_release(binary, tmp_path, way, end):
    """Installs two releases with different formats, one after the other."""
    other = os.path.join(os.path.dirname(binary), "tests/atomdb-other-format")
    before, after = (binary, other) if way == "upgrade" else (other, binary)
    service = Supervised(before, tmp_path)
    try:
        service.start(TWO)
        client = service.client("one")
        client.cmd("SET", "a", "kept")
        getattr(service, end)()
        kept = service.names()
        assert {"atomdb-shard-0", "atomdb-shard-1"} <= set(kept)
        service.binary = after
        for _ in range(2):
            log = service.refuses(1)
            assert log.count("cannot be read; AtomDB does not start") == 2
            assert all("Arena of another format version" in line for line in log.splitlines() if "cannot be read" in line)
            assert service.names() == kept
        # Return to the release that wrote the data: nothing is lost, not even the connection.
        service.binary = before
        service.start(TWO)
        with service.client("one") as again:
            assert again.cmd("GET", "a") == b"kept"
        if end == "end":
            assert client.cmd("GET", "a") == b"kept"
            assert "after a restart: 1 keys" in service.recovered()
            service.end()
        else:
            assert client.closed()
            service.die()
        # The operator discards the data.
        service.binary = after
        service.start(TWO + 'on_unreadable_data = "start_empty";\n')
        assert service.log().count("AtomDB discards it") == 2
        with service.client("one") as fresh:
            assert fresh.cmd("DBSIZE") == 0
    finally:
        service.stop()


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
@pytest.mark.parametrize("end", ["end", "die"])
def test_data_moves_to_a_release_with_other_fields_and_back(binary, tmp_path, way, end):
    """The root and the tenant records of one release are larger."""
    other = os.path.join(os.path.dirname(binary), "tests/atomdb-other-release")
    before, after = (binary, other) if way == "upgrade" else (other, binary)
    service = Supervised(before, tmp_path)
    try:
        service.start(TWO)
        fill(service)
        for binary_now in (after, before, after):
            getattr(service, end)()
            service.binary = binary_now
            service.start(TWO)
            check(service)
            with service.client(binary_now) as client:
                assert client.cmd("SET", "of a new tenant", 1) == "OK"
        assert service.metric("atomdb_recovery_dropped_blocks_total") == 0
        assert service.metric("redis_db_keys") == 4 * 1004 + 2
    finally:
        service.stop()


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_clients_move_to_a_release_with_other_fields_and_back(binary, tmp_path, way):
    """One release has one field more than the other, and one less."""
    other = os.path.join(os.path.dirname(binary), "tests/atomdb-other-release")
    before, after = (binary, other) if way == "upgrade" else (other, binary)
    service = Supervised(before, tmp_path)
    try:
        service.start(TWO)
        with service.client("one") as client, service.client("one") as listener, service.client() as stranger:
            client.many([("CLIENT", "SETNAME", "Bob"), ("CLIENT", "SETINFO", "LIB-NAME", "lib"),
                         ("CLIENT", "SETINFO", "LIB-VER", "1.0"), ("SELECT", 3), ("SET", "a", 1), ("WATCH", "a"),
                         ("MULTI",), ("INCR", "a")])
            listener.cmd("SUBSCRIBE", "news")
            for binary_now in (after, before, after):
                service.end()
                service.binary = binary_now
                service.start(TWO)
                assert service.metric("atomdb_recovered_clients") == 3
            assert "could not be handed over" not in service.log()
            assert client.cmd("EXEC") == [2]
            line = client.cmd("CLIENT", "INFO").decode()
            assert " db=3 " in line and " name=Bob " in line
            # The release that does not know the field has dropped it.
            assert line.endswith(" lib-name=lib lib-ver=\n")
            assert client.cmd("PUBLISH", "news", "x") == 1 and listener.read() == [b"message", b"news", b"x"]
            assert stranger.cmd("AUTH", "one") == "OK"
    finally:
        service.stop()


def test_unreadable_data_is_discarded_only_with_the_setting(service):
    service.start(UNLIMITED)
    with service.client("one") as client:
        client.cmd("SET", "a", 1)
    service.die()
    os.pwrite(service.kept("atomdb-shard-0")[0], b"\xff" * 64, 0)
    service.refuses(1)
    service.refuses(1)
    service.start(UNLIMITED + 'on_unreadable_data = "start_empty";\n')
    assert "AtomDB discards it" in service.log()
    with service.client("one") as client:
        assert client.cmd("DBSIZE") == 0
        client.cmd("SET", "b", 1)
    service.crash(config=UNLIMITED)
    with service.client("one") as client:
        assert client.cmd("GET", "b") == b"1"


def test_a_bad_configuration_loses_nothing(service):
    service.start(UNLIMITED)
    client = service.client("one")
    client.cmd("SET", "a", "kept")
    service.end()
    service.refuses(78, 'workers = "many";\n')
    service.start(UNLIMITED)
    assert client.cmd("GET", "a") == b"kept"
    assert service.metric("atomdb_crashes_total") == 0


def test_unknown_files_stay_in_the_store(service):
    service.start(UNLIMITED)
    service.end()
    read, write = os.pipe()
    os.close(read)
    service.store.append(("of-another-release", write))
    service.start(UNLIMITED)
    assert "a file with an unknown name: of-another-release" in service.log()
    assert "of-another-release" in service.names()


@pytest.mark.parametrize("damage", ["flip", "cut", "zero", "swap"])
@pytest.mark.parametrize("how", ["end", "die"])
def test_damage_affects_damaged_entries_only(service, damage, how):
    """The daemon does not crash, and all values are those that the client wrote. The check always detects one changed
    byte in an entry. It misses 1 in 256 entries with more changed bytes."""
    service.start(UNLIMITED)
    values = {b"key %d" % i: b"%d:" % i + b"v" * (i % 300) for i in range(5000)}
    random.seed(damage + how)
    with service.client("one") as client:
        client.many([("SET", key, value) for key, value in values.items()])
    for _ in range(3):
        getattr(service, how)()
        (fd,) = service.kept("atomdb-shard-0")
        # The blocks follow the header and the page table, which is mostly a hole.
        first, size = os.lseek(fd, 1 << 28, os.SEEK_DATA), os.fstat(fd).st_size
        if damage == "flip":
            for _ in range(20):
                at = random.randrange(first, size)
                os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1 << random.randrange(8)]), at)
        elif damage == "cut":
            os.ftruncate(fd, size - random.randrange(1, 1 << 16))
        else:
            one, other = (random.randrange(first // 4096, size // 4096) * 4096 for _ in range(2))
            pages = bytes(4096), os.pread(fd, 4096, one), os.pread(fd, 4096, other)
            os.pwrite(fd, pages[0] if damage == "zero" else pages[2], one)
            if damage == "swap":
                os.pwrite(fd, pages[1], other)
        try:
            service.start(UNLIMITED)
        except AssertionError:
            # The daemon refuses the data: the header or the directory of tenants is damaged.
            service._ended(1)
            assert "cannot be read; AtomDB does not start" in service.log()
            service.drop_store()
            service.start(UNLIMITED)
            continue
        with service.client("one") as client:
            found = dict(zip(values, client.many([("GET", key) for key in values])))
        # A page has two entries that extend beyond it.
        assert sum(value is not None and value != values[key] for key, value in found.items()) <= (damage == "swap")
        # A damaged page table may cost a slab of 64 KiB.
        assert sum(value is not None for value in found.values()) > 3000


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_clients_are_closed(service, damage):
    service.start(UNLIMITED)
    clients = [service.client("one") for _ in range(5)]
    clients[0].cmd("SET", "a", 1)
    service.end()
    (fd,) = service.kept("atomdb-state")
    if damage == "flip":
        at = random.randrange(os.fstat(fd).st_size)
        os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 16]), at)
    else:
        os.ftruncate(fd, 0 if damage == "empty" else os.fstat(fd).st_size - 9)
    service.start(UNLIMITED)
    assert "Connections could not be handed over" in service.log()
    for client in clients:
        assert client.closed()
    with service.client("one") as client:
        assert client.cmd("GET", "a") == b"1"


# --- clients -----------------------------------------------------------------------------------------------------


@pytest.mark.threads
def test_clients_in_every_state_continue(service):
    service.start(TWO)
    plain, named, multi, clean, dirty, expired, off, skip = (service.client("one") for _ in range(8))
    resp3, listener, sharded, watcher, redirected, half, stranger = (
        service.client("one"), service.client("one"), service.client("one"), service.client("one"),
        service.client("one"), service.client("one"), service.client())
    named.many([("CLIENT", "SETNAME", "Bob"), ("CLIENT", "SETINFO", "LIB-NAME", "test"), ("SELECT", 7),
                ("CLIENT", "NO-EVICT", "ON")])
    plain.many([("SET", "a", 1), ("SET", "watched", 1)])
    multi.many([("MULTI",), ("SET", "in multi", "x"), ("INCR", "a"), ("CLIENT", "GETNAME"), ("GET", "in multi")])
    clean.many([("WATCH", "watched"), ("MULTI",), ("INCR", "a")])
    dirty.many([("WATCH", "a"), ("MULTI",), ("INCR", "a")])
    for ttl_ms in (600, 6000, 60000):
        plain.cmd("SET", "soon", 1, "PX", ttl_ms)
        expired.many([("WATCH", "soon"), ("MULTI",), ("INCR", "a")])
        if (due := plain.cmd("PEXPIRETIME", "soon")) > 0:
            break
        expired.cmd("DISCARD")
    plain.cmd("SET", "a", 10)
    off.send(encode("CLIENT", "REPLY", "OFF"))
    skip.send(encode("CLIENT", "REPLY", "SKIP"))
    resp3.cmd("HELLO", 3)
    resp3.many([("CLIENT", "TRACKING", "ON"), ("GET", "a")])
    listener.many([("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*")])
    sharded.cmd("SSUBSCRIBE", "shard")
    ids = {"redirected": redirected.cmd("CLIENT", "ID")}
    redirected.cmd("SUBSCRIBE", "__redis__:invalidate")
    watcher.many([("CLIENT", "TRACKING", "ON", "REDIRECT", ids["redirected"], "BCAST", "PREFIX", "b:")])
    plain.cmd("CONFIG", "SET", "notify-keyspace-events", "K$")
    listener.cmd("SUBSCRIBE", "__keyspace@0__:noted")
    half.send(encode("SET", "half", "whole")[:-9])
    numbers = {client: client.cmd("CLIENT", "ID") for client in (plain, named)}
    # The server has read the input of all clients.
    plain.cmd("PING")
    wait_for(lambda: service.metric("redis_connected_clients") == 15)
    time.sleep(0.05)

    service.restart()

    assert service.metric("atomdb_recovered_clients") == 15
    assert named.cmd("CLIENT", "GETNAME") == b"Bob"
    line = named.cmd("CLIENT", "INFO").decode()
    assert " db=7 " in line and " lib-name=test " in line and "flags=e" in line
    assert multi.cmd("EXEC") == ["OK", 11, None, b"x"]
    assert dirty.cmd("EXEC") is None
    assert clean.cmd("EXEC") == [12]
    wait_for(lambda: time.time() * 1000 > due + 1, 100, "the key to expire")
    assert expired.cmd("EXEC") is None
    off.send(encode("SET", "off", 1) + encode("CLIENT", "REPLY", "ON"))
    assert off.read() == "OK" and off.cmd("GET", "off") == b"1"
    skip.send(encode("GET", "a") + encode("ECHO", "heard"))
    assert skip.read() == b"heard"
    # The invalidation from before the restart arrives first.
    assert resp3.read() == Push([b"invalidate", [b"a"]])
    assert resp3.cmd("HELLO")[b"proto"] == 3
    assert plain.cmd("PUBLISH", "news", "today") == 2
    assert listener.read() == [b"message", b"news", b"today"]
    assert listener.read() == [b"pmessage", b"n*", b"news", b"today"]
    assert plain.cmd("SPUBLISH", "shard", "x") == 1
    assert sharded.read() == [b"smessage", b"shard", b"x"]
    plain.cmd("SET", "noted", 1)
    assert listener.read() == [b"message", b"__keyspace@0__:noted", b"set"]
    plain.cmd("SET", "b:1", 1)
    assert redirected.read() == [b"message", b"__redis__:invalidate", [b"b:1"]]
    half.send(encode("SET", "half", "whole")[-9:])
    assert half.read() == "OK" and half.cmd("GET", "half") == b"whole"
    assert isinstance(stranger.cmd("GET", "a"), Error)
    assert stranger.cmd("AUTH", "one") == "OK" and stranger.cmd("GET", "a") == b"12"
    # Each client keeps its number, and no number is used twice.
    taken = {client.cmd("CLIENT", "ID") for client in (plain, named, multi, clean, dirty)}
    assert all(client.cmd("CLIENT", "ID") == number for client, number in numbers.items())
    assert service.client("one").cmd("CLIENT", "ID") == 16


def test_a_monitor_continues(service):
    service.start(TWO)
    with service.client("one") as monitor, service.client("one") as client, service.client("two") as stranger:
        assert monitor.cmd("MONITOR") == "OK"
        client.cmd("SET", "before", 1)
        service.restart()
        client.cmd("SET", "after", 2)
        stranger.cmd("SET", "not", "shown")
        assert '"SET" "before" "1"' in monitor.read()
        assert '"SET" "after" "2"' in monitor.read()
        kinds = sorted(re.findall(rb" flags=(\S+) ", client.cmd("CLIENT", "LIST")))
        assert kinds == [b"N", b"O"]
        service.restart()
        client.cmd("GET", "after")
        assert '"GET" "after"' in monitor.read()


def test_the_operators_monitor_continues(service, tmp_path):
    (tmp_path / "admin").write_text("root-secret\n")
    service.start(TWO + f'admin: {{ secret_file = "{tmp_path}/admin"; }};\n')
    with service.client("root-secret") as operator, service.client("one") as one:
        assert operator.cmd("MONITOR") == "OK"
        one.cmd("SET", "before", 1)
        service.restart()
        assert '"SET" "before" "1"' in operator.read()
        # Existing and new tenants of every worker.
        for number in range(10):
            with service.client(f"new{number}") as client:
                client.cmd("SET", f"k{number}", number)
                assert f'"SET" "k{number}" "{number}"' in operator.read()
        assert one.cmd("GET", "before") == b"1"
        assert '"GET" "before"' in operator.read()
    # Without the monitor, no worker sends lines, and the counters are correct.
    with service.client("one") as one, service.client("root-secret") as operator:
        one.cmd("GET", "before")
        assert operator.cmd("MONITOR") == "OK"
        one.cmd("GET", "before")
        assert '"GET" "before"' in operator.read()


def test_unread_replies_arrive(service):
    service.start(UNLIMITED)
    client = service.client("one")
    value = os.urandom(1 << 20)
    client.cmd("SET", "k", value)
    client.send(encode("GET", "k") * 40 + encode("PING"))
    time.sleep(0.3)
    service.restart()
    service.restart()
    for _ in range(40):
        assert client.read() == value
    assert client.read() == "PONG"


def test_a_client_that_has_sent_quit_gets_its_replies(service):
    service.start(UNLIMITED)
    client = service.client("one")
    value = os.urandom(1 << 20)
    client.cmd("SET", "k", value)
    client.send(encode("GET", "k") * 30 + encode("QUIT"))
    time.sleep(0.3)
    service.restart()
    for _ in range(30):
        assert client.read() == value
    assert client.read() == "OK"
    assert client.closed()


def test_a_paused_client_stays_paused(service):
    service.start(UNLIMITED)
    one, other = service.client("one"), service.client("one")
    one.cmd("CLIENT", "PAUSE", 100000, "WRITE")
    other.send(encode("SET", "a", 1) + encode("GET", "a"))
    wait_for(lambda: b"qbuf=27" not in one.cmd("CLIENT", "LIST"))
    time.sleep(0.1)
    service.restart()
    assert one.cmd("GET", "a") is None
    one.cmd("CLIENT", "UNPAUSE")
    assert other.read() == "OK" and other.read() == b"1"


def test_clients_connect_during_restarts(service):
    """Connections that the daemon has not accepted stay in the queue of the listening socket."""
    service.start(UNLIMITED)
    service.end()
    clients = [service.client() for _ in range(20)]
    for client in clients:
        client.send(encode("AUTH", "one") + encode("PING"))
    service.start(UNLIMITED)
    for client in clients:
        assert client.read() == "OK" and client.read() == "PONG"


class Peak(threading.Thread):
    """Samples the maximum memory of a process until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path, self.peak = f"/proc/{pid}/status", 0
        self.start()

    def run(self):
        try:
            while True:
                with open(self.path, encoding="ascii") as status:
                    found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
                if not found:
                    return
                self.peak = int(found[1]) * 1024
                time.sleep(0.005)
        except OSError:
            pass

    def end(self):
        self.join(20)
        return self.peak


class Counter(threading.Thread):
    """A client with a counter: every reply must be the next number, over any number of restarts."""

    def __init__(self, service, number):
        super().__init__(daemon=True)
        self.client, self.name, self.done = service.client(f"secret {number % 7}"), f"counter {number}", False
        self.replies, self.error = 0, None

    def run(self):
        try:
            while not self.done:
                self.client.send(encode("INCR", self.name) * 10)
                for _ in range(10):
                    self.replies += 1
                    assert self.client.read() == self.replies
                time.sleep(0.002)
        except BaseException as error:  # the test reports it
            self.error = error


def test_no_reply_is_lost_repeated_or_out_of_order(service, request):
    """Clients under load and clients in every other state, over ten restarts."""
    long = request.config.getoption("--long")
    idle_count, busy_count = (4900, 100) if long else (900, 30)
    service.start("resp: { auth_timeout = 0; };\n" + TWO, nofile=None)
    busy = [Counter(service, i) for i in range(busy_count)]
    idle = [service.client(f"secret {i % 7}" if i % 10 else None) for i in range(idle_count)]
    for i, client in enumerate(idle):
        if i % 10 == 1:
            client.cmd("SUBSCRIBE", f"channel {i}")
        elif i % 10 == 2:
            client.many([("WATCH", f"nobody's {i}"), ("MULTI",), ("INCR", f"multi {i}")])
        elif i % 10 == 3:
            client.many([("CLIENT", "SETNAME", f"name-{i}"), ("SELECT", i % 16)])
        elif i % 10 == 4:
            client.cmd("HELLO", 3)
            client.cmd("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", f"prefix {i}")
    for thread in busy:
        thread.start()
    for turn in range(10):
        service.restart()
        time.sleep(0.05)
        for i, client in enumerate(idle):
            if i % 10 == 2 and turn == 4:
                assert client.cmd("EXEC") == [1]
            elif i % 10 == 3 and i % 50 == turn:
                assert client.cmd("CLIENT", "GETNAME") == f"name-{i}".encode()
    wait_for(lambda: all(thread.replies > 100 or thread.error for thread in busy), what="replies to each client")
    for thread in busy:
        thread.done = True
    for thread in busy:
        thread.join(20)
        assert thread.error is None, thread.error
        assert thread.replies > 100
    with service.client("secret 1") as client:
        for i in range(1, idle_count, 70):
            if i % 10 == 1:
                assert client.cmd("PUBLISH", f"channel {i}", "x") == 1
                assert idle[i].read() == [b"message", f"channel {i}".encode(), b"x"]
    for i, client in enumerate(idle):
        if i % 10 not in (0, 1, 2):
            assert client.cmd("PING") == "PONG"
    assert service.metric("atomdb_restarts_total") == 10
    assert service.metric("redis_connected_clients") == idle_count + busy_count

@pytest.mark.parametrize("change", [("GET", "other"), ("DEL", "big"), ("APPEND", "big", "more")])
def test_a_value_is_sent_completely_over_a_restart(service, change):
    """The next process takes over the pinned value, even if the key has changed, and frees it in the end."""
    service.start(UNLIMITED)
    value = os.urandom(1 << 20) * 8
    with service.client("one") as reader, service.client("one") as other:
        before = int(info(other, "memory")["used_memory"])
        other.cmd("SET", "big", value)
        reader.send(encode("GET", "big") + encode("PING"))
        reader.data += reader.sock.recv(1)
        other.cmd(*change)
        service.restart()
        assert reader.read() == value and reader.read() == "PONG"
        other.cmd("DEL", "big")
        assert int(info(other, "memory")["used_memory"]) < before + (1 << 20)
        service.crash(signal.SIGKILL)
    with service.client("one") as client:
        assert client.cmd("DBSIZE") == 0


LIMITED = """defaults: { max_entries = 0; max_memory = "%dM"; client_memory = "1G"; eviction = "%s"; };
resp: { output_buffer = "256M"; };
"""


@pytest.mark.parametrize("eviction", ["lru", "none"])
def test_a_slow_reader_evicts_no_key_and_gets_all(service, eviction):
    """The value fills the quota: there is no room for a copy."""
    service.start(LIMITED % (45, eviction))
    value = os.urandom(1 << 20) * 40
    with service.client("one") as reader, service.client("one") as other:
        assert other.cmd("SET", "big", value) == "OK"
        assert set(other.many([("SET", f"small{i}", i) for i in range(25)])) == {"OK"}
        reader.send(encode("GET", "big") + encode("PING"))
        reader.data += reader.sock.recv(1)
        for _ in range(2):
            service.restart()
            assert other.cmd("DBSIZE") == 26
        assert reader.read() == value and reader.read() == "PONG"
        assert info(other)["evicted_keys"] == "0"
        assert other.cmd("DBSIZE") == 26


@pytest.mark.parametrize("eviction", ["lru", "none"])
def test_unsent_replies_evict_no_key_at_a_restart(service, eviction):
    """The heap holds replies of many megabytes, and the tenant is almost full."""
    service.start(LIMITED % (64, eviction))
    value = os.urandom(1 << 19)
    with service.client("one") as reader, service.client("one") as other:
        assert set(other.many([("SET", f"k{i}", value) for i in range(40)])) == {"OK"}
        names = [f"k{i}" for i in range(40)]
        reader.send(encode("MGET", *names) + encode("PING"))
        reader.data += reader.sock.recv(1)
        for _ in range(3):
            service.restart()
            assert other.cmd("EXISTS", *names) == 40
        assert reader.read() == [value] * 40 and reader.read() == "PONG"
        assert info(other)["evicted_keys"] == "0"


def test_many_readers_of_large_values_cause_no_copies(service):
    """70 clients each read 55 MB: no process holds more than the value."""
    service.start(UNLIMITED)
    value = os.urandom(1 << 20) * 55
    readers = [service.client("one") for _ in range(70)]
    with service.client("one") as other:
        other.cmd("SET", "big", value)
        for reader in readers:
            reader.send(encode("GET", "big"))
            reader.data += reader.sock.recv(1)
        with open(f"/proc/{service.pid}/clear_refs", "w", encoding="ascii") as peak:
            peak.write("5")
        old = service.process.pid
        watch = Peak(old)
        service.restart()
        assert watch.end() < 400 << 20
        assert service.status("VmHWM") < 400 << 20
        other.cmd("DEL", "big")
        service.restart()
        assert service.status("VmHWM") < 400 << 20
        for reader in readers[:3]:
            assert reader.read() == value
        for reader in readers:
            reader.close()
        wait_for(lambda: int(info(other, "memory")["used_memory"]) < 1 << 20)


# --- random kills, checked against a model -----------------------------------------------------------------------


class Writer:
    """Writes random commands. Records acknowledged writes, and the possible results of unacknowledged ones."""

    def __init__(self, service, number):
        self.service, self.random, self.secret = service, random.Random(number), f"writer {number}"
        self.number, self.keys, self.sent = number, {}, []

    def key(self):
        return b"key %d" % self.random.randrange(300)

    def value(self):
        return b"%d" % self.random.randrange(10**6) + b"." * self.random.choice((0, 3, 20, 200, 5000, 70000))

    def command(self):
        """Returns a batch of commands, and its effect on the keys."""
        kind = self.random.randrange(9)
        one, other, value = self.key(), self.key(), self.value()
        if kind < 3:
            return [("SET", one, value)], {one: value}
        if kind == 3:
            return [("DEL", one)], {one: None}
        if kind == 4:
            third = self.key()
            return [("MSET", one, value, other, value + b"2", third, value + b"3")], {
                one: value, other: value + b"2", third: value + b"3"}
        if kind == 5 and self.keys.get(one) is not None and one != other:
            return [("RENAME", one, other)], {one: None, other: self.keys[one]}
        if kind == 6:
            return [("MULTI",), ("SET", one, value), ("DEL", other), ("APPEND", other, "x"), ("EXEC",)], {
                one: value if one != other else b"x", other: b"x"}
        if kind == 7:
            return [("SETRANGE", one, 0, b"#####")], {one: b"#####" + (self.keys.get(one) or b"")[5:]}
        return [("SET", one, value), ("PEXPIRE", one, 0)], {one: None}

    def run(self, stop):
        """Writes until the daemon ends. self.sent has the last batch if the daemon did not acknowledge it."""
        try:
            with self.service.client(self.secret) as client:
                while not stop.is_set():
                    commands, effect = self.command()
                    self.sent = [(commands, effect)]
                    for reply in client.many(commands):
                        assert not isinstance(reply, Error), (commands, reply)
                    self.keys.update(effect)
                    self.sent = []
        except (Closed, OSError):
            pass

    def check(self):
        """Checks that the state is the acknowledged one, or the one after a prefix of the unacknowledged batch."""
        with self.service.client(self.secret) as client:
            names = [b"key %d" % i for i in range(300)]
            found = dict(zip(names, client.many([("GET", name) for name in names])))
            size = client.cmd("DBSIZE")
        states = [dict(self.keys)]
        for commands, effect in self.sent:
            if commands[0][0] == "SET" and len(commands) == 2:
                states.append(self.keys | {commands[0][1]: commands[0][2]})
            states.append(self.keys | effect)
        for state in states:
            if all(found[name] == state.get(name) for name in names):
                break
        else:
            name = next(name for name in names if found[name] != states[0].get(name))
            raise AssertionError((self.number, self.sent, name, found[name], states[0].get(name)))
        assert size == sum(value is not None for value in found.values())
        self.keys, self.sent = state, []


def test_acknowledged_writes_survive_kills_at_random(service, request):
    kills = 500 if request.config.getoption("--long") else 50
    if request.config.getoption("--long"):
        signal.alarm(1800)
    service.start(TWO)
    chance = random.Random(28)
    writers = [Writer(service, i) for i in range(4)]
    for _ in range(kills):
        stop = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(stop,), daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.01, 0.25))
        service.crash(chance.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)))
        stop.set()
        for thread in threads:
            thread.join(20)
        assert "0 damaged blocks dropped" in service.recovered()
        for writer in writers:
            writer.check()
