"""The tests themselves: none fails by chance, and none is unable to fail.

Each rule is a function of a module's syntax tree that yields (line, what is wrong). Where a rule
does not fit, the line says `# lint: why`, with the reason; without one that does not count.
Below the rules each is shown what it is against, and what it must let pass.
"""
import ast
import builtins
import functools
import re
import symtable
import textwrap

import pytest

from conftest import TOP

OURS = sorted(p for d in ("crash", "e2e", "session", "tools", "unit") for p in (TOP / "tests" / d).rglob("*.py"))
OURS.append(TOP / "tests" / "conftest.py")
WAITS = {"wait", "until", "wait_until"}
EXCUSE = re.compile(r"# lint: \w+.*")

# Whole files, rule by rule.
EXCUSED = {
    "naps": {"patience.py": "the one place that sleeps"},
    "fixed_ports": {
        "sysd_host.py": "a network of its own", "test_systemd.py": "a network of its own",
        "demo_internet.py": "a network of its own", "test_guide.py": "a network of its own",
    },
}


def name_of(node):
    """Of what is called: f in f() and in x.f()."""
    f = node.func
    return f.id if isinstance(f, ast.Name) else f.attr if isinstance(f, ast.Attribute) else ""


def calls(node):
    return [n for n in ast.walk(node) if isinstance(n, ast.Call)]


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def is_number(node):
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value != 0


# ---- a sleep waits for nothing

def naps(tree):
    for c in calls(tree):
        if ast.unparse(c.func) in ("time.sleep", "sleep"):
            yield c.lineno, "sleep: until() waits for a state, hold() is what is slow on purpose"
        if re.fullmatch(r"threading\.Event\(\)\.wait", ast.unparse(c.func)):
            yield c.lineno, "an event that nobody sets is a sleep: hold()"


# ---- until() raises; within() is asked

def thrown_away(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and name_of(node.value) == "within":
            yield node.lineno, "within() is for its result"
        asked = node.test if isinstance(node, (ast.If, ast.While, ast.IfExp)) else \
            node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else \
            node.values[0] if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) else None
        if isinstance(asked, ast.Call) and ast.unparse(asked.func).rpartition(".")[2] in WAITS and \
                any(isinstance(a, ast.Lambda) for a in asked.args):
            yield node.lineno, "until() is never false: within()"


# ---- ports are bound, kept and handed on

BINDS = {"bind", "create_server", "create_connection", "connect", "connect_ex"}
PORT_AT = {"Sink": 1, "Dns": 2, "TlsSink": 2, "Delay": 1, "Listener": 0, "Nsd": 3, "Mta": 3, "Host": 1}
WRITTEN = re.compile(r"(?<![\w.])(?:127(?:\.\d+){3}|\[::1\]|localhost):\d{2,5}\b")


def fixed_ports(tree):
    for c in calls(tree):
        at = PORT_AT.get(name_of(c))
        given = [k.value for k in c.keywords if k.arg == "port" or
                 k.arg == "smtp_port" and ast.unparse(k.value) != "25"] # where mail goes by default
        given += c.args[at:at + 1] if at is not None else []
        if name_of(c) in BINDS:
            given += [a.elts[1] for a in c.args if isinstance(a, ast.Tuple) and len(a.elts) == 2]
        if any(is_number(n) for n in given):
            yield c.lineno, "a port of somebody's choice: ports.take()"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WRITTEN.search(node.value):
            yield node.lineno, "a port of somebody's choice, in a string: ports.take()"


def loads(node):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def forgotten_ports(tree):
    """The number of a socket that is closed before the number is used."""
    for function in functions(tree):
        for block in [n for n in ast.walk(function) if isinstance(n, ast.With)]:
            sockets = {i.optional_vars.id for i in block.items if isinstance(i.optional_vars, ast.Name)}
            names = set()
            for node in ast.walk(block):
                if not isinstance(node, (ast.Return, ast.Assign)) or node.value is None or \
                        not loads(node.value) & sockets or \
                        not re.fullmatch(r"\w+\.getsockname\(\)(\[1\])?", ast.unparse(node.value)):
                    continue
                if isinstance(node, ast.Return):
                    yield node.lineno, "the port is free again: ports.take()"
                else:
                    names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            later = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id in names and
                     n.lineno > block.end_lineno]
            if later:
                yield later[0].lineno, "the port is free again: ports.take()"


