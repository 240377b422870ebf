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

# "make TLS=0 SYSTEMD=0" needs neither OpenSSL nor libsystemd: there is no TLS then, with nobody, and no unit.
# "make CURL=0" needs no libcurl, and without TLS none is needed: there is no fetch then, and no MTA-STS.
TLS = 1
SYSTEMD = 1
CURL = 1
without = $(if $(filter 0,$($1)),-DPOSTERN_NO_$1)
# Where the configuration, the spool and /run are is said by those who install (see below), if it is elsewhere.
elsewhere = $(if $(filter-out $3,$2),-DPOSTERN_$1='"$2"')
OPTIONS = $(call without,TLS) $(call without,SYSTEMD) $(call without,CURL) $(call elsewhere,SYSCONF,$(sysconfdir),/etc) \
	$(call elsewhere,LOCALSTATE,$(localstatedir),/var) $(call elsewhere,RUNSTATE,$(runstatedir),/run)
# Two builds of one source are the same octets, wherever they were made.
REPRODUCIBLE = -ffile-prefix-map=$(CURDIR)=.

ALLFLAGS = -std=c17 -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' $(OPTIONS) $(CPPFLAGS_EXTRA) -I. \
	-include lib/banned.h $(WARN) $(HARDEN) $(FORTIFY) $(REPRODUCIBLE) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)

