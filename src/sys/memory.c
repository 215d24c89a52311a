/* /proc/meminfo, and what processes take of it. */
#include "sys/memory.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/fs.h"

enum { MEMINFO_MAX = 65536, PIDS_MAX = 1 << 20 };

/* "MemTotal:       2014920 kB", among other lines. False: no such line. */
static bool find(struct gp_arena *arena, const char *text, const char *key, uint64_t *ret)
{
	struct gp_strv lines = gp_lines(arena, text);

	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(arena, lines.v[i]);
		int64_t kb;

		if (words.n == 3 && gp_streq(words.v[0], key) && gp_parse_int(words.v[1], 0, INT64_MAX / 1024, &kb)) {
			*ret = (uint64_t)kb * 1024;
			return true;
		}
	}
	return false;
}

int gp_memory_total(uint64_t *ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = "";

	GP_TRY(gp_fs_read(arena, "/proc/meminfo", MEMINFO_MAX, &text, NULL, err));
	if (find(arena, text, "MemTotal:", ret) && *ret)
		return 0;
	return gp_fail(err, GP_E_FAILED, "/proc/meminfo does not say how much memory there is");
}

int gp_memory_available(uint64_t *ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = "";
	uint64_t memory, swap = 0;

	GP_TRY(gp_fs_read(arena, "/proc/meminfo", MEMINFO_MAX, &text, NULL, err));
	if (!find(arena, text, "MemAvailable:", &memory))
		return gp_fail(err, GP_E_FAILED, "/proc/meminfo does not say how much memory is available");
	find(arena, text, "SwapFree:", &swap);
	*ret = memory + swap;
	return 0;
}

uint64_t gp_memory_of_group(pid_t pid)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = "", *group;
	struct gp_strv pids;
	uint64_t sum = 0;

	/* "0::/system.slice/name.service": the unified hierarchy, which systemd has had since Debian 11 and Ubuntu 21.10 */
	if (gp_fs_read(arena, gp_sprintf(arena, "/proc/%d/cgroup", (int)pid), MEMINFO_MAX, &text, NULL, NULL) != 1 || !gp_starts_with(text, "0::/"))
		return 0;
	group = gp_strndup(arena, text + 3, strcspn(text + 3, "\n"));
	if (gp_fs_read(arena, gp_sprintf(arena, "/sys/fs/cgroup%s/cgroup.procs", group), PIDS_MAX, &text, NULL, NULL) != 1)
		return 0;
	pids = gp_lines(arena, text);
	for (size_t i = 0; i < pids.n; i++) {
		uint64_t share;

		if (gp_fs_read(arena, gp_sprintf(arena, "/proc/%.20s/smaps_rollup", pids.v[i]), MEMINFO_MAX, &text, NULL, NULL) == 1 &&
			find(arena, text, "Pss:", &share))
			sum += share;
	}
	return sum;
}
