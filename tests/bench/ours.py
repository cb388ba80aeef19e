"""Our own rows."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.world import Child, World, wait_for, world

HOUR = timedelta(hours=1)


def nodes(made: World, count: int) -> list[Child]:
    """Start nodes that wait for the word."""
    return [Child("tests.bench.node_child", made.mongo_url, made.redis_url, f"node-{n}") for n in range(count)]


def backlog(count: int, node_count: int = 1, tenant_count: int = 8) -> dict[str, float]:
    """N due jobs until every message is in the broker."""
    with world() as made:
        tenants = made.tenants(tenant_count)
        due = datetime.now(UTC) - timedelta(seconds=10)
        for tenant in tenants:
            made.jobs(tenant, [due] * (count // tenant_count), HOUR)
        children = nodes(made, node_count)
        for child in children:
            child.go()
        time.sleep(0.5)  # they run and know of nothing yet
        started = time.perf_counter()
        made.bump(tenants, due)
        wait_for(lambda: made.queued() >= count // tenant_count * tenant_count, 180)
        seconds = time.perf_counter() - started
        told = [json.loads(child.end()) for child in children]
        refused = sum(one["counts"].get("WriteRefused", 0) for one in told)
        return {"per_s": count / seconds, "refused": refused}


def bare(count: int) -> dict[str, float]:
    """The bare loop on the same jobs in one collection."""
    with world() as made:
        (tenant,) = made.tenants(1)
        due = datetime.now(UTC) - timedelta(seconds=10)
        made.jobs(tenant, [due] * count, HOUR)
        child = Child("tests.bench.bare", made.mongo_url, made.redis_url, tenant.place.jobs, str(count))
        child.go()
        seconds = wait_for(lambda: int(made.broker.llen("bare")) >= count, 180)
        child.end()
        return {"per_s": count / seconds}


def steady(rate: int, tenant_count: int, seconds: float, idle_jobs: int = 0) -> dict[str, float]:
    """A steady rate of interval jobs: lag from nominal to released, after a warm-up."""
    period = 10
    with world() as made:
        tenants = made.tenants(tenant_count)
        base = datetime.now(UTC) + timedelta(seconds=6)
        for number, tenant in enumerate(tenants):
            starts = [base + timedelta(seconds=n / rate) for n in range(number, rate * period, tenant_count)]
            made.jobs(tenant, starts, timedelta(seconds=period), max_instances=1000)
        if idle_jobs:
            (idle,) = made.tenants(tenant_count + 1)[-1:]
            made.jobs(idle, [base + timedelta(days=300)] * idle_jobs, HOUR)
        (child,) = nodes(made, 1)
        made.bump(tenants, base)
        child.go()
        time.sleep(max(0.0, (base - datetime.now(UTC)).total_seconds()) + 2)
        child.say("forget")
        before = _cpu(child.pid)
        time.sleep(seconds)
        used = _cpu(child.pid) - before
        told = json.loads(child.end())
        return {"reached_per_s": len(told["lateness"]) / seconds, "cpu": used / seconds} | _lag(told["lateness"])


def catch_up(jobs: int, days: float) -> dict[str, float]:
    """An outage of interval jobs at 1 s, caught up with policy latest."""
    with world() as made:
        (tenant,) = made.tenants(1)
        start = datetime.now(UTC) - timedelta(days=days)
        made.jobs(tenant, [start] * jobs, timedelta(seconds=1), max_instances=1000)
        (child,) = nodes(made, 1)
        made.bump([tenant], start)
        child.go()
        seconds = wait_for(lambda: made.queued() >= jobs, 60)
        child.end()
        return {"seconds": seconds}


def herd(tenant_count: int) -> dict[str, float]:
    """Tenants with one job each, all due at the same instant: when the last message is in the broker."""
    with world() as made:
        tenants = made.tenants(tenant_count)
        at = datetime.now(UTC) + timedelta(seconds=4)
        for tenant in tenants:
            made.jobs(tenant, [at], HOUR)
        (child,) = nodes(made, 1)
        made.bump(tenants, at)
        child.go()
        wait_for(lambda: made.queued() >= tenant_count, 120)
        lateness = json.loads(child.end())["lateness"]
        return {"last_ms": lateness[-1] * 1000} | _lag(lateness)


def idle(tenant_count: int, seconds: float) -> dict[str, float]:
    """An idle node: CPU and operations on MongoDB a second."""
    with world() as made:
        tenants = made.tenants(tenant_count)
        far = datetime.now(UTC) + timedelta(days=300)
        for tenant in tenants:
            made.jobs(tenant, [far], HOUR)
        (child,) = nodes(made, 1)
        made.bump(tenants, far)
        child.go()
        time.sleep(3)
        before, operations = _cpu(child.pid), _operations(made)
        time.sleep(seconds)
        used = (_cpu(child.pid) - before) / seconds
        asked = (_operations(made) - operations) / seconds
        memory = _memory(child.pid)
        child.end()
        return {"cpu_percent": used * 100, "operations_per_s": asked, "memory_mb": memory}


def _operations(made: World) -> float:
    status: dict[str, Any] = made.store.client.admin.command("serverStatus")
    return float(sum(status["opcounters"][name] for name in ("query", "insert", "update", "delete", "command")))


def _cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _memory(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:  # noqa: PTH123
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["VmHWM"].split()[0]) / 1024


def _lag(lateness: list[float]) -> dict[str, float]:
    if not lateness:
        return {}
    return {
        "p50_ms": lateness[len(lateness) // 2] * 1000,
        "p99_ms": lateness[int(len(lateness) * 0.99)] * 1000,
        "max_ms": lateness[-1] * 1000,
    }
