/* The host's file, /etc/goldpath/host.yaml, as a struct. */
#ifndef GP_CONF_HOST_H
#define GP_CONF_HOST_H

#include "conf/rows.h"

struct gp_host {
	const char *deploy_user;
	struct gp_strv packages;
	bool firewall;
	bool uv;
	struct {
		bool manage;
		int root_login;             /* index into gp_root_logins */
		int passwords;              /* enum gp_passwords */
		struct gp_strv authorized_keys;
	} ssh;
};

enum gp_passwords { GP_PASSWORDS_AUTO, GP_PASSWORDS_ON };
extern const char *const gp_root_logins[];

extern const struct gp_key gp_host_keys[];

/* Load DIR/host.yaml. */
int gp_host_load(struct gp_arena *arena, const char *dir, struct gp_host *ret, struct gp_error *err);

#endif
