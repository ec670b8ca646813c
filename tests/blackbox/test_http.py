"""HTTP with a secret: who sees what."""

import base64
import re

import pytest

import harness
from harness import wait_for

OPEN = ("/", "/health", "/health/live", "/health/ready")
GUARDED = ("/metrics",)


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
            assert answer.status == 200 and "shop" in answer.body
    # Who is not known does not hear what else there is, but what is missing is missing.
    assert server.http("/nothing").status == 404


def test_tenants(guarded):
    server = guarded("tenants")
    page = server.http("/metrics").body
    assert "redis_up 1" in page and "atomdb_tenants 1" in page
    assert "atomdb_tenant_" not in page and "shop" not in page
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
