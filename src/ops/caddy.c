/*
 * Caddy's configuration is one for the whole host: the Caddyfile and every file in sites-enabled. Caddy takes all of it or nothing.
 *
 * STATE/caddy remembers, of the last time that Caddy took something: a copy of every file it took (under the file's own name), the files that
 * were broken then and why (`broken`), and last of all the digest of what lay in /etc/caddy (`seen`).
 */
#include "ops/caddy.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/caddyfile.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/caddy.h"
#include "sys/ctx.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/journal.h"
#include "sys/unit.h"

enum { FILE_MAX = 1 << 20, JOB_TIMEOUT_MS = 90000 };

const char gp_caddyfile_path[] = "/etc/caddy/Caddyfile";
const char gp_caddy_sites[] = "/etc/caddy/sites-enabled";
const char gp_caddy_import[] = "import /etc/caddy/sites-enabled/*.caddy";

static const char unit[] = "caddy.service";

/* What a file contributes to the configuration that Caddy is given. */
enum part { LEFT_OUT, AS_IT_IS, LAST_GOOD_COPY };

struct config {
	const char *caddyfile, *head; /* as it lies there, and what is used of it: itself or its last good copy */
	struct gp_strv names, texts;  /* of the files in sites-enabled */
	enum part *parts;
	struct gp_strv broken;        /* one line each */
};

/* ---- what lies there, and what is remembered ----------------------------------------------------------------------- */

