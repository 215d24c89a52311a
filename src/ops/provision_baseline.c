/* The host's part of the plan that no site asks for, but every server needs: updates, the clock, the journal's size, swap, the kernel. */
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "ops/adding.h"
#include "ops/provision.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pkg.h"
#include "sys/unit.h"
#include "version.h"

enum { JOB_TIMEOUT_MS = 90000 };

#define RESTART_JOURNALD "restart systemd-journald"
#define TIMESYNCD "systemd-timesyncd"

/* What is to be upgraded is the distribution's 50unattended-upgrades' business: security. A person's own file sorts behind this one. */
static const char upgrades_conf[] =
	"// Written by goldpath, for `upgrades` in /etc/goldpath/host.yaml. To differ from it, write a file that sorts behind this one.\n"
	"APT::Periodic::Update-Package-Lists \"1\";\n"
	"APT::Periodic::Unattended-Upgrade \"1\";\n"
	"Unattended-Upgrade::Automatic-Reboot \"false\";\n";

/* chrony, ntpsec or openntpd: whoever installed one has decided already. Looked up only where timesyncd is not there. */
static int wants_timesyncd(struct gp_ctx *ctx, const struct gp_host *host, bool *ret, struct gp_error *err)
{
	struct gp_pkg_db *db;

	*ret = host->time_sync;
	if (!host->time_sync || gp_fs_exists("/lib/systemd/system/" TIMESYNCD ".service"))
		return 0;
	GP_TRY(gp_pkg_open(ctx->arena, &db, err));
	*ret = gp_pkg_installed(db, TIMESYNCD) || !gp_pkg_installed(db, "time-daemon");
	return 0;
}

int gp_provision_baseline_packages(struct gp_ctx *ctx, const struct gp_host *host, struct gp_strv *names, struct gp_error *err)
{
	bool timesyncd;

	GP_TRY(wants_timesyncd(ctx, host, &timesyncd, err));
	if (timesyncd)
		gp_strv_add(ctx->arena, names, TIMESYNCD);
	if (host->upgrades == GP_UPGRADES_SECURITY)
		gp_strv_add(ctx->arena, names, "unattended-upgrades");
	return 0;
}

void gp_provision_checks(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_strv *packages)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	ADD(.type = &gp_host_check_type, .name = name[0] ? gp_strdup(ctx->arena, name) : "localhost",
		.spec = SPEC(struct gp_host_check, .packages = packages, .born = GP_BORN, .root = ""));
}

static void add_upgrades(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	static const struct gp_file conf = { .content = upgrades_conf, .owner = "root", .group = "root", .mode = 0644 };
	static const struct gp_unit timer = { .enabled = true, .running = true, .present = true };
	static const char path[] = "/etc/apt/apt.conf.d/80goldpath-upgrades";

	if (host->upgrades == GP_UPGRADES_OFF) {
		ADD(.type = &gp_absent_file_type, .name = path);
		return;
	}
	ADD(.type = &gp_file_type, .name = path, .spec = &conf, .after = { GP_RES_PACKAGES });
	ADD(.type = &gp_unit_type, .name = "apt-daily.timer", .spec = &timer);
	ADD(.type = &gp_unit_type, .name = "apt-daily-upgrade.timer", .spec = &timer);
}

static int restart_journald(struct gp_ctx *ctx, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	return gp_unit_run(bus, "systemd-journald.service", GP_UNIT_RESTART, JOB_TIMEOUT_MS, err);
}

/* journald has no reload. Services keep their streams over a restart: systemd holds the descriptors meanwhile. */
static void add_journal(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	static const struct gp_handler restart = { .run = restart_journald };
	static const struct gp_folder folder = { .owner = "root", .group = "root", .mode = 0755 };
	const char *text = gp_sprintf(ctx->arena,
		"# Written by goldpath, for `journal_max` in /etc/goldpath/host.yaml.\n[Journal]\nSystemMaxUse=%s\n", host->journal_max);

	ADD(.type = &gp_folder_type, .name = "/etc/systemd/journald.conf.d", .spec = &folder);
	ADD(.type = &gp_file_type, .name = "/etc/systemd/journald.conf.d/50-goldpath.conf",
		.spec = SPEC(struct gp_file, .content = text, .owner = "root", .group = "root", .mode = 0644), .notify = RESTART_JOURNALD);
	ADD(.type = &gp_handler_type, .name = RESTART_JOURNALD, .spec = &restart);
}

static void add_swap(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	struct gp_swap *spec = SPEC(struct gp_swap, .want = GP_SWAP_SIZE, .size = gp_parse_size(host->swap));

	if (!spec->size)
		spec->want = gp_streq(host->swap, "off") ? GP_SWAP_OFF : GP_SWAP_AUTO;
	ADD(.type = &gp_swap_type, .name = "/swapfile", .spec = spec);
}

/* The settings first: what the kernel refuses must not stand in a file that is read at boot. */
static void add_sysctl(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	static const char path[] = "/etc/sysctl.d/60-goldpath.conf";
	GP_AUTO_BUF text = { 0 };

	if (!host->sysctl.n) {
		ADD(.type = &gp_absent_file_type, .name = path);
		return;
	}
	gp_buf_puts(&text, "# Written by goldpath, for `sysctl` in /etc/goldpath/host.yaml.\n");
	for (size_t i = 0; i < host->sysctl.n; i++) {
		const struct gp_pair *pair = &host->sysctl.v[i];

		gp_buf_printf(&text, "%s = %s\n", pair->key, pair->value);
		ADD(.type = &gp_sysctl_type, .name = pair->key, .spec = SPEC(struct gp_sysctl, .value = pair->value, .root = "/proc/sys"));
	}
	ADD(.type = &gp_file_type, .name = path,
		.spec = SPEC(struct gp_file, .content = gp_strdup(ctx->arena, gp_buf_str(&text)), .owner = "root", .group = "root", .mode = 0644));
}

int gp_provision_baseline(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host, struct gp_error *err)
{
	static const struct gp_unit unit = { .enabled = true, .running = true, .present = true, .by_package = true };
	bool timesyncd;

	add_upgrades(ctx, plan, host);
	GP_TRY(wants_timesyncd(ctx, host, &timesyncd, err));
	if (timesyncd)
		ADD(.type = &gp_unit_type, .name = TIMESYNCD ".service", .spec = &unit, .after = { GP_RES_PACKAGES });
	add_journal(ctx, plan, host);
	add_swap(ctx, plan, host);
	add_sysctl(ctx, plan, host);
	return 0;
}
