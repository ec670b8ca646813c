"""Two workers: a connection moves from the worker that accepted it to the worker of its tenant."""

import socket
import threading
import time

import pytest

from harness import Push, encode, info, scaled, wait_for

pytestmark = pytest.mark.threads
CONFIG = 'workers = 2;\ndefaults: { max_entries = 0; max_memory = "0"; };\n'
SECRETS = [f"tenant-{number}" for number in range(8)]


@pytest.fixture
def two(atomdb):
    return atomdb.start(CONFIG)


def test_clients_of_one_tenant_see_one_order_of_commands(two):
    """All connections of a tenant move to the worker of the tenant, and see the same order of commands."""
    clients = [two.client("s") for _ in range(40)]
    for client in clients:
        client.send(encode("INCR", "n") * 50)
    tickets = sorted(client.read() for client in clients for _ in range(50))
    assert tickets == list(range(1, 2001))
    assert two.metric("atomdb_worker_connections_total") == 40
    for client in clients:
        client.close()


def test_tenants_spread_over_the_workers(two):
    clients = [two.client(secret) for secret in SECRETS]
    for number, client in enumerate(clients):
        client.cmd("SET", "who", number)
    for number, client in enumerate(clients):
        assert client.cmd("GET", "who") == b"%d" % number
        assert client.cmd("DBSIZE") == 1
        client.close()


def test_auth_within_a_pipeline_keeps_the_order(two):
    """AUTH may move the connection to the other worker: the rest of the packet runs there, in order."""
    for secret in SECRETS:
        with two.client() as client:
            client.send(encode("NOSUCH") + encode("AUTH", secret) + encode("SET", "k", secret) + encode("GET", "k")
                        + encode("INCR", "count") + encode("PING"))
            assert client.read().startswith("ERR unknown command")
            assert [client.read() for _ in range(5)] == ["OK", "OK", secret.encode(), 1, "PONG"]


def test_a_pipeline_may_have_many_auth_commands(two):
    with two.client() as client:
        stream, expected = b"", []
        for round_number in range(30):
            for secret in SECRETS:
                stream += encode("AUTH", secret) + encode("INCR", "rounds") + encode("APPEND", "name", secret[-1])
                expected += ["OK", round_number + 1, round_number + 1]
        client.send(stream)
        assert [client.read() for _ in expected] == expected
    assert two.metric("atomdb_worker_moved_connections_total") >= 30


def test_auth_may_arrive_one_byte_at_a_time(two):
    stream = b"".join(encode("AUTH", secret) + encode("SET", "k", secret) + encode("GET", "k") for secret in SECRETS)
    with two.client() as client:
        for byte in stream + encode("QUIT"):
            client.send(bytes([byte]))
        expected = b"".join(b"+OK\r\n+OK\r\n$%d\r\n%b\r\n" % (len(s), s.encode()) for s in SECRETS)
        assert client.rest() == expected + b"+OK\r\n"


def test_auth_may_be_split_anywhere(two):
    stream = encode("AUTH", SECRETS[0]) + encode("INCR", "a") + encode("AUTH", SECRETS[1]) + encode("ECHO", "x" * 20)
    counts = 0
    for cut in range(1, len(stream)):
        with two.client() as client:
            client.send(stream[:cut])
            client.send(stream[cut:])
            counts += 1
            assert [client.read() for _ in range(4)] == ["OK", counts, "OK", b"x" * 20], cut


def test_unsent_replies_move_with_the_connection(two):
    """Large replies wait for a slow reader while the AUTH after them moves the connection."""
    value = b"x" * (1 << 20)
    for secret in SECRETS[:4]:
        with two.client(secret) as client:
            client.cmd("SET", "big", value)
    with two.client() as client:
        stream = b""
        for secret in SECRETS[:4] * 3:
            stream += encode("AUTH", secret) + encode("GET", "big") + encode("GET", "big")
        client.send(stream)
        for _ in range(12):
            assert client.read() == "OK"
            assert client.read() == value
            assert client.read() == value


def test_a_large_argument_may_follow_auth(two):
    value = bytes(range(256)) * 8192  # 2 MiB
    for secret in SECRETS:
        with two.client() as client:
            client.send(encode("AUTH", secret) + encode("SET", "big", value) + encode("STRLEN", "big"))
            assert [client.read() for _ in range(3)] == ["OK", "OK", len(value)]


def test_a_connection_may_close_while_it_moves(two):
    for number in range(300):
        with two.client() as client:
            client.send(encode("AUTH", SECRETS[number % 8]) + encode("INCR", "n") + encode("AUTH", SECRETS[(number + 1) % 8]))
    with two.client(SECRETS[0]) as client:
        assert client.cmd("PING") == "PONG"


def test_the_anonymous_tenant_has_one_worker(atomdb):
    atomdb.start(CONFIG + 'anonymous = "guest"; tenancy = "listed"; tenants: ( { name = "guest"; } );')
    clients = [atomdb.client() for _ in range(30)]
    for client in clients:
        client.send(encode("INCR", "n") + encode("CLIENT", "ID"))
    replies = [(client.read(), client.read()) for client in clients]
    assert sorted(number for number, _ in replies) == list(range(1, 31))
    assert len({identity for _, identity in replies}) == 30
    for client in clients:
        client.close()


