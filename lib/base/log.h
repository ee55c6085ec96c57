/* SPDX-License-Identifier: MIT */
/*
 * Log lines on stderr, one write each, so that lines of several processes never mix:
 *
 *     2026-11-23T19:12:03.412Z info  store[412] opened '/var/lib/skep/skep.db' jobs=812
 *
 * Under systemd (JOURNAL_STREAM set) the time is left out and a `<6>` priority goes first. Only
 * daemon/ and client/ log; lib/ returns an err. Wording: lower case, no full stop,
 * `cannot open '%s': reason`, ids as `job=... attempt=...`. No secrets, no job bodies.
 */
#ifndef SKEP_BASE_LOG_H
#define SKEP_BASE_LOG_H

#include "lib/base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `name` is borrowed and must live on: "store", "worker default/2". */
void log_open(const char *name, enum log_level level);

/* Parses "error", "warn", "info", "debug". Returns 0, or -EINVAL. */
int log_level_parse(const char *word, enum log_level *ret_level);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* Ends this process with `code` (see enum exit_code) after a last line at level error. */
_Noreturn void log_fatal(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
