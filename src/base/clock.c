/* Time. */
#include "base/clock.h"

#include <time.h>

#include "base/arena.h"

int64_t gp_mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t gp_left_ms(int64_t deadline_ms)
{
	int64_t now = gp_mono_ms();

	return deadline_ms > now ? deadline_ms - now : 0;
}

int64_t gp_now(void)
{
	return (int64_t)time(NULL);
}

static struct tm utc(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm)) /* a year beyond int: a number out of a broken record */
		tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	return tm;
}

const char *gp_stamp(struct gp_arena *arena, int64_t when)
{
	struct tm tm = utc(when);
	char text[64];

	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
	return gp_strdup(arena, text);
}

const char *gp_rfc3339(struct gp_arena *arena, int64_t when)
{
	struct tm tm = utc(when);
	char text[64];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return gp_strdup(arena, text);
}

const char *gp_duration(struct gp_arena *arena, int64_t ms)
{
	if (ms < 1000)
		return gp_sprintf(arena, "%lld ms", (long long)ms);
	if (ms < 59950) /* from there on it would read "60.0 s" */
		return gp_sprintf(arena, "%.1f s", (double)ms / 1000);
	if (ms < 60000)
		ms = 60000;
	return gp_sprintf(arena, "%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}

int64_t gp_stamp_time(const char *stamp)
{
	struct tm tm = { 0 };
	const char *end = strptime(stamp, "%Y%m%dT%H%M%SZ", &tm);

	return end ? (int64_t)timegm(&tm) : 0;
}

const char *gp_age(struct gp_arena *arena, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 365 * 86400, "year" }, { 30 * 86400, "month" }, { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
	size_t i = 0;
	long long n;

	if (seconds < 0) /* of a clock that was wrong then or is now */
		seconds = 0;
	while (i < sizeof(units) / sizeof(units[0]) - 1 && seconds < units[i].seconds)
		i++;
	n = (long long)(seconds / units[i].seconds);
	return gp_sprintf(arena, "%lld %s%s", n, units[i].name, n == 1 ? "" : "s");
}
