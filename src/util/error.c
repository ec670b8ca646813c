#include "atomdb/util/error.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

const char *error_text(int error) {
	switch (error) {
	case ATOMDB_E_OOM:
		return "No room left within the memory limit";
	case ATOMDB_E_PROTOCOL:
		return "Not a valid RESP request";
	case ATOMDB_E_RANGE:
		return "Out of range";
	case ATOMDB_E_SYNTAX:
		return "Syntax error";
	case ATOMDB_E_AGAIN:
		return "Not now, try again";
	case ATOMDB_E_WRONGPASS:
		return "Unknown name or wrong secret";
	case ATOMDB_E_FULL:
		return "Limit reached";
	case ATOMDB_E_FORMAT:
		return "Not an arena, or damaged beyond use";
	case ATOMDB_E_VERSION:
		return "Arena of another format version";
	case ATOMDB_E_CHECKSUM:
		return "Checksum of the arena's header is wrong";
	case ATOMDB_E_TRUNCATED:
		return "Arena is cut off";
	case ATOMDB_E_SEED:
		return "Hash seed of the arena is damaged";
	case ATOMDB_E_LOSS:
		return "Keys of tenants would be lost";
	case ATOMDB_E_WRONGTYPE:
		return "The key holds a value of another type";
	default:
		break;
	}
	const char *text = NULL;
	if (error <= 0 && error != INT_MIN)
		text = strerrordesc_np(-error);
	return text != NULL ? text : "Unknown error";
}
