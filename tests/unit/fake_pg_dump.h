/* Postgres and pg_dump in a test: the linker leads calls here (--wrap, see tests/meson.build). One database, which says what it is told to. */
#ifndef GP_TESTS_FAKE_PG_DUMP_H
#define GP_TESTS_FAKE_PG_DUMP_H

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/pg.h"
#include "sys/proc.h"

#define FAKE_DUMP                                                                                                                \
	"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)\n"                  \
	"-- Dumped by pg_dump version 15.20\n\nCOPY public.django_migrations (id, app, name) FROM stdin;\n1\tauth\t0001_initial\n\\.\n" \
	"COPY public.page (id, title) FROM stdin;\n1\ta\n2\tb\n3\t\\N\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\n"

static struct {
	const char *dump;     /* what pg_dump writes; NULL: FAKE_DUMP */
	const char *fails;    /* what it says on stderr when it fails after that, or NULL */
	bool gone, down;      /* there is no such database; no server */
	const char *bytes;    /* of the database */
	int runs;
} fake;

static int fake_write(const struct gp_proc *proc, const char *dump, struct gp_error *err)
{
	for (size_t left = strlen(dump); left;) {
		size_t room, n;
		char *to = proc->room(proc->arg, &room);

		n = left < room ? left : room;
		n = n < 4096 ? n : 4096; /* as pg_dump does */
		memcpy(to, dump, n);
		GP_TRY(proc->data(proc->arg, to, n, err));
		dump += n;
		left -= n;
	}
	return 0;
}

int __real_gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err);
int __wrap_gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err);
int __wrap_gp_proc_run(const struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err)
{
	if (!gp_streq(proc->argv[0], "pg_dump"))
		return __real_gp_proc_run(proc, ret, err);
	fake.runs++;
	*ret = (struct gp_proc_result){ .status = fake.fails != NULL, .err.max = proc->output_max };
	GP_TRY(fake_write(proc, fake.dump ? fake.dump : FAKE_DUMP, err));
	if (fake.fails)
		gp_buf_keep_tail(&ret->err, fake.fails, strlen(fake.fails));
	return 0;
}

int __wrap_gp_ctx_admin(struct gp_ctx *c, int port, struct gp_pg **ret, struct gp_error *err);
int __wrap_gp_ctx_admin(struct gp_ctx *c, int port, struct gp_pg **ret, struct gp_error *err)
{
	(void)c, (void)port;
	*ret = NULL;
	return fake.down ? gp_fail(err, GP_E_FAILED, "no Postgres answers") : 0;
}

int __wrap_gp_pg_value(struct gp_pg *pg, struct gp_arena *a, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err);
int __wrap_gp_pg_value(struct gp_pg *pg, struct gp_arena *a, const char *sql, const char *const *params, size_t n, const char **ret,
	struct gp_error *err)
{
	(void)pg, (void)a, (void)sql, (void)params, (void)n, (void)err;
	*ret = fake.gone ? NULL : fake.bytes ? fake.bytes : "100000";
	return 0;
}

int __wrap_gp_pg_open_database(struct gp_pg *pg, struct gp_arena *a, const char *database, struct gp_error *err);
int __wrap_gp_pg_open_database(struct gp_pg *pg, struct gp_arena *a, const char *database, struct gp_error *err)
{
	(void)pg, (void)a, (void)database, (void)err;
	return 0;
}

int __real_gp_account_get(struct gp_arena *a, const char *name, struct gp_account *ret, struct gp_error *err);
int __wrap_gp_account_get(struct gp_arena *a, const char *name, struct gp_account *ret, struct gp_error *err);
int __wrap_gp_account_get(struct gp_arena *a, const char *name, struct gp_account *ret, struct gp_error *err)
{
	return __real_gp_account_get(a, gp_streq(name, "postgres") ? "root" : name, ret, err);
}

#endif
