/* The load generator: what is asked for, and the parts that do it (requests, replies, connections, modes). */
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
	bool memcached;       /* its text protocol instead of RESP */
	bool sequential;      /* each key once, in order: a fill */
	bool integers;        /* values are numbers of value_size digits */
	unsigned key_size;    /* bytes */
	unsigned value_size;  /* bytes */
	uint64_t keys;        /* how many there are */
	uint64_t key_step;    /* sequential: every key_step-th */
	double theta;         /* Zipf's exponent, under 1; 0: uniform */
	uint64_t ttl_ms;      /* 0: none */
	uint64_t deadline_ms; /* Unix time; 0: none */
	uint64_t spread_ms;   /* deadlines are spread evenly over as much */
	uint64_t stream;      /* requests made beforehand, then repeated; 0: each is made when it is sent */
	uint64_t operations;  /* 0: as long as duration_ms */
	uint64_t duration_ms; /* measured */
	uint64_t warmup_ms;   /* before, not measured */
	uint64_t rate;        /* operations a second; 0: as fast as replies come */
	uint64_t seed;
	pid_t server; /* whose CPU time to count; 0: none */
};

/* Draws verbs by weight and keys by distribution. */
struct draw {
	uint64_t random;
	unsigned weight_sum;
	double zeta, alpha, eta; /* Zipf's constants */
};

void draw_init(struct draw *d, const struct options *o);
/* Writes the next request to `out` (request_size_max bytes); returns its size. */
size_t draw_request(struct draw *d, const struct options *o, char *out);

/* Requests as bytes. Those of a stream lie in one piece, so that a batch is a slice of it and costs nothing. */
struct stream {
	char *bytes;      /* owned */
	uint64_t *offset; /* owned: count + 1 of them */
	uint64_t count;
};

/* The most bytes one request takes. */
size_t request_size_max(const struct options *o);
/* Writes a request for key number `key` to `out` (request_size_max bytes); returns its size. */
size_t request_write(const struct options *o, enum verb verb, uint64_t key, char *out);
/* 0, or -ENOMEM. */
int stream_init(struct stream *s, const struct options *o, struct draw *d);
void stream_deinit(struct stream *s);

/* Counts replies in what comes from a server, cut anywhere. */
struct replies {
	bool memcached;
	uint64_t skip; /* bytes of a value not yet seen */
	uint8_t line_size;
	bool line_long;  /* the line went on beyond line[] */
	char line[120];  /* the beginning of a line cut by the end of what was read */
	uint64_t misses; /* nil, END without a value */
	uint64_t errors;
	char error[120]; /* the first one's text */
};

/* Returns how many replies `size` bytes at `at` complete; -EPROTO if they are none. */
int64_t replies_count(struct replies *r, const char *at, size_t size);

/* A blocking connection that has sent its AUTH and got +OK; `number` says of which tenant. An fd, or -errno. */
int connection_open(const struct options *o, unsigned number);

/* CPU time of all threads of a process so far, in ns, by the scheduler's own account; 0 if it is gone. */
uint64_t process_cpu_ns(pid_t pid);
uint64_t now_ns(void);

/* Each prints one line of JSON, and returns 0 or -errno. */
int load_run(const struct options *o);
/* Opens the connections, prints, and holds them until standard input closes. */
int idle_run(const struct options *o);
/* One round trip every millisecond, until standard input closes or the duration is over. */
int probe_run(const struct options *o);
