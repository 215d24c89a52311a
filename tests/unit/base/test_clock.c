/* Time: stamps, durations, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"

static void test_stamps_are_utc(void **state)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	setenv("TZ", "Pacific/Auckland", 1);
	tzset();
	assert_string_equal(gp_stamp(arena, 0), "19700101T000000Z");
	assert_string_equal(gp_rfc3339(arena, 0), "1970-01-01T00:00:00Z");
	assert_string_equal(gp_stamp(arena, 1769903999), "20260131T235959Z");
	assert_string_equal(gp_rfc3339(arena, 1769903999), "2026-01-31T23:59:59Z");
	assert_string_equal(gp_rfc3339(arena, 1709164800), "2024-02-29T00:00:00Z");
	assert_string_equal(gp_rfc3339(arena, 2147483648), "2038-01-19T03:14:08Z");
	assert_string_equal(gp_rfc3339(arena, -1), "1969-12-31T23:59:59Z");
	unsetenv("TZ");
	tzset();
}

/* A record may hold any number: no calendar has this year, and yet the text must be one. */
static void test_impossible_times(void **state)
{
	static const int64_t times[] = { INT64_MAX, INT64_MIN, INT64_MAX / 2, 67768036191676799 + 1 };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_string_equal(gp_stamp(arena, times[i]), "19700101T000000Z");
		assert_string_equal(gp_rfc3339(arena, times[i]), "1970-01-01T00:00:00Z");
	}
}

static void test_durations(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0 ms" },
		{ 8, "8 ms" },
		{ 999, "999 ms" },
		{ 1000, "1.0 s" },
		{ 2400, "2.4 s" },
		{ 59900, "59.9 s" },
		{ 59999, "1 min 0 s" }, /* never "60.0 s" */
		{ 60000, "1 min 0 s" },
		{ 72000, "1 min 12 s" },
		{ 3600000, "60 min 0 s" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(gp_duration(arena, cases[i].ms), cases[i].text);
}

static void test_ages(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ -5, "0 seconds" }, { 0, "0 seconds" }, { 1, "1 second" }, { 59, "59 seconds" }, { 60, "1 minute" }, { 3599, "59 minutes" },
		{ 7200, "2 hours" }, { 86399, "23 hours" }, { 86400, "1 day" }, { 29 * 86400, "29 days" }, { 61 * 86400, "2 months" },
		{ 365 * 86400, "1 year" }, { 800LL * 86400, "2 years" },
	};
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(gp_age(arena, cases[i].seconds), cases[i].text);
}

static void test_stamps_are_read(void **state)
{
	static const char *const none[] = { "", "2026", "20261331T000000Z", "20260131 235959Z", "x20260131T235959Z" };
	GP_AUTO_ARENA arena = gp_arena_new();

	(void)state;
	assert_int_equal(gp_stamp_time("19700101T000001Z"), 1);
	assert_int_equal(gp_stamp_time("20260131T235959Z-0123abc"), 1769903999);
	assert_string_equal(gp_stamp(arena, gp_stamp_time("20281231T010203Z")), "20281231T010203Z");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(gp_stamp_time(none[i]), 0);
}

static void test_deadlines(void **state)
{
	int64_t now = gp_mono_ms(), later;

	(void)state;
	assert_true(gp_left_ms(now + 100000) > 90000);
	assert_true(gp_left_ms(now + 100000) <= 100000);
	assert_int_equal(gp_left_ms(now - 1), 0);
	assert_int_equal(gp_left_ms(0), 0);
	assert_int_equal(gp_left_ms(INT64_MIN), 0);
	assert_true(gp_left_ms(INT64_MAX) > INT64_MAX / 2);
	later = gp_mono_ms();
	assert_true(later >= now);
	assert_true(llabs(gp_now() - (int64_t)time(NULL)) <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamps_are_utc),
		cmocka_unit_test(test_impossible_times),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_stamps_are_read),
		cmocka_unit_test(test_deadlines),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
