/* The plan's part on ssh: the deploy user's keys, sshd's settings, the reload that these owe. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adding.h"
#include "ops/provision.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/session.h"

/* Who must still get in after this run. */
static const char *session_user(struct gp_ctx *ctx)
{
	const char *name = gp_session_find(ctx->arena).user;
	struct gp_account account;

	return name && gp_account_find(ctx->arena, name, &account, NULL) == 1 ? name : NULL;
}

void gp_provision_ssh(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_sshd *sshd)
{
	struct gp_account account;
	const char *user = host->deploy_user, *home = gp_sprintf(ctx->arena, "/home/%s", user);
	struct gp_resource *keys;

	if (!sshd)
		return;
	if (gp_account_find(ctx->arena, user, &account, NULL) == 1)
		home = account.home;
	keys = SPEC(struct gp_resource, .type = &gp_authorized_keys_type, .name = gp_sprintf(ctx->arena, "%s/.ssh/authorized_keys", home),
		.spec = SPEC(struct gp_authorized_keys, .user = user, .keys = host->ssh.authorized_keys), .after = { user, ctx->state_dir });
	gp_plan_add(ctx, plan, *keys);
	if (!host->ssh.manage)
		return;
	ADD(.type = &gp_sshd_type, .name = "/etc/ssh/sshd_config.d/00-goldpath.conf",
		.spec = SPEC(struct gp_sshd_rules, .sshd = sshd, .deploy_user = user, .session_user = session_user(ctx),
			.root_login = gp_root_logins[host->ssh.root_login], .passwords = host->ssh.passwords == GP_PASSWORDS_ON, .keys = keys),
		.after = { user, keys->name, ctx->state_dir }, .notify = GP_RES_RELOAD_SSH);
	ADD(.type = &gp_handler_type, .name = GP_RES_RELOAD_SSH, .spec = &gp_sshd_reload);
}
