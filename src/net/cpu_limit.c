#include "net/cpu_limit.h"

void cpu_limit_use(struct tenant *t, uint64_t ns, uint64_t now_ns) {
	struct tenant_clients *c = &t->clients;
	if (c->cpu_paid_ns + CPU_LIMIT_BURST_NS < now_ns)
		c->cpu_paid_ns = now_ns - CPU_LIMIT_BURST_NS;
	c->cpu_paid_ns += ns * TENANT_CPU_UNITS / t->limits.cpu_limit;
	if (c->cpu_paid_ns <= now_ns)
		return;
	int64_t until_ms = (int64_t)((c->cpu_paid_ns + CPU_LIMIT_PAUSE_NS) / 1000000);
	int64_t from_ms = (int64_t)(now_ns / 1000000);
	if (c->cpu_wait_ms > from_ms)
		from_ms = c->cpu_wait_ms;
	if (until_ms <= from_ms)
		return;
	counter_add(&t->counters.cpu_throttled_ns, (uint64_t)(until_ms - from_ms) * 1000000);
	c->cpu_wait_ms = until_ms;
}
