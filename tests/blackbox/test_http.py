"""HTTP: access to the figures, status and history, and the framing of requests."""

import base64
import json
import re
import socket

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


def test_only_open_paths_answer_without_the_secret(guarded):
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
    # Without the secret, an unknown path still has status 404.
    assert server.http("/nothing").status == 404


def test_tenants_are_hidden_without_the_secret(guarded):
    server = guarded("tenants")
    page = server.http("/metrics").body
    assert "redis_up 1" in page and "atomdb_tenants 1" in page
    assert "atomdb_tenant_" not in page and "shop" not in page
    status = json.loads(server.http("/api/status").body)
    assert status["tenants_open"] == 1 and "tenants" not in status and "others" not in status
    assert server.http("/metrics", headers=bearer("wrong")).status == 401
    page = server.http("/metrics", headers=bearer(SECRET)).body
    assert 'atomdb_tenant_keys{tenant="shop"} 0' in page


def test_wrong_secrets_are_logged_and_counted(guarded):
    server = guarded("tenants")
    for _ in range(200):
        assert server.http("/metrics", headers=bearer("guess")).status == 401
    assert server.metric("atomdb_http_auth_failures_total") == 200
    lines = [line for line in server.log().splitlines() if "Authentication failed" in line]
    assert 1 <= len(lines) <= 121  # the test may take more than a minute
    assert re.search(r"Authentication failed: client 127\.0\.0\.1:\d+, over HTTP$", lines[0])
    assert "guess" not in server.log() and "watch" not in server.log()


def test_a_reload_reads_the_secret_again(guarded):
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
    wait_for(lambda: server.http("/metrics").status == 200, what="/metrics to answer without the secret")


def api(server, path, **options):
    """Returns the JSON of a page. Checks the header that forbids caching."""
    answer = server.http(path, **options)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return json.loads(answer.body)


def points(server, after=0):
    history = api(server, f"/api/history?after={after}")
    return [dict(zip(history["columns"], row, strict=True)) for row in history["points"]]


def test_the_status_has_the_figures_of_the_server_and_its_tenants(atomdb):
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


def test_the_history_has_a_point_for_each_interval(atomdb):
    atomdb.start("")
    assert points(atomdb) == []
    with atomdb.client("s") as client:
        client.many([("SET", "k", "v"), ("GET", "k"), ("GET", "none"), ("SET", "short", "v", "PX", "1")])
        first = wait_for(lambda: points(atomdb), 15, "a point of the history", 0.2)[0]
    assert first["number"] == 1 and 4000 < first["span_ms"] < 10000 * harness.PATIENCE
    assert first["commands"] == 5 and (first["hits"], first["misses"], first["expired"]) == (1, 1, 1)
    assert first["keys"] == 1 and first["clients"] == 1 and first["input_bytes"] > 100
    assert 0 < first["p50_ns"] <= first["p99_ns"] <= first["longest_ns"] < 60e9
    for after in (1, 99999999999, "9223372036854775807"):
        assert points(atomdb, after) == []
    for nonsense in ("-1", "x", "1e3", "99999999999999999999999", "", "%00"):
        assert points(atomdb, nonsense)[0] == first


def ask(server, *lines, body=b""):
    """Sends the lines of a request head. Returns the response, until the server closes the connection."""
    if not body:
        lines += ("Connection: close",)
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10 * harness.PATIENCE) as sock:
        sock.sendall("\r\n".join(lines + ("", "")).encode() + body)
        answer = b""
        try:
            while piece := sock.recv(1 << 16):
                answer += piece
        except ConnectionResetError:
            pass
        return answer.decode()


