/* atomdb_bench_load: the command line. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: atomdb_bench_load [OPTION]...\n"
			    "  --mode load|idle|probe   default load\n"
			    "  --host A --port N        an IPv4 address, default 127.0.0.1\n"
			    "  --unix PATH\n"
			    "  --memcached              its text protocol\n"
			    "  --auth SECRET            each connection sends AUTH\n"
			    "  --tenants N              connections take the secrets SECRET-0 to SECRET-(N-1) in turn\n"
			    "  --clients N --pipeline N\n"
			    "  --mix VERB:WEIGHT,...    of get set setex incr setget del ping; default get:10,set:1\n"
			    "  --keys N --key-size B --value-size B\n"
			    "  --zipf THETA             a Zipf distribution of keys, 0 < THETA < 1; default uniform\n"
			    "  --sequential             each key once and in order, with the first verb of the mix\n"
			    "  --key-step N             with --sequential, every Nth key only\n"
			    "  --integers               values are numbers of --value-size digits\n"
			    "  --ttl MS                 SET with PX\n"
			    "  --deadline MS            SET with PXAT, Unix time\n"
			    "  --spread MS              spread the deadlines evenly over this time\n"
			    "  --duration MS --warmup MS\n"
			    "  --ops N                  run N operations instead of a duration; no warm-up\n"
			    "  --rate N                 operations a second\n"
			    "  --stream N               generate N requests in advance; 0: each when it is sent\n"
			    "  --seed N\n"
			    "  --server-pid PID         count the CPU time of this process\n";

enum {
	OPT_MODE = 1,
	OPT_HOST,
	OPT_UNIX,
	OPT_AUTH,
	OPT_MIX,
	OPT_ZIPF,
	OPT_MEMCACHED,
	OPT_SEQUENTIAL,
	OPT_INTEGERS,
	OPT_NUMBER
};

/* Options with a numeric value: their field and range. */
struct number_option {
	const char *name;
	size_t offset, size;
	uint64_t min, max;
};

#define NUMBER(name, field, min, max) \
	{ name, offsetof(struct options, field), sizeof(((struct options *)NULL)->field), min, max }

static const struct number_option numbers[] = {
	NUMBER("port", port, 1, UINT16_MAX),          NUMBER("tenants", tenants, 1, 1000000),
	NUMBER("clients", clients, 1, 60000),         NUMBER("pipeline", pipeline, 1, 10000),
	NUMBER("keys", keys, 1, 1000000000),          NUMBER("key-size", key_size, 13, 250),
	NUMBER("value-size", value_size, 1, 1 << 20), NUMBER("key-step", key_step, 1, 1000000000),
	NUMBER("ttl", ttl_ms, 0, UINT64_C(1) << 40),  NUMBER("deadline", deadline_ms, 0, UINT64_C(1) << 44),
	NUMBER("spread", spread_ms, 0, 1000000000),   NUMBER("duration", duration_ms, 0, 3600000),
	NUMBER("warmup", warmup_ms, 0, 600000),       NUMBER("ops", operations, 0, UINT64_C(1) << 40),
	NUMBER("rate", rate, 0, 100000000),           NUMBER("stream", stream, 0, 100000000),
	NUMBER("seed", seed, 0, UINT64_MAX),          NUMBER("server-pid", server, 0, 1 << 30),
};

#define NUMBER_COUNT (sizeof(numbers) / sizeof(numbers[0]))

static int number_set(struct options *o, const struct number_option *n, const char *text) {
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!*text || *end || value < n->min || value > n->max) {
		fprintf(stderr, "atomdb_bench_load: --%s: %" PRIu64 " to %" PRIu64 "\n", n->name, n->min, n->max);
		return -EINVAL;
	}
	/* Little endian: a narrower field takes the low bytes. */
	memcpy((char *)o + n->offset, &value, n->size);
	return 0;
}

