/*
 * Resource type: keys in a user's authorized_keys. Read and written as that user: the home folder is theirs, and what they laid there
 * leads no further than they could go themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sshkey.h"
#include "plan/types.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"

enum { KEYS_MAX = 1 << 20, BLOB_END = 8 };

struct home {
	struct gp_account account;
	const char *folder, *path, *text; /* text "" while there is no file */
	struct stat folder_st, file_st;
	bool has_folder, has_file;
};

static int look(struct gp_ctx *ctx, const char *path, const char *folder, struct home *ret, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	int there;

	GP_TRY(gp_account_assume(&ret->account, &was, err));
	ret->path = path;
	ret->folder = folder;
	ret->text = "";
	GP_TRY(there = gp_fs_lstat(folder, &ret->folder_st, err));
	ret->has_folder = there;
	GP_TRY(there = gp_fs_lstat(path, &ret->file_st, err));
	ret->has_file = there;
	if (there && gp_fs_read(ctx->arena, path, KEYS_MAX, &ret->text, NULL, err) < 0)
		return gp_hint(err, "%s cannot read it, so sshd does not either: chown -R %s: %s", ret->account.name, ret->account.name, folder);
	return 0;
}

static int read_home(struct gp_ctx *ctx, const struct gp_resource *resource, struct home *ret, struct gp_error *err)
{
	const struct gp_authorized_keys *spec = resource->spec;
	const char *folder = gp_strndup(ctx->arena, resource->name, (size_t)(strrchr(resource->name, '/') - resource->name));

	*ret = (struct home){ 0 };
	GP_TRY(gp_account_get(ctx->arena, spec->user, &ret->account, err));
	return look(ctx, resource->name, folder, ret, err);
}

/* Once means: an owner who takes those keys away again is not overruled. Written before and after, as a run may end in between. */
enum copied { NOT_COPIED, COPYING, COPIED };

static const char *marker_path(struct gp_ctx *ctx)
{
	return gp_sprintf(ctx->arena, "%s/root-keys-copied", ctx->state_dir);
}

static enum copied marker(struct gp_ctx *ctx)
{
	const char *text;

	if (gp_fs_read(ctx->arena, marker_path(ctx), 64, &text, NULL, NULL) != 1)
		return NOT_COPIED;
	return gp_streq(text, "copying\n") ? COPYING : COPIED;
}

