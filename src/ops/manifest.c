/* The manifest, as JSON. */
#include "ops/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/django.h"
#include "sys/account.h"
#include "sys/fs.h"

enum { MANIFEST_MAX = 8 << 20, LIST_MAX = 65536, TEXT_MAX = 300 };

static const char part[] = ".goldpath-manifest.part";

static const char *const reasons[] = {
#define X(id, words) [id] = (words),
	GP_BACKUP_REASONS(X)
#undef X
};

const char *gp_backup_reason_name(enum gp_backup_reason reason)
{
	return reasons[reason];
}

const char *gp_manifest_name(struct gp_arena *arena, const char *file)
{
	return gp_sprintf(arena, "%s.json", file);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static void put_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static json_t *migrations_of(const struct gp_manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->migrations.n; i++)
		if (gp_migration_name_ok(m->migrations.v[i]))
			json_array_append_new(list, json_string(m->migrations.v[i]));
	return list;
}

/* A name that is no UTF-8, in a database that is not, cannot be in JSON: it is not in the list, which is told to be a part. */
static json_t *tables_of(const struct gp_manifest *m, bool *ret_partial)
{
	json_t *tables = json_object();

	*ret_partial = m->tables.partial;
	for (size_t i = 0; i < m->tables.n; i++)
		if (strlen(m->tables.v[i].name) > TEXT_MAX ||
			json_object_set_new(tables, m->tables.v[i].name, json_integer((json_int_t)m->tables.v[i].rows)) < 0)
			*ret_partial = true;
	return tables;
}

