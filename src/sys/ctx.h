/* What every workflow is handed: where data lives, who watches, and the connection to systemd, opened when first needed. */
#ifndef GP_SYS_CTX_H
#define GP_SYS_CTX_H

#include <stdbool.h>

#include "base/observer.h"
#include "base/secret.h"

struct gp_arena;
struct gp_bus;
struct gp_error;
struct gp_pg;
struct gp_proc_job;
struct json_t;

struct gp_ctx {
	struct gp_arena *arena;      /* lives as long as the command */
	struct gp_observer observer; /* on_event NULL: nobody watches */
	struct gp_secrets secrets;   /* never shown; secrets.arena is set by gp_ctx_init */
	const char *command;         /* what was asked for, for lock files: "deploy acme-kitchens" */
	const char *etc_dir, *state_dir, *lock_dir, *sites_dir; /* /etc/goldpath, /var/lib/goldpath, /run/goldpath, /srv/sum */
	struct gp_bus *bus_or_null;
	struct gp_pg *admin_or_null; /* to Postgres, as its superuser */
	int admin_port;
	struct json_t *partial_or_null; /* with --json: a result that goes out with the error that ended it (out/json.h) */
	struct gp_proc_job *beside_or_null; /* a program that runs while other things are seen to (plan/tools.c) */
};

void gp_ctx_init(struct gp_ctx *ctx, struct gp_arena *arena);
void gp_ctx_close(struct gp_ctx *ctx);

/* The superuser's connection to the database `postgres` of the server on that port: one for all who ask, opened anew where the server has
 * ended it. Not to be closed. */
int gp_ctx_admin(struct gp_ctx *ctx, int port, struct gp_pg **ret, struct gp_error *err);

/* The bus, connected. */
int gp_ctx_bus(struct gp_ctx *ctx, struct gp_bus **ret, struct gp_error *err);

void gp_tell(struct gp_ctx *ctx, const struct gp_event *event);
void gp_tell_note(struct gp_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gp_tell_warn(struct gp_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A step begins, the index-th of total, counted from 1; returns when, for its end. */
int64_t gp_tell_step(struct gp_ctx *ctx, const char *name, const char *words, int index, int total);
void gp_tell_skipped(struct gp_ctx *ctx, const char *name, const char *why);
/* It has ended, as result says: -1 badly, which is returned, or 0. */
int gp_tell_ended(struct gp_ctx *ctx, const char *name, int64_t begun_ms, int result);
/* As struct gp_proc's `line`, with the ctx as arg: passes a program's lines on as GP_EVENT_OUTPUT. */
void gp_tell_line(void *ctx, bool is_stderr, const char *text);

#endif
