/* Debian packages. The status file is the documented database of dpkg (dpkg(1), FILES); reading it takes 2 ms, dpkg-query 20. */
#include "sys/pkg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/apt.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/proc.h"

enum { STATUS_MAX = 64 << 20, APT_TIMEOUT_MS = 20 * 60 * 1000, LISTS_MAX_AGE_S = 24 * 3600, LOCK_WAIT_MS = 120000 };

struct gp_pkg_db {
	struct gp_strv installed; /* sorted; provided names too */
	const char *broken;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "libfoo (= 1.2), bar" → libfoo, bar */
static void add_provides(struct gp_arena *arena, struct gp_strv *names, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		size_t n;

		text += strspn(text, ", ");
		n = strcspn(text, ", \n");
		if (n && text + n <= end)
			gp_strv_add(arena, names, gp_strndup(arena, text, n));
		text += n;
		while (text < end && *text != ',')
			text++;
	}
}

/* One stanza: fields start a line; Package comes first, Status tells, Provides adds names. */
static void read_stanza(struct gp_arena *arena, struct gp_pkg_db *db, const char *p, const char *end)
{
	const char *name = NULL, *provides = NULL;
	size_t name_len = 0, provides_len = 0;
	bool installed = false, broken = false;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p);

		if (len > 9 && memcmp(p, "Package: ", 9) == 0) {
			name = p + 9;
			name_len = len - 9;
		} else if (len > 8 && memcmp(p, "Status: ", 8) == 0) {
			/* "install ok installed": want, error flag, state */
			installed = memmem(p, len, " ok installed", 13) != NULL;
			broken = memmem(p, len, "half-", 5) || memmem(p, len, " unpacked", 9) || memmem(p, len, " reinstreq ", 11);
		} else if (len > 10 && memcmp(p, "Provides: ", 10) == 0) {
			provides = p + 10;
			provides_len = len - 10;
		}
		p += len + 1;
	}
	if (name && broken && !db->broken)
		db->broken = gp_strndup(arena, name, name_len);
	if (!name || !installed)
		return;
	gp_strv_add(arena, &db->installed, gp_strndup(arena, name, name_len));
	if (provides)
		add_provides(arena, &db->installed, provides, provides_len);
}

static int read_status(struct gp_arena *arena, const char **ret, size_t *ret_len, struct gp_error *err)
{
	const char *path = secure_getenv("GP_DPKG_STATUS");
	int found;

	if (!path)
		path = "/var/lib/dpkg/status";
	GP_TRY(found = gp_fs_read(arena, path, STATUS_MAX, ret, ret_len, err));
	if (found)
		return 0;
	gp_fail(err, GP_E_FAILED, "%s is missing: this is no Debian or Ubuntu host", path);
	return gp_hint(err, "goldpath serves Debian 12 and newer and Ubuntu 22.04 and newer");
}

int gp_pkg_open(struct gp_arena *arena, struct gp_pkg_db **ret, struct gp_error *err)
{
	GP_AUTO_ARENA file = gp_arena_new();
	struct gp_pkg_db *db = gp_alloc(arena, sizeof(*db));
	const char *text = NULL;
	size_t len = 0;

	GP_TRY(read_status(file, &text, &len, err));
	for (const char *p = text, *end = text + len; p < end;) {
		const char *gap = memmem(p, (size_t)(end - p), "\n\n", 2);
		const char *stop = gap ? gap + 1 : end;

		read_stanza(arena, db, p, stop);
		p = stop + 1;
	}
	if (db->installed.n)
		qsort(db->installed.v, db->installed.n, sizeof(*db->installed.v), by_name);
	*ret = db;
	return 0;
}

bool gp_pkg_installed(const struct gp_pkg_db *db, const char *name)
{
	return db->installed.n && bsearch(&name, db->installed.v, db->installed.n, sizeof(*db->installed.v), by_name) != NULL;
}

const char *gp_pkg_broken(const struct gp_pkg_db *db)
{
	return db->broken;
}

int gp_pkg_version(struct gp_arena *arena, const char *name, const char **ret, struct gp_error *err)
{
	GP_AUTO_ARENA file = gp_arena_new();
	const char *text = NULL, *head = gp_sprintf(file, "\nPackage: %s\n", name), *stanza, *end, *version;
	size_t len = 0;

	*ret = NULL;
	GP_TRY(read_status(file, &text, &len, err));
	text = gp_sprintf(file, "\n%s", text);
	stanza = strstr(text, head);
	if (!stanza)
		return 0;
	end = strstr(stanza + 1, "\n\n");
	stanza = end ? gp_strndup(file, stanza, (size_t)(end - stanza)) : stanza;
	version = strstr(stanza, "\nVersion: ");
	if (version && strstr(stanza, " ok installed"))
		*ret = gp_strndup(arena, version + strlen("\nVersion: "), strcspn(version + strlen("\nVersion: "), "\n"));
	return 0;
}

/* What was said while the lists were updated, so that a package that is missing for it can be explained. */
struct apt_run {
	struct gp_ctx *ctx;
	struct gp_strv unreachable;
};

