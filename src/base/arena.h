/*
 * An arena: memory that lives as long as the piece of work it belongs to and goes in one call. All data (strings, parsed
 * configuration, plans) lives in the caller's arena; only handles (descriptors, connections) are released one by one.
 * Out of memory aborts: every step must survive kill -9 anyway, so there is nothing better to do.
 */
#ifndef GP_BASE_ARENA_H
#define GP_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct gp_arena;

struct gp_arena *gp_arena_new(void);
void gp_arena_free(struct gp_arena *arena); /* NULL is fine; secrets in it are wiped with it */

/* Zeroed, aligned for any type, never NULL. */
void *gp_alloc(struct gp_arena *arena, size_t size) __attribute__((malloc, returns_nonnull));
/* count * size with the overflow checked. */
void *gp_alloc_array(struct gp_arena *arena, size_t count, size_t size) __attribute__((malloc, returns_nonnull));

char *gp_strdup(struct gp_arena *arena, const char *s) __attribute__((returns_nonnull));
char *gp_strndup(struct gp_arena *arena, const char *s, size_t len) __attribute__((returns_nonnull));
char *gp_sprintf(struct gp_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3), returns_nonnull));
char *gp_vsprintf(struct gp_arena *arena, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0), returns_nonnull));

void gp_arena_freep(struct gp_arena **arena);
#define GP_AUTO_ARENA __attribute__((cleanup(gp_arena_freep))) struct gp_arena *

#endif
