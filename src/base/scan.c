/* By the compilers' vectors, which become whatever the processor has. */
#include "base/scan.h"

#include <stdint.h>
#include <string.h>

enum { STEP = 16, STEPS_MAX = 255 };

typedef uint8_t vector __attribute__((vector_size(STEP)));

static vector load(const char *data)
{
	vector v;

	memcpy(&v, data, sizeof(v));
	return v;
}

static vector all(char byte)
{
	return (vector){ 0 } + (uint8_t)byte;
}

size_t gp_scan_count(const char *data, size_t len, char byte)
{
	vector wanted = all(byte);
	size_t n = 0, i = 0;

	while (len - i >= STEP) {
		vector sum = { 0 };

		/* Where it is equal there stands -1. A byte of the sum holds so many steps. */
		for (int k = 0; k < STEPS_MAX && len - i >= STEP; k++, i += STEP)
			sum -= (vector)(load(data + i) == wanted);
		for (int k = 0; k < STEP; k++)
			n += sum[k];
	}
	for (; i < len; i++)
		n += data[i] == byte;
	return n;
}

const char *gp_scan_pair(const char *data, size_t len, char first, char second)
{
	vector one = all(first), two = all(second);
	size_t i = 0;

	while (len - i > STEP) {
		vector found = (vector)(load(data + i) == one) & (vector)(load(data + i + 1) == two);
		uint64_t halves[2];

		memcpy(halves, &found, sizeof(halves));
		if (halves[0] | halves[1])
			break;
		i += STEP;
	}
	for (; i + 1 < len; i++)
		if (data[i] == first && data[i + 1] == second)
			return data + i;
	return NULL;
}
