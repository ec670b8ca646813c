/* A token bucket: limits a rate per second, with a burst of one second. The caller passes monotonic time in
 * nanoseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
	uint64_t rate;   /* tokens per second; 0: no limit */
	uint64_t tokens; /* in billionths of a token */
	uint64_t last_ns;
};

void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t now_ns);
/* Changes the rate. Tokens beyond one second of the new rate are discarded. */
void token_bucket_set_rate(struct token_bucket *b, uint64_t rate, uint64_t now_ns);
/* Takes one token. Returns false if there is none. */
bool token_bucket_take(struct token_bucket *b, uint64_t now_ns);
/* Returns a token that was taken for an action that did not happen. */
void token_bucket_give_back(struct token_bucket *b);
