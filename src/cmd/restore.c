/* goldpath restore */
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/deploy.h"
#include "ops/restore.h"
#include "out/json.h"
#include "sys/ctx.h"

#define FLAG "--i-know-this-will-overwrite"

static int request_of(const struct gp_args *args, struct gp_restore_request *ret, struct gp_error *err)
{
	*ret = (struct gp_restore_request){ .slug = args->slug, .file = args->file, .undo = args->undo, .no_restart = args->no_restart,
		.no_backup = args->no_backup };
	if (!args->file == args->undo)
		return 0;
	gp_fail(err, GP_E_USAGE, args->undo ? "--file and --undo exclude each other" : "restore needs --file FILE, or --undo");
	return gp_hint(err, "goldpath restore --help");
}

static void put_number(json_t *object, const char *key, int64_t number)
{
	if (number >= 0)
		json_object_set_new(object, key, json_integer(number));
}

/* ---- without the flag --------------------------------------------------------------------------------------------------- */

static void print_file(struct gp_ctx *ctx, const struct gp_restore *r)
{
	int64_t at = gp_restore_file_time(r);
	uint64_t rows = 0;

	printf("+ file %s, %s%s%s%s", r->file, gp_size_words(ctx->arena, r->dump.bytes), at ? ", " : "",
		at ? gp_age(ctx->arena, gp_now() - at) : "", at ? " old" : "");
	for (size_t i = 0; i < r->manifest.tables.n; i++)
		rows += r->manifest.tables.v[i].rows;
	if (r->has_manifest)
		printf(", of release %s, %ju rows\n", *r->manifest.release ? r->manifest.release : "none", (uintmax_t)rows);
	else
		puts(", without a manifest");
}

static void print_there(struct gp_ctx *ctx, const struct gp_overwritten *there)
{
	printf("~ database %s", there->database);
	if (there->bytes >= 0)
		printf(", %s", gp_size_words(ctx->arena, (uint64_t)there->bytes));
	if (there->rows >= 0)
		printf(", about %lld rows", (long long)there->rows);
	if (there->backup)
		printf(", newest backup %s\n", there->backup);
	else
		puts(", no backup");
}

static int refuse(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_restore_request *request, struct gp_error *err)
{
	struct gp_restore *r = gp_alloc(ctx->arena, sizeof(*r));
	struct gp_overwritten there;
	json_t *object;

	GP_TRY(gp_restore_plan(ctx, request, r, &there, err));
	if (args->json) {
		object = gp_json_result("restore");
		gp_json_text(ctx, object, "site", args->slug);
		gp_json_text(ctx, object, "file", r->file);
		gp_json_text(ctx, object, "database", there.database);
		put_number(object, "bytes", there.bytes);
		put_number(object, "rows", there.rows);
		gp_json_text(ctx, object, "newest_backup", there.backup);
		gp_json_keep(ctx, object);
	} else {
		print_there(ctx, &there);
		print_file(ctx, r);
	}
	gp_fail(err, GP_E_REFUSED, "the database of %s would be overwritten as shown; nothing was changed", args->slug);
	return gp_hint(err, "goldpath restore %s --file %s " FLAG, args->slug, args->file);
}

/* ---- with it ------------------------------------------------------------------------------------------------------------ */

static void print_json(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_restore *r, const struct gp_deploy *d)
{
	json_t *object = gp_json_result("restore");

	gp_json_text(ctx, object, "site", args->slug);
	gp_json_text(ctx, object, "file", r->file);
	gp_json_text(ctx, object, "database", r->db.name);
	gp_json_text(ctx, object, "kept", r->rollback.kept);
	gp_json_text(ctx, object, "backup", r->backup);
	gp_json_text(ctx, object, "release", d->release);
	gp_json_text(ctx, object, "health", d->health.status == GP_HEALTH_NO_ANSWER ? NULL : gp_health_name(d->health.status));
	if (r->file) {
		put_number(object, "rows", (int64_t)r->dump.dumped.rows);
		put_number(object, "tables", (int64_t)r->dump.dumped.tables.n);
	}
	put_number(object, "away_ms", r->local ? r->swap_ms : -1);
	gp_json_print(stdout, object);
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_restore *r = gp_alloc(ctx->arena, sizeof(*r));
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));
	struct gp_restore_request request;

	GP_TRY(request_of(args, &request, err));
	if (!args->undo && !args->will_overwrite)
		return refuse(ctx, args, &request, err);
	GP_TRY(gp_restore_run(ctx, &request, r, d, err));
	if (args->json) {
		print_json(ctx, args, r, d);
		return 0;
	}
	printf("%s has the database of %s\n", args->slug, r->file ? r->file : "before");
	if (r->rollback.kept)
		printf("what it had is kept for some days: goldpath restore %s --undo\n", args->slug);
	return 0;
}

static const struct gp_option options[] = {
	{ "--file", GP_OPT_TEXT, offsetof(struct gp_args, file), .value = "FILE", .help = "a dump: plain SQL, gzipped or not" },
	{ FLAG, GP_OPT_FLAG, offsetof(struct gp_args, will_overwrite), .help = "do it; without it only what would be is shown" },
	{ "--no-restart", GP_OPT_FLAG, offsetof(struct gp_args, no_restart), .help = "leave gunicorn and Celery as they run" },
	{ "--no-backup", GP_OPT_FLAG, offsetof(struct gp_args, no_backup), .help = "make no backup of the database before" },
	{ "--undo", GP_OPT_FLAG, offsetof(struct gp_args, undo), .help = "put the former database back" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_restore = {
	.name = "restore",
	.operand = "SLUG",
	.summary = "put a backup in the place of a site's database",
	.details = "The file is read whole first, and the database backed up; then it is loaded into\n"
		   "a new database beside the live one, its rows are counted, and the two change\n"
		   "places, while the site serves on. The former database is kept for some days:\n"
		   "--undo puts it back. Without the flag it says what would be overwritten, changes\n"
		   "nothing and exits with 7.",
	.options = options,
	.root = true,
	.run = run,
};
