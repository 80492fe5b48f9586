"""How each job is, in Redis, beside a broker that only knows messages.

    jobs      the record of each, as JSON         waits:  those of a key that wait
    waiting   by when they are due                keys    which job of a key runs
    running   by when they were begun             owners  when each was last heard of
    done, dead, cancelled: by when they ended     periodic
    gone      what has no record any more, by until when its message may come

Each change is one script, so it happens at once or not at all.

# Threads: any; connections are those of redis-py, which notices forks.
# Guarantees:
# - a job that has ended, or that a living process runs, is not begun again, however
#   often its message comes;
# - nor is one that was cancelled, when its record is gone: its id is kept until its
#   message has come;
# - attempts are counted before the function is called.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tornado_unblock._errors import ConfigurationError, JobStoreError
from tornado_unblock.jobs import owners
from tornado_unblock.jobs.database import too_new
from tornado_unblock.jobs.records import (
    DEAD,
    FAILED,
    QUEUED,
    Counts,
    NewJob,
    Outcome,
    Taken,
)

SCHEMA = 1
"""The version of the records; one more with each change that older code breaks on."""

# How long Redis may take to answer, in seconds.
_ANSWER = 1.0
# How long an owner that cannot be seen from here may be silent, in seconds; it is heard
# of each second.
SILENCE = 8.0
# A periodic job that is begun later than this was missed, in seconds.
_LATE = 60.0
# How long somebody may hold a lock, and how often one that waits looks, in seconds.
_HELD, _LOOK = 5.0, 0.02
# How long a message waits whose job another process runs, in seconds.
BUSY = 0.5
_CHUNK = 500
# How long after its time the message of a cancelled job is waited for, when nobody
# takes messages; and how long one may come again whose job has ended. In seconds.
_UNTAKEN, _AGAIN = 30 * 86400.0, 7200.0

_STATE = (
    *("id", "name", "state", "attempts", "crashes", "enqueued_at", "run_at"),
    *("started_at", "ended_at", "done", "of", "result", "error", "traceback"),
)

MESSAGE = (
    *("id", "name", "data", "max_attempts", "priority", "key", "enqueued_at", "run_at"),
    *("attempts", "failures", "crashes", "life"),
)
"""What a message carries of a job: all that its record begins with."""

_SCRIPT = """
local p, command, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local untaken, again = UNTAKEN, AGAIN
local place = {queued='waiting', failed='waiting', running='running', done='done',
    dead='dead', cancelled='cancelled'}

local function get(id)
    local text = redis.call('hget', p .. 'jobs', id)
    return text and cjson.decode(text)
end

local function put(job, state)
    if job.state then redis.call('zrem', p .. place[job.state], job.id) end
    job.state = state or job.state
    local score = job.run_at
    if job.state == 'running' then
        score = job.started_at
    elseif place[job.state] ~= 'waiting' then
        job.ended_at = now
        score = now
        -- Its message is still with the broker, whatever becomes of it here.
        if state == 'cancelled' then
            job.untaken = math.max(job.untaken or 0, job.run_at)
        end
    end
    redis.call('zadd', p .. place[job.state], score, job.id)
    redis.call('hset', p .. 'jobs', job.id, cjson.encode(job))
    if job.key and place[job.state] == 'waiting' then
        redis.call('zadd', p .. 'waits:' .. job.key, job.enqueued_at, job.id)
    elseif job.key then
        redis.call('zrem', p .. 'waits:' .. job.key, job.id)
    end
end

local function land(job)
    job.owner = nil
    if job.key and redis.call('hget', p .. 'keys', job.key) == job.id then
        redis.call('hdel', p .. 'keys', job.key)
    end
end

local function count(failures)
    if failures ~= 0 then
        redis.call('hincrby', p .. 'sums', 'failures', failures)
    end
end

