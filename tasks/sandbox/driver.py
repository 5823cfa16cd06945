"""The checker's half inside the sandbox: `python -c` runs this file's text; it imports nothing of the project.

Standard input brings one message, the marshalled tuple (start, token, candidate, tests, rlimits, files, user).
Standard error is the only way back: the line `start` once everything is set up, then one line more, the token or the
failure.

Two threads. The main thread runs the program and holds nothing worth stealing. The keeper holds the tests, the token
and the channel in local variables, which neither frames nor the garbage collector lead to from the main thread. They
meet at `ask` and `answer`: the keeper hands over the candidate, then the tests, and sends the token at the third
meeting, provided that the main thread really stands where it meets the keeper and not somewhere inside the program.
"""

import _thread
import io
import marshal
import os
import resource
import sys
import types


def keep(main_thread: int, box: list[str | bytes], ask: _thread.LockType, answer: _thread.LockType) -> None:
    """Set up the process, then hand out candidate, tests and, at the end, the token.

    What runs after the program has started is bound to local names first, since a program may replace every name in
    every module. No tuple or list may ever hold a secret: the garbage collector would show it to the program.
    """
    write, leave, statvfs, current_frames = os.write, os._exit, os.statvfs, sys._current_frames
    channel = os.dup(2)
    try:
        # A buffered reader would keep a copy of the message.
        start, token, candidate, tests, rlimits, files, user = marshal.loads(io.FileIO(0, closefd=False).readall())
        # Standard output is the null device: from here on so are the other two.
        os.dup2(1, 0)
        os.dup2(1, 2)
        if user is not None:
            become(user)
        for name, soft, hard in rlimits:
            resource.setrlimit(getattr(resource, name), (soft, hard))
        # Eight megabytes a thread, the usual size, would soon fill the address space that is allowed.
        _thread.stack_size(1 << 20)
        hide()
    except Exception as error:
        write(channel, repr(error).encode())
        leave(1)

    ask.acquire()
    main_frame = current_frames()[main_thread]
    meeting_line = main_frame.f_lineno
    write(channel, start + b"\n")
    box.append(candidate)
    stage = 0
    while True:
        answer.release()
        while not ask.acquire(timeout=0.1):
            # Names of empty files take memory of the kernel, which no size of a folder bounds.
            if files is not None and (scratch := statvfs("/tmp")).f_files - scratch.f_ffree > files:
                write(channel, b"failed too many files in the scratch folder\n")
                leave(1)
        if box:
            write(channel, box.pop() + b"\n")  # type: ignore[arg-type, operator]
            leave(1)
        if current_frames()[main_thread] is not main_frame or main_frame.f_lineno != meeting_line:
            write(channel, b"failed the program tampered with its checker\n")
            leave(1)
        if stage:
            write(channel, token + b"\n")
            leave(0)
        stage = 1
        box.append(tests)


def become(user: int) -> None:
    """Give up root and its last two capabilities for a user that owns nothing."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def hide() -> None:
    """Take away what tells of the checker: environment, command line, and the way to other threads' frames."""
    os.environ.clear()
    sys.argv, sys.orig_argv = [""], []
    del sys._current_frames


def execute(box: list[str | bytes], ask: _thread.LockType, answer: _thread.LockType) -> None:
    """Run what the keeper hands over in one namespace, and tell it of the exception that ends it early."""
    run, parse = exec, compile
    module = types.ModuleType("program")
    # By name the program is no `__main__`, as in the published checkers; both entries make pickle and dataclasses work.
    sys.modules["__main__"] = sys.modules["program"] = module
    namespace = module.__dict__
    try:
        while True:
            ask.release(), answer.acquire()  # type: ignore[func-returns-value]  # one line: the keeper checks for it
            # A program can raise the interpreter's own level of optimisation, and then assertions would be left out.
            run(parse(box.pop(), "program.py", "exec", dont_inherit=True, optimize=0), namespace)
    except BaseException as error:
        box[:] = [describe(error)]
    ask.release()
    answer.acquire()


def describe(error: BaseException) -> bytes:
    """One line: what kind of end it was, and the exception as the last line of a traceback shows it."""
    if isinstance(error, MemoryError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        error.__traceback__ = None  # frees the program's frames, and with them its memory
        return b"out_of_memory MemoryError"
    try:
        text = str(error)
    except BaseException:
        text = "an exception that cannot be shown"
    line = " ".join(f"{type(error).__name__}: {text[:1000]}".split()).removesuffix(":")
    return b"failed " + line.encode("utf-8", "backslashreplace")


def main() -> None:
    """Start the keeper beside the main thread."""
    ask, answer = _thread.allocate_lock(), _thread.allocate_lock()
    ask.acquire()
    answer.acquire()
    box: list[str | bytes] = []
    _thread.start_new_thread(keep, (_thread.get_ident(), box, ask, answer))
    execute(box, ask, answer)


if __name__ == "__main__":
    main()
