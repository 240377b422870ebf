"""D25: a table of addresses, odd and ordinary, and what RCPT and MAIL say to each of them.

Taken is what the grammar of RFC 5321 section 4.1.2 (with RFC 6531 section 3.3) takes: no comments,
no white space outside quotes, no obsolete forms, no guesses. Beyond it (L54) domains may have "_",
and local parts are as long as the path allows.
"""
import re
import subprocess

import pytest

LOCAL, LABEL = "a" * 64, "d" * 63

GOOD = [
    # dot-strings
    "a@b", "a@b.example", "A.B.c@D.Example", "1@2.example", "0@0", "a-b@c-d.example",
    "a+tag@b.example", "a_b@b.example", "!#$%&'*+-/=?^_`{|}~@b.example", "a--b@b.example",
    "-a@b.example", "a-@b.example", "=@b.example", "{x}@b.example", "a/b@b.example", "$@b.example",
    "a=b?c@b.example", "xn--a@b.example", "=?utf-8?q?a=40evil.example=3e=00?=@b.example",
    # quoted strings
    '""@b.example', '" "@b.example', '"a"@b.example', '"a b"@b.example', '"a@b"@b.example',
    r'"\""@b.example', r'"\\"@b.example', r'"a\b"@b.example', '"a..b"@b.example',
    '".a."@b.example', '"(a)"@b.example', '"<a>"@b.example', '"a,b;c:d"@b.example',
    '"\\ "@b.example', '"[]"@b.example', '"a\'b"@b.example',
    # domains
    "a@b.c.d.e.f.g.h", "a@1.2.3.4", "a@123", "a@b-c.example", "a@b--c.example",
    "a@xn--bcher-kva.example", "a@1b.example", f"a@{LABEL}.example", "a@b.e",
    "a@" + ".".join("x" * 100), f"{LOCAL}@b.example",
    # L54: names of containers, and of mailing lists that put an address into an address
    "www-data@web_app_1", "a@b_c.example", "a@_dmarc.example", "a@b_", "a@_", "a@b_-c",
    f"a{LOCAL}@b.example", f'"{LOCAL}"@b.example', "x" * 90 + "@b.example", "x" * 252 + "@b",
    "bounces+list=someone=very.long.name.example=" + "0123456789abcdef" * 4 + "@b.example",
    # literals
    "a@[192.0.2.1]", "a@[0.0.0.0]", "a@[255.255.255.255]", "a@[IPv6:2001:db8::1]", "a@[IPv6:::]",
    "a@[IPv6:::1]", "a@[ipv6:2001:DB8::1]", "a@[IPv6:1:2:3:4:5:6:7:8]",
    "a@[IPv6:::ffff:192.0.2.1]", "a@[IPv6:1:2:3:4:5:6:192.0.2.1]", "a@[IPv6:1:2:3:4:5::8]",
    "a@[IPv6:1:2:3:4:5:6::]", "a@[IPv6:::3:4:5:6:7:8]", "a@[IPv6:1:2:3:4::192.0.2.1]",
    # routes
    "@x:a@b.example", "@x,@y.example:a@b.example", "@[192.0.2.1]:a@b.example",
]

BAD = [
    "", " ", "a", "@", "a@", "@b", "@b.example", "a b.example", "a@@b", "a@b@c", "a@b@",
    # dots
    ".a@b", "a.@b", "a..b@c", ".@b", "..@b", ".a.@b", "a@.b", "a@b.", "a@b..c", "a@.", "a@..",
    # characters
    "a b@c", "a @b", "a@ b", "a@b c", " a@b", "a@b ", "a\t@b", "a@\tb", "(c)a@b", "a(c)@b",
    "a@(c)b", "a@b(c)", "a@b(", "(any@b", "a,b@c", "a;b@c", "a:b@c", "a<b@c", "a>b@c", "<a@b",
    "a[b@c", "a]b@c", "a\\b@c", "a\\@b@c", "a\x01@b", "a\x7f@b", "a@b\x01", "a\x1b[2J@b",
    # quotes
    '"@b', '"a@b', 'a"@b', '"a"b@c', 'a"b"@c', '"a""b"@c', '"a".b@c', 'a."b"@c', '"a" @b',
    '"a\x01"@b', '"a\x7f"@b', '"a\tb"@c', '"a\\"@b', '"a\\\x01"@b', '"\\', '"', '""', '"a@b"',
    # domains
    "a@-b", "a@b-", "a@b-.c", "a@-b-", "a@-", "a@-_", "a@_-", "a@b/c", "a@../b", "a@b!c", "a@b+c",
    "a@b%c", "a@b'c", 'a@"b"', "a@b,c", "a@b:c", "a@b;c", "a@b=c", "a@*.example", "a@$b", "a@b\\.c",
    f"a@d{LABEL}.example", f"a@b.{LABEL}d", "a@" + ".".join([LABEL] * 5), "x" * 253 + "@b",
    f"a@_{LABEL}.example",
    # literals
    "a@[]", "a@[", "a@]", "a@[192.0.2.1", "a@192.0.2.1]", "a@[192.0.2]", "a@[192.0.2.1.1]",
    "a@[192.0.2.256]", "a@[192.0.2.-1]", "a@[192.0.2.1 ]", "a@[ 192.0.2.1]", "a@[0x7f.0.0.1]",
    "a@[127.1]", "a@[2130706433]", "a@[192.0.2.1]x", "a@x[192.0.2.1]", "a@[2001:db8::1]", "a@[::1]",
    "a@[IPv6:]", "a@[IPv6:1]", "a@[IPv6:1::2::3]", "a@[IPv6:12345::1]", "a@[IPv6:g::1]",
    "a@[IPv6:1:2:3:4:5:6:7]", "a@[IPv6:1:2:3:4:5:6:7:8:9]", "a@[IPv6:192.0.2.1]",
    "a@[IPv6:fe80::1%eth0]", "a@[IPv6:fe80::1%25eth0]", "a@[IPv6::1]", "a@[IPv6:::1/64]",
    # L59: "::" for one group, or for none
    "a@[IPv6:1111:2222:3333:4444:5555:6666::8888]", "a@[IPv6:1:2:3:4:5:6:7::]",
    "a@[IPv6:::2:3:4:5:6:7:8]", "a@[IPv6:1:2:3:4:5::192.0.2.1]", "a@[IPv6:1::2:3:4:5:6:7:8]",
    "a@[IPv4:192.0.2.1]", "a@[X400:c=us]", "a@[x]", "a@[[192.0.2.1]]",
    # routes
    "@x", "@x:", "@x,:a@b", "@x@y:a@b", "@x,y:a@b", "@:a@b", "@x:@y:a@b", "x:a@b", "@-x:a@b",
    "@x,@y:a", ",@x:a@b",
]

