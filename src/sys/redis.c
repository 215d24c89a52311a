/*
 * Redis by hiredis: what is asked at once goes over one connection, under one deadline over connecting, asking and answering. hiredis connects
 * without blocking and speaks the protocol; sending and waiting are done here, because its own timeouts start anew with every
 * read and its write raises SIGPIPE. The API is that of 0.14, the oldest in the supported distributions.
 */
#include "sys/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

enum { ANSWER_MAX = 1 << 20, LOADING_RETRY_MS = 100 };

struct session {
	redisContext *c;
	char where[300]; /* host:port, as messages name it */
	int timeout_ms;
	int64_t deadline;
};

static void session_end(struct session *s)
{
	if (s->c)
		redisFree(s->c);
}
#define AUTO_SESSION __attribute__((cleanup(session_end))) struct session

static void reply_free(redisReply **reply)
{
	if (*reply)
		freeReplyObject(*reply);
}
#define AUTO_REPLY __attribute__((cleanup(reply_free))) redisReply *

static int service_hint(struct gp_error *err)
{
	return gp_hint(err, "is it running, and on this port? see: systemctl status redis-server");
}

static int silence(const struct session *s, const char *why, struct gp_error *err)
{
	gp_fail(err, GP_E_FAILED, "Redis does not answer on %s: %s", s->where, why);
	return service_hint(err);
}

static int not_redis(const struct session *s, struct gp_error *err)
{
	gp_fail(err, GP_E_FAILED, "what answers on %s is not Redis", s->where);
	return gp_hint(err, "ss -ltnp shows which program holds the port; see also: systemctl status redis-server");
}

static int wait_for(const struct session *s, short events, struct gp_error *err)
{
	for (;;) {
		struct pollfd p = { .fd = s->c->fd, .events = events };
		int64_t left = gp_left_ms(s->deadline);
		int n = left ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0) {
			gp_fail(err, GP_E_FAILED, "Redis does not answer on %s within %d ms", s->where, s->timeout_ms);
			return service_hint(err);
		}
		if (errno != EINTR)
			return gp_fail_errno(err, errno, "poll");
	}
}

