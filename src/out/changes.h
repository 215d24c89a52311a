/* Changes as people and programs read them: a line each with its marker, the unified diff of a file below it. */
#ifndef GP_OUT_CHANGES_H
#define GP_OUT_CHANGES_H

#include <jansson.h>

#include "out/terminal.h"

struct gp_changes;

/* One change. The text of a file that is new (mark '+') is shown only where whole is true: there is nothing to compare it with. */
void gp_change_show(const struct gp_terminal *terminal, FILE *to, struct gp_ctx *ctx, bool whole, char mark, const char *what,
	const char *diff);

/* All of them, to terminal->to. */
void gp_changes_show(const struct gp_terminal *terminal, struct gp_ctx *ctx, bool whole, const struct gp_changes *changes);

/* [{"mark": "~", "what": "file /etc/…: content", "diff": "--- …"}, …] */
json_t *gp_changes_json(struct gp_ctx *ctx, const struct gp_changes *changes);

#endif
