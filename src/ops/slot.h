/*
 * The two gunicorns of a site. The stable one serves; the next one only while a release takes over: it is started beside, proven on its own
 * socket, and Caddy is led to it by one rename; then the stable one, without visitors, moves on to the release too, and gets them back.
 * Which release a slot runs stands in one file of root's, which its unit reads when it starts: after a crash or a reboot
 * code, packages and name belong together.
 */
#ifndef GP_OPS_SLOT_H
#define GP_OPS_SLOT_H

#include <stdbool.h>
#include <stdint.h>

struct gp_ctx;
struct gp_deploy;
struct gp_error;
struct gp_health;
struct gp_paths;

struct gp_slot {
	const char *unit, *socket;
	const char *env;   /* the file that says which release */
	const char *route; /* what the link that Caddy goes by says when this one serves */
};

struct gp_slot gp_slot_stable(const struct gp_paths *paths);
struct gp_slot gp_slot_next(const struct gp_paths *paths);

/* The release that the slot's file names: what it runs from its next start on. NULL: none. */
const char *gp_slot_assigned(struct gp_ctx *ctx, const struct gp_slot *slot);
/* Write that file, and the copy of `.env` that the units read. One rename each. The copy that was there is kept until one of the two below. */
int gp_slot_assign(struct gp_deploy *d, const struct gp_slot *slot, const char *release, struct gp_error *err);
/* The site is well with it. */
int gp_slot_env_proven(struct gp_deploy *d, struct gp_error *err);
/* It is not: the units begin with the former one again. Needs no room on the disk. */
int gp_slot_env_back(struct gp_deploy *d, struct gp_error *err);

/* The release that the slot's running process was started for (its environment, proc(5)); "": it does not run. */
const char *gp_slot_runs(struct gp_deploy *d, const struct gp_slot *slot);
/* The same of any unit of the site's. */
const char *gp_slot_unit_runs(struct gp_deploy *d, const char *unit);

/* The memory that the gunicorn takes which visitors are led to, in bytes; 0 where none runs or it cannot be told. */
uint64_t gp_slot_memory(struct gp_deploy *d);

/* Restart a unit. On failure the error has the last lines of its journal. */
int gp_slot_restart(struct gp_deploy *d, const char *unit, struct gp_error *err);
/* Stop a unit; one that does not run is fine. */
int gp_slot_stop(struct gp_deploy *d, const char *unit, struct gp_error *err);

/* Ok or degraded; where what serves is unhealthy too (d->unwell), unhealthy for some seconds. */
bool gp_slot_well_enough(const struct gp_deploy *d, const struct gp_health *health, int64_t waited_ms);
/* Until the slot answers on its own socket that it is well *and* of that release: health.wait seconds at most. A site without the JSON is
 * known by the process behind its socket. */
int gp_slot_wait(struct gp_deploy *d, const struct gp_slot *slot, const char *release, struct gp_health *ret, struct gp_error *err);

/* Ask each worker of a slot that is well for a page once (gunicorn.warm): a worker's first answer loads what import did not, templates and
 * URLs, and takes a second that no visitor is to wait for. What is answered does not count. */
void gp_slot_warm(struct gp_deploy *d, const struct gp_slot *slot);

/* Does the link lead to it? */
bool gp_slot_is_routed(struct gp_deploy *d, const struct gp_slot *slot);
/* The one that visitors are led to; the stable one where the link leads to neither. */
struct gp_slot gp_slot_routed(struct gp_deploy *d);
/* Lead visitors to it: one rename. */
int gp_slot_route(struct gp_deploy *d, const struct gp_slot *slot, struct gp_error *err);

/* Wait until nobody is queued at the slot's socket or connected to it, gunicorn.drain seconds at most; told of when that was not enough, or
 * cannot be known: gunicorn then finishes what it has begun when it is stopped. The link must lead elsewhere by then. */
void gp_slot_drain(struct gp_deploy *d, const struct gp_slot *slot);

#endif
