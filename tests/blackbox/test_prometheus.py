"""Metrics in Prometheus: the rules of promtool, and a real server that scrapes for some seconds. The alerts and the
dashboard of the package query existing metrics."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

import harness

PACKAGING = pathlib.Path(__file__).parents[2] / "packaging"
RULES = PACKAGING / "prometheus" / "rules.yml"


class Prometheus:
    """Debian's prometheus with its own data and port. It scrapes one target every second."""

    def __init__(self, directory, target, rules=None):
        self.port = harness.free_port()
        config = os.path.join(directory, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as out:
            out.write("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
                      + (f"rule_files: ['{rules}']\n" if rules else "") +
                      "scrape_configs:\n"
                      "- job_name: atomdb\n"
                      f"  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n")
        self.errors = os.path.join(directory, "prometheus.log")
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=directory, start_new_session=True)

    def log(self):
        with open(self.errors, encoding="utf-8") as text:
            return text.read()

    def query(self, expression):
        """Returns the samples of an instant query as [(labels, value)], or None if the server does not answer."""
        assert self.process.poll() is None, self.log()
        try:
            answer = harness.http_get(self.port, "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        except OSError:
            return None
        if answer.status != 200:
            return None
        result = json.loads(answer.body)
        assert result["status"] == "success", result
        return [(sample["metric"], float(sample["value"][1])) for sample in result["data"]["result"]]

    def wait(self, expression, condition=bool, seconds=30):
        """Queries until the samples satisfy the condition."""
        samples = None

        def asked():
            nonlocal samples
            samples = self.query(expression)
            return samples is not None and condition(samples)

        try:
            harness.wait_for(asked, seconds, expression, pause=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last answer was {samples}\n{self.log()}") from None
        return samples

    def value(self, expression):
        """Returns the value of the only sample."""
        samples = self.wait(expression)
        assert len(samples) == 1, samples
        return samples[0][1]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def served(atomdb):
    """A server with two tenants that have used every counted feature."""
    atomdb.start('defaults: { max_entries = 10; };\n'
                 'tenants: ( { name = "shop"; secret = "the shop\'s"; max_entries = 100; max_memory = "1M"; } );\n')
    with atomdb.client("the shop's") as client:
        for i in range(20):
            assert client.cmd("SET", f"key:{i}", "value") == "OK"
        assert client.cmd("SET", "gone", "soon", "PX", "1") == "OK"
        assert client.cmd("EXPIRE", "key:0", "1000") == 1
        assert client.cmd("GET", "key:1") == b"value"
        assert client.cmd("GET", "none") is None
        assert isinstance(client.cmd("INCR", "key:1"), harness.Error)
        assert isinstance(client.cmd("GET"), harness.Error)
    with atomdb.client("another") as client:
        for i in range(15):
            assert client.cmd("SET", f"key:{i}", "value") == "OK"
    harness.wait_for(lambda: atomdb.metric("redis_expired_keys_total") == 1, 10, "the key to expire")
    return atomdb


def promtool(page):
    return subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60,
                          check=False)


def test_promtool_finds_no_problem(served):
    page = served.http("/metrics").body
    assert 'tenant="shop"' in page
    said = promtool(page)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_prometheus_requests_openmetrics(served, tmp_path):
    """Prometheus prefers OpenMetrics, and rejects an invalid page."""
    prometheus = Prometheus(str(tmp_path), served.http_port)
    try:
        prometheus.wait("up", lambda samples: [value for _, value in samples] == [1])
        assert prometheus.value('redis_commands_total{cmd="set"}') == 36
        # Counters of the process have its start time as their creation time; counters of a tenant have the start of the
        # tenant.
        started = served.metric("redis_start_time_seconds")
        assert prometheus.value("redis_commands_processed_created") == started
        assert prometheus.value("atomdb_expiry_lag_seconds_created") == started
        for absent in ("atomdb_crashes_created", "atomdb_tenant_commands_created", "redis_connected_clients_created"):
            assert f"{absent} " not in served.http("/metrics", headers={"Accept": "application/openmetrics-text"}).body
        assert "_created" not in served.http("/metrics").body
    finally:
        prometheus.stop()


def test_promtool_finds_a_problem():
    said = promtool("# TYPE a_counter counter\na_counter 1\n")
    assert said.returncode != 0 and "a_counter" in said.stdout + said.stderr


def test_metrics_count_the_events(served):
    metric = served.metric
    assert metric("redis_up") == 1
    assert metric("redis_instance_info", redis_version="7.0.15") == 1
    assert metric("atomdb_build_info") == 1
    assert metric("redis_keyspace_hits_total") == 1
    assert metric("redis_keyspace_misses_total") == 1
    assert metric("redis_evicted_keys_total") == 5
    assert metric("redis_commands_total", cmd="set") == 36
    assert metric("redis_commands_failed_calls_total", cmd="incr") == 1
    assert metric("redis_commands_rejected_calls_total", cmd="get") == 1
    assert metric("redis_commands_duration_seconds_total", cmd="set") > 0
    assert metric("redis_commands_total", cmd="getdel") is None
    assert metric("redis_db_keys", db="db0") == 30
    assert metric("redis_db_keys_expiring", db="db0") == 1
    assert metric("redis_memory_used_bytes") > 0
    assert metric("redis_net_input_bytes_total") > 36 * 30
    assert metric("redis_net_output_bytes_total") > 36 * 5
    assert metric("redis_connections_received_total") == 2
    assert metric("atomdb_tenants") == 2
    assert metric("atomdb_tenant_keys", tenant="shop") == 20
    assert metric("atomdb_tenant_keys_expiring", tenant="shop") == 1
    assert metric("atomdb_tenant_quota_keys", tenant="shop") == 100
    assert metric("atomdb_tenant_quota_memory_bytes", tenant="shop") == 1 << 20
    assert 0 < metric("atomdb_tenant_memory_bytes", tenant="shop") < 1 << 20
    assert metric("atomdb_tenant_expired_keys_total", tenant="shop") == 1
    assert metric("atomdb_tenant_evicted_keys_total", tenant="shop") == 0
    assert metric("atomdb_tenant_evicted_keys_total") == 5
    assert metric("process_resident_memory_bytes") == pytest.approx(served.status("VmRSS"), rel=0.5)
    assert metric("process_open_fds") == pytest.approx(len(os.listdir(f"/proc/{served.pid}/fd")), abs=3)


def test_every_counter_only_rises(served):
    """This also holds if a page has fewer tenants and rows than the previous one."""
    def counters():
        page = served.http("/metrics").body
        names = set(re.findall(r"^# TYPE (\w+) counter$", page, re.M))
        assert all(name.endswith("_total") for name in names)
        histograms = re.findall(r"^# TYPE (\w+) histogram$", page, re.M)
        assert len(histograms) >= 3
        names |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
        lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines if name.partition("{")[0] in names}

    pages = [counters()]
    served.reload('http: { tenants_shown = 1; };\ndefaults: { max_entries = 10; };\nremoved = ( "shop" );\n')
    for secret in ("a", "b", "c"):
        with served.client(secret) as client:
            client.cmd("SET", "key", "x" * 1000)
            client.cmd("GET", "key")
        pages.append(counters())
        with served.client(secret) as client:
            client.cmd("FLUSHALL")
        pages.append(counters())
    harness.wait_for(lambda: served.metric("atomdb_tenants") == 1, 10, "the end of the empty tenants")
    pages.append(counters())
    for before, after in zip(pages, pages[1:]):
        fell = {name: (before[name], after[name]) for name in before if after.get(name, before[name]) < before[name]}
        assert not fell
    assert pages[-1]["redis_keyspace_hits_total"] == pages[0]["redis_keyspace_hits_total"] + 3


