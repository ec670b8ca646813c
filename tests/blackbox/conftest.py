"""Fixtures of the black-box tests. They start servers for a test, and stop and check them after it."""

import itertools
import os
import resource
import shutil
import signal
import tempfile

import pytest

import harness
from supervisor import Supervised


def pytest_addoption(parser):
    parser.addoption("--binary", default=os.environ.get("ATOMDB_BIN", "build/atomdb"), help="the daemon to test")
    parser.addoption("--long", action="store_true", help="also run the tests that take long or much memory")
    parser.addoption("--hooks", action="store_true", help="the daemon is built with ATOMDB_TEST_HOOKS")
    parser.addoption("--server", choices=("atomdb", "redis"), default="atomdb",
                     help="redis: prove the tests marked like_redis against Debian's redis-server")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes long or much memory; runs with --long")
    config.addinivalue_line("markers", "like_redis: holds for redis-server 7.0 too")
    config.addinivalue_line("markers", "hooks: needs a daemon built with ATOMDB_TEST_HOOKS; runs with --hooks")
    config.addinivalue_line("markers", "threads: of interest to ThreadSanitizer")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(config, items):
    if config.getoption("--server") == "redis":
        items[:] = [item for item in items if item.get_closest_marker("like_redis")]
    for option in ("long", "hooks"):
        if not config.getoption("--" + option):
            items[:] = [item for item in items if not item.get_closest_marker(option)]


@pytest.fixture(autouse=True)
def hurry():
    """Interrupts a test that hangs."""
    def late(*_):
        raise TimeoutError("the test takes too long")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(150 * harness.PATIENCE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def binary(request):
    path = os.path.abspath(request.config.getoption("--binary"))
    assert shutil.which(path), f"there is no program {path}: build it, or name it with --binary"
    return path


@pytest.fixture
def atomdb(binary, tmp_path):
    """A daemon that the test starts with atomdb.start(config). The fixture stops and checks it after the test."""
    server = harness.AtomDB(binary, tmp_path)
    yield server
    try:
        server.stop()
    finally:
        server.kill() if server.process else None


class Shared:
    """One server for all tests without a configuration of their own. It starts again if a test ended it."""

    def __init__(self, make):
        self.make, self.server = make, None

    def get(self):
        if self.server is None:
            self.server = self.make()
        return self.server

    def check(self):
        """Fails only the test that ended the server."""
        if self.server is not None and not self.server.alive():
            code, log = self.server.process.returncode, self.server.log()
            self.stop()
            raise AssertionError(f"the server has ended with {code}:\n{log}")

    def stop(self):
        server, self.server = self.server, None
        if server is not None:
            try:
                server.stop()
            finally:
                server.kill() if server.process else None


@pytest.fixture
def service(binary, tmp_path):
    """A daemon as a service, which keeps its data over service.restart(). The test starts it."""
    server = Supervised(binary, tmp_path)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_server(request, tmp_path_factory):
    if request.config.getoption("--server") == "redis":
        holder = Shared(lambda: harness.Redis(tmp_path_factory.mktemp("shared")).start())
    else:
        binary = request.getfixturevalue("binary")
        holder = Shared(lambda: harness.AtomDB(binary, tmp_path_factory.mktemp("shared")).start())
    yield holder
    holder.stop()


@pytest.fixture
def shared(shared_server):
    """The shared server. Each test has its own tenant."""
    yield shared_server.get()
    shared_server.check()


_numbers = itertools.count(1)


@pytest.fixture
def secret(shared):
    """A secret that only this test uses on the shared server: an empty tenant."""
    return getattr(shared, "secret", None) or f"secret-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def client(shared, secret):
    """An authenticated connection to the shared server, with an empty keyspace."""
    with shared.client(secret) as connection:
        connection.cmd("FLUSHALL")
        yield connection


@pytest.fixture
def short_directory():
    """A directory with a short path: the path of a Unix socket and the address in CLIENT INFO have a maximum
    length."""
    with tempfile.TemporaryDirectory(prefix="atomdb-", dir="/tmp") as path:
        yield path
