/*
 * Redis database numbers. A cache and a queue never share one: Django's cache.clear() is FLUSHDB, and would take the queued tasks
 * with it. The record is lines of "use number": a number once given is not given again, until its site
 * is removed, with what was in it.
 */
#include "ops/redisdb.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"
#include "sys/ctx.h"
#include "sys/fs.h"

const char *gp_redisdb_path(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/redis-databases", ctx->state_dir);
}

static int parse_line(struct gp_ctx *ctx, const struct gp_strv *lines, size_t i, struct gp_strv *ret_words, int64_t *ret_number,
	struct gp_error *err)
{
	*ret_words = gp_words(ctx->arena, lines->v[i]);
	if (ret_words->n != 2 || !gp_parse_int(ret_words->v[1], 0, GP_REDIS_DATABASES - 1, ret_number))
		return gp_fail(err, GP_E_CONFIG, "%s, line %zu: not 'site number'", gp_redisdb_path(ctx), i + 1);
	return 0;
}

int gp_redisdb_of(struct gp_ctx *ctx, const char *slug, struct gp_redisdb **ret, size_t *ret_n, struct gp_error *err)
{
	const char *text = "", *uses = gp_sprintf(ctx->arena, "%s:", slug);
	struct gp_strv lines;
	size_t n = 0;

	if (gp_fs_read(ctx->arena, gp_redisdb_path(ctx), 1 << 20, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	*ret = gp_alloc_array(ctx->arena, lines.n + 1, sizeof(**ret));
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words;
		int64_t number;

		GP_TRY(parse_line(ctx, &lines, i, &words, &number, err));
		if (gp_streq(words.v[0], slug) || gp_starts_with(words.v[0], uses))
			(*ret)[n++] = (struct gp_redisdb){ .line = lines.v[i], .number = (int)number };
	}
	*ret_n = n;
	return 0;
}

int gp_redisdb_number(struct gp_ctx *ctx, const char *use, bool record, int *ret, struct gp_error *err)
{
	const char *path = gp_redisdb_path(ctx), *text = "";
	bool used[GP_REDIS_DATABASES] = { false };
	struct gp_strv lines;
	int n = 0;

	if (gp_fs_read(ctx->arena, path, 1 << 20, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words;
		int64_t number;

		GP_TRY(parse_line(ctx, &lines, i, &words, &number, err));
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