local function forget(id)
    local job = get(id)
    if job then
        redis.call('zrem', p .. place[job.state], id)
        redis.call('hdel', p .. 'jobs', id)
        count(-job.failures)
        local till = math.max(now, job.run_at) + again
        if job.untaken then till = math.max(now, job.untaken) + untaken end
        redis.call('zadd', p .. 'gone', till, id)
    end
end

local function has_ended(job)
    return job.state ~= 'running' and place[job.state] ~= 'waiting'
end

-- Have a dead one begin anew; its message says which of its lives that is.
local function revive(job, life)
    count(-job.failures)
    job.attempts, job.failures, job.crashes, job.life = 0, 0, 0, life
    job.cancel, job.ended_at, job.run_at = nil, nil, now
    put(job, 'queued')
end

local do_ = {}

function do_.ask(job)
    job = cjson.decode(job)
    if not get(job.id) and not redis.call('zscore', p .. 'gone', job.id) then
        put(job, 'queued')
    end
end

function do_.waiting(key)
    local waits = p .. 'waits:' .. key
    while true do
        local id = redis.call('zrevrange', waits, 0, 0)[1]
        local job = id and get(id)
        if not id or job and place[job.state] == 'waiting' then return id end
        redis.call('zrem', waits, id)  -- an older version has changed it
    end
end

-- What is to become of a message: {'run', ...}, {'over'}, {'wait', until},
-- or {'runs', owner, when it was heard of}. `dead` is an owner that is.
function do_.begin(message, owner, dead)
    message = cjson.decode(message)
    local job = get(message.id)
    if not job then
        local gone = redis.call('zscore', p .. 'gone', message.id)
        if gone then
            local until_ = math.min(tonumber(gone), now + again)
            redis.call('zadd', p .. 'gone', until_, message.id)
            return {'over'}
        end
        job = message
        put(job, 'queued')
    end
    if has_ended(job) and message.life <= job.life then return {'over'} end
    if message.life > job.life then
        revive(job, message.life)
    elseif job.state == 'running' then
        if job.owner ~= dead then
            return {'runs', job.owner,
                redis.call('zscore', p .. 'owners', job.owner) or '0'}
        end
        land(job)
        if job.forgiven then
            job.attempts = job.attempts - 1
        else
            job.crashes = job.crashes + 1
        end
        if job.cancel then
            put(job, 'cancelled')
            return {'over'}
        elseif job.attempts >= job.max_attempts then
            job.error = 'its worker died while it ran, and it has been begun '
                .. job.attempts .. ' times: it may kill whoever runs it'
            put(job, 'dead')
            return {'over'}
        end
        put(job, 'queued')
    elseif job.state == 'failed' and job.run_at > now then
        return {'wait', tostring(job.run_at)}
    end
    if job.key then
        local other = redis.call('hget', p .. 'keys', job.key)
        other = other and other ~= job.id and get(other)
        if other and other.state == 'running' then return {'wait', '0'} end
        redis.call('hset', p .. 'keys', job.key, job.id)
    end
    job.attempts = job.attempts + 1
    job.started_at, job.owner = now, owner
    job.forgiven, job.done, job.of = nil, nil, nil
    put(job, 'running')
    return {'run', job.attempts, job.failures}
end

function do_.finish(id, owner, outcome)
    local job = get(id)
    if not job or job.state ~= 'running' or job.owner ~= owner then return 0 end
    outcome = cjson.decode(outcome)
    land(job)
    job.forgiven = nil
    for name, value in pairs(outcome) do
        if name ~= 'state' then job[name] = value end
    end
    if outcome.traceback then
        job.failures = job.failures + 1
        count(1)
    end
    if outcome.state == 'failed' and job.cancel then outcome.state = 'cancelled' end
    put(job, outcome.state)
    return 1
end

function do_.forgive(owner)
    for _, id in ipairs(redis.call('zrange', p .. 'running', 0, -1)) do
        local job = get(id)
        if job.owner == owner then
            job.forgiven = true
            redis.call('hset', p .. 'jobs', id, cjson.encode(job))
        end
    end
end