# Rooms. What a program does not name here it cannot call: the linker keeps the walls.
room = $(patsubst %.c,$(B)/%.o,$(filter-out $(LEFT_OUT),$(foreach r,$(1),$(sort $(wildcard $(r)/*.c)))) \
	$(filter $(1:%=%/without/%),$(INSTEAD)))
# What a build without TLS, or without systemd, has not; instead it has what lies in a directory "without".
LEFT_OUT = $(OPENSSL_ONLY) $(SYSTEMD_ONLY)
INSTEAD = $(filter $(foreach f,$(LEFT_OUT),$(dir $f)without/$(notdir $f)),$(wildcard */without/*.c))
SYSTEMD_ONLY = $(if $(filter 0,$(SYSTEMD)),admin/diary.c)
OPENSSL_ONLY = $(if $(filter 0,$(TLS)),sending/dane.c sending/openssl.c sending/portion.c sending/signature.c \
	sending/tlsclient.c sending/trust.c secrets/certificate.c secrets/signkey.c secrets/ticket.c \
	$(addprefix helpers/,context.c handshake.c libssl.c pump.c tlscheck.c))
FETCH = $(if $(filter 0,$(TLS) $(CURL)),,fetch)
COMMON = lib mail conf queue process
ROOMS = $(COMMON) submit session dns delivery sending report secrets helpers admin status tlsreport

# What they free while they serve one client after the other is overwritten (lib/forget.c).
FORGET = -Wl,--wrap=free,--wrap=realloc

all: $(B)/smtpd $(B)/relay $(if $(OPENSSL_ONLY),,$(B)/tls $(B)/sign $(B)/postern-tlsreport) $(FETCH:%=$(B)/%) \
	$(B)/auth $(B)/postern $(B)/sendmail $(B)/postern-status

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

$(B)/musl/%.o: %.c $(B)/options
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(MUSLFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/musl/*.d $(COMMON:%=$(B)/musl/%/*.d) $(B)/musl/session/*.d)
endif

$(B)/relay: $(B)/relay.o $(B)/dns.o $(call room,dns delivery sending report) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -ludns -lidn2

$(B)/tls: $(B)/tls.o $(addprefix $(B)/helpers/,context.o handshake.o libssl.o pump.o tlscheck.o) \
	$(addprefix $(B)/secrets/,certificate.o ticket.o) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) $(FORGET) -o $@ $^ -lssl -lcrypto

$(B)/auth: $(B)/auth.o $(addprefix $(B)/helpers/,authcheck.o authority.o claim.o dialogue.o proof.o) \
	$(addprefix $(B)/secrets/,users.o secret.o password.o checkpass.o enrol.o) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lgsasl -lcrypt

$(B)/sign: $(B)/sign.o $(B)/secrets/signkey.o $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lcrypto -lidn2

$(B)/fetch: $(B)/fetch.o $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lcurl -lssl -lcrypto -lidn2

$(B)/sendmail: $(B)/sendmail.o $(call room,submit) $(B)/plain.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lidn2

$(B)/postern: $(B)/postern.o $(B)/dns.o $(call room,admin dns delivery sending report) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -ludns -lidn2 -ljansson

# Its room has the name of its source, and a directory for its objects.
$(B)/postern-status: $(B)/status.o $(call room,status) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -lidn2

$(B)/postern-tlsreport: $(B)/tlsreport.o $(B)/dns.o $(call room,tlsreport dns) \
	$(addprefix $(B)/,report/tlsrpt.o delivery/destinations.o delivery/fetching.o sending/dial.o) $(B)/common.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) -pie $(LDHARDEN) -o $@ $^ -ludns -lidn2 -ljansson -lz

$(B)/plain.a: $(call room,lib mail conf)
$(B)/common.a: $(call room,$(COMMON))
$(B)/postern.a: $(call room,$(ROOMS))
$(B)/%.a:
	@rm -f $@
	$(AR) rcsD $@ $^

$(B)/%.o: %.c $(B)/options
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -c -o $@ $<

# Objects of another TLS= or prefix are made again.
$(B)/options: FORCE
	@mkdir -p $(@D)
	@echo "$(subst ",,$(subst ',,$(OPTIONS)))" | cmp -s - $@ || echo "$(subst ",,$(subst ',,$(OPTIONS)))" >$@

FORCE:

-include $(wildcard $(B)/*.d $(ROOMS:%=$(B)/%/*.d))

# ---- tests

comma = ,
# With OpenSSL only where there is TLS; and what it alone makes possible is not tested.
TLS_LIBS = $(if $(OPENSSL_ONLY),,-lssl -lcrypto)
OPENSSL_TESTS = $(foreach f,$(OPENSSL_ONLY),tests/unit/$(dir $f)test_$(notdir $f)) tests/unit/sending/test_resume.c
UNIT = $(patsubst tests/unit/%.c,$(B)/unit/%,$(filter-out $(if $(OPENSSL_ONLY),$(OPENSSL_TESTS)), \
	$(wildcard tests/unit/*/test_*.c)))

$(filter $(B)/unit/delivery/% $(B)/unit/admin/%,$(UNIT)) $(B)/unit/tlsreport/test_post: $(B)/dns.o
$(addprefix $(B)/unit/dns/test_,addresses also answer discovery dns hosts_file mx nameservers ptr resolver) $(B)/unit/delivery/test_destinations \
	$(addprefix $(B)/unit/tlsreport/test_,due due_left due_posts): \
	$(B)/dns.o $(B)/tests/unit/dns/nameserver.o
$(addprefix $(B)/unit/sending/test_,sending sending_learns sending_texts window begin probe mail_rcpt refusal) $(addprefix $(B)/unit/delivery/test_,flight connect relaxed meet share): $(B)/tests/unit/sending/host.o
# What happens between two steps of the code is done there by the test.
$(B)/unit/delivery/test_share: LDFLAGS += $(addprefix -Wl$(comma)--wrap=tlsclient_,verify free end match is_strong describe)
$(B)/unit/process/test_program: LDFLAGS += -Wl,--wrap=self_began_as_root
$(B)/unit/process/test_landlock_levels: LDFLAGS += -Wl,--wrap=syscall
$(B)/unit/delivery/test_flight: LDFLAGS += -Wl,--wrap=log_event
$(B)/unit/sending/test_sending_learns: LDFLAGS += -Wl,--wrap=link_reply
$(B)/unit/delivery/test_relaxed: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,policy_decide destinations_find resolvers_take resolvers_give_back)
$(B)/unit/delivery/test_scan: LDFLAGS += -Wl,--wrap=readdir
$(B)/unit/delivery/test_turns $(B)/unit/delivery/test_turns_hosts: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,courier_start tour_add log_event clock_wall)
$(B)/unit/delivery/test_slow $(B)/unit/delivery/test_connect: LDFLAGS += -Wl,--wrap=clock_ms
$(B)/unit/delivery/test_keeper: LDFLAGS += -Wl,--wrap=bell_lock -Wl,--wrap=message_note_crash
$(B)/unit/tlsreport/test_post: LDFLAGS += $(addprefix -Wl$(comma)--wrap=fetching_,start connect connect_outside ask)
$(B)/unit/tlsreport/test_aggregate: LDFLAGS += -Wl,--wrap=openat
$(addprefix $(B)/unit/tlsreport/test_,due due_left due_posts): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,post_report log_event openat dir_next)
$(B)/unit/delivery/test_stslane: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,clock_wall clock_deadline fetching_connect fetching_ask)
$(B)/unit/delivery/test_fetching: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,dial_begin resolver_addresses destinations_vet resolver_copy resolver_close resolver_use_dane)
$(B)/unit/delivery/test_tour: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,readdir lane_take lane_settle utimensat)
$(B)/unit/process/test_log: LDFLAGS += -Wl,--wrap=connect
$(B)/unit/process/test_quota: LDFLAGS += -Wl,--wrap=clock_wall -Wl,--wrap=ppoll
# As smtpd is linked.
$(B)/unit/lib/test_forget: LDFLAGS += $(FORGET)
$(B)/unit/helpers/test_pump: LDFLAGS += -Wl,--wrap=SSL_shutdown,--wrap=poll
$(B)/unit/helpers/test_libssl: LDFLAGS += -Wl,--wrap=free
$(B)/unit/queue/test_held: LDFLAGS += -Wl,--wrap=lock_shared -Wl,--wrap=utimensat
$(B)/unit/queue/test_spool: LDFLAGS += -Wl,--wrap=readdir
$(B)/unit/queue/test_lane: LDFLAGS += -Wl,--wrap=unlinkat -Wl,--wrap=utimensat
$(B)/unit/delivery/test_turns_between: LDFLAGS += $(addprefix -Wl$(comma)--wrap=,poll pthread_create pthread_join clock_wall clock_ms)
$(B)/unit/sending/test_openssl: LDFLAGS += -Wl,--wrap=dlsym
$(B)/unit/sending/test_tlsclient: LDFLAGS += -Wl,--wrap=openssl_load
$(B)/unit/%: tests/unit/%.c $(B)/postern.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -pie $(LDHARDEN) -o $@ $(filter %.c %.o,$^) $(filter %.a,$^) \
		-lcmocka -ludns -lidn2 $(TLS_LIBS) -lgsasl -lcrypt -ljansson -lz

