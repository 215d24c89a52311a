/* goldpath adopt */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "cmd/command.h"
#include "ops/adopt.h"
#include "out/changes.h"
#include "out/json.h"
#include "out/question.h"
#include "sys/ctx.h"

static json_t *as_json(struct gp_ctx *ctx, bool applied, const struct gp_adopt *a)
{
	json_t *object = gp_json_result("adopt");

	gp_json_text(ctx, object, "site", a->init.slug);
	json_object_set_new(object, "applied", json_boolean(applied));
	gp_json_text(ctx, object, "sha", a->work.sha);
	gp_json_text(ctx, object, "release", a->deploy.release);
	json_object_set_new(object, "changes", gp_changes_json(ctx, &a->changes));
	return object;
}

static int adopt(struct gp_ctx *ctx, const struct gp_args *args, bool apply, struct gp_adopt *ret, struct gp_error *err)
{
	struct gp_adopt_request *request = gp_alloc(ctx->arena, sizeof(*request));

	*request = (struct gp_adopt_request){
		.init = { .slug = args->slug, .domain = args->domain, .repo = args->repo, .project = args->project, .ref = args->ref, .tls = args->tls,
			.celery = args->celery },
		.leave_uncommitted = args->leave_uncommitted,
		.apply = apply,
	};
	return gp_adopt_run(ctx, request, ret, err);
}

/* Show what would be done, and ask. */
static int agree(struct gp_ctx *ctx, const struct gp_args *args, struct gp_adopt *a, bool *ret_go, struct gp_error *err)
{
	GP_TRY(adopt(ctx, args, false, a, err));
	*ret_go = true;
	if (a->done)
		return 0;
	GP_TRY(gp_ask(gp_sprintf(ctx->arena, "adopt %s", args->slug), "--yes", ret_go, err));
	if (*ret_go)
		return 0;
	puts("nothing was changed");
	return gp_fail(err, GP_E_PENDING, "nothing was changed");
}

static int print_result(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_adopt *a, struct gp_error *err)
{
	size_t n = gp_changes_count(&a->changes);
	bool pending = args->dry_run && !a->done;

	if (args->json)
		gp_json_print(stdout, as_json(ctx, !args->dry_run && !a->done, a));
	else if (a->done)
		printf("%s is goldpath's already: 0 changes\n", args->slug);
	else if (args->dry_run)
		printf("%zu change%s to be made\n", n, n == 1 ? "" : "s");
	else
		printf("%s is live at %s, and goldpath's from now on\n", a->deploy.release, gp_site_url(ctx->arena, &a->deploy.site, a->deploy.site.domain, "/"));
	return pending ? gp_fail(err, GP_E_PENDING, "%zu change%s pending", n, n == 1 ? "" : "s") : 0;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_adopt *a = gp_alloc(ctx->arena, sizeof(*a));
	bool go = true;

	if (!args->yes && !args->dry_run)
		GP_TRY(agree(ctx, args, a, &go, err));
	if (adopt(ctx, args, !args->dry_run, a, err) < 0) {
		/* What was done before it failed is a result too. */
		if (args->json && a->changes.n)
			gp_json_keep(ctx, as_json(ctx, !args->dry_run, a));
		return -1;
	}
	return print_result(ctx, args, a, err);
}

static const struct gp_option options[] = {
	{ "--domain", GP_OPT_NAME, offsetof(struct gp_args, domain), GP_NAME_domain, "DOMAIN", "default: as in .env, or in Caddy's file" },
	{ "--repo", GP_OPT_NAME, offsetof(struct gp_args, repo), GP_NAME_repo, "URL", "default: where the checkout comes from" },
	{ "--project", GP_OPT_NAME, offsetof(struct gp_args, project), GP_NAME_module, "MODULE", "default: as gunicorn is started" },
	{ "--ref", GP_OPT_NAME, offsetof(struct gp_args, ref), GP_NAME_ref, "REF", "for later deploys; default: the checkout's branch" },
	{ "--tls", GP_OPT_TEXT, offsetof(struct gp_args, tls), .value = "HOW", .help = "auto, internal or off; default: as Caddy has it" },
	{ "--celery", GP_OPT_FLAG, offsetof(struct gp_args, celery), .help = "run a Celery worker; default: where one runs" },
	{ "--i-know-changes-stay-behind", GP_OPT_FLAG, offsetof(struct gp_args, leave_uncommitted),
		.help = "go on where the checkout has what is in no commit" },
	{ "--yes", GP_OPT_FLAG, offsetof(struct gp_args, yes), .help = "do not ask; needed where there is no terminal" },
	{ "--dry-run", GP_OPT_FLAG, offsetof(struct gp_args, dry_run), .help = "show what would be done; exit 4 if anything would" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_adopt = {
	.name = "adopt",
	.operand = "SLUG",
	.summary = "take over a site that was set up by hand",
	.details = "Reads from its folder, .env, units, checkout and Caddy file what the site is,\n"
		   "writes /etc/goldpath/sites/SLUG.yaml, provisions, builds the commit that it runs\n"
		   "as a release, proves that beside the old gunicorn, and only then changes over,\n"
		   "with no request lost. Nothing of the site is deleted: what is replaced is kept.\n"
		   "Cut off anywhere, the site answers, and the same command goes on.",
	.options = options,
	.root = true,
	.run = run,
};