GET = "GET /health HTTP/1.1"
SECOND = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("headers", [
    ("Content-Length: 5", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 5"),
    ("Content-Length: 0", "Content-Length: 52"),
    ("Content-Length: 5", "Content-Length: 5"),
    ("Content-Length: 0, 52",),
    ("Content-Length: +5",),
    ("Content-Length:",),
    ("Content-Length : 52",),
    ("Transfer-Encoding: identity",),
    ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Transfer-Encoding : chunked",),
    ("Host: other",),
    ("Host : localhost",),
], ids=", ".join)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_with_an_ambiguous_end_has_at_most_one_response(shared, method, headers):
    answer = ask(shared, f"{method} /health HTTP/1.1", "Host: localhost", *headers, body=b"0\r\n\r\n" + SECOND)
    assert answer == "" or answer.startswith("HTTP/1.1 400 ")
    assert '{"status":"ok"}' not in answer and " 200 " not in answer and "405" not in answer
    assert answer.count("HTTP/1.") == 1
    assert shared.http("/health").status == 200


def exchange(server, *pieces, kept=False):
    """Returns the statuses of all responses to the bytes and to a request after them. `kept`: the connection has had a
        request and its response before."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10 * harness.PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        if kept:
            sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while not answer.endswith(b'{"status":"ok"}\n'):
                answer += sock.recv(1 << 16)
            answer = b""
        for piece in pieces[:-1]:
            sock.sendall(piece)
            # After a response on another connection, the server has read the piece, or reads it next.
            assert server.http("/health/live").status == 200
        sock.sendall(pieces[-1] + SECOND)
        try:
            while piece := sock.recv(1 << 16):
                answer += piece
        except ConnectionResetError:
            pass
        return re.findall(r"^HTTP/1\.1 (\d+) ", answer.decode(), re.MULTILINE)


def head(*lines, method="GET"):
    return "\r\n".join((f"{method} /health HTTP/1.1", "Host: localhost", *lines, "", "")).encode("latin-1")


LENGTHS = ("abc", "-5", "+5", "5,5", "5, 5", "5 5", "0x5", "5abc", "5 ", "", "\v5", "5\r6", "\xb2", "1e3", "5.0")
TOO_LARGE = ("18446744073709551616", "99999999999999999999999", "18446744073709551615", "9223372036854775808")


@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
def test_an_invalid_length_has_one_response(shared, kept):
    for length in LENGTHS:
        for method in ("GET", "HEAD", "POST"):
            request = head(f"Content-Length: {length}", method=method)
            assert exchange(shared, request, kept=kept) == ["400"], (method, length)
    for length in TOO_LARGE:
        assert exchange(shared, head(f"Content-Length: {length}"), kept=kept) in (["400"], ["413"]), length
    assert exchange(shared, head("Content-Length: abc", "Expect: 100-continue"), kept=kept) == ["400"]
    assert exchange(shared, head("Cookie: " + "a=b; " * 2000), kept=kept) == ["431"]
    # The request does not affect connections that the server reads at the same time.
    request = head("Content-Length: abc")
    for at in (1, 20, len(request) - 3, len(request) - 1):
        assert exchange(shared, request[:at], request[at:], kept=kept) == ["400"], at
    assert exchange(shared, head("Cookie: a=\"; b; =c"), kept=kept) == ["200", "200"]


# Lines that libmicrohttpd joins, cuts or takes for the end of the head. A proxy may derive another length from them.
DOUBTFUL = (
    ["Content-Length:", " 5"], ["Content-Length: 5", " abc"], ["Content-: 5", " Length"], ["Content-Length: ", "\t5"],
    ["Transfer-Encoding:", " chunked"], ["X: 1", " y"], ["X: 1", "\ty", "\tz"], ["X: 1", " "], [" X: 1"], ["X", " : 1"],
    ["Content-Length: 5\0"], ["Content-Length: 5\0junk"], ["X: a\0b"], ["X: \0"], ["X\0: b"], ["\0X: b"], ["X: a\rY: b"],
    ["X : y"], ["X\t: y"], [": y"], ["X: y", ": z"], ["X: y", ": z", "Content-Length: 5"], ["X"], ["Host"], ["Host:"],
    ["Host: localhost"], ["Transfer-Encoding: xchunked"], ["Transfer-Encoding: \0chunked"], ["X(: y"], ["\xe9: y"])


@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
def test_a_head_with_an_ambiguous_line_is_refused(shared, kept):
    for lines in DOUBTFUL:
        for request in (head(*lines), head(*lines, "Accept: */*"), head("Accept: */*", *lines)):
            assert exchange(shared, request + b"hello", kept=kept) == ["400"], (lines, request)
    assert exchange(shared, b"GET /health HTTP/1.1\r\n\r\n", kept=kept) == ["400"]
    assert exchange(shared, b"GET /health HTTP/1.1\r\n: x\r\nHost: localhost\r\n\r\n", kept=kept) == ["400"]


def test_a_head_may_have_unusual_lines(shared):
    for lines in (["X:y"], ["X:"], ["X: \t"], ["X: y  "], ["X:\t y\t"], ["X: a:b: c"], ["X: \xe9"], ["X: " + "y" * 12000]):
        assert exchange(shared, head(*lines)) == ["200", "200"], lines
        assert exchange(shared, head("Via: z", *lines, "Accept: */*")) == ["200", "200"], lines
    # RFC 9112, section 2.2: a line may end with LF alone, and empty lines may precede the first one.
    assert exchange(shared, head("X: y").replace(b"\r", b"")) == ["200", "200"]
    assert exchange(shared, b"\r\n\r\n" + head("X: y")) == ["200", "200"]
    assert exchange(shared, head("X: y"), kept=True) == ["200", "200"]
    request = head("Content-Length: 5", "X:  y") + b"hello"
    for at in range(1, len(request), 7):
        assert exchange(shared, request[:at], request[at:]) == ["200", "200"], at


CHUNKED = head("Transfer-Encoding: chunked")


def test_an_invalid_chunk_size_has_one_response(shared):
    for size in (b"zz", b"-5", b"+5", b"0x5", b" 5", b"5 ", b"", b"f" * 17, b"5\0"):
        assert exchange(shared, CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n") in (["400"], ["413"]), size
    assert exchange(shared, CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n") == ["400"]
    assert exchange(shared, CHUNKED + b"05;x=y\r\nhello\r\n0\r\n\r\n") == ["200", "200"]


def test_a_request_with_trailers_is_the_last(shared):
    for trailers in (b"X: y", b"Content-Length: 5", b"X: y\r\n: z", b"X: y\r\n z", b": z"):
        assert exchange(shared, CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n\r\n") == ["200"], trailers
    for trailers in (b"X", b"X: y\r\nY"):
        assert exchange(shared, CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n\r\n") == ["400"], trailers


def test_requests_before_a_refused_one_are_answered(shared):
    assert exchange(shared, head() + head() + head("Content-Length: abc")) == ["200", "200", "400"]
    assert exchange(shared, head("Content-Length: 5") + b"hello" + head("Content-Length: abc")) == ["200", "400"]


def test_a_request_names_one_host(shared):
    assert ask(shared, GET).startswith("HTTP/1.1 400 ")
    assert ask(shared, GET, "Host: localhost", "Host: localhost").startswith("HTTP/1.1 400 ")
    assert ask(shared, "GET /health HTTP/1.0").startswith("HTTP/1.")
    assert " 200 OK\r\n" in ask(shared, "GET /health HTTP/1.0")


@pytest.mark.parametrize("head, body", [
    (["Content-Length: 5"], b"hello"),
    (["Content-Length: 60000"], b"x" * 60000),
    (["Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
], ids=["short", "long", "chunked"])
def test_the_body_of_a_request_is_ignored(shared, head, body):
    """The next request on the connection also has its response."""
    for method, status in (("GET", "200"), ("POST", "405")):
        answer = ask(shared, f"{method} /health HTTP/1.1", "Host: localhost", *head, body=body + SECOND)
        assert answer.startswith(f"HTTP/1.1 {status} ")
        assert answer.count("HTTP/1.1 ") == 2 and '{"status":"ok"}' in answer


def test_a_target_may_be_a_url(shared):
    for target in ("http://localhost/health", "HTTP://127.0.0.1:8081/health/live", "https://evil.example/health?x=1"):
        assert " 200 OK\r\n" in ask(shared, f"GET {target} HTTP/1.1", "Host: localhost")
    assert " 200 OK\r\n" in ask(shared, "GET http://localhost/metrics HTTP/1.1", "Host: localhost")
    assert "text/html" in ask(shared, "GET http://localhost HTTP/1.1", "Host: localhost")
    assert " 404 " in ask(shared, "GET http://localhost/nothing HTTP/1.1", "Host: localhost")
    assert " 404 " in ask(shared, "GET ftp://localhost/health HTTP/1.1", "Host: localhost")


STRANGE = ("evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", "")


def test_figures_need_a_known_host(atomdb):
    atomdb.start('http: { hosts = [ "status.example.org" ]; };')
    own = socket.gethostname()
    for path in GUARDED:
        for host in STRANGE:
            answer = ask(atomdb, f"GET {path} HTTP/1.1", f"Host: {host}")
            assert answer.startswith("HTTP/1.1 421 ") and "http.hosts" in answer and "redis_up" not in answer
            # A host in the target overrides the Host header.
            if host:
                assert " 421 " in ask(atomdb, f"GET http://{host}{path} HTTP/1.1", "Host: localhost")
        for host in ("localhost", "127.0.0.1:1", "[::1]:8081", "10.0.0.7", own, f"{own}:8081", "Status.example.org:443"):
            assert " 200 OK\r\n" in ask(atomdb, f"GET {path} HTTP/1.1", f"Host: {host}"), host
            assert " 200 OK\r\n" in ask(atomdb, f"GET http://{host}{path} HTTP/1.1", "Host: evil.example"), host
        assert " 200 OK\r\n" in ask(atomdb, f"GET {path} HTTP/1.0")
    for path in OPEN:
        for host in STRANGE:
            assert " 200 OK\r\n" in ask(atomdb, f"GET {path} HTTP/1.1", f"Host: {host}")
    wait_for(lambda: "for an unknown host refused" in atomdb.log(), 5, "the warning in the log")
    atomdb.reload('http: { hosts = [ "*" ]; };')
    assert " 200 OK\r\n" in ask(atomdb, "GET /metrics HTTP/1.1", "Host: evil.example")
    for wrong in ('[ "a:80" ]', '[ "" ]', '[ "a b" ]', '"a"', "[ 1 ]", '[ "a." ]', '[ "*.example" ]'):
        atomdb.reload(f"http: {{ hosts = {wrong}; }};", good=False)
    atomdb.reload("")
    assert " 421 " in ask(atomdb, "GET /metrics HTTP/1.1", "Host: evil.example")


def test_the_secret_replaces_a_known_host(guarded):
    server = guarded("tenants")
    right = "Authorization: " + bearer("watch me: ü")["Authorization"]
    for path in GUARDED:
        assert " 421 " in ask(server, f"GET {path} HTTP/1.1", "Host: db1.example.com")
        assert " 200 OK\r\n" in ask(server, f"GET {path} HTTP/1.1", "Host: db1.example.com", right)
        assert " 401 " in ask(server, f"GET {path} HTTP/1.1", "Host: db1.example.com", right + "x")


@pytest.mark.parametrize("accept, kind", [
    ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0"),
    ("application/openmetrics-text;version=0.0.1", "application/openmetrics-text; version=0.0.1"),
    ("application/openmetrics-text;version=9.0.0", "text/plain; version=0.0.4"),
    ("application/openmetrics-text;q=0.5,text/plain;q=0.9", "text/plain; version=0.0.4"),
    ("application/openmetrics-text;q=0.9,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
    ("application/openmetrics-text;version=0.0.1;q=0.9,*/*;q=0.1", "application/openmetrics-text; version=0.0.1"),
    ("*/*", "text/plain; version=0.0.4"),
])
def test_metrics_have_the_preferred_format(shared, accept, kind):
    for lines in ([f"Accept: {accept}"], [f"Accept: {element}" for element in accept.split(",")]):
        answer = ask(shared, "GET /metrics HTTP/1.1", "Host: localhost", *lines)
        assert f"Content-Type: {kind}; charset=utf-8\r\n" in answer
        assert answer.endswith("# EOF\n") == kind.startswith("application")


@pytest.mark.parametrize("accept, packed", [
    ("gzip", True), ("identity;q=1, gzip;q=0.5", False), ("gzip;q=0.5, identity;q=0.4", True), ("gzip;q=0", False),
    ("*", False), ("identity;q=0, *", True), ("deflate", False), ("gzip;q=0.0, *", False)])
def test_metrics_are_compressed_if_the_client_prefers_it(shared, accept, packed):
    answer = shared.http("/metrics", headers={"Accept-Encoding": accept})
    assert (answer.headers["Content-Encoding"] == "gzip") == packed and "redis_up 1" in answer.body
