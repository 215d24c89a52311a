/* The two plans of a removal: what is kept, and then what goes, in the order in which nothing that is still needed goes first. */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "ops/adding.h"
#include "ops/database.h"
#include "ops/provision.h"
#include "ops/redisdb.h"
#include "ops/remove.h"
#include "plan/types.h"
#include "sys/ctx.h"
#include "sys/fs.h"
#include "sys/pg.h"
#include "sys/tree.h"

enum { REDIS_PORT = 6379, ROOM_LEAST = 16 << 20 };

#define UNITS(r) { (r)->paths.backup_timer, (r)->paths.rehearse_timer, (r)->paths.backup_service, (r)->paths.rehearse_service, \
	(r)->paths.gunicorn_socket, (r)->paths.gunicorn, (r)->paths.next, (r)->paths.celery }

static const char *in_backup(struct gp_ctx *ctx, const struct gp_removal *r, const char *name)
{
	return gp_sprintf(ctx->arena, "%s/%s", r->backup, name);
}

/* What lies in the site's folder and is not goldpath's own, and its logs where there are any. */
static int list_kept(struct gp_ctx *ctx, const struct gp_removal *r, struct gp_kept **ret, size_t *ret_n, struct gp_error *err)
{
	struct gp_strv names = { 0 }, logs = { 0 };
	struct gp_kept *v;
	struct stat st;
	size_t n = 0;
	int there;

	GP_TRY(there = gp_fs_lstat(r->paths.root, &st, err));
	if (there && S_ISDIR(st.st_mode))
		GP_TRY(gp_fs_list(ctx->arena, r->paths.root, &names, err));
	v = gp_alloc_array(ctx->arena, names.n + 1, sizeof(*v));
	for (size_t i = 0; i < names.n; i++)
		if (!gp_remove_is_made(names.v[i]))
			v[n++] = (struct gp_kept){ .from = gp_sprintf(ctx->arena, "%s/%s", r->paths.root, names.v[i]),
				.to = in_backup(ctx, r, gp_sprintf(ctx->arena, "site/%s", names.v[i])),
				.part = in_backup(ctx, r, gp_sprintf(ctx->arena, "part/%s", names.v[i])) };
	GP_TRY(there = gp_fs_lstat(r->paths.logs, &st, err));
	if (there && S_ISDIR(st.st_mode))
		GP_TRY(gp_fs_list(ctx->arena, r->paths.logs, &logs, err));
	if (logs.n)
		v[n++] = (struct gp_kept){ .from = r->paths.logs, .to = in_backup(ctx, r, "logs"), .part = in_backup(ctx, r, "part/logs") };
	*ret = v;
	*ret_n = n;
	return 0;
}

/* A rename cannot take it to the backup. */
static bool is_elsewhere(struct gp_ctx *ctx, const char *path)
{
	struct stat here = { 0 }, there = { 0 };
	const char *to = GP_REMOVED_DIR;

	while (*to && stat(to, &there) < 0)
		to = gp_strndup(ctx->arena, to, (size_t)(strrchr(to, '/') - to));
	return lstat(path, &here) == 0 && here.st_dev != there.st_dev;
}

static int database_bytes(struct gp_ctx *ctx, const struct gp_removal *r, uint64_t *ret, struct gp_error *err)
{
	struct gp_pg *pg;

	*ret = 0;
	if (!r->drop_database)
		return 0;
	GP_TRY(gp_ctx_admin(ctx, r->db.port, &pg, err));
	GP_TRY(gp_database_bytes(pg, ctx->arena, r->db.name, ret, err));
	return 0;
}

/* Indexes are not in a dump, and gzip takes half of the rest at least: half of the database is more than enough. */
static int add_room(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, const struct gp_kept *kept, size_t n, bool apply,
	struct gp_error *err)
{
	struct gp_room *room = SPEC(struct gp_room, .must = apply);

	GP_TRY(database_bytes(ctx, r, &room->bytes, err));
	room->bytes = room->bytes / 2 + (uint64_t)ROOM_LEAST;
	for (size_t i = 0; i < n; i++) {
		struct gp_tree tree;

		if (!is_elsewhere(ctx, kept[i].from))
			continue;
		GP_TRY(gp_tree_measure(kept[i].from, false, &tree, err));
		room->bytes += tree.bytes;
	}
	ADD(.type = &gp_room_type, .name = GP_REMOVED_DIR, .spec = room);
	return 0;
}

static void add_copy(struct gp_ctx *ctx, struct gp_plan *plan, const char *from, const char *to, bool follow)
{
	ADD(.type = &gp_copy_type, .name = from, .spec = SPEC(struct gp_kept, .from = from, .to = to, .follow = follow));
}

