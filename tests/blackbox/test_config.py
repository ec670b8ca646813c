"""The command line, and errors in the configuration."""

import json
import os
import re
import signal
import stat
import subprocess

import pytest

from harness import AtomDB, Client, Closed, encode, free_port, http_get, wait_for


def run(binary, *arguments, **options):
    return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)


def test_version_and_help_are_printed(binary):
    version = run(binary, "--version")
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)
    assert run(binary, "--help").returncode == 0
    assert "--config" in run(binary, "--help").stdout


@pytest.mark.parametrize("arguments", [["--nosuch"], ["--port", "x"], ["--port", "70000"], ["--port"], ["stray"],
                                       ["--http-port", "-1"]])
def test_a_bad_argument_is_an_error(binary, arguments):
    result = run(binary, *arguments)
    assert result.returncode != 0 and result.stderr


def test_a_file_without_the_config_option_is_an_error(binary):
    result = run(binary, "atomdb.conf")
    assert result.returncode == 2 and "--config" in result.stderr


def test_check_config_accepts_a_good_file(binary, tmp_path):
    path = tmp_path / "good.conf"
    path.write_text('workers = 2;\ntenants: ( { name = "a"; secret = "x"; } );\n')
    result = run(binary, "--check-config", "--config", str(path))
    assert result.returncode == 0, result.stderr


def test_the_shipped_configuration_is_good(binary):
    import os

    from harness import ROOT

    result = run(binary, "--check-config", "--config", os.path.join(ROOT, "conf/atomdb.conf"))
    assert result.returncode == 0, result.stderr


# The text of a file, and the line that the error names.
ERRORS = [
    ("wokers = 2;\n", 1),
    ("workers = 1;\n\nresp: { max_client = 5; };\n", 3),
    ('workers = "2";\n', 1),
    ("\nworkers = -1;\n", 2),
    ("workers = 100000;\n", 1),
    ('max_memory = "12Q";\n', 1),
    ('max_memory = "-1M";\n', 1),
    ('\n\n\ntenancy = "shut";\n', 4),
    ("resp: {\n  auth_timeout = -1;\n};\n", 2),
    ("resp: {\n  listen = [ \"nonsense\" ];\n};\n", 2),
    ("resp = 5;\n", 1),
    ("tenants: (\n  { name = \"a\"; secret = \"x\"; },\n  { name = \"a\"; secret = \"y\"; } );\n", 3),
    ("tenants: (\n  { name = \"a\"; secret = \"x\"; },\n  { name = \"b\"; secret = \"x\"; } );\n", 3),
    ("tenants: (\n  { name = \"a b\"; secret = \"x\"; } );\n", 2),
    ("tenants: (\n  { name = \"a\"; secret = \"x\";\n    max_entries = -3; } );\n", 3),
    ("tenants: (\n  { name = \"a\"; secret_sha256 = \"12\"; } );\n", 2),
    ("tenants: (\n  { name = \"a\"; secret_file = \"/does/not/exist\"; } );\n", 2),
    ("tenants: (\n  { name = \"a\"; secrets = [ \"x\", \"y\", \"z\" ]; } );\n", 2),
    ("defaults: { eviction = \"random\"; };\n", 1),
    ("defaults: { cpu_limit = 1.5; };\n", 1),
    ("defaults: { cpu_limit = -0.1; };\n", 1),
    ("defaults: { cpu_limit = 0.0001; };\n", 1),
    ("defaults: {\n  cpu_limit = \"0.5\"; };\n", 2),
    ("defaults: { cpu_limit = true; };\n", 1),
    ("defaults: { cpu_weight = 0; };\n", 1),
    ("workers = 1\nworkers = 2;\n", 2),
    ("workers = ;\n", 1),
]


@pytest.mark.parametrize("text, line", ERRORS, ids=lambda value: repr(value)[:40])
def test_errors_in_the_configuration_name_file_and_line(binary, tmp_path, text, line):
    path = tmp_path / "bad.conf"
    path.write_text(text)
    result = run(binary, "--check-config", "--config", str(path))
    assert result.returncode != 0
    assert re.search(re.escape(f"{path}:{line}: ") + r"\S", result.stderr), result.stderr
    started = run(binary, "--config", str(path), "--port", str(free_port()), "--http-port", str(free_port()))
    assert started.returncode != 0 and f"{path}:{line}: " in started.stderr


