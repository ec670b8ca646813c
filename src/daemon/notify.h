/* Tells systemd the state of the daemon, and feeds its watchdog. */
#pragma once

struct daemon;

void notify_ready(struct daemon *d);
/* Writes the status line that systemctl shows. */
void notify_status(struct daemon *d);
/* Report a step of the hand-over of clients, and of their restoration. systemd extends its timeout. */
void notify_leaving(struct daemon *d);
void notify_resuming(struct daemon *d);
/* Checks and pings the workers, pings systemd, and updates the health. */
void notify_watchdog(struct daemon *d);