static int apt(struct apt_run *run, const struct gp_strv *args, struct gp_proc_result *result, struct gp_error *err)
{
	struct gp_arena *arena = run->ctx->arena;
	struct gp_strv argv = { 0 };
	struct gp_proc proc = {
		.env = GP_ARGV("DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "APT_LISTCHANGES_FRONTEND=none", "HOME=/root"),
		.timeout_ms = APT_TIMEOUT_MS,
		.line = gp_tell_line,
		.arg = run->ctx,
		.may_gain_privileges = true, /* maintainer scripts use su and runuser */
	};
	const char *hint;

	GP_TRY(gp_apt_wait(run->ctx, "", LOCK_WAIT_MS, err));
	gp_strv_add(arena, &argv, "apt-get");
	gp_strv_add(arena, &argv, "-q");
	gp_strv_add(arena, &argv, "-oDPkg::Lock::Timeout=120"); /* for one that came in between */
	gp_strv_add(arena, &argv, "-oAcquire::Retries=3");
	for (size_t i = 0; i < args->n; i++)
		gp_strv_add(arena, &argv, args->v[i]);
	proc.argv = argv.v;
	if (gp_proc_must(&proc, result, err) == 0)
		return 0;
	hint = err ? gp_apt_hint(arena, err->detail, &run->unreachable) : NULL;
	return hint ? gp_hint(err, "%s", hint) : -1;
}

int gp_pkg_repair(struct gp_ctx *ctx, struct gp_error *err)
{
	const struct gp_proc configure = {
		.argv = GP_ARGV("dpkg", "--configure", "-a", "--force-confdef", "--force-confold"),
		.env = GP_ARGV("DEBIAN_FRONTEND=noninteractive"),
		.timeout_ms = APT_TIMEOUT_MS,
		.line = gp_tell_line,
		.arg = ctx,
		.may_gain_privileges = true,
	};
	struct apt_run run = { .ctx = ctx };
	struct gp_strv args = { 0 };

	/* dpkg itself does not wait for its lock. What it cannot configure (half installed) is apt's to install again: its word counts. */
	GP_TRY(gp_apt_wait(ctx, "", LOCK_WAIT_MS, err));
	gp_proc_must(&configure, NULL, NULL);
	gp_strv_add(ctx->arena, &args, "install");
	gp_strv_add(ctx->arena, &args, "--fix-broken");
	gp_strv_add(ctx->arena, &args, "-y");
	GP_TRY_TO(err, apt(&run, &args, NULL, err), "finish the interrupted installation");
	return 0;
}

/* apt-get update ends well though a source did not answer: its old lists, or none, are used. That is said, and not the end. */
static int update(struct apt_run *run, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv args = { 0 };

	gp_strv_add(run->ctx->arena, &args, "update");
	GP_TRY_TO(err, apt(run, &args, &result, err), "update the package lists");
	gp_apt_unreachable(run->ctx->arena, gp_buf_str(&result.err), &run->unreachable);
	for (size_t i = 0; i < run->unreachable.n; i++)
		gp_tell_warn(run->ctx, "a package source could not be read: %s", run->unreachable.v[i]);
	return 0;
}

static bool lists_are_old(void)
{
	struct stat st;

	return stat("/var/lib/apt/lists/partial", &st) < 0 || time(NULL) - st.st_mtime > LISTS_MAX_AGE_S;
}

static bool lists_have_grown_stale(const struct gp_error *err)
{
	return strstr(err->detail, "Unable to locate") || strstr(err->detail, "404") || strstr(err->detail, "no installation candidate");
}

int gp_pkg_install(struct gp_ctx *ctx, const struct gp_strv *names, struct gp_error *err)
{
	struct apt_run run = { .ctx = ctx };
	struct gp_strv args = { 0 };
	struct gp_error why = { 0 };
	bool fresh = lists_are_old();

	if (fresh)
		GP_TRY(update(&run, err));
	gp_strv_add(ctx->arena, &args, "install");
	gp_strv_add(ctx->arena, &args, "-y");
	gp_strv_add(ctx->arena, &args, "--no-install-recommends");
	/* A file of ours that a package brings a new version of stays ours. */
	gp_strv_add(ctx->arena, &args, "-oDpkg::Options::=--force-confdef");
	gp_strv_add(ctx->arena, &args, "-oDpkg::Options::=--force-confold");
	gp_strv_add(ctx->arena, &args, "--");
	for (size_t i = 0; i < names->n; i++)
		gp_strv_add(ctx->arena, &args, names->v[i]);
	if (apt(&run, &args, NULL, &why) == 0)
		return 0;
	/* Lists that have grown stale name versions that the mirror has no longer. */
	if (fresh || !lists_have_grown_stale(&why)) {
		if (err)
			*err = why;
		return gp_context(err, "install packages");
	}
	GP_TRY(update(&run, err));
	GP_TRY_TO(err, apt(&run, &args, NULL, err), "install packages");
	return 0;
}

int gp_pkg_update_from(struct gp_ctx *ctx, const char *sources_path, struct gp_error *err)
{
	struct apt_run run = { .ctx = ctx };
	struct gp_strv args = { 0 };

	gp_strv_add(ctx->arena, &args, "update");
	gp_strv_add(ctx->arena, &args, gp_sprintf(ctx->arena, "-oDir::Etc::sourcelist=%s", sources_path));
	gp_strv_add(ctx->arena, &args, "-oDir::Etc::sourceparts=/dev/null");
	gp_strv_add(ctx->arena, &args, "-oAPT::Get::List-Cleanup=0");    /* the lists of the others stay */
	gp_strv_add(ctx->arena, &args, "-oAPT::Update::Error-Mode=any"); /* else a server that is down is a warning */
	return apt(&run, &args, NULL, err);
}

int gp_pkg_check_sources(struct gp_ctx *ctx, const char *sources_path, struct gp_error *err)
{
	return gp_proc_must(&(struct gp_proc){
		.argv = GP_ARGV("apt-get", "indextargets", gp_sprintf(ctx->arena, "-oDir::Etc::sourcelist=%s", sources_path)) }, NULL, err);
}
