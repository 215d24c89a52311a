/* What a test of resources or workflows works in: an arena, a ctx whose folders would be in the scratch folder, and room for an error. */
#ifndef GP_TESTS_CTX_H
#define GP_TESTS_CTX_H

#include "base/arena.h"
#include "base/error.h"
#include "sys/ctx.h"

#include "scratch.h"

static struct gp_arena *arena;
static struct gp_ctx ctx;
static struct gp_error err;

static inline int ctx_begin(void **state)
{
	if (scratch_begin(state) < 0)
		return -1;
	arena = gp_arena_new();
	gp_ctx_init(&ctx, arena);
	ctx.etc_dir = gp_strdup(arena, at("etc"));
	ctx.state_dir = gp_strdup(arena, at("state"));
	ctx.sites_dir = gp_strdup(arena, at("sites"));
	memset(&err, 0, sizeof(err));
	return 0;
}

static inline int ctx_end(void **state)
{
	gp_ctx_close(&ctx);
	gp_arena_free(arena);
	return scratch_end(state);
}

#endif
