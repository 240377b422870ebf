"""Changes one statement at a time, builds, runs the tests that ought to notice, and says who survived.

	mutants.py [--room session,queue] [--only TEXT] [--sample N [--seed TEXT]] [--workers 2] [--units] [--find] [--again FILE]

The lists lie beside this file, one for each room. A line of a list is

	# a comment
	@ session smtpd.c     where the texts that follow stand: rooms and files, until the next such line
	<< TEST TEST ...      what ought to notice the mutants that follow, the cheapest first
	< TEST TEST ...       the same, for the mutant before this line alone
	* title               a mutant: what is wrong with it, in a few words
	- text                what stands there, in one place of all these rooms and files
	+ text                what stands there then; none: nothing
	= reason              why it may survive: it changes nothing that matters

Blanks, line ends and comments in a text stand for any others, so that a line may be broken anew. It may
be part of a line. A test is `unit/ROOM/test_NAME`, `dialogue:NAME` (tests/session/NAME.dialogue), or a file of
pytest, with ::function.

All of it happens in copies of the tree in a temporary directory, one for each worker. A test that fails
without any mutant is no witness: first of all each is run once, which also says how long it may take. One
that takes many times as long has noticed something: it is killed and counts, and is said to hang.

Exit status: 0 if GOAL of the mutants were noticed and each survivor has a reason; 1 if not; 2 if the
list is wrong: a text that is not there or stands there twice, a mutant that does not compile, a test that
is not there or fails anyhow. --units asks unit tests alone, which is quick; --find only looks the texts
up; --again tries those that are not killed in what a former run has printed; --sample takes so many of them
by chance, for all take hours: the same ones for the same seed.
"""
import argparse
import collections
import ctypes
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
GOAL = 0.95
FAST = ["CFLAGS=-O0", "FORTIFY="]  # compiles in half the time
PATIENCE, TIMES = 30, 10  # a test may take that many s, or that many times as long as without a mutant
BUILD_TIME = 600
SUBREAPER = 36  # of prctl
PYTEST = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]

Mutant = collections.namedtuple("Mutant", "room title where before after tests judged place")
Result = collections.namedtuple("Result", "mutant verdict by seconds")


# ---- the lists

class Wrong(Exception):
    """Something about a list."""


def parse(path):
    """The mutants of one list."""
    where, usual, found = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, text = line.partition(" ")
        if kind[:1] in ("", "#"):
            continue
        last = found[-1] if found else None
        if kind == "@":
            where = text.split()
        elif kind == "<<":
            usual = text.split()
        elif kind == "*":
            found.append({"title": text, "where": where, "tests": usual, "before": [], "after": [],
                          "judged": "", "place": f"{path.name}:{number}"})
        elif kind == "<" and last is not None:
            last["tests"] = text.split()
        elif kind == "-" and last is not None:
            last["before"].append(text)
        elif kind == "+" and last is not None:
            last["after"].append(text)
        elif kind == "=" and last is not None:
            last["judged"] = (last["judged"] + " " + text).strip()
        else:
            raise Wrong(f"{path.name}:{number}: {line!r}")
    return [finished(path.stem, m) for m in found]


def finished(room, m):
    if not m["before"] or not m["tests"] or not m["where"]:
        raise Wrong(f"{m['place']}: {m['title']}: no text, no tests or no place")
    return Mutant(room, m["title"], tuple(m["where"]), " ".join(m["before"]), "\n".join(m["after"]),
                  tuple(m["tests"]), m["judged"], m["place"])


def files_of(top, where):
    for place in where:
        path = top / place
        if path.is_dir():
            yield from sorted([*path.glob("*.c"), *path.glob("*.h")])
        elif path.is_file():
            yield path


COMMENT = r"/\*(?:[^*]|\*(?!/))*\*/"


def pattern_of(text):
    """Comments are blank too."""
    words = re.sub(COMMENT, " ", text).split()
    return re.compile(rf"(?:\s|{COMMENT})+".join(map(re.escape, words)))


def look_up(top, mutant):
    """(file, start, end) of the one place where its text stands."""
    pattern = pattern_of(mutant.before)
    found = [(path, *m.span()) for path in files_of(top, mutant.where)
             for m in pattern.finditer(path.read_text(encoding="utf-8"))]
    if len(found) != 1:
        raise Wrong(f"{mutant.place}: {mutant.title}: stands in {len(found)} places: {mutant.before}")
    return found[0]


