"""Compatibility with redis_exporter 1.45: AtomDB has a metric with the same name, type, meaning and value for
each of its metrics, or UNSAID has the reason for the difference. A real Prometheus evaluates dashboards and alerts for
redis_exporter."""

import re

import pytest

import harness
from test_prometheus import Prometheus

GAUGE, COUNTER = "gauge", "counter"
SECRET = "the only tenant's"
# The type of each metric, and the field of the tenant's INFO with the same value, or a pattern of it.
SAID = {
    "redis_up": (GAUGE, None),
    "redis_instance_info": (GAUGE, None),
    "redis_uptime_in_seconds": (GAUGE, "uptime_in_seconds"),
    "redis_start_time_seconds": (GAUGE, None),
    "redis_process_id": (GAUGE, "process_id"),
    "redis_connected_clients": (GAUGE, "connected_clients"),
    "redis_blocked_clients": (GAUGE, "blocked_clients"),
    "redis_config_maxclients": (GAUGE, "maxclients"),
    "redis_connections_received_total": (COUNTER, "total_connections_received"),
    "redis_rejected_connections_total": (COUNTER, None),
    "redis_net_input_bytes_total": (COUNTER, None),
    "redis_net_output_bytes_total": (COUNTER, None),
    "redis_commands_processed_total": (COUNTER, "total_commands_processed"),
    "redis_commands_total": (COUNTER, None),
    "redis_commands_duration_seconds_total": (COUNTER, None),
    "redis_commands_rejected_calls_total": (COUNTER, None),
    "redis_commands_failed_calls_total": (COUNTER, None),
    "redis_keyspace_hits_total": (COUNTER, "keyspace_hits"),
    "redis_keyspace_misses_total": (COUNTER, "keyspace_misses"),
    "redis_expired_keys_total": (COUNTER, "expired_keys"),
    "redis_evicted_keys_total": (COUNTER, "evicted_keys"),
    "redis_db_keys": (GAUGE, r"db0:keys=(\d+)"),
    "redis_db_keys_expiring": (GAUGE, r"db0:.*expires=(\d+)"),
    "redis_memory_used_bytes": (GAUGE, None),
    "redis_memory_max_bytes": (GAUGE, None),
    "redis_memory_used_rss_bytes": (GAUGE, None),
    "redis_memory_used_dataset_bytes": (GAUGE, None),
    "redis_memory_used_overhead_bytes": (GAUGE, None),
    "redis_mem_fragmentation_ratio": (GAUGE, None),
    "redis_active_defrag_running": (GAUGE, None),
    "redis_config_maxmemory": (GAUGE, None),
    "redis_cpu_sys_seconds_total": (COUNTER, None),
    "redis_cpu_user_seconds_total": (COUNTER, None),
    "redis_loading_dump_file": (GAUGE, "loading"),
    "redis_connected_slaves": (GAUGE, "connected_slaves"),
}
# Metrics of other versions or settings of redis_exporter, or of other Redis servers.
ELSEWHERE = {
    "redis_max_clients": (GAUGE, "maxclients"),
    "redis_acl_access_denied_auth_total": (COUNTER, None),
    "redis_total_system_memory_bytes": (GAUGE, None),
}
UNSAID = {
    "nothing is written to a disk, in Redis's formats or any other": """
        redis_aof_current_rewrite_duration_sec redis_aof_enabled redis_aof_last_bgrewrite_status redis_aof_last_cow_size_bytes
        redis_aof_last_rewrite_duration_sec redis_aof_last_write_status redis_aof_rewrite_in_progress
        redis_aof_rewrite_scheduled redis_rdb_bgsave_in_progress redis_rdb_changes_since_last_save
        redis_rdb_current_bgsave_duration_sec redis_rdb_last_bgsave_duration_sec redis_rdb_last_bgsave_status
        redis_rdb_last_cow_size_bytes redis_rdb_last_save_timestamp_seconds redis_latest_fork_seconds
        redis_module_fork_in_progress redis_module_fork_last_cow_size""",
    "there is no replication and no cluster": """
        redis_cluster_connections redis_cluster_enabled redis_master_repl_offset redis_mem_clients_slaves
        redis_migrate_cached_sockets_total redis_repl_backlog_first_byte_offset redis_repl_backlog_history_bytes
        redis_repl_backlog_is_active redis_replica_partial_resync_accepted redis_replica_partial_resync_denied
        redis_replica_resyncs_full redis_replication_backlog_bytes redis_second_repl_offset
        redis_slave_expires_tracked_keys""",
    "there are no scripts": """
        redis_memory_used_lua_bytes redis_memory_used_scripts_bytes redis_number_of_cached_scripts""",
    "there is no jemalloc; atomdb_arena_* describe the arenas": """
        redis_allocator_active_bytes redis_allocator_allocated_bytes redis_allocator_frag_bytes
        redis_allocator_frag_ratio redis_allocator_resident_bytes redis_allocator_rss_bytes redis_allocator_rss_ratio
        redis_defrag_hits redis_defrag_key_hits redis_defrag_key_misses redis_defrag_misses redis_mem_fragmentation_bytes""",
    "AtomDB has complete workers instead of I/O threads: atomdb_worker_*": """
        redis_config_io_threads redis_cpu_sys_main_thread_seconds_total redis_cpu_user_main_thread_seconds_total
        redis_io_threaded_reads_processed redis_io_threaded_writes_processed redis_io_threads_active
        redis_cpu_sys_children_seconds_total redis_cpu_user_children_seconds_total""",
    "it is private to a tenant: use INFO, SLOWLOG and LATENCY": """
        redis_latency_percentiles_usec redis_last_slow_execution_duration_seconds redis_slowlog_last_id
        redis_slowlog_length redis_pubsub_channels redis_pubsub_patterns redis_tracking_clients redis_tracking_total_items
        redis_tracking_total_keys redis_tracking_total_prefixes redis_errors_total redis_clients_in_timeout_table
        redis_client_recent_max_input_buffer_bytes redis_client_recent_max_output_buffer_bytes redis_mem_clients_normal""",
    "keys expire by a timing wheel and are freed in slices: atomdb_expiry_*": """
        redis_expired_stale_percentage redis_expired_time_cap_reached_total redis_lazyfree_pending_objects
        redis_db_avg_ttl_seconds""",
    "Redis uses it to find its own errors": """
        redis_dump_payload_sanitizations redis_memory_used_startup_bytes redis_mem_not_counted_for_eviction_bytes
        redis_memory_used_peak_bytes""",
    "a counter whose name does not end in _total, which OpenMetrics forbids": """
        redis_total_error_replies redis_total_reads_processed redis_total_writes_processed redis_unexpected_error_replies""",
    "it describes the exporter, which AtomDB does not need": """
        redis_exporter_build_info redis_exporter_last_scrape_connect_time_seconds
        redis_exporter_last_scrape_duration_seconds redis_exporter_last_scrape_error
        redis_exporter_scrape_duration_seconds redis_exporter_scrapes_total
        redis_last_key_groups_scrape_duration_milliseconds redis_target_scrape_request_errors_total""",
}


