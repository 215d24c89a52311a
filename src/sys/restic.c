/* The command lines, and what comes back. */
#include "sys/restic.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, SAID_MAX = 16 << 20, SNAPSHOTS_MAX = 10000, TEXT_MAX = 4096, ID = 64, SHORT_ID = 8, SPEECHLESS_MAX = 6 };

/*
 * As root, for the files of a site are of three users; but with no right of root's than to read them: in the view that it has, only its
 * repository and its cache can be written to, and they are root's own.
 */
#define AS_READER "setpriv", "--inh-caps=-all", "--bounding-set=-all,+dac_read_search"
#define KEYS_HINT "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are in the file SLUG.offsite beside the site's own"
/* What is brought back gets its owner again. */
#define AS_WRITER "setpriv", "--inh-caps=-all", "--bounding-set=-all,+dac_read_search,+dac_override,+chown,+fowner,+fsetid"

/* ---- running ---------------------------------------------------------------------------------------------------------- */

static void add_all(struct gp_arena *arena, struct gp_strv *to, const char *const *words)
{
	for (; *words; words++)
		gp_strv_add(arena, to, *words);
}

/* user@host as ssh has it, from sftp:user@host:path and sftp://user@host:port/path; NULL: it is no such repository. */
static const char *ssh_host(const struct gp_restic *r, const char **ret_port)
{
	const char *at = r->repository;
	size_t len;

	*ret_port = NULL;
	if (!gp_starts_with(at, "sftp:"))
		return NULL;
	at += strlen("sftp:");
	at += gp_starts_with(at, "//") ? 2 : 0;
	len = strcspn(at, ":/");
	if (at[len] == ':' && gp_starts_with(r->repository, "sftp://"))
		*ret_port = gp_strndup(r->arena, at + len + 1, strcspn(at + len + 1, "/"));
	return gp_strndup(r->arena, at, len);
}

/* ssh never asks, and notices when the other end is gone. restic cuts the text into words itself; there is no shell, and no blank in it. */
static void add_transport(const struct gp_restic *r, struct gp_strv *argv)
{
	const char *port, *host = ssh_host(r, &port);

	if (!host)
		return;
	gp_strv_add(r->arena, argv, "-o");
	gp_strv_add(r->arena, argv, gp_sprintf(r->arena, "sftp.command=ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 "
		"-o ServerAliveCountMax=4%s%s %s -s sftp", port ? " -p " : "", port ? port : "", host));
}

static int missing(struct gp_error *err)
{
	gp_fail(err, GP_E_CONFIG, "restic is not installed");
	return gp_hint(err, "`goldpath provision` installs it where `backup.offsite` in a site's file is set");
}

static bool said(const struct gp_proc_result *result, const char *words)
{
	return strstr(gp_buf_str(&result->err), words);
}

/* The words of restic, ssh and S3 that have an answer. The first that is found counts. */
static const struct known {
	const char *said;
	enum gp_error_kind kind;
	const char *words, *hint; /* NULL: it is about the password */
} known[] = {
	{ "wrong password or no key found", GP_E_CONFIG, "has another password than the one in ", NULL },
	{ "already locked", GP_E_LOCKED, "is in use by somebody else", "its timer tries again; where nobody is, `restic unlock`" },
	{ "unable to create lock", GP_E_LOCKED, "cannot be locked", "is it in use, or may nothing be written there?" },
	{ "Host key verification failed", GP_E_CONFIG, "is on a host that root's ssh does not know", "once, by hand, as root: ssh to it" },
	{ "Permission denied (publickey", GP_E_CONFIG, "is on a host that does not let root's key in",
		"a key in /root/.ssh, and its .pub there" },
	{ "bucket does not exist", GP_E_CONFIG, "is in a bucket that is not there", "is it the right one? Has somebody deleted it?" },
	{ "Access Key Id you provided does not exist", GP_E_CONFIG, "does not know the access key", KEYS_HINT },
	{ "signature we calculated does not match", GP_E_CONFIG, "does not take the secret access key", KEYS_HINT },
	{ "Access Denied", GP_E_CONFIG, "does not let the access key in", KEYS_HINT },
	{ "already contains keys", GP_E_FAILED, "is half made", "where there is nothing else in it, empty it; the next run makes it again" },
	{ "no space left on device", GP_E_FAILED, "is on a disk that is full", "make room there: df -h" },
};