FUZZ = $(filter-out main,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)))
FUZZ_MAIN = $(B)/tests/fuzz/main.o
FUZZ_SECONDS ?= 20
# For checkers: a dynamic smtpd, and programs that are not locked in.
INSTRUMENTED = STATIC=-pie CPPFLAGS_EXTRA=-DPOSTERN_INSTRUMENTED FORTIFY= CFLAGS='-O1 -g'

$(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_MAIN) $(B)/postern.a
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(FUZZER) -MMD -MP -MF $@.d $(LDFLAGS) -pie -o $@ $< \
		$(filter %.o,$^) $(filter %.a,$^) -ludns -lidn2 -lssl -lcrypto -lgsasl -lcrypt -ljansson -lz

-include $(wildcard $(B)/unit/*/*.d $(B)/fuzz/*.d $(B)/tests/*/*.d $(B)/tests/unit/*/*.d)

unit: $(UNIT:%=%.run) corpus

# Many wait more than they compute, so they run as make is told by -j; who fails is heard.
$(UNIT:%=%.run): %.run: %
	@$< >$<.log 2>&1 || { cat $<.log; exit 1; }

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

# With other people's programs that are too large or too slow for make check: promtool, testssl.sh.
FIELD = tests/e2e/test_log_formats.py tests/e2e/test_status.py tests/e2e/test_mailers.py \
	tests/e2e/test_scanners.py tests/e2e/test_supervisors.py
check-field: need-check need-field all
	POSTERN_FIELD=1 POSTERN_BUILD=$(abspath $(B)) $(PYTEST) $(FIELD)

# The page in a browser, light, dark and narrow, into docs/pictures.
pictures: need-check need-pictures all
	POSTERN_BUILD=$(abspath $(B)) $(PYTHON) -B tests/tools/pictures.py docs/pictures

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
	cp -a build/*.o build/options $(wildcard build/musl) $(wildcard $(ROOMS:%=build/%)) build/broken/$*
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

# A few files know of it, and those that include one; the other objects are those of the build that is locked in.
instrumented: all
	@rm -rf build/instrumented
	@mkdir -p build/instrumented
	cp -a build/*.o build/options $(wildcard $(ROOMS:%=build/%)) build/instrumented
	rm -f $$(grep -l POSTERN_INSTRUMENTED $(addsuffix /*.c,$(ROOMS)) | sed 's,\(.*\)c$$,build/instrumented/\1o,') \
		$$(grep -l POSTERN_INSTRUMENTED $(addsuffix /*.h,$(ROOMS)) | grep -lFf - build/instrumented/*/*.d | sed 's,d$$,o,')
	$(MAKE) B=build/instrumented STATIC=-pie CPPFLAGS_EXTRA=-DPOSTERN_INSTRUMENTED \
		$(addprefix build/instrumented/,smtpd relay)

