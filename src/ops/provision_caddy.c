/* Caddy's part of the plan: where its package comes from, its Caddyfile, its admin API, and what is done once all sites' files are there. */
#include <string.h>

#include "base/arena.h"
#include "base/caddyfile.h"
#include "base/error.h"
#include "ops/adding.h"
#include "ops/caddy.h"
#include "ops/provision.h"
#include "plan/types.h"
#include "sys/caddy.h"
#include "sys/ctx.h"
#include "sys/fs.h"

static const char unit_name[] = "caddy.service";
static const char sources_path[] = "/etc/apt/sources.list.d/goldpath-caddy.sources";
static const char key_path[] = "/etc/apt/keyrings/goldpath-caddy.gpg";
static const char drop_in_folder[] = "/etc/systemd/system/caddy.service.d";

/*
 * Caddy's own repository, as https://caddyserver.com/docs/install has it. Its key is "Caddy Web Server <contact@caddyserver.com>"; the
 * fingerprint stands the same in the catalogue github.com/bravellian/apt-repo-catalog (cloudsmith/caddy/stable, "expected fingerprints"),
 * and in boneIO's migration 1.6.42, whose authors compared it with the key that signs the repository's InRelease.
 */
static const struct gp_apt_source official = {
	.label = "Caddy's own package repository",
	.uri = "https://dl.cloudsmith.io/public/caddy/stable/deb/debian",
	.suite = "any-version",
	.component = "main",
	.key_url = "https://dl.cloudsmith.io/public/caddy/stable/gpg.key",
	.fingerprint = "65760C51EDEA2017CEA2CA15155B6D79CA56EA34",
	.key_path = key_path,
};

static const struct gp_apt_source *source_of(struct gp_ctx *ctx, const struct gp_host *host)
{
	struct gp_apt_source *source = SPEC(struct gp_apt_source, .key_path = key_path);

	if (host->caddy == GP_CADDY_DISTRIBUTION)
		return source;
	*source = official;
	if (host->caddy == GP_CADDY_REPOSITORY) {
		source->label = "the Caddy package repository of host.yaml";
		source->uri = host->caddy_repository.uri;
		source->key_url = host->caddy_repository.key;
		source->fingerprint = host->caddy_repository.fingerprint;
	}
	return source;
}

/* Debian's package starts the server at once, so whoever has its ports is found before anything is installed. A Caddyfile that is there
 * may have Caddy listen elsewhere. */
void gp_provision_caddy_ports(struct gp_ctx *ctx, struct gp_plan *plan, bool https)
{
	struct gp_ports *spec = SPEC(struct gp_ports, .unit = unit_name);
	uint16_t *ports = gp_alloc_array(ctx->arena, 2, sizeof(*ports));
	const char *text = "";

	(void)gp_fs_read(ctx->arena, gp_caddyfile_path, 1 << 20, &text, NULL, NULL);
	if (!gp_caddyfile_option(ctx->arena, text, "http_port"))
		ports[spec->n++] = 80;
	if (https && !gp_caddyfile_option(ctx->arena, text, "https_port"))
		ports[spec->n++] = 443;
	spec->tcp = ports;
	ADD(.type = &gp_ports_type, .name = "for Caddy", .spec = spec);
}

static void add_package(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	const struct gp_apt_source *source = source_of(ctx, host);

	ADD(.type = &gp_apt_source_type, .name = sources_path, .spec = source, .after = { GP_RES_PACKAGES });
	if (source->key_url)
		ADD(.type = &gp_apt_package_type, .name = GP_RES_CADDY,
			.spec = SPEC(struct gp_apt_package, .source = source, .source_path = sources_path, .before = gp_caddy_may_restart),
			.after = { sources_path });
}

