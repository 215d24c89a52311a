/* The resource types and what each is told. One file a type; the struct's fields are the state that should be. */
#ifndef GP_PLAN_TYPES_H
#define GP_PLAN_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "plan/plan.h"

/* Debian packages, all installed in one go. */
struct gp_packages {
	struct gp_strv names;
};
extern const struct gp_resource_type gp_packages_type;

/* A user of the host. Its name is the resource's. home NULL: a system user that nobody logs in as. */
struct gp_user {
	const char *user, *home;
};
extern const struct gp_resource_type gp_user_type;

/* A user's membership in a group that exists. */
struct gp_member {
	const char *user, *group;
};
extern const struct gp_resource_type gp_member_type;

/* A folder: owner, group, mode. Its name is the path. What is in it is nobody's business here. */
struct gp_folder {
	const char *owner, *group;
	mode_t mode;
};
extern const struct gp_resource_type gp_folder_type;

/* A file with exactly that content. Its name is the path. */
struct gp_file {
	const char *content, *owner, *group;
	mode_t mode;
	/* Looks at a candidate under a temporary name before it is put in place; NULL: nothing to check. */
	int (*check)(void *arg, const char *candidate, struct gp_error *err);
};
extern const struct gp_resource_type gp_file_type;

/* A line that a file of somebody else's must have. Its name is the path. The file must exist. */
struct gp_file_line {
	const char *line;
};
extern const struct gp_resource_type gp_file_line_type;

/* A symlink. Its name is the path. */
struct gp_link {
	const char *target;
};
extern const struct gp_resource_type gp_link_type;

/* A `.env`: keys that must be there. Values that are there stay, whatever they are. */
struct gp_dotenv_key {
	const char *key;
	const char *value;      /* for a key that is missing */
	bool report;            /* say so where the file has another value, which stays */
	size_t secret_len;      /* >0: make a secret of that length instead */
	/* A value made of other keys: DATABASE_URL. Called with the file's text so far, parsed. NULL: value or secret_len. */
	const char *(*derive)(struct gp_ctx *ctx, const void *arg, const char *(*get)(const void *env, const char *key), const void *env);
	const void *arg;
};
struct gp_dotenv_file {
	const char *owner, *group;
	const struct gp_dotenv_key *keys;
	size_t n;
};
extern const struct gp_resource_type gp_dotenv_type;

/* A root-owned copy (0600) of a `.env`, for systemd to read. Its name is the copy's path. */
struct gp_dotenv_copy {
	const char *from;
};
extern const struct gp_resource_type gp_dotenv_copy_type;
/* Make that copy. What is copied was read without following a symlink, is a regular file and parses. */
int gp_dotenv_copy(struct gp_ctx *ctx, const char *from, const char *to, struct gp_error *err);

/* A unit: enabled at boot, and running now where that is wanted. Its name is the unit's. */
struct gp_unit {
	bool enabled, running;
	bool present; /* false: stopped, disabled and its file gone */
	const char *stop_first; /* a unit that must not run while this one is started: systemd starts no socket beside its service */
};
extern const struct gp_resource_type gp_unit_type;

/* The drop-ins of a unit: none but these. */
struct gp_dropins {
	const char *unit;
	struct gp_strv allowed; /* file names */
	const char *keep;       /* the folder that those taken away go to */
};
extern const struct gp_resource_type gp_dropins_type;

/* A folder that is not there, or ours, or holds nothing but what is welcome. Its name is the path. Refused otherwise; nothing to apply. */
struct gp_vacant {
	const char *ours_if; /* this exists */
	struct gp_strv welcome;
};
extern const struct gp_resource_type gp_vacant_type;

/* A Postgres role that can log in with the password in an environment file, and owns nothing by being a superuser. */
struct gp_pg_role {
	const char *role, *env_path, *password_key, *host;
	const char *login_dbname; /* the login is tried over TCP once this database exists */
	int port;
	int connections; /* at most so many at a time */
	bool local;      /* on this host's server, whose superuser answers questions */
};
extern const struct gp_resource_type gp_pg_role_type;

/* A database, UTF-8, owned by a role. Its name is the resource's. */
struct gp_pg_database {
	const char *database, *owner;
	int port;
};
extern const struct gp_resource_type gp_pg_database_type;

/* A login as the site will do it: host, port, role, database, password out of the environment file. Nothing to apply. */
extern const struct gp_resource_type gp_pg_login_type;

/* Redis answers PING, listens on loopback only, and runs with these settings, which it reads when it starts. */
struct gp_redis_setting {
	const char *key, *value;  /* as CONFIG GET says it */
	const char *packaged;     /* the value in the distribution's redis.conf */
};
struct gp_redis_server {
	int port;
	const struct gp_redis_setting *settings;
	size_t n;
	const char *told_by; /* the file that says the same to a Redis that starts */
};
extern const struct gp_resource_type gp_redis_type;
/* The same for settings that a running Redis can take; nothing else is looked at. */
extern const struct gp_resource_type gp_redis_live_type;

/* UFW: default deny incoming, these TCP ports open, enabled. Rules of others are left alone. */
struct gp_firewall {
	const uint16_t *tcp;
	size_t n;
};
extern const struct gp_resource_type gp_firewall_type;

/* uv, of exactly one version, in a venv of its own. Its name is the folder. */
struct gp_uv {
	const char *version;
};
extern const struct gp_resource_type gp_uv_type;

/* An SSH key pair for a user, made if there is none. Its name is the private key's path. */
struct gp_ssh_key {
	const char *user;
};
extern const struct gp_resource_type gp_ssh_key_type;

/* What should not be there. A file or folder: its name is the path. spec NULL, or what the folder may hold when it goes. */
struct gp_absent {
	struct gp_strv known;
};
extern const struct gp_resource_type gp_absent_file_type, gp_absent_folder_type;

/* A system user and the group of the same name, which is the resource's. One that is no system user stays. */
extern const struct gp_resource_type gp_absent_user_type;

/* A Redis database: emptied, then the line that gives it away is taken out of the record. */
struct gp_absent_redis {
	int port, number;
	const char *record, *line;
};
extern const struct gp_resource_type gp_absent_redis_type;

/* A database, which has a dump; a role, which owns nothing. */
struct gp_absent_pg {
	const char *name, *dump;
	int port;
};
extern const struct gp_resource_type gp_absent_pg_database_type, gp_absent_pg_role_type;

/* Something that is not touched; the spec is why, a text. */
extern const struct gp_resource_type gp_left_alone_type;

/* Free bytes at a path, which is its name. must: an error where there are less, else only told. */
struct gp_room {
	uint64_t bytes;
	bool must;
};
extern const struct gp_resource_type gp_room_type;

/* A file or tree that is copied to a place, or moved there. */
struct gp_kept {
	const char *from, *to;
	const char *part; /* moved to another filesystem: where it is copied first */
	bool follow;      /* copied: what a symlink leads to */
};
extern const struct gp_resource_type gp_copy_type, gp_move_type;

/* A gzipped dump of a local database that has all that was written to it until now. */
struct gp_dump {
	const char *database, *path;
	const char *work; /* a folder that user postgres writes it in; on the same filesystem */
	int port;
	bool again;       /* only where there is one already, and once nobody is connected any more */
};
extern const struct gp_resource_type gp_dump_type;

/* Read `.env` as root from a folder that somebody else owns: no symlink is followed. 1 read, 0 not there, -1 error. Every secret in it
 * is added to ctx->secrets. */
struct gp_dotenv;
int gp_dotenv_read(struct gp_ctx *ctx, const char *path, struct gp_dotenv *ret, struct gp_error *err);

#endif
