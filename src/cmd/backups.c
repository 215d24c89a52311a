/* goldpath backups */
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "conf/site.h"
#include "ops/backups.h"
#include "ops/paths.h"
#include "out/json.h"
#include "out/table.h"
#include "sys/ctx.h"

enum { COLUMNS = 7 };

static const char *rehearsed_words(struct gp_ctx *ctx, const struct gp_backup_entry *e)
{
	if (!*e->rehearsed.at)
		return "";
	return e->rehearsed.ok ? gp_sprintf(ctx->arena, "%s, %s", e->rehearsed.at, gp_duration(ctx->arena, e->rehearsed.ms))
			       : gp_sprintf(ctx->arena, "%s, failed", e->rehearsed.at);
}

static void print_table(struct gp_ctx *ctx, const struct gp_backup_list *list)
{
	static const char *const headings[COLUMNS] = { "FILE", "AGE", "SIZE", "RELEASE", "ROWS", "VERIFIED", "REHEARSED" };
	const char **cells = gp_alloc_array(ctx->arena, (list->n + 1) * COLUMNS, sizeof(*cells));

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = headings[i];
	for (size_t i = 0; i < list->n; i++) {
		const struct gp_backup_entry *e = &list->v[i];
		const char **row = &cells[(i + 1) * COLUMNS];

		row[0] = e->name;
		row[1] = gp_age(ctx->arena, gp_now() - e->when);
		row[2] = gp_size_words(ctx->arena, e->bytes);
		row[3] = e->release;
		row[4] = e->sha256[0] ? gp_sprintf(ctx->arena, "%ju", (uintmax_t)e->rows) : "";
		row[5] = e->good ? "yes" : gp_sprintf(ctx->arena, "no (%s)", e->why);
		row[6] = rehearsed_words(ctx, e);
	}
	gp_table_print(stdout, ctx, cells, list->n + 1, COLUMNS);
}

static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static void print_json(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, const struct gp_backup_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct gp_backup_entry *e = &list->v[i];
		json_t *object = gp_json_result("backups"), *rehearsed;

		gp_json_text(ctx, object, "site", slug);
		gp_json_text(ctx, object, "path", gp_sprintf(ctx->arena, "%s/%s", paths->backups, e->name));
		gp_json_text(ctx, object, "at", gp_rfc3339(ctx->arena, e->when));
		json_object_set_new(object, "bytes", json_integer((json_int_t)e->bytes));
		json_object_set_new(object, "good", json_boolean(e->good));
		gp_json_text(ctx, object, "why", text_or_null(e->why));
		json_object_set_new(object, "needed", json_boolean(e->needed));
		gp_json_text(ctx, object, "sha256", text_or_null(e->sha256));
		gp_json_text(ctx, object, "reason", text_or_null(e->reason));
		gp_json_text(ctx, object, "release", text_or_null(e->release));
		gp_json_text(ctx, object, "server", text_or_null(e->server));
		gp_json_text(ctx, object, "verified", e->good ? e->verified : NULL);
		if (*e->sha256)
			json_object_set_new(object, "rows", json_integer((json_int_t)e->rows));
		if (*e->rehearsed.at) {
			rehearsed = json_object();
			gp_json_text(ctx, rehearsed, "at", e->rehearsed.at);
			json_object_set_new(rehearsed, "ok", json_boolean(e->rehearsed.ok));
			json_object_set_new(rehearsed, "ms", json_integer(e->rehearsed.ms));
			gp_json_text(ctx, rehearsed, "error", text_or_null(e->rehearsed.error));
			json_object_set_new(object, "rehearsed", rehearsed);
		}
		gp_json_print(stdout, object);
	}
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_paths paths = gp_site_paths(ctx, args->slug);
	struct gp_backup_list list;
	struct gp_site site;

	GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, args->slug, &site, err));
	GP_TRY(gp_backups_list(ctx, &paths, args->slug, &list, err));
	if (args->json)
		print_json(ctx, &paths, args->slug, &list);
	else if (list.n)
		print_table(ctx, &list);
	else
		puts("no backup yet");
	return 0;
}

static const struct gp_option options[] = {
	GP_OPT_END,
};

const struct gp_command gp_cmd_backups = {
	.name = "backups",
	.operand = "SLUG",
	.summary = "list a site's backups",
	.details = "The newest first: file, age, size, the release that was live, how many rows are\n"
		   "in it, whether it was read back whole when it was made and is as long as then,\n"
		   "and when it was last rehearsed, and how long that took. --json: one object a\n"
		   "backup.",
	.options = options,
	.root = true,
	.run = run,
};
