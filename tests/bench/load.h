/* The load generator: its options and its parts (requests, replies, connections, modes). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"

enum verb { VERB_GET, VERB_SET, VERB_SETEX, VERB_INCR, VERB_SETGET, VERB_DEL, VERB_PING, VERB_COUNT };
enum mode { MODE_LOAD, MODE_IDLE, MODE_PROBE };

struct options {
	enum mode mode;
	const char *host, *unix_path, *auth;
	uint16_t port;
	unsigned clients, pipeline, tenants;
	unsigned weights[VERB_COUNT];
	bool memcached;       /* use the text protocol of memcached */
	bool sequential;      /* write each key once, in order: a fill */
	bool integers;        /* values are decimal numbers of value_size digits */
	unsigned key_size;    /* bytes */
	unsigned value_size;  /* bytes */
	uint64_t keys;        /* number of keys */
	uint64_t key_step;    /* sequential: step between keys */
	double theta;         /* exponent of the Zipf distribution, less than 1; 0: uniform */
	uint64_t ttl_ms;      /* 0: none */
	uint64_t deadline_ms; /* Unix time; 0: none */
	uint64_t spread_ms;   /* deadlines are spread evenly over this time */
	uint64_t stream; /* number of requests generated in advance and repeated; 0: generate each when it is sent */
	uint64_t operations;  /* 0: run for duration_ms */
	uint64_t duration_ms; /* measured */
	uint64_t warmup_ms;   /* before, not measured */
	uint64_t rate;        /* operations per second; 0: as fast as replies arrive */
	uint64_t seed;
	pid_t server; /* count the CPU time of this process; 0: none */
};

/* Chooses commands by weight and keys by distribution. */
struct draw {
	uint64_t random;
	unsigned weight_sum;
	double zeta, alpha, eta; /* constants of the Zipf distribution */
};

void draw_init(struct draw *d, const struct options *o);
/* Writes the next request to `out`, which holds request_size_max() bytes. Returns its size. */
size_t draw_request(struct draw *d, const struct options *o, char *out);

/* Requests in one array, so that a batch is a slice of it and costs nothing. */
struct stream {
	char *bytes;      /* owned */
	uint64_t *offset; /* owned: count + 1 offsets */
	uint64_t count;
};

/* Returns the maximum size of a request. */
size_t request_size_max(const struct options *o);
/* Writes a request for key number `key` to `out`, which holds request_size_max() bytes. Returns its size. */
size_t request_write(const struct options *o, enum verb verb, uint64_t key, char *out);
/* Returns 0 or -ENOMEM. */
int stream_init(struct stream *s, const struct options *o, struct draw *d);
void stream_deinit(struct stream *s);

/* Counts the replies in a byte stream that may be split anywhere. */
struct replies {
	bool memcached;
	uint64_t skip; /* missing bytes of a value */
	uint8_t line_size;
	bool line_long;  /* the line is longer than line[] */
	char line[120];  /* an incomplete line at the end of the input */
	uint64_t misses; /* nil, or END without a value */
	uint64_t errors;
	char error[120]; /* text of the first error */
};

/* Returns the number of replies that `size` bytes at `at` complete, or -EPROTO if they are invalid. */
int64_t replies_count(struct replies *r, const char *at, size_t size);

/* Opens a blocking connection and authenticates as tenant `number`. Returns an fd or -errno. */
int connection_open(const struct options *o, unsigned number);

/* Returns the CPU time of all threads of the process in ns, as counted by the scheduler, or 0 if it has ended. */
uint64_t process_cpu_ns(pid_t pid);
uint64_t now_ns(void);

/* Each mode prints one line of JSON, and returns 0 or -errno. */
int load_run(const struct options *o);
/* Opens the connections, prints, and keeps them open until standard input is closed. */
int idle_run(const struct options *o);
/* Makes one round trip per millisecond, until standard input is closed or the duration has passed. */
int probe_run(const struct options *o);
