#include "atomdb/util/number.h"

#include <string.h>

bool number_parse(struct slice text, int64_t *value) {
	const char *p = text.data;
	size_t n = text.len;
	if (n == 0 || n > NUMBER_TEXT_MAX)
		return false;
	bool negative = *p == '-';
	if (negative) {
		p++;
		n--;
	} else if (n == 1 && *p == '0') {
		*value = 0;
		return true;
	}
	/* The first digit must be 1 to 9. This rejects "", "-", "-0", "+1", " 1" and "01". */
	if (n == 0 || n > 19 || *p < '1' || *p > '9')
		return false;
	uint64_t v = 0; /* 19 digits cannot overflow */
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)(unsigned char)p[i] - '0';
		if (digit > 9)
			return false;
		v = v * 10 + digit;
	}
	if (v > (uint64_t)INT64_MAX + negative)
		return false;
	*value = (int64_t)(negative ? 0 - v : v);
	return true;
}

const char number_digit_pairs[] = "00010203040506070809"
				  "10111213141516171819"
				  "20212223242526272829"
				  "30313233343536373839"
				  "40414243444546474849"
				  "50515253545556575859"
				  "60616263646566676869"
				  "70717273747576777879"
				  "80818283848586878889"
				  "90919293949596979899";

static inline size_t count_digits(uint64_t v) {
	size_t n = 1;
	for (;;) {
		if (v < 10)
			return n;
		if (v < 100)
			return n + 1;
		if (v < 1000)
			return n + 2;
		if (v < 10000)
			return n + 3;
		v /= 10000;
		n += 4;
	}
}

size_t number_format(int64_t value, char *out) {
	uint64_t v = (uint64_t)value;
	size_t sign = 0;
	if (value < 0) {
		*out = '-';
		sign = 1;
		v = 0 - v;
	}
	size_t len = sign + count_digits(v);
	char *p = out + len;
	while (v >= 100) {
		p -= 2;
		memcpy(p, number_digit_pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10)
		memcpy(p - 2, number_digit_pairs + v * 2, 2);
	else
		p[-1] = (char)('0' + v);
	return len;
}
