"""Commands of the operator that visit all clients hold no worker for long. Clients come and go meanwhile.

A daemon that is built with ATOMDB_COUNT_WORK counts the work between two check points (tests/hooks/count_work.c)."""

import contextlib

import pytest

from harness import encode, wait_for

# Units between two points, each about a nanosecond.
MOST = 500_000
CLIENTS = 1000
CONFIG = """
workers = 2;
enable_debug_command = true;
defaults: { max_entries = 0; max_memory = "0"; };
admin: { secret_file = "%s"; };
"""


@pytest.fixture
def admin(tmp_path):
    path = tmp_path / "admin"
    path.write_text("root-secret\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def crowd(atomdb, admin):
    """A server, the operator, and many clients of several tenants."""
    server = atomdb.start(CONFIG % admin)
    with contextlib.ExitStack() as stack:
        operator = stack.enter_context(server.client("root-secret"))
        clients = [stack.enter_context(server.client(f"tenant-{i % 8}")) for i in range(CLIENTS)]
        yield server, operator, clients


def longest(clients):
    """Returns the longest piece of work since the last call, of the workers of the first tenants."""
    return max(client.cmd("DEBUG", "LONGEST-WORK")[0] for client in clients[:8])


def listed(operator, *arguments):
    return [line.split()[0][3:] for line in operator.cmd("CLIENT", "LIST", *arguments).decode().splitlines()]


@pytest.mark.hooks
@pytest.mark.threads
def test_a_list_of_all_clients_is_made_in_pieces(crowd):
    _, operator, clients = crowd
    longest(clients)
    ids = listed(operator)
    assert longest(clients) <= MOST
    assert len(ids) == len(set(ids)) == CLIENTS + 1
    some = ids[10:20]
    wanted = [*some, *[10**12 + i for i in range(10_000)]]
    assert sorted(listed(operator, "ID", *wanted)) == sorted(some)
    assert longest(clients) <= MOST


@pytest.mark.hooks
@pytest.mark.threads
def test_clients_that_come_and_go_do_not_disturb_a_list(crowd):
    server, operator, clients = crowd
    operator.send(encode("CLIENT", "LIST") * 20)
    for client in clients[8:500]:
        client.close()
    with contextlib.ExitStack() as stack:
        for i in range(100):
            stack.enter_context(server.client(f"tenant-{i % 8}"))
        for _ in range(20):
            lines = operator.read().splitlines()
            ids = [line.split()[0] for line in lines]
            assert len(ids) == len(set(ids)) >= CLIENTS - 492
        wait_for(lambda: len(listed(operator)) == CLIENTS - 492 + 100 + 1)


@pytest.mark.hooks
@pytest.mark.threads
def test_all_clients_are_closed(crowd):
    _, operator, clients = crowd
    assert operator.cmd("CLIENT", "KILL", "TYPE", "normal") == CLIENTS
    for client in clients:
        assert client.closed()
    assert operator.cmd("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == 1
    assert operator.closed()


@pytest.mark.hooks
def test_the_clients_of_one_tenant_are_closed(crowd):
    _, operator, clients = crowd
    address = f" addr=127.0.0.1:{clients[3].sock.getsockname()[1]} "
    (mine,) = [line.split("user=")[1].split()[0] for line in operator.cmd("CLIENT", "LIST").decode().splitlines()
               if address in line]
    assert operator.cmd("TENANT", "KILL", mine) == CLIENTS // 8
    for client in clients[3::8]:
        assert client.closed()
    assert clients[4].cmd("PING") == "PONG"
