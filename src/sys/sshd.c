/* sshd: its effective configuration, its files, its greeting. */
#include "sys/sshd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/dotenv.h"
#include "base/error.h"
#include "sys/digest.h"
#include "sys/fs.h"
#include "sys/net.h"
#include "sys/proc.h"
#include "sys/program.h"

enum { CONFIG_MAX = 1 << 20, ANSWER_MAX = 256 * 1024, ANSWERS_MAX = 64, INCLUDES_MAX = 16, GREETING_RETRY_MS = 10 };

struct gp_sshd_answers {
	struct gp_sshd_settings settings;
	bool read, has_match;
	const char *digest; /* of all an answer depends on; NULL: that cannot be told */
	struct answer {
		const char *user; /* "" for nobody in particular */
		struct gp_sshdconf conf;
	} v[ANSWERS_MAX];
	size_t n;
};

struct gp_sshd *gp_sshd_new(struct gp_arena *arena, const char *cache_dir)
{
	struct gp_sshd *sshd = gp_alloc(arena, sizeof(*sshd));

	if (!gp_proc_have("sshd"))
		return NULL;
	*sshd = (struct gp_sshd){ .arena = arena, .config = "/etc/ssh/sshd_config", .folder = "/etc/ssh/sshd_config.d",
		.defaults = "/etc/default/ssh", .cache_dir = cache_dir };
	return sshd;
}

void gp_sshd_forget(struct gp_sshd *sshd)
{
	sshd->answers = NULL;
}

/* --- its files --- */

static void push(struct gp_arena *arena, struct gp_sshd_settings *list, struct gp_sshd_setting setting)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 128;
		struct gp_sshd_setting *v = gp_alloc_array(arena, cap, sizeof(*v));

		if (list->n)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = setting;
}

static int walk(struct gp_sshd *sshd, const char *path, const char *match, int depth, struct gp_sshd_settings *list, struct gp_error *err);

/* A relative pattern is one below /etc/ssh; a pattern that matches nothing is none. */
static int walk_include(struct gp_sshd *sshd, const struct gp_sshdconf_line *line, const char *match, int depth,
	struct gp_sshd_settings *list, struct gp_error *err)
{
	struct gp_strv patterns = gp_words(sshd->arena, line->value);
	int result = 0;

	for (size_t i = 0; i < patterns.n && result == 0; i++) {
		const char *pattern = patterns.v[i];
		glob_t found = { 0 };

		if (pattern[0] != '/')
			pattern = gp_sprintf(sshd->arena, "/etc/ssh/%s", pattern);
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc && result == 0; k++)
				result = walk(sshd, gp_strdup(sshd->arena, found.gl_pathv[k]), match, depth - 1, list, err);
		globfree(&found);
	}
	return result;
}

static int walk(struct gp_sshd *sshd, const char *path, const char *match, int depth, struct gp_sshd_settings *list, struct gp_error *err)
{
	struct gp_sshdconf conf;
	const char *text;
	int there;

	if (!depth)
		return gp_fail(err, GP_E_CONFIG, "%s: Include goes deeper than %d levels", path, INCLUDES_MAX);
	GP_TRY(there = gp_fs_read(sshd->arena, path, CONFIG_MAX, &text, NULL, err));
	if (!there)
		return 0;
	gp_sshdconf_parse(sshd->arena, text, &conf);
	for (size_t i = 0; i < conf.n; i++) {
		struct gp_sshdconf_line line = conf.v[i];

		if (!line.match)
			line.match = match;
		push(sshd->arena, list, (struct gp_sshd_setting){ .file = path, .line = line });
		if (gp_streq(line.keyword, "include"))
			GP_TRY(walk_include(sshd, &line, line.match, depth, list, err));
	}
	return 0;
}

/* --- what an answer depends on --- */