# Without TLS and libsystemd, as where neither is installed: each of their headers is an error there. And
# unit tests of what is different then.
lean:
	@for h in $$(grep -rhoE '<(openssl|systemd|curl)/[a-z0-9_-]+' --include=*.[ch] . | tr -d '<' | sort -u); do \
		mkdir -p build/lean/absent/$${h%/*} && echo '#error it is not installed' >build/lean/absent/$$h.h || exit; done
	$(MAKE) B=build/lean TLS=0 SYSTEMD=0 MUSL= STATIC=-pie FORTIFY= CFLAGS=-O0 CPPFLAGS=-Ibuild/lean/absent all \
		$(addprefix build/lean/unit/,conf/test_routes sending/test_sending sending/test_sending_learns)

# The whole suite with sanitizers.
asan: need-check
	$(MAKE) B=build/asan $(INSTRUMENTED) \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' all unit
	POSTERN_BUILD=$(abspath build/asan) $(PYTEST) tests

# ... of those that deliver, with couriers that are watched.
TSAN = $(addprefix tests/e2e/test_,bell blame circles client_auth client_tls delivery destinations dkim fetch held \
	hostile logins marks misfits next_host optional_tls optional_tls_sts outage poison race replies reports \
	routes sharing strays sts throughput tls_counted tls_counted_dane turns)

tsan: need-check
	$(MAKE) B=build/tsan $(INSTRUMENTED) SANITIZE='-fsanitize=thread -fno-omit-frame-pointer' all unit
	POSTERN_BUILD=$(abspath build/tsan) $(PYTEST) $(wildcard $(TSAN:%=%.py))

# One statement changed at a time: which tests notice? ROOM=session,queue ONLY=text SAMPLE=300 SEED=text
mutants: need-check
	@$(PYTHON) -B tests/mutants/mutants.py --workers $(MUTANT_WORKERS) \
		$(if $(ROOM),--room "$(ROOM)") $(if $(ONLY),--only "$(ONLY)") \
		$(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed "$(SEED)")

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
	POSTERN_BUILD=$(abspath $(B)) $(PYTHON) -B tests/bench/admin_scale.py

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

# The directories of the GNU conventions; PREFIX is another name for prefix. What is a host's own stands where
# everybody looks for it, whatever the prefix is.
prefix = $(PREFIX)
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
sbindir = $(exec_prefix)/sbin
libdir = $(exec_prefix)/lib
libexecdir = $(exec_prefix)/libexec
datarootdir = $(prefix)/share
docdir = $(datarootdir)/doc/postern
mandir = $(datarootdir)/man
unitdir = $(prefix)/lib/systemd/system
sysconfdir = /etc
localstatedir = /var
runstatedir = /run
INSTALL = install
INSTALL_PROGRAM = $(INSTALL)
INSTALL_SCRIPT = $(INSTALL)
INSTALL_DATA = $(INSTALL) -m 644

# What is installed. install and uninstall go by these lists alone: another file is another word, or row.
# Programs replace each other while mail comes and goes; smtpd, which
# starts the others, is behind them, and sendmail, which speaks with it, the last.
PROGRAMS = postern-status $(if $(filter 0,$(TLS)),,tls sign postern-tlsreport) $(FETCH) auth relay smtpd sendmail
# For people, in bindir.
COMMANDS = postern
UNITS = postern.socket postern@.service postern-local.socket postern-busy.socket postern-busy.service \
	postern-due.service postern-due@.service postern-due.timer \
	postern-status.socket postern-status@.service postern-status.service postern-status.timer
# Listeners besides port 25: the same units under other names, for other ports.
LISTENERS = submission:587 submissions:465 lan:2525
# Sockets with a unit of their own among UNITS, postern-NAME.socket, whose service is that of all listeners.
SIBLINGS = local
# Who calls when there is a network again.
HOOKS = NetworkManager/dispatcher.d networkd-dispatcher/routable.d
EXAMPLES = units/postern.conf units/hardened.conf units/postern.xinetd units/postern.cron \
	$(addprefix packaging/postern.,openrc runit s6)
# As they are, below docdir: other people's programs read them.
FIELD_EXAMPLES = $(sort $(wildcard units/monitoring/* units/fail2ban/*/*.conf))
PICTURES = $(sort $(wildcard docs/pictures/*))
DOCUMENTS = README.md $(sort $(wildcard docs/*.md))
MANUALS = $(filter-out $(if $(filter 0,$(SYSTEMD)),%/postern-systemd.7),$(sort $(wildcard docs/man/*.[1-8])))
# The links by which other programs know a mail system (install-mta).
MTA_LINKS = $(sbindir)/sendmail $(libdir)/sendmail $(bindir)/mailq $(bindir)/newaliases

# SOURCE=PLACE, for each. Without systemd there are no units, and nobody calls.
own = $(libexecdir)/postern
SYSTEMD_DATA = $(foreach u,$(UNITS),units/$u=$(unitdir)/$u) \
	$(foreach s,$(SIBLINGS),units/postern@.service=$(unitdir)/postern-$s@.service) \
	units/postern.catalog=$(prefix)/lib/systemd/catalog/postern.catalog \
	units/postern.sysusers=$(prefix)/lib/sysusers.d/postern.conf \
	units/postern.tmpfiles=$(prefix)/lib/tmpfiles.d/postern.conf
PLACED_PROGRAMS = $(foreach p,$(PROGRAMS),$(B)/$p=$(own)/$p) $(foreach p,$(COMMANDS),$(B)/$p=$(bindir)/$p)
PLACED_SCRIPTS = $(foreach h,$(HOOKS),units/postern-network=$(prefix)/lib/$h/50-postern)
PLACED_DATA = $(if $(filter 0,$(SYSTEMD)),,$(SYSTEMD_DATA)) \
	$(foreach e,$(EXAMPLES),$e=$(docdir)/examples/$(notdir $e)) \
	$(foreach e,$(FIELD_EXAMPLES),$e=$(docdir)/$(e:units/%=%)) \
	units/postern.bash=$(datarootdir)/bash-completion/completions/postern \
	$(foreach d,$(DOCUMENTS),$d=$(docdir)/$(notdir $d)) \
	$(foreach g,$(sort $(wildcard docs/guide/*.md)),$g=$(docdir)/guide/$(notdir $g)) \
	$(foreach m,$(MANUALS),$m=$(mandir)/man$(patsubst .%,%,$(suffix $m))/$(notdir $m))
PLACED_PICTURES = $(foreach p,$(PICTURES),$p=$(docdir)/pictures/$(notdir $p))
PLACED_NOW = $(if $(filter 0,$(SYSTEMD)),,$(foreach u,.service @.service,units/postern-due$u=$(unitdir)/postern-now$u))
PLACED_LISTENERS = $(if $(filter 0,$(SYSTEMD)),,$(foreach l,$(LISTENERS),$(call listener,$l)))
PLACED_BUSY = $(if $(filter 0,$(SYSTEMD)),,$(foreach l,$(LISTENERS),$(call busy,$l)))
profile = $(firstword $(subst :, ,$1))
busy = $(foreach u,.socket .service,units/postern-busy$u=$(unitdir)/postern-busy-$(profile)$u)
listener = $(foreach u,.socket @.service,units/postern$u=$(unitdir)/postern-$(profile)$u)
PLACED = $(PLACED_PROGRAMS) $(PLACED_SCRIPTS) $(PLACED_DATA) $(PLACED_PICTURES) $(PLACED_NOW) $(PLACED_LISTENERS) $(PLACED_BUSY)
places = $(foreach p,$(1),"$(DESTDIR)$(lastword $(subst =, ,$p))")

# $(call put,LIST,COMMAND): the command makes $$new of $$from; then it takes the place of $$to, in one step.
put = set -e; for f in $(1); do from=$${f%%=*}; to="$(DESTDIR)$${f\#*=}"; new=$${to%/*}/.$${to\#\#*/}.new; \
	[ -r $$from ]; $(INSTALL) -d "$${to%/*}"; $(2); mv -f "$$new" "$$to"; done
EDIT = sed -e 's|@LIBEXECDIR@|$(own)|g; s|/etc/postern|$(sysconfdir)/postern|g' \
	-e 's|/var/spool/postern|$(localstatedir)/spool/postern|g; s|/run/postern|$(runstatedir)/postern|g'
AS_NOW = sed -e 's|/relay --due$$|& --now|; s|by the timer|by a hook|; s|postern-due|postern-now|g' \
	-e 's|retry mail that is due|deliver all that waits|' \
	-e 's|look for mail that is due|there is a network again|'
at_port = sed -e 's|:25$$|:$(lastword $(subst :, ,$1))|; s|port 25|port $(lastword $(subst :, ,$1))|'
busy_at_port = sed -e 's|postern-busy|&-$(profile)|g; s|postern\.socket|postern-$(profile).socket|g' \
	-e 's|-p postern$$|-p $(profile)|' | $(at_port)
DATA = $(INSTALL_DATA) /dev/stdin "$$new"

install: all
	@$(call put,$(PLACED_DATA),$(EDIT) $$from | $(DATA))
	@$(call put,$(PLACED_PICTURES),$(INSTALL_DATA) $$from "$$new")
	@$(call put,$(PLACED_NOW),$(EDIT) $$from | $(AS_NOW) | $(DATA))
	@$(foreach l,$(if $(PLACED_LISTENERS),$(LISTENERS)),\
		$(call put,$(call listener,$l),$(EDIT) $$from | $(call at_port,$l) | $(DATA)); \
		$(call put,$(call busy,$l),$(EDIT) $$from | $(call busy_at_port,$l) | $(DATA));)
	@$(call put,$(PLACED_SCRIPTS),$(EDIT) $$from | $(INSTALL_SCRIPT) -m 755 /dev/stdin "$$new")
	@$(call put,$(PLACED_PROGRAMS),$(INSTALL_PROGRAM) $$from "$$new")

install-strip:
	$(MAKE) INSTALL_PROGRAM='$(INSTALL_PROGRAM) -s' install

uninstall: uninstall-mta
	rm -f $(call places,$(PLACED))
	@for d in "$(own)" $(foreach d,examples guide pictures monitoring fail2ban/filter.d fail2ban/jail.d fail2ban,"$(docdir)/$d") \
		"$(docdir)"; do \
		[ ! -d "$(DESTDIR)$$d" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$d"; done

# A host has one of these: packages of other mail systems bring them, too.
install-mta: install
	@for l in $(MTA_LINKS); do $(INSTALL) -d "$(DESTDIR)$${l%/*}" && \
		ln -srf "$(DESTDIR)$(own)/sendmail" "$(DESTDIR)$$l" || exit; done

uninstall-mta:
	@for l in $(MTA_LINKS); do case $$(readlink "$(DESTDIR)$$l") in */postern/sendmail) rm -f "$(DESTDIR)$$l" ;; esac; done

# What is committed, the same octets each time.
dist:
	@mkdir -p $(B)
	git archive --format=tar --prefix=postern-$(VERSION)/ HEAD | gzip -9n >$(B)/postern-$(VERSION).tar.gz

# Packages: made in a bare Debian, and what the tools of distributions say of them. Root, and half an hour.
deb: need-packages
	tests/packages/check deb

check-packages: need-packages all
	tests/packages/check

clean:
	rm -rf $(B)

.PHONY: all unit corpus corpus-run fuzz fuzz-run session e2e crash lint check check-busy check-field pictures \
	broken powercut instrumented lean asan tsan mutants clang analyze demo bench profile cost distance crowd \
	lanes standstill bells admin-scale run install install-strip uninstall install-mta uninstall-mta dist \
	deb check-packages clean