# ---- no test knows how fast the machine is

CLOCKS = {"time.time", "time.monotonic", "time.perf_counter"}


def has_clock(node):
    return any(ast.unparse(c.func) in CLOCKS for c in calls(node))


def upper_bounds(tree):
    for scope in functions(tree) or [tree]:
        took = {t.id for a in ast.walk(scope) if isinstance(a, ast.Assign) and has_clock(a.value)
                and isinstance(a.value, ast.BinOp) and isinstance(a.value.op, ast.Sub)
                for t in a.targets if isinstance(t, ast.Name)}
        for a in [n for n in ast.walk(scope) if isinstance(n, ast.Assert)]:
            for compare in [n for n in ast.walk(a.test) if isinstance(n, ast.Compare)]:
                sides = [compare.left, *compare.comparators]
                for left, op, right in zip(sides, compare.ops, sides[1:]):
                    low = left if isinstance(op, (ast.Lt, ast.LtE)) else \
                        right if isinstance(op, (ast.Gt, ast.GtE)) else None
                    if low is not None and (has_clock(low) or loads(low) & took):
                        yield a.lineno, "an upper bound by the clock"


# ---- one look at what comes about when it does

ALL = {"logged", "messages", "relays", "host"}
LAUNCHES = {"send", "pipe", "due"}       # of a Postern, and of what stands for one
CLIENTS = {"c", "s", "client", "sock", "one", "two", "raw", "tls", "by_hand",
           "os"} # whose send() or pipe() starts nothing
# What has come about when this has: a host takes a message, then it is logged, then it leaves the queue.
BEFORE = {"relays": ALL, "messages": {"messages", "logged", "host"}, "logged": {"logged", "host"}, "host": {"host"}}
SETTLES = {"rested": ALL, "settled": ALL, "wait_logged": BEFORE["logged"], "wait_messages": BEFORE["messages"],
           "wait_lines": {"host"}, "wait_connections": {"host"}, "wait_relays": {"relays"}}
SEEN = {"messages", "lines", "connections", "taken"} # of a host


def in_order(node):
    """Calls, attributes and asserts as they are written; nothing of functions inside."""
    todo = [node]
    while todo:
        n = todo.pop()
        if isinstance(n, (ast.Call, ast.Attribute)):
            yield n
        inner = [] if isinstance(n, (ast.Lambda, ast.FunctionDef)) and n is not node else \
            list(ast.iter_child_nodes(n))
        if isinstance(n, ast.Assert):
            inner = [n.test]
        todo.extend(reversed(inner))


def looks(node):
    """Kinds that an expression looks at."""
    found = set()
    called = {id(c.func) for c in calls(node)}
    for n in ast.walk(node):
        if not isinstance(n, ast.Attribute):
            continue
        if id(n) in called and n.attr in ALL:
            found.add(n.attr)
        elif id(n) not in called and n.attr in SEEN:
            found.add("host")
        elif n.attr in ("running", "at_rest"):
            found.add("relays")
    return found


def receiver(call):
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def is_zero(call):
    return any(k.arg == "max_connections" and isinstance(k.value, ast.Constant) and k.value.value == 0
               for k in call.keywords)