@pytest.fixture
def used(atomdb):
    """A server with one tenant that has used every counted feature, and its client."""
    atomdb.start(f'workers = 1;\ntenants: ( {{ name = "only"; secret = "{SECRET}"; max_entries = 10; }} );\n')
    client = atomdb.client(SECRET)
    for i in range(13):
        client.cmd("SET", f"key:{i}", "value")
    client.cmd("EXPIRE", "key:12", "1000")
    client.cmd("SET", "gone", "soon", "PX", "1")
    client.cmd("GET", "key:12")
    client.cmd("GET", "none")
    client.cmd("INCR", "key:12")
    client.cmd("GET")
    harness.wait_for(lambda: atomdb.metric("redis_expired_keys_total") == 1, 10, "the key to expire")
    yield atomdb, client
    client.close()


def types(page):
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M))


def test_each_metric_of_redis_exporter_exists_or_has_a_reason(used):
    server, _ = used
    found = {name: kind for name, kind in types(server.http("/metrics").body).items() if name.startswith("redis_")}
    assert found == {name: kind for name, (kind, _) in {**SAID, **ELSEWHERE}.items()}
    unsaid = " ".join(UNSAID.values()).split()
    assert len(set(unsaid)) == len(unsaid) and not set(unsaid) & set(SAID)


@pytest.mark.parametrize("name", [name for name, (_, field) in {**SAID, **ELSEWHERE}.items() if field])
def test_metrics_equal_the_fields_of_info(used, name):
    server, client = used
    _, field = {**SAID, **ELSEWHERE}[name]
    text = client.cmd("INFO").decode()
    said = re.search(field if "(" in field else rf"^{field}:(\d+)\r", text, re.M)
    value = server.metric(name)
    assert said and value is not None
    # INFO itself is a command, and time passes.
    slack = {"redis_commands_processed_total": 1, "redis_uptime_in_seconds": 2}.get(name, 0)
    assert 0 <= value - int(said[1]) <= slack