static int mark(struct gp_ctx *ctx, const char *text, struct gp_error *err)
{
	return gp_fs_write(marker_path(ctx), text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

/* Those that let root in without conditions: clouds put a key there that only prints "log in as ubuntu". */
static void root_keys(struct gp_ctx *ctx, struct gp_strv *ret)
{
	struct gp_account root;
	struct gp_strv lines;
	struct gp_sshkey key;
	const char *text;

	if (gp_account_find(ctx->arena, "root", &root, NULL) != 1 ||
		gp_fs_read(ctx->arena, gp_sprintf(ctx->arena, "%s/.ssh/authorized_keys", root.home), KEYS_MAX, &text, NULL, NULL) != 1)
		return;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++)
		if (gp_sshkey_parse(ctx->arena, lines.v[i], &key) && gp_sshkey_unrestricted(ctx->arena, &key))
			gp_strv_add(ctx->arena, ret, gp_trim(ctx->arena, lines.v[i]));
}

static bool has_key(struct gp_ctx *ctx, const char *text, const char *wanted)
{
	struct gp_strv lines = gp_lines(ctx->arena, text);
	struct gp_sshkey want, is;

	if (!gp_sshkey_parse(ctx->arena, wanted, &want))
		return true; /* not one that could be added */
	for (size_t i = 0; i < lines.n; i++)
		if (gp_sshkey_parse(ctx->arena, lines.v[i], &is) && gp_streq(is.type, want.type) && gp_streq(is.blob, want.blob))
			return true;
	return false;
}

/* What has to be added. *ret_copy: it is root's. */
static struct gp_strv missing(struct gp_ctx *ctx, const struct gp_authorized_keys *spec, const struct home *home, bool *ret_copy)
{
	struct gp_strv wanted = spec->keys, found = { 0 };

	*ret_copy = !spec->keys.n && !home->has_file && marker(ctx) != COPIED;
	if (*ret_copy)
		root_keys(ctx, &wanted);
	for (size_t i = 0; i < wanted.n; i++)
		if (!has_key(ctx, home->text, wanted.v[i]))
			gp_strv_add(ctx->arena, &found, wanted.v[i]);
	return found;
}

static void say_keys(struct gp_ctx *ctx, const struct gp_resource *resource, const struct gp_strv *keys, bool copy,
	struct gp_changes *changes)
{
	for (size_t i = 0; i < keys->n; i++) {
		struct gp_sshkey key;
		size_t len;

		if (!gp_sshkey_parse(ctx->arena, keys->v[i], &key))
			continue;
		len = strlen(key.blob);
		gp_change_add(ctx, changes, '+', resource, "%s …%s%s%s%s", key.type, key.blob + (len > BLOB_END ? len - BLOB_END : 0),
			*key.comment ? " " : "", key.comment, copy ? ", which is root's" : "");
	}
}

static bool mode_differs(const struct home *home, bool has, const struct stat *st, mode_t mode)
{
	/* One that is root's, or leads elsewhere, is not the user's to change. */
	return has && !S_ISLNK(st->st_mode) && st->st_uid == home->account.uid && (st->st_mode & 07777) != mode;
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	struct gp_strv keys;
	struct home home;
	bool copy;

	GP_TRY(read_home(ctx, resource, &home, err));
	keys = missing(ctx, resource->spec, &home, &copy);
	say_keys(ctx, resource, &keys, copy, changes);
	if (mode_differs(&home, home.has_folder, &home.folder_st, 0700))
		gp_change_add(ctx, changes, '~', resource, "mode of its folder %04o → 0700", home.folder_st.st_mode & 07777);
	if (mode_differs(&home, home.has_file, &home.file_st, 0600))
		gp_change_add(ctx, changes, '~', resource, "mode %04o → 0600", home.file_st.st_mode & 07777);
	if (home.has_file && marker(ctx) == COPYING)
		gp_change_add(ctx, changes, '~', resource, "note that root's keys have been copied");
	return 0;
}

static void fresh(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct home home = { .text = "" };
	bool copy;
	struct gp_strv keys = missing(ctx, resource->spec, &home, &copy);

	say_keys(ctx, resource, &keys, copy, changes);
}

static int set_mode(const char *path, mode_t mode, struct gp_error *err)
{
	GP_AUTO_FD fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, mode) < 0)
		return gp_fail_errno(err, errno, "set the mode of %s", path);
	return 0;
}

static int write_as_user(struct gp_ctx *ctx, const struct home *home, const struct gp_strv *keys, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	const char *text = home->text;

	GP_TRY(gp_account_assume(&home->account, &was, err));
	if (keys->n && !home->has_folder)
		GP_TRY(gp_fs_mkdir(home->folder, 0700, (uid_t)-1, (gid_t)-1, err));
	if (mode_differs(home, home->has_folder, &home->folder_st, 0700))
		GP_TRY(set_mode(home->folder, 0700, err));
	if (mode_differs(home, home->has_file, &home->file_st, 0600))
		GP_TRY(set_mode(home->path, 0600, err));
	if (!keys->n)
		return 0;
	text = gp_sprintf(ctx->arena, "%s%s%s\n", text, *text && !gp_ends_with(text, "\n") ? "\n" : "",
		gp_strv_join(ctx->arena, keys, "\n"));
	return gp_fs_write(home->path, text, strlen(text), 0600, (uid_t)-1, (gid_t)-1, err);
}

static int refuse_links(const struct home *home, struct gp_error *err)
{
	bool folder = home->has_folder && S_ISLNK(home->folder_st.st_mode);

	if (!folder && !(home->has_file && S_ISLNK(home->file_st.st_mode)))
		return 0;
	gp_fail(err, GP_E_REFUSED, "%s is a symlink, which is not followed here", folder ? home->folder : home->path);
	return gp_hint(err, "add the key where it leads, or put a %s in its place", folder ? "folder" : "file");
}

static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	struct gp_strv keys;
	struct home home;
	bool copy;

	GP_TRY(read_home(ctx, resource, &home, err));
	keys = missing(ctx, resource->spec, &home, &copy);
	if (keys.n)
		GP_TRY(refuse_links(&home, err));
	if (copy && keys.n)
		GP_TRY(mark(ctx, "copying\n", err));
	GP_TRY(write_as_user(ctx, &home, &keys, err));
	return marker(ctx) == COPYING ? mark(ctx, "done\n", err) : 0;
}

const struct gp_resource_type gp_authorized_keys_type = { .name = "authorized keys", .diff = diff, .fresh = fresh, .apply = apply };