static int read_config(struct gp_ctx *ctx, struct config *ret, struct gp_error *err)
{
	struct config c = { 0 };
	struct gp_strv names = { 0 };
	int there;

	GP_TRY(there = gp_fs_read(ctx->arena, gp_caddyfile_path, FILE_MAX, &c.caddyfile, NULL, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s", gp_caddyfile_path);
	c.head = c.caddyfile;
	GP_TRY(gp_fs_list(ctx->arena, gp_caddy_sites, &names, err));
	for (size_t i = 0; i < names.n; i++) {
		const char *text;

		if (!gp_ends_with(names.v[i], ".caddy"))
			continue;
		GP_TRY(there = gp_fs_read(ctx->arena, gp_sprintf(ctx->arena, "%s/%s", gp_caddy_sites, names.v[i]), FILE_MAX, &text, NULL, err));
		if (!there)
			continue;
		gp_strv_add(ctx->arena, &c.names, names.v[i]);
		gp_strv_add(ctx->arena, &c.texts, text);
	}
	c.parts = gp_alloc_array(ctx->arena, c.names.n + 1, sizeof(*c.parts));
	*ret = c;
	return 0;
}

static const char *digest(struct gp_ctx *ctx, const struct config *c)
{
	GP_AUTO_BUF all = { 0 };

	gp_buf_add(&all, c->caddyfile, strlen(c->caddyfile) + 1);
	for (size_t i = 0; i < c->names.n; i++) {
		gp_buf_add(&all, c->names.v[i], strlen(c->names.v[i]) + 1);
		gp_buf_add(&all, c->texts.v[i], strlen(c->texts.v[i]) + 1);
	}
	return gp_sha256(ctx->arena, all.data, all.len);
}

static const char *record_path(struct gp_ctx *ctx, const char *name)
{
	return gp_sprintf(ctx->arena, "%s/caddy/%s", ctx->state_dir, name);
}

/* NULL: there is none. */
static const char *record(struct gp_ctx *ctx, const char *name)
{
	const char *text;

	return gp_fs_read_nofollow(ctx->arena, record_path(ctx, name), FILE_MAX, &text, NULL, NULL) == 1 ? text : NULL;
}

static int put_record(struct gp_ctx *ctx, const char *name, const char *text, struct gp_error *err)
{
	const char *is = record(ctx, name);

	if (is && gp_streq(is, text))
		return 0;
	return gp_fs_write(record_path(ctx, name), text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

/* A file that is gone needs no copy any more. */
static int forget_others(struct gp_ctx *ctx, const struct config *c, struct gp_error *err)
{
	struct gp_strv names = { 0 };

	GP_TRY(gp_fs_list(ctx->arena, gp_sprintf(ctx->arena, "%s/caddy", ctx->state_dir), &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (gp_ends_with(names.v[i], ".caddy") && !gp_strv_has(&c->names, names.v[i]))
			GP_TRY(gp_fs_remove(record_path(ctx, names.v[i]), err));
	return 0;
}

/* Caddy has taken it. `seen` comes last: killed before, the next provision reloads once more. */
static int remember(struct gp_ctx *ctx, const struct config *c, struct gp_error *err)
{
	GP_TRY(gp_fs_mkdirs(ctx->state_dir, err));
	GP_TRY(gp_fs_mkdir(gp_sprintf(ctx->arena, "%s/caddy", ctx->state_dir), 0700, (uid_t)-1, (gid_t)-1, err));
	GP_TRY(put_record(ctx, "Caddyfile", c->head, err));
	for (size_t i = 0; i < c->names.n; i++)
		if (c->parts[i] == AS_IT_IS)
			GP_TRY(put_record(ctx, c->names.v[i], c->texts.v[i], err));
	GP_TRY(forget_others(ctx, c, err));
	GP_TRY(put_record(ctx, "broken", gp_strv_join(ctx->arena, &c->broken, "\n"), err));
	return put_record(ctx, "seen", digest(ctx, c), err);
}

/* ---- a configuration that works ------------------------------------------------------------------------------------ */

/* The Caddyfile with, in the place of its import line, each file as its part says. With none, the lines keep their numbers. */
static const char *compose(struct gp_ctx *ctx, const struct config *c)
{
	GP_AUTO_BUF files = { 0 };
	const char *text;

	for (size_t i = 0; i < c->names.n; i++) {
		if (c->parts[i] == AS_IT_IS)
			gp_buf_printf(&files, "import \"%s/%s\"\n", gp_caddy_sites, c->names.v[i]);
		else if (c->parts[i] == LAST_GOOD_COPY)
			gp_buf_printf(&files, "%s\n", record(ctx, c->names.v[i]));
	}
	text = gp_caddyfile_replace_line(ctx->arena, c->head, gp_caddy_import, files.len ? gp_buf_str(&files) : "\n");
	return text ? text : c->head;
}

static bool works(struct gp_ctx *ctx, pid_t pid, const struct config *c, struct gp_error *ret_why)
{
	memset(ret_why, 0, sizeof(*ret_why));
	return gp_caddy_validate(ctx->arena, pid, compose(ctx, c), ret_why) == 0;
}

static void note_broken(struct gp_ctx *ctx, struct config *c, const char *path, const char *why, const char *instead)
{
	gp_strv_add(ctx->arena, &c->broken, gp_sprintf(ctx->arena, "%s%s%s (%s; Caddy will not start anew until it is mended)",
		gp_starts_with(why, path) ? "" : path, gp_starts_with(why, path) ? "" : ": ", why, instead));
}

static int refused(struct gp_error *err, const char *path, const char *why)
{
	gp_fail(err, GP_E_FAILED, "Caddy refuses %s: %s", path, why);
	gp_state(err, "Caddy goes on with the configuration it had");
	return gp_hint(err, "mend that file; `caddy validate --config %s` says whether it is right", gp_caddyfile_path);
}

static int choose_head(struct gp_ctx *ctx, pid_t pid, struct config *c, struct gp_error *err)
{
	struct gp_error why, copy_why;
	const char *copy = record(ctx, "Caddyfile");

	if (works(ctx, pid, c, &why))
		return 0;
	c->head = copy;
	if (!copy || !works(ctx, pid, c, &copy_why))
		return refused(err, gp_caddyfile_path, why.msg);
	note_broken(ctx, c, gp_caddyfile_path, why.msg, "its last good copy is in force");
	return 0;
}

/* What goldpath has taken over to Caddy before is known by `seen`; without it, a file without a copy may well be what Caddy serves. */
static int choose_part(struct gp_ctx *ctx, pid_t pid, struct config *c, size_t i, bool ours, struct gp_error *err)
{
	const char *path = gp_sprintf(ctx->arena, "%s/%s", gp_caddy_sites, c->names.v[i]);
	struct gp_error why, copy_why;
	bool has_copy = record(ctx, c->names.v[i]) != NULL;

	c->parts[i] = AS_IT_IS;
	if (works(ctx, pid, c, &why))
		return 0;
	c->parts[i] = LAST_GOOD_COPY;
	if (has_copy && works(ctx, pid, c, &copy_why)) {
		note_broken(ctx, c, path, why.msg, "its last good copy is in force");
		return 0;
	}
	c->parts[i] = LEFT_OUT;
	if (has_copy || ours || !record(ctx, "seen"))
		return refused(err, path, why.msg);
	note_broken(ctx, c, path, why.msg, "it was never in force and is left out");
	return 0;
}

/* Add one file after the other, goldpath's own first: what does not go with those before it is broken. So two files that are only wrong
 * together are found too, and a file may use what the Caddyfile defines. */
static int choose(struct gp_ctx *ctx, pid_t pid, struct config *c, struct gp_error *err)
{
	GP_TRY(choose_head(ctx, pid, c, err));
	for (int ours = 1; ours >= 0; ours--)
		for (size_t i = 0; i < c->names.n; i++)
			if (gp_starts_with(c->names.v[i], "sum-") == (bool)ours)
				GP_TRY(choose_part(ctx, pid, c, i, ours, err));
	return 0;
}

/* ---- telling Caddy ------------------------------------------------------------------------------------------------- */

static int run_job(struct gp_ctx *ctx, enum gp_unit_verb verb, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	return gp_unit_run(bus, unit, verb, JOB_TIMEOUT_MS, err) < 0 ? gp_journal_explain(unit, err) : 0;
}

/* Caddy says "address already in use"; who uses it is worth more. */
static int explain(struct gp_ctx *ctx, struct gp_error *err)
{
	static const uint16_t ports[] = { 80, 443 };
	struct gp_error holder = { 0 };

	if (gp_ports_free(ctx, ports, 2, unit, &holder) < 0 && holder.kind == GP_E_REFUSED && err) {
		*err = holder;
		gp_context(err, "Caddy cannot take its configuration");
	}
	gp_state(err, "Caddy goes on with the configuration it had");
	return gp_hint(err, "`journalctl -u caddy` has all of it");
}

/* Where a Caddyfile has the admin API listen; NULL (there is no file): where Caddy does without being told. */
static const char *admin_of(struct gp_ctx *ctx, const char *text)
{
	const char *admin = text ? gp_caddyfile_option(ctx->arena, text, "admin") : NULL;

	return admin ? gp_strndup(ctx->arena, admin, strcspn(admin, " ")) : GP_CADDY_ADMIN_DEFAULT;
}

/* Where the running Caddy has it: on goldpath's socket, or where the Caddyfile said that it took last. */
static const char *admin_now(struct gp_ctx *ctx, const char *says)
{
	const char *said = admin_of(ctx, record(ctx, "Caddyfile"));

	if (gp_caddy_on_socket())
		return GP_CADDY_ADMIN;
	if (!gp_streq(said, GP_CADDY_ADMIN))
		return said;
	return gp_streq(says, GP_CADDY_ADMIN) ? GP_CADDY_ADMIN_DEFAULT : says;
}

/*
 * Tell a Caddy that runs. Its admin API moves with the configuration that says so: asked where it is now, it takes the new place without
 * a gap. systemd's reload asks where the Caddyfile says, and gives the files as they are; it is used wherever it can be.
 */
static int tell(struct gp_ctx *ctx, const struct gp_unit_state *state, const struct config *c, struct gp_error *err)
{
	const char *says = admin_of(ctx, c->head), *now = admin_now(ctx, says);

	if (gp_streq(says, now) && !c->broken.n)
		return run_job(ctx, GP_UNIT_RELOAD, err);
	return gp_caddy_load(ctx->arena, state->main_pid, compose(ctx, c), now, err);
}

static int start(struct gp_ctx *ctx, const struct config *c, struct gp_error *err)
{
	if (!c->broken.n)
		return run_job(ctx, GP_UNIT_START, err);
	gp_fail(err, GP_E_FAILED, "Caddy does not run, and would not start: %s", c->broken.v[0]);
	return gp_hint(err, "mend that file, then this again");
}

static bool runs(const struct gp_unit_state *state)
{
	return gp_streq(state->active, "active") || gp_streq(state->active, "reloading");
}

/* The state of the unit and all of the configuration; *ret_why tells whether Caddy would take it as it lies there. */
static int look(struct gp_ctx *ctx, struct gp_unit_state *ret_state, struct config *ret, struct gp_error *ret_why, struct gp_error *err)
{
	struct gp_bus *bus;

	GP_TRY(gp_ctx_bus(ctx, &bus, err));
	GP_TRY(gp_unit_state(bus, ctx->arena, unit, ret_state, err));
	GP_TRY(read_config(ctx, ret, err));
	memset(ret_why, 0, sizeof(*ret_why));
	if (gp_caddy_validate(ctx->arena, ret_state->main_pid, ret->caddyfile, ret_why) == 0)
		for (size_t i = 0; i < ret->names.n; i++)
			ret->parts[i] = AS_IT_IS;
	return 0;
}

int gp_caddy_reload(struct gp_ctx *ctx, struct gp_error *err)
{
	struct gp_unit_state state;
	struct gp_error why;
	struct config c;

	GP_TRY(look(ctx, &state, &c, &why, err));
	if (why.kind)
		GP_TRY(choose(ctx, state.main_pid, &c, err));
	if ((runs(&state) ? tell(ctx, &state, &c, err) : start(ctx, &c, err)) < 0)
		return explain(ctx, err);
	return remember(ctx, &c, err);
}

static int may_restart(struct gp_ctx *ctx, struct config *ret, struct gp_error *err)
{
	struct gp_unit_state state;
	struct gp_error why;

	GP_TRY(look(ctx, &state, ret, &why, err));
	if (!why.kind)
		return 0;
	gp_fail(err, GP_E_FAILED, "Caddy has to be restarted and would not start again: %s", why.msg);
	gp_state(err, "Caddy was left as it is");
	return gp_hint(err, "mend that file, then this again");
}

int gp_caddy_may_restart(struct gp_ctx *ctx, struct gp_error *err)
{
	struct config c;

	return may_restart(ctx, &c, err);
}

int gp_caddy_restart(struct gp_ctx *ctx, struct gp_error *err)
{
	struct config c;

	GP_TRY(may_restart(ctx, &c, err));
	if (run_job(ctx, GP_UNIT_RESTART, err) < 0)
		return explain(ctx, err);
	return remember(ctx, &c, err);
}

/* ---- drift --------------------------------------------------------------------------------------------------------- */

int gp_caddy_reload_needed(struct gp_ctx *ctx, bool *ret, struct gp_error *err)
{
	const char *seen = record(ctx, "seen");
	struct config c;

	*ret = false;
	if (!gp_fs_exists(gp_caddyfile_path))
		return 0;
	GP_TRY(read_config(ctx, &c, err));
	*ret = !seen || !gp_streq(seen, digest(ctx, &c));
	return 0;
}

int gp_caddy_attention(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_strv broken, names = { 0 };
	const char *text = record(ctx, "broken");
	bool changed;

	GP_TRY(gp_caddy_reload_needed(ctx, &changed, err));
	broken = gp_lines(ctx->arena, text && !changed ? text : "");
	for (size_t i = 0; i < broken.n; i++)
		gp_change_add(ctx, changes, '!', resource, "%s", broken.v[i]);
	GP_TRY(gp_fs_list(ctx->arena, gp_caddy_sites, &names, err));
	for (size_t i = 0; i < names.n; i++) {
		const char *slug;

		if (!gp_starts_with(names.v[i], "sum-") || !gp_ends_with(names.v[i], ".caddy"))
			continue;
		slug = gp_strndup(ctx->arena, names.v[i] + 4, strlen(names.v[i]) - strlen("sum-.caddy"));
		if (!gp_fs_exists(gp_sprintf(ctx->arena, "%s/sites/%s.yaml", ctx->etc_dir, slug)))
			gp_change_add(ctx, changes, '!', resource, "%s/%s has no site file any more: goldpath remove %s", gp_caddy_sites, names.v[i], slug);
	}
	return 0;
}
