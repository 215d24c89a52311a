/* Resource types: uv in a venv of its own, and a user's SSH key. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { PIP_TIMEOUT_MS = 5 * 60 * 1000 };

/* What is installed says itself which version it is: the folder pip writes for it. */
static bool uv_is_there(struct gp_ctx *ctx, const char *folder, const char *version)
{
	return gp_fs_exists(gp_sprintf(ctx->arena, "%s/bin/uv", folder)) &&
		gp_fs_exists(gp_sprintf(ctx->arena, "%s/uv-%s.dist-info/RECORD", folder, version));
}

static int uv_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_uv *spec = resource->spec;

	(void)err;
	if (!uv_is_there(ctx, resource->name, spec->version))
		gp_change_add(ctx, changes, '+', resource, "%s", spec->version);
	return 0;
}

static const char *beside(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	return gp_sprintf(ctx->arena, "%s.new", resource->name);
}

/* A wheel with one binary in it needs no venv around it, which would take 3 s to make. */
static struct gp_proc pip(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	const struct gp_uv *spec = resource->spec;
	struct gp_strv argv = { 0 };
	const char *const words[] = { "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary",
		":all:", "--no-deps", "--no-cache-dir", "--target", beside(ctx, resource), gp_sprintf(ctx->arena, "uv==%s", spec->version) };
	static const char *const env[] = { "PIP_ROOT_USER_ACTION=ignore", "HOME=/root", NULL };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		gp_strv_add(ctx->arena, &argv, words[i]);
	return (struct gp_proc){ .argv = argv.v, .env = env, .timeout_ms = PIP_TIMEOUT_MS, .line = gp_tell_line, .arg = ctx };
}

/* 1.5 s, most of it the network's, in which the firewall and the services are seen to. */
static void uv_begin(struct gp_ctx *ctx, const struct gp_resource *resource)
{
	const struct gp_proc install = pip(ctx, resource);

	if (gp_fs_remove(beside(ctx, resource), NULL) == 0)
		(void)gp_proc_begin(&install, &ctx->beside_or_null, NULL);
}

/* What was begun may have failed for what was done meanwhile: then once more, and its word counts. */
static int uv_install(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_proc install = pip(ctx, resource);
	struct gp_proc_job *job = ctx->beside_or_null;
	GP_AUTO_RESULT result = { 0 };

	ctx->beside_or_null = NULL;
	if (job && gp_proc_end(job, &result, NULL) == 0 && result.status == 0)
		return 0;
	GP_TRY(gp_fs_remove(beside(ctx, resource), err));
	if (gp_proc_must(&install, NULL, err) < 0)
		return gp_hint(err, "without network or PyPI set `uv: false` in host.yaml: then pip installs, slower");
	return 0;
}

/* Built beside and renamed: one that is half there is never used. */
static int uv_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	GP_TRY(uv_install(ctx, resource, err));
	GP_TRY(gp_fs_remove(resource->name, err));
	if (rename(beside(ctx, resource), resource->name) < 0)
		return gp_fail_errno(err, errno, "rename %s", beside(ctx, resource));
	return gp_fs_sync_dir(ctx->state_dir, err);
}

const struct gp_resource_type gp_uv_type = { .name = "uv", .diff = uv_diff, .begin = uv_begin, .apply = uv_apply };

static int key_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(resource->name, &st, err));
	if (!there)
		gp_change_add(ctx, changes, '+', resource, "%s", "");
	return 0;
}

/* As the user, in the user's own home: root writes nothing there. */
static int key_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_ssh_key *spec = resource->spec;
	struct gp_account account;
	const char *folder = gp_strndup(ctx->arena, resource->name, (size_t)(strrchr(resource->name, '/') - resource->name));

	GP_TRY(gp_account_get(ctx->arena, spec->user, &account, err));
	GP_TRY(gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("mkdir", "-p", "-m", "0700", "--", folder), .as = &account }, NULL, err));
	return gp_proc_must(&(struct gp_proc){
		.argv = GP_ARGV("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", gp_sprintf(ctx->arena, "goldpath %s", spec->user), "-f",
			resource->name),
		.as = &account }, NULL, err);
}

const struct gp_resource_type gp_ssh_key_type = { .name = "ssh key", .diff = key_diff, .apply = key_apply };
