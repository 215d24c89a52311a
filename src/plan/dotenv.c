/* Resource type: a site's `.env`. Lines are only ever added at its end; nothing that a person wrote is touched. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "base/secret.h"
#include "plan/owner.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { ENV_MODE = 0600 };

static int read_env(struct gp_ctx *ctx, const char *path, const char **ret_text, struct gp_dotenv *ret, struct gp_error *err)
{
	size_t len = 0;
	int there;

	*ret_text = "";
	*ret = (struct gp_dotenv){ 0 };
	GP_TRY(there = gp_fs_read_nofollow(ctx->arena, path, GP_DOTENV_MAX, ret_text, &len, err));
	if (there)
		GP_TRY_TO(err, gp_dotenv_parse(ctx->arena, *ret_text, len, ret, err), "%s", path);
	for (size_t i = 0; i < ret->n; i++)
		if (gp_secret_key(ret->pairs[i].key))
			gp_secret_add(&ctx->secrets, ret->pairs[i].value);
	return there;
}

int gp_dotenv_read(struct gp_ctx *ctx, const char *path, struct gp_dotenv *ret, struct gp_error *err)
{
	const char *text;

	return read_env(ctx, path, &text, ret, err);
}

static const char *get(const void *env, const char *key)
{
	return gp_dotenv_get(env, key);
}

/* Django's ALLOWED_HOSTS, split at commas or blanks: the name, "*", or ".example.com" for it and all below. */
static bool lists_host(struct gp_ctx *ctx, const char *value, const char *host)
{
	char *text = gp_strdup(ctx->arena, value), *rest = text, *part;

	while ((part = strsep(&rest, ", [](){}\"'"))) {
		if (strcasecmp(part, host) == 0 || gp_streq(part, "*"))
			return true;
		if (*part == '.' && strlen(host) >= strlen(part) - 1 && strcasecmp(host + strlen(host) - (strlen(part) - 1), part + 1) == 0)
			return true;
	}
	return false;
}

/* A key that is missing is a change; one that was derived from others which differ now needs a person: what is there stays. */
static void diff_key(struct gp_ctx *ctx, const struct gp_resource *resource, const struct gp_dotenv_key *key, const struct gp_dotenv *env,
	struct gp_changes *changes)
{
	const char *value = gp_dotenv_get(env, key->key);

	if (!value)
		gp_change_add(ctx, changes, '+', resource, "%s", key->key);
	else if (key->report && !gp_streq(value, key->value))
		gp_change_add(ctx, changes, '!', resource, "%s is '%.100s', the site's file says '%s'; what is there stays", key->key, value, key->value);
	else if (key->host && !lists_host(ctx, value, key->host))
		gp_change_add(ctx, changes, '!', resource, "%s is '%.100s', and %s is not in it: Django will answer 400", key->key, value, key->host);
	else if (key->derive && !gp_streq(value, key->derive(ctx, key->arg, get, env)))
		gp_change_add(ctx, changes, '!', resource, "%s does not agree with the other keys; take it out, and it is written anew", key->key);
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_dotenv_file *spec = resource->spec;
	struct gp_dotenv env;
	struct stat st;
	const char *text;
	int there;

	GP_TRY(there = read_env(ctx, resource->name, &text, &env, err));
	if (!there) {
		gp_change_add(ctx, changes, '+', resource, "%zu keys", spec->n);
		return 0;
	}
	for (size_t i = 0; i < spec->n; i++)
		diff_key(ctx, resource, &spec->keys[i], &env, changes);
	GP_TRY(gp_fs_lstat(resource->name, &st, err));
	return gp_owner_diff(ctx, resource, &st, spec->owner, spec->group, ENV_MODE, changes, err);
}

static const char *new_value(struct gp_ctx *ctx, const struct gp_dotenv_key *key, const struct gp_dotenv *env)
{
	if (key->secret_len)
		return gp_secret_new(ctx->arena, key->secret_len);
	if (key->derive)
		return key->derive(ctx, key->arg, get, env);
	return key->value;
}

