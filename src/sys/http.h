/* One HTTP GET, by libcurl: to a unix socket as Caddy would send it, or over TLS as a visitor would. */
#ifndef GP_SYS_HTTP_H
#define GP_SYS_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct gp_arena;
struct gp_error;

struct gp_http {
	const char *url;            /* http://host/path or https://host/path; the host is what the Host header says */
	const char *unix_socket;    /* speak to this socket instead of the network; NULL: no */
	const char *connect_to;     /* an address to connect to instead of looking the host up ("127.0.0.1"); NULL: no */
	const char *ca_file;        /* trust this CA and no other; NULL: the host's own */
	const char *forwarded_proto;/* X-Forwarded-Proto; NULL: not sent */
	int64_t timeout_ms;         /* over everything */
	size_t body_max;            /* bytes of the body kept, more is cut off (not an error); 0: 64 KiB */
};

struct gp_http_answer {
	int status;                 /* 200, 502, ... */
	const char *body;           /* NUL-terminated, at most body_max bytes */
	size_t body_len;
	const char *location;       /* the Location header, "" where there is none. Redirects are not followed. */
	const char *content_type;   /* "" */
};

/* -1 when there was no answer: refused, no such socket, TLS failure, deadline; the message says which. */
int gp_http_get(const struct gp_http *request, struct gp_arena *arena, struct gp_http_answer *ret, struct gp_error *err);

/* The same n times at once, each over its own connection, for what it does to who answers: what that is, and whether, nobody wants to know. */
void gp_http_touch(const struct gp_http *request, size_t n);

#endif