def test_parallel_clients_lose_no_command(two):
    """Clients of many tenants authenticate, write, change tenants and disconnect concurrently, while HTTP scrapes
    run."""
    failures = []

    def work(number):
        try:
            for round_number in range(20):
                secret = SECRETS[(number + round_number) % 8]
                with two.client(secret) as client:
                    key = f"k{number}"
                    assert client.cmd("SET", key, round_number) == "OK"
                    assert client.cmd("GET", key) == b"%d" % round_number
                    assert client.cmd("AUTH", SECRETS[number % 8]) == "OK"
                    client.cmd("INCR", "all")
                    client.cmd("CLIENT", "LIST")
                    client.cmd("INFO")
        except Exception as error:  # noqa: BLE001 reported below, with the number of the thread
            failures.append((number, error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        two.http("/metrics")
    for thread in threads:
        thread.join()
    assert not failures
    total = 0
    for secret in SECRETS:
        with two.client(secret) as client:
            total += int(client.cmd("GET", "all") or 0)
    assert total == 16 * 20


def test_a_reload_does_not_disturb_other_clients(atomdb):
    listed = 'tenancy = "listed"; tenants: ( %s );'
    rows = ['{ name = "t%d"; secret = "%s"; max_entries = 50; }' % pair for pair in enumerate(SECRETS)]
    atomdb.start("workers = 2;\n" + listed % ", ".join(rows))
    stop, failures = threading.Event(), []

    def work():
        try:
            with atomdb.client(SECRETS[0]) as client:
                count = 0
                while not stop.is_set():
                    count += 1
                    assert client.cmd("INCR", "n") == count
        except Exception as error:  # noqa: BLE001 reported below
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for number in range(10):
            others = [atomdb.client(secret) for secret in SECRETS[4:]]
            atomdb.reload("workers = 2;\n" + listed % ", ".join(rows[:4]))
            assert all(other.closed() for other in others)
            atomdb.reload("workers = 2;\n" + listed % ", ".join(rows))
    finally:
        stop.set()
        thread.join()
    assert not failures


def test_client_ids_are_unique_in_a_tenant(two):
    clients = [two.client(SECRETS[number % 8]) for number in range(64)]
    identities = [(number % 8, client.cmd("CLIENT", "ID")) for number, client in enumerate(clients)]
    assert len(set(identities)) == 64
    for client in clients:
        assert info(client)["connected_clients"] == "8"
    for client in clients:
        client.close()


def leave_unsent(publisher):
    """Publishes until each subscriber has messages that the kernel does not accept."""
    for _ in range(1000):
        publisher.cmd("PUBLISH", "channel", "m" * 60000)
        lines = [line for line in publisher.cmd("CLIENT", "LIST").decode().splitlines() if " sub=1 " in line]
        if min(int(line.split(" omem=")[1].split()[0]) for line in lines) >= 300000:
            return
    raise AssertionError("the kernel accepts all messages")


def subscribe_without_reading(publisher, subscribers):
    for subscriber in subscribers:
        # A fixed receive buffer.
        subscriber.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        subscriber.cmd("HELLO", "3")
        subscriber.cmd("SUBSCRIBE", "channel")
    leave_unsent(publisher)


def leave_behind_unsent_messages(server):
    """Returns subscribers with a pending AUTH each, older than auth_timeout. At least one has moved to the other worker,
    which cannot attach it before the client has read."""
    # One of them is on the other worker.
    secrets = SECRETS[:3]
    with server.client("here") as publisher:
        subscribers = [server.client("here") for _ in secrets]
        subscribe_without_reading(publisher, subscribers)
        time.sleep(3.5)
        # During this time, the kernel has accepted more.
        leave_unsent(publisher)
    moved = server.metric("atomdb_worker_moved_connections_total")
    for subscriber, secret in zip(subscribers, secrets):
        subscriber.send(encode("AUTH", secret) + encode("PING"))
    moves = lambda: server.metric("atomdb_worker_moved_connections_total") - moved
    wait_for(lambda: 0 < moves() == server.metric("atomdb_clients", state="stranger"), 10, "one to move, and to wait there")
    return subscribers


@pytest.mark.parametrize("restart", [False, True])
def test_a_client_that_waits_for_its_move_outlives_auth_timeout(service, restart):
    """An AUTH after unsent messages has to wait there. By this time, the client is older than auth_timeout."""
    two = service.start("resp: { auth_timeout = 2; };\n" + CONFIG)
    subscribers = leave_behind_unsent_messages(two)
    if restart:
        two.restart()
    time.sleep(3.5)
    for subscriber in subscribers:
        message = subscriber.read()
        while isinstance(message, Push):
            message = subscriber.read()
        assert message == "OK"
        assert subscriber.read() == "PONG"
        subscriber.close()


def test_unsent_messages_move_with_their_subscriber(two):
    """A subscriber that does not read changes tenants in the turn that sends it one more message."""
    slow, half = encode("LCS", "a", "b", "LEN"), scaled(5000)
    with two.client("here") as busy, two.client("here") as publisher:
        busy.cmd("MSET", "a", "ab" * half, "b", "ba" * half)
        # One of them is on the other worker.
        for secret in SECRETS[:3]:
            with two.client("here") as subscriber, two.client(secret) as other:
                other.cmd("MSET", "a", "ab" * half, "b", "ba" * half, "k", "v")
                subscribe_without_reading(publisher, [subscriber])
                # While its worker is busy, both commands arrive together. The other worker, which is busy for longer,
                # takes the subscriber after the turn.
                busy.send(slow)
                other.send(slow * 3)
                time.sleep(0.02)
                publisher.send(encode("PUBLISH", "channel", "the last one"))
                time.sleep(0.05)
                subscriber.send(encode("AUTH", secret) + encode("GET", "k"))
                assert busy.read() == 2 * half - 1
                assert [other.read() for _ in range(3)] == [2 * half - 1] * 3
                assert publisher.read() == 1
                message = subscriber.read()
                while message[2] != b"the last one":
                    message = subscriber.read()
                assert subscriber.read() == "OK"
                assert subscriber.read() == b"v"
