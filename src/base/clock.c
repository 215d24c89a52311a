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
	int64_t left = deadline_ms - gp_mono_ms();

	return left > 0 ? left : 0;
}

int64_t gp_now(void)
{
	return (int64_t)time(NULL);
}

static const char *format(struct gp_arena *arena, int64_t when, const char *fmt)
{
	time_t t = (time_t)when;
	struct tm tm;
	char text[64];

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), fmt, &tm);
	return gp_strdup(arena, text);
}

const char *gp_stamp(struct gp_arena *arena, int64_t when)
{
	return format(arena, when, "%Y%m%dT%H%M%SZ");
}

const char *gp_rfc3339(struct gp_arena *arena, int64_t when)
{
	return format(arena, when, "%Y-%m-%dT%H:%M:%SZ");
}

const char *gp_duration(struct gp_arena *arena, int64_t ms)
{
	if (ms < 1000)
		return gp_sprintf(arena, "%lld ms", (long long)ms);
	if (ms < 60000)
		return gp_sprintf(arena, "%.1f s", (double)ms / 1000);
	return gp_sprintf(arena, "%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
}
