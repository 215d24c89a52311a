/* Which backups stay: examples, and what holds whatever there is, over many lists made at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ops/retention.h"

enum { HOUR = 3600, DAY = 24 * HOUR, MANY = 400 };

/* Noon of Sunday, 1 March 2026. */
static const int64_t now = 1772366400;

static size_t count(const struct gp_retained *list, size_t n)
{
	size_t stay = 0;

	for (size_t i = 0; i < n; i++)
		stay += list[i].stays;
	return stay;
}

/* One each day at three in the morning, the newest today's. */
static void every_day(struct gp_retained *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list[i] = (struct gp_retained){ .when = now - 9 * HOUR - (int64_t)i * DAY, .good = true };
}

static void test_days_weeks_months(void **state)
{
	const struct gp_retention keep = { 7, 4, 6 };
	struct gp_retained list[MANY];

	(void)state;
	every_day(list, MANY);
	gp_retention_choose(&keep, now, list, MANY);
	/* Sunday back to Monday are a week; then the Sundays before it; then the last of each month: 28 February, 31 January, … */
	for (size_t i = 0; i < MANY; i++) {
		bool sunday = i == 14 || i == 21, end_of_month = i == 1 + 28 || i == 1 + 28 + 31 || i == 1 + 28 + 31 + 31 || i == 1 + 28 + 31 + 31 + 30;

		assert_int_equal(list[i].stays, i < 7 || i == 7 || sunday || end_of_month);
	}
	assert_int_equal(count(list, MANY), 7 + 3 + 4);
}

static void test_days_without_one_do_not_count(void **state)
{
	const struct gp_retention keep = { 3, 0, 0 };
	struct gp_retained list[] = { { now - 10 * DAY, true }, { now - 20 * DAY, true }, { now - 20 * DAY - HOUR, true }, { now - 300 * DAY, true },
		{ now - 301 * DAY, true } };

	(void)state;
	gp_retention_choose(&keep, now, list, 5);
	assert_true(list[0].stays && list[1].stays && !list[2].stays && list[3].stays && !list[4].stays);
}

static void test_nothing_to_keep(void **state)
{
	const struct gp_retention none = { 0, 0, 0 };
	struct gp_retained list[] = { { now - 9 * DAY, true }, { now - 5 * DAY, true }, { now - 3 * DAY, false }, { now - 20 * DAY, true, true } };

	(void)state;
	gp_retention_choose(&none, now, list, 4);
	assert_true(!list[0].stays && list[1].stays && list[2].stays && list[3].stays);
	gp_retention_choose(&none, now, NULL, 0);
}

/* Those of today all stay: one of them may be what somebody made before they tried something. And so do those of a clock that was ahead. */
static void test_the_last_day(void **state)
{
	const struct gp_retention keep = { 1, 1, 1 };
	struct gp_retained list[] = { { now + 400 * DAY, true }, { now - 1, true }, { now - 23 * HOUR, true }, { now - 25 * HOUR, true } };

	(void)state;
	gp_retention_choose(&keep, now, list, 4);
	assert_true(list[0].stays && list[1].stays && list[2].stays && !list[3].stays);
}

static int64_t month_of(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	gmtime_r(&t, &tm);
	return tm.tm_year * 12 + tm.tm_mon;
}

/* Of all that is good, is it the newest of its period (seconds long from `offset` on, or a month)? */
static bool is_newest_of(const struct gp_retained *list, size_t n, size_t i, int64_t length, int64_t offset)
{
	for (size_t k = 0; k < n; k++) {
		bool same = length ? (list[k].when + offset) / length == (list[i].when + offset) / length : month_of(list[k].when) == month_of(list[i].when);

		if (list[k].good && same && list[k].when > list[i].when)
			return false;
	}
	return true;
}

static void check_properties(const struct gp_retention *keep, struct gp_retained *list, size_t n)
{
	size_t newest = n, bound = 1, exempt = 0;
	int64_t day = DAY, week = 7 * DAY;

	gp_retention_choose(keep, now, list, n);
	for (size_t i = 0; i < n; i++) {
		const struct gp_retained *r = &list[i];

		if (r->good && (newest == n || r->when > list[newest].when))
			newest = i;
		/* Only what is good goes, and nothing that is needed or new. */
		if (!r->good || r->needed || r->when > now - DAY) {
			assert_true(r->stays);
			exempt++;
			continue;
		}
		/* What stays for a rule is the newest of a period. */
		if (r->stays)
			assert_true(is_newest_of(list, n, i, day, 0) || is_newest_of(list, n, i, week, 3 * DAY) || is_newest_of(list, n, i, 0, 0));
	}
	if (newest < n)
		assert_true(list[newest].stays);
	bound += (size_t)(keep->daily + keep->weekly + keep->monthly);
	assert_true(count(list, n) <= exempt + bound);
}

/* A second time nothing goes that stayed the first time: what a run leaves, the next one leaves too. */
static void check_stable(const struct gp_retention *keep, const struct gp_retained *list, size_t n)
{
	struct gp_retained left[MANY];
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].stays)
			left[m++] = list[i];
	gp_retention_choose(keep, now, left, m);
	assert_int_equal(count(left, m), m);
}

/* To keep more never removes more. */
static void check_monotonic(const struct gp_retention *keep, const struct gp_retained *list, size_t n)
{
	const struct gp_retention more = { keep->daily + 1, keep->weekly + 2, keep->monthly + 1 };
	struct gp_retained again[MANY];

	memcpy(again, list, n * sizeof(*list));
	gp_retention_choose(&more, now, again, n);
	for (size_t i = 0; i < n; i++)
		assert_true(again[i].stays || !list[i].stays);
}

static void test_properties(void **state)
{
	(void)state;
	srandom(20260301);
	for (int run = 0; run < 2000; run++) {
		const struct gp_retention keep = { random() % 9, random() % 6, random() % 8 };
		size_t n = (size_t)random() % 60;
		int64_t span = (1 + random() % 1000) * (int64_t)DAY;
		struct gp_retained list[MANY];

		for (size_t i = 0; i < n; i++)
			list[i] = (struct gp_retained){ .when = now + 2 * DAY - (int64_t)random() * 7 % span, .good = random() % 4 != 0,
				.needed = random() % 10 == 0 };
		check_properties(&keep, list, n);
		check_stable(&keep, list, n);
		check_monotonic(&keep, list, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days_weeks_months),
		cmocka_unit_test(test_days_without_one_do_not_count),
		cmocka_unit_test(test_nothing_to_keep),
		cmocka_unit_test(test_the_last_day),
		cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
