/* Resource types: a package repository of somebody else with its pinned key, and a package in a version from there. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "plan/owner.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/http.h"
#include "sys/openpgp.h"
#include "sys/pkg.h"

enum { SOURCES_MAX = 64 * 1024, LIST_MAX = 64 << 20, REDIRECTS_MAX = 5, KEY_TIMEOUT_MS = 30000 };

static const char lists[] = "/var/lib/apt/lists";

static const char *sources_text(struct gp_ctx *ctx, const struct gp_apt_source *spec)
{
	return gp_sprintf(ctx->arena,
		"# Written by goldpath: %s.\nTypes: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n", spec->label, spec->uri,
		spec->suite, spec->component, spec->key_path);
}

static bool is_in_place(struct gp_ctx *ctx, const char *path, const struct gp_apt_source *spec)
{
	const char *text;

	return gp_fs_read_nofollow(ctx->arena, path, SOURCES_MAX, &text, NULL, NULL) == 1 && gp_streq(text, sources_text(ctx, spec));
}

/* The key's file as it lies there; NULL: it is missing or no key. */
static const char *key_there(struct gp_ctx *ctx, const char *path)
{
	struct gp_openpgp_key key;
	const char *data;
	size_t len;

	if (gp_fs_read_nofollow(ctx->arena, path, GP_OPENPGP_MAX, &data, &len, NULL) != 1 ||
		gp_openpgp_read(ctx->arena, data, len, &key, NULL) < 0)
		return NULL;
	return key.fingerprint;
}

static int owner_diff(struct gp_ctx *ctx, const struct gp_resource *resource, const char *path, struct gp_changes *changes, struct gp_error *err)
{
	struct stat st;
	int there;

	GP_TRY(there = gp_fs_lstat(path, &st, err));
	return there ? gp_owner_diff(ctx, resource, &st, "root", "root", 0644, changes, err) : 0;
}

static int source_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_apt_source *spec = resource->spec;
	const char *fingerprint;

	if (!spec->key_url) {
		if (gp_fs_exists(resource->name) || gp_fs_exists(spec->key_path))
			gp_change_add(ctx, changes, '-', resource, "%s", "");
		return 0;
	}
	if (!gp_fs_exists(resource->name))
		gp_change_add(ctx, changes, '+', resource, "%s, %s", spec->label, spec->uri);
	else if (!is_in_place(ctx, resource->name, spec))
		gp_change_add(ctx, changes, '~', resource, "content");
	fingerprint = key_there(ctx, spec->key_path);
	if (!fingerprint || strcasecmp(fingerprint, spec->fingerprint) != 0)
		gp_change_add(ctx, changes, gp_fs_exists(spec->key_path) ? '~' : '+', resource, "its key, %s", spec->fingerprint);
	GP_TRY(owner_diff(ctx, resource, resource->name, changes, err));
	return owner_diff(ctx, resource, spec->key_path, changes, err);
}

/* Redirects may lead anywhere: what comes back is believed by its fingerprint. */
static int download(struct gp_ctx *ctx, const char *url, struct gp_http_answer *ret, struct gp_error *err)
{
	for (int i = 0; i < REDIRECTS_MAX; i++) {
		GP_TRY(gp_http_get(&(struct gp_http){ .url = url, .timeout_ms = KEY_TIMEOUT_MS, .body_max = GP_OPENPGP_MAX }, ctx->arena, ret, err));
		if (ret->status == 200)
			return 0;
		if (ret->status / 100 != 3 || !*ret->location)
			return gp_fail(err, GP_E_FAILED, "the answer is %d", ret->status);
		url = ret->location;
	}
	return gp_fail(err, GP_E_FAILED, "it redirects for ever");
}

static int fetch_key(struct gp_ctx *ctx, const struct gp_apt_source *spec, struct gp_openpgp_key *ret, struct gp_error *err)
{
	struct gp_http_answer answer;

	if (download(ctx, spec->key_url, &answer, err) < 0) {
		gp_context(err, "fetch the key of %s from %s", spec->label, spec->key_url);
		return gp_hint(err, "is that address reachable from here? `caddy: distribution` in host.yaml does without it");
	}
	GP_TRY_TO(err, gp_openpgp_read(ctx->arena, answer.body, answer.body_len, ret, err), "the key of %s, %s", spec->label, spec->key_url);
	if (strcasecmp(ret->fingerprint, spec->fingerprint) != 0) {
		gp_fail(err, GP_E_FAILED, "the key at %s is not the one of %s: its fingerprint is %s, not %s", spec->key_url, spec->label,
			ret->fingerprint, spec->fingerprint);
		return gp_hint(err, "nothing was written; find out whether the key was changed by its owner before you trust it");
	}
	return 0;
}

/* By the candidate alone, so that another repository that is down does not matter; then beside the others, without the network: apt
 * refuses all its work where two files name one repository with different keys. */
static int try_source(struct gp_ctx *ctx, const char *candidate, const struct gp_apt_source *spec, struct gp_error *err)
{
	if (gp_pkg_update_from(ctx, candidate, err) < 0) {
		gp_context(err, "read %s (%s)", spec->label, spec->uri);
		return gp_hint(err, "is it reachable from here? nothing was changed; `caddy: distribution` in host.yaml does without it");
	}
	if (gp_pkg_check_sources(ctx, candidate, err) < 0) {
		gp_context(err, "%s beside the other package sources", spec->label);
		return gp_hint(err, "where another file in /etc/apt/sources.list.d names %s, remove that one", spec->uri);
	}
	return 0;
}

