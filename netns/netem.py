"""The wire format of sch_netem's options (include/uapi/linux/pkt_sched.h): encode and decode an impairment.

pyroute2 supports neither distribution tables nor seeds.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from halfopen.netns import distributions
from halfopen.netns.impairment import GilbertElliott, Impairment
from halfopen.netns.netlink import attribute, attributes, nest
from halfopen.netns.units import Duration, Share

_CORR = 1
_DELAY_DIST = 2
_REORDER = 3
_CORRUPT = 4
_LOSS = 5
_LOSS_GE = 2
_LATENCY64 = 10
_JITTER64 = 11
_PRNG_SEED = 14

_QOPT = struct.Struct("=6I")  # latency, limit, loss, gap, duplicate, jitter
_CORRELATIONS = struct.Struct("=3I")  # of delay, loss, duplicate
_PAIR = struct.Struct("=2I")  # probability, correlation
_GEMODEL = struct.Struct("=4I")  # p, r, h, 1-k
_S64 = struct.Struct("=q")
_U64 = struct.Struct("=Q")

_ALL = 2**32 - 1
"""A probability of 1. As a limit: more packets than any machine holds.

The kernel's own limit is 1000 packets. A fast or far link exceeds it, and the excess is lost.
"""
_TICK = 64
"""Nanoseconds: the kernel's unit of time in messages (include/net/pkt_sched.h, PSCHED_SHIFT)."""


def pack(impairment: Impairment) -> bytes:
    """Return the payload of TCA_OPTIONS.

    Zeros are sent too, since the kernel keeps what a change leaves out (netem_change). It never drops a seed.
    """
    delay, jitter = round(impairment.delay * 1e9), round(impairment.jitter * 1e9)
    head = _QOPT.pack(
        min(delay // _TICK, _ALL),  # for kernels before 4.15, which lack nanoseconds
        impairment.limit or _ALL,
        _probability(impairment.loss),
        max(impairment.gap, 1) if impairment.reorder else 0,
        _probability(impairment.duplicate),
        jitter // _TICK,
    )
    correlations = (0, impairment.loss_correlation, impairment.duplicate_correlation)
    parts = [
        attribute(_LATENCY64, _S64.pack(delay)),
        attribute(_JITTER64, _S64.pack(jitter)),
        attribute(_CORR, _CORRELATIONS.pack(*map(_probability, correlations))),
        attribute(_REORDER, _pair(impairment.reorder, impairment.reorder_correlation)),
        attribute(_CORRUPT, _pair(impairment.corrupt, impairment.corrupt_correlation)),
    ]
    if jitter:
        parts.append(attribute(_DELAY_DIST, distributions.table(impairment.distribution)))
    if model := impairment.loss_model:
        shares = (model.p, model.recovery, 1 - model.lost_in_bad, model.lost_in_good)
        parts.append(nest(_LOSS, attribute(_LOSS_GE, _GEMODEL.pack(*map(_probability, shares)))))
    if impairment.seed is not None:
        parts.append(attribute(_PRNG_SEED, _U64.pack(impairment.seed)))
    return head + b"".join(parts)


def _probability(share: float) -> int:
    return round(share * _ALL)


def _pair(share: Share, correlation: Share) -> bytes:
    return _PAIR.pack(_probability(share), _probability(correlation))


def unpack(options: memoryview) -> Impairment:
    """Return the impairment that a kernel's TCA_OPTIONS say is in force.

    Correlations of effects that are off are omitted. The options do not name a distribution, so ``distribution`` stays
    at its default. A seed is included on kernels since 6.6.
    """
    delay, limit, loss, gap, duplicate, jitter = _QOPT.unpack_from(options)
    found = attributes(options, _QOPT.size)
    _, loss_correlation, duplicate_correlation = _CORRELATIONS.unpack(found[_CORR])
    reorder, reorder_correlation = _PAIR.unpack(found[_REORDER])
    reorder = reorder if gap else 0
    corrupt, corrupt_correlation = _PAIR.unpack(found[_CORRUPT])
    return Impairment(
        delay=_nanoseconds(found, _LATENCY64, delay),
        jitter=_nanoseconds(found, _JITTER64, jitter),
        loss=_share(loss),
        loss_correlation=_share(loss and loss_correlation),
        loss_model=_loss_model(found.get(_LOSS)),
        duplicate=_share(duplicate),
        duplicate_correlation=_share(duplicate and duplicate_correlation),
        reorder=_share(reorder),
        reorder_correlation=_share(reorder and reorder_correlation),
        gap=gap if reorder else 0,
        corrupt=_share(corrupt),
        corrupt_correlation=_share(corrupt and corrupt_correlation),
        limit=0 if limit == _ALL else limit,
        seed=_U64.unpack(found[_PRNG_SEED])[0] if _PRNG_SEED in found else None,
    )


def _share(number: int) -> Share:
    return Share(number / _ALL)


def _nanoseconds(options: Mapping[int, memoryview], kind: int, ticks: int) -> Duration:
    return Duration((_S64.unpack(options[kind])[0] if kind in options else ticks * _TICK) / 1e9)


def _loss_model(payload: memoryview | None) -> GilbertElliott | None:
    model = attributes(payload).get(_LOSS_GE) if payload is not None else None
    if model is None:
        return None
    p, r, h, k1 = map(_share, _GEMODEL.unpack(model))
    return GilbertElliott(p=p, r=r, lost_in_bad=Share(1 - h), lost_in_good=k1)
