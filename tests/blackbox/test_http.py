"""HTTP with a secret: who sees what."""

import base64
import json
import re

import pytest

import harness
from harness import wait_for

OPEN = ("/", "/health", "/health/live", "/health/ready")
GUARDED = ("/metrics", "/api/status", "/api/history")


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def basic(user, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


@pytest.fixture
def guarded(atomdb, tmp_path):
    """Starts with a secret for HTTP, and one tenant."""
    path = tmp_path / "http-secret"
    path.write_text("watch me: ü\n", encoding="utf-8")

    def start(what="everything", more=""):
        config = f"""http: {{ secret_file = "{path}"; secret_for = "{what}"; }};
            tenants: ( {{ name = "shop"; secret = "s1"; }} ); {more}"""
        atomdb.config_text, atomdb.secret_path = config, path
        atomdb.start(config)
        return atomdb

    return start


SECRET = "watch me: ü".encode().decode("latin-1")


def test_everything(guarded):
    server = guarded()
    for path in OPEN:
        assert server.http(path).status == 200, path
        assert "shop" not in server.http(path).body
    for path in GUARDED:
        answer = server.http(path)
        assert answer.status == 401
        assert answer.headers.get_all("WWW-Authenticate") == [
            'Bearer realm="AtomDB"', 'Basic realm="AtomDB", charset="UTF-8"']
        assert answer.headers["Cache-Control"] == "no-store"
        assert "shop" not in answer.body and "watch" not in answer.body
        assert server.http(path, method="POST").status == 405
        for wrong in (bearer("watch"), bearer(SECRET + "x"), basic("watch me", "x"), {"Authorization": "x"}):
            assert server.http(path, headers=wrong).status == 401
        for right in (bearer(SECRET), basic("", "watch me: ü"), basic("prometheus", "watch me: ü")):
            answer = server.http(path, headers=right)
            assert answer.status == 200 and ("shop" in answer.body or path == "/api/history")
    # Who is not known does not hear what else there is, but what is missing is missing.
    assert server.http("/nothing").status == 404


def test_tenants(guarded):
    server = guarded("tenants")
    page = server.http("/metrics").body
    assert "redis_up 1" in page and "atomdb_tenants 1" in page
    assert "atomdb_tenant_" not in page and "shop" not in page
    status = json.loads(server.http("/api/status").body)
    assert status["tenants_open"] == 1 and "tenants" not in status and "others" not in status
    assert server.http("/metrics", headers=bearer("wrong")).status == 401
    page = server.http("/metrics", headers=bearer(SECRET)).body
    assert 'atomdb_tenant_keys{tenant="shop"} 0' in page


def test_failures_are_told_and_counted(guarded):
    server = guarded("tenants")
    for _ in range(200):
        assert server.http("/metrics", headers=bearer("guess")).status == 401
    assert server.metric("atomdb_http_auth_failures_total") == 200
    lines = [line for line in server.log().splitlines() if "Authentication failed" in line]
    assert 1 <= len(lines) <= 121  # a minute may have ended
    assert re.search(r"Authentication failed: client 127\.0\.0\.1:\d+, over HTTP$", lines[0])
    assert "guess" not in server.log() and "watch" not in server.log()


def test_reload_reads_it_again(guarded):
    server = guarded()
    assert server.http("/metrics", headers=bearer(SECRET)).status == 200
    server.secret_path.write_text("another")
    server.reload(server.config_text)
    assert server.http("/metrics", headers=bearer(SECRET)).status == 401
    assert server.http("/metrics", headers=bearer("another")).status == 200
    server.secret_path.unlink()
    server.reload(server.config_text, good=False)
    assert server.http("/metrics", headers=bearer("another")).status == 200
    assert server.http("/metrics").status == 401
    server.reload("")
    assert server.http("/metrics").status == 200


def test_the_operator_sees_no_secret(guarded, tmp_path):
    (tmp_path / "admin").write_text("root")
    server = guarded(more=f'admin: {{ secret_file = "{tmp_path}/admin"; }};')
    with server.client("root") as client:
        assert client.cmd("CONFIG", "GET", "http.secret*") == [b"http.secret_for", b"everything"]
        assert isinstance(client.cmd("CONFIG", "SET", "http.secret_file", ""), harness.Error)
        assert client.cmd("CONFIG", "SET", "http.secret_for", "tenants") == "OK"
    wait_for(lambda: server.http("/metrics").status == 200, what="/metrics to open")


def api(server, path, **options):
    """JSON that nobody keeps."""
    answer = server.http(path, **options)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return json.loads(answer.body)


def points(server, after=0):
    history = api(server, f"/api/history?after={after}")
    return [dict(zip(history["columns"], row, strict=True)) for row in history["points"]]


def test_status(atomdb):
    atomdb.start("""max_memory = "1G"; resp: { max_clients = 50; }; workers = 2; enable_debug_command = true;
        tenants: ( { name = "shop"; secret = "s1"; max_entries = 0; max_memory = "1M"; },
                   { name = "blog"; secret = "s2"; max_entries = 5; } );""")
    with atomdb.client("s1") as shop, atomdb.client("s2") as blog:
        shop.many([("SET", "secret-key", "secret-value" * 1000), ("GET", "secret-key"), ("GET", "none")])
        blog.many([("SET", f"k{i}", "v") for i in range(8)])
        blog.cmd("DEBUG", "SLEEP", "0.05")
        status = api(atomdb, "/api/status", headers={"Accept-Encoding": "gzip"})
        body = atomdb.http("/api/status").body
    assert status["health"]["status"] == "ok" and status["workers"] == 2
    assert (status["max_memory"], status["max_clients"], status["clients"]) == (1 << 30, 50, 2)
    assert (status["hits"], status["misses"], status["evictions"], status["keys"]) == (1, 1, 3, 6)
    assert 0 < status["uptime_ms"] < 60000 * harness.PATIENCE
    assert [t["name"] for t in status["tenants"]] == ["shop", "blog"]
    assert status["tenants"][0]["quota_bytes"] == 1 << 20 and status["tenants"][0]["bytes"] > 12000
    assert status["tenants"][1]["keys"] == 5 and status["tenants"][1]["evictions"] == 3
    means = [c["mean_ns"] for c in status["slowest_commands"]]
    assert means == sorted(means, reverse=True)
    names = {c["name"]: c for c in status["slowest_commands"]}
    assert names["set"]["calls"] == 9 and names["set"]["p99_ns"] > 0
    assert "secret" not in body and "k1" not in body


def test_status_names_the_largest_tenants_only(atomdb):
    atomdb.start("defaults: { max_entries = 0; };")
    for i in range(30):
        with atomdb.client(f"tenant {i}") as client:
            client.cmd("SET", "k", "v" * 100 * (i + 1))
    status = api(atomdb, "/api/status")
    assert len(status["tenants"]) == 12 and status["tenants_open"] == 30
    sizes = [t["bytes"] for t in status["tenants"]]
    assert sizes == sorted(sizes, reverse=True) and min(sizes) > 1800
    assert status["others"]["keys"] == 18 and len(atomdb.http("/api/status").body) < 10000


def test_history(atomdb):
    atomdb.start("")
    assert points(atomdb) == []
    with atomdb.client("s") as client:
        client.many([("SET", "k", "v"), ("GET", "k"), ("GET", "none"), ("SET", "short", "v", "PX", "1")])
        first = wait_for(lambda: points(atomdb), 15, "a point of the history", 0.2)[0]
    assert first["number"] == 1 and 4000 < first["span_ms"] < 10000 * harness.PATIENCE
    assert first["commands"] == 5 and (first["hits"], first["misses"], first["expired"]) == (1, 1, 1)
    assert first["keys"] == 1 and first["clients"] == 1 and first["input_bytes"] > 100
    assert 0 < first["p50_ns"] <= first["p99_ns"] <= first["longest_ns"] < 1e9
    for after in (1, 99999999999, "9223372036854775807"):
        assert points(atomdb, after) == []
    for nonsense in ("-1", "x", "1e3", "99999999999999999999999", "", "%00"):
        assert points(atomdb, nonsense)[0] == first
