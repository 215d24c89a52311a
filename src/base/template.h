/* Templates: text with {{name}} and lines `%if name` … `%else` … `%endif`. Used for units, Caddy files, YAML files. Pure. */
#ifndef GP_BASE_TEMPLATE_H
#define GP_BASE_TEMPLATE_H

#include <stddef.h>

struct gp_arena;
struct gp_error;

struct gp_var {
	const char *name;
	const char *value; /* NULL or "": false for %if */
};

/* Fails where the template names a variable that vars[0..n) lacks, or its %if lines do not match: a mistake in the template. */
int gp_template(struct gp_arena *arena, const char *text, const struct gp_var *vars, size_t n, const char **ret,
	struct gp_error *err);

#endif
