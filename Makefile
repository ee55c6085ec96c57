# SPDX-License-Identifier: MIT
# `make help` lists the targets. Three variants of the same sources: release (build/bin), fault (build/fault/bin: fault points compiled
# in, for the crash suite), asan (build/asan: unit tests under ASan and UBSan).

VERSION := $(shell sed -n 's/^.define SKEP_VERSION "\(.*\)"/\1/p' include/skep/version.h)
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
LIBDIR ?= $(PREFIX)/lib
PYTHON ?= /usr/bin/python3

CC ?= gcc
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough -Wno-missing-field-initializers \
	-Wno-clobbered
COMMON := -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -DSKEP_VERSION='"$(VERSION)"' -DSKEP_SYSCONFDIR='"$(SYSCONFDIR)"' \
	-fno-optimize-strlen -g $(WARN) -MMD -MP
HARDEN := -fstack-protector-strong -fPIE
# One set of objects for the executables and libskep: with hidden visibility, -fPIC costs an executable nothing.
SHARED := -fstack-protector-strong -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
LDHARDEN := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

CFLAGS_release := -O2 -D_FORTIFY_SOURCE=2 $(SHARED)
CFLAGS_fault := -O1 -DSKEP_FAULTS $(HARDEN)
CFLAGS_asan := -O1 -DSKEP_FAULTS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_release := $(LDHARDEN)
LDFLAGS_fault := $(LDHARDEN)
LDFLAGS_asan := -fsanitize=address,undefined

# The libraries, in link order: each may use only those to its right (and include/ and lib/base).
LIBS := amqp db board scale conf job ipc base
ROLES := worker store courier gateway

# What each executable links beside lib/: this list is what keeps AMQP out of the supervisor.
EXTERN_skepd := -linih -lev -lcjson -lm
EXTERN_skep-worker := -lrabbitmq -lssl -lcrypto -linih -lev -lcjson -lm
EXTERN_skep-store := -lsqlite3 -linih -lev -lcjson -lm
EXTERN_skep-courier := -lrabbitmq -lssl -lcrypto -linih -lev -lcjson -lm
EXTERN_skep-gateway := -lmicrohttpd -lsqlite3 -linih -lev -lcjson -lm
EXTERN_skep := -lcurl -lncursesw -ltinfo -linih -lcjson -lm
EXTERN_skep-sim := -lev -lcjson -lm
EXTERN_ALL := -lcmocka -lrabbitmq -lssl -lcrypto -lsqlite3 -lmicrohttpd -lcurl -linih -lev -lcjson -lm

PROGRAMS := skepd $(ROLES:%=skep-%) skep skep-sim
# libskep and libskep-client: two, so that a service starts with libc alone. The number changes with the binary interface.
LIBSKEPS := libskep libskep-client
SOVERSION := 0
EXTERN_libskep := -pthread
EXTERN_libskep-client := -lrabbitmq -lcurl -linih -lev -lcjson -lm -pthread

UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

