/*
 * Redis database numbers. A cache and a queue never share one: Django's cache.clear() is FLUSHDB, and would take the queued tasks
 * with it. The record is lines of "use number", only ever appended to: a number once given is not given again.
 */
#include "ops/redisdb.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/ctx.h"
#include "sys/fs.h"

int gp_redisdb_number(struct gp_ctx *ctx, const char *use, bool record, int *ret, struct gp_error *err)
{
	const char *path = gp_sprintf(ctx->arena, "%s/redis-databases", ctx->state_dir), *text = "";
	bool used[GP_REDIS_DATABASES] = { false };
	struct gp_strv lines;
	int n = 0;

	if (gp_fs_read(ctx->arena, path, 1 << 20, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(ctx->arena, lines.v[i]);
		int64_t number;

		if (words.n != 2 || !gp_parse_int(words.v[1], 0, GP_REDIS_DATABASES - 1, &number))
			return gp_fail(err, GP_E_CONFIG, "%s, line %zu: not 'site number'", path, i + 1);
		if (gp_streq(words.v[0], use)) {
			*ret = (int)number;
			return 0;
		}
		used[number] = true;
	}
	while (n < GP_REDIS_DATABASES && used[n])
		n++;
	if (n == GP_REDIS_DATABASES)
		return gp_fail(err, GP_E_FAILED, "all %d Redis databases of this host are given away", GP_REDIS_DATABASES);
	if (record) {
		GP_TRY(gp_fs_mkdirs(ctx->state_dir, err));
		GP_TRY(gp_fs_append(path, gp_sprintf(ctx->arena, "%s %d", use, n), err));
	}
	*ret = n;
	return 0;
}
