# make          the programs, in build/
# make check    install what is missing, run every test
# make demo     a message through a small internet of our own, and what happened to it
# The other targets are explained in docs/CONTRIBUTING.md.

VERSION = 0.1.0
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
B ?= build
# One spelling for one directory: objects are found again, and made again, by their names.
override B := $(patsubst $(CURDIR)/%,%,$(abspath $(B)))

CC ?= cc
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
HARDEN = -fstack-protector-strong -fPIE
FORTIFY = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
CFLAGS ?= -O2 -g
LDHARDEN = -Wl,-z,relro,-z,now
# smtpd is static: loading a C library costs a third of a process this short. And its library is musl
# where that is installed, for glibc begins with more work than a session is. "make MUSL=" does without.
STATIC = -static-pie
ifeq ($(STATIC),-static-pie)
MUSL ?= $(wildcard /usr/lib/$(shell uname -m)-linux-musl)
endif
SANITIZE =

ALLFLAGS = -std=c17 -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' $(CPPFLAGS_EXTRA) -I. \
	-include lib/banned.h $(WARN) $(HARDEN) $(FORTIFY) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)

# Rooms. What a program does not name here it cannot call: the linker keeps the walls.
room = $(patsubst %.c,$(B)/%.o,$(foreach r,$(1),$(wildcard $(r)/*.c)))
COMMON = lib mail conf queue process
ROOMS = $(COMMON) session dns delivery sending report secrets admin

# What they free while they serve one client after the other is overwritten (lib/forget.c).
FORGET = -Wl,--wrap=free,--wrap=realloc

all: $(B)/smtpd $(B)/relay $(B)/tls $(B)/auth $(B)/postern

SMTPD = $(B)/smtpd.o $(call room,session $(COMMON))

ifeq ($(MUSL),)
$(B)/smtpd: $(SMTPD)
	$(CC) $(ALLFLAGS) $(LDFLAGS) $(LDHARDEN) $(FORGET) $(STATIC) -o $@ $^ -lidn2 -lunistring
else
# Headers of the kernel and of libidn2 are where the compiler's own are. libunistring was made for glibc,
# and in a conversion that nobody calls has the one function of it that musl lacks.
MUSLFLAGS = -nostdinc -isystem $(subst /lib/,/include/,$(MUSL)) \
	-isystem $(shell $(CC) -print-file-name=include) -idirafter /usr/include \
	-idirafter /usr/include/$(notdir $(MUSL:musl=gnu)) -ffunction-sections -fdata-sections
# What is needed lies together, for each page costs: no function that is not called, the variables of
# the C library beside ours, and libidn2, which few sessions call, behind everything else.
COMPACT = -Wl,--gc-sections -Wl,-T,process/layout.ld

$(B)/smtpd: $(SMTPD:$(B)/%=$(B)/musl/%)
	$(CC) $(ALLFLAGS) $(LDFLAGS) $(LDHARDEN) $(COMPACT) $(FORGET) \
		-Wl,--defsym=__memmove_chk=memmove \
		$(STATIC) -nostdlib -o $@ $(MUSL)/rcrt1.o $(MUSL)/crti.o $^ $(MUSL)/libc.a \
		-lidn2 -lunistring $(MUSL)/libc.a -lgcc $(MUSL)/crtn.o

$(B)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(MUSLFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/musl/*.d $(COMMON:%=$(B)/musl/%/*.d) $(B)/musl/session/*.d)
endif

$(B)/relay: $(B)/relay.o $(B)/dns.o $(call room,dns delivery sending report) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -ludns -lidn2

$(B)/tls: $(B)/tls.o $(addprefix $(B)/secrets/,certificate.o ticket.o) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) $(FORGET) -o $@ $^ -lssl -lcrypto

$(B)/auth: $(B)/auth.o $(addprefix $(B)/secrets/,users.o secret.o checkpass.o enrol.o) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lgsasl -lcrypt

$(B)/postern: $(B)/postern.o $(B)/dns.o $(call room,admin dns delivery sending report) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -ludns -lidn2 -ljansson

$(B)/common.a: $(call room,$(COMMON))
$(B)/postern.a: $(call room,$(ROOMS))
$(B)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/*.d $(ROOMS:%=$(B)/%/*.d))

# ---- tests

comma = ,
UNIT = $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c))

$(filter $(B)/unit/delivery/% $(B)/unit/admin/%,$(UNIT)): $(B)/dns.o
$(B)/unit/dns/test_dns $(B)/unit/dns/test_nameservers $(B)/unit/dns/test_ptr $(B)/unit/delivery/test_destinations: \
	$(B)/dns.o $(B)/tests/unit/dns/nameserver.o
$(addprefix $(B)/unit/sending/test_,sending begin probe mail_rcpt refusal) $(addprefix $(B)/unit/delivery/test_,flight connect meet share): $(B)/tests/unit/sending/host.o
# What happens between two steps of the code is done there by the test.
$(B)/unit/delivery/test_share: LDFLAGS += $(addprefix -Wl$(comma)--wrap=tlsclient_,verify free end)
$(B)/unit/delivery/test_flight: LDFLAGS += -Wl,--wrap=log_event
$(B)/unit/delivery/test_scan: LDFLAGS += -Wl,--wrap=readdir
$(B)/unit/delivery/test_turns: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,courier_start tour_add log_event)
$(B)/unit/delivery/test_keeper: LDFLAGS += -Wl,--wrap=bell_lock -Wl,--wrap=message_note_crash
$(B)/unit/delivery/test_tour: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,readdir lane_take lane_settle)
$(B)/unit/process/test_log: LDFLAGS += -Wl,--wrap=connect
# As smtpd is linked.
$(B)/unit/lib/test_forget: LDFLAGS += $(FORGET)
$(B)/unit/queue/test_held: LDFLAGS += -Wl,--wrap=lock_shared
$(B)/unit/queue/test_spool: LDFLAGS += -Wl,--wrap=readdir
$(B)/unit/delivery/test_turns_between: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,poll pthread_create pthread_join clock_wall)
$(B)/unit/sending/test_openssl: LDFLAGS += -Wl,--wrap=dlsym
$(B)/unit/sending/test_tlsclient: LDFLAGS += -Wl,--wrap=openssl_load
$(B)/unit/%: tests/unit/%.c $(B)/postern.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -pie $(LDHARDEN) -o $@ $(filter %.c %.o,$^) $(filter %.a,$^) \
		-lcmocka -ludns -lidn2 -lssl -lcrypto -lgsasl -lcrypt -ljansson

FUZZ = $(filter-out main,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
FUZZ_MAIN = $(B)/tests/fuzz/main.o
FUZZ_SECONDS ?= 20
# For checkers: a dynamic smtpd, and programs that are not locked in.
INSTRUMENTED = STATIC=-pie CPPFLAGS_EXTRA=-DPOSTERN_INSTRUMENTED FORTIFY= CFLAGS='-O1 -g'

$(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_MAIN) $(B)/postern.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(FUZZER) -MMD -MP -MF $@.d $(LDFLAGS) -pie -o $@ $< \
		$(filter %.o,$^) $(filter %.a,$^) -ludns -lidn2 -lssl -lcrypto -lgsasl -lcrypt -ljansson

-include $(wildcard $(B)/unit/*/*.d $(B)/fuzz/*.d $(B)/tests/*/*.d $(B)/tests/unit/*/*.d)

unit: $(UNIT) corpus
	@set -e; for t in $(UNIT); do $$t; done

# What the fuzzers begin with, and what they found, once through each of them.
corpus:
	@$(MAKE) --no-print-directory B=build/corpus CC=gcc $(INSTRUMENTED) \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' corpus-run

corpus-run: $(FUZZ:%=$(B)/fuzz/%)
	@set -e; for t in $(FUZZ); do $(B)/fuzz/$$t tests/fuzz/corpus/$$t/*; done

fuzz: need-fuzz
	$(MAKE) B=build/fuzz CC=clang FUZZ_MAIN= FUZZER=-fsanitize=fuzzer $(INSTRUMENTED) fuzz-run \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'

fuzz-run: $(FUZZ:%=$(B)/fuzz/%)
	@set -e; for t in $(FUZZ); do mkdir -p $(B)/found/$$t; echo "fuzz: $$t, $(FUZZ_SECONDS) s"; \
		$(B)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=$(B)/found/$$t- $(B)/found/$$t tests/fuzz/corpus/$$t; done

# Tests wait more than they compute; those of one file are run by one worker.
WORKERS = 5
MUTANT_WORKERS = 2
PYTEST = $(PYTHON) -m pytest -q -rs -n $(WORKERS) --dist loadfile

session e2e crash lint: all
	POSTERN_BUILD=$(abspath $(B)) $(PYTEST) tests/$@

# As many jobs as there are processors, unless make was told how many.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# The same with one smtpd for many clients wherever a test can be run like that.
check-busy: need-check all
	POSTERN_WAY=busy POSTERN_BUILD=$(abspath $(B)) $(PYTEST) tests/session tests/e2e

check: need-check
	$(MAKE) $(JOBS) all unit
	POSTERN_BUILD=$(abspath $(B)) $(PYTEST) tests

# J7: power cuts in the instant after the 250, and builds that must lose mail then. Needs root.
BREAK = NO_FILE_FSYNC NO_LANE_FSYNC EARLY_250

broken: $(BREAK:%=broken-%)
# Two files know of it; the other objects are those of the build that is not broken.
broken-%: all
	@rm -rf build/broken/$*
	@mkdir -p build/broken/$*
	cp -a build/*.o $(wildcard build/musl) $(ROOMS:%=build/%) build/broken/$*
	rm -f $(foreach o,queue/draft.o session/receive.o,build/broken/$*/$o build/broken/$*/musl/$o)
	$(MAKE) B=build/broken/$* CPPFLAGS_EXTRA=-DBREAK_$* all

powercut: need-check broken
	$(MAKE) all
	tests/crash/powercut -n 50 --build $(B)
	for b in $(BREAK); do \
		echo "BREAK_$$b:"; \
		tests/crash/powercut -n 20 --expect-loss --build build/broken/$$b || exit; done

need-%:
	tests/tools/need build $*

instrumented:
	$(MAKE) B=build/instrumented $(INSTRUMENTED) all

# The whole suite with sanitizers.
asan: need-check
	$(MAKE) B=build/asan $(INSTRUMENTED) \
		SANITIZE='-fsanitize=address,undefined -fno-omit-frame-pointer' all unit
	POSTERN_BUILD=$(abspath build/asan) $(PYTEST) tests

# ... of those that deliver, with couriers that are watched.
TSAN = $(addprefix tests/e2e/test_,bell blame circles client_auth client_tls delivery destinations held \
	hostile logins marks misfits outage poison race replies reports routes sharing strays throughput \
	turns)

tsan: need-check
	$(MAKE) B=build/tsan $(INSTRUMENTED) SANITIZE='-fsanitize=thread -fno-omit-frame-pointer' all unit
	POSTERN_BUILD=$(abspath build/tsan) $(PYTEST) $(wildcard $(TSAN:%=%.py))

# One statement changed at a time: which tests notice? ROOM=session,queue ONLY=text
mutants: need-check
	@$(PYTHON) -B tests/mutants/mutants.py --workers $(MUTANT_WORKERS) \
		$(if $(ROOM),--room "$(ROOM)") $(if $(ONLY),--only "$(ONLY)")

# The other compiler says other things.
clang: need-fuzz
	$(MAKE) B=build/clang CC=clang CPPFLAGS=-Werror all

analyze:
	$(MAKE) B=build/analyze CC=gcc CFLAGS='-O1 -fanalyzer' all

demo: need-demo
	$(MAKE) all
	tests/tools/demo

bench profile: need-bench
	$(MAKE) all
	tests/bench/run $@

cost: need-bench
	$(MAKE) all
	$(PYTHON) -B tests/bench/cost.py

# What postern costs with very much mail: LANES=1000 EACH=100.
admin-scale: need-bench all
	POSTERN_BUILD=$(abspath $(B)) $(PYTHON) -B tests/bench/queue.py

# Lost wake-ups: mail from many writers while relays are killed (test_bells.py). It takes long.
bells: need-check all
	POSTERN_BUILD=$(abspath $(B)) BELLS_MESSAGES=$(or $(BELLS_MESSAGES),100000) \
		$(PYTHON) -m pytest -q -s tests/e2e/test_bells.py

distance crowd lanes standstill: need-bench
	$(MAKE) all
	tests/tools/netns $(PYTHON) -B tests/bench/$@.py

run: all
	tests/tools/run

# ---- install

BIN = $(PREFIX)/bin
COMPLETIONS = $(PREFIX)/share/bash-completion/completions
LIBEXEC = $(PREFIX)/libexec/postern
UNITDIR = $(PREFIX)/lib/systemd/system
DOC = $(PREFIX)/share/doc/postern
EDIT = sed -e 's|@LIBEXECDIR@|$(LIBEXEC)|g'
# Each takes the place of the one before in one step, for mail comes and goes meanwhile; smtpd, which
# starts the others, is the last.
PROGRAMS = tls auth relay smtpd
# Listeners besides port 25: the same units under other names, for other ports.
LISTENERS = submission:587 submissions:465 lan:2525
# Who calls when there is a network again.
HOOKS = NetworkManager/dispatcher.d networkd-dispatcher/routable.d

install: all
	install -d $(DESTDIR)$(BIN) $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOC) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	for p in $(PROGRAMS); do install -m 755 $(B)/$$p $(DESTDIR)$(LIBEXEC)/.$$p.new && \
		mv -f $(DESTDIR)$(LIBEXEC)/.$$p.new $(DESTDIR)$(LIBEXEC)/$$p || exit; done
	install -m 755 $(B)/postern $(DESTDIR)$(BIN)/.postern.new
	mv -f $(DESTDIR)$(BIN)/.postern.new $(DESTDIR)$(BIN)/postern
	install -d $(DESTDIR)$(COMPLETIONS)
	install -m 644 units/postern.bash $(DESTDIR)$(COMPLETIONS)/postern
	for u in postern.socket postern@.service postern-busy.socket postern-busy.service postern-due.service \
		postern-due@.service postern-due.timer; do \
		$(EDIT) units/$$u >$(DESTDIR)$(UNITDIR)/$$u && chmod 644 $(DESTDIR)$(UNITDIR)/$$u || exit; done
	for u in .service @.service; do sed -e 's|/relay --due$$|& --now|; s|by the timer|by a hook|' \
		-e 's|retry mail that is due|deliver all that waits|' \
		-e 's|look for mail that is due|there is a network again|' \
		-e 's|postern-due|postern-now|g' $(DESTDIR)$(UNITDIR)/postern-due$$u \
		>$(DESTDIR)$(UNITDIR)/postern-now$$u && chmod 644 $(DESTDIR)$(UNITDIR)/postern-now$$u || exit; done
	for h in $(HOOKS); do \
		install -d $(DESTDIR)$(PREFIX)/lib/$$h && \
		$(EDIT) units/postern-network >$(DESTDIR)$(PREFIX)/lib/$$h/50-postern && \
		chmod 755 $(DESTDIR)$(PREFIX)/lib/$$h/50-postern || exit; done
	for l in $(LISTENERS); do name=postern-$${l%:*}; port=$${l#*:}; \
		$(EDIT) units/postern@.service >$(DESTDIR)$(UNITDIR)/$$name@.service && \
		sed -e "s|:25$$|:$$port|; s|port 25|port $$port|" units/postern.socket \
			>$(DESTDIR)$(UNITDIR)/$$name.socket && \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$name@.service $(DESTDIR)$(UNITDIR)/$$name.socket || exit; done
	for u in postern.xinetd postern.cron; do \
		$(EDIT) units/$$u >$(DESTDIR)$(DOC)/$$u && chmod 644 $(DESTDIR)$(DOC)/$$u || exit; done
	install -m 644 units/postern.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	install -m 644 units/postern.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf
	install -m 644 units/postern.conf units/hardened.conf README.md docs/*.md $(DESTDIR)$(DOC)

uninstall:
	rm -rf $(DESTDIR)$(LIBEXEC) $(DESTDIR)$(DOC)
	rm -f $(DESTDIR)$(BIN)/postern $(DESTDIR)$(COMPLETIONS)/postern
	for l in $(LISTENERS); do rm -f $(DESTDIR)$(UNITDIR)/postern-$${l%:*}.socket \
		$(DESTDIR)$(UNITDIR)/postern-$${l%:*}@.service; done
	rm -f $(DESTDIR)$(UNITDIR)/postern.socket $(DESTDIR)$(UNITDIR)/postern@.service \
		$(DESTDIR)$(UNITDIR)/postern-busy.socket $(DESTDIR)$(UNITDIR)/postern-busy.service \
		$(DESTDIR)$(UNITDIR)/postern-due.service $(DESTDIR)$(UNITDIR)/postern-due@.service \
		$(DESTDIR)$(UNITDIR)/postern-due.timer $(DESTDIR)$(UNITDIR)/postern-now.service \
		$(DESTDIR)$(UNITDIR)/postern-now@.service \
		$(HOOKS:%=$(DESTDIR)$(PREFIX)/lib/%/50-postern) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf \
		$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf

clean:
	rm -rf $(B)

.PHONY: all unit corpus corpus-run fuzz fuzz-run session e2e crash lint check check-busy broken powercut \
	instrumented asan tsan mutants clang analyze demo bench profile cost distance crowd lanes standstill bells run \
	admin-scale \
	install uninstall clean
