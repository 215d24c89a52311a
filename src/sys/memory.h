/* How much memory the host has. */
#ifndef GP_SYS_MEMORY_H
#define GP_SYS_MEMORY_H

#include <stdint.h>

struct gp_error;

/* MemTotal of /proc/meminfo in bytes: what the kernel has to give, a few percent less than what was paid for. In a container lxcfs says
 * there what the container may have. */
int gp_memory_total(uint64_t *ret, struct gp_error *err);

#endif
