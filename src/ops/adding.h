/* Two short words for the files that put plans together; `ctx` and `plan` are the caller's own variables. */
#ifndef GP_OPS_ADDING_H
#define GP_OPS_ADDING_H

#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "plan/plan.h"

/* ADD(.type = &gp_folder_type, .name = path, …): one more resource. */
#define ADD(...) gp_plan_add(ctx, plan, (struct gp_resource){ __VA_ARGS__ })
/* SPEC(struct gp_folder, .mode = 0755, …): the struct in the arena, and its address. */
#define SPEC(type, ...) memcpy(gp_alloc(ctx->arena, sizeof(type)), &(type){ __VA_ARGS__ }, sizeof(type))

/* A variable of a template that is only asked for by %if. */
static inline const char *gp_yes(bool is)
{
	return is ? "yes" : NULL;
}

#endif
