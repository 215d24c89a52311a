/* goldpath releases */
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "conf/site.h"
#include "ops/paths.h"
#include "ops/releases.h"
#include "out/json.h"
#include "out/terminal.h"
#include "sys/ctx.h"
#include "out/table.h"

enum { COLUMNS = 7 };

static const char *mark_of(const struct gp_release *r)
{
	if (r->live)
		return "(current)";
	if (r->previous)
		return "(previous)";
	if (gp_streq(r->record.result, "ok"))
		return "";
	return r->failed ? "(failed)" : gp_streq(r->record.result, GP_RELEASE_ROLLED_BACK) ? "(rolled back)" : "(not finished)";
}

static int bytes_of(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_release *r, uint64_t *ret, struct gp_error *err)
{
	*ret = 0;
	return r->there ? gp_release_bytes(ctx, paths, r->record.release, ret, err) : 0;
}

static int print_table(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_releases *list, struct gp_error *err)
{
	static const char *const headings[COLUMNS] = { "RELEASE", "REF", "COMMIT", "AGE", "SIZE", "MIGRATIONS", "" };
	const char **cells = gp_alloc_array(ctx->arena, (list->n + 1) * COLUMNS, sizeof(*cells));

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = headings[i];
	for (size_t i = 0; i < list->n; i++) {
		const struct gp_release *r = &list->v[i];
		const char **row = &cells[(i + 1) * COLUMNS];
		uint64_t bytes;

		GP_TRY(bytes_of(ctx, paths, r, &bytes, err));
		row[0] = r->record.release;
		row[1] = r->record.ref;
		row[2] = r->record.release + sizeof("20260131T235959Z-") - 1;
		row[3] = gp_age(ctx->arena, gp_now() - gp_stamp_time(r->record.release));
		row[4] = r->there ? gp_size_words(ctx->arena, bytes) : "";
		row[5] = r->record.migrations.n ? gp_sprintf(ctx->arena, "%zu", r->record.migrations.n) : "";
		row[6] = mark_of(r);
	}
	gp_table_print(stdout, ctx, cells, list->n + 1, COLUMNS);
	return 0;
}

static int print_json(struct gp_ctx *ctx, const struct gp_paths *paths, const char *slug, const struct gp_releases *list, struct gp_error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct gp_release *r = &list->v[i];
		json_t *object;
		uint64_t bytes;

		GP_TRY(bytes_of(ctx, paths, r, &bytes, err));
		object = gp_json_result("releases");
		gp_json_text(ctx, object, "site", slug);
		gp_json_text(ctx, object, "release", r->record.release);
		gp_json_text(ctx, object, "ref", *r->record.ref ? r->record.ref : NULL);
		gp_json_text(ctx, object, "sha", *r->record.sha ? r->record.sha : NULL);
		gp_json_text(ctx, object, "at", gp_rfc3339(ctx->arena, gp_stamp_time(r->record.release)));
		gp_json_text(ctx, object, "result", r->record.result);
		gp_json_text(ctx, object, "backup", r->has_backup ? r->record.backup : NULL);
		json_object_set_new(object, "bytes", json_integer((json_int_t)bytes));
		json_object_set_new(object, "migrations", json_integer((json_int_t)r->record.migrations.n));
		json_object_set_new(object, "current", json_boolean(r->live));
		json_object_set_new(object, "previous", json_boolean(r->previous));
		json_object_set_new(object, "failed", json_boolean(r->failed));
		gp_json_print(stdout, object);
	}
	return 0;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_paths paths = gp_site_paths(ctx, args->slug);
	struct gp_releases list;
	struct gp_site site;

	GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, args->slug, &site, err));
	GP_TRY(gp_releases_list(ctx, &paths, &list, err));
	if (args->json)
		return print_json(ctx, &paths, site.slug, &list, err);
	if (list.n)
		return print_table(ctx, &paths, &list, err);
	puts("no release yet");
	return 0;
}

static const struct gp_option options[] = {
	GP_OPT_END,
};

const struct gp_command gp_cmd_releases = {
	.name = "releases",
	.operand = "SLUG",
	.summary = "list a site's releases",
	.details = "The newest first: what was deployed, how old it is, what it takes on disk\n"
		   "(without its virtual environment, which releases share) and how many migrations\n"
		   "it knows. (current) is live, (previous) is where a rollback goes; (failed) ones\n"
		   "are shown though nothing of them is left. --json: one object a release.",
	.options = options,
	.root = true,
	.run = run,
};
