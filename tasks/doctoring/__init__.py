"""What `python -m tasks.doctor` looks at: the machine, the installed packages, the project, and who is to answer.

A check is a function that returns findings. Those that wait for somebody else run side by side, each with a limit.
"""
