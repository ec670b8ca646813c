/* The encoding of a string in an RDB file. The two highest bits of the first byte select the form:
 *
 *   00   a length of 6 bits
 *   01   a length of 14 bits, continued in the next byte, high byte first
 *   10   a length in the next 4 (10000000) or 8 bytes (10000001), high bytes first
 *   11   an integer of 1, 2 or 4 bytes, low bytes first; or LZF: two lengths, compressed and not, and the compressed
 * bytes */
#pragma once

#define RDB_LENGTH_14 0x40
#define RDB_LENGTH_32 0x80
#define RDB_LENGTH_64 0x81
#define RDB_SPECIAL   0xc0 /* and one of these types: */
enum rdb_special { RDB_INT8, RDB_INT16, RDB_INT32, RDB_LZF };

/* Size of the longest length field in bytes. */
#define RDB_LENGTH_BYTES 5
