/* goldpath init */
#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"
#include "ops/init.h"
#include "out/json.h"
#include "sys/ctx.h"

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_init request = {
		.slug = args->slug,
		.domain = args->domain,
		.repo = args->repo,
		.project = args->project,
		.ref = args->ref,
		.tls = args->tls,
		.celery = args->celery,
	};
	struct gp_init_result result;

	GP_TRY(gp_init_run(ctx, &request, &result, err));
	if (args->json) {
		json_t *object = gp_json_result("init");

		gp_json_text(ctx, object, "host", result.host_path);
		gp_json_text(ctx, object, "site", result.site_path);
		json_object_set_new(object, "host_written", json_boolean(result.host_written));
		json_object_set_new(object, "site_written", json_boolean(result.site_written));
		gp_json_print(stdout, object);
		return 0;
	}
	printf("%s %s\n", result.host_path, result.host_written ? "written" : "is there already and stays as it is");
	printf("%s %s\n", result.site_path, result.site_written ? "written" : "is there already and stays as it is");
	if (!result.site_written)
		gp_tell_warn(ctx, "what was asked for now is not in it: change the file itself");
	else
		gp_tell_note(ctx, "next: look at them, then goldpath provision %s", args->slug);
	return 0;
}

static const struct gp_option options[] = {
	{ "--domain", GP_OPT_NAME, offsetof(struct gp_args, domain), GP_NAME_domain, "DOMAIN", "the name visitors use", .required = true },
	{ "--repo", GP_OPT_NAME, offsetof(struct gp_args, repo), GP_NAME_repo, "URL", "the git repository", .required = true },
	{ "--project", GP_OPT_NAME, offsetof(struct gp_args, project), GP_NAME_module, "MODULE",
		"the Django project's package; default: the slug with _" },
	{ "--ref", GP_OPT_NAME, offsetof(struct gp_args, ref), GP_NAME_ref, "REF", "branch or tag to deploy; default: main" },
	{ "--tls", GP_OPT_TEXT, offsetof(struct gp_args, tls), .value = "HOW", .help = "auto, internal or off; default: auto" },
	{ "--celery", GP_OPT_FLAG, offsetof(struct gp_args, celery), .help = "run a Celery worker" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_init = {
	.name = "init",
	.operand = "SLUG",
	.summary = "write the two configuration files of host and site",
	.details = "Writes /etc/goldpath/host.yaml and /etc/goldpath/sites/SLUG.yaml, commented,\n"
		   "with every default visible. A file that is there already is never overwritten.",
	.options = options,
	.root = true,
	.run = run,
};