static void add_dump(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, bool again)
{
	if (r->drop_database)
		ADD(.type = &gp_dump_type, .name = gp_sprintf(ctx->arena, "database %s", r->db.name),
			.spec = SPEC(struct gp_dump, .database = r->db.name, .path = r->dump, .port = r->db.port,
				.again = again));
}

/* What an administrator has written for the units. */
static void add_drop_in_copies(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r)
{
	const char *const units[] = UNITS(r);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const char *folder = gp_sprintf(ctx->arena, "/etc/systemd/system/%s.d", units[i]);

		if (gp_fs_exists(folder))
			add_copy(ctx, plan, folder, in_backup(ctx, r, gp_sprintf(ctx->arena, "%s.d", units[i])), false);
	}
}

int gp_remove_plan_keep(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, bool apply, struct gp_error *err)
{
	static const struct gp_folder folder = { .owner = "root", .group = "root", .mode = 0700 };
	struct gp_kept *kept;
	bool moved = false; /* something of it is on another filesystem */
	size_t n;

	GP_TRY(list_kept(ctx, r, &kept, &n, err));
	if (!r->begun)
		GP_TRY(add_room(ctx, plan, r, kept, n, apply, err));
	ADD(.type = &gp_folder_type, .name = GP_REMOVED_DIR, .spec = &folder);
	ADD(.type = &gp_folder_type, .name = r->backup, .spec = &folder);
	add_copy(ctx, plan, r->yaml, in_backup(ctx, r, gp_sprintf(ctx->arena, "%s.yaml", r->slug)), true);
	/* Cut off while that folder was being deleted: the copy is the one that is whole. */
	if (!r->begun || !gp_fs_exists(in_backup(ctx, r, "state")))
		add_copy(ctx, plan, r->paths.state, in_backup(ctx, r, "state"), false);
	add_dump(ctx, plan, r, false);
	add_drop_in_copies(ctx, plan, r);
	if (n)
		ADD(.type = &gp_folder_type, .name = in_backup(ctx, r, "site"), .spec = &folder);
	for (size_t i = 0; i < n && !moved; i++)
		moved = is_elsewhere(ctx, kept[i].from);
	if (moved)
		ADD(.type = &gp_folder_type, .name = in_backup(ctx, r, "part"), .spec = &folder);
	for (size_t i = 0; i < n; i++)
		if (is_elsewhere(ctx, kept[i].from))
			add_copy(ctx, plan, kept[i].from, kept[i].part, false);
	return 0;
}

/* First the name, so that visitors get no 502 from a site that is going; then what answered to it. */
static void add_caddy(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r)
{
	ADD(.type = &gp_absent_file_type, .name = r->paths.caddy_file, .notify = GP_RES_RELOAD_CADDY);
	gp_provision_reload_caddy(ctx, plan);
}

static void add_unit(struct gp_ctx *ctx, struct gp_plan *plan, const char *unit)
{
	static const struct gp_unit off = { .present = false };
	static const char *const folders[] = { "/etc/systemd/system.control", "/run/systemd/system.control", "/etc/systemd/system",
		"/run/systemd/system" };
	static const char *const wants[] = { "multi-user.target", "sockets.target", "timers.target" };

	ADD(.type = &gp_unit_type, .name = unit, .spec = &off);
	/* Where the unit's file was gone before: a link to nothing. */
	ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "/etc/systemd/system/%s", unit), .notify = GP_RES_RELOAD_UNITS);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "/etc/systemd/system/%s.wants/%s", wants[i], unit),
			.notify = GP_RES_RELOAD_UNITS);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		ADD(.type = &gp_absent_folder_type, .name = gp_sprintf(ctx->arena, "%s/%s.d", folders[i], unit), .notify = GP_RES_RELOAD_UNITS);
}

static void add_left_alone(struct gp_ctx *ctx, struct gp_plan *plan, const char *what, const char *name, const char *why)
{
	ADD(.type = &gp_left_alone_type, .name = gp_sprintf(ctx->arena, "%s %s", what, name), .spec = why);
}

static void add_database(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r)
{
	const struct gp_remove_db *db = &r->db;
	const struct gp_absent_pg *database = SPEC(struct gp_absent_pg, .name = db->name, .dump = r->dump, .port = db->port);
	const struct gp_absent_pg *role = SPEC(struct gp_absent_pg, .name = db->user, .port = db->port);

	if (!db->name)
		return;
	for (size_t i = 0; i < db->former.n && r->drop_database; i++)
		ADD(.type = &gp_absent_pg_database_type, .name = db->former.v[i],
			.spec = SPEC(struct gp_absent_pg, .name = db->former.v[i], .dump = r->dump, .port = db->port));
	if (r->drop_database)
		ADD(.type = &gp_absent_pg_database_type, .name = db->name, .spec = database);
	else if (db->there || !db->local)
		add_left_alone(ctx, plan, "database", db->name, gp_remove_keeps_database(ctx->arena, db));
	if (r->drop_role)
		ADD(.type = &gp_absent_pg_role_type, .name = gp_sprintf(ctx->arena, "role %s", db->user), .spec = role);
	else if (db->role_there || !db->local)
		add_left_alone(ctx, plan, "database role", db->user, gp_remove_keeps_role(ctx->arena, db));
}

