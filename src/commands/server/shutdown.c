/* SHUTDOWN. The control plane ends the server. */
#include "atomdb/session/fanout.h"
#include "commands/handlers.h"

enum outcome cmd_shutdown(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_SHUTDOWN, .gather = fanout_gather_text};
	bool save = false, nosave = false, now = false, force = false, abort = false;
	if (!operator_only(s, r))
		return OUTCOME_DONE;
	for (uint32_t i = 1; i < r->argc; i++) {
		if (slice_is(r->argv[i], "SAVE"))
			save = true;
		else if (slice_is(r->argv[i], "NOSAVE"))
			nosave = true;
		else if (slice_is(r->argv[i], "NOW"))
			now = true;
		else if (slice_is(r->argv[i], "FORCE"))
			force = true;
		else if (slice_is(r->argv[i], "ABORT"))
			abort = true;
		else
			return reply_syntax_error(s);
	}
	if ((abort && (save || nosave || now || force)) || (save && nosave))
		return reply_syntax_error(s);
	if (abort)
		return reply_error(s, "ERR No shutdown in progress.");
	if (save && !force)
		return reply_error(s,
				   "ERR Errors trying to SHUTDOWN: nothing can be saved. FORCE stops it all the same.");
	return fanout_run(s, r, &kind, 0);
}
