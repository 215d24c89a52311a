/* `init`: write the two configuration files, commented, without ever overwriting one. */
#ifndef GP_OPS_INIT_H
#define GP_OPS_INIT_H

#include <stdbool.h>

#include "conf/site.h"

struct gp_ctx;
struct gp_error;

struct gp_init {
	const char *slug, *domain, *repo;
	const char *project; /* NULL: the slug, with _ for - */
	const char *ref;     /* NULL: main */
	const char *tls;     /* NULL: auto */
	bool celery;
	struct gp_pairs more; /* further keys, dotted, and their values as YAML has them: "gunicorn.workers", "5" */
};

struct gp_init_result {
	const char *host_path, *site_path;
	bool host_written, site_written; /* false: it was there already, and stays as it was */
};

/* Check what is asked for, and what the site's file would say. */
int gp_init_site(struct gp_ctx *ctx, const struct gp_init *request, const char **ret_text, struct gp_site *ret, struct gp_error *err);

int gp_init_run(struct gp_ctx *ctx, const struct gp_init *request, struct gp_init_result *ret, struct gp_error *err);

#endif