static void add_stat(struct gp_buf *buf, const char *path)
{
	struct stat st = { 0 };

	if (stat(path, &st) == 0)
		gp_buf_printf(buf, "%s %lld %lld.%09ld %llu\n", path, (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			(unsigned long long)st.st_ino);
}

static bool add_content(struct gp_sshd *sshd, struct gp_buf *buf, const char *path)
{
	const char *text = NULL;
	size_t len = 0;
	int there = gp_fs_read(sshd->arena, path, CONFIG_MAX, &text, &len, NULL);

	gp_buf_printf(buf, "%s %d %zu\n", path, there, len);
	if (there == 1)
		gp_buf_add(buf, text, len);
	return there >= 0;
}

/* Only where nothing else can be brought in: no Include but the usual one, no program that is asked. */
static bool can_keep(const struct gp_sshd *sshd, const struct gp_sshd_settings *settings)
{
	for (size_t i = 0; i < settings->n; i++) {
		const struct gp_sshd_setting *s = &settings->v[i];
		size_t folder = strlen(sshd->folder);

		if (gp_streq(s->line.keyword, "match") && strcasestr(s->line.value, "exec"))
			return false;
		if (gp_streq(s->line.keyword, "include") && (!gp_streq(s->file, sshd->config) || !gp_starts_with(s->line.value, sshd->folder) ||
				!gp_streq(s->line.value + folder, "/*.conf")))
			return false;
	}
	return true;
}

static const char *digest_of(struct gp_sshd *sshd, const struct gp_sshd_settings *settings)
{
	GP_AUTO_BUF buf = { 0 };
	const char *program = gp_program_find(sshd->arena, "sshd");
	struct gp_strv names = { 0 };
	bool whole = program && sshd->cache_dir && can_keep(sshd, settings) && gp_fs_list(sshd->arena, sshd->folder, &names, NULL) == 0;
	glob_t keys = { 0 };

	if (!whole)
		return NULL;
	whole = add_content(sshd, &buf, sshd->config) && add_content(sshd, &buf, sshd->defaults);
	for (size_t i = 0; i < names.n; i++)
		whole = whole && add_content(sshd, &buf, gp_sprintf(sshd->arena, "%s/%s", sshd->folder, names.v[i]));
	add_stat(&buf, program);
	if (glob("/etc/ssh/ssh_host_*", 0, NULL, &keys) == 0)
		for (size_t i = 0; i < keys.gl_pathc; i++)
			add_stat(&buf, keys.gl_pathv[i]);
	globfree(&keys);
	return whole ? gp_sha256(sshd->arena, buf.data, buf.len) : NULL;
}

static int read_files(struct gp_sshd *sshd, struct gp_error *err)
{
	struct gp_sshd_answers *answers = gp_alloc(sshd->arena, sizeof(*answers));

	if (sshd->answers)
		return 0;
	GP_TRY(walk(sshd, sshd->config, NULL, INCLUDES_MAX, &answers->settings, err));
	for (size_t i = 0; i < answers->settings.n; i++)
		answers->has_match = answers->has_match || gp_streq(answers->settings.v[i].line.keyword, "match");
	answers->digest = digest_of(sshd, &answers->settings);
	sshd->answers = answers;
	return 0;
}

int gp_sshd_settings(struct gp_sshd *sshd, const struct gp_sshd_settings **ret, struct gp_error *err)
{
	GP_TRY(read_files(sshd, err));
	*ret = &sshd->answers->settings;
	return 0;
}

/* --- asking sshd --- */

/* With the options that its unit gives it: they win over every file. */
static struct gp_strv command(struct gp_sshd *sshd, const char *flag)
{
	struct gp_strv argv = { 0 }, words;
	struct gp_dotenv env = { 0 };
	const char *text, *options = NULL;
	size_t len;

	gp_strv_add(sshd->arena, &argv, gp_program_find(sshd->arena, "sshd") ?: "sshd"); /* it wants to know its own path */
	gp_strv_add(sshd->arena, &argv, flag);
	if (gp_fs_read(sshd->arena, sshd->defaults, CONFIG_MAX, &text, &len, NULL) == 1 &&
		gp_dotenv_parse(sshd->arena, text, len, &env, NULL) == 0)
		options = gp_dotenv_get(&env, "SSHD_OPTS");
	words = gp_words(sshd->arena, options ? options : "");
	for (size_t i = 0; i < words.n; i++)
		gp_strv_add(sshd->arena, &argv, words.v[i]);
	return argv;
}

/* sshd refuses to say anything without this folder, and where ssh.socket waits for the first connection nobody has made it yet. */
static int need_run_folder(struct gp_error *err)
{
	return gp_fs_mkdir("/run/sshd", 0755, 0, 0, err);
}

int gp_sshd_test(struct gp_sshd *sshd, const char *config, struct gp_error *err)
{
	struct gp_strv argv = command(sshd, "-t");

	GP_TRY(need_run_folder(err));
	if (config) {
		gp_strv_add(sshd->arena, &argv, "-f");
		gp_strv_add(sshd->arena, &argv, config);
	}
	return gp_proc_must(&(struct gp_proc){ .argv = argv.v }, NULL, err);
}

static const char *cache_path(struct gp_sshd *sshd, const char *user)
{
	return gp_sprintf(sshd->arena, "%s/sshd-T%s%s", sshd->cache_dir, *user ? "." : "", user);
}

static const char *from_cache(struct gp_sshd *sshd, const char *user)
{
	const char *digest = sshd->answers->digest, *text;

	if (!digest || strchr(user, '/') || gp_fs_read_nofollow(sshd->arena, cache_path(sshd, user), ANSWER_MAX, &text, NULL, NULL) != 1 ||
		!gp_starts_with(text, digest) || text[strlen(digest)] != '\n')
		return NULL;
	return text + strlen(digest) + 1;
}

/* Only what was so before sshd was asked and still is. That it could not be kept is no failure: it is asked again. */
static void to_cache(struct gp_sshd *sshd, const char *user, const char *text)
{
	const char *digest = sshd->answers->digest, *all;

	if (!digest || strchr(user, '/') || !gp_streq(digest, digest_of(sshd, &sshd->answers->settings) ?: ""))
		return;
	all = gp_sprintf(sshd->arena, "%s\n%s", digest, text);
	if (gp_fs_mkdirs(sshd->cache_dir, NULL) == 0)
		(void)gp_fs_write(cache_path(sshd, user), all, strlen(all), 0600, (uid_t)-1, (gid_t)-1, NULL);
}

static int ask(struct gp_sshd *sshd, const char *user, const char **ret, struct gp_error *err)
{
	GP_AUTO_RESULT result = { 0 };
	struct gp_strv argv = command(sshd, "-T");

	GP_TRY(need_run_folder(err));
	if (*user) {
		/* A visitor from somewhere else: 192.0.2.0/24 is nobody's (RFC 5737). */
		gp_strv_add(sshd->arena, &argv, "-C");
		gp_strv_add(sshd->arena, &argv,
			gp_sprintf(sshd->arena, "user=%s,host=client.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22", user));
	}
	if (gp_proc_must(&(struct gp_proc){ .argv = argv.v }, &result, err) < 0)
		return gp_hint(err, "`sshd -t` says what is wrong with %s; sshd would not start again with it", sshd->config);
	*ret = gp_strdup(sshd->arena, gp_buf_str(&result.out));
	to_cache(sshd, user, *ret);
	return 0;
}

int gp_sshd_effective(struct gp_sshd *sshd, const char *user, const struct gp_sshdconf **ret, struct gp_error *err)
{
	struct gp_sshd_answers *answers;
	const char *text;

	GP_TRY(read_files(sshd, err));
	answers = sshd->answers;
	if (!user || !answers->has_match)
		user = ""; /* without a Match block it is the same for everybody */
	for (size_t i = 0; i < answers->n; i++) {
		if (gp_streq(answers->v[i].user, user)) {
			*ret = &answers->v[i].conf;
			return 0;
		}
	}
	if (answers->n == ANSWERS_MAX)
		return gp_fail(err, GP_E_FAILED, "sshd was asked about more than %d users", ANSWERS_MAX);
	text = from_cache(sshd, user);
	if (!text)
		GP_TRY(ask(sshd, user, &text, err));
	answers->v[answers->n].user = user;
	gp_sshdconf_parse(sshd->arena, text, &answers->v[answers->n].conf);
	*ret = &answers->v[answers->n++].conf;
	return 0;
}

/* --- its greeting --- */

static bool address_of(const struct gp_listener *listener, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (listener->v6) {
		*ret_len = sizeof(*v6);
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(listener->port);
		/* A link-local address would need its interface. "Any" is reached at one's own. */
		return inet_pton(AF_INET6, gp_streq(listener->address, "::") ? "::1" : listener->address, &v6->sin6_addr) == 1 &&
			!IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
	}
	*ret_len = sizeof(*v4);
	v4->sin_family = AF_INET;
	v4->sin_port = htons(listener->port);
	return inet_pton(AF_INET, gp_streq(listener->address, "0.0.0.0") ? "127.0.0.1" : listener->address, &v4->sin_addr) == 1;
}

static bool wait_fd(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, (int)gp_left_ms(deadline));
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static bool greeted(const struct sockaddr_storage *to, socklen_t len, int64_t deadline)
{
	GP_AUTO_FD fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[4] = { 0 };
	size_t got = 0;

	if (fd < 0 || (connect(fd, (const struct sockaddr *)to, len) < 0 && errno != EINPROGRESS))
		return false;
	while (got < sizeof(text)) {
		ssize_t n = wait_fd(fd, POLLIN, deadline) ? read(fd, text + got, sizeof(text) - got) : -1;

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return memcmp(text, "SSH-", 4) == 0;
}

int gp_sshd_greets(const struct gp_listener *listeners, size_t n, int timeout_ms, struct gp_error *err)
{
	int64_t deadline = gp_mono_ms() + timeout_ms;

	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage to;
		socklen_t len;

		if (!address_of(&listeners[i], &to, &len))
			continue;
		/* A reload closes its sockets and opens them again: nothing tells when. */
		while (!greeted(&to, len, deadline)) {
			if (!gp_left_ms(deadline))
				return gp_fail(err, GP_E_FAILED, "sshd does not answer on %s port %u", listeners[i].address, listeners[i].port);
			nanosleep(&(struct timespec){ .tv_nsec = GREETING_RETRY_MS * 1000000L }, NULL);
		}
	}
	return 0;
}