static int session_begin(struct session *s, const char *host, int port, int timeout_ms, struct gp_error *err)
{
	int problem = 0;
	socklen_t size = sizeof(problem);

	snprintf(s->where, sizeof(s->where), strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
	s->timeout_ms = timeout_ms;
	s->deadline = gp_mono_ms() + timeout_ms;
	s->c = redisConnectNonBlock(host, port);
	if (!s->c)
		return gp_fail_errno(err, ENOMEM, "connect to Redis on %s", s->where);
	if (s->c->err)
		return silence(s, s->c->errstr, err);
	GP_TRY(wait_for(s, POLLOUT, err));
	if (getsockopt(s->c->fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0)
		problem = errno;
	return problem ? silence(s, strerror(problem), err) : 0;
}

static int broken(const struct session *s, struct gp_error *err)
{
	switch (s->c->err) {
	case REDIS_ERR_PROTOCOL:
	case REDIS_ERR_OOM: /* an answer that claims to be that long is none */
		return not_redis(s, err);
	case REDIS_ERR_EOF:
		return silence(s, "it closed the connection", err);
	default:
		return silence(s, s->c->errstr, err);
	}
}

static int send_command(const struct session *s, const char *const *argv, int argc, struct gp_error *err)
{
	char *command = NULL;
	/* int in hiredis 0.14, long long in 1.x */
	long long len = redisFormatCommandArgv(&command, argc, (const char **)argv, NULL);
	int result = 0;

	if (len < 0)
		return gp_fail_errno(err, ENOMEM, "ask Redis");
	for (long long done = 0; done < len && result == 0;) {
		ssize_t n = send(s->c->fd, command + done, (size_t)(len - done), MSG_NOSIGNAL);

		if (n >= 0)
			done += n;
		else if (errno == EAGAIN)
			result = wait_for(s, POLLOUT, err);
		else if (errno == EPIPE || errno == ECONNRESET)
			break; /* it may have said why before it closed: the read will tell */
		else if (errno != EINTR)
			result = silence(s, strerror(errno), err);
	}
	explicit_bzero(command, (size_t)len); /* AUTH carries the password */
	redisFreeCommand(command);
	return result;
}

static int read_reply(const struct session *s, redisReply **ret, struct gp_error *err)
{
	void *reply = NULL;

	for (;;) {
		if (redisGetReplyFromReader(s->c, &reply) != REDIS_OK)
			return broken(s, err);
		if (reply)
			break;
		if (s->c->reader->len > ANSWER_MAX)
			return not_redis(s, err);
		GP_TRY(wait_for(s, POLLIN, err));
		if (redisBufferRead(s->c) != REDIS_OK)
			return broken(s, err);
	}
	*ret = reply;
	return 0;
}

/* What an error reply means. */
static int refused(const struct session *s, const char *command, const redisReply *reply, struct gp_error *err)
{
	const char *said = reply->str;

	if (gp_starts_with(said, "NOAUTH")) {
		gp_fail(err, GP_E_FAILED, "Redis on %s asks for a password", s->where);
		return gp_hint(err, "goldpath's Redis has none, as it listens on loopback only: see requirepass in /etc/redis/redis.conf");
	}
	/* Redis 6 and later, and Redis 5 */
	if (gp_streq(command, "AUTH") && (strstr(said, "without any password configured") || strstr(said, "no password is set"))) {
		gp_fail(err, GP_E_FAILED, "Redis on %s has no password, but is given one", s->where);
		return gp_hint(err, "take the password out of the Redis URLs, or set requirepass in /etc/redis/redis.conf");
	}
	if (gp_streq(command, "AUTH") && !gp_starts_with(said, "LOADING")) {
		gp_fail(err, GP_E_FAILED, "Redis on %s refuses the password", s->where);
		return gp_hint(err, "compare it with requirepass in /etc/redis/redis.conf");
	}
	if (gp_starts_with(said, "LOADING")) {
		gp_fail(err, GP_E_FAILED, "Redis on %s is still loading its data after %d ms", s->where, s->timeout_ms);
		return gp_hint(err, "try again in a moment; systemctl status redis-server shows how it is");
	}
	gp_fail(err, GP_E_FAILED, "Redis on %s answers %s with an error: %.300s", s->where, command, said);
	return gp_hint(err, "see: journalctl -u redis-server and /var/log/redis/redis-server.log");
}

/* Ask and get an answer that is no error. A Redis that has just started loads its data first: ask again while there is time. */
static int ask(const struct session *s, const char *const *argv, int argc, redisReply **ret, struct gp_error *err)
{
	for (;;) {
		AUTO_REPLY reply = NULL;

		GP_TRY(send_command(s, argv, argc, err));
		GP_TRY(read_reply(s, &reply, err));
		if (reply->type != REDIS_REPLY_ERROR) {
			*ret = reply;
			reply = NULL;
			return 0;
		}
		if (!gp_starts_with(reply->str, "LOADING") || gp_left_ms(s->deadline) <= LOADING_RETRY_MS)
			return refused(s, argv[0], reply, err);
		poll(NULL, 0, LOADING_RETRY_MS); /* there is no event to wait for */
	}
}

int gp_redis_ping(const char *host, int port, const char *password, int timeout_ms, struct gp_error *err)
{
	AUTO_SESSION s = { 0 };
	AUTO_REPLY auth = NULL;
	AUTO_REPLY pong = NULL;

	GP_TRY(session_begin(&s, host, port, timeout_ms, err));
	if (password) {
		GP_TRY(ask(&s, (const char *const[]){ "AUTH", password }, 2, &auth, err));
		if (auth->type != REDIS_REPLY_STATUS)
			return not_redis(&s, err);
	}
	GP_TRY(ask(&s, (const char *const[]){ "PING" }, 1, &pong, err));
	if (pong->type != REDIS_REPLY_STATUS || !gp_streq(pong->str, "PONG"))
		return not_redis(&s, err);
	return 0;
}

static int config_value(const struct session *s, struct gp_arena *arena, const char *key, const char **ret, struct gp_error *err)
{
	AUTO_REPLY reply = NULL;

	GP_TRY(ask(s, (const char *const[]){ "CONFIG", "GET", key }, 3, &reply, err));
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
		return not_redis(s, err);
	for (size_t i = 0; i < reply->elements; i++)
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			return not_redis(s, err);
	*ret = reply->elements ? gp_strdup(arena, reply->element[1]->str) : NULL;
	return 0;
}

int gp_redis_config(const char *host, int port, int timeout_ms, struct gp_arena *arena, const char *const *keys, size_t n,
	const char **ret, struct gp_error *err)
{
	AUTO_SESSION s = { 0 };
	const char **values = gp_alloc_array(arena, n, sizeof(*values));

	GP_TRY(session_begin(&s, host, port, timeout_ms, err));
	for (size_t i = 0; i < n; i++)
		GP_TRY(config_value(&s, arena, keys[i], &values[i], err));
	memcpy(ret, values, n * sizeof(*values));
	return 0;
}

int gp_redis_config_set(const char *host, int port, int timeout_ms, const char *key, const char *value, struct gp_error *err)
{
	AUTO_SESSION s = { 0 };
	AUTO_REPLY reply = NULL;

	GP_TRY(session_begin(&s, host, port, timeout_ms, err));
	GP_TRY_TO(err, ask(&s, (const char *const[]){ "CONFIG", "SET", key, value }, 4, &reply, err), "set %s to %s", key, value);
	return reply->type == REDIS_REPLY_STATUS ? 0 : not_redis(&s, err);
}

int gp_redis_info(const char *host, int port, int timeout_ms, struct gp_arena *arena, const char *section, const char *field,
	const char **ret, struct gp_error *err)
{
	AUTO_SESSION s = { 0 };
	AUTO_REPLY reply = NULL;
	const char *prefix = gp_sprintf(arena, "%s:", field);
	struct gp_strv lines;

	GP_TRY(session_begin(&s, host, port, timeout_ms, err));
	GP_TRY(ask(&s, (const char *const[]){ "INFO", section }, 2, &reply, err));
	/* a bulk string; a verbatim one by RESP3, which is not spoken here */
	if (reply->type != REDIS_REPLY_STRING)
		return not_redis(&s, err);
	*ret = NULL;
	lines = gp_lines(arena, reply->str);
	for (size_t i = 0; i < lines.n; i++)
		if (gp_starts_with(lines.v[i], prefix))
			*ret = gp_trim(arena, lines.v[i] + strlen(prefix));
	return 0;
}

int gp_redis_flush(const char *host, int port, int timeout_ms, int number, struct gp_error *err)
{
	AUTO_SESSION s = { 0 };
	AUTO_REPLY selected = NULL;
	AUTO_REPLY flushed = NULL;
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	GP_TRY(session_begin(&s, host, port, timeout_ms, err));
	GP_TRY(ask(&s, (const char *const[]){ "SELECT", text }, 2, &selected, err));
	GP_TRY(ask(&s, (const char *const[]){ "FLUSHDB" }, 1, &flushed, err));
	return selected->type == REDIS_REPLY_STATUS && flushed->type == REDIS_REPLY_STATUS ? 0 : not_redis(&s, err);
}
