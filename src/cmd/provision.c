/* goldpath provision */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/provision.h"
#include "out/changes.h"
#include "out/json.h"
#include "out/question.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static json_t *as_json(struct gp_ctx *ctx, bool applied, const struct gp_changes *changes)
{
	json_t *object = gp_json_result("provision");

	json_object_set_new(object, "applied", json_boolean(applied));
	json_object_set_new(object, "changes", gp_changes_json(ctx, changes));
	return object;
}

/* The old script's --deploy-user says what the files say, or it is a mistake. */
static int check_deploy_user(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_site site = { 0 };
	struct gp_host host;
	const char *user;

	GP_TRY(gp_host_load(ctx->arena, ctx->etc_dir, &host, err));
	if (args->slug)
		GP_TRY(gp_site_load(ctx->arena, ctx->etc_dir, args->slug, &site, err));
	user = gp_deploy_user(&host, &site);
	if (!args->deploy_user || gp_streq(args->deploy_user, user))
		return 0;
	gp_fail(err, GP_E_CONFIG, "--deploy-user says '%s', %s%s says '%s'", args->deploy_user, ctx->etc_dir,
		site.deploy_user ? "/sites" : "/host.yaml", user);
	return gp_hint(err, "set deploy_user in %s/host.yaml, or in the site's file", ctx->etc_dir);
}

/* The change "ssh key /home/USER/.ssh/id_ed25519" was made: what a person has to do with it. */
static void tell_key(struct gp_ctx *ctx, const char *what)
{
	const char *key = NULL;
	struct stat st;

	if (gp_starts_with(what, "ssh key ") && gp_fs_lstat(what + strlen("ssh key "), &st, NULL) == 1)
		key = gp_deploy_public_key(ctx, gp_account_name(ctx->arena, st.st_uid));
	if (key)
		gp_tell_note(ctx, "a private repository wants this as a deploy key: %s", key);
}

/* Show the plan and ask. *ret_go is false where there is nothing to do, or the answer was no. */
static int agree(struct gp_ctx *ctx, const struct gp_args *args, struct gp_changes *ret, bool *ret_go, struct gp_error *err)
{
	const struct gp_provision look = { .slug = args->slug };
	size_t n;

	*ret_go = false;
	if (gp_provision_run(ctx, &look, ret, err) < 0) {
		/* What is wrong with one site is told at the end, when the others are done. */
		if (!ret->partial || !gp_changes_count(ret))
			return -1;
		gp_tell_warn(ctx, "%s", err->msg);
	}
	n = gp_changes_count(ret);
	if (n == 0)
		return 0;
	GP_TRY(gp_ask(gp_sprintf(ctx->arena, "make %s%zu change%s", n == 1 ? "this " : "these ", n, n == 1 ? "" : "s"), "--yes", ret_go, err));
	if (*ret_go)
		return 0;
	puts("nothing was changed");
	return gp_fail(err, GP_E_PENDING, "nothing was changed");
}

static int make(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_changes *only, struct gp_changes *ret,
	struct gp_error *err)
{
	const struct gp_provision request = { .slug = args->slug, .apply = !args->dry_run, .only = only };
	int result = gp_provision_run(ctx, &request, ret, err);

	/* What was done before it failed is a result too. */
	if (result < 0 && args->json)
		gp_json_keep(ctx, as_json(ctx, !args->dry_run, ret));
	return result;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	struct gp_changes agreed = { 0 }, changes = { 0 };
	bool ask = !args->yes && !args->dry_run, go = true;
	size_t n;

	GP_TRY(check_deploy_user(ctx, args, err));
	if (ask)
		GP_TRY(agree(ctx, args, &agreed, &go, err));
	if (go)
		GP_TRY(make(ctx, args, ask ? &agreed : NULL, &changes, err));
	n = gp_changes_count(&changes);
	for (size_t i = 0; i < changes.n; i++)
		tell_key(ctx, changes.v[i].what);
	if (args->json)
		gp_json_print(stdout, as_json(ctx, !args->dry_run, go ? &changes : &agreed));
	else
		printf("%zu change%s%s\n", n, n == 1 ? "" : "s", args->dry_run && n ? " to be made" : "");
	return args->dry_run && n ? gp_fail(err, GP_E_PENDING, "%zu change%s pending", n, n == 1 ? "" : "s") : 0;
}

static const struct gp_option options[] = {
	{ "--yes", GP_OPT_FLAG, offsetof(struct gp_args, yes), .help = "do not ask; needed where there is no terminal" },
	{ "--dry-run", GP_OPT_FLAG, offsetof(struct gp_args, dry_run), .help = "as goldpath plan: change nothing; exit 4 if it would" },
	{ "--deploy-user", GP_OPT_NAME, offsetof(struct gp_args, deploy_user), GP_NAME_user, "USER",
		"must be the one in host.yaml, or in the site's file" },
	{ "--install-packages", GP_OPT_FLAG, offsetof(struct gp_args, install_packages),
		.help = "accepted; packages are always looked after" },
	GP_OPT_END,
};

const struct gp_command gp_cmd_provision = {
	.name = "provision",
	.operand = "[SLUG]",
	.summary = "bring host and site to what their files say",
	.details = "Reads what is, compares it with /etc/goldpath, shows the plan and asks, then\n"
		   "changes just that and reads it again. Run it as often as you like: a second\n"
		   "run says 0 changes. Without SLUG the host and every site.",
	.options = options,
	.root = true,
	.run = run,
};
