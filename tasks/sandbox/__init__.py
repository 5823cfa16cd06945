"""Running programs that a language model wrote, without trusting them.

`run_programs` takes pairs of candidate code and test code and says of each whether the tests ran through. Every
program gets a Python interpreter of its own in a fresh bubblewrap sandbox.

**What holds against any program.** It sees no file but the interpreter's and the system's libraries, read-only, and
an empty scratch folder in memory; no environment, no `/proc`, no network, no process but its own. It has the rights of
nobody, also where root runs the pipeline. It can start threads but no process, and its time, memory, threads and files
are bounded (`Limits`); what it prints is thrown away. When its verdict is in, everything of it is dead and gone.

**What holds for the verdict.** A program passes when the checker inside its interpreter sends a random token that this
side made up for this one program. The checker keeps token and tests where no frame and no object leads to: in the
local variables of a thread that runs no foreign code. It gives the tests away when the candidate has run, and the token
when the program's thread is back in the checker. So nothing passes by leaving early, by being killed, by printing, by
writing to every file descriptor, by replacing built-in functions or by walking through frames and objects. Any word on
the checker's channel that is not the token is a failure.

**What nobody can promise.** A candidate shares an interpreter with its tests. It can return an object that equals
everything, replace a function that the tests call, or jump over an assertion with a trace function, and the tests then
really run through; every published checker of this kind has the same hole. A program written against this very
package can go further: read its own memory with `ctypes`, run hooks in the checker's thread, or swap what the checker's
two threads hand over. It would earn a pass, never a way out of the sandbox. The sandbox is as tight as the kernel under
it. Memory is bounded for each program, so the machine has to have room for `memory_mb` + `file_mb` and some
30 megabytes of pipes and sockets times the programs that run at the same time.

With `isolation="none"` time and memory are limited per process, but the program has the rights of the user who runs
the pipeline: it can read their files, use the network and leave processes behind. A pass is easier to forge as well,
since `/proc` shows a process its own memory.
"""

from tasks.sandbox.bubblewrap import Isolation
from tasks.sandbox.limits import Limits
from tasks.sandbox.run import check_available, run_programs
from tasks.sandbox.supervise import Verdict

__all__ = ["Isolation", "Limits", "Verdict", "check_available", "run_programs"]
