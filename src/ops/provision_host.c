/* The host's part of the plan: packages, users, Postgres, the helper names, uv, the firewall. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "data/embed.h"
#include "ops/adding.h"
#include "ops/paths.h"
#include "ops/provision.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/net.h"
#include "sys/session.h"
#include "sys/sshd.h"
#include "sys/unit.h"

enum { PORTS_MAX = 192 };

#define GP_POSTGRES_ETC "/etc/postgresql"

/* The seeds' list, and what goldpath itself calls: sudo, visudo, ssh. */
static const char *const baseline[] = {
	"ca-certificates", "curl", "git", "python3", "python3-venv", "python3-pip", "build-essential", "libpq-dev", "postgresql",
	"postgresql-contrib", "postgresql-client", "redis-server", "ufw", "sudo", "openssh-client",
};

static int daemon_reload(struct gp_ctx *ctx, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	return gp_unit_daemon_reload(bus, err);
}

static const struct gp_handler handler_daemon_reload = { .run = daemon_reload };

static int add_packages(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_error *err)
{
	struct gp_packages *packages = gp_alloc(ctx->arena, sizeof(*packages));

	for (size_t i = 0; i < sizeof(baseline) / sizeof(baseline[0]); i++)
		gp_strv_add(ctx->arena, &packages->names, baseline[i]);
	GP_TRY(gp_provision_baseline_packages(ctx, host, &packages->names, err));
	if (host->caddy == GP_CADDY_DISTRIBUTION)
		gp_strv_add(ctx->arena, &packages->names, "caddy");
	for (size_t i = 0; i < host->packages.n; i++)
		gp_strv_add(ctx->arena, &packages->names, host->packages.v[i]);
	gp_provision_checks(ctx, plan, &packages->names);
	ADD(.type = &gp_packages_type, .name = GP_RES_PACKAGES, .spec = packages);
	return 0;
}

static void add_folders(struct gp_ctx *ctx, struct gp_plan *plan)
{
	static const struct gp_folder plain = { .owner = "root", .group = "root", .mode = 0755 };
	const char *const paths[] = { ctx->sites_dir, gp_sprintf(ctx->arena, "%s/bin", ctx->sites_dir), "/var/log/sum" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ADD(.type = &gp_folder_type, .name = paths[i], .spec = &plain);
}

/* postgresql.service only pulls the clusters in, and is active whether they are or not. Each that is to start at boot is looked at. */
static void add_clusters(struct gp_ctx *ctx, struct gp_plan *plan, const char *version)
{
	static const struct gp_unit unit = { .running = true, .present = true };
	struct gp_strv names = { 0 };
	const char *start = "";

	gp_fs_list(ctx->arena, gp_sprintf(ctx->arena, GP_POSTGRES_ETC "/%s", version), &names, NULL);
	for (size_t i = 0; i < names.n; i++) {
		const char *path = gp_sprintf(ctx->arena, GP_POSTGRES_ETC "/%s/%s/start.conf", version, names.v[i]);

		if (gp_fs_read(ctx->arena, path, 4096, &start, NULL, NULL) == 1 && gp_streq(gp_last_line(ctx->arena, start), "auto"))
			ADD(.type = &gp_unit_type, .name = gp_sprintf(ctx->arena, GP_RES_CLUSTER "%s-%s.service", version, names.v[i]), .spec = &unit);
	}
}

static int look_at_postgres(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_listener *listeners;
	size_t n;

	GP_TRY(gp_net_listeners(ctx->arena, false, &listeners, &n, err));
	for (size_t i = 0; i < n; i++)
		if (listeners[i].port == 5432 && !listeners[i].loopback)
			gp_change_add(ctx, changes, '!', resource, "listens on %s, and need not: see listen_addresses in postgresql.conf", listeners[i].address);
	return 0;
}

static void add_postgres(struct gp_ctx *ctx, struct gp_plan *plan)
{
	static const struct gp_unit unit = { .enabled = true, .running = true, .present = true, .by_package = true };
	static const struct gp_attention attention = { .look = look_at_postgres };
	struct gp_strv versions = { 0 };

	gp_fs_list(ctx->arena, GP_POSTGRES_ETC, &versions, NULL);
	for (size_t i = 0; i < versions.n; i++)
		add_clusters(ctx, plan, versions.v[i]);
	/* After them: it would start them too, and a plan could not say so. */
	ADD(.type = &gp_unit_type, .name = "postgresql.service", .spec = &unit, .after = { GP_RES_PACKAGES });
	ADD(.type = &gp_attention_type, .name = "of PostgreSQL", .spec = &attention);
}

static void add_helpers(struct gp_ctx *ctx, struct gp_plan *plan)
{
	static const struct gp_link program = { .target = gp_program_path };
	static const char *const names[] = { "provision_vps.sh", "deploy.sh", "backup_db.sh", "restore_db.sh" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ADD(.type = &gp_link_type, .name = gp_sprintf(ctx->arena, "%s/bin/%s", ctx->sites_dir, names[i]), .spec = &program);
}

struct ports {
	struct gp_port v[PORTS_MAX];
	size_t n;
};

static void add_port(struct ports *ports, struct gp_port port)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].port == port.port && ports->v[i].udp == port.udp)
			return;
	if (ports->n < PORTS_MAX)
		ports->v[ports->n++] = port;
}

