/* Redis, by hiredis. */
#ifndef GP_SYS_REDIS_H
#define GP_SYS_REDIS_H

#include <stddef.h>

struct gp_arena;
struct gp_error;

/*
 * PING the server on host:port within timeout_ms (connect and answer together). The failure names `systemctl status redis-server`
 * as its hint where nothing listens or nothing answers, and says so where the server asks for a password (NOAUTH), is loading, or
 * is something else than Redis. password NULL: none.
 */
int gp_redis_ping(const char *host, int port, const char *password, int timeout_ms, struct gp_error *err);

/* CONFIG GET of n keys, on one connection: ret[i] is the value of keys[i], NULL where the server has no such key. */
int gp_redis_config(const char *host, int port, int timeout_ms, struct gp_arena *arena, const char *const *keys, size_t n,
	const char **ret, struct gp_error *err);

/* CONFIG SET key value, in the running server only. */
int gp_redis_config_set(const char *host, int port, int timeout_ms, const char *key, const char *value, struct gp_error *err);

/* One field of INFO, e.g. section "persistence", field "aof_rewrite_in_progress"; NULL where there is no such field. */
int gp_redis_info(const char *host, int port, int timeout_ms, struct gp_arena *arena, const char *section, const char *field,
	const char **ret, struct gp_error *err);

/* FLUSHDB of one database number. */
int gp_redis_flush(const char *host, int port, int timeout_ms, int number, struct gp_error *err);

#endif