static int mix_set(struct options *o, char *text) {
	static const char *const names[VERB_COUNT] = {"get", "set", "setex", "incr", "setget", "del", "ping"};
	unsigned sum = 0;

	memset(o->weights, 0, sizeof(o->weights));
	for (char *save, *item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(item, ':');
		unsigned long weight = colon ? strtoul(colon + 1, NULL, 10) : 1;
		unsigned verb = 0;

		if (colon)
			*colon = '\0';
		while (verb < VERB_COUNT && strcmp(item, names[verb]) != 0)
			verb++;
		if (verb == VERB_COUNT || weight > 10000)
			return -EINVAL;
		o->weights[verb] = (unsigned)weight;
		sum += (unsigned)weight;
	}
	return sum ? 0 : -EINVAL;
}

static int mode_set(struct options *o, const char *text) {
	static const char *const names[] = {[MODE_LOAD] = "load", [MODE_IDLE] = "idle", [MODE_PROBE] = "probe"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			o->mode = (enum mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int option_set(struct options *o, int option, char *value) {
	struct in_addr address;

	switch (option) {
	case OPT_MODE:
		return mode_set(o, value);
	case OPT_HOST:
		o->host = value;
		return inet_pton(AF_INET, value, &address) == 1 ? 0 : -EINVAL;
	case OPT_UNIX:
		o->unix_path = value;
		return 0;
	case OPT_AUTH:
		o->auth = value;
		return 0;
	case OPT_MIX:
		return mix_set(o, value);
	case OPT_ZIPF:
		o->theta = strtod(value, NULL);
		return o->theta > 0 && o->theta < 1 ? 0 : -EINVAL;
	case OPT_MEMCACHED:
		o->memcached = true;
		return 0;
	case OPT_SEQUENTIAL:
		o->sequential = true;
		return 0;
	case OPT_INTEGERS:
		o->integers = true;
		return 0;
	default:
		return option >= OPT_NUMBER ? number_set(o, &numbers[option - OPT_NUMBER], value) : -EINVAL;
	}
}

static int options_parse(struct options *o, int argc, char **argv) {
	static const struct option texts[] = {
		{"mode", required_argument, NULL, OPT_MODE},     {"host", required_argument, NULL, OPT_HOST},
		{"unix", required_argument, NULL, OPT_UNIX},     {"auth", required_argument, NULL, OPT_AUTH},
		{"mix", required_argument, NULL, OPT_MIX},       {"zipf", required_argument, NULL, OPT_ZIPF},
		{"memcached", no_argument, NULL, OPT_MEMCACHED}, {"sequential", no_argument, NULL, OPT_SEQUENTIAL},
		{"integers", no_argument, NULL, OPT_INTEGERS},
	};
	struct option all[sizeof(texts) / sizeof(texts[0]) + NUMBER_COUNT + 1] = {0};
	size_t count = sizeof(texts) / sizeof(texts[0]);
	int option;

	memcpy(all, texts, sizeof(texts));
	for (size_t i = 0; i < NUMBER_COUNT; i++)
		all[count++] = (struct option){numbers[i].name, required_argument, NULL, OPT_NUMBER + (int)i};
	while ((option = getopt_long(argc, argv, "", all, NULL)) >= 0) {
		if (option_set(o, option, optarg) < 0)
			return -EINVAL;
	}
	if (optind != argc || (!o->port && !o->unix_path) || o->value_size * (uint64_t)o->pipeline > (64u << 20))
		return -EINVAL;
	/* A fill of several tenants numbers the keys of each connection. */
	if (o->sequential && o->tenants > 1 && o->clients != o->tenants)
		return -EINVAL;
	return 0;
}

int main(int argc, char **argv) {
	struct options o = {.host = "127.0.0.1",
			    .clients = 50,
			    .pipeline = 1,
			    .tenants = 1,
			    .weights = {[VERB_GET] = 10, [VERB_SET] = 1},
			    .key_size = 16,
			    .value_size = 64,
			    .keys = 100000,
			    .key_step = 1,
			    .stream = 500000,
			    .duration_ms = 3000,
			    .warmup_ms = 500,
			    .seed = 20};
	int r;

	if (options_parse(&o, argc, argv) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	r = o.mode == MODE_IDLE ? idle_run(&o) : o.mode == MODE_PROBE ? probe_run(&o) : load_run(&o);
	if (r < 0)
		fprintf(stderr, "atomdb_bench_load: %s\n", strerror(-r));
	return r < 0 ? 1 : 0;
}
