/* Scanning: what a plain loop finds, at every length, place and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scan.h"

static void test_count(void **state)
{
	enum { MUCH = 16 * 300 + 7 };
	char *data = malloc(MUCH);

	(void)state;
	memset(data, '\n', MUCH);
	assert_int_equal(gp_scan_count(data, MUCH, '\n'), MUCH);
	assert_int_equal(gp_scan_count(data, MUCH, 'x'), 0);
	for (size_t len = 0; len < 100; len++) {
		char *copy = malloc(len + 1); /* nothing behind it: the sanitizer sees a byte too many */
		size_t want = 0;

		for (size_t i = 0; i < len; i++) {
			copy[i] = i % 3 ? 'x' : (char)0xff;
			want += i % 3 == 0;
		}
		assert_int_equal(gp_scan_count(copy, len, (char)0xff), want);
		free(copy);
	}
	free(data);
}

static void test_pair(void **state)
{
	(void)state;
	assert_null(gp_scan_pair("", 0, 'a', 'b'));
	for (size_t len = 1; len < 70; len++) {
		for (size_t at = 0; at < len; at++) {
			char *data = malloc(len);

			memset(data, 'a', len);
			if (at + 1 < len)
				data[at + 1] = 'b';
			data[0] = at ? 'b' : data[0];
			assert_ptr_equal(gp_scan_pair(data, len, 'a', 'b'), at + 1 < len ? data + at : NULL);
			free(data);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