static char *text_of(const struct gp_manifest *m)
{
	json_auto_t *object = json_object();
	bool partial;
	json_t *tables = tables_of(m, &partial);
	char *text;

	put_number(object, "v", 1);
	put_text(object, "file", m->file);
	put_text(object, "sha256", m->sha256);
	put_number(object, "bytes", m->bytes);
	put_number(object, "sql_bytes", m->sql_bytes);
	put_text(object, "at", m->at);
	put_number(object, "ms", (uint64_t)m->ms);
	put_text(object, "reason", reasons[m->reason]);
	put_text(object, "site", m->site);
	put_text(object, "database", m->database);
	put_text(object, "server", m->server);
	put_number(object, "server_number", (uint64_t)m->server_number);
	put_text(object, "client", m->client);
	put_text(object, "release", m->release);
	put_text(object, "verified", m->verified);
	json_object_set_new(object, "migrations", migrations_of(m));
	json_object_set_new(object, "tables", tables);
	json_object_set_new(object, "tables_partial", json_boolean(partial));
	text = json_dumps(object, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	if (!text)
		abort();
	return text;
}

static int put_in_place(int folder, const char *text, const char *name, const struct gp_account *owner, struct gp_error *err)
{
	GP_AUTO_FD fd = -1;

	if (unlinkat(folder, part, 0) < 0 && errno != ENOENT)
		return gp_fail_errno(err, errno, "remove an old one");
	fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return gp_fail_errno(err, errno, "write it");
	if (gp_fs_write_all(fd, text, strlen(text)) < 0)
		return gp_fail_errno(err, errno, "write it");
	if (fchown(fd, owner->uid, owner->gid) < 0 || fchmod(fd, 0600) < 0 || fsync(fd) < 0 || renameat(folder, part, folder, name) < 0)
		return gp_fail_errno(err, errno, "put it in place");
	return 0;
}

int gp_manifest_write(struct gp_arena *arena, int folder, const struct gp_manifest *manifest, const struct gp_account *owner,
	struct gp_error *err)
{
	const char *name = gp_manifest_name(arena, manifest->file);
	char *text = text_of(manifest);
	int result = put_in_place(folder, text, name, owner, err);

	free(text);
	if (result == 0)
		return 0;
	unlinkat(folder, part, 0);
	return gp_context(err, "the manifest %s", name);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static int read_file(struct gp_arena *arena, int folder, const char *name, char **ret, size_t *ret_len, struct gp_error *err)
{
	GP_AUTO_FD fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t len = 0;
	struct stat st;
	char *text;

	if (fd < 0)
		return errno == ENOENT ? 0 : gp_fail_errno(err, errno, "open it");
	if (fstat(fd, &st) < 0)
		return gp_fail_errno(err, errno, "open it");
	if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_MAX)
		return gp_fail(err, GP_E_FAILED, "%s", S_ISREG(st.st_mode) ? "it is too large" : "it is no file");
	text = gp_alloc(arena, (size_t)st.st_size + 1);
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gp_fail_errno(err, errno, "read it");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = text;
	*ret_len = len;
	return 1;
}

static int wrong(const char *key, struct gp_error *err)
{
	return gp_fail(err, GP_E_FAILED, "it is none: '%s' is missing or wrong", key);
}

static bool is_tame(struct gp_arena *arena, const char *text)
{
	char *copy = gp_strdup(arena, text);

	gp_tame(copy, strlen(copy), "");
	return strlen(text) <= TEXT_MAX && gp_streq(copy, text);
}

/* As written by gp_rfc3339. */
static bool is_time(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";

	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

static bool is_digest(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

struct text_key {
	const char *key;
	const char **to;
	bool (*is)(const char *text); /* NULL: any that can be shown */
};

static int read_texts(struct gp_arena *arena, const json_t *object, struct gp_manifest *m, struct gp_error *err)
{
	const struct text_key keys[] = { { "file", &m->file }, { "sha256", &m->sha256, is_digest }, { "at", &m->at, is_time },
		{ "verified", &m->verified, is_time }, { "site", &m->site }, { "database", &m->database }, { "server", &m->server },
		{ "client", &m->client }, { "release", &m->release } };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *text = json_string_value(json_object_get(object, keys[i].key));

		if (!text || !is_tame(arena, text) || (keys[i].is && !keys[i].is(text)))
			return wrong(keys[i].key, err);
		*keys[i].to = gp_strdup(arena, text);
	}
	if (*m->release && !gp_name_ok(GP_NAME_release, m->release))
		return wrong("release", err);
	return 0;
}

static bool number_of(const json_t *value, uint64_t *ret)
{
	json_int_t number = json_integer_value(value);

	*ret = (uint64_t)number;
	return json_is_integer(value) && number >= 0;
}

static int read_numbers(const json_t *object, struct gp_manifest *m, struct gp_error *err)
{
	uint64_t ms, server;

	if (!number_of(json_object_get(object, "bytes"), &m->bytes))
		return wrong("bytes", err);
	if (!number_of(json_object_get(object, "sql_bytes"), &m->sql_bytes))
		return wrong("sql_bytes", err);
	if (!number_of(json_object_get(object, "ms"), &ms))
		return wrong("ms", err);
	if (!number_of(json_object_get(object, "server_number"), &server) || server > 10000000)
		return wrong("server_number", err);
	m->ms = (int64_t)ms;
	m->server_number = (int)server;
	return 0;
}

static int read_reason(const json_t *object, struct gp_manifest *m, struct gp_error *err)
{
	const char *text = json_string_value(json_object_get(object, "reason"));

	for (size_t i = 0; text && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (gp_streq(text, reasons[i])) {
			m->reason = (enum gp_backup_reason)i;
			return 0;
		}
	}
	return wrong("reason", err);
}

static int read_migrations(struct gp_arena *arena, const json_t *list, struct gp_manifest *m, struct gp_error *err)
{
	if (!json_is_array(list) || json_array_size(list) > LIST_MAX)
		return wrong("migrations", err);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !gp_migration_name_ok(text))
			return wrong("migrations", err);
		gp_strv_add(arena, &m->migrations, gp_strdup(arena, text));
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct gp_table_rows *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static int read_tables(struct gp_arena *arena, const json_t *object, struct gp_manifest *m, struct gp_error *err)
{
	json_t *tables = json_object_get(object, "tables");
	size_t n = json_object_size(tables);

	if (!json_is_object(tables) || n > LIST_MAX)
		return wrong("tables", err);
	m->tables = (struct gp_tables){ .v = gp_alloc_array(arena, n + 1, sizeof(*m->tables.v)),
		.partial = json_is_true(json_object_get(object, "tables_partial")) };
	for (void *i = json_object_iter(tables); i; i = json_object_iter_next(tables, i)) {
		struct gp_table_rows *table = &m->tables.v[m->tables.n++];

		if (strlen(json_object_iter_key(i)) > TEXT_MAX || !number_of(json_object_iter_value(i), &table->rows))
			return wrong("tables", err);
		table->name = gp_strdup(arena, json_object_iter_key(i));
	}
	qsort(m->tables.v, m->tables.n, sizeof(*m->tables.v), by_name);
	return 0;
}

int gp_manifest_parse(struct gp_arena *arena, const char *text, size_t len, const char *file, struct gp_manifest *ret, struct gp_error *err)
{
	struct gp_manifest m = { 0 };
	json_auto_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	uint64_t version;

	if (!json_is_object(object))
		return gp_fail(err, GP_E_FAILED, "it is none: no JSON object");
	if (!number_of(json_object_get(object, "v"), &version) || version != 1)
		return wrong("v", err);
	GP_TRY(read_texts(arena, object, &m, err));
	GP_TRY(read_numbers(object, &m, err));
	GP_TRY(read_reason(object, &m, err));
	GP_TRY(read_migrations(arena, json_object_get(object, "migrations"), &m, err));
	GP_TRY(read_tables(arena, object, &m, err));
	if (!gp_streq(m.file, file))
		return gp_fail(err, GP_E_FAILED, "it is another file's, %s", m.file);
	*ret = m;
	return 0;
}

int gp_manifest_read(struct gp_arena *arena, int folder, const char *file, struct gp_manifest *ret, struct gp_error *err)
{
	const char *name = gp_manifest_name(arena, file);
	size_t len = 0;
	char *text = NULL;
	int there;

	GP_TRY_TO(err, there = read_file(arena, folder, name, &text, &len, err), "the manifest %s", name);
	if (!there)
		return 0;
	GP_TRY_TO(err, gp_manifest_parse(arena, text, len, file, ret, err), "the manifest %s", name);
	return 1;
}
