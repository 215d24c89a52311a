/* --json. */
#include "out/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/ctx.h"

json_t *gp_json_result(const char *command)
{
	json_t *object = json_pack("{s:i, s:s, s:b}", "v", 1, "command", command, "ok", 1);

	if (!object)
		abort();
	return object;
}

void gp_json_text(struct gp_ctx *ctx, json_t *object, const char *key, const char *text)
{
	json_t *value;

	if (!text)
		return;
	text = gp_secret_mask(&ctx->secrets, ctx->arena, text);
	value = json_string(text);
	if (!value) {
		/* jansson takes UTF-8 only; text from outside may be none. */
		char *tamed = gp_strdup(ctx->arena, text);

		gp_tame(tamed, strlen(tamed), "\t\n");
		value = json_string(tamed);
	}
	json_object_set_new(object, key, value);
}

void gp_json_print(FILE *to, json_t *object)
{
	json_dumpf(object, to, JSON_COMPACT);
	fputc('\n', to);
	json_decref(object);
}

void gp_json_keep(struct gp_ctx *ctx, json_t *object)
{
	json_decref(ctx->partial_or_null);
	ctx->partial_or_null = object;
}

void gp_json_error(struct gp_ctx *ctx, FILE *to, const char *command, const struct gp_error *err)
{
	json_t *object = ctx->partial_or_null ? ctx->partial_or_null : gp_json_result(command), *error = json_object();

	ctx->partial_or_null = NULL;
	json_object_set_new(object, "ok", json_false());
	json_object_set_new(object, "exit", json_integer(err->kind));
	gp_json_text(ctx, error, "kind", gp_error_kind_name(err->kind));
	gp_json_text(ctx, error, "message", err->msg);
	gp_json_text(ctx, error, "hint", *err->hint ? err->hint : NULL);
	gp_json_text(ctx, error, "state", *err->state ? err->state : NULL);
	gp_json_text(ctx, error, "detail", *err->detail ? err->detail : NULL);
	json_object_set_new(object, "error", error);
	gp_json_print(to, object);
}
