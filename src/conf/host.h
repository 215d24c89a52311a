/* The host's file, /etc/goldpath/host.yaml, as a struct. */
#ifndef GP_CONF_HOST_H
#define GP_CONF_HOST_H

#include "conf/rows.h"

enum gp_host_firewall { GP_FIREWALL_AUTO, GP_FIREWALL_UFW, GP_FIREWALL_OFF };
enum gp_upgrades { GP_UPGRADES_SECURITY, GP_UPGRADES_OFF };
enum gp_caddy_from { GP_CADDY_DISTRIBUTION, GP_CADDY_OFFICIAL, GP_CADDY_REPOSITORY };

struct gp_host {
	const char *deploy_user;
	struct gp_strv packages;
	int firewall;         /* enum gp_host_firewall */
	struct gp_strv ports; /* gp_port_parse reads them */
	bool uv;
	int64_t redis_maxmemory; /* megabytes; 0: a quarter of the host's memory */
	int upgrades; /* enum gp_upgrades */
	bool time_sync;
	const char *journal_max, *swap; /* a size; auto, off or a size */
	struct gp_pairs sysctl;
	bool confine;
	struct {
		bool manage;
		int root_login;             /* index into gp_root_logins */
		int passwords;              /* enum gp_passwords */
		struct gp_strv authorized_keys;
	} ssh;
	int caddy;                /* enum gp_caddy_from */
	struct {
		const char *uri, *key, *fingerprint; /* of GP_CADDY_REPOSITORY */
	} caddy_repository;
};

enum gp_passwords { GP_PASSWORDS_AUTO, GP_PASSWORDS_ON };
extern const char *const gp_root_logins[];

extern const struct gp_key gp_host_keys[];

/* Load DIR/host.yaml. */
int gp_host_load(struct gp_arena *arena, const char *dir, struct gp_host *ret, struct gp_error *err);

/* What the file that `init` writes says. */
int gp_host_default(struct gp_arena *arena, struct gp_host *ret, struct gp_error *err);

#endif
