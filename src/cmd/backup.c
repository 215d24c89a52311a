/* goldpath backup */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "ops/backup.h"
#include "out/json.h"

static json_t *as_json(struct gp_ctx *ctx, const struct gp_backup *backup)
{
	const struct gp_manifest *m = &backup->manifest;
	json_t *object = gp_json_result("backup");
	uint64_t rows = 0;

	for (size_t i = 0; i < m->tables.n; i++)
		rows += m->tables.v[i].rows;
	gp_json_text(ctx, object, "site", m->site);
	gp_json_text(ctx, object, "path", backup->path);
	gp_json_text(ctx, object, "sha256", m->sha256);
	gp_json_text(ctx, object, "at", m->at);
	gp_json_text(ctx, object, "verified", m->verified);
	json_object_set_new(object, "bytes", json_integer((json_int_t)m->bytes));
	json_object_set_new(object, "sql_bytes", json_integer((json_int_t)m->sql_bytes));
	json_object_set_new(object, "rows", json_integer((json_int_t)rows));
	json_object_set_new(object, "tables", json_integer((json_int_t)m->tables.n));
	json_object_set_new(object, "ms", json_integer(m->ms));
	gp_json_text(ctx, object, "snapshot", backup->offsite.snapshot);
	if (backup->offsite.snapshot)
		json_object_set_new(object, "snapshot_added", json_integer((json_int_t)backup->offsite.added));
	return object;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_backup backup;
	int result = gp_backup_site(ctx, args->slug, args->from_timer ? GP_BACKUP_TIMER : GP_BACKUP_BY_HAND, args->media, &backup, err);

	if (backup.path && !args->json)
		puts(backup.path);
	/* It is made by now, though the way to the repository failed. */
	if (result < 0 && backup.path && args->json)
		gp_json_keep(ctx, as_json(ctx, &backup));
	GP_TRY(result);
	if (args->json)
		gp_json_print(stdout, as_json(ctx, &backup));
	return 0;
}

static const struct gp_option options[] = {
	{ "--media", GP_OPT_FLAG, offsetof(struct gp_args, media), .help = "take it, with media, to the restic repository too" },
	{ "--from-timer", GP_OPT_FLAG, offsetof(struct gp_args, from_timer), .help = "note that nobody was there", .hidden = true },
	{ "--options-from-stdin", GP_OPT_FLAG, offsetof(struct gp_args, options_from_stdin), .help = "further options, each ended by NUL",
		.hidden = true },
	GP_OPT_END,
};

const struct gp_command gp_cmd_backup = {
	.name = "backup",
	.operand = "SLUG",
	.summary = "back up a site's database",
	.details = "Into /srv/sum/SLUG/backups, with a manifest beside it: digest, sizes, versions,\n"
		   "migrations and the rows of every table. Counts only once it has been read back\n"
		   "whole. Then removes what `backup.keep` in the site's file does not ask for. The\n"
		   "last line on standard output is the file's path.",
	.options = options,
	.root = true,
	.by_sudo = true,
	.run = run,
};
