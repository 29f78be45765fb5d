"""The command line: one file per command, none loaded before it is asked for.

A new command is a file `cli/<verb>.py` with a function under `@command("<verb>")` that takes the
session and its options, and a line in `COMMANDS` of `cli/main.py`. Answers go to `session.out`,
talk to `session.talk`, what the user can mend is raised as a `StromaError`.

Exit codes: 0 done, 1 a fault of stroma's, 2 something the user can mend, 130 interrupted,
141 nobody reads the output any more, 143 terminated.
"""
