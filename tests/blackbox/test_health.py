"""/health in each state of a service, and after the service has recovered."""

import json

import harness

CHECKS = ["data", "service", "workers", "clients", "memory", "tenants", "configuration"]


def health(server, path="/health"):
    """Returns the HTTP status, the overall status, and the failed checks."""
    answer = server.http(path)
    body = json.loads(answer.body)
    assert list(body["checks"]) == CHECKS
    failed = [name for name, check in body["checks"].items() if check["status"] != "ok"]
    assert all(body["checks"][name]["reason"] for name in failed)
    return answer.status, body["status"], failed


def becomes(server, *state):
    harness.wait_for(lambda: health(server) == state, 20, f"/health to be {state}")
    assert health(server, "/health/ready") == state
    assert server.http("/health/live").status == 200


WELL = (200, "ok", [])


def test_health_is_ok_after_a_start_and_a_reload(atomdb):
    atomdb.start()
    assert health(atomdb) == WELL
    atomdb.reload("defaults: { max_entries = 7; };\n")
    assert health(atomdb) == WELL


def test_a_configuration_that_cannot_be_read_degrades_health(atomdb):
    atomdb.start()
    atomdb.reload("nonsense = 1;\n", good=False)
    assert health(atomdb) == (200, "degraded", ["configuration"])
    atomdb.reload("")
    assert health(atomdb) == WELL


def test_health_is_full_while_max_clients_is_reached(atomdb):
    atomdb.start("resp: { max_clients = 2; };\n")
    with atomdb.client("s") as client, atomdb.client("s"):
        becomes(atomdb, 503, "full", ["clients"])
        assert client.cmd("PING") == "PONG"
    becomes(atomdb, *WELL)


def test_health_is_degraded_while_max_tenants_is_reached(atomdb):
    atomdb.start("max_tenants = 1;\n")
    with atomdb.client("first") as client, atomdb.client() as other:
        client.cmd("SET", "key", "value")
        assert health(atomdb) == WELL
        assert isinstance(other.cmd("AUTH", "second"), harness.Error)
        becomes(atomdb, 200, "degraded", ["tenants"])
    becomes(atomdb, *WELL)


def test_health_is_degraded_while_writes_have_no_memory(atomdb):
    """Eviction is off and all tenants together have reached max_memory: the daemon refuses writes and answers reads."""
    atomdb.start('max_memory = "8M"; workers = 1;\n'
                 'defaults: { max_entries = 0; max_memory = "0"; eviction = "none"; };\n')
    with atomdb.client("s") as client:
        replies = [client.cmd("SET", f"key:{i}", "x" * 100_000) for i in range(200)]
        assert replies[0] == "OK" and isinstance(replies[-1], harness.Error)
        becomes(atomdb, 200, "degraded", ["memory"])
        assert client.cmd("GET", "key:0") == b"x" * 100_000
        client.cmd("FLUSHALL")
    becomes(atomdb, *WELL)
