/* Where text is shown: is it a terminal, may it be coloured; and what text from outside must lose before it gets there. */
#ifndef GP_OUT_TERMINAL_H
#define GP_OUT_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

struct gp_ctx;

#define GP_COLOR_RESET "\033[0m"
#define GP_COLOR_BOLD "\033[1m"
#define GP_COLOR_DIM "\033[2m"
#define GP_COLOR_RED "\033[31m"
#define GP_COLOR_GREEN "\033[32m"
#define GP_COLOR_YELLOW "\033[33m"
#define GP_COLOR_CYAN "\033[36m"

struct gp_terminal {
	FILE *to;
	bool is_terminal; /* a person watches, and lines may be written over */
	bool color;
};

/* NO_COLOR (no-color.org) and TERM=dumb are kept to. */
struct gp_terminal gp_terminal_of(FILE *to, bool no_color);

/* The sequence, or "" where there are no colours. */
const char *gp_paint(const struct gp_terminal *terminal, const char *color);

/* Text from outside as one line: masked, and without anything that a terminal would act upon. */
const char *gp_shown(struct gp_ctx *ctx, const char *text);

#endif