def test_metrics_without_a_field_of_info_are_correct(used):
    server, _ = used
    assert server.metric("redis_up") == 1
    assert server.metric("redis_instance_info", role="master", redis_mode="standalone") == 1
    assert server.metric("redis_commands_total", cmd="set") == 14
    assert server.metric("redis_commands_failed_calls_total", cmd="incr") == 1
    assert server.metric("redis_commands_rejected_calls_total", cmd="get") == 1
    assert server.metric("redis_commands_duration_seconds_total", cmd="set") > 0
    assert server.metric("redis_memory_used_bytes") == (server.metric("redis_memory_used_dataset_bytes")
                                                        + server.metric("redis_memory_used_overhead_bytes"))
    assert server.metric("redis_memory_used_dataset_bytes") >= 9 * 32
    assert server.metric("redis_total_system_memory_bytes") > server.metric("redis_memory_used_rss_bytes") > 0
    assert server.metric("redis_net_input_bytes_total") > 14 * 30
    assert server.metric("redis_net_output_bytes_total") > 14 * 5


# Expressions of dashboards for Redis.
ASKED = """
max(max_over_time(redis_uptime_in_seconds{instance=~".*"}[10s]))
sum(redis_connected_clients{instance=~".*"})
100 * redis_connected_clients / redis_config_maxclients
100 * redis_memory_used_bytes{instance=~".*"} / redis_memory_max_bytes{instance=~".*"}
100 * redis_memory_used_bytes / redis_total_system_memory_bytes
sum(rate(redis_commands_processed_total{instance=~".*"}[10s])) by (instance)
irate(redis_keyspace_hits_total{instance=~".*"}[10s])
irate(redis_keyspace_misses_total{instance=~".*"}[10s])
sum(redis_memory_used_bytes) by (instance)
sum(redis_memory_max_bytes) by (instance)
sum(redis_memory_used_rss_bytes) by (instance)
sum(rate(redis_net_input_bytes_total[10s]))
sum(rate(redis_net_output_bytes_total[10s]))
sum(redis_db_keys) by (db, instance)
sum(redis_db_keys) by (instance) - sum(redis_db_keys_expiring) by (instance)
sum(rate(redis_expired_keys_total[10s])) by (instance)
sum(rate(redis_evicted_keys_total[10s])) by (instance)
topk(5, irate(redis_commands_total[10s]))
sum(irate(redis_commands_duration_seconds_total[10s])) by (cmd) / sum(irate(redis_commands_total[10s])) by (cmd) > 0
sum(redis_blocked_clients) by (instance)
redis_keyspace_hits_total / (redis_keyspace_hits_total + redis_keyspace_misses_total)
count(redis_instance_info{role="master"})
rate(redis_connections_received_total[10s])
rate(redis_cpu_sys_seconds_total[10s]) + rate(redis_cpu_user_seconds_total[10s])
time() - redis_start_time_seconds
redis_connected_slaves
""".strip().splitlines()
# Expressions of alerts for Redis: none of them fires here.
QUIET = """
redis_up == 0
(count(redis_instance_info{role="master"}) or vector(0)) < 1
count(redis_instance_info{role="master"}) > 1
count without (instance, job) (redis_connected_slaves) - sum without (instance, job) (redis_connected_slaves) - 1 > 1
delta(redis_connected_slaves[10s]) < 0
time() - redis_rdb_last_save_timestamp_seconds > 60 * 60 * 24
redis_memory_used_bytes / redis_total_system_memory_bytes * 100 > 90
redis_memory_used_bytes / (redis_memory_max_bytes > 0) * 100 > 90
redis_connected_clients / redis_config_maxclients * 100 > 90
increase(redis_rejected_connections_total[10s]) > 0
""".strip().splitlines()


def test_dashboards_and_alerts_for_redis_evaluate(used, tmp_path):
    server, client = used
    prometheus = Prometheus(str(tmp_path), server.http_port)
    try:
        prometheus.wait("up == 1")
        for query in ASKED:
            prometheus.wait(query, lambda samples: client.cmd("GET", "key:12") and samples
                            and not any(value != value for _, value in samples))
        for query in QUIET:
            assert prometheus.query(query) == [], query
    finally:
        prometheus.stop()