# ---- a worker: a copy of the tree

def copy_tree(source, target):
    shutil.copytree(source, target, symlinks=True,
                    ignore=shutil.ignore_patterns(".git", "build", "__pycache__", ".pytest_cache"))
    (target / "build").mkdir()
    if (source / "build" / "peers").exists():
        (target / "build" / "peers").symlink_to((source / "build" / "peers").resolve())


def environment():
    """Nothing of the make that started us, and no setting of Postern."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "POSTERN_"))}
    return clean | {"CRASH_ALL": "0"}


def children(pid):
    try:
        return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def end_children():
    """What a command has left behind is ours, for we are its reaper."""
    for _ in range(100):
        mine = children(os.getpid())
        for pid in mine:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in mine:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass
        if not mine:
            return


def wait_for(child, seconds):
    """Its exit status, None if it did not end in time. Orphans that end meanwhile are not left as zombies."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            time.sleep(0.01)
    return None


def run(top, command, seconds, **more):
    """(exit status, what it said); None as status: it did not end in time."""
    with tempfile.TemporaryFile() as said:
        p = subprocess.Popen(command, cwd=top, env=environment() | more, stdin=subprocess.DEVNULL, stdout=said,
                             stderr=subprocess.STDOUT, start_new_session=True)
        p.returncode = wait_for(p.pid, seconds) # so nobody else waits for it
        status = p.returncode
        if status is None:
            os.killpg(p.pid, signal.SIGKILL)
            p.returncode = -signal.SIGKILL
        end_children()
        said.seek(0)
        return status, said.read().decode(errors="replace")


def unit_program(test):
    return f"build/{test}"


def transport_of(top, name):
    """One way in which a dialogue is played."""
    path = top / "tests" / "session" / f"{name}.dialogue"
    ways = re.findall(r"^@ (\S+)", path.read_text(), re.M) if path.exists() else []
    return ways[0] if ways else "socket"


def node_of(top, test):
    """What pytest calls it."""
    if not test.startswith("dialogue:"):
        return test
    name = test.partition(":")[2]
    return f"tests/session/test_dialogues.py::test_dialogue[{name}-{transport_of(top, name)}]"


def is_unit(test):
    return test.startswith("unit/")


def source_of(test):
    """The file in which it stands."""
    if is_unit(test):
        return f"tests/{test}.c"
    kind, _, name = test.partition(":")
    return f"tests/session/{name}.dialogue" if kind == "dialogue" else kind


def goals_of(tests):
    """What make has to make for them."""
    units = [unit_program(t) for t in tests if is_unit(t)]
    return units + (["all"] if len(units) < len(tests) else [])


def make(top, goals):
    status, said = run(top, ["make", "-s", *FAST, *goals], BUILD_TIME)
    return None if status == 0 else said


def witness(top, tests, seconds):
    """One unit test, or tests of pytest: ("passes", "fails", "hangs", "skips" or "is wrong", what it said)."""
    if is_unit(tests[0]):
        status, said = run(top, [unit_program(tests[0])], seconds)
        return "hangs" if status is None else "passes" if status == 0 else "fails", said
    nodes = [node_of(top, t) for t in tests]
    status, said = run(top, [*PYTEST, *nodes], seconds, POSTERN_BUILD=str(top / "build"))
    if status == 0:
        return ("passes" if re.search(r"\b\d+ passed", said) else "skips"), said
    return "hangs" if status is None else "fails" if status == 1 else "is wrong", said


top_of_worker = None


def begin(places):
    """Each worker takes a copy of its own, and reaps what its tests leave behind."""
    global top_of_worker
    top_of_worker = pathlib.Path(places.get())
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def try_tests(tests):
    """Without a mutant: [(test, what it does, seconds, said)]. Those of one file of pytest go together."""
    missing = [t for t in tests if not (top_of_worker / source_of(t)).exists()]
    if missing or len(tests) == 1:
        return [found for t in tests for found in [(t, "is not there", 0, "") if t in missing else try_one(t)]]
    nodes = {t: node_of(top_of_worker, t) for t in tests}
    wrong = make(top_of_worker, ["all"])
    status, said = (1, wrong) if wrong else run(
        top_of_worker, [*PYTEST, "-vv", "--durations=0", "--durations-min=0", *nodes.values()],
        20 * PATIENCE, POSTERN_BUILD=str(top_of_worker / "build"))
    took = re.findall(r"^([\d.]+)s (setup|call|teardown) +(\S.*)$", said, re.M)
    of = {t: [x for x in took if x[2] == n or x[2].startswith(f"{n}[")] for t, n in nodes.items()}
    if status != 0 or not all(any(x[1] == "call" for x in xs) for xs in of.values()):
        return [try_one(t) for t in tests]
    return [(t, "passes", sum(float(x[0]) for x in xs), "") for t, xs in of.items()]


