/* A dump as a file: opened as whoever could, unpacked, read to its end. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/parse.h"
#include "ops/database_load.h"
#include "sys/account.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/proc.h"

enum { TIMEOUT_MS = 6 * 3600 * 1000, ROOM_LEAST = 64 << 20, NO_ROOM = 1 };

/* What goldpath did not pack: gzip reads it, as nobody. */
static int gunzip(const struct gp_dump_file *dump, gp_unpacked *to, void *arg, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct gp_account nobody;

	GP_TRY(gp_account_get(arena, "nobody", &nobody, err));
	if (lseek(dump->fd, 0, SEEK_SET) < 0)
		return gp_fail_errno(err, errno, "read it");
	/* -f: what is no gzip comes out as it is. */
	return gp_proc_must(&(struct gp_proc){ .argv = GP_ARGV("gzip", "-dcf"), .in_fd = dump->fd, .as = geteuid() == 0 ? &nobody : NULL,
		.timeout_ms = TIMEOUT_MS, .data = to, .arg = arg }, NULL, err);
}

int gp_dump_unpack(const struct gp_dump_file *dump, gp_unpacked *to, void *arg, struct gp_arena *arena, struct gp_packed *ret,
	struct gp_error *err)
{
	struct gp_packed packed = { 0 };
	int ours = gp_unpack(dump->fd, to, arg, arena, &packed, err);

	GP_TRY(ours);
	if (!ours) {
		packed = (struct gp_packed){ 0 };
		GP_TRY(gunzip(dump, to, arg, err));
	}
	*ret = packed;
	return 0;
}

struct check {
	struct gp_dumpcount *count;
	uint64_t bytes, room;
	struct gp_error wrong; /* with what is in it; GP_E_NONE: nothing yet */
};

static int no_room(uint64_t room, struct gp_error *err)
{
	GP_AUTO_ARENA arena = gp_arena_new();

	if (room <= NO_ROOM)
		gp_fail(err, GP_E_FAILED, "there is no room on the disk of Postgres: less than %s are free", gp_size_words(arena, ROOM_LEAST));
	else
		gp_fail(err, GP_E_FAILED, "there is no room on the disk of Postgres for what is in it: that is more than the %s that fit there",
			gp_size_words(arena, room));
	return gp_hint(err, "make room: df -h; old databases that were kept: psql -l");
}

static int count(void *arg, const char *data, size_t len, struct gp_error *err)
{
	struct check *c = arg;

	c->bytes += len;
	if (c->bytes > c->room)
		return no_room(c->room, err);
	/* A checksum stands behind what it is of: what damage has made of it is damaged first of all, whatever it looks like now. */
	if (!c->wrong.kind)
		gp_dumpcount_feed(c->count, data, len, &c->wrong);
	return 0;
}

static int open_as(const char *path, const struct gp_account *as, uint64_t *ret_bytes, struct gp_error *err)
{
	GP_AUTO_IDENTITY was = { 0 };
	GP_AUTO_FD fd = -1;
	struct stat st;
	int result;

	/* A link that was laid in somebody's folder leads no further than they could go. */
	if (as)
		GP_TRY(gp_account_assume(as, &was, err));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == EACCES && as) {
		gp_fail_errno(err, errno, "open %s as %s, whose folder it is in", path, as->name);
		return gp_hint(err, "chown %s: %s", as->name, path);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return gp_fail_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode)) {
		gp_fail(err, GP_E_REFUSED, "%s is no file", path);
		return gp_hint(err, "a dump is one, of plain SQL, gzipped or not; goldpath backups SLUG lists a site's");
	}
	*ret_bytes = (uint64_t)st.st_size;
	result = fd;
	fd = -1;
	return result;
}

int gp_dump_find(const char *path, const struct gp_account *as, struct gp_dump_file *ret, struct gp_error *err)
{
	struct gp_dump_file dump = { .path = path, .fd = -1 };

	GP_TRY(dump.fd = open_as(path, as, &dump.bytes, err));
	*ret = dump;
	return 0;
}

/* A dump of a newer major version may say what this server does not know, and is not to fail after minutes. */
static int check_server(const struct gp_dumped *dumped, int version, struct gp_error *err)
{
	if (dumped->server_number / 10000 <= version / 10000)
		return 0;
	gp_fail(err, GP_E_REFUSED, "it is of Postgres %.40s, and here is the older %d", dumped->server, version / 10000);
	return gp_hint(err, "it needs a server of that version or a newer one");
}

static int read_whole(struct gp_ctx *ctx, struct gp_dump_file *dump, struct check *c, int version, struct gp_error *err)
{
	struct gp_packed packed;

	GP_TRY(gp_dump_unpack(dump, count, c, ctx->arena, &packed, err));
	if (c->wrong.kind) {
		if (err)
			*err = c->wrong;
		return -1;
	}
	GP_TRY(gp_dumpcount_end(c->count, &dump->dumped, err));
	dump->sha256 = packed.sha256;
	return check_server(&dump->dumped, version, err);
}

int gp_dump_check(struct gp_ctx *ctx, struct gp_dump_file *dump, uint64_t room, int version, struct gp_error *err)
{
	struct check c = { .count = gp_dumpcount_new(ctx->arena), .room = room };
	int result = read_whole(ctx, dump, &c, version, err);

	gp_dumpcount_free(c.count);
	GP_TRY_TO(err, result, "the dump %s", dump->path);
	return 0;
}

int gp_database_bytes(struct gp_pg *pg, struct gp_arena *arena, const char *name, uint64_t *ret, struct gp_error *err)
{
	/* As superuser names are looked up in pg_catalog alone. */
	static const char sql[] = "select pg_catalog.pg_database_size(oid) from pg_catalog.pg_database"
		" where datname = coalesce($1::text, pg_catalog.current_database())";
	const char *text = NULL;
	int64_t bytes;

	GP_TRY(gp_pg_value(pg, arena, sql, (const char *const[]){ name }, 1, &text, err));
	if (!text || !gp_parse_int(text, 0, INT64_MAX, &bytes))
		return 0;
	*ret = (uint64_t)bytes;
	return 1;
}

/* The database may grow to this: its rows are about as long as in the dump, and have indexes. */
int gp_database_room(const struct gp_database *db, uint64_t *ret_bytes, int *ret_version, struct gp_error *err)
{
	const char *folder;
	uint64_t inodes;
	struct gp_pg *pg;

	GP_TRY(gp_ctx_admin(db->ctx, db->port, &pg, err));
	GP_TRY(gp_pg_value(pg, db->ctx->arena, "select current_setting('data_directory')", NULL, 0, &folder, err));
	GP_TRY(gp_fs_free(folder, ret_bytes, &inodes, err));
	*ret_bytes = *ret_bytes > ROOM_LEAST ? (*ret_bytes - ROOM_LEAST) / 3 * 2 : NO_ROOM;
	*ret_version = gp_pg_version(pg);
	return 0;
}

int gp_dump_open(const struct gp_database *db, const char *path, const struct gp_account *as, struct gp_dump_file *ret, struct gp_error *err)
{
	GP_AUTO_DUMP dump = { .fd = -1 };
	uint64_t room;
	int version;

	GP_TRY(gp_dump_find(path, as, &dump, err));
	GP_TRY(gp_database_room(db, &room, &version, err));
	GP_TRY(gp_dump_check(db->ctx, &dump, room, version, err));
	*ret = dump;
	dump.fd = -1;
	return 0;
}

void gp_dump_close(struct gp_dump_file *dump)
{
	gp_closep(&dump->fd);
}