def test_an_error_shows_no_secret(binary, tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text('tenants: ( { name = "a"; secret = "hush-hush"; max_entries = "hush"; },\n'
                    '{ name = "b"; secret = "hush-hush"; } );\n')
    result = run(binary, "--check-config", "--config", str(path))
    assert result.returncode != 0 and "hush-hush" not in result.stderr + result.stdout


def test_a_missing_file_is_an_error(binary, tmp_path):
    result = run(binary, "--config", str(tmp_path / "none.conf"))
    assert result.returncode != 0 and "none.conf" in result.stderr


def test_open_tenancy_beyond_loopback_needs_the_setting(binary, tmp_path):
    path = tmp_path / "open.conf"
    path.write_text('resp: { listen = [ "0.0.0.0:%d" ]; };\n' % free_port())
    result = run(binary, "--check-config", "--config", str(path))
    assert result.returncode != 0 and str(path) in result.stderr
    for allowed in ('resp: { listen = [ "0.0.0.0:1" ]; open_to_network = true; };\n',
                    'resp: { listen = [ "0.0.0.0:1" ]; };\ntenancy = "listed";\n'):
        path.write_text(allowed)
        assert run(binary, "--check-config", "--config", str(path)).returncode == 0


def test_the_daemon_listens_at_the_addresses_of_the_configuration(atomdb, short_directory):
    first, second, unix = free_port(), free_port(), short_directory + "/resp.sock"
    atomdb.start('resp: { listen = [ "127.0.0.1:%d", "[::1]:%d", "unix:%s" ]; };\nhttp: { listen = [ "127.0.0.1:%d" ]; };'
                 % (first, second, unix, atomdb.http_port), flags=[])
    with Client(first, "s") as one, Client(second, "s", host="::1") as two, Client(path=unix, secret="s") as three:
        one.cmd("SET", "k", "v")
        assert two.cmd("GET", "k") == b"v" and three.cmd("GET", "k") == b"v"
        assert b"addr=127.0.0.1:" in one.cmd("CLIENT", "INFO")
        assert b"addr=[::1]:" in two.cmd("CLIENT", "INFO")
        assert unix.encode() in three.cmd("CLIENT", "INFO")


def test_unix_sockets_are_for_the_group_alone_by_default(atomdb, short_directory):
    resp, http = short_directory + "/resp.sock", short_directory + "/http.sock"
    listen = ('resp: { listen = [ "unix:%s" ]; %s };\nhttp: { listen = [ "127.0.0.1:%d", "unix:%s" ]; %s };')
    found = lambda path: (lambda st: (stat.S_IMODE(st.st_mode), st.st_gid))(os.stat(path))
    umask = os.umask(0)
    try:
        atomdb.start(listen % (resp, "", atomdb.http_port, http, ""), flags=[])
    finally:
        os.umask(umask)
    assert found(resp) == found(http) == (0o660, os.getegid())
    with Client(path=resp, secret="s") as client:
        assert client.cmd("PING") == "PONG"
    atomdb.reload(listen % (resp, 'socket_mode = "0600";', atomdb.http_port, http, ""))
    assert "needs a restart: resp.socket_mode" in atomdb.log()
    atomdb.stop()
    group = 1 if os.geteuid() == 0 else os.getegid()
    atomdb.start(listen % (resp, f'socket_mode = "0777"; socket_group = "{group}";', atomdb.http_port, http,
                           'socket_mode = "0600";'), flags=[])
    assert (found(resp), found(http)) == ((0o777, group), (0o600, os.getegid()))


def test_a_taken_port_is_an_error(atomdb, binary, tmp_path):
    atomdb.start()
    other = AtomDB(binary, tmp_path)
    result = run(binary, "--port", str(atomdb.port), "--http-port", str(other.http_port))
    assert result.returncode != 0 and str(atomdb.port) in result.stderr


def test_a_secret_file_is_read_from_the_credentials_directory(atomdb, tmp_path):
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "shop").write_text("from-credentials\n")
    atomdb.start('tenancy = "listed"; tenants: ( { name = "shop"; secret_file = "shop"; } );',
                 environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "creds")})
    with atomdb.client(("shop", "from-credentials")) as client:
        assert client.cmd("PING") == "PONG"


def test_each_page_has_its_status_and_type(atomdb):
    atomdb.start()
    answer = atomdb.http("/health")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert "ok" in answer.body
    metrics = atomdb.http("/metrics")
    assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "redis_up 1\n" in metrics.body and "atomdb_build_info{" in metrics.body
    assert atomdb.http("/").status == 200
    assert atomdb.http("/nosuch").status == 404
    assert http_get(atomdb.http_port, "/health", method="HEAD").status == 200
    assert http_get(atomdb.http_port, "/metrics", method="DELETE").status == 405


