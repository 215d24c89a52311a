/* systemd, over D-Bus: what state units are in, changing it, and waiting for the job to end. */
#ifndef GP_SYS_UNIT_H
#define GP_SYS_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct gp_arena;
struct gp_error;
struct gp_bus;

/* Connect to PID 1's bus. Fails with a hint where systemd does not run. */
int gp_bus_open(struct gp_bus **ret, struct gp_error *err);
void gp_bus_close(struct gp_bus *bus); /* NULL is fine */

struct gp_unit_state {
	const char *load;     /* loaded, not-found, masked, bad-setting, error */
	const char *active;   /* active, inactive, failed, activating, deactivating, reloading */
	const char *sub;      /* running, dead, auto-restart, ... */
	const char *file;     /* enabled, disabled, static, masked, ...; "" where there is no file */
	const char *result;   /* a service's Result: success, exit-code, timeout, oom-kill, ...; "" for other units */
	pid_t main_pid;       /* 0: none */
	bool condition_unmet; /* the last start was left out, because a Condition…= of the unit did not hold */
};

int gp_unit_state(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_state *ret, struct gp_error *err);

/* One question instead of ten: load, active and sub; of a loaded one that is inactive condition_unmet too. Nothing else is filled in. */
int gp_unit_glance(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_state *ret, struct gp_error *err);

/* Does systemd have it in memory? One that it does not have is neither active nor failed; to be asked more, systemd would look for its file. */
bool gp_unit_is_known(struct gp_bus *bus, const char *unit);
/* What enabling makes: a link in the .wants folder of what pulls the unit in (systemd.unit(5), [Install]). Where there is none, it may be
 * static, or pulled in by something else. */
bool gp_unit_is_linked(struct gp_arena *arena, const char *unit);
/* How systemd would start a service: what its file and drop-ins say, as they were read last. */
struct gp_unit_service {
	struct gp_strv argv;        /* the first ExecStart=, ${NAME} as it stands there; none: no such service */
	struct gp_strv environment; /* Environment=: NAME=value */
	const char *folder;         /* WorkingDirectory=; "" */
};
int gp_unit_service(struct gp_bus *bus, struct gp_arena *arena, const char *unit, struct gp_unit_service *ret, struct gp_error *err);

enum gp_unit_verb { GP_UNIT_START, GP_UNIT_STOP, GP_UNIT_RESTART, GP_UNIT_RELOAD, GP_UNIT_RELOAD_OR_RESTART };

/* Do that and wait until the job has ended; -1 unless its result is "done". The listener is in place before the job is asked for. */
int gp_unit_run(struct gp_bus *bus, const char *unit, enum gp_unit_verb verb, int64_t timeout_ms, struct gp_error *err);

/* Enable or disable for the next boot; enable also unmasks nothing: a masked unit is an error that says so. systemd reads the links when it is
 * next told to reload, which gp_unit_run and gp_bus_close do if nobody else has. */
int gp_unit_enable(struct gp_bus *bus, const char *unit, struct gp_error *err);
/* Take away a mask, the one until the next boot too. */
int gp_unit_unmask(struct gp_bus *bus, const char *unit, struct gp_error *err);
int gp_unit_disable(struct gp_bus *bus, const char *unit, struct gp_error *err);
int gp_unit_daemon_reload(struct gp_bus *bus, struct gp_error *err);
/* Forget a failed state, so that a start limit does not stand in the way of the next start. */
int gp_unit_reset_failed(struct gp_bus *bus, const char *unit, struct gp_error *err);

#endif
