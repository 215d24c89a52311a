/* What a terminal is told, and what it is spared. */
#include "out/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "sys/ctx.h"

struct gp_terminal gp_terminal_of(FILE *to, bool no_color)
{
	const char *term = getenv("TERM"), *env = getenv("NO_COLOR");
	bool is_terminal = isatty(fileno(to)) && term && !gp_streq(term, "dumb");

	return (struct gp_terminal){ .to = to, .is_terminal = is_terminal, .color = is_terminal && !no_color && !(env && *env) };
}

const char *gp_paint(const struct gp_terminal *terminal, const char *color)
{
	return terminal->color ? color : "";
}

const char *gp_shown(struct gp_ctx *ctx, const char *text)
{
	char *copy = gp_strdup(ctx->arena, gp_secret_mask(&ctx->secrets, ctx->arena, text));

	gp_tame(copy, strlen(copy), "\t");
	return copy;
}
