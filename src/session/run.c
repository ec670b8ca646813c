#include "atomdb/session/run.h"

#include "atomdb/session/command_stats.h"
#include "atomdb/session/tenant_stats.h"
#include "atomdb/store/tenant.h"

/* Frees a scratch buffer that a large reply made. */
#define SCRATCH_KEPT ((size_t)64 << 10)

/* Adds the time since `*ticks`, and the command, to its counters. Returns that time. Inlined, because a call costs each
 * command as much as the counting. */
static inline __attribute__((always_inline)) uint64_t count_run(struct session *s, const struct command *c, bool failed,
								uint64_t *ticks) {
	struct command_counters *f = &s->env->commands[c->id];
	uint64_t now = environment_ticks(s->env), spent = now > *ticks ? now - *ticks : 0;
	/* In halves of a unit, so that 0 has a highest bit too. */
	uint64_t halves = spent * s->env->duration_scale >> (DURATION_SCALE_BITS - 1);
	counter_add(&f->ticks, spent);
	counter_add(&f->runs[63 - __builtin_clzll(halves | 1)], 1);
	if (__builtin_expect(failed, 0))
		counter_add(&f->failed, 1);
	*ticks = now;
	return spent;
}

enum outcome command_run(struct session *s, const struct request *r, uint64_t *ticks) {
	const struct command *c = r->command;
	enum outcome outcome = c->run(s, r);
	if (__builtin_expect(s->env->scratch.len != 0, 0)) {
		s->env->scratch.len = 0;
		if (s->env->scratch.cap > SCRATCH_KEPT)
			buffer_deinit(&s->env->scratch);
	}
	if (__builtin_expect(outcome >= OUTCOME_RETRY, 0))
		return outcome;
	bool failed = __builtin_expect(s->reply->errors != 0, 0) && tenant_stats_count_failed(s, c);
	uint64_t spent = count_run(s, c, failed, ticks);
	if (s->tenant != NULL) {
		counter_add(&s->tenant->counters.commands, 1);
		command_stat_count(s->tenant, c, spent);
		if (__builtin_expect(spent >= s->tenant->clients.slow_ticks, 0))
			tenant_stats_count_command(s, r, spent);
	}
	return outcome;
}
