/* The errors that AtomDB's own modules return, beside the negative errno values.
 *
 * Functions that can fail return 0, or a negative value: either -errno or one of these. Positive values are outcomes
 * that the function documents and its caller must handle. Out-parameters are written on success only. */
#pragma once

enum atomdb_error {
	ATOMDB_E_OOM = -5001,       /* the quota or the memory limit leaves no room, even after eviction */
	ATOMDB_E_PROTOCOL = -5002,  /* bytes that are not RESP */
	ATOMDB_E_RANGE = -5003,     /* a number or a size outside its range */
	ATOMDB_E_SYNTAX = -5004,    /* text that does not parse */
	ATOMDB_E_AGAIN = -5005,     /* not now: due entries are still being swept, ask again next turn */
	ATOMDB_E_WRONGPASS = -5006, /* no tenant is opened by this name and secret */
	ATOMDB_E_FULL = -5007,      /* a limit on a count (tenants, clients) is reached */
	ATOMDB_E_FORMAT = -5008,    /* not an arena, or damaged beyond use */
	ATOMDB_E_VERSION = -5009,   /* an arena of another format */
	ATOMDB_E_CHECKSUM = -5010,  /* an arena whose header is damaged */
	ATOMDB_E_TRUNCATED = -5011, /* an arena that is cut off */
	ATOMDB_E_LOSS = -5013,      /* keys would be lost that nobody gave up */
	ATOMDB_E_SEED = -5012,      /* an arena whose hash seed is not the one that its keys were hashed with */
};

/* The text of `error`, one of the above or -errno; never NULL. Not thread-local: constant strings or strerrordesc_np.
 */
const char *error_text(int error);