def test_prometheus_accepts_all_samples(served, tmp_path):
    prometheus = Prometheus(str(tmp_path), served.http_port)
    try:
        prometheus.wait("up", lambda samples: [value for _, value in samples] == [1])
        assert prometheus.value("redis_up") == 1
        assert prometheus.value('redis_commands_total{cmd="set"}') == 36
        assert prometheus.value('atomdb_tenant_keys{tenant="shop"}') == 20
        assert prometheus.value("sum(atomdb_tenant_keys)") == 30
        assert prometheus.value('redis_db_keys{db="db0"}') == 30
        assert prometheus.value("process_start_time_seconds") > 0
        labels, _ = prometheus.wait("atomdb_tenant_commands_total{tenant='shop'}")[0]
        assert labels["job"] == "atomdb" and labels["instance"] == f"127.0.0.1:{served.http_port}"
        with served.client("the shop's") as client:
            for _ in range(10):
                client.cmd("GET", "key:1")
        prometheus.wait("redis_keyspace_hits_total", lambda samples: samples[0][1] == 11)
        prometheus.wait("increase(redis_keyspace_hits_total[1m]) > 0")
        # Prometheus accepted all samples of all pages.
        assert prometheus.value("scrape_samples_scraped - scrape_samples_post_metric_relabeling") == 0
        assert prometheus.value("max_over_time(scrape_duration_seconds[1m])") < harness.PATIENCE
    finally:
        prometheus.stop()
    assert "Error" not in prometheus.log(), prometheus.log()