static void add_ssh_port(struct ports *ports, int64_t port)
{
	add_port(ports, (struct gp_port){ .port = (uint16_t)port, .ssh = true });
}

/* What sshd would listen on by its configuration; it says nothing where it is not installed or its configuration is broken. */
static void configured_ssh_ports(struct gp_sshd *sshd, struct ports *ports)
{
	const struct gp_sshdconf *conf;

	if (!sshd || gp_sshd_effective(sshd, NULL, &conf, NULL) < 0)
		return;
	for (size_t i = 0; i < conf->n; i++) {
		int64_t port;

		if (gp_streq(conf->v[i].keyword, "port") && gp_parse_int(conf->v[i].value, 1, 65535, &port))
			add_ssh_port(ports, port);
	}
}

/* Where it is not in use systemd has to read it from disk to say so, 6 ms: asked only where systemd itself listens at all. */
static int ssh_by_socket(struct gp_ctx *ctx, bool *ret, struct gp_error *err)
{
	struct gp_unit_state state;
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_glance(bus, ctx->arena, "ssh.socket", &state, err));
	*ret = gp_streq(state.active, "active");
	return 0;
}

/* Does anything listen for the world on a port that is not open anyway? Whose it is takes a walk through all processes. */
static bool strangers(struct gp_ctx *ctx, const struct ports *ports)
{
	struct gp_listener *listeners;
	size_t n;

	if (gp_net_listeners(ctx->arena, false, &listeners, &n, NULL) < 0)
		return true;
	for (size_t i = 0; i < n; i++) {
		bool known = listeners[i].loopback || listeners[i].port == 80 || listeners[i].port == 443;

		for (size_t k = 0; k < ports->n && !known; k++)
			known = ports->v[k].port == listeners[i].port && !ports->v[k].udp;
		if (!known)
			return true;
	}
	return false;
}

/* The one that this very session came in by. */
static int add_session_port(struct gp_ctx *ctx, struct ports *ports)
{
	struct gp_session session = gp_session_find(ctx->arena);

	if (session.port)
		add_ssh_port(ports, session.port);
	return 0;
}

/* Every port sshd listens on: by its configuration, by what it really holds open, by systemd's ssh.socket (Ubuntu 24.04), and the
 * one that this very session came in by. One too many is harmless; one too few locks its owner out. */
static int ssh_ports(struct gp_ctx *ctx, struct gp_sshd *sshd, struct ports *ports, struct gp_error *err)
{
	struct gp_listener *listeners;
	size_t n;
	bool systemd = false, by_socket = false;

	configured_ssh_ports(sshd, ports);
	if (!strangers(ctx, ports))
		return add_session_port(ctx, ports);
	GP_TRY(gp_net_listeners(ctx->arena, true, &listeners, &n, err));
	for (size_t i = 0; i < n; i++)
		systemd = systemd || (listeners[i].pid == 1 && !listeners[i].loopback);
	if (systemd)
		GP_TRY(ssh_by_socket(ctx, &by_socket, err));
	for (size_t i = 0; i < n; i++)
		if (gp_starts_with(listeners[i].comm, "sshd") || (by_socket && listeners[i].pid == 1 && !listeners[i].loopback))
			add_ssh_port(ports, listeners[i].port);
	return add_session_port(ctx, ports);
}

