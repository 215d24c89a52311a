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
	bool by_package; /* the user's package sees to it: while that is not installed there is nothing to say of it */
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
	const char *host;       /* say so where this name is not in the list of hosts that stands there */
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
	bool own_file;   /* its file in /etc/systemd/system is a resource that this one comes after */
	bool by_package; /* its package enables and starts it: while that is not installed there is nothing to say of the unit */
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
	const char *ours_if;   /* this exists */
	const char *not_while; /* while this exists, only what is said in it may go on: refused */
	struct gp_strv welcome;
};
extern const struct gp_resource_type gp_vacant_type;

/* What must hold before anything is changed, and what only a person can mend. Its name is the host's. */
struct gp_host_check {
	const struct gp_strv *packages; /* the baseline: while one of these is missing, disk and clock have to do */
	int64_t born;                   /* when goldpath was built: no clock may be before that */
	const char *root;               /* "" is the host itself */
};
extern const struct gp_resource_type gp_host_check_type;

/* A kernel setting, now. Its name is the key, as in sysctl.d(5). */
struct gp_sysctl {
	const char *value, *root; /* root: "/proc/sys" */
};
extern const struct gp_resource_type gp_sysctl_type;

/*
 * A swap file of ours, in use from boot on by a unit of its own, which also marks it as ours. Its name is the file's. Where a host has
 * swap already, or is a container, nothing is touched.
 */
enum gp_swap_want { GP_SWAP_AUTO, GP_SWAP_OFF, GP_SWAP_SIZE };
struct gp_swap {
	enum gp_swap_want want;
	int64_t size; /* GP_SWAP_SIZE: bytes */
};
extern const struct gp_resource_type gp_swap_type;

/* All that counts for what to do, and what that is: a pure function, so that each case can be tried. */
enum gp_swap_file { GP_SWAP_NO_FILE, GP_SWAP_THEIRS, GP_SWAP_HALF, GP_SWAP_WHOLE };
struct gp_swap_facts {
	bool container;
	bool other_swap;        /* in use or in /etc/fstab, and not ours */
	bool can_hold;          /* the filesystem takes swap files that are only allocated */
	enum gp_swap_file file;
	int64_t file_size;      /* what is there already, ours or not */
	int64_t memory, free;   /* bytes; free: on the filesystem of the file */
};
enum gp_swap_act { GP_SWAP_LEAVE, GP_SWAP_KEEP, GP_SWAP_MAKE, GP_SWAP_REMOVE, GP_SWAP_CANNOT };
struct gp_swap_decision {
	enum gp_swap_act act;
	int64_t size;           /* MAKE: of the new file; KEEP: of the one there */
	const char *why;        /* CANNOT: a reason to show */
};
/* What lies at path. ours: goldpath's unit for it is there. ret_size: its size, or what a half made one takes up. */
enum gp_swap_file gp_swap_file_state(const char *path, bool ours, int64_t *ret_size);
/* Allocate the file, 0600, and write the swap header into it. Nothing is left of it on failure. */
int gp_swap_file_make(const char *path, int64_t size, struct gp_error *err);
struct gp_swap_decision gp_swap_decide(const struct gp_swap *spec, const struct gp_swap_facts *facts);

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
	size_t n;                 /* at most 8 */
	const char *told_by; /* the file that says the same to a Redis that starts */
};
extern const struct gp_resource_type gp_redis_type;
/* The same for settings that a running Redis can take; nothing else is looked at. */
extern const struct gp_resource_type gp_redis_live_type;

/* UFW: default deny incoming, these ports open, enabled, at boot too. Rules of others are told of and left alone. */
struct gp_port {
	uint16_t port;
	bool udp;
	bool ssh; /* whoever shuts this one shuts its owner out */
};
struct gp_firewall {
	const struct gp_port *ports;
	size_t n;
	bool v6;     /* somebody comes by IPv6: without rules for it, UFW must not be enabled */
	bool yields; /* leave a host alone that has packet rules of its own */
};
extern const struct gp_resource_type gp_firewall_type;