def try_one(test):
    """Twice, if it fails: a machine may be slow."""
    wrong = make(top_of_worker, goals_of([test]))
    if wrong:
        return test, "is wrong", 0, wrong
    for _ in range(2):
        start = time.monotonic()
        does, said = witness(top_of_worker, [test], 20 * PATIENCE)
        seconds = time.monotonic() - start
        if does in ("passes", "skips"):
            break
    return test, does, seconds, said


def blamed(tests, said):
    """Which of them it was."""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.M)
    return found[1] if found and len(tests) > 1 else tests[0]


def judge(mutant, times):
    """Its result; `times` are the tests that can tell anything, and how long each takes."""
    top, start = top_of_worker, time.monotonic()
    path, at, end = look_up(top, mutant)
    text = path.read_text(encoding="utf-8")
    tests = [t for t in mutant.tests if t in times]
    verdict, by = "survived", ""
    if not tests:
        return Result(mutant, "untried", "", 0)
    try:
        path.write_text(text[:at] + mutant.after + text[end:], encoding="utf-8")
        for some in [[t] for t in tests if is_unit(t)] + [[t for t in tests if not is_unit(t)]]:
            wrong = make(top, goals_of(some)) if some else None
            if wrong:
                verdict, by = "does not compile", wrong
                break
            does, said = witness(top, some, max(PATIENCE, TIMES * sum(times[t] for t in some))) if some \
                else ("passes", "")
            if does in ("fails", "hangs"):
                verdict, by = ("killed" if does == "fails" else "killed (hung)"), blamed(some, said)
                break
    finally:
        path.write_text(text, encoding="utf-8")
    return Result(mutant, verdict, by, time.monotonic() - start)


def say(result):
    m = result.mutant
    by = "" if result.verdict == "does not compile" else result.by
    print(f"{result.verdict:14} {m.room:9} {result.seconds:5.1f} s  {m.title}  {by}", flush=True)
    if result.verdict == "does not compile":
        print(result.by[:2000], flush=True)


def judge_group(group):
    """Mutants of one file, one after the other: each compiles what the one before has made old."""
    mutants, times = group
    results = []
    for m in mutants:
        results.append(judge(m, times))
        say(results[-1])
    return results


# ---- all together

def chosen(rooms, only, again):
    every = [m for path in sorted(HERE.glob("*.txt")) for m in parse(path)]
    if again:
        killed = re.findall(r"^killed(?: \(hung\))? +(\w+) +[\d.]+ s  (.*?)  ",
                            pathlib.Path(again).read_text(encoding="utf-8"), re.M)
        every = [m for m in every if (m.room, m.title) not in killed]
    return [m for m in every if (not rooms or m.room in rooms) and
            (not only or only.lower() in f"{m.title} {m.before} {m.place}".lower())]


def grouped(mutants):
    """Those of one file together, a few at a time so that workers end together."""
    files = collections.defaultdict(list)
    for m in mutants:
        files[look_up(TOP, m)[0]].append(m)
    few = [ms[i:i + 6] for ms in files.values() for i in range(0, len(ms), 6)]
    return sorted(few, key=len, reverse=True)


def witnesses(pool, mutants):
    """({test: seconds} of those that pass, are there any that should and do not?)"""
    tests = sorted({t for m in mutants for t in m.tests})
    files = collections.defaultdict(list)
    for t in tests:
        alone = is_unit(t) or not ("::" in t or ":" in t)
        files[t if alone else t.partition(":")[0]].append(t)
    some = [ts[i:i + 12] for ts in files.values() for i in range(0, len(ts), 12)]
    times, wrong = {}, False
    for found in pool.imap_unordered(try_tests, sorted(some, key=len, reverse=True)):
        for test, does, seconds, said in found:
            if does == "passes":
                times[test] = seconds
                continue
            print(f"without a mutant: {test} {does}\n{'' if does == 'skips' else said[-2000:]}", flush=True)
            wrong = wrong or does != "skips"
    print(f"{len(times)} of {len(tests)} tests can tell", flush=True)
    return times, wrong


