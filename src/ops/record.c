/* Journal and history: JSON lines. */
#include "ops/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "ops/line.h"
#include "ops/paths.h"
#include "ops/steps.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { JOURNAL_MAX = 1 << 20 };

static const char *journal_path(struct gp_ctx *ctx, const struct gp_paths *paths)
{
	return gp_sprintf(ctx->arena, "%s/journal", paths->state);
}

static json_t *new_line(struct gp_ctx *ctx)
{
	json_t *object = json_object();

	if (!object)
		abort();
	json_object_set_new(object, "v", json_integer(1));
	gp_line_put(object, "at", gp_rfc3339(ctx->arena, gp_now()));
	return object;
}

int gp_journal_begin(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_unfinished *what, struct gp_error *err)
{
	json_t *object = new_line(ctx);
	const char *line;

	gp_line_put(object, "what", what->what);
	gp_line_put(object, "ref", what->ref);
	gp_line_put(object, "release", what->release);
	gp_line_put(object, "previous", what->previous);
	gp_line_put(object, "how", what->how);
	gp_line_put(object, "command", ctx->command);
	if (what->no_restart)
		json_object_set_new(object, "no_restart", json_true());
	line = gp_sprintf(ctx->arena, "%s\n", gp_line_of(ctx->arena, object));
	return gp_fs_write(journal_path(ctx, paths), line, strlen(line), 0600, (uid_t)-1, (gid_t)-1, err);
}

int gp_journal_note(struct gp_ctx *ctx, const struct gp_paths *paths, const char *what, const char *step, const char *release,
	struct gp_error *err)
{
	json_t *object = new_line(ctx);

	gp_line_put(object, "what", what);
	gp_line_put(object, "step", step);
	gp_line_put(object, "release", release);
	return gp_fs_append(journal_path(ctx, paths), gp_line_of(ctx->arena, object), err);
}

int gp_journal_kept(struct gp_ctx *ctx, const struct gp_paths *paths, const char *kept, struct gp_error *err)
{
	json_t *object = new_line(ctx);

	gp_line_put(object, "what", "kept");
	gp_line_put(object, "kept", kept);
	return gp_fs_append(journal_path(ctx, paths), gp_line_of(ctx->arena, object), err);
}

static void read_line(struct gp_ctx *ctx, const char *line, struct gp_unfinished *u)
{
	static const char *const kinds[] = { "deploy", "rollback", "adopt", "restore" };
	json_t *object = json_loads(line, 0, NULL);
	const char *what = json_string_value(json_object_get(object, "what"));
	const char *keys[] = { "ref", "previous", "release", "step", "how", "kept" };
	const char **to[] = { &u->ref, &u->previous, &u->release, &u->step, &u->how, &u->kept };

	/* A line that a crash cut short says nothing; the ones before it stand. */
	for (size_t i = 0; what && i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *text = json_string_value(json_object_get(object, keys[i]));

		if (text)
			*to[i] = gp_strdup(ctx->arena, text);
	}
	for (size_t i = 0; what && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!gp_streq(what, kinds[i]))
			continue;
		u->found = true;
		u->what = kinds[i];
		u->no_restart = json_is_true(json_object_get(object, "no_restart"));
	}
	if (what && gp_streq(what, "end"))
		u->found = false;
	if (what && gp_streq(what, "begin") && gp_streq(u->step, GP_STEP_START))
		u->beside = true;
	if (what && gp_streq(what, "undo"))
		u->undo = true;
	json_decref(object);
}

int gp_journal_read(struct gp_ctx *ctx, const struct gp_paths *paths, struct gp_unfinished *ret, struct gp_error *err)
{
	struct gp_unfinished u = { .what = "deploy", .ref = "", .release = "", .previous = "", .step = "", .how = "", .kept = "" };
	struct gp_strv lines;
	const char *text = "";

	if (gp_fs_read(ctx->arena, journal_path(ctx, paths), JOURNAL_MAX, &text, NULL, err) < 0)
		return -1;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++)
		read_line(ctx, lines.v[i], &u);
	*ret = u;
	return 0;
}

int gp_history_add(struct gp_ctx *ctx, const struct gp_paths *paths, const struct gp_history *entry, struct gp_error *err)
{
	const char *sudo = getenv("SUDO_USER");
	json_t *object = new_line(ctx);

	gp_line_put(object, "what", entry->what);
	gp_line_put(object, "file", entry->file);
	gp_line_put(object, "release", entry->release);
	gp_line_put(object, "ref", entry->ref);
	gp_line_put(object, "sha", entry->sha);
	gp_line_put(object, "result", entry->result);
	gp_line_put(object, "step", entry->step);
	gp_line_put(object, "health", entry->health);
	gp_line_put(object, "error", entry->error);
	gp_line_put(object, "by", sudo ? sudo : gp_account_name(ctx->arena, getuid()));
	json_object_set_new(object, "ms", json_integer(entry->ms));
	return gp_fs_append(gp_sprintf(ctx->arena, "%s/history", paths->state), gp_line_of(ctx->arena, object), err);
}
