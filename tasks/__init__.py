"""What one stage of dvc.yaml does, one module a stage; a package of commands."""

import os
import sys

from wudi.__main__ import tell_calmly

# A Ctrl-C can come while a command still imports its libraries, before it can handle one itself.
sys.excepthook = tell_calmly

# OpenMP's threads spin while they wait. Where stages run side by side that takes the cores from whoever has work: a
# step of training that takes 10 ms took 200. It must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
