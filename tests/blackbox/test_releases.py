"""Upgrades: the current daemon takes over the state of earlier releases."""

import glob
import os

import pytest

import earlier
from supervisor import Supervised

RELEASES = sorted(glob.glob(os.path.join(os.path.dirname(__file__), "releases", "*.xz")))


@pytest.fixture(params=RELEASES, ids=os.path.basename)
def release(request):
    return request.param


def test_there_are_earlier_releases():
    assert RELEASES


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_data_of_an_earlier_release_is_taken_over(service, release, end):
    files, _ = earlier.bring_back(release, saved=end == "restart")
    service.store = [(name, fd) for name, fd in files.items() if name != "atomdb-state"]
    service.start(earlier.CONFIG)
    assert f"after a {end}: " in service.recovered()
    assert service.metric("atomdb_recovery_dropped_blocks_total") == 0
    earlier.check(service)
    # After the start, the data is in the current format.
    for again in (service.restart, service.crash):
        again()
        earlier.check(service)


def test_clients_of_an_earlier_release_continue(service, release):
    files, names = earlier.bring_back(release)
    carrier, clients = earlier.make_sockets(names)
    service.store = [*files.items(), ("atomdb-clients", carrier)]
    service.start(earlier.CONFIG)
    assert "could not be handed over" not in service.log()
    assert service.metric("atomdb_recovered_clients") == len(names)
    earlier.check_clients(clients)
    earlier.check_unread(clients["unread"])
    earlier.check(service)
    # The next process takes over the clients in the current format.
    service.restart()
    assert all(client.cmd("PING") == "PONG" for name, client in clients.items() if name not in ("listener", "redirected"))
