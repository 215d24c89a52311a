/* The story. */
#include "out/story.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "out/changes.h"
#include "sys/ctx.h"

#define ERASE "\r\033[K"

static FILE *notes_of(struct gp_story *s)
{
	return s->notes ? s->notes : s->terminal.to;
}

static void begin_step(struct gp_story *s, const struct gp_event *e)
{
	snprintf(s->step, sizeof(s->step), "[%2d/%d] %s", e->index, e->total, e->text);
	s->notes = open_memstream(&s->held, &s->held_len);
	if (s->terminal.is_terminal) {
		fprintf(s->terminal.to, "%s%s …%s", gp_paint(&s->terminal, GP_COLOR_DIM), s->step, gp_paint(&s->terminal, GP_COLOR_RESET));
		fflush(s->terminal.to);
		s->open = true;
	}
}

/* The step's line, then what was said meanwhile. */
static void end_step(struct gp_story *s, const char *color, const char *result)
{
	if (!s->notes)
		return;
	fclose(s->notes);
	s->notes = NULL;
	fprintf(s->terminal.to, "%s%s  %s%s%s\n%s", s->open ? ERASE : "", s->step, gp_paint(&s->terminal, color), result, gp_paint(&s->terminal, GP_COLOR_RESET), s->held);
	fflush(s->terminal.to);
	s->open = false;
	free(s->held);
	s->held = NULL;
}

/* In the running step's line, which its result replaces. */
static void show_progress(struct gp_story *s, const char *text)
{
	if (!s->open)
		return;
	fprintf(s->terminal.to, ERASE "%s%s … %s%s", gp_paint(&s->terminal, GP_COLOR_DIM), s->step, text, gp_paint(&s->terminal, GP_COLOR_RESET));
	fflush(s->terminal.to);
}

static void on_event(void *arg, const struct gp_event *e)
{
	struct gp_story *s = arg;
	const char *indent = s->notes ? "        " : "";

	if (s->quiet && e->kind != GP_EVENT_WARN && !(e->kind == GP_EVENT_CHANGE && e->mark == '!'))
		return;
	switch (e->kind) {
	case GP_EVENT_STEP:
		begin_step(s, e);
		break;
	case GP_EVENT_DONE:
		end_step(s, GP_COLOR_DIM, gp_duration(s->ctx->arena, e->ms));
		break;
	case GP_EVENT_SKIPPED:
		end_step(s, GP_COLOR_DIM, gp_sprintf(s->ctx->arena, "left out (%s)", e->text));
		break;
	case GP_EVENT_FAILED:
		end_step(s, GP_COLOR_RED, gp_sprintf(s->ctx->arena, "failed after %s", gp_duration(s->ctx->arena, e->ms)));
		break;
	case GP_EVENT_CHANGE:
		gp_change_show(&s->terminal, notes_of(s), s->ctx, s->verbose, e->mark, e->text, e->detail);
		break;
	case GP_EVENT_NOTE:
		fprintf(notes_of(s), "%s%s\n", indent, gp_shown(s->ctx, e->text));
		break;
	case GP_EVENT_WARN:
		fprintf(notes_of(s), "%s%swarning:%s %s\n", indent, gp_paint(&s->terminal, GP_COLOR_YELLOW), gp_paint(&s->terminal, GP_COLOR_RESET), gp_shown(s->ctx, e->text));
		break;
	case GP_EVENT_PROGRESS:
		show_progress(s, e->text);
		break;
	case GP_EVENT_OUTPUT:
		if (s->verbose)
			fprintf(notes_of(s), "%s%s| %s%s\n", indent, gp_paint(&s->terminal, GP_COLOR_DIM), gp_shown(s->ctx, e->text), gp_paint(&s->terminal, GP_COLOR_RESET));
		break;
	}
	if (!s->notes)
		fflush(s->terminal.to);
}

void gp_story_begin(struct gp_story *story, struct gp_ctx *ctx, FILE *to, bool quiet, bool verbose, bool no_color)
{
	*story = (struct gp_story){ .ctx = ctx, .quiet = quiet, .verbose = verbose, .terminal = gp_terminal_of(to, no_color) };
	ctx->observer = (struct gp_observer){ .on_event = on_event, .arg = story };
}

void gp_story_end(struct gp_story *story)
{
	end_step(story, GP_COLOR_RED, "cut off");
	story->ctx->observer = (struct gp_observer){ 0 };
}

void gp_story_error(struct gp_story *s, const struct gp_error *err)
{
	struct gp_strv lines = gp_lines(s->ctx->arena, err->detail);

	fprintf(s->terminal.to, "%serror:%s %s\n", gp_paint(&s->terminal, GP_COLOR_BOLD GP_COLOR_RED), gp_paint(&s->terminal, GP_COLOR_RESET), gp_shown(s->ctx, err->msg));
	for (size_t i = lines.n > 30 ? lines.n - 30 : 0; i < lines.n; i++)
		fprintf(s->terminal.to, "  %s| %s%s\n", gp_paint(&s->terminal, GP_COLOR_DIM), gp_shown(s->ctx, lines.v[i]), gp_paint(&s->terminal, GP_COLOR_RESET));
	if (*err->state)
		fprintf(s->terminal.to, "%s\n", gp_shown(s->ctx, err->state));
	if (*err->hint)
		fprintf(s->terminal.to, "%shint:%s %s\n", gp_paint(&s->terminal, GP_COLOR_BOLD), gp_paint(&s->terminal, GP_COLOR_RESET), gp_shown(s->ctx, err->hint));
	if (s->verbose)
		fprintf(s->terminal.to, "trace: %s\n", err->trace);
}