/* A last line that is not ended (an open quote, a backslash) would swallow what is added: then the text so far and the text with
 * more would not agree on the old keys. */
static int still_says(struct gp_ctx *ctx, const struct gp_dotenv *before, const char *text, struct gp_error *err)
{
	struct gp_dotenv after;

	GP_TRY(gp_dotenv_parse(ctx->arena, text, strlen(text), &after, err));
	for (size_t i = 0; i < before->n; i++) {
		const char *value = gp_dotenv_get(&after, before->pairs[i].key);

		if (!value || !gp_streq(value, before->pairs[i].value)) {
			gp_fail(err, GP_E_CONFIG, "its last line is not finished (%s)", before->pairs[i].key);
			return gp_hint(err, "close the quote, or take the backslash at its end away");
		}
	}
	return 0;
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_dotenv_file *spec = resource->spec;
	GP_AUTO_BUF out = { 0 };
	struct gp_dotenv before, env;
	const char *text;
	uid_t uid;
	gid_t gid;

	GP_TRY(read_env(ctx, resource->name, &text, &before, err));
	env = before;
	gp_buf_puts(&out, text);
	if (*text && !gp_ends_with(text, "\n"))
		gp_buf_puts(&out, "\n");
	for (size_t i = 0; i < spec->n; i++) {
		if (gp_dotenv_get(&env, spec->keys[i].key))
			continue;
		gp_buf_puts(&out, gp_dotenv_line(ctx->arena, spec->keys[i].key, new_value(ctx, &spec->keys[i], &env)));
		/* Parsed anew, so that a derived value sees the keys before it. */
		GP_TRY_TO(err, gp_dotenv_parse(ctx->arena, gp_buf_str(&out), out.len, &env, err), "%s", resource->name);
		if (!gp_dotenv_get(&env, spec->keys[i].key)) {
			gp_fail(err, GP_E_CONFIG, "%s: its last line is not finished: it would swallow %s", resource->name, spec->keys[i].key);
			return gp_hint(err, "close the quote, or take the backslash at its end away");
		}
	}
	GP_TRY_TO(err, still_says(ctx, &before, gp_buf_str(&out), err), "%s", resource->name);
	GP_TRY(gp_owner_find(ctx, spec->owner, spec->group, &uid, &gid, err));
	return gp_fs_write(resource->name, gp_buf_str(&out), out.len, ENV_MODE, uid, gid, err);
}

const struct gp_resource_type gp_dotenv_type = { .name = "environment", .diff = diff, .apply = apply };

static int copy_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_dotenv_copy *spec = resource->spec;
	const char *text, *copy = "";
	struct gp_dotenv env;
	int there;

	GP_TRY(there = read_env(ctx, spec->from, &text, &env, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s", spec->from);
	GP_TRY(there = gp_fs_read_nofollow(ctx->arena, resource->name, GP_DOTENV_MAX, &copy, NULL, err));
	if (!there)
		gp_change_add(ctx, changes, '+', resource, "%s", "");
	else if (!gp_streq(text, copy))
		gp_change_add(ctx, changes, '~', resource, "%s has changed", spec->from);
	return 0;
}

int gp_dotenv_copy(struct gp_ctx *ctx, const char *from, const char *to, struct gp_error *err)
{
	struct gp_dotenv env;
	const char *text;
	int there;

	GP_TRY(there = read_env(ctx, from, &text, &env, err));
	if (!there)
		return gp_fail(err, GP_E_FAILED, "there is no %s", from);
	return gp_fs_write(to, text, strlen(text), ENV_MODE, 0, 0, err);
}

static int copy_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_dotenv_copy *spec = resource->spec;

	return gp_dotenv_copy(ctx, spec->from, resource->name, err);
}

const struct gp_resource_type gp_dotenv_copy_type = { .name = "environment", .diff = copy_diff, .apply = copy_apply };
