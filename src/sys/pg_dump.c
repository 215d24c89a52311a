/* pg_dump writes into a pipe, and one loop takes it from there to the packing threads; nothing is held but what is on its way. */
#include "sys/pg_dump.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/pg.h"
#include "sys/proc.h"

/* Longer than the statement that names all tables, behind what is wrong with it; of which people see so much. */
enum { TIMEOUT_MS = 6 * 3600 * 1000, PROGRESS_MS = 250, STDERR_MAX = 1 << 20, LINE_SHOWN = 300 };

#define LOCK_WAIT "30" /* seconds */

struct pass {
	const struct gp_pg_dump *dump;
	struct gp_pack *pack;
	struct gp_dumpcount *count;
	uint64_t bytes;
	int64_t told;
};

static char *room(void *arg, size_t *ret_len)
{
	struct pass *p = arg;

	return gp_pack_room(p->pack, ret_len);
}

static int pass(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct pass *p = arg;

	p->bytes += len;
	if (p->dump->progress && gp_mono_ms() - p->told >= PROGRESS_MS) {
		p->dump->progress(p->dump->arg, p->bytes);
		p->told = gp_mono_ms();
	}
	GP_TRY_TO(err, gp_dumpcount_feed(p->count, data, len, err), "what pg_dump writes");
	return gp_pack_add(p->pack, len, err);
}

/* The first line that calls itself an error, without pg_dump's name; NULL: there is none. */
static const char *first_error(const struct gp_strv *lines)
{
	static const char mark[] = "pg_dump: error: ";

	for (size_t i = 0; i < lines->n; i++) {
		if (gp_starts_with(lines->v[i], mark))
			return lines->v[i] + strlen(mark);
		if (strstr(lines->v[i], "ERROR: ") || strstr(lines->v[i], "FATAL: "))
			return lines->v[i];
	}
	return NULL;
}

/* Its last line may be the statement, which goes on for as many tables as there are. pg_dump bounds the wait for a lock as one of a statement,
 * and no other statement of its own. */
static int failed(const struct gp_proc *proc, const struct gp_proc_result *result, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	const struct gp_strv lines = gp_lines(arena, gp_buf_str(&result->err));
	const char *why = first_error(&lines);
	GP_AUTO_BUF shown = { 0 };

	if (result->signal || !why)
		gp_proc_fail(proc, result, err);
	else if (strstr(why, "due to statement timeout") || strstr(why, "due to lock timeout")) {
		gp_fail(err, GP_E_FAILED, "a table of the database is locked by somebody for longer than " LOCK_WAIT " s");
		gp_hint(err, "who it is: sudo -u postgres psql -c \"select pid, usename, state, query from pg_stat_activity where pid in"
			" (select pid from pg_locks where mode = 'AccessExclusiveLock')\"; then this again, when that is done");
	} else
		gp_fail(err, GP_E_FAILED, "pg_dump exited with status %d: %.*s", result->status, LINE_SHOWN, why);
	for (size_t i = 0; i < lines.n; i++)
		gp_buf_printf(&shown, "%.*s%s\n", LINE_SHOWN, lines.v[i], strlen(lines.v[i]) > LINE_SHOWN ? " ..." : "");
	return gp_detail(err, gp_buf_str(&shown), shown.len);
}

static int run(struct gp_arena *arena, struct pass *p, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	const struct gp_pg_dump *d = p->dump;
	const char *port = gp_sprintf(arena, "--port=%d", d->port), *host = d->host ? gp_sprintf(arena, "--host=%s", d->host) : "--no-password";
	const char *user = d->user ? gp_sprintf(arena, "--username=%s", d->user) : "--no-password";
	/* Never an argument: those are for all to see. */
	const char *const env[] = { d->password ? gp_sprintf(arena, "PGPASSWORD=%s", d->password) : NULL, NULL };

	const struct gp_proc proc = {
		.argv = GP_ARGV("pg_dump", "--format=plain", "--no-owner", "--no-privileges", "--clean", "--if-exists",
			"--lock-wait-timeout=" LOCK_WAIT "s", "--no-password", port, host, user, "--", d->database),
		.env = env,
		.as = d->as,
		.umask = 077,
		.timeout_ms = TIMEOUT_MS,
		.output_max = STDERR_MAX,
		.data = pass,
		.room = room,
		.arg = p,
	};

	GP_TRY(gp_proc_run(&proc, &result, err));
	return result.status == 0 ? 0 : failed(&proc, &result, err);
}

