/* SPDX-License-Identifier: MIT */
/*
 * Named places where a test build can be made to die or to stop; faults.def lists them all. In a
 * release build FAULT() is nothing.
 *
 *     SKEP_FAULT=store.before_commit:kill      SIGKILL itself at the first passage
 *     SKEP_FAULT=worker.before_ack:kill@3      at the third
 *     SKEP_FAULT=courier.before_settle:stop    SIGSTOP itself (a test looks, then sends SIGCONT)
 *
 * Several are separated by commas. With SKEP_FAULT_DIR set, each fires once over all processes: firing
 * creates a file of that name there (O_EXCL), which is also how a test sees that it fired.
 */
#ifndef SKEP_BASE_FAULT_H
#define SKEP_BASE_FAULT_H

enum fault_point {
#define FAULT_POINT(id, name, text) FAULT_##id,
#include "lib/base/faults.def"
#undef FAULT_POINT
	FAULT_COUNT
};

#ifdef SKEP_FAULTS
void fault_hit(enum fault_point point);
#define FAULT(id) fault_hit(FAULT_##id)
#else
#define FAULT(id) ((void)0)
#endif

#endif