static const struct known *find_known(const struct gp_proc_result *result)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (said(result, known[i].said))
			return &known[i];
	return NULL;
}

static bool explain(const struct gp_restic *r, const struct gp_proc_result *result, struct gp_error *err)
{
	const struct known *k = find_known(result);

	if (!k)
		return false;
	gp_fail(err, k->kind, "the repository %s %s%s", r->repository, k->words, k->hint ? "" : r->password_file);
	gp_detail(err, gp_buf_str(&result->err), result->err.len);
	gp_hint(err, "%s", k->hint ? k->hint : "put the repository's own password into that file");
	return true;
}

static int failed(const struct gp_restic *r, const struct gp_proc *proc, const struct gp_proc_result *result, struct gp_error *err)
{
	if (explain(r, result, err))
		return -1;
	gp_proc_fail(proc, result, err);
	return gp_context(err, "the repository %s", r->repository);
}

/* One time in six restic ends before it has passed on what ssh said. Nothing was done by then, and why is worth another try. */
static bool is_speechless(const struct gp_proc_result *result)
{
	return result->status > 0 && said(result, "unable to start the sftp session") && !said(result, "subprocess ssh");
}

static int run(const struct gp_restic *r, const char *const *as, const char *const *words, const struct gp_strv *more, int64_t timeout_ms,
	struct gp_proc *proc, struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_strv argv = { 0 };

	if (!gp_proc_have("restic"))
		return missing(err);
	add_all(r->arena, &argv, as);
	add_all(r->arena, &argv, GP_ARGV("restic", "--repo", r->repository, "--password-file", r->password_file));
	add_transport(r, &argv);
	add_all(r->arena, &argv, words);
	for (size_t i = 0; more && i < more->n; i++)
		gp_strv_add(r->arena, &argv, more->v[i]);
	proc->argv = argv.v;
	proc->name = "restic";
	proc->timeout_ms = timeout_ms;
	proc->output_max = SAID_MAX;
	proc->umask = 077;
	for (int i = 1;; i++) {
		/* It says why it tries again, until its time is over. */
		if (gp_proc_run(proc, ret, err) < 0)
			return explain(r, ret, err) ? -1 : gp_context(err, "the repository %s", r->repository);
		if (i == SPEECHLESS_MAX || !is_speechless(ret))
			return 0;
		gp_proc_result_free(ret);
	}
}

static int must(const struct gp_restic *r, const char *const *as, const char *const *words, const struct gp_strv *more, int64_t timeout_ms,
	struct gp_proc_result *ret, struct gp_error *err)
{
	struct gp_proc proc = r->base;

	GP_TRY(run(r, as, words, more, timeout_ms, &proc, ret, err));
	return ret->status == 0 ? 0 : failed(r, &proc, ret, err);
}

/* ---- the repository --------------------------------------------------------------------------------------------------- */

int gp_restic_find(const struct gp_restic *r, struct gp_error *err)
{
	enum { NO_REPOSITORY = 10 }; /* since restic 0.17 */
	GP_AUTO_RESULT result = { 0 };
	struct gp_proc proc = r->base;

	GP_TRY(run(r, GP_ARGV(AS_READER), GP_ARGV("cat", "config", "--no-lock"), NULL, 3 * MINUTE, &proc, &result, err));
	if (result.status == 0)
		return 1;
	if (result.status == NO_REPOSITORY || said(&result, "Is there a repository at the following location"))
		return 0;
	return failed(r, &proc, &result, err);
}

int gp_restic_init(const struct gp_restic *r, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_proc proc = r->base;

	GP_TRY(run(r, GP_ARGV(AS_READER), GP_ARGV("init"), NULL, 5 * MINUTE, &proc, &result, err));
	if (result.status == 0)
		return 1;
	/* until restic 0.16; since 0.17 */
	if (said(&result, "config file already exists") || said(&result, "config already initialized"))
		return 0;
	return failed(r, &proc, &result, err);
}

int gp_restic_unlock(const struct gp_restic *r, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	return must(r, GP_ARGV(AS_READER), GP_ARGV("unlock", "--remove-all"), NULL, 5 * MINUTE, &result, err);
}

/* ---- a snapshot ------------------------------------------------------------------------------------------------------- */

