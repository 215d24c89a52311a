/*
 * The `.env` parser over any bytes. What it accepts: keys are names and stand once, no text is made out of nothing, the pairs
 * written again are read as the same pairs, and systemd's own parser, where it can be had, reads them too.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/str.h"

#include "must.h"
#include "systemd_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pairs(const struct gp_dotenv *env, size_t size)
{
	size_t total = 0;

	for (size_t i = 0; i < env->n; i++) {
		must(gp_name_ok(GP_NAME_envkey, env->pairs[i].key), "a key is a name");
		must(gp_dotenv_get(env, env->pairs[i].key) == env->pairs[i].value, "a key stands once");
		total += strlen(env->pairs[i].key) + 1 + strlen(env->pairs[i].value);
	}
	must(total <= size, "what comes out was in the file");
}

static void check_round_trip(struct gp_arena *arena, const struct gp_dotenv *env)
{
	GP_AUTO_BUF text = { 0 };
	struct gp_dotenv again;

	for (size_t i = 0; i < env->n; i++)
		gp_buf_puts(&text, gp_dotenv_line(arena, env->pairs[i].key, env->pairs[i].value));
	if (text.len > GP_DOTENV_MAX) /* escapes made it longer */
		return;
	must(gp_dotenv_parse(arena, text.data, text.len, &again, NULL) == 0, "what is written can be read");
	must(again.n == env->n, "as many pairs");
	for (size_t i = 0; i < env->n; i++) {
		must(gp_streq(again.pairs[i].key, env->pairs[i].key), "the same keys in order");
		must(gp_streq(again.pairs[i].value, env->pairs[i].value), "the same values");
	}
}

static void check_systemd(struct gp_arena *arena, const struct gp_dotenv *env, const char *text, size_t size)
{
	char **judged;

	if (!size || !judge_found())
		return;
	judged = judge_parse(text, size);
	must(judged != NULL, "systemd takes the file");
	for (size_t i = 0; i < env->n; i++)
		must(judged[i] && gp_streq(judged[i], gp_sprintf(arena, "%s=%s", env->pairs[i].key, env->pairs[i].value)),
			"systemd reads the same pair");
	must(!judged[env->n], "systemd reads no more pairs");
	judge_free(judged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_dotenv env = { .n = SIZE_MAX };

	if (gp_dotenv_parse(arena, (const char *)data, size, &env, &err) < 0) {
		must(err.kind == GP_E_CONFIG && err.msg[0], "a refusal says why");
		must(env.n == SIZE_MAX, "a refusal writes nothing");
		return 0;
	}
	check_pairs(&env, size);
	check_round_trip(arena, &env);
	check_systemd(arena, &env, (const char *)data, size);
	return 0;
}
