/* TIME, ROLE, LOLWUT and WAIT. */
#include "commands/handlers.h"

enum outcome cmd_wait(struct session *s, const struct request *r) {
	int64_t replicas, timeout;
	if (!request_integer(s, r->argv[1], &replicas))
		return OUTCOME_DONE;
	if (!number_parse(r->argv[2], &timeout))
		return reply_error(s, "ERR timeout is not an integer or out of range");
	if (timeout < 0)
		return reply_error(s, "ERR timeout is negative");
	/* AtomDB has no replicas, so that waiting is useless. */
	writer_integer(s->reply, 0);
	return OUTCOME_DONE;
}

enum outcome cmd_time(struct session *s, const struct request *r) {
	(void)r;
	int64_t now = clock_realtime_us();
	writer_array(s->reply, 2);
	writer_bulk_integer(s->reply, now / 1000000);
	writer_bulk_integer(s->reply, now % 1000000);
	return OUTCOME_DONE;
}

/* The drawings are Redis's. Programs use LOLWUT to read the version. */
enum outcome cmd_lolwut(struct session *s, const struct request *r) {
	int64_t version;
	if (r->argc >= 3 && slice_is(r->argv[1], "VERSION") && !request_integer(s, r->argv[2], &version))
		return OUTCOME_DONE;
	writer_verbatim(s->reply, "txt", SLICE("Redis ver. 7.0.15\n"));
	return OUTCOME_DONE;
}

enum outcome cmd_role(struct session *s, const struct request *r) {
	(void)r;
	writer_array(s->reply, 3);
	writer_bulk(s->reply, SLICE("master"));
	writer_integer(s->reply, 0);
	writer_array(s->reply, 0);
	return OUTCOME_DONE;
}
