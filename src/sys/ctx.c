/* The context. */
#include "sys/ctx.h"

#include <stdarg.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "sys/pg.h"
#include "sys/proc.h"
#include "sys/unit.h"

void gp_ctx_init(struct gp_ctx *ctx, struct gp_arena *arena)
{
	*ctx = (struct gp_ctx){
		.arena = arena,
		.secrets.arena = arena,
		.command = "goldpath",
		.etc_dir = "/etc/goldpath",
		.state_dir = "/var/lib/goldpath",
		.lock_dir = "/run/goldpath",
		.sites_dir = "/srv/sum",
	};
}

void gp_ctx_close(struct gp_ctx *ctx)
{
	gp_proc_abandon(ctx->beside_or_null);
	ctx->beside_or_null = NULL;
	gp_bus_close(ctx->bus_or_null);
	ctx->bus_or_null = NULL;
	gp_pg_close(ctx->admin_or_null);
	ctx->admin_or_null = NULL;
}

int gp_ctx_admin(struct gp_ctx *ctx, int port, struct gp_pg **ret, struct gp_error *err)
{
	if (ctx->admin_or_null && (ctx->admin_port != port || !gp_pg_usable(ctx->admin_or_null))) {
		gp_pg_close(ctx->admin_or_null);
		ctx->admin_or_null = NULL;
	}
	if (!ctx->admin_or_null)
		GP_TRY(gp_pg_open_admin(port, "postgres", &ctx->admin_or_null, err));
	ctx->admin_port = port;
	*ret = ctx->admin_or_null;
	return 0;
}

int gp_ctx_bus(struct gp_ctx *ctx, struct gp_bus **ret, struct gp_error *err)
{
	if (!ctx->bus_or_null)
		GP_TRY(gp_bus_open(&ctx->bus_or_null, err));
	*ret = ctx->bus_or_null;
	return 0;
}

void gp_tell(struct gp_ctx *ctx, const struct gp_event *event)
{
	if (ctx->observer.on_event)
		ctx->observer.on_event(ctx->observer.arg, event);
}

static void tell_text(struct gp_ctx *ctx, enum gp_event_kind kind, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void tell_text(struct gp_ctx *ctx, enum gp_event_kind kind, const char *fmt, va_list ap)
{
	gp_tell(ctx, &(struct gp_event){ .kind = kind, .text = gp_vsprintf(ctx->arena, fmt, ap) });
}

void gp_tell_note(struct gp_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell_text(ctx, GP_EVENT_NOTE, fmt, ap);
	va_end(ap);
}

void gp_tell_warn(struct gp_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell_text(ctx, GP_EVENT_WARN, fmt, ap);
	va_end(ap);
}

int64_t gp_tell_step(struct gp_ctx *ctx, const char *name, const char *words, int index, int total)
{
	gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_STEP, .name = name, .text = words, .index = index, .total = total });
	return gp_mono_ms();
}

void gp_tell_skipped(struct gp_ctx *ctx, const char *name, const char *why)
{
	gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_SKIPPED, .name = name, .text = why });
}

int gp_tell_ended(struct gp_ctx *ctx, const char *name, int64_t begun_ms, int result)
{
	gp_tell(ctx, &(struct gp_event){ .kind = result < 0 ? GP_EVENT_FAILED : GP_EVENT_DONE, .name = name, .ms = gp_mono_ms() - begun_ms });
	return result < 0 ? -1 : 0;
}

void gp_tell_line(void *ctx, bool is_stderr, const char *text)
{
	(void)is_stderr;
	gp_tell(ctx, &(struct gp_event){ .kind = GP_EVENT_OUTPUT, .text = text });
}
