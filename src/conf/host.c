/* The host's keys. */
#include "conf/host.h"

#include "base/arena.h"
#include "base/error.h"

enum { PORTS_MAX = 64 };

#define AT(field) offsetof(struct gp_host, field)

/* journald needs room for a few files of 8 MiB; less swap than that is none. */
enum { MIN_SIZE = 16 << 20 };

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

static const struct gp_key caddy_keys[] = {
	{ "repository", GP_KEY_NAME, AT(caddy_repository.uri), .kind = GP_NAME_weburl, .required = true,
		.help = "a mirror of Caddy's own apt repository" },
	{ "key", GP_KEY_NAME, AT(caddy_repository.key), .kind = GP_NAME_weburl, .required = true, .help = "where its OpenPGP key is" },
	{ "fingerprint", GP_KEY_NAME, AT(caddy_repository.fingerprint), .kind = GP_NAME_fingerprint, .required = true,
		.help = "of that key, 40 hexadecimal digits" },
	{ .name = NULL },
};

const struct gp_key gp_host_keys[] = {
	{ "deploy_user", GP_KEY_NAME, AT(deploy_user), .kind = GP_NAME_user, .def = "deploy",
		.help = "owns the sites' folders and runs git, pip, builds and manage.py; has no password" },
	{ "packages", GP_KEY_NAMES, AT(packages), .kind = GP_NAME_package, .def = "[]", .help = "Debian packages besides the baseline" },
	{ "firewall", GP_KEY_CHOICE, AT(firewall), .choices = (const char *const[]){ "auto", "ufw", "off", NULL }, .def = "auto",
		.help = "auto: UFW, unless the host has packet rules of its own; ufw: in any case; off: none" },
	{ "ports", GP_KEY_NAMES, AT(ports), .kind = GP_NAME_port, .hi = PORTS_MAX, .def = "[]",
		.help = "ports to open besides 80, 443 and those of sshd: [8080, 51820/udp]" },
	{ "uv", GP_KEY_BOOL, AT(uv), .def = "true", .help = "install Python packages with a pinned uv; false: with pip" },
	{ "redis_maxmemory", GP_KEY_INT, AT(redis_maxmemory), .lo = 0, .hi = 1 << 20, .def = "0",
		.help = "megabytes that Redis may fill; 0: a quarter of the host's memory" },
	{ "upgrades", GP_KEY_CHOICE, AT(upgrades), .choices = (const char *const[]){ "security", "off", NULL }, .def = "security",
		.help = "install security updates every day, never rebooting: security, off" },
	{ "time_sync", GP_KEY_BOOL, AT(time_sync), .def = "true", .help = "keep the clock right with systemd-timesyncd, unless another does" },
	{ "journal_max", GP_KEY_NAME, AT(journal_max), .kind = GP_NAME_size, .def = "500M", .help = "disk space the journal may take" },
	{ "swap", GP_KEY_NAME, AT(swap), .kind = GP_NAME_swap, .def = "auto",
		.help = "auto (1G where there are 2 GiB of memory or less, and no swap), off, or the size of /swapfile" },
	{ "sysctl", GP_KEY_PAIRS, AT(sysctl), .kind = GP_NAME_sysctl, .def = "{}",
		.help = "kernel settings, like {vm.swappiness: 10}; goldpath needs none" },
	{ "confine", GP_KEY_BOOL, AT(confine), .def = "true",
		.help = "run a repository's code in a deploy where it sees its own site only; false: for containers that cannot" },
	{ "ssh", GP_KEY_GROUP, .group = ssh_keys, .help = "who may log in, and how" },
	{ "caddy", GP_KEY_CHOICE, AT(caddy), .choices = (const char *const[]){ "distribution", "official", "repository", NULL },
		.group = caddy_keys, .group_choice = "repository", .def = "distribution",
		.help = "where Caddy's package comes from; {repository: URL, key: URL, fingerprint: HEX}: a mirror" },
	{ .name = NULL },
};

/* Postgres and Redis are for this host alone. */
static int check_ports(const struct gp_host *host, const char *dir, struct gp_error *err)
{
	for (size_t i = 0; i < host->ports.n; i++) {
		uint16_t port = 0;
		bool udp;

		gp_port_parse(host->ports.v[i], &port, &udp);
		if (port != 5432 && port != 6379)
			continue;
		gp_fail(err, GP_E_CONFIG, "%s/host.yaml: 'ports': %u is never opened", dir, port);
		return gp_hint(err, "from elsewhere go through ssh: `ssh -L %u:127.0.0.1:%u HOST`", port, port);
	}
	return 0;
}

static int check_size(const char *dir, const char *key, const char *size, struct gp_error *err)
{
	int64_t bytes = gp_parse_size(size);

	if (bytes && bytes < MIN_SIZE)
		return gp_fail(err, GP_E_CONFIG, "%s/host.yaml: '%s' must be 16M at least", dir, key);
	return 0;
}

int gp_host_load(struct gp_arena *arena, const char *dir, struct gp_host *ret, struct gp_error *err)
{
	struct gp_host host = { 0 };

	GP_TRY(gp_conf_load(arena, gp_sprintf(arena, "%s/host.yaml", dir), gp_host_keys, &host, err));
	if (gp_streq(host.deploy_user, "root"))
		return gp_fail(err, GP_E_CONFIG, "%s/host.yaml: the deploy user cannot be root", dir);
	GP_TRY(check_ports(&host, dir, err));
	GP_TRY(check_size(dir, "journal_max", host.journal_max, err));
	GP_TRY(check_size(dir, "swap", host.swap, err));
	*ret = host;
	return 0;
}

int gp_host_default(struct gp_arena *arena, struct gp_host *ret, struct gp_error *err)
{
	struct gp_host host = { 0 };

	GP_TRY(gp_conf_parse(arena, "host.yaml", "", 0, gp_host_keys, &host, err));
	*ret = host;
	return 0;
}
