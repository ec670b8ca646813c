/* The self test of HyperLogLogs, for PFSELFTEST. */
#pragma once

/* Compares both forms and checks estimates. Returns NULL, or the text of an error. */
const char *hll_self_test(void);
