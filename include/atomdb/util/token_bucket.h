/* A token bucket: how much of something may happen per second, with a burst of one second's worth.
 * It knows no clock: the caller passes monotonic time in nanoseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
	uint64_t rate;   /* tokens a second; 0: no limit */
	uint64_t tokens; /* in billionths of a token */
	uint64_t last_ns;
};

void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t now_ns);
/* Changes the rate; what is saved up beyond one second of the new rate is lost. */
void token_bucket_set_rate(struct token_bucket *b, uint64_t rate, uint64_t now_ns);
/* Takes one token; false where there is none. */
bool token_bucket_take(struct token_bucket *b, uint64_t now_ns);
/* Gives the token back that was just taken, for what did not happen after all. */
void token_bucket_give_back(struct token_bucket *b);