def test_a_page_of_a_thousand_tenants_is_quick(atomdb):
    atomdb.start("http: { tenants_shown = 1000; }; new_tenants_per_second = 0;\n")
    for i in range(1000):
        with atomdb.client(f"secret {i}") as client:
            assert client.cmd("SET", "key", "value") == "OK"
    # CPU time of the main thread in seconds, without the time of other threads.
    spent = lambda: int(pathlib.Path(f"/proc/{atomdb.pid}/schedstat").read_text().split()[0]) / 1e9
    for packed, headers in ((False, {}), (True, {"Accept-Encoding": "gzip"})):
        times = []
        for _ in range(20):
            start = spent()
            answer = atomdb.http("/metrics", headers=headers)
            times.append(spent() - start)
        assert (answer.headers.get("Content-Encoding") == "gzip") == packed
        assert answer.body.count("\natomdb_tenant_keys{") == 1001
        assert sorted(times)[len(times) // 2] < 0.010 * harness.PATIENCE, times


def alerts():
    """Returns the names of the alerts and their expressions."""
    found = re.findall(r"- alert: (\w+)\n\s+expr: (?:\|\n((?:\s{10}.*\n)+)|(.*)\n)", RULES.read_text())
    return {name: (block or line).strip() for name, block, line in found}


def test_promtool_accepts_the_alerts():
    said = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0 and f"{len(alerts())} rules found" in said.stdout, said


def rule_test(series, minutes, name, fires):
    """Returns a test for promtool: after this number of minutes, the alert fires on these series, or does not."""
    lines = "".join(f"      - {{series: '{key}', values: '{values}'}}\n" for key, values in series.items())
    return (f"  - interval: 1m\n    input_series:\n{lines}    promql_expr_test:\n"
            f"      - expr: count(ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}})\n        eval_time: {minutes}m\n"
            f"        exp_samples: {'[{value: 1}]' if fires else '[]'}\n")


def of(name, labels=""):
    return f'{name}{{job="atomdb", instance="a"{labels}}}'


UP = {'up{job="atomdb", instance="a"}': "1x60"}
RATES = of("redis_keyspace_hits_total"), of("redis_keyspace_misses_total")
# For each alert: series on which it fires, series on which it does not, and the number of minutes.
CONDITIONS = {
    "AtomDBDown": (20, {'up{job="atomdb", instance="a"}': "1x10 0x20"}, UP),
    "AtomDBRestarted": (12, {of("process_start_time_seconds"): "100x10 700x10"}, {of("process_start_time_seconds"): "100x30"}),
    "AtomDBWorkerSlow": (10, {of("atomdb_worker_longest_turn_seconds", ', worker="0"'): "2x20"},
                         {of("atomdb_worker_longest_turn_seconds", ', worker="0"'): "0.01x20"}),
    "AtomDBTenantNearlyFull": (20, {of("atomdb_tenant_quota_memory_used_ratio", ', tenant="t"'): "0.95x30"},
                               {of("atomdb_tenant_quota_keys_used_ratio", ', tenant="t"'): "0.85x30"}),
    "AtomDBEvictionsSurging": (75, {of("redis_evicted_keys_total"): "0+60x60 3600+6000x30"},
                               {of("redis_evicted_keys_total"): "0+6000x90"}),
    "AtomDBHitRatioFalling": (260, {RATES[0]: "0+1000x240 240000+100x60", RATES[1]: "0+100x240 24000+1000x60"},
                              {RATES[0]: "0+1000x300", RATES[1]: "0+100x300"}),
    "AtomDBClientsRejected": (8, {of("atomdb_rejected_connections_total", ', reason="open_files"'): "0x5 3x20"},
                              {of("atomdb_rejected_connections_total", ', reason="tenant_max_clients"'): "0x5 3x20"}),
    "AtomDBAuthFailures": (20, {of("redis_acl_access_denied_auth_total"): "0+600x30"},
                           {of("redis_acl_access_denied_auth_total"): "0+6x30"}),
    "AtomDBExpiryLag": (20, {of("atomdb_expiry_lag_seconds_sum"): "0+300x30", of("atomdb_expiry_lag_seconds_count"): "0+100x30"},
                        {of("atomdb_expiry_lag_seconds_sum"): "0+1x30", of("atomdb_expiry_lag_seconds_count"): "0+100x30"}),
    "AtomDBMemoryNearLimit": (20, {of("atomdb_arena_resident_bytes", ', shard="0"'): "50x30",
                                   of("atomdb_arena_resident_bytes", ', shard="1"'): "38x30",
                                   of("redis_memory_max_bytes"): "100x30"},
                              {of("atomdb_arena_resident_bytes", ', shard="0"'): "84x30", of("redis_memory_max_bytes"): "100x30"}),
    "AtomDBSheddingMemory": (8, {of("atomdb_shed_keys_total", ', shard="0"'): "0x5 9x20"},
                             {of("atomdb_shed_keys_total", ', shard="0"'): "0x20"}),
}


def test_each_alert_fires_on_its_series_only(tmp_path):
    assert set(CONDITIONS) == set(alerts())
    tests = "".join(rule_test(series, minutes, name, fires)
                    for name, (minutes, bad, good) in CONDITIONS.items() for series, fires in ((bad, True), (good, False)))
    path = tmp_path / "test.yml"
    path.write_text(f"rule_files: ['{RULES}']\nevaluation_interval: 1m\ntests:\n{tests}")
    said = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def hurried_rules(directory):
    """Returns the rules with seconds instead of minutes and hours, and without delays."""
    spans = {"5m": "6s", "10m": "6s", "15m": "40s", "1h": "30s", "6h": "30s"}
    text = re.sub(r"\n\s+for: \w+", "", RULES.read_text())
    text = re.sub(r"(?<=\[)\w+(?=\])|(?<=offset )\w+", lambda span: spans[span[0]], text)
    path = directory / "hurried.yml"
    path.write_text(text)
    return path


def reject_clients(server):
    """Opens as many clients as allowed, and one more."""
    with contextlib.ExitStack() as clients:
        for _ in range(10):
            clients.enter_context(server.client())
        harness.wait_for(lambda: server.metric("atomdb_rejected_connections_total", reason="max_clients"), 10,
                         "a client to be rejected")


def stop_for(server, seconds):
    with server.stopped():
        time.sleep(seconds)


def take_a_long_turn(server):
    """Stops the daemon while its worker is busy. Long commands alone make no long turns."""
    with server.client("roomy", timeout=60) as client:
        client.many([("SET", name, name * 3000) for name in "ab"])
        while server.metric("atomdb_worker_longest_turn_seconds") <= 0.5:
            commands = [("MULTI",)] + [("LCS", "a", "b", "LEN")] * 50 + [("EXEC",)]
            client.send(b"".join(harness.encode(*command) for command in commands))
            time.sleep(0.02)
            stop_for(server, 0.7)
            for _ in commands:
                client.read()
            time.sleep(1)  # for the sample that is published as a turn begins


def expire_late(server):
    """Lets keys expire while the daemon is stopped."""
    with server.client("roomy") as client:
        client.many([("SET", f"due:{i}", "v", "PX", 300) for i in range(1000)])
        stop_for(server, 3)


def fill_memory(server):
    """Fills almost all memory that max_memory allows tenants: a sixteenth is reserved."""
    with server.client("roomy") as client:
        limit = server.metric("redis_memory_max_bytes")
        while server.metric("atomdb_arena_resident_bytes") <= 0.87 * limit:
            client.many([("SET", f"large:{os.urandom(8).hex()}", "v" * 10_000) for _ in range(50)])


def commands_of(secret, *commands):
    def run(server):
        with server.client(secret) as client:
            client.many(commands)
    return run


ALERTS_CONFIG = '''
    workers = 1; tenancy = "listed"; max_memory = "%s"; resp: { max_clients = 8; };
    tenants: ( { name = "tight"; secret = "tight"; max_entries = 100; },
               { name = "roomy"; secret = "roomy"; max_entries = 0; max_memory = "0"; } );
'''
# The cause of each alert. The test runs it once, or with True until the alert fires. The order avoids interference: a
# value that must fall is high before.
CAUSES = {
    "AtomDBHitRatioFalling": (True, commands_of("roomy", *[("GET", "none")] * 100)),
    "AtomDBTenantNearlyFull": (False, commands_of("tight", *[("SET", f"key:{i}", "v") for i in range(95)])),
    "AtomDBEvictionsSurging": (True, commands_of("tight", *[("SET", f"key:{i}", "v") for i in range(1000)])),
    "AtomDBAuthFailures": (True, commands_of(None, *[("AUTH", "wrong")] * 10)),
    "AtomDBClientsRejected": (False, reject_clients),
    "AtomDBWorkerSlow": (True, take_a_long_turn),
    "AtomDBExpiryLag": (True, expire_late),
    "AtomDBMemoryNearLimit": (False, fill_memory),
    "AtomDBSheddingMemory": (False, lambda server: server.reload(ALERTS_CONFIG % "16M")),
    "AtomDBRestarted": (False, lambda server: (server.stop(), server.start(ALERTS_CONFIG % "16M"))),
    "AtomDBDown": (False, lambda server: server.stop()),
}


def test_each_alert_fires_on_a_live_server(atomdb, tmp_path):
    assert set(CAUSES) == set(alerts())
    atomdb.start(ALERTS_CONFIG % "32M")
    ports = atomdb.port, atomdb.http_port
    prometheus = Prometheus(str(tmp_path), atomdb.http_port, hurried_rules(tmp_path))
    try:
        # The history must cover the longest ranges.
        with atomdb.client("roomy") as client:
            client.cmd("SET", "key", "value")
            prometheus.wait("count_over_time(redis_keyspace_hits_total[30s]) >= 10",
                            lambda samples: client.many([("GET", "key")] * 100) and samples)
        for name, (again, cause) in CAUSES.items():
            firing = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
            assert prometheus.query(firing) == [], name
            cause(atomdb)
            prometheus.wait(firing, lambda samples: samples or (again and cause(atomdb)))
        assert ports == (atomdb.port, atomdb.http_port)
    finally:
        prometheus.stop()


def panel_queries():
    """Returns the title of each panel of the dashboard, with its queries as Grafana sends them."""
    dashboard = json.loads((PACKAGING / "grafana" / "atomdb.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "10s").replace("$job", "atomdb")
            yield panel["title"], query.replace("$instance", ".*").replace("$tenant", ".*")


def test_dashboard_and_alerts_query_existing_metrics(served, tmp_path):
    """With a real Prometheus, each panel shows data, and alerts fire on a live server."""
    rules = tmp_path / "live.yml"
    rules.write_text(re.sub(r"\n\s+for: \w+", "", RULES.read_text()))
    queries = list(panel_queries())
    assert len(queries) > 30
    prometheus = Prometheus(str(tmp_path), served.http_port, rules)
    firing = lambda name: f'ALERTS{{alertname="{name}", alertstate="firing"}}'
    try:
        prometheus.wait("up == 1")
        with served.client("the shop's") as client:
            for i in range(95):
                client.cmd("SET", f"full:{i}", "value", "PX", 1_000_000)
            prometheus.wait(firing("AtomDBTenantNearlyFull"), lambda samples: "shop" in [labels["tenant"] for labels, _ in samples])
            for title, query in queries:
                prometheus.wait(query, lambda samples: client.cmd("GET", "key:1") and samples
                                and not any(value != value for _, value in samples))
        for name, query in alerts().items():
            assert prometheus.query(query) is not None, name
        assert prometheus.query(firing("AtomDBDown")) == []
        served.stop()
        prometheus.wait(firing("AtomDBDown"))
    finally:
        prometheus.stop()