def test_all_health_pages_answer_ok(atomdb):
    atomdb.start()
    for path in ("/health", "/health/live", "/health/ready"):
        answer = atomdb.http(path)
        assert (answer.status, json.loads(answer.body)["status"]) == (200, "ok")
    missing = atomdb.http("/health/nosuch")
    assert missing.status == 404
    assert all(f" {path}" in missing.body for path in ("/,", "/api/history", "/api/status", "/health/live", "/metrics"))
    refused = http_get(atomdb.http_port, "/health/live", method="POST")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("accept, encoding, openmetrics, packed", [
    (None, None, False, False),
    ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", "gzip", True, True),
    ("text/plain, Application/OpenMetrics-Text", "deflate, GZIP;q=0.1", True, True),
    ("application/openmetrics-text; q=0", "gzip;q=0", False, False),
    ("application/openmetrics-text-not, */*", "*", False, False),
])
def test_metrics_have_the_accepted_format(atomdb, accept, encoding, openmetrics, packed):
    atomdb.start()
    headers = {name: value for name, value in (("Accept", accept), ("Accept-Encoding", encoding)) if value}
    answer = http_get(atomdb.http_port, "/metrics", headers=headers)
    assert answer.status == 200
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain")
    assert answer.body.endswith("# EOF\n") == openmetrics
    assert ("# TYPE redis_commands_processed counter\n" in answer.body) == openmetrics
    assert ("# TYPE redis_commands_processed_total counter\n" in answer.body) != openmetrics
    assert "\nredis_commands_processed_total " in answer.body


def test_metrics_count_commands_keys_and_bytes(atomdb):
    atomdb.start()
    with atomdb.client("s") as client:
        client.many([("SET", "a", "1"), ("GET", "a"), ("GET", "none"), ("GET",), ("NOSUCH",)])
        wait_for(lambda: atomdb.metric("redis_commands_total", cmd="get") == 2, 5, "the counters")
        assert atomdb.metric("redis_commands_total", cmd="set") == 1
        assert atomdb.metric("redis_keyspace_hits_total") == 1
        assert atomdb.metric("redis_keyspace_misses_total") == 1
        assert atomdb.metric("redis_connected_clients") == 1
        assert atomdb.metric("redis_db_keys", db="db0") == 1
        assert atomdb.metric("redis_net_input_bytes_total") > 50
        assert atomdb.metric("redis_net_output_bytes_total") > 10


def test_a_stop_answers_the_commands_that_were_read(atomdb):
    atomdb.start()
    clients = [atomdb.client(f"s{number}") for number in range(4)]
    for client in clients:
        client.send(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 100)
    for client in clients:
        assert client.read() == 1
    atomdb.stop()
    for client in clients:
        data = client.rest()
        assert data.count(b"\r\n") == 99 and data.endswith(b":100\r\n")


def test_the_daemon_starts_again_after_a_stop(atomdb):
    for _ in range(2):
        atomdb.start()
        with atomdb.client("s") as client:
            assert client.cmd("PING") == "PONG"
        atomdb.stop()


def test_health_answers_503_while_the_daemon_stops(atomdb):
    """While the daemon sends the last replies, /health answers 503 with the reason, and no new client has a reply."""
    atomdb.start('defaults: { max_entries = 0; max_memory = "0"; };')
    with atomdb.client("s") as slow:
        value = b"x" * (8 << 20)
        slow.cmd("SET", "big", value)
        slow.send(encode("GET", "big") * 4)
        assert slow.read() == value
        atomdb.process.send_signal(signal.SIGTERM)

        def stopping():
            answer = atomdb.http("/health")
            assert answer.status in (200, 503)
            return answer if answer.status == 503 else None

        def refused():
            """A worker may still accept a connection before it learns of the stop."""
            try:
                with Client(atomdb.port, timeout=1) as client:
                    client.cmd("PING")
                return False
            except (OSError, Closed):
                return True

        assert "stopping" in wait_for(stopping, 3, "/health to answer 503").body
        wait_for(refused, 3, "new clients to be refused")
        assert [slow.read() == value for _ in range(3)] == [True] * 3
        assert slow.rest() == b""
    assert atomdb.process.wait(20) == 0


@pytest.mark.hooks
def test_health_answers_503_while_a_worker_hangs(atomdb):
    """Needs ATOMDB_TEST_HOOKS: SIGUSR2 makes worker 0 hang."""
    atomdb.start("workers = 2;")
    atomdb.process.send_signal(signal.SIGUSR2)
    answer = wait_for(lambda: next((a for a in [atomdb.http("/health")] if a.status == 503), None), 15, "/health to answer 503")
    assert "0" in answer.body and "stuck" in answer.body
    assert atomdb.http("/metrics").status == 200
    atomdb.kill()
    atomdb.process = None
