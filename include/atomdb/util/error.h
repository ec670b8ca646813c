/* Error numbers of AtomDB, in addition to errno.
 *
 * A function that can fail returns 0, or a negative value: -errno or one of these. A positive value is an outcome that
 * the function documents. A function writes its output parameters only if it
 * succeeds. */
#pragma once

enum atomdb_error {
	ATOMDB_E_OOM = -5001,       /* quota or memory limit exceeded, even after eviction */
	ATOMDB_E_PROTOCOL = -5002,  /* invalid RESP */
	ATOMDB_E_RANGE = -5003,     /* number or size out of range */
	ATOMDB_E_SYNTAX = -5004,    /* syntax error */
	ATOMDB_E_AGAIN = -5005,     /* due entries are still being swept: try again in the next turn */
	ATOMDB_E_WRONGPASS = -5006, /* no tenant has this name and secret */
	ATOMDB_E_FULL = -5007,      /* too many tenants or clients */
	ATOMDB_E_FORMAT = -5008,    /* not an arena, or damaged beyond recovery */
	ATOMDB_E_VERSION = -5009,   /* arena of another format version */
	ATOMDB_E_CHECKSUM = -5010,  /* arena with a damaged header */
	ATOMDB_E_TRUNCATED = -5011, /* truncated arena */
	ATOMDB_E_LOSS = -5013,      /* keys of tenants would be lost, and no setting allows it */
	ATOMDB_E_WRONGTYPE = -5014, /* the key holds a value of another type */
	ATOMDB_E_SEED = -5012,      /* arena whose keys were hashed with another seed */
};

/* Returns the text of one of these errors or of -errno, a constant string, never NULL. */
const char *error_text(int error);