class Story:
    """What a function does, in order: ("launch", line, None), ("settle", line, kinds), ("look", line,
    kinds); of functions of the same module too that it calls."""

    def __init__(self, tree):
        self.known = {f.name: f for f in functions(tree)}
        self.told = {}

    def settled_by(self, wait):
        kinds = set()
        for a in wait.args[:1]:
            kinds |= looks(a)
            for name in loads(a) & set(self.known):
                kinds |= looks(self.known[name])
        return set().union(*(BEFORE[k] for k in kinds))

    def of(self, function):
        if function.name not in self.told:
            self.told[function.name] = [] # of one that calls itself
            last = function.body[-1]
            given = last.value if isinstance(last, ast.Return) else \
                last.value.value if isinstance(last, ast.Expr) and isinstance(last.value, ast.Yield) else None
            inner = [s for s in function.body if isinstance(s, ast.FunctionDef) and
                     isinstance(given, ast.Name) and given.id == s.name] # a fixture that is called
            body = inner[0].body if inner else function.body
            self.told[function.name] = [e for s in body for e in self.events(s)]
        return self.told[function.name]

    def events(self, statement):
        asserted = {id(n) for a in ast.walk(statement) if isinstance(a, ast.Assert) for n in ast.walk(a.test)}
        for a in [n for n in ast.walk(statement) if isinstance(n, ast.Lambda)]:
            asserted -= {id(n) for n in ast.walk(a)}
        if isinstance(statement, ast.FunctionDef):
            return
        functions_called = set()
        late = [] # a call happens behind its arguments
        for n in in_order(statement):
            if isinstance(n, ast.Attribute):
                if id(n) in asserted and id(n) not in functions_called and n.attr in SEEN:
                    late.append((n.lineno, n.col_offset, "look", {"host"}))
                continue
            functions_called.add(id(n.func))
            name = name_of(n)
            if name in WAITS:
                late.append((n.lineno, n.col_offset, "settle", self.settled_by(n)))
            elif name in self.known and name not in ALL:
                late += [(n.lineno, n.col_offset, what, kinds) for what, _, kinds in self.of(self.known[name])]
            elif name in SETTLES:
                late.append((n.lineno, n.col_offset, "settle", SETTLES[name]))
            elif name in LAUNCHES and receiver(n) not in CLIENTS and not is_zero(n):
                late.append((n.lineno, n.col_offset, "launch", None))
            elif name in ALL and not n.args and isinstance(n.func, ast.Attribute) and id(n) in asserted:
                late.append((n.lineno, n.col_offset, "look", {name}))
        for line, _, what, kinds in late:
            yield what, line, kinds


def glances(tree):
    story = Story(tree)
    for function in functions(tree):
        if not function.name.startswith("test_"):
            continue
        due = set() # kinds that may still change
        for what, line, kinds in story.of(function):
            if what == "launch":
                due = set(ALL)
            elif what == "settle":
                due -= kinds
            elif kinds & due:
                yield line, f"one look at {', '.join(sorted(kinds & due))}: rested(), settled() or wait_...() first"


RULES = [naps, thrown_away, fixed_ports, forgotten_ports, upper_bounds, glances]


parsed = functools.cache(ast.parse)


@functools.cache
def found_by(rule, text):
    """What it has to say, whether that is excused or not."""
    return sorted(set(rule(parsed(text))))


def offences(rule, text):
    lines = text.splitlines()
    return [(n, what) for n, what in found_by(rule, text) if not EXCUSE.search(lines[n - 1])]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_rule(path, rule):
    if path.name in EXCUSED.get(rule.__name__, {}):
        return
    found = offences(rule, path.read_text(encoding="utf-8"))
    assert not found, "\n".join(f"{path.relative_to(TOP)}:{n}: {what}" for n, what in found)


# ---- the rules themselves: (rule, line that is an offence or 0, code)

