/* A batch: commands of one client that run one after another, and whose replies are sent together. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct connection;
struct task;
struct window;
struct writer;

/* The result of a batch. */
enum verdict {
	VERDICT_DONE,       /* no bytes are left */
	VERDICT_WINDOW,     /* the window is used up: commands are left */
	VERDICT_UNFINISHED, /* the rest is an incomplete command */
	VERDICT_TOO_LARGE,  /* the rest is an incomplete command that the client may not hold */
	VERDICT_STALLED,    /* the rest waits until replies are sent */
	VERDICT_RETRY,      /* the rest waits for the shard, or for other clients */
	VERDICT_BLOCKED,    /* the rest waits until the tenant's pause ends, or the session is woken */
	VERDICT_MIGRATE,    /* the rest must run on another worker */
	VERDICT_BUSY,       /* the rest waits until the suspended command of environment.awaited has ended */
	VERDICT_SUSPENDED,  /* the rest waits until the command before it has ended */
	VERDICT_CLOSE,      /* close after the replies */
	VERDICT_DROP,       /* close at once */
};

/* The bytes of a batch. */
struct batch {
	char *data;
	size_t len;
	size_t done; /* bytes of the commands that have run */
};

/* Runs every complete command, first the commands that are already in the window. The replies are in the worker's
 * output. */
enum verdict batch_run(struct connection *c, struct batch *b, struct window *v);
/* Adds the reply of a task that has ended to the worker's output. Returns VERDICT_DONE, _CLOSE, _DROP or _STALLED. */
enum verdict batch_answer(struct connection *c, struct task *k);
/* Raises the limit of a writer of the client's replies by `n` at least, up to `most`, and charges the client. Returns
 * false if there is no room. */
bool batch_grow_reply(struct connection *c, struct writer *writer, size_t most, size_t n);
/* Parses commands of the usual form into the window, as many as fit. Returns their number. */
unsigned batch_parse_usual(struct window *v, const char *data, size_t len);
/* Directs the client's replies to the worker's output. */
void batch_begin_replies(struct connection *c);
/* Logs bytes that violate the protocol, and replies with an error. Returns VERDICT_CLOSE. */
enum verdict batch_protocol_error(struct connection *c, const struct batch *b, const char *reason);
/* Returns the most bytes that an unfinished command of the client may have. */
size_t batch_query_limit(const struct connection *c);