def report(results):
    """The table; True if it is as it should be."""
    rooms = collections.defaultdict(collections.Counter)
    for r in results:
        rooms[r.mutant.room][r.verdict.partition(" (")[0]] += 1
        rooms["all"][r.verdict.partition(" (")[0]] += 1
    print(f"\n{'room':10}{'mutants':>8}{'killed':>8}{'survived':>9}")
    for room, count in sorted(rooms.items(), key=lambda x: (x[0] == "all", x[0])):
        print(f"{room:10}{sum(count.values()):8}{count['killed']:8}{count['survived']:9}"
              f"{count['killed'] / sum(count.values()):8.1%}")
    hung = [r for r in results if r.verdict == "killed (hung)"]
    left = [r for r in results if r.verdict == "survived"]
    for r in hung:
        print(f"hung: {r.mutant.room}: {r.mutant.title}: {r.by}")
    for r in left:
        print(f"survived: {r.mutant.room}: {r.mutant.title} ({r.mutant.place})\n"
              f"    {r.mutant.judged or 'not judged yet'}")
    for r in results:
        if r.verdict.startswith("killed") and r.mutant.judged:
            print(f"judged, and killed all the same: {r.mutant.title}")
        if r.verdict == "untried":
            print(f"untried, for none of its tests can run here: {r.mutant.title}")
    good = rooms["all"]["killed"] >= GOAL * len(results) and all(r.mutant.judged for r in left)
    print(f"goal of {GOAL:.0%}: {'met' if good else 'not met'}")
    return good


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--room", default="")
    options.add_argument("--only", default="")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--again", default="")
    options.add_argument("--sample", type=int, default=0)
    options.add_argument("--seed", default="0")
    options.add_argument("--units", action="store_true")
    options.add_argument("--find", action="store_true")
    o = options.parse_args()
    wrong = False
    try:
        mutants = chosen([r for r in o.room.split(",") if r], o.only, o.again)
    except Wrong as e:
        sys.exit(f"{e}")
    for m in mutants:
        try:
            look_up(TOP, m)
        except Wrong as e:
            print(e, flush=True)
            wrong = True
    if wrong or not mutants:
        print("nothing was tried" if mutants else "no such mutant")
        sys.exit(2)
    if o.units:
        mutants = [m._replace(tests=tuple(filter(is_unit, m.tests))) for m in mutants]
        mutants = [m for m in mutants if m.tests]
    if 0 < o.sample < len(mutants):
        mutants = random.Random(o.seed).sample(mutants, o.sample)
    print(f"{len(mutants)} mutants", flush=True)
    if o.find:
        return
    where = pathlib.Path(tempfile.mkdtemp(prefix="postern-mutants-"))
    try:
        sys.exit(try_all(where, mutants, o.workers))
    finally:
        shutil.rmtree(where, ignore_errors=True)


def try_all(where, mutants, workers):
    """The exit status."""
    where.chmod(0o755)
    groups = grouped(mutants)
    copy_tree(TOP, where / "0")
    goals = goals_of(sorted({t for m in mutants for t in m.tests if (TOP / source_of(t)).exists()}))
    status, said = run(where / "0", ["make", "-s", f"-j{workers}", *FAST, *goals], BUILD_TIME)
    if status != 0:
        print(f"does not build without a mutant:\n{said}")
        return 2
    context = multiprocessing.get_context("fork")
    places = context.Queue()
    for n in range(workers):
        if n > 0:
            shutil.copytree(where / "0", where / str(n), symlinks=True)
        places.put(str(where / str(n)))
    with context.Pool(workers, begin, (places,)) as pool:
        times, wrong = witnesses(pool, mutants)
        results = []
        groups = [(ms, {t: times[t] for m in ms for t in m.tests if t in times}) for ms in groups]
        for some in pool.imap_unordered(judge_group, groups):
            results += some
    wrong = wrong or any(r.verdict == "does not compile" for r in results)
    good = report(results)
    return 2 if wrong else 0 if good else 1


if __name__ == "__main__":
    main()