# With SMTPUTF8: (octets of the address, taken)
BEYOND = [
    ("ä@b.example", True), ("a@bücher.example", True), ("用户@例え.example", True),
    ('"ä ö"@b.example', True), ("\U0001f4e7@b.example", True), ("ä.ö@b.example", True),
    ('"\\ä"@b.example', False), ('"test\\©"@iana.org', False), # L58: a quoted pair is ASCII
    ("ä@web_app_1", True), ("a@bücher_1.example", True),
    ("ä..ö@b.example", False), ("a@ü..example", False), ("a@.ü", False), ("a@ü.", False),
    ("a@\u2028.example", False), ("a@b\u00a0c.example", False), ("a@-ü.example", False),
    (b"\xff@b.example", False), (b"\xc3@b.example", False), (b"\xc0\x80@b.example", False),
    (b"\xe0\x80\xaf@b.example", False), (b"\xed\xa0\x80@b.example", False),
    (b"\xf4\x90\x80\x80@b.example", False), (b"\xf8\x88\x80\x80\x80@b.example", False),
    (b"a@\xc3.example", False), (b'"\xe2\x82"@b.example', False),
]


def said(postern, mail, command, addresses):
    """The code of the reply to each address, all in one session."""
    lines = [command % (a if isinstance(a, bytes) else a.encode()) for a in addresses]
    script = b"EHLO c.example\n" + mail + b"".join(lines) + b"NOOP\nQUIT\n"
    replies = postern.pipe(script, max_connections=0, max_errors=100000).splitlines()
    replies = [r for r in replies if r[3] != "-"]
    assert postern.status == 0 and replies[-2:] == ["250 2.0.0 Ok", "221 2.0.0 Bye"]
    return replies[-2 - len(addresses) * command.count(b"\n"):-2][::command.count(b"\n")]


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_verdicts(postern, verb):
    """D25, D12, D14, D24, R16, R17, R21"""
    table = [(a, True) for a in GOOD] + [(a, False) for a in BAD if a or verb == "RCPT"]
    first = b"MAIL FROM:<s@b.example>\n" if verb == "RCPT" else b""
    command = b"RCPT TO:<%b>\n" if verb == "RCPT" else b"MAIL FROM:<%b>\nRSET\n"
    replies = said(postern, first, command, [a for a, _ in table])
    wrong = [(a, r) for (a, good), r in zip(table, replies)
             if r[:3] != ("250" if good else "501")]
    assert not wrong


def test_verdicts_beyond_ascii(postern):
    """D25, D13, R69: and 553 for each that would be taken, without SMTPUTF8."""
    table = [a for a, _ in BEYOND]
    with_it = said(postern, b"MAIL FROM:<s@b.example> SMTPUTF8\n", b"RCPT TO:<%b>\n", table)
    assert not [(a, r) for (a, good), r in zip(BEYOND, with_it)
                if r[:3] != ("250" if good else "501")]
    without = said(postern, b"MAIL FROM:<s@b.example>\n", b"RCPT TO:<%b>\n", table)
    assert {r[:3] for r in without} == {"501", "553"}
    assert not [a for (a, good), r in zip(BEYOND, without) if good and r[:9] != "553 5.6.7"]


@pytest.mark.parametrize("settings, warns", [
    ({}, "not set"), ({"postmaster": "root@d.example"}, ""), ({"relay_domains": "mx.test.example"}, ""),
    ({"postmaster": "Postmaster@MX.test.example"}, "Postmaster@MX.test.example"),
    ({"postmaster": "postmaster@mx.test.example", "relay_domains": "mx.test.example"}, "")])
def test_no_postmaster(postern, settings, warns):
    """S5, R2: the operator is told when strangers cannot write to the postmaster."""
    p = subprocess.run(postern.command("smtpd", "--check", **settings), capture_output=True, text=True,
                       env=postern.environment(), check=True)
    assert re.findall("warning: postmaster is (.*), and nothing takes mail for mx.test.example", p.stderr) == \
        ([warns] if warns else [])


@pytest.mark.parametrize("address", ["postmaster", "POSTMASTER", "PostMaster"])
def test_without_a_domain(postern, address):
    """R2, D15: one recipient, and no sender, may lack a domain."""
    assert said(postern, b"MAIL FROM:<s@b.example>\n", b"RCPT TO:<%b>\n", [address])[0][:3] == "250"
    assert said(postern, b"", b"MAIL FROM:<%b>\n", [address])[0][:3] == "501"
