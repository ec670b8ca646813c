/* SHUTDOWN. The control plane ends the server. */
#include "atomdb/session/fanout.h"
#include "atomdb/session/options.h"
#include "commands/handlers.h"

enum {
	OPTION_SAVE = 1 << 0,
	OPTION_NOSAVE = 1 << 1,
	OPTION_NOW = 1 << 2,
	OPTION_FORCE = 1 << 3,
	OPTION_ABORT = 1 << 4,
};

static const struct command_option options[] = {
	OPTION("save", .flag = OPTION_SAVE, .excludes = OPTION_NOSAVE | OPTION_ABORT),
	OPTION("nosave", .flag = OPTION_NOSAVE, .excludes = OPTION_SAVE | OPTION_ABORT),
	OPTION("now", .flag = OPTION_NOW, .excludes = OPTION_ABORT),
	OPTION("force", .flag = OPTION_FORCE, .excludes = OPTION_ABORT),
	OPTION("abort", .flag = OPTION_ABORT, .excludes = ~(uint32_t)OPTION_ABORT),
};

enum outcome cmd_shutdown(struct session *s, const struct request *r) {
	static const struct fanout_kind kind = {.control = CONTROL_SHUTDOWN, .gather = fanout_gather_text};
	struct options o = OPTIONS_BEGIN(r, 1, options);
	if (!operator_only(s, r))
		return OUTCOME_DONE;
	while (options_next(&o) != NULL)
		;
	if (o.error != OPTIONS_OK)
		return reply_syntax_error(s);
	if (o.seen & OPTION_ABORT)
		return reply_error(s, "ERR No shutdown in progress.");
	if ((o.seen & OPTION_SAVE) && !(o.seen & OPTION_FORCE))
		return reply_error(s,
				   "ERR Errors trying to SHUTDOWN: nothing can be saved. FORCE stops it all the same.");
	return fanout_run(s, r, &kind, 0);
}
