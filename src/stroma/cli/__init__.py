"""The command line: one file per command, none loaded before it is asked for.

Its exit codes: 0 done, 1 a fault of stroma's, 2 something the user can mend, 130 interrupted,
141 nobody reads the output any more, 143 terminated.
"""