static const char *text_of(struct gp_arena *arena, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	char *copy;

	if (!json_is_string(value) || json_string_length(value) > TEXT_MAX)
		return "";
	copy = gp_strdup(arena, json_string_value(value));
	gp_tame(copy, strlen(copy), "");
	return copy;
}

static uint64_t number_of(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

bool gp_restic_read_done(struct gp_arena *arena, const char *text, struct gp_restic_done *ret)
{
	json_auto_t *object = json_loads(gp_last_line(arena, text), 0, NULL);

	if (!gp_streq(text_of(arena, object, "message_type"), "summary"))
		return false;
	*ret = (struct gp_restic_done){
		.snapshot = gp_sprintf(arena, "%.*s", SHORT_ID, text_of(arena, object, "snapshot_id")),
		.files = number_of(object, "total_files_processed"),
		.bytes = number_of(object, "total_bytes_processed"),
		.added = number_of(object, "data_added"),
		.why = "",
	};
	return *ret->snapshot != '\0';
}

/* {"message_type":"error","error":{"message":…},"item":…}, one line each on stderr. */
static void count_unread(struct gp_arena *arena, const char *text, struct gp_restic_done *done)
{
	struct gp_strv lines = gp_lines(arena, text);

	for (size_t i = 0; i < lines.n; i++) {
		json_auto_t *object = json_loads(lines.v[i], 0, NULL);

		if (!gp_streq(text_of(arena, object, "message_type"), "error"))
			continue;
		if (!done->unread++)
			done->why = text_of(arena, object, "item");
	}
}

static struct gp_strv tag_words(struct gp_arena *arena, const struct gp_strv *tags, const struct gp_strv *paths)
{
	struct gp_strv words = { 0 };

	for (size_t i = 0; i < tags->n; i++) {
		gp_strv_add(arena, &words, "--tag");
		gp_strv_add(arena, &words, tags->v[i]);
	}
	gp_strv_add(arena, &words, "--");
	for (size_t i = 0; i < paths->n; i++)
		gp_strv_add(arena, &words, paths->v[i]);
	return words;
}

int gp_restic_backup(const struct gp_restic *r, const char *host, const struct gp_strv *tags, const struct gp_strv *paths,
	struct gp_restic_done *ret, struct gp_error *err)
{
	enum { INCOMPLETE = 3 };
	const struct gp_strv more = tag_words(r->arena, tags, paths);
	GP_AUTO_RESULT result = { 0 };
	struct gp_proc proc = r->base;

	/* Parts of files that are being written have such names. */
	GP_TRY(run(r, GP_ARGV(AS_READER), GP_ARGV("backup", "--json", "--host", host, "--exclude", ".goldpath-*"), &more, 12 * HOUR, &proc, &result,
		err));
	if ((result.status != 0 && result.status != INCOMPLETE) || !gp_restic_read_done(r->arena, gp_buf_str(&result.out), ret))
		return failed(r, &proc, &result, err);
	count_unread(r->arena, gp_buf_str(&result.err), ret);
	ret->unread += result.status == INCOMPLETE && !ret->unread;
	return 0;
}

int gp_restic_forget(const struct gp_restic *r, const char *host, const char *tag, int64_t daily, int64_t weekly, int64_t monthly,
	struct gp_error *err)
{
	const char *const days = gp_sprintf(r->arena, "%lld", (long long)daily), *const weeks = gp_sprintf(r->arena, "%lld", (long long)weekly),
		*const months = gp_sprintf(r->arena, "%lld", (long long)monthly);
	GP_AUTO_RESULT result = { 0 };

	/* --keep-within: what is younger than a day stays, as in the folder. */
	return must(r, GP_ARGV(AS_READER), GP_ARGV("forget", "--prune", "--host", host, "--tag", tag, "--group-by", "host", "--keep-last", "1",
		"--keep-within", "1d", "--keep-daily", days, "--keep-weekly", weeks, "--keep-monthly", months), NULL, 6 * HOUR, &result, err);
}

int gp_restic_check(const struct gp_restic *r, int part, int parts, struct gp_error *err)
{
	const char *subset = gp_sprintf(r->arena, "--read-data-subset=%d/%d", part, parts);
	GP_AUTO_RESULT result = { 0 };
	int done = must(r, GP_ARGV(AS_READER), GP_ARGV("check", subset), NULL, 6 * HOUR, &result, err);

	/* It came to its end, and has found something: it was not cut off. */
	if (done < 0 && err && said(&result, "repository contains errors")) {
		err->kind = GP_E_CHECK;
		gp_hint(err, "something of it is damaged or gone: `restic check` says what; begin a new one somewhere else, and look after the disk");
	}
	return done;
}

/* ---- what is there ------------------------------------------------------------------------------------------------------ */

/* "2026-11-21T17:50:00.123456789+01:00" */
static int64_t time_of(const char *text)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int hours, minutes;
	int64_t when;

	if (!rest)
		return 0;
	when = (int64_t)timegm(&tm);
	rest += *rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0;
	if ((*rest == '+' || *rest == '-') && sscanf(rest + 1, "%2d:%2d", &hours, &minutes) == 2)
		when -= (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return when;
}

static int newest_first(const void *a, const void *b)
{
	const struct gp_restic_snapshot *one = a, *other = b;

	return (one->when < other->when) - (one->when > other->when);
}

static bool is_id(const char *text)
{
	return strlen(text) == ID && strspn(text, "0123456789abcdef") == ID;
}

int gp_restic_read_snapshots(struct gp_arena *arena, const char *text, size_t len, struct gp_restic_snapshots *ret, struct gp_error *err)
{
	json_auto_t *list = json_loadb(text, len, JSON_DECODE_ANY, NULL); /* null: none, in old versions */
	size_t n = json_array_size(list);

	if (!(json_is_array(list) || json_is_null(list)) || n > SNAPSHOTS_MAX)
		return gp_fail(err, GP_E_FAILED, "what restic says of its snapshots is not understood");
	ret->v = gp_alloc_array(arena, n + 1, sizeof(*ret->v));
	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *object = json_array_get(list, i);
		const char *id = text_of(arena, object, "id");

		if (!is_id(id))
			return gp_fail(err, GP_E_FAILED, "what restic says of its snapshots is not understood");
		ret->v[ret->n++] = (struct gp_restic_snapshot){ .id = id, .when = time_of(text_of(arena, object, "time")) };
	}
	qsort(ret->v, ret->n, sizeof(*ret->v), newest_first);
	return 0;
}

