/* goldpath provision */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "cmd/command.h"
#include "ops/provision.h"
#include "out/json.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static void print_json(struct gp_ctx *ctx, const struct gp_args *args, const struct gp_changes *changes)
{
	json_t *object = gp_json_result("provision"), *list = json_array();

	json_object_set_new(object, "applied", json_boolean(!args->dry_run));
	for (size_t i = 0; i < changes->n; i++) {
		json_t *change = json_object();
		char mark[] = { changes->v[i].mark, '\0' };

		gp_json_text(ctx, change, "mark", mark);
		gp_json_text(ctx, change, "what", changes->v[i].what);
		json_array_append_new(list, change);
	}
	json_object_set_new(object, "changes", list);
	gp_json_print(stdout, object);
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

/* Things that need attention are reported, and are no changes. */
static size_t count(const struct gp_changes *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		n += changes->v[i].mark != '!';
	return n;
}

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	const struct gp_provision request = { .slug = args->slug, .apply = !args->dry_run };
	struct gp_changes changes = { 0 };
	size_t n;

	GP_TRY(check_deploy_user(ctx, args, err));
	GP_TRY(gp_provision_run(ctx, &request, &changes, err));
	n = count(&changes);
	for (size_t i = 0; i < changes.n; i++)
		tell_key(ctx, changes.v[i].what);
	if (args->json)
		print_json(ctx, args, &changes);
	else
		printf("%zu change%s%s\n", n, n == 1 ? "" : "s", args->dry_run && n ? " to be made" : "");
	if (args->dry_run && n) {
		gp_fail(err, GP_E_PENDING, "%zu change%s pending", n, n == 1 ? "" : "s");
		return -1;
	}
	return 0;
}

static const struct gp_option options[] = {
	{ "--dry-run", GP_OPT_FLAG, offsetof(struct gp_args, dry_run), .help = "only say what would change; exit 4 if anything" },
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
	.details = "Reads what is, compares it with /etc/goldpath, changes what differs, and reads\n"
		   "it again. Run it as often as you like: a second run says 0 changes. Without\n"
		   "SLUG the host and every site.",
	.options = options,
	.root = true,
	.run = run,
};
