/* The job that systemd has for the unit of this process. A SIGTERM alone does not distinguish a stop from a restart. */
#pragma once

enum unit_fate {
	UNIT_UNKNOWN, /* there is no bus, or no answer in time */
	UNIT_STARTS,  /* the unit starts again, and gets the files of the store */
	UNIT_ENDS,    /* systemd closes the files of the store */
};

#define UNIT_TRIGGERS_MAX 256

struct unit_job {
	enum unit_fate fate;
	char triggers[UNIT_TRIGGERS_MAX]; /* units that start it again when a client connects, as a phrase; or "" */
};

/* Asks systemd over D-Bus. Takes a few milliseconds, or at most some seconds if the bus or systemd hangs. */
struct unit_job unit_job_ask(void);
