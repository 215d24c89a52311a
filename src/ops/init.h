/* `init`: write the two configuration files, commented, without ever overwriting one. */
#ifndef GP_OPS_INIT_H
#define GP_OPS_INIT_H

#include <stdbool.h>

struct gp_ctx;
struct gp_error;

struct gp_init {
	const char *slug, *domain, *repo;
	const char *project; /* NULL: the slug, with _ for - */
	const char *ref;     /* NULL: main */
	const char *tls;     /* NULL: auto */
	bool celery;
};

struct gp_init_result {
	const char *host_path, *site_path;
	bool host_written, site_written; /* false: it was there already, and stays as it was */
};

int gp_init_run(struct gp_ctx *ctx, const struct gp_init *request, struct gp_init_result *ret, struct gp_error *err);

#endif
