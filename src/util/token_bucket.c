#include "atomdb/util/token_bucket.h"

#define BILLION UINT64_C(1000000000)
/* The capacity of a larger rate would overflow 64 bits. */
#define RATE_MAX (UINT64_MAX / BILLION)

static uint64_t capacity(const struct token_bucket *b) {
	return b->rate * BILLION;
}

/* One token per second equals one billionth of a token per nanosecond, so the inflow is rate times elapsed
 * nanoseconds. */
static void refill(struct token_bucket *b, uint64_t now_ns) {
	if (now_ns <= b->last_ns)
		return;
	uint64_t elapsed = now_ns - b->last_ns;
	b->last_ns = now_ns;
	if (elapsed >= BILLION) {
		b->tokens = capacity(b);
		return;
	}
	uint64_t more = elapsed * b->rate;
	uint64_t room = capacity(b) - b->tokens;
	b->tokens += more < room ? more : room;
}

void token_bucket_init(struct token_bucket *b, uint64_t rate, uint64_t now_ns) {
	b->rate = rate < RATE_MAX ? rate : RATE_MAX;
	b->tokens = capacity(b);
	b->last_ns = now_ns;
}

void token_bucket_set_rate(struct token_bucket *b, uint64_t rate, uint64_t now_ns) {
	if (b->rate == 0) {
		token_bucket_init(b, rate, now_ns);
		return;
	}
	refill(b, now_ns);
	b->rate = rate < RATE_MAX ? rate : RATE_MAX;
	if (b->tokens > capacity(b))
		b->tokens = capacity(b);
}

bool token_bucket_take(struct token_bucket *b, uint64_t now_ns) {
	if (b->rate == 0)
		return true;
	refill(b, now_ns);
	if (b->tokens < BILLION)
		return false;
	b->tokens -= BILLION;
	return true;
}

void token_bucket_give_back(struct token_bucket *b) {
	if (b->rate != 0 && b->tokens <= capacity(b) - BILLION)
		b->tokens += BILLION;
}
