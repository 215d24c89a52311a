/* The story. */
#include "out/story.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/ctx.h"

#define RESET "\033[0m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define ERASE "\r\033[K"

static const char *paint(const struct gp_story *s, const char *color)
{
	return s->color ? color : "";
}

/* Text from outside as one line: masked, and without anything a terminal would act upon. */
static const char *clean(const struct gp_story *s, const char *text)
{
	char *copy = gp_strdup(s->ctx->arena, gp_secret_mask(&s->ctx->secrets, s->ctx->arena, text));

	for (unsigned char *p = (unsigned char *)copy; *p; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			*p = '?';
	return copy;
}

static FILE *notes_of(struct gp_story *s)
{
	return s->notes ? s->notes : s->to;
}

static void begin_step(struct gp_story *s, const struct gp_event *e)
{
	snprintf(s->step, sizeof(s->step), "[%2d/%d] %s", e->index, e->total, e->text);
	s->notes = open_memstream(&s->held, &s->held_len);
	if (s->terminal) {
		fprintf(s->to, "%s%s …%s", paint(s, DIM), s->step, paint(s, RESET));
		fflush(s->to);
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
	fprintf(s->to, "%s%s  %s%s%s\n%s", s->open ? ERASE : "", s->step, paint(s, color), result, paint(s, RESET), s->held);
	fflush(s->to);
	s->open = false;
	free(s->held);
	s->held = NULL;
}

static void change(struct gp_story *s, const struct gp_event *e)
{
	const char *color = e->mark == '+' ? GREEN : e->mark == '-' ? RED : YELLOW;

	fprintf(notes_of(s), "%s%c%s %s\n", paint(s, color), e->mark, paint(s, RESET), clean(s, e->text));
}

static void on_event(void *arg, const struct gp_event *e)
{
	struct gp_story *s = arg;
	const char *indent = s->notes ? "        " : "";

	if (s->quiet && e->kind != GP_EVENT_WARN)
		return;
	switch (e->kind) {
	case GP_EVENT_STEP:
		begin_step(s, e);
		break;
	case GP_EVENT_DONE:
		end_step(s, DIM, gp_duration(s->ctx->arena, e->ms));
		break;
	case GP_EVENT_SKIPPED:
		end_step(s, DIM, gp_sprintf(s->ctx->arena, "left out (%s)", e->text));
		break;
	case GP_EVENT_FAILED:
		end_step(s, RED, gp_sprintf(s->ctx->arena, "failed after %s", gp_duration(s->ctx->arena, e->ms)));
		break;
	case GP_EVENT_CHANGE:
		change(s, e);
		break;
	case GP_EVENT_NOTE:
		fprintf(notes_of(s), "%s%s\n", indent, clean(s, e->text));
		break;
	case GP_EVENT_WARN:
		fprintf(notes_of(s), "%s%swarning:%s %s\n", indent, paint(s, YELLOW), paint(s, RESET), clean(s, e->text));
		break;
	case GP_EVENT_OUTPUT:
		if (s->verbose)
			fprintf(notes_of(s), "%s%s| %s%s\n", indent, paint(s, DIM), clean(s, e->text), paint(s, RESET));
		break;
	}
	if (!s->notes)
		fflush(s->to);
}

void gp_story_begin(struct gp_story *story, struct gp_ctx *ctx, FILE *to, bool quiet, bool verbose, bool no_color)
{
	const char *term = getenv("TERM"), *env = getenv("NO_COLOR");
	bool terminal = isatty(fileno(to)) && term && !gp_streq(term, "dumb");

	*story = (struct gp_story){
		.to = to,
		.ctx = ctx,
		.quiet = quiet,
		.verbose = verbose,
		.terminal = terminal,
		.color = terminal && !no_color && !(env && *env),
	};
	ctx->observer = (struct gp_observer){ .on_event = on_event, .arg = story };
}

void gp_story_end(struct gp_story *story)
{
	end_step(story, RED, "cut off");
	story->ctx->observer = (struct gp_observer){ 0 };
}

void gp_story_error(struct gp_story *s, const struct gp_error *err)
{
	struct gp_strv lines = gp_lines(s->ctx->arena, err->detail);

	fprintf(s->to, "%serror:%s %s\n", paint(s, BOLD RED), paint(s, RESET), clean(s, err->msg));
	for (size_t i = lines.n > 30 ? lines.n - 30 : 0; i < lines.n; i++)
		fprintf(s->to, "  %s| %s%s\n", paint(s, DIM), clean(s, lines.v[i]), paint(s, RESET));
	if (*err->state)
		fprintf(s->to, "%s\n", clean(s, err->state));
	if (*err->hint)
		fprintf(s->to, "%shint:%s %s\n", paint(s, BOLD), paint(s, RESET), clean(s, err->hint));
	if (s->verbose)
		fprintf(s->to, "trace: %s\n", err->trace);
}