SHOWN = [
    (naps, 1, "time.sleep(1)"),
    (naps, 1, "say['GREETING'] = lambda line: threading.Event().wait(2) or '220 late'"),
    (naps, 0, "hold(1)\ngo.wait(60)\nprocess.wait(30)"),
    (naps, 0, "time.sleep(1) # lint: the kernel's own timer is tried"),
    (naps, 1, "time.sleep(1) # lint:"),
    (thrown_away, 1, "within(lambda: x, 3)"),
    (thrown_away, 0, "if within(lambda: x, 3):\n    pass"),
    (thrown_away, 1, "if wait(lambda: x):\n    pass"),
    (thrown_away, 1, "assert not wait(lambda: x)"),
    (thrown_away, 1, "assert patience.until(lambda: x) or y"),
    (thrown_away, 0, "assert wait(lambda: x), log\nuntil(lambda: y)\nif p.wait(3):\n    pass"),
    (fixed_ports, 1, "s.bind(('127.0.0.1', 2525))"),
    (fixed_ports, 1, "internet.Sink('127.0.0.3', 2525)"),
    (fixed_ports, 1, "internet.Dns(zone, port=5353)"),
    (fixed_ports, 1, "postern.send(u, smtp_port=2525)"),
    (fixed_ports, 1, "run('swaks', '--server', '127.0.0.1:2525')"),
    (fixed_ports, 0, "s.bind(('127.0.0.1', 0))\ninternet.Sink('127.0.0.3', world.port)\nf'127.0.0.1:{port}'"),
    (forgotten_ports, 3, """
        def port():
            with socket.create_server(("", 0)) as s:
                return s.getsockname()[1]"""),
    (forgotten_ports, 4, """
        def test_it():
            with socket.create_server(("", 0)) as s:
                number = s.getsockname()[1]
            serve(number)"""),
    (forgotten_ports, 0, """
        def test_it():
            with socket.create_server(("", 0)) as s:
                number = s.getsockname()[1]
                serve(number)"""),
    (upper_bounds, 1, "assert time.monotonic() - begun < 5"),
    (upper_bounds, 1, "assert 2 <= time.monotonic() - begun <= 20"),
    (upper_bounds, 1, "assert 5 > time.time() - begun"),
    (upper_bounds, 3, "def test_it():\n    took = time.monotonic() - begun\n    assert took < 5"),
    (upper_bounds, 0, "assert time.monotonic() - begun > 0.5\nassert log.st_mtime < time.time() + 3"),
    (glances, 3, """
        def test_it(postern):
            postern.send("u@d.example")
            assert "delivered" in postern.logged()"""),
    (glances, 4, """
        def test_it(postern, world, wait):
            postern.send("u@d.example")
            wait(lambda: world.sink.messages)
            assert "delivered" in postern.logged()"""),
    (glances, 4, """
        def test_it(postern):
            postern.send("u@d.example", max_connections=0)
            postern.due()
            assert postern.messages() == []"""),
    (glances, 4, """
        def test_it(postern):
            postern.send("u@d.example")
            postern.wait_logged("next try")
            assert len(postern.messages()) == 1"""),
    (glances, 3, """
        def test_it(postern, world):
            postern.send("u@d.example")
            assert not world.sink.messages"""),
    (glances, 5, """
        def again(postern):
            postern.due()
        def test_it(postern, world):
            postern.rested()
            again(postern); assert world.sink.connections == 1"""),
    (glances, 0, """
        def again(postern):
            postern.due()
            postern.rested()
        def test_it(postern, world, wait):
            assert postern.messages() == []
            postern.send("u@d.example", max_connections=0)
            assert len(postern.messages()) == 1
            again(postern)
            assert "delivered" in postern.logged() and world.sink.messages and not postern.messages()
            postern.send("u@d.example")
            assert wait(lambda: not postern.relays()) and len(postern.messages()) == 1
            postern.due()
            assert "later" in postern.wait_logged("next try")
            assert "later" in postern.logged()
            postern.due()
            assert postern.relays() # lint: the host holds it
            c.send("NOOP")"""),
]


@pytest.mark.parametrize("rule, line, code", SHOWN, ids=[f"{r.__name__}-{i}" for i, (r, _, _) in enumerate(SHOWN)])
def test_rule_is_one(rule, line, code):
    found = [n for n, _ in offences(rule, textwrap.dedent(code).lstrip("\n"))]
    assert found == ([line] if line else []), found


def test_nothing_is_excused_in_vain():
    """Neither a file that needs it no more, nor a line."""
    for name, files in EXCUSED.items():
        rule = next(r for r in RULES if r.__name__ == name)
        for file in files:
            path = next(p for p in OURS if p.name == file)
            assert found_by(rule, path.read_text(encoding="utf-8")), (name, file)
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        needed = {n for rule in RULES for n, _ in found_by(rule, text)}
        assert not [n for n, line in enumerate(text.splitlines(), 1) if EXCUSE.search(line) and n not in needed], path


# ---- a name is somebody's

def names_of_nobody(text):
    """What a module asks for and nothing gives it. A function of a bench is seldom called, so seldom missed."""
    top = symtable.symtable(text, "module", "exec")
    given = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    scopes, found = [top], set()
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        found |= {s.get_name() for s in scope.get_symbols() if s.is_referenced() and (s.is_global() or scope is top)}
    return found - given - set(dir(builtins)) - {"__file__"}


@pytest.mark.parametrize("path", sorted((TOP / "tests").rglob("*.py")), ids=lambda p: str(p.relative_to(TOP / "tests")))
def test_names_are_known(path):
    assert names_of_nobody(path.read_text(encoding="utf-8")) == set()


def test_names_of_nobody_are_found():
    assert names_of_nobody("import a\ndef f(b):\n    return [(a, b, c, d) for d in f(__file__)]") == {"c"}
    assert names_of_nobody("def f():\n    with suppress(OSError):\n        g()\nclass g: pass") == {"suppress"}
