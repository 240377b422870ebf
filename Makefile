# make          smtpd and relay, in build/
# make check    install what is missing, run every test
# make demo     a message through a small internet of our own, and what happened to it
# The other targets are explained in docs/CONTRIBUTING.md.

VERSION = 0.1.0
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
B ?= build

CC ?= cc
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
HARDEN = -fstack-protector-strong -fPIE
FORTIFY = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
CFLAGS ?= -O2 -g
LDHARDEN = -pie -Wl,-z,relro,-z,now
# smtpd is static: loading a C library costs a third of a process this short.
STATIC = -static-pie
SANITIZE =

ALLFLAGS = -std=c17 -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' $(CPPFLAGS_EXTRA) -I. \
	-include lib/banned.h $(WARN) $(HARDEN) $(FORTIFY) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)

LIB = $(wildcard lib/*.c)
LIBO = $(LIB:lib/%.c=$(B)/lib/%.o)

all: $(B)/smtpd $(B)/relay

$(B)/smtpd: $(B)/smtpd.o $(B)/postern.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) $(LDHARDEN) $(STATIC) -o $@ $^

$(B)/relay: $(B)/relay.o $(B)/dns.o $(B)/postern.a
	$(CC) $(ALLFLAGS) $(LDFLAGS) $(LDHARDEN) -o $@ $^ -ludns -lsystemd

$(B)/postern.a: $(LIBO)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -MMD -MP -c -o $@ $<

-include $(wildcard $(B)/*.d $(B)/lib/*.d)

clean:
	rm -rf $(B)

.PHONY: all clean
