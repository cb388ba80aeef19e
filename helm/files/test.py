"""Proves from inside the cluster that a job runs: a tenant of its own, one job in each pool, due at once."""

import json
import subprocess
import sys
import time

TENANT = "helm-test"