static int add_redis(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, struct gp_error *err)
{
	struct gp_redisdb *uses;
	size_t n;

	GP_TRY(gp_redisdb_of(ctx, r->slug, &uses, &n, err));
	for (size_t i = 0; i < n; i++) {
		bool shared;

		GP_TRY(gp_redisdb_is_shared(ctx, r->slug, uses[i].number, &shared, err));
		ADD(.type = &gp_absent_redis_type, .name = gp_sprintf(ctx->arena, "%d of %.*s", uses[i].number,
				(int)strcspn(uses[i].line, " \t"), uses[i].line),
			.spec = SPEC(struct gp_absent_redis, .port = REDIS_PORT, .number = uses[i].number, .record = gp_redisdb_path(ctx),
				.line = uses[i].line, .shared = shared));
	}
	return 0;
}

static int add_folders(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, struct gp_error *err)
{
	struct gp_absent *root = SPEC(struct gp_absent, .known = { 0 });
	struct gp_strv names = { 0 };
	struct gp_kept *kept;
	struct stat st;
	size_t n;
	int there;

	GP_TRY(list_kept(ctx, r, &kept, &n, err));
	for (size_t i = 0; i < n; i++)
		ADD(.type = &gp_move_type, .name = kept[i].from, .spec = SPEC(struct gp_kept, .from = kept[i].from, .to = kept[i].to,
			.part = kept[i].part));
	GP_TRY(there = gp_fs_lstat(r->paths.root, &st, err));
	if (there && S_ISDIR(st.st_mode))
		GP_TRY(gp_fs_list(ctx->arena, r->paths.root, &names, err));
	for (size_t i = 0; i < names.n; i++)
		if (gp_remove_is_made(names.v[i]))
			gp_strv_add(ctx->arena, &root->known, names.v[i]);
	ADD(.type = &gp_absent_folder_type, .name = r->paths.root, .spec = root);
	ADD(.type = &gp_absent_folder_type, .name = r->paths.logs, .spec = SPEC(struct gp_absent, .known = { 0 }));
	ADD(.type = &gp_absent_folder_type, .name = r->paths.state);
	ADD(.type = &gp_absent_folder_type, .name = in_backup(ctx, r, "part"));
	return 0;
}

/* The site's file goes last, and then the note that this run was under way. */
static void add_rest(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r)
{
	ADD(.type = &gp_absent_file_type, .name = r->paths.tmpfiles);
	ADD(.type = &gp_absent_folder_type, .name = r->paths.run);
	ADD(.type = &gp_absent_folder_type, .name = gp_sprintf(ctx->arena, "/run/goldpath-celery-%s", r->slug));
	/* systemd's notes of when they ran last. */
	ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "/var/lib/systemd/timers/stamp-%s", r->paths.backup_timer));
	ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "/var/lib/systemd/timers/stamp-%s", r->paths.rehearse_timer));
	if (r->db.name && !gp_remove_keeps_database(ctx->arena, &r->db))
		ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "%s/login-%s", ctx->lock_dir, r->db.name));
	ADD(.type = &gp_absent_file_type, .name = gp_sprintf(ctx->arena, "%s/%s.lock", ctx->lock_dir, r->slug));
	ADD(.type = &gp_absent_file_type, .name = r->yaml);
	ADD(.type = &gp_absent_file_type, .name = r->record);
}

int gp_remove_plan_take(struct gp_ctx *ctx, struct gp_plan *plan, const struct gp_removal *r, bool apply, struct gp_error *err)
{
	const char *const units[] = UNITS(r);

	add_caddy(ctx, plan, r);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		add_unit(ctx, plan, units[i]);
	gp_provision_reload_units(ctx, plan);
	ADD(.type = &gp_absent_file_type, .name = r->paths.sudoers_file);
	if (apply) /* it waits for sessions to end, which nobody does where nothing was stopped */
		add_dump(ctx, plan, r, true);
	add_database(ctx, plan, r);
	GP_TRY(add_redis(ctx, plan, r, err));
	ADD(.type = &gp_absent_user_type, .name = r->paths.run_user);
	GP_TRY(add_folders(ctx, plan, r, err));
	add_rest(ctx, plan, r);
	return 0;
}
