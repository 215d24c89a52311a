/* Which backups stay: the list from the newest on, once for each kind of period. */
#include "ops/retention.h"

#include <stdlib.h>
#include <time.h>

enum { DAY = 86400, THURSDAY = 3 }; /* the epoch was one, three days after a Monday */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t day_of(int64_t when)
{
	return floor_div(when, DAY);
}

static int64_t week_of(int64_t when)
{
	return floor_div(day_of(when) + THURSDAY, 7);
}

static int64_t month_of(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm = { 0 };

	gmtime_r(&t, &tm);
	return (int64_t)tm.tm_year * 12 + tm.tm_mon;
}

static int newest_first(const void *a, const void *b)
{
	const struct gp_retained *const *one = a, *const *other = b;

	return ((*one)->when < (*other)->when) - ((*one)->when > (*other)->when);
}

/* The first of each period, for so many periods. */
static void keep_periods(struct gp_retained **list, size_t n, int64_t count, int64_t (*period_of)(int64_t when))
{
	int64_t last = 0, kept = 0;

	for (size_t i = 0; i < n && kept < count; i++) {
		int64_t period = period_of(list[i]->when);

		if (!list[i]->good || (kept && period == last))
			continue;
		list[i]->stays = true;
		last = period;
		kept++;
	}
}

void gp_retention_choose(const struct gp_retention *keep, int64_t now, struct gp_retained *list, size_t n)
{
	struct gp_retained **sorted = calloc(n + 1, sizeof(*sorted));

	if (!sorted)
		abort();
	for (size_t i = 0; i < n; i++) {
		sorted[i] = &list[i];
		list[i].stays = !list[i].good || list[i].needed || list[i].when > now - DAY;
	}
	if (n)
		qsort(sorted, n, sizeof(*sorted), newest_first);
	keep_periods(sorted, n, keep->daily, day_of);
	keep_periods(sorted, n, keep->weekly, week_of);
	keep_periods(sorted, n, keep->monthly, month_of);
	/* Even where nothing at all is to be kept. */
	for (size_t i = 0; i < n; i++) {
		if (!sorted[i]->good)
			continue;
		sorted[i]->stays = true;
		break;
	}
	free(sorted);
}