static int put_in_place(struct gp_ctx *ctx, const char *path, const struct gp_apt_source *spec, struct gp_error *err)
{
	/* apt takes the format from the name's end. */
	const char *candidate = gp_sprintf(ctx->arena, "%s/candidate.sources", ctx->state_dir), *text = sources_text(ctx, spec);
	int tried;

	GP_TRY(gp_fs_write(candidate, text, strlen(text), 0644, 0, 0, err));
	tried = try_source(ctx, candidate, spec, err);
	gp_fs_remove(candidate, NULL);
	return tried < 0 ? -1 : gp_fs_write(path, text, strlen(text), 0644, 0, 0, err);
}

static int source_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_apt_source *spec = resource->spec;
	struct gp_openpgp_key key;
	const char *old = NULL;
	size_t old_len = 0;

	if (!spec->key_url) {
		GP_TRY(gp_fs_remove(resource->name, err));
		return gp_fs_remove(spec->key_path, err);
	}
	GP_TRY(fetch_key(ctx, spec, &key, err));
	GP_TRY(gp_fs_mkdirs(gp_strndup(ctx->arena, spec->key_path, (size_t)(strrchr(spec->key_path, '/') - spec->key_path)), err));
	(void)gp_fs_read_nofollow(ctx->arena, spec->key_path, GP_OPENPGP_MAX, &old, &old_len, NULL);
	GP_TRY(gp_fs_write(spec->key_path, key.packets, key.len, 0644, 0, 0, err));
	if (put_in_place(ctx, resource->name, spec, err) == 0)
		return 0;
	/* Nothing half done: the file that names the key is as it was, and so is the key. */
	if (old)
		gp_fs_write(spec->key_path, old, old_len, 0644, 0, 0, NULL);
	else
		gp_fs_remove(spec->key_path, NULL);
	return -1;
}

const struct gp_resource_type gp_apt_source_type = { .name = "package source", .diff = source_diff, .apply = source_apply };

/* ---- a package from there ------------------------------------------------------------------------------------------ */

/* How apt calls a repository's lists: the address without its scheme, '/' as '_', and what could be mistaken in hexadecimal. */
const char *gp_apt_list_name(struct gp_arena *arena, const struct gp_apt_source *source)
{
	const char *rest = strstr(source->uri, "://");
	GP_AUTO_BUF name = { 0 };
	size_t len;

	rest = rest ? rest + 3 : source->uri;
	len = strlen(rest);
	while (len && rest[len - 1] == '/')
		len--;
	for (size_t i = 0; i < len; i++) {
		if (rest[i] == '/')
			gp_buf_puts(&name, "_");
		else if (strchr("\\|{}[]<>\"^~_=!@#$%^&*", rest[i]))
			gp_buf_printf(&name, "%%%02x", (unsigned char)rest[i]);
		else
			gp_buf_add(&name, &rest[i], 1);
	}
	return gp_sprintf(arena, "%s_dists_%s_%s_binary-", gp_buf_str(&name), source->suite, source->component);
}

/* Is there "Version: VERSION" in a stanza that begins with "Package: NAME"? */
static bool lists_version(struct gp_arena *arena, const char *text, const char *name, const char *version)
{
	const char *package = gp_sprintf(arena, "Package: %s\n", name), *wanted = gp_sprintf(arena, "Version: %s\n", version);
	bool ours = false;

	for (const char *line = text; *line;) {
		const char *next = strchr(line, '\n');

		next = next ? next + 1 : line + strlen(line);
		if (gp_starts_with(line, "Package: "))
			ours = gp_starts_with(line, package);
		else if (ours && gp_starts_with(line, wanted))
			return true;
		line = next;
	}
	return false;
}

/* 1 the repository has it, 0 it has not, -1 not known: apt has read no lists, or keeps them compressed. */
static int has_version(struct gp_ctx *ctx, const struct gp_apt_source *source, const char *name, const char *version)
{
	const char *prefix = gp_apt_list_name(ctx->arena, source), *text;
	struct gp_strv names = { 0 };
	int answer = -1;

	if (gp_fs_list(ctx->arena, lists, &names, NULL) < 0)
		return -1;
	for (size_t i = 0; i < names.n && answer < 1; i++)
		if (gp_starts_with(names.v[i], prefix) && gp_ends_with(names.v[i], "_Packages") &&
			gp_fs_read(ctx->arena, gp_sprintf(ctx->arena, "%s/%s", lists, names.v[i]), LIST_MAX, &text, NULL, NULL) == 1)
			answer = lists_version(ctx->arena, text, name, version);
	return answer;
}

static int package_diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_apt_package *spec = resource->spec;
	const char *version;

	GP_TRY(gp_pkg_version(ctx->arena, resource->name, &version, err));
	if (!version)
		gp_change_add(ctx, changes, '+', resource, "from %s", spec->source->label);
	else if (!is_in_place(ctx, spec->source_path, spec->source) || has_version(ctx, spec->source, resource->name, version) == 0)
		gp_change_add(ctx, changes, '~', resource, "%s → from %s", version, spec->source->label);
	return 0;
}

static int package_apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	const struct gp_apt_package *spec = resource->spec;
	struct gp_strv names = { 0 };
	const char *version;

	GP_TRY(gp_pkg_version(ctx->arena, resource->name, &version, err));
	if (version && spec->before)
		GP_TRY(spec->before(ctx, err));
	if (has_version(ctx, spec->source, resource->name, "") < 0)
		GP_TRY(gp_pkg_update_from(ctx, spec->source_path, err));
	gp_strv_add(ctx->arena, &names, resource->name);
	return gp_pkg_install(ctx, &names, err);
}

const struct gp_resource_type gp_apt_package_type = { .name = "package", .diff = package_diff, .apply = package_apply };
