/*
 * The story: events and errors as text on stderr. On a terminal a running step is shown and then replaced by its result; elsewhere
 * every line is written once, when it is known. Secrets are masked here, in one place, whoever let them slip into a text.
 */
#ifndef GP_OUT_STORY_H
#define GP_OUT_STORY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/observer.h"
#include "out/terminal.h"

struct gp_ctx;
struct gp_error;

struct gp_story {
	struct gp_terminal terminal;
	struct gp_ctx *ctx;
	bool quiet, verbose;
	/* the running step */
	char step[160];
	bool open;      /* its line stands on the terminal without an end */
	char *held;     /* notes that come after its line; malloc'd by open_memstream */
	size_t held_len;
	FILE *notes;    /* NULL: no step is running */
};

/* Make ctx's events go to `to`. Colors only on a terminal, and not with NO_COLOR or no_color. */
void gp_story_begin(struct gp_story *story, struct gp_ctx *ctx, FILE *to, bool quiet, bool verbose, bool no_color);
void gp_story_end(struct gp_story *story);

/* error: …, the detail's lines, how things stand, hint: …, and with verbose the trace. */
void gp_story_error(struct gp_story *story, const struct gp_error *err);

#endif