/* Caddy speaks HTTP/3 too, over UDP, wherever it speaks HTTPS. */
static int add_firewall(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, bool https, struct gp_sshd *sshd,
	struct gp_error *err)
{
	struct ports *ports = gp_alloc(ctx->arena, sizeof(*ports));

	GP_TRY(ssh_ports(ctx, sshd, ports, err));
	add_port(ports, (struct gp_port){ .port = 80 });
	add_port(ports, (struct gp_port){ .port = 443 });
	if (https)
		add_port(ports, (struct gp_port){ .port = 443, .udp = true });
	for (size_t i = 0; i < host->ports.n; i++) {
		struct gp_port port = { 0 };

		if (gp_port_parse(host->ports.v[i], &port.port, &port.udp))
			add_port(ports, port);
	}
	ADD(.type = &gp_firewall_type, .name = GP_RES_FIREWALL, .after = { GP_RES_PACKAGES },
		.spec = SPEC(struct gp_firewall, .ports = ports->v, .n = ports->n, .yields = host->firewall == GP_FIREWALL_AUTO,
			.v6 = gp_session_find(ctx->arena).v6 || gp_net_has_global_v6()));
	return 0;
}

static const char *key_path(struct gp_ctx *ctx, const char *user)
{
	struct gp_account account;
	const char *home = gp_account_find(ctx->arena, user, &account, NULL) == 1 ? account.home : gp_sprintf(ctx->arena, "/home/%s", user);

	return gp_sprintf(ctx->arena, "%s/.ssh/id_ed25519", home);
}

const char *gp_deploy_public_key(struct gp_ctx *ctx, const char *user)
{
	struct gp_account account;
	GP_AUTO_IDENTITY was = { 0 };
	const char *text;

	if (gp_account_find(ctx->arena, user, &account, NULL) != 1 || gp_account_assume(&account, &was, NULL) < 0 ||
		gp_fs_read(ctx->arena, gp_sprintf(ctx->arena, "%s.pub", key_path(ctx, user)), 16384, &text, NULL, NULL) != 1)
		return NULL;
	return gp_trim(ctx->arena, text);
}

void gp_provision_deploy_user(struct gp_ctx *ctx, struct gp_plan *plan, const char *user, bool ssh_key)
{
	const char *home = gp_sprintf(ctx->arena, "/home/%s", user);

	ADD(.type = &gp_user_type, .name = user, .spec = SPEC(struct gp_user, .user = user, .home = home));
	if (ssh_key)
		ADD(.type = &gp_ssh_key_type, .name = key_path(ctx, user), .spec = SPEC(struct gp_ssh_key, .user = user),
			.after = { GP_RES_PACKAGES, user });
}

int gp_provision_host(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, bool https, struct gp_sshd *sshd,
	struct gp_error *err)
{
	GP_TRY(add_packages(ctx, plan, host, err));
	/* Early: one that lost its rules may deny the host its own Redis, and what comes after would fail for that. */
	if (host->firewall != GP_FIREWALL_OFF)
		GP_TRY(add_firewall(ctx, plan, host, https, sshd, err));
	add_folders(ctx, plan);
	GP_TRY(gp_provision_baseline(ctx, plan, host, err));
	GP_TRY(gp_provision_redis(ctx, plan, host, err));
	add_postgres(ctx, plan);
	gp_provision_caddy(ctx, plan, host);
	add_helpers(ctx, plan);
	if (host->uv)
		ADD(.type = &gp_uv_type, .name = gp_uv_folder(ctx), .spec = SPEC(struct gp_uv, .version = gp_uv_version),
			.after = { GP_RES_PACKAGES, ctx->state_dir });
	return 0;
}

void gp_provision_reload_units(struct gp_ctx *ctx, struct gp_plan *plan)
{
	ADD(.type = &gp_handler_type, .name = GP_RES_RELOAD_UNITS, .spec = &handler_daemon_reload);
}
