/* One HTTP GET by libcurl. Nothing of the caller's surroundings counts: no proxy variables, no redirects, no other protocols. */
#include "sys/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "sys/library.h"

#define FUNCTIONS(X) \
	X(curl_easy_cleanup, easy_cleanup) \
	X(curl_easy_getinfo, easy_getinfo) \
	X(curl_easy_init, easy_init) \
	X(curl_easy_perform, easy_perform) \
	X(curl_easy_setopt, easy_setopt) \
	X(curl_easy_strerror, easy_strerror) \
	X(curl_free, free) \
	X(curl_global_init, global_init) \
	X(curl_multi_add_handle, multi_add_handle) \
	X(curl_multi_cleanup, multi_cleanup) \
	X(curl_multi_init, multi_init) \
	X(curl_multi_perform, multi_perform) \
	X(curl_multi_remove_handle, multi_remove_handle) \
	X(curl_multi_wait, multi_wait) \
	X(curl_slist_append, slist_append) \
	X(curl_slist_free_all, slist_free_all) \
	X(curl_url, url) \
	X(curl_url_cleanup, url_cleanup) \
	X(curl_url_get, url_get) \
	X(curl_url_set, url_set)

GP_LIBRARY(libcurl, "libcurl.so.4", FUNCTIONS)

enum { BODY_MAX = 64 * 1024, FIELD_MAX = 8 * 1024, TIMEOUT_MS = 10000 };

struct exchange {
	CURL *curl;
	struct curl_slist *headers, *connect_to;
	struct gp_buf body, location;
	int64_t timeout_ms;
	bool discard;      /* the body is of no interest */
	const char *where; /* host, or the socket, as messages name it */
	char said[CURL_ERROR_SIZE];
};

static void exchange_end(struct exchange *x)
{
	if (!x->curl)
		return;
	libcurl.easy_cleanup(x->curl);
	libcurl.slist_free_all(x->headers);
	libcurl.slist_free_all(x->connect_to);
	gp_buf_free(&x->body);
	gp_buf_free(&x->location);
}
#define AUTO_EXCHANGE __attribute__((cleanup(exchange_end))) struct exchange

/* All that is wanted has come once the buffer overflows: taking less than was offered ends the transfer with CURLE_WRITE_ERROR. */
static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	if (x->discard)
		return size * n;
	gp_buf_add(&x->body, data, size * n);
	return x->body.truncated ? 0 : size * n;
}

static size_t take_header(char *data, size_t size, size_t n, void *arg)
{
	static const char name[] = "location:";
	struct exchange *x = arg;
	size_t len = size * n, skip = sizeof(name) - 1;

	if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
		gp_buf_free(&x->location); /* a new answer: what came before was 100 Continue or the like */
	if (len <= skip || strncasecmp(data, name, skip) != 0)
		return len;
	while (skip < len && strchr(" \t", data[skip]))
		skip++;
	while (len > skip && strchr(" \t\r\n", data[len - 1]))
		len--;
	x->location.max = FIELD_MAX;
	x->location.len = 0;
	gp_buf_add(&x->location, data + skip, len - skip);
	return size * n;
}

/* The host of an URL, without user and password. */
static const char *host_of(struct gp_arena *arena, const char *url)
{
	CURLU *parts = libcurl.url();
	char *host = NULL, *port = NULL;
	const char *text = "?";

	if (parts && libcurl.url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		libcurl.url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		if (libcurl.url_get(parts, CURLUPART_PORT, &port, 0) == CURLUE_OK)
			text = gp_sprintf(arena, "%s:%s", host, port);
		else
			text = gp_strdup(arena, host);
	}
	libcurl.free(host);
	libcurl.free(port);
	libcurl.url_cleanup(parts);
	return text;
}

static void append(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = libcurl.slist_append(*list, text);

	if (!longer)
		abort(); /* out of memory */
	*list = longer;
}

static CURLcode set_protocols(CURL *curl)
{
	/* The long form: CURLOPT_PROTOCOLS_STR is unknown to the libcurl 7.81 this binary has to run with as well. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	return libcurl.easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#pragma GCC diagnostic pop
}

static void set_route(struct exchange *x, const struct gp_http *request, struct gp_arena *arena)
{
	struct in6_addr ignored;

	if (request->unix_socket) {
		libcurl.easy_setopt(x->curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	} else if (request->connect_to) {
		bool v6 = inet_pton(AF_INET6, request->connect_to, &ignored) == 1;

		/* any host and port of the URL : this address : the same port */
		append(&x->connect_to, gp_sprintf(arena, v6 ? "::[%s]:" : "::%s:", request->connect_to));
		libcurl.easy_setopt(x->curl, CURLOPT_CONNECT_TO, x->connect_to);
	}
}

