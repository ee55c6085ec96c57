# SPDX-License-Identifier: MIT
# make            every executable into build/bin
# make check      installs what is missing, builds, runs every test
# make demo       installs what is missing, builds, runs real work and shows it
# make help       the other targets
#
# Three variants of the same sources: release (build/bin), fault (build/fault/bin: fault points compiled
# in, for the crash suite), asan (build/asan: unit tests under ASan and UBSan).

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
PYTHON ?= /usr/bin/python3

CC ?= gcc
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers \
	-Wno-clobbered
COMMON := -std=gnu11 -D_GNU_SOURCE -I. -DSKEP_VERSION='"$(VERSION)"' -DSKEP_SYSCONFDIR='"$(SYSCONFDIR)"' \
	-fno-optimize-strlen -g $(WARN) -MMD -MP
HARDEN := -fstack-protector-strong -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

CFLAGS_release := -O2 -D_FORTIFY_SOURCE=2 $(HARDEN)
CFLAGS_fault := -O1 -DSKEP_FAULTS $(HARDEN)
CFLAGS_asan := -O1 -DSKEP_FAULTS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_release := $(LDHARDEN)
LDFLAGS_fault := $(LDHARDEN)
LDFLAGS_asan := -fsanitize=address,undefined

# The libraries, in link order: each may use only those to its right (and include/ and lib/base).
LIBS := amqp db board conf job ipc base
ROLES := worker store courier gateway

# What each executable links beside lib/: this list is what keeps AMQP out of the supervisor.
EXTERN_skepd := -linih -lsystemd -lev -lcjson -lm
EXTERN_skep-worker := -lrabbitmq -lssl -lcrypto -linih -lev -lcjson -lm
EXTERN_skep-store := -lsqlite3 -linih -lev -lcjson -lm
EXTERN_skep-courier := -lrabbitmq -lssl -lcrypto -linih -lev -lcjson -lm
EXTERN_skep-gateway := -lmicrohttpd -lsqlite3 -linih -lev -lcjson -lm
EXTERN_skep := -lcurl -linih -lcjson -lm
EXTERN_ALL := -lcmocka -lrabbitmq -lssl -lcrypto -lsqlite3 -lmicrohttpd -lcurl -lsystemd -linih -lev -lcjson -lm

PROGRAMS := skepd $(ROLES:%=skep-%) skep
UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

.PHONY: all fault
all: $(PROGRAMS:%=build/bin/%)
fault: $(PROGRAMS:%=build/fault/bin/%)

# --- one variant: $(1) its name, $(2) its directory -----------------------------------------------
define VARIANT
$(2)/obj/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(COMMON) $$(CFLAGS_$(1)) $$(CFLAGS) -c $$< -o $$@

$(2)/obj/%.o: $(2)/gen/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(COMMON) $$(CFLAGS_$(1)) $$(CFLAGS) -c $$< -o $$@

$(foreach l,$(LIBS),
$(2)/lib/lib$(l).a: $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard lib/$(l)/*.c)) $$(patsubst %.sql,$(2)/obj/%.sql.o,$$(wildcard lib/$(l)/*.sql))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
)
$(2)/lib/libprocess.a: $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard daemon/*.c))
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^

$(2)/bin/skepd: $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard daemon/supervisor/*.c)) $(2)/lib/libprocess.a $(LIBS:%=$(2)/lib/lib%.a)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$^ $$(EXTERN_skepd)

$(foreach r,$(ROLES),
$(2)/bin/skep-$(r): $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard daemon/$(r)/*.c)) $$(patsubst %.sql,$(2)/obj/%.sql.o,$$(wildcard daemon/$(r)/*.sql)) $(2)/lib/libprocess.a $(LIBS:%=$(2)/lib/lib%.a)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$^ $$(EXTERN_skep-$(r))
)
$(2)/bin/skep: $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard client/*.c)) $(LIBS:%=$(2)/lib/lib%.a)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$^ $$(EXTERN_skep)

# A unit test may name role sources it needs in a first-line comment: `/* links: daemon/store/x.c */`.
$(2)/unit/%: $(2)/obj/tests/unit/%.o $(LIBS:%=$(2)/lib/lib%.a) $(2)/lib/libprocess.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(2)/lib/libprocess.a $(LIBS:%=$(2)/lib/lib%.a) $$(EXTERN_ALL)
endef

Q := @
ifdef V
Q :=
endif

# SQL is compiled in: `x.sql` becomes `const char x_sql[]` (tools/embed.sh).
define SQL_RULE
$(1)/gen/%.sql.c: %.sql tools/embed.sh
	@mkdir -p $$(@D)
	$$(Q)tools/embed.sh $$< > $$@
endef
$(eval $(call SQL_RULE,build))
$(eval $(call SQL_RULE,build/fault))
$(eval $(call SQL_RULE,build/asan))

$(eval $(call VARIANT,release,build))
$(eval $(call VARIANT,fault,build/fault))
$(eval $(call VARIANT,asan,build/asan))

# Objects of roles that a unit test links, read from its first line.
define UNIT_LINKS
build/unit/$(1): $$(patsubst %,build/obj/%.o,$$(basename $(2)))
build/asan/unit/$(1): $$(patsubst %,build/asan/obj/%.o,$$(basename $(2)))
endef
$(foreach u,$(UNITS),$(eval $(call UNIT_LINKS,$(u),$(shell sed -n '1s|^/\* links: \(.*\) \*/$$|\1|p' tests/unit/$(u).c))))

.SECONDARY:
.DELETE_ON_ERROR:

# --- tests ----------------------------------------------------------------------------------------
.PHONY: units units-asan
units: $(UNITS:%=build/unit/%)
	@for t in $^; do $$t 2> $$t.log || { cat $$t.log; echo "FAILED: $$t"; exit 1; }; done; \
	echo "units: $(words $(UNITS)) programs passed"
units-asan: $(UNITS:%=build/asan/unit/%)
	@for t in $^; do ASAN_OPTIONS=detect_leaks=1 $$t 2> $$t.log || { cat $$t.log; echo "FAILED: $$t"; exit 1; }; done; \
	echo "units under ASan and UBSan: $(words $(UNITS)) programs passed"

.PHONY: clean
clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
