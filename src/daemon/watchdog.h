/* Tells whether workers answer pings. Pure: the caller sends the pings and passes the time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One worker; zeros before the first turn. */
struct watchdog {
	bool waiting;      /* for the answer to a ping */
	uint64_t pongs;    /* answers before that ping */
	uint64_t since_ns; /* when it was sent */
};

struct watchdog_turn {
	bool ping;     /* send one now */
	bool answered; /* nothing is owed by the worker */
	bool stuck;    /* an answer is owed for longer than the limit */
};

/* A look at one worker that has answered `pongs` pings so far. A worker that owes an answer is not pinged again. */
struct watchdog_turn watchdog_look(struct watchdog *w, uint64_t pongs, uint64_t now_ns, uint64_t limit_ns);

/* A stop under way; zeros before the first look. */
struct watchdog_stop {
	uint64_t progress; /* at the latest look that found some */
	unsigned idle;     /* looks since then: a look, unlike the clock, stands still while the process does */
};

/* Takes a sum of counters that rise as a stop advances. Returns whether it has changed since the last call. */
bool watchdog_advances(struct watchdog_stop *w, uint64_t progress);