static CURLcode set_up(struct exchange *x, const struct gp_http *request, struct gp_arena *arena)
{
	CURL *c = x->curl;
	/* libcurl takes 0 for "for ever" */
	long timeout_ms = (long)(x->timeout_ms < INT_MAX ? x->timeout_ms : INT_MAX);

	if (request->forwarded_proto)
		append(&x->headers, gp_sprintf(arena, "X-Forwarded-Proto: %s", request->forwarded_proto));
	libcurl.easy_setopt(c, CURLOPT_ERRORBUFFER, x->said);
	libcurl.easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	libcurl.easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout_ms);
	libcurl.easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms); /* it has a limit of its own otherwise */
	libcurl.easy_setopt(c, CURLOPT_PROXY, "");
	libcurl.easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	libcurl.easy_setopt(c, CURLOPT_USERAGENT, "goldpath");
	libcurl.easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
	libcurl.easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	libcurl.easy_setopt(c, CURLOPT_WRITEDATA, x);
	libcurl.easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
	libcurl.easy_setopt(c, CURLOPT_HEADERDATA, x);
	libcurl.easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	libcurl.easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (request->ca_file) {
		libcurl.easy_setopt(c, CURLOPT_CAINFO, request->ca_file);
		libcurl.easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	set_route(x, request, arena);
	libcurl.easy_setopt(c, CURLOPT_URL, request->url);
	return set_protocols(c);
}

/* ---- failures ------------------------------------------------------------------------------------------------------ */

static int cannot_connect(const struct exchange *x, const struct gp_http *request, struct gp_error *err)
{
	long number = 0;

	libcurl.easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &number);
	if (request->unix_socket && number == ENOENT)
		gp_fail(err, GP_E_FAILED, "there is no socket %s", x->where);
	else if (number == ECONNREFUSED)
		gp_fail(err, GP_E_FAILED, "nothing listens on %s: connection refused", x->where);
	else if (number)
		gp_fail_errno(err, (int)number, "cannot connect to %s", x->where);
	else
		gp_fail(err, GP_E_FAILED, "cannot connect to %s: %s", x->where, x->said);
	if (err)
		err->sys_errno = (int)number;
	return gp_hint(err, "is the service behind it running?");
}

/* The certificate was looked at and found wanting. The numbers are OpenSSL's (X509_V_ERR_*). */
static int bad_certificate(const struct exchange *x, const struct gp_http *request, struct gp_error *err)
{
	static const struct {
		long code;
		const char *words;
	} reasons[] = {
		{ 9, "is not valid yet" },
		{ 10, "has expired" },
		{ 18, "is signed by itself and not trusted" },
		{ 19, "comes from an authority that is not trusted" },
		{ 20, "comes from an authority that is not trusted" },
		{ 21, "comes from an authority that is not trusted" },
	};
	long code = 0;

	libcurl.easy_getinfo(x->curl, CURLINFO_SSL_VERIFYRESULT, &code);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].code == code) {
			gp_fail(err, GP_E_FAILED, "TLS: the certificate of %s %s", x->where, reasons[i].words);
			if (code == 9 || code == 10)
				return gp_hint(err, "is the clock right? timedatectl");
			return request->ca_file ? gp_hint(err, "trusted is what %s holds, and nothing else", request->ca_file) : -1;
		}
	if (strstr(x->said, "subject name"))
		return gp_fail(err, GP_E_FAILED, "TLS: the certificate of %s is for another name", x->where);
	return gp_fail(err, GP_E_FAILED, "TLS: the certificate of %s is not accepted: %s", x->where, x->said);
}

static int no_answer(const struct exchange *x, const struct gp_http *request, CURLcode code, struct gp_error *err)
{
	const char *said = x->said[0] ? x->said : libcurl.easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return cannot_connect(x, request, err);
	case CURLE_COULDNT_RESOLVE_HOST:
		gp_fail(err, GP_E_FAILED, "cannot resolve the name %s", x->where);
		return gp_hint(err, "has the domain an A or AAAA record, and does this host's resolver work? getent ahosts NAME");
	case CURLE_OPERATION_TIMEDOUT:
		return gp_fail(err, GP_E_FAILED, "%s: timed out after %g s", x->where, (double)x->timeout_ms / 1000);
	case CURLE_PEER_FAILED_VERIFICATION:
		return bad_certificate(x, request, err);
	case CURLE_SSL_CACERT_BADFILE:
		return gp_fail(err, GP_E_FAILED, "TLS: cannot use the CA file %s", request->ca_file ? request->ca_file : "of this host");
	case CURLE_SSL_CONNECT_ERROR:
		gp_fail(err, GP_E_FAILED, "TLS: no secure connection with %s: %s", x->where, said);
		return gp_hint(err, "does it speak TLS on this port, and has it a certificate for this name?");
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return gp_fail(err, GP_E_FAILED, "%s closed the connection without an answer", x->where);
	case CURLE_PARTIAL_FILE:
		return gp_fail(err, GP_E_FAILED, "%s closed the connection in the middle of its answer", x->where);
	case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL, or of what came back (HTTP/0.9, that is: anything) */
	case CURLE_WEIRD_SERVER_REPLY:
		if (!gp_starts_with(request->url, "http://") && !gp_starts_with(request->url, "https://"))
			return gp_fail(err, GP_E_FAILED, "only http:// and https:// can be asked");
		return gp_fail(err, GP_E_FAILED, "what answers on %s is not HTTP", x->where);
	default:
		return gp_fail(err, GP_E_FAILED, "%s: %s", x->where, said);
	}
}