MANUALS := $(patsubst docs/man/%,build/man/%,$(patsubst %.in,%,$(wildcard docs/man/*.[1358] docs/man/*.in)))

.PHONY: all programs docs fault
.DEFAULT_GOAL := all
all: programs libskep examples docs ##    every executable into build/bin, libskep, examples; manual pages and a sample configuration
programs: $(PROGRAMS:%=build/bin/%)
docs: $(MANUALS) build/skep.conf build/completion/skep build/completion/skepd build/completion/skep-sim
fault: $(PROGRAMS:%=build/fault/bin/%) ##    the executables with fault points, into build/fault/bin

# --- one variant: $(1) its name, $(2) its directory -----------------------------------------------
define VARIANT
$(2)/obj/%.o: %.c build/settings
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

$(2)/bin/skep-sim: $$(patsubst %.c,$(2)/obj/%.o,$$(wildcard tools/sim/*.c)) $(2)/lib/libscale.a $(2)/lib/libbase.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$^ $$(EXTERN_skep-sim)

# A unit test may name role sources it needs in a first-line comment: `/* links: daemon/store/x.c */`.
$(2)/unit/%: $(2)/obj/tests/unit/%.o $(LIBS:%=$(2)/lib/lib%.a) $(2)/lib/libprocess.a
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_$(1)) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $(2)/lib/libprocess.a $(LIBS:%=$(2)/lib/lib%.a) $$(EXTERN_ALL)
endef

Q := @
ifdef V
Q :=
endif

# What is compiled into the objects beside the sources: a change rebuilds them.
SETTINGS := $(VERSION) $(SYSCONFDIR) $(CC) $(CFLAGS) $(COMMON) $(CFLAGS_release)
build/settings: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(SETTINGS))' | cmp -s - $@ || echo '$(subst ','\'',$(SETTINGS))' > $@
.PHONY: FORCE

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

# --- libskep ----------------------------------------------------------------------------------------
# Each half becomes one object that holds what it needs of lib/ and shows nothing but its own interface: a
# static service takes no name from its program and no library but libc.
HALF_libskep := handler
HALF_libskep-client := client
ENTRIES_handler := skep_serve skep_done skep_fail skep_progress skep_log skep_job_id skep_job_type skep_job_queue \
	skep_job_attempt skep_job_priority skep_job_content_type skep_job_content_encoding skep_job_correlation_id \
	skep_job_app_id skep_job_traceparent skep_job_body skep_job_time_left_ms skep_job_cancelled

ENTRIES_client := skep_client_open skep_client_close skep_submit skep_submit_many skep_wait skep_result_free

# What only dropped code asked for is still listed as wanted, and would be linked.
DROP_handler := -N 'cJSON_*'

libskep: $(foreach l,$(LIBSKEPS),build/lib/$(l).a build/lib/$(l).so.$(VERSION)) build/skep.pc build/skep-client.pc
.PHONY: libskep

build/lib/libskep-objects.a: $(patsubst %.c,build/obj/%.o,$(wildcard client/libskep/*.c) client/http.c client/socket.c)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && ar rcs $@ $^

build/obj/libskep-%.o: build/lib/libskep-objects.a Makefile $(LIBS:%=build/lib/lib%.a)
	$(Q)ld -r --gc-sections $(foreach e,$(ENTRIES_$*),-u $(e)) -e $(firstword $(ENTRIES_$*)) -o $@.all --start-group $(filter %.a,$^) --end-group
	$(Q)objcopy --localize-hidden $@.all && objcopy --strip-unneeded -w $(DROP_$*) $@.all $@ && rm $@.all

define LIBSKEP
build/lib/$(1).a: build/obj/libskep-$(HALF_$(1)).o
	$$(Q)rm -f $$@ && ar rcs $$@ $$^

build/lib/$(1).so.$(VERSION): build/obj/libskep-$(HALF_$(1)).o client/libskep/libskep.map
	$$(Q)$$(CC) -shared -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,-soname,$(1).so.$(SOVERSION) \
		-Wl,--version-script=client/libskep/libskep.map $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(EXTERN_$(1))
	$$(Q)ln -sf $$(@F) $$(@D)/$(1).so.$(SOVERSION) && ln -sf $(1).so.$(SOVERSION) $$(@D)/$(1).so

build/$(1:lib%=%).pc: packaging/$(1:lib%=%).pc.in build/settings Makefile
	@mkdir -p $$(@D)
	$$(Q)sed -e 's|@PREFIX@|$$(PREFIX)|' -e 's|@LIBDIR@|$$(LIBDIR)|' -e 's|@VERSION@|$$(VERSION)|' \
		-e 's|@LIBS@|$$(EXTERN_$(1))|' $$< > $$@
endef
$(foreach l,$(LIBSKEPS),$(eval $(call LIBSKEP,$(l))))

# Each example of C is built as its user would, against what is built here.
EXAMPLES_C := $(patsubst examples/%.c,%,$(wildcard examples/services/*.c examples/clients/*.c))
EXTERN_examples/services := build/lib/libskep.a
EXTERN_examples/clients := build/lib/libskep-client.a $(EXTERN_libskep-client)
examples: $(EXAMPLES_C:%=build/examples/%)
.PHONY: examples
build/examples/%: examples/%.c build/lib/libskep.a build/lib/libskep-client.a build/settings
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c99 -pedantic -D_POSIX_C_SOURCE=200809L -O2 -g $(WARN) -Iinclude -o $@ $< \
		-Wl,--as-needed $(EXTERN_$(patsubst %/,%,$(dir $<)))

# Objects of roles that a unit test links, read from its first line.
define UNIT_LINKS
build/unit/$(1): $$(patsubst %,build/obj/%.o,$$(basename $(2)))
build/asan/unit/$(1): $$(patsubst %,build/asan/obj/%.o,$$(basename $(2)))
endef
$(foreach u,$(UNITS),$(eval $(call UNIT_LINKS,$(u),$(shell sed -n '1s|^/\* links: \(.*\) \*/$$|\1|p' tests/unit/$(u).c))))

.SECONDARY:
.DELETE_ON_ERROR:

# test_supervisor runs the real skepd over fake roles.
build/unit/test_supervisor: build/bin/skepd
build/asan/unit/test_supervisor: build/asan/bin/skepd

# --- documents made from tables -------------------------------------------------------------------
build/tools/%: tools/%.c build/settings lib/conf/options.def
	@mkdir -p $(@D)
	$(Q)$(CC) $(COMMON) $(CFLAGS_release) $(CFLAGS) -MF $@.d -o $@ $<

build/man/%: docs/man/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

build/man/%: docs/man/%.in build/tools/man-options
	@mkdir -p $(@D)
	$(Q)build/tools/man-options < $< > $@

build/skep.conf: build/bin/skepd
	$(Q)build/bin/skepd --sample-config > $@

build/completion/skep: build/bin/skep
	@mkdir -p $(@D)
	$(Q)build/bin/skep completion bash > $@

build/completion/skepd build/completion/skep-sim: build/completion/%: packaging/%.bash-completion
	@mkdir -p $(@D)
	$(Q)cp $< $@

# --- tests ----------------------------------------------------------------------------------------
JOBS ?= $(shell nproc)

.PHONY: check deps build-deps units units-asan check-source check-linkage check-scenario check-crash
check: deps ##    installs what is missing, builds, runs every test
	@$(MAKE) --no-print-directory -j$(JOBS) all fault $(UNITS:%=build/unit/%) $(UNITS:%=build/asan/unit/%)
	@$(MAKE) --no-print-directory check-source check-linkage units units-asan
	@$(MAKE) --no-print-directory check-scenario check-crash
	@echo "check: everything passed"

deps: ##    installs the packages of Debian that building and testing need
	@tools/deps.sh
build-deps: ##    those that building and the demo need
	@tools/deps.sh --build

.PHONY: bench-deps
bench-deps: ##    and those that the benchmark compares with
	@tools/deps.sh --bench

units: $(UNITS:%=build/unit/%) ##    unit tests
	@for t in $^; do $$t > $$t.log 2>&1 || { cat $$t.log; echo "FAILED: $$t"; exit 1; }; done; \
	echo "units: $(words $(UNITS)) programs passed"
units-asan: $(UNITS:%=build/asan/unit/%) ##    the same under ASan and UBSan
	@for t in $^; do ASAN_OPTIONS=detect_leaks=1 $$t > $$t.log 2>&1 || { cat $$t.log; echo "FAILED: $$t"; exit 1; }; done; \
	echo "units under ASan and UBSan: $(words $(UNITS)) programs passed"

check-source: ##    the dependency law, style, tables against documents
	@$(PYTHON) tools/check-source.py --self-test
	@$(PYTHON) tools/check-source.py

# No role may reach what is not its own: the linker's word on it.
check-linkage: $(PROGRAMS:%=build/bin/%)
	@tools/check-linkage.sh build/bin

check-scenario: all fault ##    scenarios: real processes, a real RabbitMQ of their own
	@PYTHON=$(PYTHON) tests/run.sh scenario
check-crash: all fault ##    the crash suite: fault points, kill -9, double deliveries
	@PYTHON=$(PYTHON) tests/run.sh crash

# --- work -----------------------------------------------------------------------------------------
.PHONY: demo demo-rabbitmq bench-idle help
demo: build-deps ##    installs what is missing, builds, runs real work and shows it
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	@examples/demo/demo.sh
demo-rabbitmq: deps ##    the same on a private RabbitMQ, submitted by AMQP clients too
	@$(MAKE) --no-print-directory -j$(JOBS) programs
	@examples/demo/demo.sh rabbitmq

# The programs of the bench stand alone: nothing of lib/ is in them.
BENCH_PROGRAMS := raw hear fill noop spawnloop submit rows
EXTERN_rows := -lsqlite3
EXTERN_raw := build/obj/bench/session.o -lrabbitmq
EXTERN_fill := build/obj/bench/session.o -lrabbitmq
EXTERN_hear := build/obj/bench/session.o -lrabbitmq
.PHONY: bench bench-programs
build/bench/%: build/obj/bench/%.o build/obj/bench/session.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_release) $(LDFLAGS) -o $@ $< $(EXTERN_$*)
bench-programs: programs $(BENCH_PROGRAMS:%=build/bench/%)
bench: bench-programs ##    speed against the broker's own: a table, bench/results/*.json, a picture
	@missed=0; $(PYTHON) bench/bench.py || missed=$$?; $(PYTHON) bench/picture.py && exit $$missed

.PHONY: bench-scale
bench-scale: build/bin/skep-sim ##    the rule that scales, in simulated time, beside oracles and other rules
	@$(PYTHON) bench/scale.py

bench-idle: programs ##    memory and CPU of an idle node with four workers
	@$(PYTHON) bench/idle.py

.PHONY: bench-embedded
bench-embedded: bench-programs ##    the embedded queue against a bare SQLite loop, with up to a million jobs
	@$(PYTHON) bench/nobroker.py

.PHONY: bench-large
bench-large: programs ##    1 000 jobs of 8 MiB each way: the peak memory of each process
	@$(PYTHON) bench/large.py

help: ##    this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 24
	@echo
	@echo "  PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) SYSCONFDIR=$(SYSCONFDIR) UNITDIR=$(UNITDIR)"
	@echo "  V=1 shows commands, SKEP_TEST_JOBS=3 tests at a time"

# --- installation ---------------------------------------------------------------------------------
HEADERS := $(notdir $(wildcard include/skep/*.h))
INSTALLED := $(PREFIX)/bin/skepd $(PREFIX)/bin/skep $(PREFIX)/bin/skep-sim $(ROLES:%=$(PREFIX)/libexec/skep/skep-%) \
	$(UNITDIR)/skepd.service $(SYSUSERSDIR)/skep.conf $(PREFIX)/share/doc/skep/LICENSE \
	$(PREFIX)/share/doc/skep/skep.conf $(COMPLETIONDIR)/skep $(COMPLETIONDIR)/skepd $(COMPLETIONDIR)/skep-sim \
	$(HEADERS:%=$(PREFIX)/include/skep/%) $(LIBDIR)/pkgconfig/skep.pc $(LIBDIR)/pkgconfig/skep-client.pc \
	$(foreach l,$(LIBSKEPS),$(foreach s,a so so.$(SOVERSION) so.$(VERSION),$(LIBDIR)/$(l).$(s))) \
	$(foreach m,$(notdir $(MANUALS)),$(MANDIR)/man$(patsubst .%,%,$(suffix $(m)))/$(m))

# The sample becomes the configuration only where there is none.
.PHONY: install uninstall
install: all ##    into PREFIX, below DESTDIR
	install -D -t '$(DESTDIR)$(PREFIX)/bin' build/bin/skepd build/bin/skep build/bin/skep-sim
	install -D -t '$(DESTDIR)$(PREFIX)/libexec/skep' $(ROLES:%=build/bin/skep-%)
	install -d '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(SYSCONFDIR)/skep/conf.d'
	sed -e 's|/usr/local/bin/|$(PREFIX)/bin/|' -e 's| /etc/| $(SYSCONFDIR)/|' systemd/skepd.service \
		> '$(DESTDIR)$(UNITDIR)/skepd.service'
	chmod 644 '$(DESTDIR)$(UNITDIR)/skepd.service'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/include/skep' $(HEADERS:%=include/skep/%)
	install -D -m 644 -t '$(DESTDIR)$(LIBDIR)' \
		$(foreach l,$(LIBSKEPS),build/lib/$(l).a build/lib/$(l).so.$(VERSION))
	for l in $(LIBSKEPS); do \
		ln -sf $$l.so.$(VERSION) '$(DESTDIR)$(LIBDIR)'/$$l.so.$(SOVERSION) && \
		ln -sf $$l.so.$(SOVERSION) '$(DESTDIR)$(LIBDIR)'/$$l.so || exit 1; done
	install -D -m 644 -t '$(DESTDIR)$(LIBDIR)/pkgconfig' build/skep.pc build/skep-client.pc
	install -D -m 644 systemd/skep.sysusers '$(DESTDIR)$(SYSUSERSDIR)/skep.conf'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/doc/skep' LICENSE build/skep.conf
	install -D -m 644 -t '$(DESTDIR)$(COMPLETIONDIR)' build/completion/skep build/completion/skepd build/completion/skep-sim
	for m in $(notdir $(MANUALS)); do \
		install -D -m 644 build/man/$$m '$(DESTDIR)$(MANDIR)'/man$${m##*.}/$$m || exit 1; done
	test -e '$(DESTDIR)$(SYSCONFDIR)/skep/skep.conf' || \
		install -m 640 build/skep.conf '$(DESTDIR)$(SYSCONFDIR)/skep/skep.conf'

uninstall: ##    removes what install made, except the configuration
	rm -f $(INSTALLED:%='$(DESTDIR)%')
	-rmdir '$(DESTDIR)$(PREFIX)/libexec/skep' '$(DESTDIR)$(PREFIX)/share/doc/skep' \
		'$(DESTDIR)$(PREFIX)/include/skep'

.PHONY: clean
clean: ##    removes build/
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
