/* The host's keys. */
#include "conf/host.h"

#include "base/arena.h"
#include "base/error.h"

#define AT(field) offsetof(struct gp_host, field)

const struct gp_key gp_host_keys[] = {
	{ "deploy_user", GP_KEY_NAME, AT(deploy_user), .kind = GP_NAME_user, .def = "deploy",
		.help = "owns the sites' folders and runs git, pip, builds and manage.py; has no password" },
	{ "packages", GP_KEY_NAMES, AT(packages), .kind = GP_NAME_package, .def = "[]", .help = "Debian packages besides the baseline" },
	{ "firewall", GP_KEY_BOOL, AT(firewall), .def = "true", .help = "UFW: in come 80, 443 and every port sshd listens on" },
	{ "uv", GP_KEY_BOOL, AT(uv), .def = "true", .help = "install Python packages with a pinned uv; false: with pip" },
	{ "confine", GP_KEY_BOOL, AT(confine), .def = "true",
		.help = "run a repository's code in a deploy where it sees its own site only; false: for containers that cannot" },
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
