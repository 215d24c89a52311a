/*
 * The journal, as far as a host without one can show it: nothing there, nothing asked for, names that match nothing. That messages
 * come back in order, cut and harmless is proven on a sandbox host, where systemd runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "sys/journal.h"

static void test_nothing_there(void **state)
{
	static const struct {
		const char *unit;
		size_t max_lines;
		uint64_t since_us;
	} cases[] = {
		{ "goldpath-no-such-unit.service", 20, 0 },
		{ "goldpath-no-such-unit.service", 20, 1700000000000000 },
		{ "goldpath-no-such-unit.service", 20, UINT64_MAX },
		{ "goldpath-no-such-unit.service", SIZE_MAX, 0 }, /* more than is ever kept */
		{ "goldpath-no-such-unit.service", 0, 0 },
		{ "no=such\nunit \x1b[31m", 20, 0 },
		{ "", 20, 0 },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gp_error err = { 0 };
		const char *text = NULL;

		assert_int_equal(gp_journal_tail(arena, cases[i].unit, cases[i].max_lines, cases[i].since_us, &text, &err), 0);
		assert_string_equal(text, "");
		assert_string_equal(err.msg, "");
		assert_int_equal(gp_journal_tail(arena, cases[i].unit, cases[i].max_lines, cases[i].since_us, &text, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
