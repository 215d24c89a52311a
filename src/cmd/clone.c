/* goldpath clone */
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/clone.h"
#include "out/json.h"
#include "sys/ctx.h"

static int check(const struct gp_args *args, struct gp_error *err)
{
	if (!args->repository != !args->password_file) {
		gp_fail(err, GP_E_USAGE, "--offsite and --password-file belong together");
		return gp_hint(err, "the password of a site's repository lies in /var/lib/goldpath/SLUG/offsite/password of its host");
	}
	if (!args->repository && gp_streq(args->slug, args->to)) {
		gp_fail(err, GP_E_USAGE, "%s cannot be cloned to itself", args->slug);
		return gp_hint(err, "name another slug; or say --offsite on another host");
	}
	return 0;
}

static void print_json(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_clone *c)
{
	json_t *object = gp_json_result("clone");

	gp_json_text(ctx, object, "site", args->to);
	gp_json_text(ctx, object, "of", args->slug);
	gp_json_text(ctx, object, "offsite", args->repository);
	gp_json_text(ctx, object, "domain", c->site.domain);
	gp_json_text(ctx, object, "database", c->site.database.name);
	gp_json_text(ctx, object, "file", c->dump);
	json_object_set_new(object, "rows", json_integer((json_int_t)c->file.dump.dumped.rows));
	json_object_set_new(object, "tables", json_integer((json_int_t)c->file.dump.dumped.tables.n));
	json_object_set_new(object, "media_files", json_integer((json_int_t)c->copied.files));
	json_object_set_new(object, "media_bytes", json_integer((json_int_t)c->copied.bytes));
	gp_json_text(ctx, object, "release", c->deploy.release);
	gp_json_text(ctx, object, "sha", c->deploy.sha);
	gp_json_text(ctx, object, "health", gp_health_name(c->deploy.health.status));
	gp_json_print(stdout, object);
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_clone_request request = { .slug = args->slug, .to = args->to, .domain = args->domain, .offsite = args->repository,
		.password_file = args->password_file };
	struct gp_clone *c = gp_alloc(ctx->arena, sizeof(*c));

	GP_TRY(check(args, err));
	GP_TRY(gp_clone_run(ctx, &request, c, err));
	if (args->json)
		print_json(ctx, args, c);
	else
		printf("%s is live at %s, with what %s had%s%s\n", args->to, c->site.domain, args->slug, args->repository ? " in " : "",
			args->repository ? args->repository : "");
	return 0;
}

static const struct gp_option options[] = {
	{ "--to", GP_OPT_NAME, offsetof(struct gp_args, to), GP_NAME_slug, "NEW", "the new site's slug", .required = true },
	{ "--domain", GP_OPT_NAME, offsetof(struct gp_args, domain), GP_NAME_domain, "DOMAIN",
		"its visitors' name; default: NEW.<the old one>" },
	{ "--offsite", GP_OPT_NAME, offsetof(struct gp_args, repository), GP_NAME_restic, "REPOSITORY",
		"out of that restic repository, and not this host" },
	{ "--password-file", GP_OPT_TEXT, offsetof(struct gp_args, password_file), .value = "FILE", .help = "the repository's password" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_clone = {
	.name = "clone",
	.operand = "SLUG",
	.summary = "make a second site of a site, or bring one back on another host",
	.details = "The whole site under another slug: its file, what was added to .env, media,\n"
		   "a backup of the database, and a deploy of the commit that is live. Secrets are\n"
		   "made anew. With --offsite it comes out of the site's restic repository, to\n"
		   "a host that is provisioned; to the same slug its secrets and domain stay.\n"
		   "One that was cut off is gone on with by the same command.",
	.options = options,
	.root = true,
	.run = run,
};
