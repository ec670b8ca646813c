/* Timeouts of clients: auth_timeout, idle_timeout, and the time for a finished client to read its replies. */
#pragma once

struct worker;

/* Closes the clients whose time is over, and sets tick_ms. */
void sweep_run(struct worker *w);
/* Closes the finished clients whose replies have arrived, or whose time is over. */
void sweep_lingering(struct worker *w);
