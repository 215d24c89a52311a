/* Caddy: have a configuration looked at, and have the running server take one. A configuration is the text of a Caddyfile. */
#ifndef GP_SYS_CADDY_H
#define GP_SYS_CADDY_H

#include <stdbool.h>
#include <sys/types.h>

struct gp_arena;
struct gp_error;

/* Where Caddy's admin API listens on a host that goldpath keeps, as an address that Caddy takes; and where a Caddy does that was told
 * nothing. */
#define GP_CADDY_ADMIN "unix//run/caddy/admin.sock"
#define GP_CADDY_ADMIN_DEFAULT "localhost:2019"

/*
 * Would Caddy take it? Runs `caddy validate` as user caddy, in the environment of the running server (main_pid; 0: in a plain one), since a
 * Caddyfile may ask for its variables. -1 when not: the message is Caddy's reason alone, "FILE:LINE: …" where it names one.
 */
int gp_caddy_validate(struct gp_arena *arena, pid_t main_pid, const char *text, struct gp_error *err);

/* Have the running server take it, without a gap. address: of its admin API. On failure it goes on with what it had. */
int gp_caddy_load(struct gp_arena *arena, pid_t main_pid, const char *text, const char *address, struct gp_error *err);

/* Does somebody listen behind GP_CADDY_ADMIN? */
bool gp_caddy_on_socket(void);

#endif
