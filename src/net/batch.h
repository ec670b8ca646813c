/* A batch: the commands of one client that run one after another, and whose replies are sent together. */
#pragma once

#include <stddef.h>

struct connection;
struct window;

/* How a batch ended. */
enum verdict {
	VERDICT_DONE,       /* no byte is left */
	VERDICT_WINDOW,     /* the window was used up: there is more */
	VERDICT_UNFINISHED, /* the rest is the beginning of a command */
	VERDICT_TOO_LARGE,  /* the same, and its client may not hold it */
	VERDICT_STALLED,    /* the rest waits until replies are sent */
	VERDICT_RETRY,      /* the rest waits until the shard has caught up, or the others have been served */
	VERDICT_BLOCKED,    /* the rest waits until the tenant's pause ends, or the session is woken */
	VERDICT_MIGRATE,    /* the rest is for another worker */
	VERDICT_CLOSE,      /* close after the replies */
	VERDICT_DROP,       /* close at once */
};

/* The bytes of a batch. */
struct batch {
	char *data;
	size_t len;
	size_t done; /* bytes whose commands have run */
};

/* Runs every complete command, first those that are in the window already. The replies are in the worker's output. */
enum verdict batch_run(struct connection *c, struct batch *b, struct window *v);
/* Parses commands of the usual form into the window, as many as fit. Returns how many. */
unsigned batch_parse_usual(struct window *v, const char *data, size_t len);
/* Directs the client's replies to the worker's output. */
void batch_begin_replies(struct connection *c);
/* Logs and answers bytes that do not follow the protocol. Returns VERDICT_CLOSE. */
enum verdict batch_protocol_error(struct connection *c, const struct batch *b, const char *reason);
/* Bytes that an unfinished command of the client may have. */
size_t batch_query_limit(const struct connection *c);
