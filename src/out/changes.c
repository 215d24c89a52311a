/* Rendering changes. */
#include "out/changes.h"

#include "base/str.h"
#include "out/json.h"
#include "plan/plan.h"
#include "sys/ctx.h"

static const char *mark_color(char mark)
{
	return mark == '+' ? GP_COLOR_GREEN : mark == '-' ? GP_COLOR_RED : GP_COLOR_YELLOW;
}

static const char *diff_color(const char *line)
{
	if (gp_starts_with(line, "--- ") || gp_starts_with(line, "+++ "))
		return GP_COLOR_BOLD;
	return *line == '+' ? GP_COLOR_GREEN : *line == '-' ? GP_COLOR_RED : *line == '@' ? GP_COLOR_CYAN : "";
}

void gp_change_show(const struct gp_terminal *terminal, FILE *to, struct gp_ctx *ctx, bool whole, char mark, const char *what,
	const char *diff)
{
	struct gp_strv lines = { 0 };

	fprintf(to, "%s%c%s %s\n", gp_paint(terminal, mark_color(mark)), mark, gp_paint(terminal, GP_COLOR_RESET), gp_shown(ctx, what));
	if (diff && (whole || mark != '+'))
		lines = gp_lines(ctx->arena, diff);
	for (size_t i = 0; i < lines.n; i++) {
		const char *color = gp_paint(terminal, diff_color(lines.v[i]));

		fprintf(to, "    %s%s%s\n", color, gp_shown(ctx, lines.v[i]), *color ? gp_paint(terminal, GP_COLOR_RESET) : "");
	}
}

void gp_changes_show(const struct gp_terminal *terminal, struct gp_ctx *ctx, bool whole, const struct gp_changes *changes)
{
	for (size_t i = 0; i < changes->n; i++)
		gp_change_show(terminal, terminal->to, ctx, whole, changes->v[i].mark, changes->v[i].what, changes->v[i].diff);
}

json_t *gp_changes_json(struct gp_ctx *ctx, const struct gp_changes *changes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < changes->n; i++) {
		json_t *change = json_object();

		gp_json_text(ctx, change, "mark", (char[]){ changes->v[i].mark, '\0' });
		gp_json_text(ctx, change, "what", changes->v[i].what);
		gp_json_text(ctx, change, "diff", changes->v[i].diff);
		json_array_append_new(list, change);
	}
	return list;
}
