/*
 * ops/database by hand, for the end-to-end test: restore FILE | undo | settle | drop NAME, on the site's database. KILL_AT=N ends it by
 * SIGKILL just before its N-th question or command to Postgres; how many there were is said at the end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "conf/site.h"
#include "ops/database.h"
#include "sys/ctx.h"
#include "sys/pg.h"

static int calls, kill_at;

static void called(void)
{
	if (++calls == kill_at)
		raise(SIGKILL);
}

int __real_gp_pg_exec(struct gp_pg *pg, const char *sql, struct gp_error *err);
int __wrap_gp_pg_exec(struct gp_pg *pg, const char *sql, struct gp_error *err);
int __wrap_gp_pg_exec(struct gp_pg *pg, const char *sql, struct gp_error *err)
{
	called();
	if (getenv("TRACE"))
		fprintf(stderr, "%d %.150s\n", calls, strstr(sql, "PASSWORD") ? "(a role)" : sql);
	return __real_gp_pg_exec(pg, sql, err);
}

int __real_gp_pg_value(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err);
int __wrap_gp_pg_value(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err);
int __wrap_gp_pg_value(struct gp_pg *pg, struct gp_arena *arena, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err)
{
	called();
	return __real_gp_pg_value(pg, arena, sql, params, n, ret, err);
}

static void tell(void *arg, const struct gp_event *event)
{
	(void)arg;
	if (event->text)
		fprintf(stderr, "%s\n", event->text);
}

static int run(struct gp_ctx *ctx, const char *slug, const char *verb, const char *operand, struct gp_error *err)
{
	struct gp_restored r = { 0 };
	struct gp_database db;
	struct gp_site site;

	GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, slug, &site, err));
	GP_TRY(gp_database_of(ctx, &site, &db, err));
	if (gp_streq(verb, "settle"))
		return gp_database_settle(&db, err);
	if (gp_streq(verb, "drop"))
		return gp_database_drop(&db, operand, err);
	if (gp_streq(verb, "undo"))
		GP_TRY(gp_database_undo(&db, operand, &r, err));
	else
		GP_TRY(gp_database_restore(&db, operand, NULL, &r, err));
	printf("%s load %d ms swap %d ms\n", r.old, (int)r.load_ms, (int)r.swap_ms);
	return 0;
}

int main(int argc, char **argv)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_ctx ctx;
	int result;

	kill_at = atoi(getenv("KILL_AT") ? getenv("KILL_AT") : "0");
	gp_ctx_init(&ctx, arena);
	ctx.observer.on_event = tell;
	result = argc < 3 ? -1 : run(&ctx, argv[1], argv[2], argc > 3 ? argv[3] : NULL, &err);
	if (result < 0)
		fprintf(stderr, "error: %s\n%s\n%s\nhint: %s\n", err.msg, err.detail, err.state, err.hint);
	gp_ctx_close(&ctx);
	printf("%d questions\n", calls);
	return result < 0 ? (int)err.kind : 0;
}
