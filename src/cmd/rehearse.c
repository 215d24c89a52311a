/* goldpath rehearse */
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "cmd/command.h"
#include "ops/rehearse.h"
#include "out/json.h"
#include "sys/ctx.h"

static void print_json(struct gp_ctx *ctx, const char *slug, const struct gp_rehearsal *r)
{
	json_t *object = gp_json_result("rehearse");

	gp_json_text(ctx, object, "site", slug);
	gp_json_text(ctx, object, "file", r->file);
	json_object_set_new(object, "manifest", json_boolean(r->has_manifest));
	json_object_set_new(object, "tables", json_integer((json_int_t)r->tables));
	json_object_set_new(object, "rows", json_integer((json_int_t)r->rows));
	gp_json_text(ctx, object, "release", r->release);
	gp_json_text(ctx, object, "health", r->release ? gp_health_name(r->health.status) : NULL);
	json_object_set_new(object, "load_ms", json_integer(r->load_ms));
	json_object_set_new(object, "ms", json_integer(r->ms));
	gp_json_print(stdout, object);
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_rehearse_request request = { .slug = args->slug, .file = args->file, .offsite = args->offsite };
	struct gp_rehearsal r;

	if ((args->file != NULL) + args->latest + args->offsite > 1)
		return gp_fail(err, GP_E_USAGE, "--file, --latest and --offsite exclude each other");
	GP_TRY(gp_rehearse_run(ctx, &request, &r, err));
	if (args->json) {
		print_json(ctx, args->slug, &r);
		return 0;
	}
	printf("%s can be restored: %ju rows in %zu tables, in %s", r.file, (uintmax_t)r.rows, r.tables, gp_duration(ctx->arena, r.ms));
	if (r.release)
		printf("; %s is %s on it", r.release, gp_health_name(r.health.status));
	putchar('\n');
	return 0;
}

static const struct gp_option options[] = {
	{ "--file", GP_OPT_TEXT, offsetof(struct gp_args, file), .value = "FILE", .help = "a backup, or any dump as `restore` takes it" },
	{ "--latest", GP_OPT_FLAG, offsetof(struct gp_args, latest), .help = "the newest backup; so it is without any of these" },
	{ "--offsite", GP_OPT_FLAG, offsetof(struct gp_args, offsite), .help = "the newest one in the site's restic repository" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_rehearse = {
	.name = "rehearse",
	.operand = "SLUG",
	.summary = "prove that a site's backup can be restored",
	.details = "The restore drill: the backup is read whole, compared with its manifest, loaded\n"
		   "into a scratch database, counted, and the release that it belongs to is asked\n"
		   "how it is on it. The live database is not touched. How long it took, and how it\n"
		   "ended, stands in /var/lib/goldpath/SLUG/rehearsals and in the history.",
	.options = options,
	.root = true,
	.run = run,
};
