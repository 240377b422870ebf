"""`postern check`: what is wrong with the configuration, and in which line of which file (L30, L44)."""
import pytest

from asked import ask, ask_json


def checked(postern, *words, **settings):
    return ask_json(postern, "check", *words, **settings)


def test_nothing_is_wrong(postern, pki):
    postern.settings.update(postmaster="root@d.example", delivery_ca=pki.path("ca"))
    assert ask(postern, "check") == (0, "nothing is wrong\n", "")
    assert checked(postern) == (0, [])
    status, text, _ = ask(postern, "check", "--print")
    assert status == 0 and "hostname = mx.test.example  # command line\n" in text and "max_size = " in text


@pytest.mark.parametrize("lines, number, key", [
    (["# x", "max_size = 12x"], 2, "max_size"), (["", "", "no_such_key = 1"], 3, None), (["[route x]"], 1, None),
])
def test_text(postern, lines, number, key):
    """A text that cannot be read: status 78, and its place."""
    postern.configure(*lines)
    status, (found,) = checked(postern)
    assert status == 78 and found["kind"] == "error"
    assert (found["file"], found["line"], found["key"]) == (str(postern.file), number, key)
    assert ask(postern, "check")[1].startswith(f"{postern.file}:{number}: error: ")


def test_what_is_named(postern, pki):
    """What a key names is not there: the line of the key, of a route's too; of an option, what it is."""
    postern.configure("# routes", "auth_users = /nowhere/users", "[route out]", "domains = d.example",
                      "hosts = mx.d.example:587", "delivery_user = joe", "delivery_password_file = /nowhere/password",
                      "source = 192.0.2.77")
    postern.settings.update(postmaster="root@d.example", delivery_ca=pki.path("ca"))
    status, found = checked(postern, tls_certificate="/nowhere/pem", tls_key="/nowhere/pem")
    assert status == 78 and {f["kind"] for f in found} == {"error"}
    places = {(f["key"], f["file"], f["line"]) for f in found}
    assert ("auth_users", str(postern.file), 2) in places
    assert ("tls_certificate", "command line", None) in places
    assert ("source", str(postern.file), 8) in places
    assert any("/nowhere/password" in f["text"] for f in found)


def test_warnings(postern, pki):
    """They stop nothing."""
    postern.settings["delivery_ca"] = pki.path("ca")
    status, (found,) = checked(postern)
    assert status == 0 and found["kind"] == "warning" and found["key"] == "postmaster"


def test_hostile(postern):
    postern.file = postern.where / "postern.conf"
    postern.file.write_bytes(b"max_size = \x1b[2J\x9b\n")
    assert ask(postern, "check")[0] == 78