/* CURLOPT_NOSIGNAL leaves SIGPIPE to the application, and the TLS library may write to a socket that was closed. */
static CURLcode perform(CURL *curl)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was;
	CURLcode code;

	sigaction(SIGPIPE, &ignore, &was);
	code = libcurl.easy_perform(curl);
	sigaction(SIGPIPE, &was, NULL);
	return code;
}

static int start_library(struct gp_error *err)
{
	static bool started;

	GP_TRY(load_libcurl(err));
	if (!started && libcurl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort(); /* out of memory, or a TLS library that cannot start */
	started = true;
	return 0;
}

static int begin(struct exchange *x, const struct gp_http *request, struct gp_arena *arena, struct gp_error *err)
{
	GP_TRY(start_library(err));
	if (request->unix_socket && strlen(request->unix_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return gp_fail(err, GP_E_FAILED, "the path of the socket is too long: %s", request->unix_socket);
	x->body.max = request->body_max ? request->body_max : BODY_MAX;
	x->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_MS;
	x->where = request->unix_socket ? request->unix_socket : host_of(arena, request->url);
	if (request->connect_to && !request->unix_socket)
		x->where = gp_sprintf(arena, "%s (at %s)", x->where, request->connect_to);
	x->curl = libcurl.easy_init();
	if (!x->curl)
		abort(); /* out of memory */
	return 0;
}

int gp_http_get(const struct gp_http *request, struct gp_arena *arena, struct gp_http_answer *ret, struct gp_error *err)
{
	AUTO_EXCHANGE x = { 0 };
	const char *type = NULL;
	long status = 0;
	CURLcode code;

	GP_TRY(begin(&x, request, arena, err));
	code = set_up(&x, request, arena);
	if (code == CURLE_OK)
		code = perform(x.curl);
	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && x.body.truncated))
		return no_answer(&x, request, code, err);
	libcurl.easy_getinfo(x.curl, CURLINFO_RESPONSE_CODE, &status);
	libcurl.easy_getinfo(x.curl, CURLINFO_CONTENT_TYPE, &type);
	*ret = (struct gp_http_answer){
		.status = (int)status,
		.body = gp_strndup(arena, gp_buf_str(&x.body), x.body.len),
		.body_len = x.body.len,
		.location = gp_strdup(arena, gp_buf_str(&x.location)),
		.content_type = gp_strdup(arena, type ? type : ""),
	};
	return 0;
}

/* Until all have ended, which each does at the latest when its time is up. */
static void perform_all(CURLM *multi)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was;
	int running = 1;

	sigaction(SIGPIPE, &ignore, &was);
	while (running && libcurl.multi_perform(multi, &running) == CURLM_OK && running)
		if (libcurl.multi_wait(multi, NULL, 0, 1000, NULL) != CURLM_OK)
			break;
	sigaction(SIGPIPE, &was, NULL);
}

void gp_http_touch(const struct gp_http *request, size_t n)
{
	GP_AUTO_ARENA arena = gp_arena_new();
	struct exchange *all = gp_alloc_array(arena, n + 1, sizeof(*all));
	CURLM *multi = start_library(NULL) == 0 ? libcurl.multi_init() : NULL;

	if (!multi)
		return;
	for (size_t i = 0; i < n; i++) {
		all[i].discard = true;
		if (begin(&all[i], request, arena, NULL) == 0 && set_up(&all[i], request, arena) == CURLE_OK)
			libcurl.multi_add_handle(multi, all[i].curl);
	}
	perform_all(multi);
	for (size_t i = 0; i < n; i++) {
		if (all[i].curl)
			libcurl.multi_remove_handle(multi, all[i].curl);
		exchange_end(&all[i]);
	}
	libcurl.multi_cleanup(multi);
}
