/* The host's keys. */
#include "conf/host.h"

#include "base/arena.h"
#include "base/error.h"

#define AT(field) offsetof(struct gp_host, field)

const char *const gp_root_logins[] = { "prohibit-password", "no", "yes", NULL };
static const char *const passwords[] = { [GP_PASSWORDS_AUTO] = "auto", [GP_PASSWORDS_ON] = "on", NULL };

static const struct gp_key ssh_keys[] = {
	{ "manage", GP_KEY_BOOL, AT(ssh.manage), .def = "true", .help = "false: sshd's configuration is left alone" },
	{ "root_login", GP_KEY_CHOICE, AT(ssh.root_login), .choices = gp_root_logins, .def = "prohibit-password",
		.help = "how root may log in: with a key only, not at all, or with a password too" },
	{ "passwords", GP_KEY_CHOICE, AT(ssh.passwords), .choices = passwords, .def = "auto",
		.help = "auto: off as soon as the deploy user and an administrator can log in with a key; on" },
	{ "authorized_keys", GP_KEY_NAMES, AT(ssh.authorized_keys), .kind = GP_NAME_sshkey, .def = "[]",
		.help = "public keys that may log in as the deploy user; others that are there stay" },
	{ .name = NULL },
};

const struct gp_key gp_host_keys[] = {
	{ "deploy_user", GP_KEY_NAME, AT(deploy_user), .kind = GP_NAME_user, .def = "deploy",
		.help = "owns the sites' folders and runs git, pip, builds and manage.py; has no password" },
	{ "packages", GP_KEY_NAMES, AT(packages), .kind = GP_NAME_package, .def = "[]", .help = "Debian packages besides the baseline" },
	{ "firewall", GP_KEY_BOOL, AT(firewall), .def = "true", .help = "UFW: in come 80, 443 and every port sshd listens on" },
	{ "uv", GP_KEY_BOOL, AT(uv), .def = "true", .help = "install Python packages with a pinned uv; false: with pip" },
	{ "ssh", GP_KEY_GROUP, .group = ssh_keys, .help = "who may log in, and how" },
	{ .name = NULL },
};

int gp_host_load(struct gp_arena *arena, const char *dir, struct gp_host *ret, struct gp_error *err)
{
	struct gp_host host = { 0 };

	GP_TRY(gp_conf_load(arena, gp_sprintf(arena, "%s/host.yaml", dir), gp_host_keys, &host, err));
	if (gp_streq(host.deploy_user, "root"))
		return gp_fail(err, GP_E_CONFIG, "%s/host.yaml: the deploy user cannot be root", dir);
	*ret = host;
	return 0;
}
