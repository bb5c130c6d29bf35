"""The benchmark: dicomfs (A) beside other programs (B), as ratios.

Absolute times depend on the machine and on who else uses it; ratios of two things that
were done in turns, in one run, hold. Every comparison is therefore a pair, the two are
alternated, and what counts is the median of the ratios.

    __main__ ──> index, files, passing ... one function for each row of the table
                   │  counts ──> trace      exact counts, by strace
                   ├──> media               media made for the purpose
                   ├──> mounts ──> processes  mounting, and unmounting whatever happens
                   │     └──> drive         a slow drive, a program of its own
                   └──> result, sizes, machine
             page                          the table as a part of docs/performance.md
             profile                       where the time of a row goes, by py-spy
"""
