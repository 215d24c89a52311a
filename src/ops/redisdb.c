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
#include "conf/site.h"
#include "plan/plan.h"
#include "sys/ctx.h"
#include "sys/fs.h"

const char *gp_redisdb_path(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/redis-databases", ctx->state_dir);
}

/* All that is recorded, in the order of the file. */
static int load(struct gp_ctx *ctx, struct gp_redisdb **ret, size_t *ret_n, struct gp_error *err)
{
	const char *text = "";
	struct gp_strv lines;

	if (gp_fs_read(ctx->arena, gp_redisdb_path(ctx), 1 << 20, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	*ret = gp_alloc_array(ctx->arena, lines.n + 1, sizeof(**ret));
	for (size_t i = 0; i < lines.n; i++) {
		struct gp_strv words = gp_words(ctx->arena, lines.v[i]);
		int64_t number;

		if (words.n != 2 || !gp_parse_int(words.v[1], 0, GP_REDIS_DATABASES - 1, &number))
			return gp_fail(err, GP_E_CONFIG, "%s, line %zu: not 'site number'", gp_redisdb_path(ctx), i + 1);
		(*ret)[i] = (struct gp_redisdb){ .line = lines.v[i], .use = words.v[0], .number = (int)number };
	}
	*ret_n = lines.n;
	return 0;
}

static bool is_of(const struct gp_redisdb *db, const char *slug)
{
	size_t len = strlen(slug);

	return gp_starts_with(db->use, slug) && (!db->use[len] || db->use[len] == ':');
}

int gp_redisdb_of(struct gp_ctx *ctx, const char *slug, struct gp_redisdb **ret, size_t *ret_n, struct gp_error *err)
{
	struct gp_redisdb *all;
	size_t n, of = 0;

	GP_TRY(load(ctx, &all, &n, err));
	for (size_t i = 0; i < n; i++)
		if (is_of(&all[i], slug))
			all[of++] = all[i];
	*ret = all;
	*ret_n = of;
	return 0;
}

int gp_redisdb_is_shared(struct gp_ctx *ctx, const char *slug, int number, bool *ret, struct gp_error *err)
{
	struct gp_redisdb *all;
	size_t n;

	*ret = false;
	GP_TRY(load(ctx, &all, &n, err));
	for (size_t i = 0; i < n; i++)
		*ret = *ret || (all[i].number == number && !is_of(&all[i], slug));
	return 0;
}

/* *ret: the number recorded for use, -1 for none; used: which numbers are given away. */
static int read_record(struct gp_ctx *ctx, const char *use, bool used[static GP_REDIS_DATABASES], int *ret, struct gp_error *err)
{
	struct gp_redisdb *all;
	size_t n;

	*ret = -1;
	GP_TRY(load(ctx, &all, &n, err));
	for (size_t i = 0; i < n; i++) {
		if (gp_streq(all[i].use, use))
			*ret = all[i].number;
		used[all[i].number] = true;
	}
	return 0;
}

static int lowest(const bool used[static GP_REDIS_DATABASES], int *ret, struct gp_error *err)
{
	int n = 0;

	while (n < GP_REDIS_DATABASES && used[n])
		n++;
	*ret = n;
	return n < GP_REDIS_DATABASES ? 0
				      : gp_fail(err, GP_E_FAILED, "all %d Redis databases of this host are given away", GP_REDIS_DATABASES);
}

struct given {
	const char *use;
	int number;
};

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct given *spec = resource->spec;
	bool used[GP_REDIS_DATABASES] = { false };
	int number;

	GP_TRY(read_record(ctx, spec->use, used, &number, err));
	if (number < 0)
		gp_change_add(ctx, changes, '+', resource, "%d", spec->number);
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct given *spec = resource->spec;

	return gp_fs_append(gp_redisdb_path(ctx), gp_sprintf(ctx->arena, "%s %d", spec->use, spec->number), err);
}

static const struct gp_resource_type record_type = { .name = "redis database", .diff = diff, .apply = apply };

static void record(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int number)
{
	const struct given given = { use, number };

	gp_plan_add(ctx, plan, (struct gp_resource){ .type = &record_type, .name = gp_sprintf(ctx->arena, "of %s", use),
		.spec = memcpy(gp_alloc(ctx->arena, sizeof(given)), &given, sizeof(given)) });
}

int gp_redisdb_keep(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int number, struct gp_error *err)
{
	bool used[GP_REDIS_DATABASES] = { false };
	int is;

	GP_TRY(read_record(ctx, use, used, &is, err));
	if (is < 0)
		record(ctx, plan, use, number);
	return 0;
}

int gp_redisdb_needed(struct gp_ctx *ctx, int *ret, struct gp_error *err)
{
	enum { EACH = 2 }; /* a cache and a queue */
	bool used[GP_REDIS_DATABASES] = { false };
	struct gp_strv slugs = { 0 };
	int needed = 0, ignored;

	GP_TRY(read_record(ctx, "", used, &ignored, err));
	for (int i = 0; i < GP_REDIS_DATABASES; i++)
		needed = used[i] ? i + 1 : needed;
	GP_TRY(gp_site_list(ctx->arena, ctx->etc_dir, &slugs, err));
	for (size_t i = 0; i < slugs.n; i++) {
		struct gp_redisdb *uses;
		size_t n;

		GP_TRY(gp_redisdb_of(ctx, slugs.v[i], &uses, &n, err));
		needed += n ? 0 : EACH;
	}
	*ret = needed;
	return 0;
}

int gp_redisdb_number(struct gp_ctx *ctx, struct gp_plan *plan, const char *use, int *ret, struct gp_error *err)
{
	bool used[GP_REDIS_DATABASES] = { false };

	GP_TRY(read_record(ctx, use, used, ret, err));
	for (size_t i = 0; i < plan->n && *ret < 0; i++) {
		const struct given *given = plan->v[i].spec;

		if (plan->v[i].type != &record_type)
			continue;
		used[given->number] = true;
		if (gp_streq(given->use, use))
			*ret = given->number;
	}
	if (*ret >= 0)
		return 0;
	GP_TRY(lowest(used, ret, err));
	record(ctx, plan, use, *ret);
	return 0;
}

bool gp_redisdb_of_url(const char *url, int *ret)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
	const char *rest = url && gp_starts_with(url, "redis://") ? url + strlen("redis://") : NULL, *slash, *at;
	int64_t n = 0;

	if (!rest)
		return false;
	slash = strchrnul(rest, '/');
	at = memrchr(rest, '@', (size_t)(slash - rest));
	rest = at ? at + 1 : rest;
	if (slash[0] && slash[1] && !gp_parse_int(slash + 1, 0, GP_REDIS_DATABASES - 1, &n))
		return false;
	*ret = (int)n;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t len = strlen(hosts[i]);

		if (strncmp(rest, hosts[i], len) == 0 && (rest + len == slash || strncmp(rest + len, ":6379", (size_t)(slash - rest) - len) == 0))
			return true;
	}
	return false;
}
