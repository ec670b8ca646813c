/* Tells systemd the state of the daemon, and feeds its watchdog. */
#pragma once

struct daemon;

void notify_ready(struct daemon *d);
/* Writes the status line that systemctl shows. */
void notify_status(struct daemon *d);
/* Report one step of leaving clients to the next process, and of restoring those of the process before. systemd extends
 * its timeout for them. */
void notify_leaving(struct daemon *d);
void notify_resuming(struct daemon *d);
/* Checks and pings the workers, pings systemd, and updates the health. */
void notify_watchdog(struct daemon *d);
