/* Resource type: the host itself. Nothing is applied: what would make a run fail half-way is an error before anything is changed, and
 * what only a person can mend is told. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pkg.h"

enum { NEED_MB = 500, TEXT_MAX = 1 << 20, MB = 1000 * 1000 };

static const char *below(struct gp_ctx *ctx, const struct gp_host_check *spec, const char *path)
{
	return gp_sprintf(ctx->arena, "%s%s", spec->root, path);
}

/* The first package that is not there, or NULL. */
static int missing(struct gp_ctx *ctx, const struct gp_host_check *spec, const char **ret, struct gp_error *err)
{
	struct gp_pkg_db *db;

	*ret = NULL;
	GP_TRY(gp_pkg_open(ctx->arena, &db, err));
	for (size_t i = 0; i < spec->packages->n && !*ret; i++)
		if (!gp_pkg_installed(db, spec->packages->v[i]))
			*ret = spec->packages->v[i];
	return 0;
}

static int check_writable(struct gp_ctx *ctx, const struct gp_host_check *spec, struct gp_error *err)
{
	static const char *const paths[] = { "/", "/etc", "/var" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *path = below(ctx, spec, paths[i]);
		struct statvfs st;

		if (statvfs(path, &st) < 0)
			return gp_fail_errno(err, errno, "look at %s", path);
		if (st.f_flag & ST_RDONLY) {
			gp_fail(err, GP_E_FAILED, "%s is mounted read-only: nothing was changed", paths[i]);
			return gp_hint(err, "the kernel does that after a disk error: `dmesg | grep -i remount`, `findmnt %s`", paths[i]);
		}
	}
	return 0;
}

/* The baseline takes some 450 MB on a bare host. Asked first, because it is cheap, where there is little room. */
static int check_space(struct gp_ctx *ctx, const struct gp_host_check *spec, struct gp_error *err)
{
	static const char *const paths[] = { "/", "/var", "/var/cache/apt/archives" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *path = below(ctx, spec, paths[i]), *package;
		uint64_t bytes, inodes;

		if (!gp_fs_exists(path))
			continue;
		GP_TRY(gp_fs_free(path, &bytes, &inodes, err));
		if (bytes >= (uint64_t)NEED_MB * MB)
			continue;
		GP_TRY(missing(ctx, spec, &package, err));
		if (!package)
			return 0;
		gp_fail(err, GP_E_FAILED, "only %llu MB are free on %s, and packages (%s) need up to %d MB: nothing was changed",
			(unsigned long long)(bytes / MB), paths[i], package, NEED_MB);
		return gp_hint(err, "`df -h %s`; `apt-get clean` and `journalctl --vacuum-size=100M` free some", paths[i]);
	}
	return 0;
}

static int check_clock(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_host_check *spec = resource->spec;
	int64_t now = gp_now();
	const char *package;

	if (now >= spec->born)
		return 0;
	GP_TRY(missing(ctx, spec, &package, err));
	if (!package) {
		gp_change_add(ctx, changes, '!', resource, "its clock says %s, which is before goldpath was built: see `timedatectl`",
			gp_rfc3339(ctx->arena, now));
		return 0;
	}
	gp_fail(err, GP_E_FAILED, "the clock says %s, which is before goldpath was built: packages cannot be verified",
		gp_rfc3339(ctx->arena, now));
	return gp_hint(err, "`timedatectl` shows what keeps the clock; `timedatectl set-time 'YYYY-MM-DD hh:mm:ss'` sets it");
}

/* A word in a line of a file that does not begin a comment. */
static bool has_word(struct gp_ctx *ctx, const char *path, const char *first, const char *word)
{
	const char *text = "";
	struct gp_strv lines;

	if (gp_fs_read(ctx->arena, path, TEXT_MAX, &text, NULL, NULL) != 1)
		return false;
	lines = gp_lines(ctx->arena, text);
	for (size_t i = 0; i < lines.n; i++) {
		const char *code = gp_strndup(ctx->arena, lines.v[i], strcspn(lines.v[i], "#"));
		struct gp_strv words = gp_words(ctx->arena, code);

		if (words.n && (!first || gp_streq(words.v[0], first)) && gp_strv_has(&words, word))
			return true;
	}
	return false;
}

/* sudo looks the host's own name up: where nothing near knows it, every sudo waits for DNS. */
static void check_name(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes)
{
	const struct gp_host_check *spec = resource->spec;

	if (!has_word(ctx, below(ctx, spec, "/etc/hosts"), NULL, resource->name) &&
		!has_word(ctx, below(ctx, spec, "/etc/nsswitch.conf"), "hosts:", "myhostname"))
		gp_change_add(ctx, changes, '!', resource, "its own name is not in /etc/hosts, sudo waits for DNS: add '127.0.1.1 %s'",
			resource->name);
}

static int diff(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err)
{
	const struct gp_host_check *spec = resource->spec;

	GP_TRY(check_writable(ctx, spec, err));
	GP_TRY(check_space(ctx, spec, err));
	GP_TRY(check_clock(ctx, resource, changes, err));
	check_name(ctx, resource, changes);
	if (gp_fs_exists(below(ctx, spec, "/run/reboot-required")))
		gp_change_add(ctx, changes, '!', resource, "a reboot is required (/run/reboot-required)");
	return 0;
}

/* Only ever asked for something to apply: there is nothing. */
static int apply(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_error *err)
{
	(void)ctx, (void)resource, (void)err;
	return 0;
}

const struct gp_resource_type gp_host_check_type = { .name = "host", .diff = diff, .apply = apply };
