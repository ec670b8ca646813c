/* The watchdog of workers: decides whether they answer pings. Pure: the caller sends the pings and passes the time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The state of one worker; zeros before the first turn. */
struct watchdog {
	bool waiting;      /* a ping is sent, and its answer is due */
	uint64_t pongs;    /* number of answers before that ping */
	uint64_t since_ns; /* when the ping was sent */
};

struct watchdog_turn {
	bool ping;     /* send a ping now */
	bool answered; /* no answer is due */
	bool stuck;    /* an answer is due for longer than the limit */
};

/* Checks one worker that has answered `pongs` pings so far. Does not ping a worker whose answer is due. */
struct watchdog_turn watchdog_look(struct watchdog *w, uint64_t pongs, uint64_t now_ns, uint64_t limit_ns);

/* The progress of a stop; zeros before the first check. */
struct watchdog_stop {
	uint64_t progress; /* sum at the last check that found progress */
	unsigned idle; /* checks since then; unlike the clock, this does not advance while the process is suspended */
};

/* Takes a sum of counters that rise as a stop advances. Returns whether it has changed since the last call. */
bool watchdog_advances(struct watchdog_stop *w, uint64_t progress);
