/*
 * A rehearsal, the restore drill: a backup is read whole, compared with its manifest and loaded into a scratch database; its rows are counted, and
 * the release that it belongs to is asked how it is on it. Then the database is dropped. How long that took is the measured time of a recovery.
 *
 * The live database is not come near: the scratch one is the property of a role that has no other right, server and database are asked who they
 * are before anything is loaded, and the site's code is led there by its environment, with no password of the live one in sight.
 */
#ifndef GP_OPS_REHEARSE_H
#define GP_OPS_REHEARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "ops/health.h"

struct gp_ctx;
struct gp_error;

struct gp_rehearse_request {
	const char *slug;
	const char *file; /* a path; a name alone may be one of the site's backups; NULL: the newest backup */
	bool offsite;     /* the newest one in the site's repository (ops/offsite.h) */
};

struct gp_rehearsal {
	const char *file;
	bool has_manifest;
	uint64_t rows;
	size_t tables;
	const char *release;    /* the one that was asked; NULL: none is there */
	struct gp_health health;
	int64_t ms, load_ms;    /* until the app was well on it; until the rows had been counted */
};

/* Do it. It is noted in /var/lib/goldpath/<slug>/rehearsals and in the history, however it ended. */
int gp_rehearse_run(struct gp_ctx *ctx, const struct gp_rehearse_request *request, struct gp_rehearsal *ret, struct gp_error *err);

#endif
