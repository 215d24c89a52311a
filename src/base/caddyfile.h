/* The few things that goldpath has to know of a Caddyfile, which is somebody else's: its global options, and the line that imports the sites. */
#ifndef GP_BASE_CADDYFILE_H
#define GP_BASE_CADDYFILE_H

#include <stdbool.h>

#include "base/str.h"

struct gp_arena;

/* The value of a global option: the rest of its line, trimmed; NULL where it is not set. */
const char *gp_caddyfile_option(struct gp_arena *arena, const char *text, const char *name);

/* The text with one more global option, in the block that is there or in a new one at the top. */
const char *gp_caddyfile_with_option(struct gp_arena *arena, const char *text, const char *name, const char *value);

/* The text with other lines in the place of one line; NULL where there is no such line. */
const char *gp_caddyfile_replace_line(struct gp_arena *arena, const char *text, const char *line, const char *by);

/* A site's own file. */
struct gp_caddyfile_site {
	struct gp_strv names;     /* of the first block that serves: without scheme and port */
	struct gp_strv redirects; /* of blocks that only redirect */
	const char *tls;          /* what stands behind `tls` in the first; NULL: nothing does */
	bool plain;               /* its addresses are http:// ones */
	size_t more;              /* further blocks that serve */
};
void gp_caddyfile_site(struct gp_arena *arena, const char *text, struct gp_caddyfile_site *ret);

#endif
