/* goldpath version */
#include "version.h"

#include <stdio.h>

#include "cmd/command.h"
#include "out/json.h"
#include "sys/ctx.h"

static int run(struct gp_ctx *ctx, const struct gp_args *args, struct gp_error *err)
{
	(void)err;
	if (args->json) {
		json_t *object = gp_json_result("version");

		gp_json_text(ctx, object, "version", GP_VERSION);
		gp_json_text(ctx, object, "build", GP_BUILD);
		gp_json_print(stdout, object);
	} else {
		printf("goldpath %s (%s)\n", GP_VERSION, GP_BUILD);
	}
	return 0;
}

static const struct gp_option options[] = { GP_OPT_END };

const struct gp_command gp_cmd_version = {
	.name = "version",
	.summary = "print version and build",
	.options = options,
	.run = run,
};
