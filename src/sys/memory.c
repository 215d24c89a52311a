/* /proc/meminfo. */
#include "sys/memory.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/fs.h"

enum { MEMINFO_MAX = 65536 };

int gp_memory_total(uint64_t *ret, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const char *text = "";
	struct gp_strv lines;

	GP_TRY(gp_fs_read(arena, "/proc/meminfo", MEMINFO_MAX, &text, NULL, err));
	lines = gp_lines(arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(arena, lines.v[i]); /* MemTotal: 2014920 kB */
		int64_t kb;

		if (words.n == 3 && gp_streq(words.v[0], "MemTotal:") && gp_parse_int(words.v[1], 1, INT64_MAX / 1024, &kb)) {
			*ret = (uint64_t)kb * 1024;
			return 0;
		}
	}
	return gp_fail(err, GP_E_FAILED, "/proc/meminfo does not say how much memory there is");
}
