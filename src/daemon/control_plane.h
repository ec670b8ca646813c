/* Runs the operator's commands on tenants and settings. They change the configuration in force in the same way as a
 * reload. Workers push fanouts; the loop takes and answers them. */
#pragma once

struct daemon;
struct fanout;

/* Queues `c` for the main thread. Any thread may call it. `context` is the daemon: see struct control_plane. */
void control_plane_ask(void *context, struct fanout *c);
/* Answers the queued fanouts. */
void control_plane_answer(struct daemon *d);
/* Discards the fanouts that were not answered. The workers have stopped. */
void control_plane_discard(struct daemon *d);
