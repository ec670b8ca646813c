#include "daemon/watchdog.h"

struct watchdog_turn watchdog_look(struct watchdog *w, uint64_t pongs, uint64_t now_ns, uint64_t limit_ns) {
	if (w->waiting && pongs != w->pongs)
		w->waiting = false;
	if (w->waiting)
		return (struct watchdog_turn){.stuck = now_ns - w->since_ns >= limit_ns};
	*w = (struct watchdog){.waiting = true, .pongs = pongs, .since_ns = now_ns};
	return (struct watchdog_turn){.ping = true, .answered = true};
}

bool watchdog_advances(struct watchdog_stop *w, uint64_t progress) {
	bool advances = progress != w->progress;
	w->progress = progress;
	w->idle = advances ? 0 : w->idle + 1;
	return advances;
}
