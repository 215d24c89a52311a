/* goldpath rollback */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/deploy.h"
#include "ops/rollback.h"
#include "out/json.h"
#include "sys/ctx.h"

static int how_of(const struct gp_args *args, enum gp_rollback_how *ret, struct gp_error *err)
{
	if (args->code_only + args->migrate_back + args->restore_db > 1)
		return gp_fail(err, GP_E_USAGE, "--code-only, --migrate-back and --restore-db exclude each other");
	*ret = args->code_only ? GP_ROLLBACK_CODE_ONLY
	       : args->migrate_back ? GP_ROLLBACK_MIGRATE_BACK
	       : args->restore_db ? GP_ROLLBACK_RESTORE_DB
				  : GP_ROLLBACK_ASK;
	return 0;
}

static void print_json(struct gp_ctx *ctx, const struct gp_rollback *r, const char *slug)
{
	json_t *object = gp_json_result("rollback"), *ahead = json_array();

	gp_json_text(ctx, object, "site", slug);
	gp_json_text(ctx, object, "from", r->from);
	gp_json_text(ctx, object, "to", r->to);
	for (size_t i = 0; i < r->ahead.n; i++)
		json_array_append_new(ahead, json_string(r->ahead.v[i]));
	json_object_set_new(object, "ahead", ahead);
	gp_json_text(ctx, object, "dump", r->dump);
	gp_json_text(ctx, object, "how", gp_rollback_how_name(r->how));
	gp_json_print(stdout, object);
}

static void print_plan(const struct gp_rollback *r)
{
	static const char *const what[] = { [GP_ROLLBACK_ASK] = "", [GP_ROLLBACK_CODE_ONLY] = ": it stays",
		[GP_ROLLBACK_MIGRATE_BACK] = ": taken back", [GP_ROLLBACK_RESTORE_DB] = "" };

	printf("~ release %s → %s\n", r->from ? r->from : "none", r->to);
	for (size_t i = 0; i < r->ahead.n; i++)
		printf("%c the database has %s, which it does not know%s\n", r->how == GP_ROLLBACK_MIGRATE_BACK ? '-' : '!', r->ahead.v[i], what[r->how]);
	if (r->ahead.n && r->how == GP_ROLLBACK_RESTORE_DB)
		printf("~ database: %s is loaded and put in place; the live one is dumped, and kept\n", r->dump);
	if (r->ahead.n && r->how == GP_ROLLBACK_ASK)
		printf("choose: --migrate-back takes %s back, --code-only leaves %s%s%s\n", r->ahead.n == 1 ? "it" : "them",
			r->ahead.n == 1 ? "it" : "them", r->dump ? ", --restore-db goes back to " : "", r->dump ? r->dump : "");
}

static int plan(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_rollback_request *request, struct gp_error *err)
{
	struct gp_rollback r;

	GP_TRY(gp_rollback_plan(ctx, request, &r, err));
	if (args->json)
		print_json(ctx, &r, args->slug);
	if (r.from && gp_streq(r.from, r.to)) {
		if (!args->json)
			printf("%s is live already\n", r.to);
		return 0;
	}
	if (!args->json)
		print_plan(&r);
	return gp_fail(err, GP_E_PENDING, "a rollback to %s is possible", r.to);
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_rollback_request request = { .slug = args->slug, .to = args->to };
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));

	GP_TRY(how_of(args, &request.how, err));
	if (args->plan || args->dry_run)
		return plan(ctx, args, &request, err);
	GP_TRY(gp_rollback_run(ctx, &request, d, err));
	if (args->json)
		print_json(ctx, d->rollback, args->slug);
	else if (d->rollback->from && gp_streq(d->rollback->from, d->rollback->to))
		printf("%s is live already\n", d->release);
	else
		printf("%s is live at %s (%s)\n", d->release, gp_site_url(ctx->arena, &d->site, d->domain, "/"), gp_health_name(d->health.status));
	return 0;
}

static const struct gp_option options[] = {
	{ "--to", GP_OPT_NAME, offsetof(struct gp_args, to), GP_NAME_release, "ID", "a release of the list; default: the one before" },
	{ "--plan", GP_OPT_FLAG, offsetof(struct gp_args, plan), .help = "say what would happen, and do nothing" },
	{ "--code-only", GP_OPT_FLAG, offsetof(struct gp_args, code_only), .help = "leave the database ahead of the release" },
	{ "--migrate-back", GP_OPT_FLAG, offsetof(struct gp_args, migrate_back), .help = "take back the migrations it does not know" },
	{ "--restore-db", GP_OPT_FLAG, offsetof(struct gp_args, restore_db), .help = "go back to the database from before them" },
	{ "--options-from-stdin", GP_OPT_FLAG, offsetof(struct gp_args, options_from_stdin), .help = "further options, each ended by NUL",
		.hidden = true },
	GP_OPT_END,
};

const struct gp_command gp_cmd_rollback = {
	.name = "rollback",
	.operand = "SLUG",
	.summary = "go back to an older release of a site",
	.details = "The same way as a deploy: started beside, proven, led to, drained. Where the\n"
		   "database has migrations that the older release does not know it refuses (exit 7)\n"
		   "and lists them, until it is told what to do about them. A second rollback goes\n"
		   "further back, never forward.",
	.options = options,
	.root = true,
	.by_sudo = true,
	.run = run,
};
