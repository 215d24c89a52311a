/*
 * Shared libraries that are loaded when they are first needed. libpq and libcurl bring thirty others with them (Kerberos, LDAP, HTTP/2):
 * 4 ms at every start, which commands that ask neither a database nor a web server do not pay. Their adapters alone know.
 */
#ifndef GP_SYS_LIBRARY_H
#define GP_SYS_LIBRARY_H

#include <stddef.h>

struct gp_error;

/* Load soname and find n functions: the address of names[i] becomes the i-th of the n function pointers at table. Done once: a table
 * that is filled stays so. The library stays loaded. */
int gp_library_load(const char *soname, const char *const *names, void *table, size_t n, struct gp_error *err);

/*
 * One list of functions makes the struct that holds them and the loader that fills it:
 *   #define FUNCTIONS(X) X(PQfinish, finish) X(PQstatus, status)
 *   GP_LIBRARY(libpq, "libpq.so.5", FUNCTIONS)
 * gives `libpq.finish(...)`, with the type the library's header says, and `load_libpq(err)`, to be called before.
 */
#define GP_LIBRARY_MEMBER(function, member) __typeof__(&function) member;
#define GP_LIBRARY_NAME(function, member) #function,
#define GP_LIBRARY(table, soname, functions)                                                       \
	static struct {                                                                                \
		functions(GP_LIBRARY_MEMBER)                                                               \
	} table;                                                                                       \
	static int load_##table(struct gp_error *err)                                                  \
	{                                                                                              \
		static const char *const names[] = { functions(GP_LIBRARY_NAME) };                         \
		_Static_assert(sizeof(table) == sizeof(names), "one function pointer for each name");      \
		return gp_library_load(soname, names, &table, sizeof(names) / sizeof(names[0]), err);      \
	}

#endif
