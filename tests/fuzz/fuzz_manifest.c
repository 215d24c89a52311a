/* A backup's manifest made of any bytes: it is none, and why is told, or each part of it is of the form that it should have. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/django.h"
#include "ops/manifest.h"

#include "must.h"

#define FILE_NAME "acme_db_20260131T031500Z.sql.gz"

enum { TEXT_MAX = 300, LIST_MAX = 65536, SERVER_MAX = 10000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	char *tamed = gp_strdup(arena, text);

	gp_tame(tamed, strlen(tamed), "");
	must(strcmp(tamed, text) == 0, "fit to be shown");
	must(strlen(text) <= TEXT_MAX, "a line within reason");
}

static void check_tables(struct gp_arena *arena, const struct gp_tables *tables)
{
	const char *differs = NULL;
	uint64_t rows;

	must(tables->n <= LIST_MAX, "tables within reason");
	for (size_t i = 0; i < tables->n; i++) {
		must(strlen(tables->v[i].name) <= TEXT_MAX, "a table's name within reason");
		must(i == 0 || strcmp(tables->v[i - 1].name, tables->v[i].name) < 0, "sorted, each once");
		must(gp_tables_find(tables, tables->v[i].name, &rows) && rows == tables->v[i].rows, "found by its name");
	}
	must(gp_tables_same(arena, tables, tables, &differs), "like itself");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_error err = { 0 };
	struct gp_manifest m;

	if (gp_manifest_parse(arena, (const char *)data, size, FILE_NAME, &m, &err) < 0) {
		must(err.msg[0], "what is wrong is told");
		return 0;
	}
	must(strcmp(m.file, FILE_NAME) == 0, "of that file");
	must(strlen(m.sha256) == 64 && strspn(m.sha256, "0123456789abcdef") == 64, "a digest");
	must(m.ms >= 0 && m.server_number >= 0 && m.server_number <= SERVER_MAX, "numbers within reason");
	must(gp_backup_reason_name(m.reason) != NULL, "a reason");
	must(!*m.release || gp_name_ok(GP_NAME_release, m.release), "a release");
	check_text(m.at);
	check_text(m.verified);
	check_text(m.site);
	check_text(m.database);
	check_text(m.server);
	check_text(m.client);
	must(m.migrations.n <= LIST_MAX, "migrations within reason");
	for (size_t i = 0; i < m.migrations.n; i++)
		must(gp_migration_name_ok(m.migrations.v[i]), "app.name");
	check_tables(arena, &m.tables);
	return 0;
}