/* uv, of exactly one version, in a folder of its own, as bin/uv. Its name is the folder. */
struct gp_uv {
	const char *version;
};
extern const struct gp_resource_type gp_uv_type;

/* TCP ports that a unit will need when it starts: taken by somebody else, they are an error that names who. Nothing to apply. */
struct gp_ports {
	const char *unit;
	const uint16_t *tcp;
	size_t n;
};
extern const struct gp_resource_type gp_ports_type;
/* The same question at once, whether the unit `but` runs or not; what it holds itself is its own. Walks /proc. */
int gp_ports_free(struct gp_ctx *ctx, const uint16_t *ports, size_t n, const char *but, struct gp_error *err);

/* Something that is only looked at: adds what needs somebody's attention ('!'). Its name says what was looked at. */
struct gp_attention {
	int (*look)(struct gp_ctx *ctx, const struct gp_resource *resource, struct gp_changes *changes, struct gp_error *err);
};
extern const struct gp_resource_type gp_attention_type;

/* A global option in a Caddyfile. Its name is the path. One that is there with another value stays, and is reported. */
struct gp_caddy_option {
	const char *option, *value;
	const char *why; /* what the other value means; NULL: another one is as good, and nothing is said of it */
};
extern const struct gp_resource_type gp_caddy_option_type;

/*
 * A package repository of somebody else: its key, whose fingerprint is pinned, and the file that names it to apt. Its name is that file's
 * path. It is put in place only once apt has read the repository by it. key_url NULL: neither file should be there.
 */
struct gp_apt_source {
	const char *label;       /* whose it is, in words */
	const char *uri, *suite, *component;
	const char *key_url, *fingerprint, *key_path;
};
extern const struct gp_resource_type gp_apt_source_type;

/* How the names of the lists that apt keeps of it begin, in /var/lib/apt/lists. */
const char *gp_apt_list_name(struct gp_arena *arena, const struct gp_apt_source *source);

/* A package in a version that this repository has. Its name is the package's. */
struct gp_apt_package {
	const struct gp_apt_source *source;
	const char *source_path;
	int (*before)(struct gp_ctx *ctx, struct gp_error *err); /* may refuse to have an installed package replaced; NULL: nothing does */
};
extern const struct gp_resource_type gp_apt_package_type;

/* An SSH key pair for a user, made if there is none. Its name is the private key's path. */
struct gp_ssh_key {
	const char *user;
};
extern const struct gp_resource_type gp_ssh_key_type;

/* Keys that may log in as a user, by the user's ~/.ssh/authorized_keys; others that are there stay. Its name is the path. */
struct gp_authorized_keys {
	const char *user;
	struct gp_strv keys; /* none, and no such file: root's own, once */
};
extern const struct gp_resource_type gp_authorized_keys_type;

/* How sshd lets people in: a drop-in that sorts first, and what sshd makes of it. Its name is the drop-in's path. */
struct gp_sshd;
struct gp_sshd_rules {
	struct gp_sshd *sshd;
	const char *deploy_user;
	const char *session_user;        /* who is logged in and runs this; NULL: nobody who came by ssh */
	const char *root_login;          /* prohibit-password, no, yes */
	bool passwords;                  /* stay on; false: off as soon as nobody is locked out by it */
	const struct gp_resource *keys;  /* the deploy user's */
};
extern const struct gp_resource_type gp_sshd_type;
/* Let sshd read it; where it does not answer then, the former drop-in comes back. */
extern const struct gp_handler gp_sshd_reload;

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
	bool shared; /* somebody else has it too: it is not emptied */
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
	const char *database, *path; /* in a folder of root's */
	int port;
	bool again;       /* only where there is one already, and once nobody is connected any more */
};
extern const struct gp_resource_type gp_dump_type;

/* Read `.env` as root from a folder that somebody else owns: no symlink is followed. 1 read, 0 not there, -1 error. Every secret in it
 * is added to ctx->secrets. */
struct gp_dotenv;
int gp_dotenv_read(struct gp_ctx *ctx, const char *path, struct gp_dotenv *ret, struct gp_error *err);

#endif
