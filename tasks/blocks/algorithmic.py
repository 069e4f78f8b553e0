"""Algorithmic data sets of grokking papers: arithmetic modulo p and sparse parity, their splits and corrupted labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from tasks.blocks.supervision import KNOWN
from tasks.blocks.training import generator

OPERATIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "sum-of-squares": lambda a, b: a * a + b * b,
    "cubic": lambda a, b: a * a * a + a * b,
}
"""Of two numbers, before the remainder by p is taken; `divide` is beside them."""


@cache
def modular(p: int, operation: str = "add", *, encoding: Literal["one-hot", "index"] = "one-hot") -> tuple[Tensor, Tensor]:
    """Every pair (a, b) modulo p, in the order a p + b, and the class (a operation b) mod p, (pairs,).

    one-hot: (pairs, 2 p) in float32, a before b. index: (pairs, 2), the places of its two ones, a and p + b. `divide` is a / b for a
    prime p, and leaves out the pairs with b = 0. All callers share the tensors, and so do all members of a pack.
    """
    if p < 2:
        raise ValueError(f"there is no arithmetic modulo {p}")
    a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    if operation == "divide":
        if any(p % divisor == 0 for divisor in range(2, int(p**0.5) + 1)):
            raise ValueError(f"{p} is not a prime: not every number has an inverse")
        a, b = a[b > 0], b[b > 0]
        inverse = torch.tensor([0, *(pow(number, -1, p) for number in range(1, p))])
        labels = a * inverse[b] % p
    elif operation in OPERATIONS:
        labels = OPERATIONS[operation](a, b) % p
    else:
        raise ValueError(f"no operation {operation!r}; there are {', '.join((*OPERATIONS, 'divide'))}")
    if encoding == "index":
        return torch.stack([a, p + b], dim=1), labels
    return torch.cat([F.one_hot(a, p), F.one_hot(b, p)], dim=1).float(), labels


def signs(count: int, bits: int, seed: int) -> Tensor:
    """`count` different vectors of -1 and 1, (count, bits) in float32, uniform; all 2^bits of them where `count` is that."""
    stream = generator(seed)
    if bits <= 20:
        if count > 2**bits:
            raise ValueError(f"there are {2**bits} vectors of {bits} signs, not {count}")
        numbers = torch.randperm(2**bits, generator=stream)[:count]
        return (numbers.unsqueeze(1) >> torch.arange(bits) & 1).float() * 2 - 1
    drawn = torch.randint(2, (count, bits), generator=stream)
    if len(torch.unique(drawn, dim=0)) < count:
        raise ValueError(f"{count} random vectors of {bits} signs are not all different")
    return drawn.float() * 2 - 1


def parity(inputs: Tensor, support: Sequence[int]) -> Tensor:
    """Class 1 where the product of the signs at the places `support` is -1, else 0: an odd number of -1 among them, (count,)."""
    if len(set(support)) != len(support) or not support:
        raise ValueError(f"the support of a parity is one or more different places, not {list(support)}")
    return (inputs[:, list(support)].prod(dim=1) < 0).long()


def split(count: int, shares: Mapping[str, float], seed: int) -> dict[str, Tensor]:
    """Masks (count,) of exactly round(share * count) examples each, and `test` for the rest; they cover all and share none.

    One order a seed: the first share is taken from its front, the others from its back. So the training set of a smaller fraction lies
    within that of a larger one, and both have the same validation set.
    """
    order = torch.randperm(count, generator=generator(seed))
    sizes = {name: round(share * count) for name, share in shares.items()}
    if min(sizes.values(), default=0) < 0 or sum(sizes.values()) > count:
        raise ValueError(f"shares {dict(shares)} of {count} examples")
    masks: dict[str, Tensor] = {}
    front, back = 0, count
    for name, size in sizes.items():
        if masks:
            back -= size
            masks[name] = _mask(order[back : back + size], count)
        else:
            front = size
            masks[name] = _mask(order[:size], count)
    masks["test"] = _mask(order[front:back], count)
    return masks


def corrupt(labels: Tensor, among: Tensor, share: float, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Labels with exactly round(share * examples of the mask `among`) replaced by uniform ones, and the mask of those.

    A new label is the old one with chance 1 / classes, as in the authors' code of 2310.13061. A larger share replaces more of the same.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share lies between 0 and 1, not {share}")
    stream = generator(seed)
    rows = among.nonzero().flatten()
    order = rows[torch.randperm(len(rows), generator=stream)]
    drawn = torch.randint(classes, (len(rows),), generator=stream)
    chosen = order[: round(share * len(rows))]
    given = labels.clone()
    given[chosen] = drawn[: len(chosen)]
    return given, _mask(chosen, len(labels))


def label_shares(outputs: Tensor, targets: Tensor, truth: Tensor, train: Tensor) -> dict[str, Tensor]:
    """How far outputs (..., examples, classes) agree with the labels given and with the true ones, (...); `train` masks the training set.

    A label is wrong where it is not the true one: one drawn anew may be right. Of wrong labels, `memorised` is the share that is
    reproduced and `corrected` the share for which the true one is given, NaN where there is none; `clean_accuracy` is of the right ones
    of the training set, `test_accuracy` of what lies outside. NaN too where outputs are not finite.
    """
    wrong, largest = targets != truth, outputs.argmax(-1)
    finite = outputs.isfinite().all(-1)
    parts = {
        "memorised": (targets, wrong),
        "corrected": (truth, wrong),
        "clean_accuracy": (truth, train & ~wrong),
        "test_accuracy": (truth, ~train),
    }
    agree = {name: ((largest == label).to(outputs.dtype).where(finite, torch.nan), mask) for name, (label, mask) in parts.items()}
    return {name: values.where(mask, 0.0).sum(-1) / mask.sum(-1) for name, (values, mask) in agree.items()}


def outcome(last: Mapping[str, float]) -> dict[str, float]:
    """Numbers after training with wrong labels, `label_shares` among them, and what follows from them.

    `train_excess` is how much more than the right labels is reproduced. `full_inversion` and `coexistence`, 1 or 0, say whether the test
    examples are known, and the wrong labels are not or are as well. Without a wrong label there is nothing of those.
    """
    found = {**last, "train_excess": last["train_accuracy"] - (1.0 - last["wrong_share"])}
    if not last["wrong_share"]:
        return {name: value for name, value in found.items() if name not in ("memorised", "corrected")}
    known, memorised = last["test_accuracy"] >= KNOWN, last["memorised"]
    return {**found, "full_inversion": float(known and memorised <= 1.0 - KNOWN), "coexistence": float(known and memorised >= KNOWN)}


def _mask(rows: Tensor, count: int) -> Tensor:
    mask = torch.zeros(count, dtype=torch.bool)
    mask[rows] = True
    return mask