static int write_it(struct gp_arena *arena, struct pass *p, int fd, struct gp_pg_dumped *ret, struct gp_error *err)
{
	GP_TRY(run(arena, p, err));
	GP_TRY_TO(err, gp_dumpcount_end(p->count, &ret->sql, err), "what pg_dump wrote");
	GP_TRY(gp_pack_end(p->pack, arena, &ret->file, err));
	return fsync(fd) < 0 ? gp_fail_errno(err, errno, "keep the dump") : 0;
}

static int count(void *arg, const char *data, size_t len, struct gp_error *err)
{
	return gp_dumpcount_feed(arg, data, len, err);
}

static int read_back(struct gp_arena *arena, int fd, struct gp_pg_dumped *ret, struct gp_error *err)
{
	struct gp_dumpcount *c = gp_dumpcount_new(arena);
	int result = gp_unpack(fd, count, c, arena, &ret->file, err);

	if (result == 0)
		result = gp_fail(err, GP_E_FAILED, "it is not the file that was written");
	if (result > 0)
		result = gp_dumpcount_end(c, &ret->sql, err);
	gp_dumpcount_free(c);
	return result;
}

static int compare(struct gp_arena *arena, const struct gp_pg_dumped *written, const struct gp_pg_dumped *read, struct gp_error *err)
{
	const char *why = "the digest differs";

	if (gp_streq(written->file.sha256, read->file.sha256) && written->file.unpacked == read->file.unpacked &&
		written->sql.rows == read->sql.rows && gp_tables_same(arena, &read->sql.tables, &written->sql.tables, &why))
		return 0;
	return gp_fail(err, GP_E_FAILED, "it is not what was written: %s", why);
}

int gp_pg_dump_into(struct gp_arena *arena, const struct gp_pg_dump *dump, int fd, struct gp_pg_dumped *ret, struct gp_error *err)
{
	struct pass p = { .dump = dump, .told = gp_mono_ms() };
	struct gp_pg_dumped written, read;
	GP_AUTO_PACK pack = NULL;
	int result;

	GP_TRY(gp_pack_begin(fd, 0, &pack, err));
	p.pack = pack;
	p.count = gp_dumpcount_new(arena);
	result = write_it(arena, &p, fd, &written, err);
	gp_dumpcount_free(p.count);
	GP_TRY(result);
	/* Two rings of blocks at once would be twice the memory. */
	gp_pack_free(pack);
	pack = NULL;
	GP_TRY_TO(err, read_back(arena, fd, &read, err), "read the dump back");
	GP_TRY_TO(err, compare(arena, &written, &read, err), "read the dump back");
	*ret = written;
	return 0;
}

int gp_pg_dump_local(struct gp_ctx *ctx, const struct gp_pg_dump *dump, int fd, struct gp_pg_dumped *ret, struct gp_error *err)
{
	struct gp_pg_dump local = *dump;
	struct gp_account postgres;
	struct gp_pg *pg;

	GP_TRY(gp_account_get(ctx->arena, "postgres", &postgres, err));
	GP_TRY(gp_ctx_admin(ctx, dump->port, &pg, err));
	GP_TRY(gp_pg_open_database(pg, ctx->arena, dump->database, err));
	local.host = local.user = local.password = NULL;
	local.as = &postgres;
	return gp_pg_dump_into(ctx->arena, &local, fd, ret, err);
}
