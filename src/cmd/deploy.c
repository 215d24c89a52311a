/* goldpath deploy */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/deploy.h"
#include "out/json.h"
#include "sys/ctx.h"

static void print_json(struct gp_ctx *ctx, const struct gp_deploy *d)
{
	json_t *object = gp_json_result("deploy");

	gp_json_text(ctx, object, "site", d->site.slug);
	gp_json_text(ctx, object, "ref", d->ref);
	gp_json_text(ctx, object, "sha", d->sha);
	gp_json_text(ctx, object, "release", d->release);
	gp_json_text(ctx, object, "previous", d->previous);
	gp_json_text(ctx, object, "health", gp_health_name(d->health.status));
	gp_json_text(ctx, object, "degraded", *d->health.why ? d->health.why : NULL);
	gp_json_text(ctx, object, "sitemap", *d->sitemap ? d->sitemap : NULL);
	gp_json_print(stdout, object);
}

static int resume(struct gp_ctx *ctx, const struct gp_deploy_request *request, const struct gp_args *args, struct gp_error *err)
{
	const char *words;

	GP_TRY(gp_deploy_resume(ctx, request, &words, err));
	if (args->json) {
		json_t *object = gp_json_result("deploy");

		gp_json_text(ctx, object, "site", request->slug);
		gp_json_text(ctx, object, "state", words);
		gp_json_print(stdout, object);
	} else {
		printf("%s\n", words);
	}
	return 0;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_deploy_request request = {
		.slug = args->slug,
		.ref = args->ref,
		.domain = args->domain,
		.no_restart = args->no_restart,
	};
	struct gp_deploy *d = gp_alloc(ctx->arena, sizeof(*d));

	if (args->resume && args->ref)
		return gp_fail(err, GP_E_USAGE, "--resume takes up what was cut off, whose ref is known: --ref says nothing to that");
	if (args->resume)
		return resume(ctx, &request, args, err);
	GP_TRY(gp_deploy_run(ctx, &request, d, err));
	if (args->json)
		print_json(ctx, d);
	else if (args->no_restart)
		printf("%s is in place; gunicorn still runs what it ran: systemctl restart %s\n", d->release, d->paths.gunicorn);
	else
		printf("%s is live at %s (%s)\n", d->release, gp_site_url(ctx->arena, &d->site, d->domain, "/"), gp_health_name(d->health.status));
	return 0;
}

static const struct gp_option options[] = {
	{ "--ref", GP_OPT_NAME, offsetof(struct gp_args, ref), GP_NAME_ref, "REF", "branch, tag or commit; default: the site's" },
	{ "--domain", GP_OPT_NAME, offsetof(struct gp_args, domain), GP_NAME_domain, "DOMAIN",
		"name for the last check; default: the site's" },
	{ "--no-restart", GP_OPT_FLAG, offsetof(struct gp_args, no_restart), .help = "put the release in place, restart nothing" },
	{ "--resume", GP_OPT_FLAG, offsetof(struct gp_args, resume), .help = "only finish, or take back, one that was cut off" },
	{ "--options-from-stdin", GP_OPT_FLAG, offsetof(struct gp_args, options_from_stdin), .help = "further options, each ended by NUL",
		.hidden = true },
	GP_OPT_END,
};

const struct gp_command gp_cmd_deploy = {
	.name = "deploy",
	.operand = "SLUG",
	.summary = "release a version of a site",
	.details = "Builds the release beside the running one, switches, and waits until the new one\n"
		   "itself says that it is well. A release that does not get healthy is taken back.\n"
		   "Runs as root, or as the deploy user through the site's sudoers line.",
	.options = options,
	.root = true,
	.by_sudo = true,
	.run = run,
};
