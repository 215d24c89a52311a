/*
 * The grammar of everything a person or a file may name: slugs, domains, refs, repositories, modules, packages, users, sizes. One
 * function a kind; each says in words what it wants, so that the same sentence stands in every error about it. Pure.
 */
#ifndef GP_BASE_PARSE_H
#define GP_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gp_error;

/* kind, function suffix, what is accepted in words */
#define GP_NAME_KINDS(X)                                                                                                        \
	X(slug, "a slug is a lower-case letter, then up to 30 lower-case letters, digits or dashes: acme-kitchens")                 \
	X(domain, "a domain is a host name such as www.example.com, or localhost")                                                                \
	X(ref, "a ref is the name of a branch or tag, or a commit, and does not start with '-'")                                    \
	X(repo, "a repository is an https://, http://, ssh:// or git:// URL, user@host:path, file:///path or /path, with no token or password in it") \
	X(module, "a Python module is dotted identifiers: acme_kitchens.settings.production")                                       \
	X(wsgi, "a WSGI application is module:attribute: acme_kitchens.wsgi:application")                                           \
	X(user, "a user name is a lower-case letter or '_', then up to 30 lower-case letters, digits, '-' or '_'")                   \
	X(package, "a Debian package name is lower-case letters, digits, '+', '-' and '.', two at least")                           \
	X(dbname, "a database name is a lower-case letter or '_', then up to 62 lower-case letters, digits or '_'")                  \
	X(envkey, "an environment key is a letter or '_', then letters, digits or '_'")                                             \
	X(urlpath, "a path starts with '/' and has no blanks, quotes or control characters")                                        \
	X(relpath, "a path inside the checkout: relative, without '..'")                                                            \
	X(abspath, "an absolute path without '..', blanks or quotes")                                                               \
	X(python, "a Python version is 'auto' or like 3.12")                                                                         \
	X(dropin, "a drop-in is a file name of letters, digits, '.', '_' and '-' that ends in .conf: memory.conf")                   \
	X(host, "a host is a name or an address, without a port")                                                                    \
	X(port, "a port is a number from 1 to 65535, TCP unless /udp stands behind it: 8080, 51820/udp")                            \
	X(size, "a size is a whole number and K, M, G or T (of 1024), such as 500M")                                                 \
	X(swap, "swap is 'auto', 'off' or a size, such as 2G")                                                                       \
	X(sysctl, "a kernel setting is words of letters, digits, '_' and '-' with dots between them, such as net.core.somaxconn")    \
	X(sshkey, "a key is the one line of a .pub file, without options: ssh-ed25519 AAAAC3Nza… name@computer")    \
	X(weburl, "an address that starts with https:// or http://, without user, password, blanks or quotes")                      \
	X(release, "a release is its time and commit, as `goldpath releases` lists it: 20260131T235959Z-0123abc")                     \
	X(clock, "a time of day is HH:MM, from 00:00 to 23:59")                                                                      \
	X(weektime, "a time of the week is a day (Mon Tue Wed Thu Fri Sat Sun) and HH:MM: \"Sun 04:15\"")                           \
	X(restic, "a repository is /path, sftp:user@host:path, sftp://user@host:port/path or s3:https://host/bucket/path, with no password in it") \
	X(fingerprint, "the fingerprint of an OpenPGP key is 40 hexadecimal digits, without blanks")

enum gp_name_kind {
#define X(name, words) GP_NAME_##name,
	GP_NAME_KINDS(X)
#undef X
};

/* Is text a valid name of that kind? */
bool gp_name_ok(enum gp_name_kind kind, const char *text);
/* What a name of that kind looks like, a clause without a full stop. */
const char *gp_name_words(enum gp_name_kind kind);
/* "slug", "domain", ... */
const char *gp_name_kind_name(enum gp_name_kind kind);
/* 0, or a failure of the given error kind that quotes text, with gp_name_words as hint. */
int gp_name_check(enum gp_name_kind kind, const char *text, int error_kind, struct gp_error *err);

/* What a name of kind port says: "8080", "8080/tcp", "51820/udp". */
bool gp_port_parse(const char *text, uint16_t *ret_port, bool *ret_udp);

/* The bytes of a valid size: "500M". 0 for anything else. */
int64_t gp_parse_size(const char *text);

/* A decimal integer from lo to hi, nothing before or after it. */
bool gp_parse_int(const char *text, int64_t lo, int64_t hi, int64_t *ret);

#endif