int gp_restic_snapshots(const struct gp_restic *r, const char *tag, struct gp_restic_snapshots *ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };

	GP_TRY(must(r, GP_ARGV(AS_READER), GP_ARGV("snapshots", "--json", "--no-lock", "--tag", tag), NULL, 10 * MINUTE, &result, err));
	return gp_restic_read_snapshots(r->arena, gp_buf_str(&result.out), result.out.len, ret, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int gp_restic_list(const struct gp_restic *r, const char *id, const char *folder, struct gp_strv *ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv lines, names = { 0 };

	GP_TRY(must(r, GP_ARGV(AS_READER), GP_ARGV("ls", "--json", "--no-lock", id, folder), NULL, 30 * MINUTE, &result, err));
	lines = gp_lines(r->arena, gp_buf_str(&result.out));
	for (size_t i = 0; i < lines.n; i++) {
		json_auto_t *object = json_loads(lines.v[i], 0, NULL);
		const char *name = text_of(r->arena, object, "name");

		if (gp_streq(text_of(r->arena, object, "type"), "file") &&
			gp_streq(text_of(r->arena, object, "path"), gp_sprintf(r->arena, "%s/%s", folder, name)))
			gp_strv_add(r->arena, &names, name);
	}
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_text);
	*ret = names;
	return 0;
}

int gp_restic_dump(const struct gp_restic *r, const char *id, const char *path, int fd, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_restic to = *r;

	to.base.out_fd = fd;
	GP_TRY_TO(err, must(&to, GP_ARGV(AS_READER), GP_ARGV("dump", "--no-lock", id, path), NULL, 12 * HOUR, &result, err), "bring back %s", path);
	return 0;
}

int gp_restic_restore(const struct gp_restic *r, const char *id, const struct gp_strv *paths, const char *to, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv more = { 0 };

	for (size_t i = 0; i < paths->n; i++) {
		gp_strv_add(r->arena, &more, "--include");
		gp_strv_add(r->arena, &more, paths->v[i]);
	}
	GP_TRY_TO(err, must(r, GP_ARGV(AS_WRITER), GP_ARGV("restore", id, "--no-lock", "--target", to), &more, 12 * HOUR, &result, err), "bring back to %s",
		to);
	return 0;
}