function do_.progress(id, done, of)
    local job = get(id)
    if job then
        job.done, job.of = tonumber(done), tonumber(of)
        redis.call('hset', p .. 'jobs', id, cjson.encode(job))
    end
end

function do_.cancel(id)
    local job = get(id)
    if not job then return 0 end
    if place[job.state] == 'waiting' then
        put(job, 'cancelled')
        return 1
    elseif job.state == 'running' then
        job.cancel = 1
        redis.call('hset', p .. 'jobs', id, cjson.encode(job))
        return 1
    end
    return 0
end

function do_.again(id, life)
    local job = get(id)
    if job and tonumber(life) > job.life then revive(job, tonumber(life)) end
end

function do_.discard(id)
    local job = get(id)
    if not job or not has_ended(job) then return 0 end
    forget(id)
    return 1
end

function do_.expire(before, many)
    redis.call('zremrangebyscore', p .. 'gone', 0, now)
    for _, state in ipairs({'done', 'cancelled'}) do
        for _, id in ipairs(redis.call('zrangebyscore', p .. state, 0, before,
                'limit', 0, many)) do
            forget(id)
        end
    end
end

return do_[command](unpack(ARGV, 3))
""".replace("UNTAKEN", repr(_UNTAKEN)).replace("AGAIN", repr(_AGAIN))

# Each finds its own keys and values under the names that it asks for.
_BOTH = """
local function other(KEYS, ARGV)
%s
end
local function record(KEYS, ARGV)
%s
end
local count = tonumber(ARGV[1])
local answer = other({KEYS[1]}, {unpack(ARGV, 2, count + 1)})
record({KEYS[2]}, {unpack(ARGV, count + 2)})
return answer
"""


class Records:
    """The records of the jobs of one application.

    Args:
        url: Of Redis.
        queue: The application's name.
        keep: Seconds for which a job that is done can be asked for.
    """

    def __init__(self, url: str, queue: str, keep: float) -> None:
        try:
            self.client: Any = redis.Redis.from_url(
                url,
                socket_connect_timeout=_ANSWER,
                socket_timeout=_ANSWER,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise ConfigurationError(f"{error} (the URL of Redis)") from None
        parts = urlsplit(url)
        self.place = f"redis://{parts.hostname or ''}:{parts.port or 6379}{parts.path}"
        self._prefix = f"unblock:{queue}:"
        self._queue, self._keep = queue, keep
        self._script = self.client.register_script(_SCRIPT)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[Any]:
        """Give the client.

        Raises:
            JobStoreError: Redis cannot be reached, or refuses.
        """
        try:
            yield self.client
        except redis.RedisError as error:
            raise JobStoreError(
                f"jobs in {self.place}: {error}; is it running, and has it room?"
            ) from error

    def _do(self, command: str, *values: Any) -> Any:
        with self._asked():
            return self._script(
                keys=[self._prefix], args=[command, repr(time.time()), *values]
            )

    def with_record(self, other: str) -> Callable[..., Any]:
        """Return a script that does what ``other`` does, and writes down a job.

        It is one command, so both or neither; and each command is dear to its caller.

        Args:
            other: The text of a script of one key.

        Returns:
            Called with a record, and the key and the values of ``other``: returns
            what that returns.
        """
        both = self.client.register_script(_BOTH % (other, _SCRIPT))

        def call(record: dict[str, Any], keys: list[str], values: list[Any]) -> Any:
            ask = ["ask", repr(time.time()), json.dumps(record)]
            return both(keys=[*keys, self._prefix], args=[len(values), *values, *ask])

        return call

    def newer(self) -> Optional[str]:
        """Return what is wrong if a newer version has written here; else None.

        Raises:
            JobStoreError: Redis does not answer.
        """
        with self._asked() as client:
            client.set(f"{self._prefix}schema", SCHEMA, nx=True)
            found = int(client.get(f"{self._prefix}schema"))
        return too_new(self.place, found, SCHEMA) if found > SCHEMA else None

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    # -- a message, and its job ----------------------------------------------------

    def asked_for(self, record: dict[str, Any]) -> None:
        """Write down a job whose message is with the broker, unless it is already."""
        self._do("ask", json.dumps(record))

    def waiting(self, key: str) -> Optional[str]:
        """Return which job with that key waits; None without one."""
        found = self._do("waiting", key)
        return found.decode() if found else None

    def begin(self, record: dict[str, Any], owner: str) -> Any:
        """Begin an attempt; count it.

        Returns:
            The `Taken` that is to run; None if the message is of no use any more; or
            the seconds after which it should come again.
        """
        dead = ""
        while True:
            what, *more = self._do("begin", json.dumps(record), owner, dead)
            if what == b"run":
                return _taken(record, *more)
            if what == b"over":
                return None
            if what == b"wait":
                return max(BUSY, float(more[0]) - time.time())
            other, seen_at = more[0].decode(), float(more[1])
            if _lives(other, owner, seen_at):
                return BUSY
            dead = other

    def finish(self, taken: Taken, owner: str, outcome: Outcome) -> bool:
        """Write how an attempt ended; False if somebody else has the job by now."""
        fields = {
            "state": outcome.state,
            "result": outcome.result,
            "error": outcome.error,
            "traceback": outcome.traceback,
            "run_at": outcome.run_at or None,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        return bool(self._do("finish", taken.id, owner, json.dumps(said)))

    def forgive(self, owner: str) -> None:
        """What an owner still runs is not to count when the owner ends before that."""
        self._do("forgive", owner)

    # -- asking, and what people do ------------------------------------------------

    def row(self, job_id: str) -> Optional[tuple[Any, ...]]:
        """Return the record of a job, in the order of `State`; None without one."""
        record = self.record(job_id)
        return None if record is None else _row(record)

    def record(self, job_id: str) -> Optional[dict[str, Any]]:
        """Return all that is known of a job; None without one."""
        with self._asked() as client:
            text = client.hget(f"{self._prefix}jobs", job_id)
        return None if text is None else json.loads(text)

    def rows(self, state: str, limit: int) -> list[tuple[Any, ...]]:
        """Return the records of the jobs in a state, those that ended last first."""
        place = f"{self._prefix}{'waiting' if state in (QUEUED, FAILED) else state}"
        if not limit:
            return []
        with self._asked() as client:
            ids = client.zrevrange(place, 0, limit - 1 if limit >= 0 else -1)
            texts = client.hmget(f"{self._prefix}jobs", ids) if ids else []
        records = [json.loads(text) for text in texts if text is not None]
        return [_row(record) for record in records if record["state"] == state]

    def set_progress(self, job_id: str, done: float, of: Optional[float]) -> None:
        """Write how far a job is."""
        self._do("progress", job_id, done, "" if of is None else of)

    def is_cancelled(self, job_id: str) -> bool:
        """Whether somebody wants a running job to end."""
        record = self.record(job_id)
        return record is not None and "cancel" in record

    def cancel(self, job_id: str) -> bool:
        """Take a waiting job out for good, or ask a running one to end."""
        return bool(self._do("cancel", job_id))

    def revived(self, record: dict[str, Any]) -> None:
        """Write down that a dead job waits again, unless it is known already."""
        self._do("again", record["id"], record["life"])

    def discard(self, job_id: str) -> bool:
        """Delete the record of a job that has ended."""
        return bool(self._do("discard", job_id))

    def counts(self) -> Counts:
        """Return how many jobs there are."""
        now, prefix = time.time(), self._prefix
        with self._asked() as client:
            ask = client.pipeline(transaction=True)
            ask.zcount(f"{prefix}waiting", "-inf", now)
            ask.zcount(f"{prefix}waiting", f"({now!r}", "+inf")
            for name in ("running", DEAD, "done"):
                ask.zcard(f"{prefix}{name}")
            ask.hget(f"{prefix}sums", "failures")
            ask.zrange(f"{prefix}waiting", 0, 0, withscores=True)
            *numbers, failures, oldest = ask.execute()
        queued, scheduled, running, dead, done = numbers
        waited = now - oldest[0][1] if oldest else 0.0
        return Counts(
            *(queued, scheduled, running, dead, done, int(failures or 0)),
            oldest_waiting=max(0.0, waited),
        )

    # -- what is to be done now and then -------------------------------------------

    def tick(self, owner: str) -> None:
        """Say that an owner lives, and forget what has expired."""
        now = time.time()
        with self._asked() as client:
            ask = client.pipeline(transaction=True)
            ask.zadd(f"{self._prefix}owners", {owner: now})
            ask.zremrangebyscore(f"{self._prefix}owners", 0, now - 10 * SILENCE)
            ask.execute()
        self._do("expire", now - self._keep, _CHUNK)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Let others wait who take the lock of that name, for some seconds at most.

        Raises:
            JobStoreError: Somebody else has it for too long.
        """
        key, token = f"{self._prefix}lock:{name}", str(uuid.uuid4())
        until = time.monotonic() + 2 * _HELD
        with self._asked() as client:
            while not client.set(key, token, nx=True, px=int(_HELD * 1000)):
                if time.monotonic() >= until:
                    raise JobStoreError(f"jobs in {self.place}: {name!r} stays locked")
                time.sleep(_LOOK)
        try:
            yield
        finally:
            with self._asked() as client:
                if client.get(key) == token.encode():
                    client.delete(key)

    def put_periodic(
        self,
        name: str,
        spec: str,
        next_after: Callable[[float], float],
        skip_missed: bool,
        put: Callable[[str], object],
    ) -> None:
        """Put a periodic job in if it is due, and nobody has done so.

        Args:
            name: The job's.
            spec: When it is due, as text: when that changes, it is worked out anew.
            next_after: Returns the first time after one that it is due.
            skip_missed: Do nothing if its time was more than a minute ago.
            put: Puts it in; takes its id, which is the same for the same time.
        """
        if self._is_known(name, spec)[0] > time.time():
            return
        with self.lock(f"every {name}"):
            at, known = self._is_known(name, spec)
            now = time.time()
            if at > now:
                return  # another process was faster
            if known and not (skip_missed and now - at > _LATE):
                due = f"{self._queue} {name} {at!r}"
                put(str(uuid.uuid5(uuid.NAMESPACE_URL, due)))
            with self._asked() as client:
                text = json.dumps([spec, next_after(now)])
                client.hset(f"{self._prefix}periodic", name, text)

    def _is_known(self, name: str, spec: str) -> tuple[float, bool]:
        """Return when a periodic job is due next, and whether it was known as such."""
        with self._asked() as client:
            text = client.hget(f"{self._prefix}periodic", name)
        known, at = json.loads(text) if text else ("", 0.0)
        return (at, True) if known == spec else (0.0, False)


def new_record(job: NewJob) -> dict[str, Any]:
    """Return what a message carries of a job."""
    now = time.time()
    record = {
        "id": job.id,
        "name": job.name,
        "data": job.data,
        "max_attempts": job.max_attempts,
        "priority": job.priority,
        "enqueued_at": now,
        "run_at": max(job.run_at, now),
        **{"attempts": 0, "failures": 0, "crashes": 0, "life": 0},
    }
    if job.key is not None:
        record["key"] = job.key
    return record


def _taken(record: dict[str, Any], attempt: int, failures: int) -> Taken:
    return Taken(
        seq=0,
        id=record["id"],
        name=record["name"],
        data=record["data"],
        attempt=attempt,
        failures=failures,
        max_attempts=record["max_attempts"],
    )


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in _STATE)


def _lives(other: str, owner: str, seen_at: float) -> bool:
    if other == owner:
        return True
    alive = owners.is_alive(other)
    return time.time() - seen_at < SILENCE if alive is None else alive