void gp_provision_caddy(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	static const struct gp_folder folder = { .owner = "root", .group = "root", .mode = 0755 };
	static const struct gp_member www_data = { .user = "caddy", .group = "www-data", .by_package = true };
	static const struct gp_file drop_in = {
		.content = "# Written by goldpath: where Caddy's admin API listens, instead of a port that any program on this host could reach.\n"
			   "[Service]\nRuntimeDirectory=caddy\nRuntimeDirectoryMode=0700\n"
			   "# All sites depend on it.\nRestart=on-failure\nRestartSec=1\n",
		.owner = "root", .group = "root", .mode = 0644,
	};
	const char *package = host->caddy == GP_CADDY_DISTRIBUTION ? GP_RES_PACKAGES : GP_RES_CADDY;

	add_package(ctx, plan, host);
	ADD(.type = &gp_folder_type, .name = gp_caddy_sites, .spec = &folder, .after = { package });
	ADD(.type = &gp_file_line_type, .name = gp_caddyfile_path, .spec = SPEC(struct gp_file_line, .line = gp_caddy_import),
		.after = { package }, .notify = GP_RES_RELOAD_CADDY);
	/* A running process keeps the groups it was started with: this one needs a restart. */
	ADD(.type = &gp_member_type, .name = "caddy in www-data", .spec = &www_data, .after = { package }, .notify = GP_RES_RESTART_CADDY);
	ADD(.type = &gp_folder_type, .name = drop_in_folder, .spec = &folder);
	ADD(.type = &gp_file_type, .name = gp_sprintf(ctx->arena, "%s/goldpath.conf", drop_in_folder), .spec = &drop_in,
		.notify = GP_RES_RELOAD_UNITS);
}

void gp_provision_reload_caddy(struct gp_ctx *ctx, struct gp_plan *plan)
{
	static const struct gp_handler reload = { .run = gp_caddy_reload, .needed = gp_caddy_reload_needed };

	ADD(.type = &gp_handler_type, .name = GP_RES_RELOAD_CADDY, .spec = &reload);
}

/*
 * Once systemd has read the drop-in and every site's file is there. Caddy 2.6.2, which Debian 12 and 13 and Ubuntu 24.04 have, knows no
 * CADDY_ADMIN: the option in the Caddyfile is understood by all, and moves the running server's API without a restart. The folder
 * is systemd's from Caddy's next start on; until then it is made here.
 */
void gp_provision_caddy_states(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_host *host)
{
	static const struct gp_unit unit = { .enabled = true, .running = true, .present = true, .by_package = true };
	static const struct gp_folder run = { .owner = "caddy", .group = "caddy", .mode = 0700 };
	static const struct gp_caddy_option admin = {
		.option = "admin",
		.value = GP_CADDY_ADMIN,
		.why = "then no site's code can change Caddy's configuration",
	};
	/* Without one, a reload waits for ever for the last visitor of the old configuration. */
	static const struct gp_caddy_option grace = { .option = "grace_period", .value = "30s" };
	static const struct gp_handler restart = { .run = gp_caddy_restart };
	static const struct gp_attention attention = { .look = gp_caddy_attention };
	const char *package = host->caddy == GP_CADDY_DISTRIBUTION ? GP_RES_PACKAGES : GP_RES_CADDY;

	ADD(.type = &gp_unit_type, .name = unit_name, .spec = &unit, .after = { package, GP_RES_RELOAD_UNITS });
	ADD(.type = &gp_folder_type, .name = "/run/caddy", .spec = &run, .after = { package });
	ADD(.type = &gp_caddy_option_type, .name = gp_caddyfile_path, .spec = &admin, .after = { package }, .notify = GP_RES_RELOAD_CADDY);
	ADD(.type = &gp_caddy_option_type, .name = gp_caddyfile_path, .spec = &grace, .after = { package }, .notify = GP_RES_RELOAD_CADDY);
	ADD(.type = &gp_handler_type, .name = GP_RES_RESTART_CADDY, .spec = &restart);
	gp_provision_reload_caddy(ctx, plan);
	ADD(.type = &gp_attention_type, .name = GP_RES_OF_CADDY, .spec = &attention);
}
