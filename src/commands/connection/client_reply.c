/* CLIENT REPLY. */
#include "commands/handlers.h"

enum outcome cmd_client_reply(struct session *s, const struct request *r) {
	if (slice_is(r->argv[2], "ON")) {
		s->flags &= ~(uint32_t)(SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
		s->reply->muted = false;
		writer_ok(s->reply);
		return OUTCOME_DONE;
	}
	if (slice_is(r->argv[2], "OFF")) {
		s->flags |= SESSION_REPLY_OFF;
	} else if (slice_is(r->argv[2], "SKIP")) {
		if (!(s->flags & SESSION_REPLY_OFF))
			s->flags |= SESSION_REPLY_SKIP_NEXT;
	} else {
		return reply_syntax_error(s);
	}
	/* The reply of EXEC is a complete array. */
	if (s->flags & SESSION_EXECUTING)
		writer_null(s->reply);
	else
		s->reply->muted |= (s->flags & SESSION_REPLY_OFF) != 0;
	return OUTCOME_DONE;
}
